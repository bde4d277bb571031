//! The ledger verbs on what nobody should believe: notes that others signed, servers that promise anything, ledgers that
//! become shorter; and on honest ledgers that grow while they are read.
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
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ledgers::{TIME, command, keys, opened, opened_with, other_keys, policy};
use penin_ledger::note::Checkpoint;
use penin_ledger::{Digest, Draft, Kind, MemoryAnchor, Source, Subject, export};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

fn grow(folder: &Path, anchor: &MemoryAnchor, numbers: std::ops::Range<u64>) {
    let ledger = opened(folder, anchor);
    for n in numbers {
        drop(ledger.append(draft(n)));
    }
    ledger.close();
}

fn draft(n: u64) -> Draft {
    let subject = Subject {
        name: format!("registry.example/ranker:{n}"),
        sha256: Digest::of(&n.to_be_bytes()),
    };
    Draft::new(Kind::GateEval, subject, TIME)
}

fn written(size: u64) -> TempDir {
    let folder = tempdir().unwrap();
    grow(folder.path(), &MemoryAnchor::default(), 1..size);
    folder
}

fn exported(folder: &TempDir) -> TempDir {
    let copy = tempdir().unwrap();
    export::tiles(&Source::open(folder.path()).unwrap(), copy.path()).unwrap();
    copy
}

/// Exit code, and everything that was said.
fn run(words: &[&str]) -> (i32, String) {
    let output = command(words).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn document(words: &[&str]) -> (i32, Value) {
    let (code, text) = run(&[words, &["-o", "json"]].concat());
    (code, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
}

fn place(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// The checkpoint of the folder with other claims, and a signature that nobody made: a letter of it is another one.
fn forge(folder: &Path, change: impl Fn(&mut Checkpoint)) {
    let path = folder.join("checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    let mut checkpoint = Checkpoint::claimed(note.as_bytes()).unwrap();
    change(&mut checkpoint);
    let mut signature = note.split("\n\n").nth(1).unwrap().to_owned();
    let at = signature.len() - 20;
    let other = if signature.as_bytes()[at] == b'A' { "B" } else { "A" };
    signature.replace_range(at..=at, other);
    fs::write(path, format!("{}\n{signature}", checkpoint.text())).unwrap();
}

#[test]
fn roots_and_proofs_say_whose_signature_they_rest_on() {
    let folder = written(20);
    let own = policy(folder.path(), "policy.json", &keys());
    let other = policy(folder.path(), "other.json", &other_keys());
    let ledger = place(&folder);
    let verbs: [&[&str]; 3] = [
        &["root", ledger],
        &["prove", "inclusion", ledger, "3"],
        &["prove", "consistency", ledger, "3"],
    ];
    for words in verbs {
        let (code, text) = run(words);
        assert!(code == 0 && text.contains("by the ledger's own key"), "{code} {text}");
        let (code, text) = run(&[words, &["--policy", &own]].concat());
        assert!(code == 0 && text.contains("by the key of the policy"), "{code} {text}");
        let (code, value) = document(&[words, &["--policy", &own]].concat());
        assert_eq!(
            (code, &value["checkpointSigned"], &value["keysPinned"]),
            (0, &json!(true), &json!(true))
        );
        let (code, text) = run(&[words, &["--policy", &other]].concat());
        assert!(
            code == 6 && text.contains("not by the key of the policy"),
            "{code} {text}"
        );
    }
}

#[test]
fn a_note_that_somebody_else_signed_is_code_six_whatever_it_claims() {
    let claims: [fn(&mut Checkpoint); 4] = [
        |_| {},
        |claim| claim.size = 7,
        |claim| claim.size = 1 << 63,
        |claim| claim.root = Digest::ZERO,
    ];
    for change in claims {
        let folder = written(20);
        let ledger = place(&folder);
        forge(folder.path(), change);
        let verbs: [&[&str]; 3] = [
            &["root", ledger],
            &["prove", "inclusion", ledger, "3"],
            &["prove", "consistency", ledger, "3"],
        ];
        for words in verbs {
            let (code, text) = run(words);
            assert!(
                code == 6 && text.contains("not by the ledger's own key"),
                "{code} {text}"
            );
            let (code, value) = document(words);
            assert_eq!((code, &value["checkpointSigned"]), (6, &json!(false)), "{value}");
        }
    }
    // A history that somebody else wrote, beside this ledger's entries.
    let (folder, other) = (written(20), tempdir().unwrap());
    opened_with(other.path(), other_keys(), &MemoryAnchor::default()).close();
    fs::copy(other.path().join("checkpoint"), folder.path().join("checkpoint")).unwrap();
    let (code, text) = run(&["prove", "inclusion", place(&folder), "3", "--size", "20"]);
    assert!(
        code == 6 && text.contains("not signed by the log's key"),
        "{code} {text}"
    );
    // One that is no note at all is not taken for none.
    let folder = written(20);
    fs::write(folder.path().join("checkpoint"), "nonsense").unwrap();
    assert_eq!(run(&["root", place(&folder)]).0, 6);
    // Without its first entry nobody knows the ledger's own key.
    let copy = exported(&written(20));
    fs::remove_dir_all(copy.path().join("tile/entries")).unwrap();
    assert_eq!(run(&["root", place(&copy)]).0, 7);
}

/// Serves the files below a directory on loopback until the process ends, and counts what it is asked. After 2,000
/// requests it fails: whoever never ends then ends with an error.
fn served(folder: PathBuf) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let patient = counted.fetch_add(1, Ordering::Relaxed) < 2_000;
            answer(stream.unwrap(), &folder, patient);
        }
    });
    (address, asked)
}

fn answer(mut stream: TcpStream, folder: &Path, patient: bool) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let Some(path) = request.split(' ').nth(1) else { return };
    let (status, body) = match fs::read(folder.join(path.trim_start_matches('/'))) {
        _ if !patient => ("500 Enough", Vec::new()),
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
fn a_served_checkpoint_that_promises_anything_ends_the_copy_where_the_entries_end() {
    for size in [300, 512] {
        let folder = written(size);
        forge(folder.path(), |claim| claim.size = 1 << 63);
        let (address, asked) = served(folder.path().to_owned());
        assert_eq!(run(&["verify", &address]).0, 6);
        assert_eq!(run(&["root", &address]).0, 6);
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked < 200, "{asked} requests for {size} entries");
    }
    // The same promise in a directory.
    let folder = written(300);
    forge(folder.path(), |claim| claim.size = 1 << 63);
    let to = folder.path().join("copy");
    let to = to.to_str().unwrap();
    assert_eq!(run(&["export", "tiles", place(&folder), "--to", to]).0, 0);
    assert_eq!(run(&["verify", to]).0, 6);
}

/// `tail -f` that has printed the newest entry.
fn following(ledger: &str) -> Child {
    let mut child = command(&["tail", ledger, "-f", "--last", "1", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let newest: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(newest["seq"], "299");
    child
}

#[test]
fn following_a_ledger_that_becomes_shorter_is_code_six() {
    let gone = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(6), "{said}");
        assert!(said.contains("entries went away"), "{said}");
    };
    let copy = exported(&written(300));
    let child = following(place(&copy));
    fs::remove_dir_all(copy.path().join("tile/entries/001.p")).unwrap();
    gone(child);
    let copy = exported(&written(300));
    let (address, _) = served(copy.path().to_owned());
    let child = following(&address);
    forge(copy.path(), |claim| claim.size = 299);
    gone(child);
}

/// A ledger grows while its checkpoint is read. Who counted the entries before that finds too few.
#[test]
fn the_entries_are_counted_after_the_checkpoint_that_promises_them_is_read() {
    for verb in ["root", "verify"] {
        let (folder, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
        grow(folder.path(), &anchor, 1..20);
        let early = exported(&folder);
        grow(folder.path(), &anchor, 20..300);
        let late = exported(&folder);
        // Whoever opens a pipe to write waits for the reader, and the reader for what is written.
        let pipe = early.path().join("checkpoint");
        fs::remove_file(&pipe).unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let child = command(&[verb, place(&early)]).stdout(Stdio::piped()).spawn().unwrap();
        let mut writer = fs::File::options().write(true).open(&pipe).unwrap();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(late.path().join("tile"))
            .arg(early.path())
            .status();
        assert!(copied.unwrap().success());
        let note = fs::read(late.path().join("checkpoint")).unwrap();
        // Who reads it once more finds a file.
        fs::write(early.path().join("new"), &note).unwrap();
        fs::rename(early.path().join("new"), &pipe).unwrap();
        writer.write_all(&note).unwrap();
        drop(writer);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb}: {said}");
        assert!(said.contains("300 entries"), "{verb}: {said}");
    }
}

/// Size and checkpoint of a ledger at work are read one after the other: in the wrong order entries seem to be missing.
#[test]
fn a_ledger_at_work_is_whole_whenever_a_verb_looks_at_it() {
    let folder = tempdir().unwrap();
    let ledger = Mutex::new(opened(folder.path(), &MemoryAnchor::default()));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ledger = ledger.lock().unwrap();
            let mut n = 1;
            while !done.load(Ordering::Acquire) {
                ledger.append(draft(n)).wait().unwrap();
                n += 1;
            }
        });
        while !folder.path().join("checkpoint").exists() {
            std::thread::yield_now();
        }
        let looked = std::panic::catch_unwind(|| {
            for _ in 0..12 {
                for verb in ["root", "verify"] {
                    let (code, text) = run(&[verb, place(&folder)]);
                    assert_eq!(code, 0, "{verb}: {text}");
                }
            }
        });
        done.store(true, Ordering::Release);
        looked.unwrap();
    });
    ledger.into_inner().unwrap().close();
}
