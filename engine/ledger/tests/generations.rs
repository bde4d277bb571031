//! A generation is sealed and exported, the next one begins with its last head and its states, and the link is checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::Path;

use common::{START_MS, draft, keys, open, options, with_state};
use penin_ledger::generations::{self, HandOverError, Predecessor, Successor, hand_over};
use penin_ledger::{
    Head, Keys, Kind, Ledger, MemoryAnchor, Options, Policy, Reader, Source, StateUpdate, Verdict, VerifyOptions,
    export, verify,
};
use tempfile::{TempDir, tempdir};

const NEXT: &str = "test.penin.ai/ledger/default/2";

fn rotated() -> Keys {
    Keys::generate([43; 64])
}

fn successor() -> Successor {
    Successor {
        origin: NEXT.to_owned(),
        keys: rotated().verifiers(),
    }
}

/// A generation of a few entries, with a key rotation in it.
fn filled(dir: &Path, anchor: MemoryAnchor) -> Ledger {
    let ledger = open(dir, anchor, 1).unwrap();
    for n in 1..4 {
        ledger.append(with_state(n)).wait().unwrap();
    }
    ledger.rotate_keys(rotated(), START_MS).wait().unwrap();
    ledger.append(with_state(4)).wait().unwrap();
    ledger
}

fn first(dir: &Path) -> Predecessor {
    hand_over(filled(dir, MemoryAnchor::default()), successor(), START_MS).unwrap()
}

fn begin(dir: &Path, keys: Keys, previous: Option<Predecessor>) -> Ledger {
    let options = Options {
        origin: NEXT.into(),
        previous,
        ..options()
    };
    // A generation begins with keys, anchor and volume of its own.
    Ledger::open(dir, keys, Box::new(MemoryAnchor::default()), 1, options).unwrap()
}

fn next(dir: &Path, previous: Option<Predecessor>) {
    let ledger = begin(dir, rotated(), previous);
    ledger.append(with_state(5)).wait().unwrap();
    ledger.close();
}

fn link(previous: &TempDir, next: &TempDir) -> Option<String> {
    let source = |dir: &TempDir| Source::open(dir.path()).unwrap();
    generations::broken_link(&source(previous), &source(next)).unwrap()
}

fn kinds(dir: &Path) -> Vec<Kind> {
    let reader = Reader::open_read_only(dir).unwrap();
    let size = reader.head().unwrap().0;
    reader.entries(0..size).map(|entry| entry.unwrap().kind).collect()
}

#[test]
fn a_sealed_generation_is_exported_and_followed() {
    let (one, archive, two) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let handed = first(one.path());
    export::tiles(&Source::open(one.path()).unwrap(), archive.path()).unwrap();
    next(two.path(), Some(handed.clone()));
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
    assert_eq!((end.head, end.sealed, end.next), (handed.head, true, Some(successor())));
    assert_eq!(link(&archive, &two), None);
    assert_eq!(link(&one, &two), None);
}

#[test]
fn states_go_on_in_the_next_generation_from_its_first_transaction() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    let ledger = filled(one.path(), MemoryAnchor::default());
    let state = |key: usize, value: &str| StateUpdate {
        key: format!("cycle/{key:03}"),
        value: value.as_bytes().to_vec(),
    };
    // More than one entry can name, some replaced, and one deleted by an empty value.
    for (range, value) in [(0..60, "old"), (60..110, "new"), (10..20, "newer"), (7..8, "")] {
        let mut draft = draft(Kind::GateEval, 9);
        draft.state = range.map(|key| state(key, value)).collect();
        ledger.append(draft).wait().unwrap();
    }
    let handed = hand_over(ledger, successor(), START_MS).unwrap();
    assert_eq!(handed.state.len(), 110);
    let expected = handed.state.clone();
    let ledger = begin(two.path(), rotated(), Some(handed));
    assert_eq!(ledger.states().unwrap(), expected);
    assert_eq!(ledger.state("engine/shop/ranker").unwrap().unwrap(), b"{\"cycle\":4}");
    assert_eq!(ledger.state("cycle/015").unwrap().unwrap(), b"newer");
    assert_eq!(ledger.state("cycle/007").unwrap(), None);
    ledger.close();
    assert_eq!(kinds(two.path()), [Kind::Genesis, Kind::Carry, Kind::Carry]);
    assert_eq!(link(&one, &two), None);
}

#[test]
fn handing_over_again_after_a_crash_gives_the_same_and_another_successor_is_refused() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let handed = hand_over(filled(dir.path(), anchor.clone()), successor(), START_MS).unwrap();
    // A process with a newer epoch found it sealed; the next one not begun.
    for epoch in [1, 7] {
        let ledger = Ledger::open(dir.path(), rotated(), Box::new(anchor.clone()), epoch, options()).unwrap();
        assert_eq!(hand_over(ledger, successor(), START_MS + 9).unwrap(), handed);
    }
    let ledger = Ledger::open(dir.path(), rotated(), Box::new(anchor), 7, options()).unwrap();
    let other = Successor {
        keys: keys().verifiers(),
        ..successor()
    };
    let refused = hand_over(ledger, other, START_MS).unwrap_err();
    assert!(matches!(refused, HandOverError::Successor { .. }), "{refused}");
    assert!(refused.to_string().contains("one successor"), "{refused}");
    let archives = kinds(dir.path())
        .into_iter()
        .filter(|kind| *kind == Kind::Archive)
        .count();
    assert_eq!(archives, 1);
}

#[test]
fn a_link_to_anything_else_is_named() {
    let (sealed, open, two) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let handed = first(sealed.path());
    let ledger = filled(open.path(), MemoryAnchor::default());
    let unsealed = Predecessor {
        head: ledger.head(),
        state: Vec::new(),
    };
    ledger.close();
    next(two.path(), Some(unsealed));
    assert!(link(&open, &two).unwrap().contains("not sealed"));
    assert!(link(&sealed, &two).unwrap().contains("follows 6 entries"));
    let alone = tempdir().unwrap();
    next(alone.path(), None);
    assert!(link(&sealed, &alone).unwrap().contains("names no generation"));
    let forged = tempdir().unwrap();
    let head = Head {
        root: penin_ledger::Digest::ZERO,
        ..handed.head.clone()
    };
    let state = Vec::new();
    next(forged.path(), Some(Predecessor { head, state }));
    assert!(link(&sealed, &forged).unwrap().contains(&"0".repeat(64)));
    // Whoever lacks the keys that the sealed generation named cannot begin the next one.
    let usurped = tempdir().unwrap();
    begin(usurped.path(), Keys::generate([9; 64]), Some(handed)).close();
    assert!(link(&sealed, &usurped).unwrap().contains("was sealed for"));
}
