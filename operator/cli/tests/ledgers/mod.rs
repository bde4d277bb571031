//! Ledgers, and the verbs about them as processes.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::path::Path;
use std::process::Command;

use penin_ledger::{Keys, Ledger, MemoryAnchor, Options, Policy};

pub const ORIGIN: &str = "test.penin.ai/ledger/default/1";
pub const TIME: i64 = 1_790_000_000_000;

pub fn keys() -> Keys {
    Keys::generate([5; 64])
}

/// Of somebody else.
pub fn other_keys() -> Keys {
    Keys::generate([6; 64])
}

pub fn opened(folder: &Path, anchor: &MemoryAnchor) -> Ledger {
    opened_with(folder, keys(), anchor)
}

pub fn opened_with(folder: &Path, keys: Keys, anchor: &MemoryAnchor) -> Ledger {
    let mut options = Options::new(ORIGIN, TIME);
    options.any_filesystem = true;
    Ledger::open(folder, keys, Box::new(anchor.clone()), 1, options).unwrap()
}

/// Writes a policy that trusts `keys`, and gives its path.
pub fn policy(folder: &Path, name: &str, keys: &Keys) -> String {
    let policy = Policy {
        origin: ORIGIN.into(),
        keys: keys.verifiers(),
    };
    let path = folder.join(name);
    fs::write(&path, policy.to_json()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `peninctl ledger …` on a terminal that can do everything.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peninctl"));
    command
        .arg("ledger")
        .args(words)
        .env_remove("NO_COLOR")
        .env("TERM", "xterm");
    command
}
