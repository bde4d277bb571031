//! The ledger verbs as processes: what they print, with which exit code, on honest, damaged and served ledgers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod ledgers;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use ledgers::{TIME, command, keys, opened, other_keys, policy};
use penin_ledger::{Anchor, CycleRef, Digest, Draft, Kind, MemoryAnchor, Subject};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

fn draft(n: u64) -> Draft {
    let kind = if n.is_multiple_of(5) {
        Kind::PromoteAttest
    } else {
        Kind::GateEval
    };
    let subject = Subject {
        name: format!("registry.example/a-name-that-is-longer-than-its-column:{n}"),
        sha256: Digest::of(&n.to_be_bytes()),
    };
    let mut draft = Draft::new(kind, subject, TIME);
    draft.cycle = Some(CycleRef {
        name: format!("shop/ranker-{}", n % 2),
        uid: "1".into(),
    });
    draft.body.insert(
        "reason".into(),
        "a reason that is also longer than what is left of the line".into(),
    );
    draft
}

/// A ledger of `size` entries, with policy and anchor as files beside it.
fn written(size: u64) -> TempDir {
    let folder = tempdir().unwrap();
    let mut anchor = MemoryAnchor::default();
    append(folder.path(), &anchor, 1..size);
    policy(folder.path(), "policy.json", &keys());
    let head = serde_json::to_value(anchor.load().unwrap().unwrap()).unwrap();
    fs::write(folder.path().join("anchor.json"), head.to_string()).unwrap();
    let object = json!({"apiVersion": "penin.ai/v1alpha1", "kind": "LedgerAnchor", "status": head});
    fs::write(folder.path().join("object.json"), object.to_string()).unwrap();
    folder
}

fn append(folder: &Path, anchor: &MemoryAnchor, numbers: std::ops::Range<u64>) {
    let ledger = opened(folder, anchor);
    for n in numbers {
        ledger.append(draft(n)).wait().unwrap();
    }
    ledger.close();
}

/// Standard output and exit code; nothing may be on standard error unless the code is 1 or 2, or the ledger is unreadable.
fn run(words: &[&str]) -> (i32, String) {
    let output: Output = command(words).output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    let code = output.status.code().unwrap();
    assert!(code != 0 || err.is_empty(), "{words:?}: {err}");
    // Not a terminal: no colour, no progress bar.
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "{out}{err}");
    (code, out + &err)
}

fn ok(words: &[&str]) -> String {
    let (code, text) = run(words);
    assert_eq!(code, 0, "{words:?}: {text}");
    text
}

fn json_of(words: &[&str]) -> Value {
    serde_json::from_str(&ok(&[words, &["-o", "json"]].concat())).unwrap()
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

fn place(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

#[test]
fn an_honest_ledger_verifies_in_every_form() {
    let folder = written(300);
    let (policy, anchor, object) = (
        path(&folder, "policy.json"),
        path(&folder, "anchor.json"),
        path(&folder, "object.json"),
    );
    let text = ok(&["verify", place(&folder), "--policy", &policy, "--anchor", &anchor]);
    assert!(
        text.contains("genuine and complete") && text.contains("300 entries, 300 signatures"),
        "{text}"
    );
    assert!(
        text.contains("compared with the policy") && text.contains("anchor: compared"),
        "{text}"
    );
    assert!(!text.contains("--policy"), "{text}");
    let report = json_of(&["verify", place(&folder), "--policy", &policy, "--anchor", &object]);
    assert_eq!((&report["verdict"], &report["anchored"]), (&json!("Ok"), &json!(true)));
    let since = json_of(&["verify", place(&folder), "--since", "300"]);
    assert_eq!((&since["verdict"], &since["signatures"]), (&json!("Ok"), &json!(0)));
    let copy = tempdir().unwrap();
    let to = path(&copy, "tiles");
    ok(&["export", "tiles", place(&folder), "--to", &to]);
    assert_eq!(
        json_of(&["verify", &to, "--policy", &policy, "--anchor", &anchor])["verdict"],
        "Ok"
    );
    assert_eq!(
        run(&["export", "tiles", place(&folder), "--to", &to]).0,
        1,
        "never over something"
    );
}

#[test]
fn an_anchor_that_was_saved_earlier_is_told_from_the_end() {
    let folder = tempdir().unwrap();
    let mut anchor = MemoryAnchor::default();
    append(folder.path(), &anchor, 1..3);
    let saved = path(&folder, "saved.json");
    let save = |anchor: &mut MemoryAnchor| {
        let head = serde_json::to_value(anchor.load().unwrap().unwrap()).unwrap();
        let object = json!({"apiVersion": "penin.ai/v1alpha1", "kind": "LedgerAnchor", "status": head});
        fs::write(&saved, object.to_string()).unwrap();
    };
    save(&mut anchor);
    append(folder.path(), &anchor, 3..7);
    let words = ["verify", place(&folder), "--anchor", &saved];
    let text = ok(&words);
    assert!(
        text.contains("anchor: compared, the ledger has 4 entries more") && text.contains("cannot be seen"),
        "{text}"
    );
    let report = json_of(&words);
    assert_eq!(
        (&report["anchored"], &report["beyondAnchor"]),
        (&json!(true), &json!(4))
    );
    save(&mut anchor);
    assert!(ok(&words).contains("anchor: compared, it is the end"));
    assert_eq!(json_of(&words)["beyondAnchor"], 0);
    let text = ok(&["verify", place(&folder)]);
    assert!(text.contains("anchor: not compared"), "{text}");
    assert_eq!(json_of(&["verify", place(&folder)])["beyondAnchor"], Value::Null);
}

#[test]
fn tampering_is_code_six_missing_parts_code_seven_and_no_ledger_code_one() {
    let folder = written(300);
    let wrong = policy(folder.path(), "other.json", &other_keys());
    let (code, text) = run(&["verify", place(&folder), "--policy", &wrong]);
    assert!(code == 6 && text.contains("not those of the policy"), "{code} {text}");
    let copy = tempdir().unwrap();
    let to = path(&copy, "tiles");
    ok(&["export", "tiles", place(&folder), "--to", &to]);
    let bundle = Path::new(&to).join("tile/entries/000");
    let honest = fs::read(&bundle).unwrap();
    let mut forged = honest.clone();
    forged[400] ^= 1;
    fs::write(&bundle, forged).unwrap();
    let (code, text) = run(&["verify", &to, "-o", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert!(code == 6 && report["findings"][0]["seq"] == 0, "{code} {report}");
    assert_eq!(run(&["root", &to]).0, 6);
    fs::write(&bundle, &honest).unwrap();
    fs::remove_file(Path::new(&to).join("tile/entries/001.p/44")).unwrap();
    assert_eq!(run(&["verify", &to]).0, 7);
    assert_eq!(run(&["root", &to]).0, 7);
    // A database that is none any more.
    let mut database = fs::read(folder.path().join("ledger.db")).unwrap();
    database[..16].fill(0);
    fs::write(folder.path().join("ledger.db"), database).unwrap();
    let (code, text) = run(&["verify", place(&folder)]);
    assert!(code == 6 && text.contains("tampered with"), "{code} {text}");
    let empty = tempdir().unwrap();
    let (code, text) = run(&["verify", place(&empty)]);
    assert!(code == 1 && text.contains("no ledger here"), "{code} {text}");
    assert_eq!(run(&["verify"]).0, 2);
    assert_eq!(run(&["verify", "https://127.0.0.1:1"]).0, 2);
}

#[test]
fn tables_are_never_wider_than_a_hundred_characters_and_lists_are_filtered() {
    let folder = written(40);
    let text = ok(&["show", place(&folder)]);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(text.lines().count(), 41);
    let one = json_of(&[
        "show",
        place(&folder),
        "--cycle",
        "shop/ranker-1",
        "--kind",
        "PROMOTE_ATTEST",
        "--last",
        "2",
    ]);
    let seqs: Vec<&str> = one
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["seq"].as_str().unwrap())
        .collect();
    assert_eq!(seqs, ["25", "35"]);
    let whole = json_of(&["show", place(&folder), "5"]);
    assert_eq!(
        (&whole["kind"], &whole["epoch"]),
        (&json!("PROMOTE_ATTEST"), &json!("1"))
    );
    assert_eq!(run(&["show", place(&folder), "40"]).0, 1);
    assert!(ok(&["show", place(&folder), "5", "-o", "yaml"]).contains("kind: PROMOTE_ATTEST"));
    let tail = ok(&["tail", place(&folder), "--last", "3", "-o", "json"]);
    let last: Value = serde_json::from_str(tail.lines().last().unwrap()).unwrap();
    assert_eq!((tail.lines().count(), &last["seq"]), (3, &json!("39")));
}

#[test]
fn proofs_and_roots_agree_with_the_checkpoint() {
    let folder = written(300);
    for verb in ["root", "merkle"] {
        let root = json_of(&[verb, place(&folder)]);
        assert_eq!(
            (&root["size"], &root["checkpointMatches"]),
            (&json!("300"), &json!(true))
        );
    }
    let at = json_of(&["root", place(&folder), "--size", "100"]);
    let proof = json_of(&["prove", "consistency", place(&folder), "100"]);
    assert_eq!(
        (&proof["holds"], &proof["consistency"]["oldRoot"]),
        (&json!(true), &at["root"])
    );
    let proof = json_of(&["prove", "inclusion", place(&folder), "17"]);
    let note = fs::read_to_string(folder.path().join("checkpoint")).unwrap();
    assert_eq!((&proof["holds"], &proof["checkpoint"]), (&json!(true), &json!(note)));
    let whole = json_of(&["show", place(&folder), "17"]);
    assert_eq!(proof["inclusion"]["leaf"], whole["leaf"]);
    let text = ok(&["prove", "inclusion", place(&folder), "17"]);
    assert!(
        text.contains("  checkpoint  has this root") && text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    assert_eq!(run(&["prove", "inclusion", place(&folder), "300"]).0, 1);
    assert_eq!(run(&["prove", "consistency", place(&folder), "301"]).0, 1);
}

#[test]
fn entries_are_exported_for_other_tools() {
    let folder = written(20);
    let envelope = ok(&["export", "dsse", place(&folder), "--entry", "5"]);
    let leaf = penin_ledger::hash::leaf_hash(envelope.as_bytes()).to_string();
    assert_eq!(json_of(&["show", place(&folder), "5"])["leaf"], leaf.as_str());
    let bundle: Value = serde_json::from_str(&ok(&["export", "sigstore", place(&folder), "--entry", "5"])).unwrap();
    assert!(bundle["dsseEnvelope"]["payload"].is_string());
    let lines = ok(&["export", "ndjson", place(&folder), "--from", "3", "--until", "7"]);
    assert_eq!(lines.lines().count(), 4);
    let to = path(&folder, "entry.json");
    ok(&["export", "dsse", place(&folder), "--entry", "5", "--to", &to]);
    assert_eq!(fs::read_to_string(&to).unwrap(), envelope);
    assert_eq!(
        run(&["export", "dsse", place(&folder), "--entry", "5", "--to", &to]).0,
        1
    );
    assert_eq!(run(&["export", "dsse", place(&folder)]).0, 2);
    assert_eq!(run(&["export", "tiles", place(&folder)]).0, 2);
}

#[test]
fn a_replay_without_decisions_says_so() {
    let folder = written(4);
    assert!(ok(&["replay", place(&folder)]).contains("0 decisions"));
    let other = tempdir().unwrap();
    let ledger = opened(other.path(), &MemoryAnchor::default());
    let mut draft = draft(1);
    draft.content_hashes = vec![Digest::of(b"an event")];
    ledger.append(draft).wait().unwrap();
    ledger.close();
    let (code, text) = run(&["replay", place(&other), "-o", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["withoutInputs"]), (7, &json!(1)));
}

#[test]
fn following_prints_what_is_appended_later() {
    let folder = tempdir().unwrap();
    let anchor = MemoryAnchor::default();
    append(folder.path(), &anchor, 1..3);
    let mut child = command(&[
        "tail",
        folder.path().to_str().unwrap(),
        "-f",
        "--last",
        "1",
        "-o",
        "json",
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["seq"].clone();
    assert_eq!(next(), "2");
    append(folder.path(), &anchor, 3..5);
    assert_eq!((next(), next()), (json!("3"), json!("4")));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Serves the files below a directory on loopback until the process ends: GET alone, one request a connection.
fn served(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &folder);
        }
    });
    address
}

fn answer(mut stream: TcpStream, folder: &Path) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let Some(path) = request.split(' ').nth(1) else { return };
    let (status, body) = match fs::read(folder.join(path.trim_start_matches('/'))) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // The client may have gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

#[test]
fn a_served_ledger_is_verified_and_read_like_a_directory() {
    let folder = written(600);
    let address = served(folder.path().to_owned());
    let policy = path(&folder, "policy.json");
    let report = json_of(&[
        "verify",
        &address,
        "--policy",
        &policy,
        "--anchor",
        &path(&folder, "anchor.json"),
    ]);
    assert_eq!((&report["verdict"], &report["size"]), (&json!("Ok"), &json!(600)));
    assert_eq!(json_of(&["root", &address])["checkpointMatches"], true);
    assert_eq!(json_of(&["prove", "inclusion", &address, "3"])["holds"], true);
    assert_eq!(json_of(&["show", &address, "3"])["seq"], "3");
    // What is served is not believed.
    let bundle = folder.path().join("tile/entries/001");
    let mut forged = fs::read(&bundle).unwrap();
    forged[500] ^= 1;
    fs::write(&bundle, forged).unwrap();
    assert_eq!(run(&["verify", &address]).0, 6);
    fs::remove_file(&bundle).unwrap();
    assert_eq!(run(&["verify", &address]).0, 7);
    fs::remove_file(folder.path().join("checkpoint")).unwrap();
    assert_eq!(run(&["verify", &address]).0, 1);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let folder = written(300);
    let mut child = command(&["export", "ndjson", place(&folder)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}
