//! Tools written by others accept an honest log and refuse forged ones.
//!
//! Needs the directory that `tests/strangers/setup.sh DIR` fills, in the variable `PENIN_STRANGERS`. A missing tool
//! fails the test: a verifier that does not run has verified nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::{copy, keys, open, with_state};
use penin_ledger::proof::Prover;
use penin_ledger::{Entry, Keys, MemoryAnchor, Source, export};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

const SIZE: u64 = 300;

fn tools() -> PathBuf {
    let directory = std::env::var_os("PENIN_STRANGERS")
        .expect("set PENIN_STRANGERS to the directory made by tests/strangers/setup.sh");
    PathBuf::from(directory)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strangers")
}

/// Exit status, and what was said on standard output.
fn run(program: &Path, arguments: &[&Path]) -> (Option<i32>, String) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // Seen when the test fails.
    println!("{} {arguments:?}: {:?}", program.display(), output.status);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

/// It judged the files to be good, by status and by word.
fn accepted(program: &Path, arguments: &[&Path]) {
    let (status, said) = run(program, arguments);
    assert_eq!(status, Some(0), "{arguments:?}: {said}");
    assert_eq!(said.lines().last(), Some("accepted"), "{arguments:?}");
}

/// It judged the files to be bad, for this reason: a tool that stumbled has judged nothing.
fn refused(program: &Path, arguments: &[&Path], reason: &str) {
    let (status, said) = run(program, arguments);
    assert_eq!(status, Some(1), "{arguments:?}: {said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("refused: ") && last.contains(reason),
        "{arguments:?}: not for {reason:?}, but {said}"
    );
}

fn publish(dir: &Path, with: &Keys) {
    let ledger = penin_ledger::Ledger::open(
        dir,
        with.clone(),
        Box::new(MemoryAnchor::default()),
        1,
        common::options(),
    )
    .unwrap();
    for n in 1..SIZE {
        drop(ledger.append(with_state(n)));
    }
    ledger.close();
}

/// The keys that an auditor pinned, and proofs for the whole tree.
fn add_inputs(dir: &Path) {
    fs::create_dir_all(dir.join("keys")).unwrap();
    let public = keys().verifiers();
    let vkey = public.log.to_vkey(common::ORIGIN);
    fs::write(dir.join("keys/log.vkey"), format!("{vkey}\n")).unwrap();
    let pem = public.attestation.to_pem().unwrap();
    fs::write(dir.join("keys/attestation.pub.pem"), pem).unwrap();
    let mut prover = Prover::new(Source::open(dir).unwrap());
    let positions = [0, 1, 7, 255, 256, SIZE - 1];
    let inclusion: Vec<_> = positions
        .iter()
        .map(|index| prover.inclusion(*index, SIZE).unwrap())
        .collect();
    let consistency: Vec<_> = positions[1..]
        .iter()
        .map(|old| prover.consistency(*old, SIZE).unwrap())
        .collect();
    let proofs = json!({ "inclusion": inclusion, "consistency": consistency });
    fs::write(dir.join("proofs.json"), proofs.to_string()).unwrap();
}

fn honest() -> TempDir {
    let (dir, exported) = (tempdir().unwrap(), tempdir().unwrap());
    publish(dir.path(), &keys());
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    add_inputs(exported.path());
    exported
}

/// A whole history rewritten with other keys, shown to an auditor who pinned the honest ones.
fn rewritten() -> TempDir {
    let (dir, exported) = (tempdir().unwrap(), tempdir().unwrap());
    publish(dir.path(), &Keys::generate([66; 64]));
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    add_inputs(exported.path());
    exported
}

/// One decision changed in its bundle, the envelope well-formed and of the same length, everything else kept.
fn altered(honest: &Path, change: impl Fn(&mut String)) -> TempDir {
    let dir = tempdir().unwrap();
    copy(honest, dir.path());
    let path = dir.path().join("tile/entries/000");
    let mut bytes = fs::read(&path).unwrap();
    let entries = penin_ledger::publish::copy::parse_bundle(&bytes);
    let start: usize = entries[..7].iter().map(|entry| entry.len() + 2).sum();
    let mut envelope: Value = serde_json::from_slice(&entries[7]).unwrap();
    let payload = BASE64.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let mut statement = String::from_utf8(payload).unwrap();
    change(&mut statement);
    envelope["payload"] = BASE64.encode(statement).into();
    let forged = envelope.to_string().into_bytes();
    assert_eq!(forged.len(), entries[7].len());
    assert_ne!(forged, entries[7]);
    bytes[start + 2..start + 2 + forged.len()].copy_from_slice(&forged);
    fs::write(path, bytes).unwrap();
    dir
}

fn flip_verdict(statement: &mut String) {
    *statement = statement.replace("\"Pass\"", "\"Fail\"");
}

#[test]
#[ignore = "needs the foreign verifiers of tests/strangers/setup.sh"]
fn log_tools_accept_the_honest_log_and_refuse_forged_ones() {
    let go = tools().join("tlogverify");
    let (python, script) = (tools().join("python/bin/python"), scripts().join("verify.py"));
    let honest = honest();
    let tlog = |name: &'static str| [script.clone(), PathBuf::from(name)];
    accepted(&go, &[honest.path()]);
    for name in ["tlog", "aics"] {
        let [script, name] = tlog(name);
        accepted(&python, &[&script, &name, honest.path()]);
    }
    let (forged, changed) = (rewritten(), altered(honest.path(), flip_verdict));
    // Proofs are checked too: one hash changed is enough.
    let bad = tempdir().unwrap();
    copy(honest.path(), bad.path());
    let proofs = fs::read_to_string(bad.path().join("proofs.json")).unwrap();
    let mut proofs: Value = serde_json::from_str(&proofs).unwrap();
    proofs["inclusion"][2]["hashes"][1] = penin_ledger::Digest::ZERO.to_string().into();
    fs::write(bad.path().join("proofs.json"), proofs.to_string()).unwrap();
    for (dir, reason) in [
        (&forged, "note has no verifiable signatures"),
        (&changed, "entry 7 is not in the tree"),
        (&bad, "invalid transparency proof"),
    ] {
        refused(&go, &[dir.path()], reason);
    }
    for (name, dir, reason) in [
        ("tlog", &forged, "no signature matched vkey"),
        ("tlog", &changed, "entry 7 is not in the tree"),
        ("aics", &forged, "no signature from log key"),
        ("aics", &changed, "TileVerificationError"),
        ("aics", &bad, "inclusion proof of entry 7"),
    ] {
        let [script, name] = tlog(name);
        refused(&python, &[&script, &name, dir.path()], reason);
    }
}

/// A tool that cannot do its work says so, and is not taken for one that refuses.
#[test]
#[ignore = "needs the foreign verifiers of tests/strangers/setup.sh"]
fn what_cannot_be_judged_is_not_refused() {
    let (python, script) = (tools().join("python/bin/python"), scripts().join("verify.py"));
    let judged_nothing = |program: &Path, arguments: &[&Path]| {
        let (status, said) = run(program, arguments);
        assert!(status == Some(2) && !said.contains("refused"), "{status:?} {said}");
    };
    let stumbles = |arguments: &[&Path]| judged_nothing(&python, arguments);
    let empty = tempdir().unwrap();
    for name in ["tlog", "aics", "dsse", "statement", "canonical"] {
        stumbles(&[&script, Path::new(name), empty.path()]);
    }
    stumbles(&[&script, Path::new("nothing"), empty.path()]);
    stumbles(&[&scripts().join("witness.py"), empty.path()]);
    judged_nothing(&tools().join("tlogverify"), &[empty.path()]);
    let [_, honest, _, key] = bundles(empty.path());
    let (node, verify) = (Path::new("node"), tools().join("node/verify.mjs"));
    judged_nothing(node, &[&verify, &key, &empty.path().join("no-bundle")]);
    // Where the libraries are not.
    let alone = empty.path().join("verify.mjs");
    fs::copy(verify, &alone).unwrap();
    judged_nothing(node, &[&alone, &key, &honest]);
    // Without the libraries: -S leaves out what is installed beside the interpreter, -I what is around.
    for script in [script, scripts().join("witness.py")] {
        stumbles(&[
            Path::new("-I"),
            Path::new("-S"),
            &script,
            Path::new("tlog"),
            empty.path(),
        ]);
    }
}

/// A log grown from `from` to `size` entries, the note then published, and the proof that it extends the first `old`
/// entries. Equal `story`, equal entries.
fn grown(dir: &Path, story: u64, from: u64, size: u64, old: u64) -> Value {
    let ledger = open(dir, MemoryAnchor::new(anchored(dir)), 1).unwrap();
    for n in from.max(1)..size {
        ledger.append(with_state(story + n)).wait().unwrap();
    }
    ledger.close();
    let note = fs::read_to_string(dir.join("checkpoint")).unwrap();
    let proof = Prover::new(Source::open(dir).unwrap()).consistency(old, size).unwrap();
    json!({ "note": note, "size": size, "proof": proof.hashes })
}

/// The head of an anchor that kept up.
fn anchored(dir: &Path) -> Option<penin_ledger::Head> {
    let source = Source::open(dir).ok()?;
    Some(penin_ledger::generations::end(&source).unwrap().head)
}

#[test]
#[ignore = "needs the foreign verifiers of tests/strangers/setup.sh"]
fn a_witness_cosigns_the_honest_log_and_refuses_fork_and_rollback() {
    let (honest, fork, dir) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let small = grown(honest.path(), 0, 0, 150, 150);
    let story = json!({
        "origin": common::ORIGIN,
        "vkey": keys().verifiers().log.to_vkey(common::ORIGIN),
        "small": small,
        "large": grown(honest.path(), 0, 150, SIZE, 150),
        // Signed by the same key: what only somebody who saw both can notice.
        "fork": grown(fork.path(), 1_000, 0, SIZE, 150),
    });
    fs::write(dir.path().join("witness.json"), story.to_string()).unwrap();
    let (python, script) = (tools().join("python/bin/python"), scripts().join("witness.py"));
    accepted(&python, &[&script, dir.path()]);
}

#[derive(serde::Deserialize)]
struct Probe {
    kind: String,
    first: u64,
    second: u64,
    left: penin_ledger::Digest,
    right: penin_ledger::Digest,
    proof: Vec<penin_ledger::Digest>,
    what: String,
    holds: bool,
}

#[test]
#[ignore = "needs the foreign verifiers of tests/strangers/setup.sh"]
fn good_and_bad_proofs_get_the_verdicts_of_the_merkle_library() {
    use penin_ledger::tree::{verify_consistency, verify_inclusion};
    let output = Command::new(tools().join("merklecases")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (mut good, mut bad) = (0, 0);
    for text in String::from_utf8(output.stdout).unwrap().lines() {
        let probe: Probe = serde_json::from_str(text).unwrap();
        let Probe {
            first,
            second,
            left,
            right,
            proof,
            ..
        } = &probe;
        let verdict = match probe.kind.as_str() {
            "inclusion" => verify_inclusion(left, *first, *second, proof, right),
            _ => verify_consistency(*first, left, *second, right, proof),
        };
        // From the empty tree that library compares no root; ours wants the empty tree's.
        let expected =
            probe.holds && (probe.kind == "inclusion" || probe.first != 0 || *left == penin_ledger::Digest::of(b""));
        assert_eq!(verdict, expected, "{}: {text}", probe.what);
        if verdict { good += 1 } else { bad += 1 }
    }
    println!("{good} good and {bad} bad proofs");
    assert!(good > 1_000 && bad > 10_000);
}

#[test]
#[ignore = "needs the foreign verifiers of tests/strangers/setup.sh"]
fn entry_tools_accept_honest_entries_and_refuse_forged_ones() {
    let (python, script) = (tools().join("python/bin/python"), scripts().join("verify.py"));
    let honest = honest();
    for name in ["dsse", "statement", "canonical"] {
        accepted(&python, &[&script, Path::new(name), honest.path()]);
    }
    let refuses = |name: &str, dir: &TempDir, reason: &str| {
        refused(&python, &[&script, Path::new(name), dir.path()], reason);
    };
    let forged = altered(honest.path(), flip_verdict);
    refuses("dsse", &forged, "VerificationError: Accepted signatures do not match");
    refuses(
        "dsse",
        &rewritten(),
        "VerificationError: Accepted signatures do not match",
    );
    let other_type = altered(honest.path(), |statement| {
        *statement = statement.replace("in-toto.io/Statement/v1", "in-toto.io/Statement/v9");
    });
    refuses("statement", &other_type, "ValueError: Wrong statement type");
    let spaced = altered(honest.path(), |statement| {
        // One letter less and one space more.
        *statement = statement.replacen("\"shop/ranker\"", " \"shop/ranke\"", 1);
    });
    refuses("canonical", &spaced, "entry 7 is not canonical");
}

/// Artefact, honest bundle and forged bundle of one entry in files.
fn bundles(dir: &Path) -> [PathBuf; 4] {
    let volume = tempdir().unwrap();
    let ledger = open(volume.path(), MemoryAnchor::default(), 1).unwrap();
    let artefact = b"the model's weights";
    let mut draft = with_state(1);
    draft.subject.sha256 = penin_ledger::Digest::of(artefact);
    let seq = ledger.append(draft).wait().unwrap().seq;
    let entry: Entry = ledger.reader().unwrap().entry(seq).unwrap().unwrap();
    let honest = export::sigstore_bundle(&entry);
    let mut forged = honest.clone();
    let payload = String::from_utf8(entry.envelope.payload.clone()).unwrap();
    let payload = payload.replace("\"Pass\"", "\"Fail\"");
    forged["dsseEnvelope"]["payload"] = BASE64.encode(payload).into();
    let paths = ["artefact", "honest.json", "forged.json", "key.pem"].map(|name| dir.join(name));
    fs::write(&paths[0], artefact).unwrap();
    fs::write(&paths[1], honest.to_string()).unwrap();
    fs::write(&paths[2], forged.to_string()).unwrap();
    fs::write(&paths[3], keys().verifiers().attestation.to_pem().unwrap()).unwrap();
    paths
}

#[test]
#[ignore = "needs the foreign verifiers of tests/strangers/setup.sh"]
fn sigstore_for_node_accepts_the_honest_bundle_and_refuses_the_forged_one() {
    let dir = tempdir().unwrap();
    let [_, honest, forged, key] = bundles(dir.path());
    let script = tools().join("node/verify.mjs");
    let node = Path::new("node");
    accepted(node, &[&script, &key, &honest]);
    refused(node, &[&script, &key, &forged], "VerificationError: ");
}

#[test]
#[ignore = "needs the foreign verifiers of tests/strangers/setup.sh"]
fn cosign_accepts_the_honest_bundle_and_refuses_forgery_and_another_artefact() {
    let dir = tempdir().unwrap();
    let [artefact, honest, forged, key] = bundles(dir.path());
    let other = dir.path().join("other");
    fs::write(&other, "other weights").unwrap();
    let cosign = |bundle: &Path, artefact: &Path| {
        let status = Command::new(tools().join("cosign"))
            .args(["verify-blob-attestation", "--insecure-ignore-tlog"])
            .args(["--type", penin_ledger::entry::PREDICATE_TYPE])
            .arg("--bundle")
            .arg(bundle)
            .arg("--key")
            .arg(&key)
            .arg(artefact)
            .output()
            .unwrap();
        (
            status.status.success(),
            String::from_utf8_lossy(&status.stderr).into_owned(),
        )
    };
    let (accepted, why) = cosign(&honest, &artefact);
    assert!(accepted, "{why}");
    // It must have judged, not stumbled.
    for (bundle, artefact, reason) in [
        (&forged, &artefact, "could not verify envelope"),
        (&honest, &other, "provided artifact digests do not match"),
    ] {
        let (accepted, why) = cosign(bundle, artefact);
        assert!(!accepted && why.contains(reason), "not for {reason:?}, but {why}");
    }
}
