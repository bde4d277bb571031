//! A generation is sealed and exported, the next one begins with its last head and its states, and the link is checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::{Path, PathBuf};

use common::{START_MS, draft, keys, kinds, open, options, rollback, with_state};
use penin_ledger::generations::{self, HandOverError, Predecessor, Successor, hand_over};
use penin_ledger::{
    Anchor, AnchorError, Failure, Head, Keys, Kind, Ledger, MemoryAnchor, Options, Policy, Reader, Reason,
    RollbackQueue, Source, StateUpdate, Verdict, VerifyOptions, export, verify,
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

/// The way out when a fast clock has written an entry far in the future.
#[test]
fn a_new_generation_begins_at_the_time_of_its_own_clock() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    let ledger = filled(one.path(), MemoryAnchor::default());
    ledger.append(draft(Kind::Config, 1_000_000_000)).wait().unwrap();
    assert!(ledger.clock_behind(START_MS).is_some());
    let ledger = begin(
        two.path(),
        rotated(),
        Some(hand_over(ledger, successor(), START_MS).unwrap()),
    );
    assert_eq!(ledger.clock_behind(START_MS), None);
    ledger.append(draft(Kind::PromoteAttest, 6)).wait().unwrap();
    ledger.close();
    assert_eq!(link(&one, &two), None);
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

#[test]
fn states_that_were_not_taken_over_as_they_were_left_are_named() {
    let one = tempdir().unwrap();
    let handed = first(one.path());
    let key = "engine/shop/ranker";
    let state = |key: &str, value: &[u8]| StateUpdate {
        key: key.to_owned(),
        value: value.to_vec(),
    };
    let another = state("cycle/9", b"1");
    for (states, wrong) in [
        (vec![], key),
        (vec![state(key, b"{\"cycle\":3}")], key),
        (vec![another.clone(), handed.state[0].clone()], "cycle/9"),
        // The first one in the order of the keys.
        (vec![another], "cycle/9"),
    ] {
        let two = tempdir().unwrap();
        let forged = Predecessor {
            state: states,
            ..handed.clone()
        };
        next(two.path(), Some(forged));
        let named = link(&one, &two).unwrap();
        assert!(named.contains(&format!("as state {wrong:?}")), "{named}");
    }
}

/// Two generations: the first is sealed, and rollbacks wait in its queue.
struct Pair {
    one: TempDir,
    two: TempDir,
    anchor: MemoryAnchor,
    handed: Predecessor,
}

impl Pair {
    fn new(waiting: impl IntoIterator<Item = u64>) -> Self {
        let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
        let handed = first(one.path());
        let mut queue = RollbackQueue::open(one.path());
        for n in waiting {
            queue.push(rollback(n)).unwrap();
        }
        Self {
            one,
            two,
            anchor: MemoryAnchor::default(),
            handed,
        }
    }

    fn queue(&self) -> PathBuf {
        self.one.path().join("rollbacks.queue")
    }

    fn waiting(&self) -> Vec<u8> {
        std::fs::read(self.queue()).unwrap()
    }

    fn open_with(&self, anchor: impl Anchor + 'static) -> Result<Ledger, Failure> {
        let options = Options {
            origin: NEXT.into(),
            previous: Some(self.handed.clone()),
            earlier: vec![self.one.path().to_owned()],
            ..options()
        };
        Ledger::open(self.two.path(), rotated(), Box::new(anchor), 1, options)
    }

    fn open(&self) -> Ledger {
        self.open_with(self.anchor.clone()).unwrap()
    }

    /// Opens the second generation until nothing waits, and closes it.
    fn settle(&self) {
        let ledger = self.open();
        while ledger.health().rollbacks_on_disk > 0 {
            std::thread::yield_now();
        }
        ledger.close();
    }

    /// Numbers of the rollbacks in the second generation.
    fn rollbacks(&self) -> Vec<String> {
        let reader = Reader::open_read_only(self.two.path()).unwrap();
        let size = reader.head().unwrap().0;
        let entries = reader.entries(0..size).map(Result::unwrap);
        let number = |entry| reader.body(&entry).unwrap()["n"].as_str().unwrap().to_owned();
        entries
            .filter(|entry| entry.kind == Kind::Rollback)
            .map(number)
            .collect()
    }
}

#[test]
fn what_waits_in_an_archived_generation_is_the_first_thing_that_the_next_one_records() {
    let pair = Pair::new([12, 11, 13]);
    // It may have come to the next one's own queue before that was opened.
    RollbackQueue::open(pair.two.path()).push(rollback(14)).unwrap();
    let ledger = pair.open();
    ledger.append(draft(Kind::Config, 20)).wait().unwrap();
    assert_eq!(ledger.state("engine/shop/ranker").unwrap().unwrap(), b"{\"cycle\":14}");
    ledger.close();
    assert_eq!(pair.rollbacks(), ["12", "11", "13", "14"]);
    assert_eq!(kinds(pair.two.path()).last(), Some(&Kind::Config));
    assert!(pair.waiting().is_empty());
    assert_eq!(RollbackQueue::open(pair.two.path()).on_disk(), 0);
    assert_eq!(link(&pair.one, &pair.two), None);
    let policy = Policy {
        origin: NEXT.into(),
        keys: rotated().verifiers(),
    };
    let options = VerifyOptions {
        policy: Some(&policy),
        ..VerifyOptions::default()
    };
    let report = verify(pair.two.path(), &options).unwrap();
    assert_eq!(report.verdict, Verdict::Ok, "{:?}", report.findings);
}

#[test]
fn a_crash_before_the_old_queue_is_emptied_records_nothing_twice() {
    let pair = Pair::new([11, 12]);
    let kept = pair.waiting();
    for _ in 0..3 {
        std::fs::write(pair.queue(), &kept).unwrap();
        pair.settle();
        assert_eq!(pair.rollbacks(), ["11", "12"]);
        assert!(pair.waiting().is_empty());
    }
    // One more, beside one that is recorded: it was queued under the archived generation after the crash.
    std::fs::write(pair.queue(), &kept).unwrap();
    RollbackQueue::open(pair.one.path()).push(rollback(13)).unwrap();
    pair.settle();
    assert_eq!(pair.rollbacks(), ["11", "12", "13"]);
    assert!(pair.waiting().is_empty());
}

/// An anchor that cannot be moved beyond a size.
struct UpTo(MemoryAnchor, u64);

impl Anchor for UpTo {
    fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        self.0.load()
    }

    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError> {
        if next.size > self.1 {
            return Err(AnchorError::Unavailable("test".to_owned()));
        }
        self.0.swap(expected, next)
    }
}

#[test]
fn the_old_queue_is_emptied_only_when_its_entries_are_anchored() {
    let pair = Pair::new([11, 12]);
    let kept = pair.waiting();
    // GENESIS and CARRY are anchored, the rollbacks are only committed.
    let ledger = pair.open_with(UpTo(pair.anchor.clone(), 2)).unwrap();
    while ledger.health().failure.is_none() {
        std::thread::yield_now();
    }
    let health = ledger.health();
    assert_eq!(
        (health.committed, health.head.size, health.rollbacks_on_disk),
        (4, 2, 2)
    );
    ledger.close();
    assert_eq!(pair.waiting(), kept);
    pair.settle();
    assert_eq!(pair.rollbacks(), ["11", "12"]);
    assert!(pair.waiting().is_empty());
}

#[test]
fn what_its_own_generation_had_recorded_is_not_taken_over() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    RollbackQueue::open(one.path()).push(rollback(11)).unwrap();
    let kept = std::fs::read(one.path().join("rollbacks.queue")).unwrap();
    let handed = first(one.path());
    assert!(kinds(one.path()).contains(&Kind::Rollback));
    let pair = Pair {
        one,
        two,
        anchor: MemoryAnchor::default(),
        handed,
    };
    std::fs::write(pair.queue(), kept).unwrap();
    pair.settle();
    assert!(pair.rollbacks().is_empty());
    assert!(pair.waiting().is_empty());
}

#[test]
fn a_rollback_that_comes_late_does_not_bring_an_old_state_back() {
    let pair = Pair::new([]);
    let ledger = pair.open();
    ledger.append(with_state(50)).wait().unwrap();
    ledger.close();
    RollbackQueue::open(pair.one.path()).push(rollback(11)).unwrap();
    pair.settle();
    assert_eq!(pair.rollbacks(), ["11"]);
    let ledger = pair.open();
    assert_eq!(ledger.state("engine/shop/ranker").unwrap().unwrap(), b"{\"cycle\":50}");
}

#[test]
fn a_queue_that_cannot_be_read_stops_the_opening_and_damaged_lines_are_counted_and_kept() {
    let pair = Pair::new([11]);
    let kept = pair.waiting();
    for directory in [pair.one.path(), pair.two.path()] {
        let queue = directory.join("rollbacks.queue");
        let _ = std::fs::remove_file(&queue);
        // What no reading gets a file's bytes from, also for root.
        std::fs::create_dir(&queue).unwrap();
        let failure = pair.open_with(pair.anchor.clone()).unwrap_err();
        assert_eq!(failure.reason, Reason::StorageFailed);
        assert!(failure.detail.contains(&queue.display().to_string()), "{failure}");
        // A withdrawal is still taken, and nothing that waits there is overwritten.
        let waiting = RollbackQueue::open(directory).push(rollback(12)).unwrap();
        assert_eq!(waiting, penin_ledger::Queued::InMemory);
        std::fs::remove_dir(&queue).unwrap();
    }
    let (whole, torn) = (kept.as_slice(), &kept[..kept.len() / 2]);
    std::fs::write(pair.queue(), [whole, torn].concat()).unwrap();
    let ledger = pair.open();
    assert_eq!(ledger.health().rollbacks_damaged, 1);
    ledger.append(draft(Kind::Config, 20)).wait().unwrap();
    ledger.close();
    assert_eq!(pair.rollbacks(), ["11"]);
    assert_eq!(std::fs::read(pair.one.path().join("rollbacks.damaged")).unwrap(), torn);
    // Without the entries nobody knows whether what waits is recorded already.
    std::fs::write(pair.queue(), whole).unwrap();
    std::fs::rename(pair.one.path().join("ledger.db"), pair.one.path().join("away")).unwrap();
    std::fs::rename(pair.one.path().join("tile"), pair.one.path().join("away.tile")).unwrap();
    let failure = pair.open_with(pair.anchor.clone()).unwrap_err();
    assert_eq!(failure.reason, Reason::StorageFailed);
    assert!(failure.detail.contains("put the generation back"), "{failure}");
    assert_eq!(pair.waiting(), whole);
}

#[test]
fn a_draft_that_the_ledger_has_taken_from_the_queue_is_not_taken_again() {
    let pair = Pair::new([]);
    let mut closed = RollbackQueue::open(pair.two.path());
    closed.push(rollback(11)).unwrap();
    let ledger = pair.open();
    // After the ledger has read the file: it learns of it from the queue alone.
    closed.push(rollback(12)).unwrap();
    for round in 0..2 {
        for draft in closed.clone().into_drafts() {
            ledger.queue_rollback(draft).unwrap();
        }
        while round == 0 && ledger.health().rollbacks_on_disk > 0 {
            std::thread::yield_now();
        }
    }
    ledger.append(draft(Kind::Config, 20)).wait().unwrap();
    ledger.close();
    assert_eq!(pair.rollbacks(), ["11", "12"]);
}
