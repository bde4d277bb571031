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

/// Runs `check` on every seed of that target: whole, cut short at every tenth of its length, and with one byte changed.
fn replay(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        check(&bytes);
        for tenth in 1..10 {
            check(&bytes[..bytes.len() * tenth / 10]);
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(bytes.len() * tenth / 10) {
                *byte ^= 1;
                check(&changed);
            }
        }
        seeds += 1;
    }
    assert!(seeds >= 5, "{target}: only {seeds} seeds");
}

#[test]
fn note_seeds() {
    replay("note", checks::note);
}

#[test]
fn checkpoint_seeds() {
    replay("checkpoint", checks::checkpoint);
}

#[test]
fn tile_path_seeds() {
    replay("tile_path", checks::tile_name);
}

#[test]
fn proof_seeds() {
    replay("proof", checks::proof);
}

#[test]
fn envelope_seeds() {
    replay("envelope", checks::envelope);
}
