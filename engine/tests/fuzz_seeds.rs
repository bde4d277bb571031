//! Replays the seeds of the fuzz targets, so that every build runs what the fuzzers start from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// Runs `check` on every seed of that target, whole and cut short at every tenth of its length.
fn replay(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        check(&bytes);
        for tenth in 1..10 {
            check(&bytes[..bytes.len() * tenth / 10]);
        }
        seeds += 1;
    }
    assert!(seeds >= 20, "{target}: only {seeds} seeds");
}

#[test]
fn config_seeds() {
    replay("config", checks::config);
}

#[test]
fn input_seeds() {
    replay("input", checks::input);
}

#[test]
fn state_seeds() {
    replay("state", checks::state);
}

#[test]
fn deep_nesting_and_noise_are_harmless() {
    for bytes in [&b"["[..], b"null", b"\xff\xfe", b"{\"a\":", b"1e999", b"\"\\ud800\""] {
        for check in [checks::config, checks::input, checks::state] {
            check(bytes);
        }
    }
    let deep = "[".repeat(100_000);
    checks::config(deep.as_bytes());
    let nested = format!("{}1{}", "{\"x\":".repeat(100), "}".repeat(100));
    for check in [checks::config, checks::input, checks::state] {
        check(nested.as_bytes());
    }
}
