//! A generation is sealed and exported, the next one begins with its last head, and the link is checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::Path;

use common::{START_MS, keys, open, options, with_state};
use penin_ledger::{
    Head, Keys, Ledger, MemoryAnchor, Options, Policy, Source, Verdict, VerifyOptions, export, generations, verify,
};
use tempfile::{TempDir, tempdir};

const NEXT: &str = "test.penin.ai/ledger/default/2";

/// A generation of a few entries, with a key rotation in it, sealed when asked for. The head that its anchor has.
fn first(dir: &Path, sealed: bool) -> Head {
    let ledger = open(dir, MemoryAnchor::default(), 1).unwrap();
    for n in 1..4 {
        ledger.append(with_state(n)).wait().unwrap();
    }
    ledger.rotate_keys(rotated(), START_MS).wait().unwrap();
    let last = ledger.append(with_state(4)).wait().unwrap();
    let head = if sealed {
        let receipt = ledger.seal(START_MS).wait().unwrap();
        assert!(ledger.append(with_state(5)).wait().is_err(), "nothing follows ARCHIVE");
        receipt.head
    } else {
        last.head
    };
    ledger.close();
    head
}

fn rotated() -> Keys {
    Keys::generate([43; 64])
}

fn next(dir: &Path, previous: Option<Head>) {
    let options = Options {
        origin: NEXT.into(),
        previous,
        ..options()
    };
    // A generation begins with keys, anchor and volume of its own.
    let ledger = Ledger::open(dir, rotated(), Box::new(MemoryAnchor::default()), 1, options).unwrap();
    ledger.append(with_state(1)).wait().unwrap();
    ledger.close();
}

fn link(previous: &TempDir, next: &TempDir) -> Option<String> {
    let source = |dir: &TempDir| Source::open(dir.path()).unwrap();
    generations::broken_link(&source(previous), &source(next)).unwrap()
}

#[test]
fn a_sealed_generation_is_exported_and_followed() {
    let (one, archive, two) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let head = first(one.path(), true);
    export::tiles(&Source::open(one.path()).unwrap(), archive.path()).unwrap();
    next(two.path(), Some(head.clone()));
    // The archive alone is enough, and it is what an auditor gets.
    for (dir, origin, keys) in [
        (&archive, common::ORIGIN, keys().verifiers()),
        (&two, NEXT, rotated().verifiers()),
    ] {
        let policy = Policy {
            origin: origin.into(),
            keys,
        };
        let options = VerifyOptions {
            policy: Some(&policy),
            ..VerifyOptions::default()
        };
        let report = verify(dir.path(), &options).unwrap();
        assert_eq!(report.verdict, Verdict::Ok, "{:?}", report.findings);
    }
    let end = generations::end(&Source::open(archive.path()).unwrap()).unwrap();
    assert_eq!((end.head, end.sealed), (head, true));
    assert_eq!(link(&archive, &two), None);
    assert_eq!(link(&one, &two), None);
}

#[test]
fn a_link_to_anything_else_is_named() {
    let (sealed, open, two) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let (head, unsealed) = (first(sealed.path(), true), first(open.path(), false));
    next(two.path(), Some(unsealed));
    assert!(link(&open, &two).unwrap().contains("not sealed"));
    assert!(link(&sealed, &two).unwrap().contains("follows 6 entries"));
    let alone = tempdir().unwrap();
    next(alone.path(), None);
    assert!(link(&sealed, &alone).unwrap().contains("names no generation"));
    let forged = tempdir().unwrap();
    next(
        forged.path(),
        Some(Head {
            root: penin_ledger::Digest::ZERO,
            ..head
        }),
    );
    assert!(link(&sealed, &forged).unwrap().contains(&"0".repeat(64)));
}
