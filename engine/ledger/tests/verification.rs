//! The auditor accepts what was written and names what was changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;
use std::path::Path;

use common::{copy, draft, keys, open, with_state};
use penin_ledger::proof::Prover;
use penin_ledger::{
    Anchor, FileAnchor, Head, Keys, Kind, MemoryAnchor, Policy, Report, Source, Verdict, VerifyOptions, export, verify,
};
use tempfile::{TempDir, tempdir};

fn policy() -> Policy {
    Policy {
        origin: common::ORIGIN.into(),
        keys: keys().verifiers(),
    }
}

/// A closed ledger of `size` entries, with its head.
fn ledger(size: u64) -> (TempDir, Head) {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor, 1).unwrap();
    let mut tickets = std::collections::VecDeque::new();
    for n in 1..size {
        tickets.push_back(ledger.append(with_state(n)));
        if tickets.len() > 500 {
            tickets.pop_front().unwrap().wait().unwrap();
        }
    }
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    let head = ledger.head();
    ledger.close();
    (dir, head)
}

fn check(dir: &Path, head: &Head) -> Report {
    let policy = policy();
    let options = VerifyOptions {
        policy: Some(&policy),
        anchor: Some(head),
        threads: 2,
        ..VerifyOptions::default()
    };
    verify(dir, &options).unwrap()
}

#[test]
fn an_honest_ledger_and_its_exported_copy_verify() {
    for size in [2, 255, 256, 257, 4_500] {
        let (dir, head) = ledger(size);
        let report = check(dir.path(), &head);
        assert_eq!(report.verdict, Verdict::Ok, "{size}: {report:?}");
        assert_eq!((report.size, report.signatures), (size, size));
        assert_eq!(report.root, head.root);
        assert_eq!(report.checkpoint, Some(size));
        let exported = tempdir().unwrap();
        export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
        let report = check(exported.path(), &head);
        assert_eq!(report.verdict, Verdict::Ok, "{size}: {report:?}");
        assert_eq!((report.size, report.signatures), (size, size));
    }
}

#[test]
fn every_proof_from_nodes_and_from_tiles_verifies_against_the_head() {
    let (dir, head) = ledger(700);
    let exported = tempdir().unwrap();
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    for place in [dir.path(), exported.path()] {
        let mut prover = Prover::new(Source::open(place).unwrap());
        for index in (0..700).step_by(37) {
            let proof = prover.inclusion(index, 700).unwrap();
            assert!(proof.verify(), "{index}");
            assert_eq!(proof.root, head.root);
            assert_eq!(prover.entry(index).unwrap().unwrap().1, proof.leaf);
            let proof = prover.consistency(index, 700).unwrap();
            assert!(proof.verify(), "{index}");
            assert_eq!(proof.new_root, head.root);
        }
        assert!(prover.inclusion(700, 700).is_err());
    }
}

/// What a prover remembers of one tree must not leak into proofs in another.
#[test]
fn one_prover_for_many_trees_proves_as_a_new_one_for_each() {
    let (dir, head) = ledger(1_100);
    let exported = tempdir().unwrap();
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    for place in [dir.path(), exported.path()] {
        let source = || Source::open(place).unwrap();
        let mut lasting = Prover::new(source());
        // Back and forth, so that remembered edges are used again, and are displaced; the last one is the signed one.
        for size in [1_100, 1, 63, 64, 65, 1_000, 256, 511, 512, 64, 1_024, 1_025, 1_100] {
            let indexes = (0..size).step_by(41).chain([size - 1, size / 2]);
            for index in indexes {
                let proof = lasting.inclusion(index, size).unwrap();
                assert!(proof.verify(), "{index} in {size}");
                assert_eq!(proof, Prover::new(source()).inclusion(index, size).unwrap());
                let grown = lasting.consistency(index, size).unwrap();
                assert!(grown.verify(), "{index} to {size}");
                assert_eq!(grown, Prover::new(source()).consistency(index, size).unwrap());
                assert_eq!(grown.new_root, proof.root);
            }
        }
        assert_eq!(lasting.inclusion(7, 1_100).unwrap().root, head.root);
    }
}

#[test]
fn rotated_keys_verify_from_the_first_policy_and_not_without_their_rotation() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor, 1).unwrap();
    for n in 1..5 {
        ledger.append(draft(Kind::Config, n)).wait().unwrap();
    }
    let new = Keys::generate([77; 64]);
    ledger.rotate_keys(new.clone(), common::START_MS).wait().unwrap();
    for n in 5..9 {
        ledger.append(draft(Kind::Config, n)).wait().unwrap();
    }
    let head = ledger.head();
    ledger.close();
    assert_eq!(check(dir.path(), &head).verdict, Verdict::Ok);
    let exported = tempdir().unwrap();
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    assert_eq!(check(exported.path(), &head).verdict, Verdict::Ok);
    let wrong = Policy {
        origin: common::ORIGIN.into(),
        keys: new.verifiers(),
    };
    let options = VerifyOptions {
        policy: Some(&wrong),
        ..VerifyOptions::default()
    };
    assert_eq!(verify(dir.path(), &options).unwrap().verdict, Verdict::Tampered);
}

/// What someone with the file and the SQLite shell can do.
fn forge(dir: &Path, statements: &str) {
    let bare = rusqlite::Connection::open(dir.join("ledger.db")).unwrap();
    bare.execute_batch(
        "DROP TRIGGER entries_no_update; DROP TRIGGER entries_no_delete; DROP TRIGGER entries_in_order;
         DROP TRIGGER blobs_no_update; DROP TRIGGER blobs_no_delete; DROP TRIGGER blobs_once;",
    )
    .unwrap();
    bare.execute_batch(statements).unwrap();
    // Put the triggers back as they were, as a careful forger would.
    bare.execute_batch(include_str!("common/triggers.sql")).unwrap();
}

#[test]
fn changed_replaced_reordered_and_missing_rows_are_named() {
    for (what, statements, verdict) in [
        (
            "a changed byte",
            "UPDATE entries SET entry = CAST(replace(CAST(entry AS TEXT), 'eyJfdHlwZSI6', 'eyJfdHlwZSI7') AS BLOB) WHERE seq = 7",
            Verdict::Tampered,
        ),
        (
            "a changed column",
            "UPDATE entries SET kind = 'CONFIG' WHERE seq = 7",
            Verdict::Tampered,
        ),
        (
            "a changed leaf hash beside the entry",
            "UPDATE entries SET leaf = zeroblob(32) WHERE seq = 7",
            Verdict::Tampered,
        ),
        (
            "a row replaced by another",
            "UPDATE entries SET (leaf, entry) = (SELECT leaf, entry FROM entries WHERE seq = 3) WHERE seq = 7",
            Verdict::Tampered,
        ),
        (
            "a row missing",
            "DELETE FROM entries WHERE seq = 7",
            Verdict::Incomplete,
        ),
        (
            "the tail missing",
            "DELETE FROM entries WHERE seq > 7",
            Verdict::Incomplete,
        ),
        (
            "a changed blob",
            "UPDATE blobs SET content = x'00' WHERE rowid = 3",
            Verdict::Tampered,
        ),
        (
            "a missing blob",
            "DELETE FROM blobs WHERE rowid = 3",
            Verdict::Incomplete,
        ),
    ] {
        let (dir, head) = ledger(20);
        forge(dir.path(), statements);
        let report = check(dir.path(), &head);
        assert!(report.verdict >= verdict, "{what}: {report:?}");
        assert!(!report.findings.is_empty(), "{what}");
        let anchor = MemoryAnchor::new(Some(head.clone()));
        let opened = open(dir.path(), anchor, 1);
        // A missing tail is taken from the second copy; everything else is refused.
        if what == "the tail missing" {
            let ledger = opened.unwrap();
            assert_eq!(ledger.head().size, 21, "{what}");
        } else {
            assert!(opened.is_err(), "{what}");
        }
    }
}

#[test]
fn a_forged_history_with_its_own_keys_fails_the_policy() {
    let (honest, head) = ledger(10);
    let dir = tempdir().unwrap();
    let anchor = FileAnchor::open(dir.path().join("anchor.json")).unwrap();
    let forger = Keys::generate([9; 64]);
    let other = penin_ledger::Ledger::open(dir.path(), forger, Box::new(anchor), 1, common::options()).unwrap();
    for n in 1..10 {
        other.append(with_state(n)).wait().unwrap();
    }
    let own_head = other.head();
    other.close();
    let unpinned = VerifyOptions::default();
    assert_eq!(verify(dir.path(), &unpinned).unwrap().verdict, Verdict::Ok);
    assert_eq!(check(dir.path(), &own_head).verdict, Verdict::Tampered);
    assert_eq!(check(dir.path(), &head).verdict, Verdict::Tampered);
    assert_eq!(check(honest.path(), &head).verdict, Verdict::Ok);
}

#[test]
fn a_copy_without_its_tail_is_incomplete_and_one_with_an_altered_file_tampered() {
    let (dir, head) = ledger(300);
    for (path, change) in [
        ("tile/entries/000", 1),
        ("tile/entries/001.p/44", 1),
        ("tile/0/000", 1),
        ("tile/0/001.p/44", 1),
        ("tile/1/000.p/1", 1),
        ("checkpoint", 1),
        ("tile/0/001.p/44", 0),
        ("tile/entries/001.p/44", 0),
    ] {
        let broken = tempdir().unwrap();
        copy(dir.path(), broken.path());
        let file = broken.path().join(path);
        if change == 0 {
            fs::remove_file(file).unwrap();
        } else {
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= change;
            fs::write(file, bytes).unwrap();
        }
        let report = check(broken.path(), &head);
        let expected = if change == 0 {
            Verdict::Incomplete
        } else {
            Verdict::Tampered
        };
        assert_eq!(report.verdict, expected, "{path}: {report:?}");
    }
    // What stands behind the last entry, or is missing at the end, is as wrong as what differs.
    for path in ["tile/entries/000", "tile/entries/001.p/44", "tile/0/000"] {
        for more in [true, false] {
            let broken = tempdir().unwrap();
            copy(dir.path(), broken.path());
            let file = broken.path().join(path);
            let mut bytes = fs::read(&file).unwrap();
            if more {
                bytes.push(0);
            } else {
                bytes.pop();
            }
            fs::write(file, bytes).unwrap();
            let report = check(broken.path(), &head);
            assert_eq!(report.verdict, Verdict::Tampered, "{path}, {more}: {report:?}");
        }
    }
}

#[test]
fn an_anchor_that_disagrees_is_noticed() {
    let (dir, head) = ledger(10);
    for (changed, verdict) in [
        (
            Head {
                size: 12,
                ..head.clone()
            },
            Verdict::Incomplete,
        ),
        (
            Head {
                size: 8,
                ..head.clone()
            },
            Verdict::Tampered,
        ),
        (
            Head {
                root: penin_ledger::Digest::ZERO,
                ..head.clone()
            },
            Verdict::Tampered,
        ),
        (
            Head {
                origin: "other".into(),
                ..head.clone()
            },
            Verdict::Tampered,
        ),
    ] {
        assert_eq!(check(dir.path(), &changed).verdict, verdict, "{changed:?}");
    }
    let mut anchor = MemoryAnchor::new(Some(head));
    assert!(anchor.load().unwrap().is_some());
}

/// The head that the first `size` entries had, as an anchor that was saved then.
fn head_at(dir: &Path, size: u64) -> Head {
    let source = Source::open(dir).unwrap();
    let root = Prover::new(source).consistency(size, size).unwrap().new_root;
    Head {
        origin: common::ORIGIN.into(),
        size,
        root,
        epoch: 1,
    }
}

#[test]
fn an_anchor_saved_earlier_is_a_head_that_the_ledger_had() {
    let (dir, head) = ledger(300);
    let exported = tempdir().unwrap();
    export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    for place in [dir.path(), exported.path()] {
        for size in [0, 1, 255, 256, 299] {
            let report = check(place, &head_at(place, size));
            assert_eq!(report.verdict, Verdict::Ok, "{size}: {report:?}");
            assert_eq!(report.beyond_anchor, Some(300 - size));
        }
        assert_eq!(check(place, &head).beyond_anchor, Some(0));
        let wrong = Head {
            root: head.root,
            ..head_at(place, 299)
        };
        let report = check(place, &wrong);
        assert_eq!((report.verdict, report.beyond_anchor), (Verdict::Tampered, None));
        // A writer of epoch 2 had claimed these 299: it cannot be one of epoch 1 that went on.
        let claimed = Head {
            epoch: 2,
            ..head_at(place, 299)
        };
        assert_eq!(check(place, &claimed).verdict, Verdict::Tampered);
        let longer = Head {
            size: 301,
            ..head.clone()
        };
        let report = check(place, &longer);
        assert_eq!((report.verdict, report.beyond_anchor), (Verdict::Incomplete, None));
    }
}

/// Whoever saves the anchor of a running operator and then looks at its ledger sees more than was anchored.
#[test]
fn a_ledger_that_grows_after_its_anchor_was_saved_is_not_accused() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    for n in 1..40 {
        let saved = anchor.clone().load().unwrap().unwrap();
        ledger.append(with_state(n)).wait().unwrap();
        let report = check(dir.path(), &saved);
        assert_eq!(report.verdict, Verdict::Ok, "{report:?}");
        assert_eq!(report.beyond_anchor, Some(1));
    }
    ledger.close();
    // The next writer claims the head in the anchor first.
    let ledger = open(dir.path(), anchor.clone(), 2).unwrap();
    let saved = anchor.clone().load().unwrap().unwrap();
    ledger.append(with_state(40)).wait().unwrap();
    assert_eq!(check(dir.path(), &saved).verdict, Verdict::Ok);
    ledger.close();
}
