//! The auditor's walk-through of `docs/ledger.md`, run as it stands: accepts the exercise, refuses a forgery.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::tempdir;

fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ledger.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh auditor\n").skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap().to_owned())
        .collect()
}

fn producer() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().unwrap().parent().unwrap().join("examples/produce");
    assert!(program.exists(), "cargo test builds the examples too");
    program
}

fn audit(dir: &Path) -> Output {
    let script = format!("set -euo pipefail\n{}\n", commands().join("\n"));
    Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(dir)
        .output()
        .unwrap()
}

fn produced(dir: &Path) {
    let status = Command::new(producer())
        .args(["--entries", "600", "--seed", "7", "--dir"])
        .arg(dir)
        .status()
        .unwrap();
    assert!(status.success());
}

fn some_blob(dir: &Path) -> String {
    let first = |path: PathBuf| fs::read_dir(path).unwrap().next().unwrap().unwrap().path();
    let blob = first(first(dir.join("blobs/sha256")));
    blob.strip_prefix(dir).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_commands_accept_the_exercise_and_refuse_a_changed_byte_anywhere() {
    assert_eq!(commands().len(), 4);
    let dir = tempdir().unwrap();
    produced(dir.path());
    let output = audit(dir.path());
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("600 entries link") && said.contains("anchored"), "{said}");
    // Each is caught by another command: without that command in the text, this test fails.
    for (what, file, from_end) in [
        ("an entry", "tile/entries/000".to_owned(), 500),
        // Nothing links to its signature: only the root covers it.
        ("the last entry", "tile/entries/002.p/88".to_owned(), 40),
        ("the checkpoint's root", "checkpoint".to_owned(), 160),
        ("the checkpoint's signature", "checkpoint".to_owned(), 20),
        ("the log's key", "keys/log.vkey".to_owned(), 20),
        ("the attestation key", "keys/attestation.pub.pem".to_owned(), 60),
        ("a blob", some_blob(dir.path()), 1),
        ("the anchor's root", "anchor.json".to_owned(), 40),
    ] {
        let path = dir.path().join(file);
        let honest = fs::read(&path).unwrap();
        let mut forged = honest.clone();
        let at = forged.len() - from_end;
        forged[at] ^= 1;
        fs::write(&path, forged).unwrap();
        assert!(!audit(dir.path()).status.success(), "{what}");
        fs::write(&path, honest).unwrap();
    }
    assert!(audit(dir.path()).status.success());
}
