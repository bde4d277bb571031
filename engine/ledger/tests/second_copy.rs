//! The auditor and the published copy beside a database: damage in it is never silent, and what an honest ledger at
//! work, or one whose process ended, has not published yet is no damage.
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
use std::sync::atomic::{AtomicBool, Ordering};

use common::{copy, open, with_state};
use penin_ledger::{MemoryAnchor, Report, Source, Verdict, VerifyOptions, export, verify};
use tempfile::{TempDir, tempdir};

/// A closed ledger of `size` entries; `anchor` for who wants to go on with it.
fn ledger(size: u64) -> (TempDir, MemoryAnchor) {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    grow(dir.path(), &anchor, 1..size);
    (dir, anchor)
}

fn grow(dir: &Path, anchor: &MemoryAnchor, numbers: std::ops::Range<u64>) {
    let ledger = open(dir, anchor.clone(), 1).unwrap();
    let tickets: Vec<_> = numbers.map(|n| ledger.append(with_state(n))).collect();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    ledger.close();
}

/// Without anchor and policy: what the directory alone shows.
fn check(dir: &Path) -> Report {
    let options = VerifyOptions {
        threads: 2,
        ..VerifyOptions::default()
    };
    verify(dir, &options).unwrap()
}

fn verdict(dir: &Path, expected: Verdict, what: &str) {
    let report = check(dir);
    assert_eq!(report.verdict, expected, "{what}: {report:?}");
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn a_blob(dir: &Path) -> PathBuf {
    let first = |path: PathBuf| fs::read_dir(path).unwrap().next().unwrap().unwrap().path();
    first(first(dir.join("blobs/sha256")))
}

fn duplicate(dir: &Path) -> TempDir {
    let other = tempdir().unwrap();
    copy(dir, other.path());
    other
}

#[test]
fn without_a_checkpoint_the_loss_and_every_altered_file_are_named() {
    let (dir, _) = ledger(300);
    fs::remove_file(dir.path().join("checkpoint")).unwrap();
    verdict(dir.path(), Verdict::Incomplete, "the checkpoint is missing");
    for file in [
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
    ] {
        let broken = duplicate(dir.path());
        flip(&broken.path().join(file));
        verdict(broken.path(), Verdict::Tampered, file);
    }
    let broken = duplicate(dir.path());
    flip(&a_blob(broken.path()));
    verdict(broken.path(), Verdict::Tampered, "a blob");
}

#[test]
fn published_blobs_are_compared_beside_a_database_too() {
    let (dir, anchor) = ledger(20);
    let blob = a_blob(dir.path());
    let honest = fs::read(&blob).unwrap();
    flip(&blob);
    verdict(dir.path(), Verdict::Tampered, "altered");
    fs::remove_file(&blob).unwrap();
    verdict(dir.path(), Verdict::Incomplete, "removed");
    // The next start makes up for it.
    grow(dir.path(), &anchor, 20..21);
    verdict(dir.path(), Verdict::Ok, "written anew");
    assert_eq!(fs::read(&blob).unwrap(), honest);
    // In an exported copy an altered blob is no missing one.
    let exported = tempdir().unwrap();
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    verdict(exported.path(), Verdict::Ok, "exported");
    flip(&a_blob(exported.path()));
    verdict(exported.path(), Verdict::Tampered, "altered in a copy");
}

#[test]
fn partial_forms_that_older_checkpoints_promised_are_compared_and_repaired() {
    let (dir, anchor) = ledger(300);
    let bundle = fs::read(dir.path().join("tile/entries/001.p/44")).unwrap();
    let entries = penin_ledger::publish::copy::parse_bundle(&bundle);
    let end: usize = entries[..10].iter().map(|entry| entry.len() + 2).sum();
    let tile = fs::read(dir.path().join("tile/0/001.p/44")).unwrap();
    let (older, hashes) = (
        dir.path().join("tile/entries/001.p/10"),
        dir.path().join("tile/0/001.p/10"),
    );
    fs::write(&older, &bundle[..end]).unwrap();
    fs::write(&hashes, &tile[..320]).unwrap();
    verdict(dir.path(), Verdict::Ok, "as published earlier");
    for file in [&older, &hashes] {
        flip(file);
        verdict(dir.path(), Verdict::Tampered, "altered");
        grow(dir.path(), &anchor, 0..0);
        verdict(dir.path(), Verdict::Ok, "written anew");
    }
    assert_eq!(fs::read(&older).unwrap(), &bundle[..end]);
}

/// What a process leaves that ends while its publisher is behind, or just ahead of its checkpoint.
#[test]
fn a_publisher_that_is_behind_is_no_damage() {
    let (dir, anchor) = ledger(40);
    let early = duplicate(dir.path());
    grow(dir.path(), &anchor, 40..300);
    // Nothing published since.
    let behind = duplicate(dir.path());
    for part in ["tile", "blobs"] {
        fs::remove_dir_all(behind.path().join(part)).unwrap();
        copy(&early.path().join(part), &behind.path().join(part));
    }
    let signed = |to: &Path| fs::copy(early.path().join("checkpoint"), to.join("checkpoint")).unwrap();
    signed(behind.path());
    verdict(behind.path(), Verdict::Ok, "nothing published since");
    // Everything but the checkpoint published since, of which some may be missing.
    signed(dir.path());
    verdict(dir.path(), Verdict::Ok, "only the checkpoint is older");
    // An export promises what the checkpoint covers, and holds that and no more.
    let exported = tempdir().unwrap();
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    let report = check(exported.path());
    assert_eq!((report.verdict, report.size), (Verdict::Ok, 40), "{report:?}");
    for file in ["tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1"] {
        let path = dir.path().join(file);
        let honest = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        verdict(dir.path(), Verdict::Ok, &format!("{file} not written yet"));
        // Not flushed when the power went: it is damage, and no forgery.
        fs::write(&path, &honest[..honest.len() / 2]).unwrap();
        verdict(dir.path(), Verdict::Incomplete, &format!("{file} cut short"));
        fs::write(&path, &honest).unwrap();
        flip(&path);
        verdict(dir.path(), Verdict::Tampered, &format!("{file} altered"));
        fs::write(&path, honest).unwrap();
    }
    // What the checkpoint covers must be there, in the form of that size or in full.
    fs::remove_file(dir.path().join("tile/0/000")).unwrap();
    verdict(dir.path(), Verdict::Incomplete, "a covered tile is missing");
}

/// A process that ends before it has published anything leaves a database alone.
#[test]
fn a_new_ledger_that_was_not_published_yet_is_whole() {
    let (dir, _) = ledger(5);
    for part in ["tile", "blobs"] {
        fs::remove_dir_all(dir.path().join(part)).unwrap();
    }
    for file in ["checkpoint", "nodes"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    verdict(dir.path(), Verdict::Ok, "a database alone");
    assert_eq!(check(dir.path()).checkpoint, None);
}

#[test]
fn a_database_that_is_shorter_than_its_copy_is_incomplete_without_any_head() {
    let (dir, _) = ledger(300);
    let bare = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    bare.execute_batch(
        "DROP TRIGGER entries_no_update; DROP TRIGGER entries_no_delete; DROP TRIGGER entries_in_order;
         DROP TRIGGER blobs_no_update; DROP TRIGGER blobs_no_delete; DROP TRIGGER blobs_once;
         DELETE FROM entries WHERE seq > 270;",
    )
    .unwrap();
    bare.execute_batch(include_str!("common/triggers.sql")).unwrap();
    drop(bare);
    for file in ["checkpoint", "nodes"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let report = check(dir.path());
    assert!(report.verdict >= Verdict::Incomplete, "{report:?}");
    let said = |text: &str| report.findings.iter().any(|finding| finding.detail.contains(text));
    assert!(
        said("the published copy has 300 entries, the database 271"),
        "{report:?}"
    );
}

/// The size of a ledger that grows is read once, its checkpoint once: in the wrong order it lacks entries.
#[test]
fn a_ledger_at_work_is_whole_whenever_it_is_looked_at() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path(), MemoryAnchor::default(), 1).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..600 {
                ledger.append(with_state(n)).wait().unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut looked = 0;
        while !done.load(Ordering::Acquire) || looked < 3 {
            let report = check(dir.path());
            assert_eq!(report.verdict, Verdict::Ok, "{report:?}");
            let exported = tempdir().unwrap();
            if report.checkpoint.is_some() {
                export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
                verdict(exported.path(), Verdict::Ok, "exported");
            }
            looked += 1;
        }
        println!("looked {looked} times");
    });
    ledger.close();
}
