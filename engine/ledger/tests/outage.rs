//! What a ledger does while its anchor is out of reach or its volume is not what it was, and when that is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{draft, kinds, open, options, rollback, with_state};
use penin_ledger::{Anchor, AnchorError, AppendError, Head, Keys, Kind, Ledger, MemoryAnchor, Queued, Reason, Source};
use tempfile::tempdir;

/// An anchor that can be cut off.
#[derive(Clone, Default)]
struct Remote {
    inner: MemoryAnchor,
    down: Arc<AtomicBool>,
    /// Its swaps succeed without an answer.
    silent: Arc<AtomicBool>,
    /// Held by a test, it keeps a swap from being answered.
    gate: Arc<Mutex<()>>,
}

impl Remote {
    fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn reached(&self) -> Result<(), AnchorError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(AnchorError::Unavailable("cut off".to_owned()));
        }
        Ok(())
    }
}

impl Anchor for Remote {
    fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        self.reached()?;
        self.inner.load()
    }

    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError> {
        self.reached()?;
        drop(self.gate.lock().unwrap());
        self.inner.swap(expected, next)?;
        if self.silent.load(Ordering::SeqCst) {
            return Err(AnchorError::Unavailable("timed out".to_owned()));
        }
        Ok(())
    }
}

fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

#[test]
fn a_swap_whose_answer_was_lost_is_recognised() {
    let (dir, anchor) = (tempdir().unwrap(), Remote::default());
    anchor.silent.store(true, Ordering::SeqCst);
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    ledger.append(draft(Kind::Config, 1)).wait().unwrap();
    assert!(ledger.health().is_ready());
}

#[test]
fn without_the_anchor_nothing_is_acknowledged_rollbacks_wait_and_all_is_made_up_for() {
    let (dir, anchor) = (tempdir().unwrap(), Remote::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    anchor.set_down(true);
    let first = ledger.append(with_state(1)).wait();
    assert!(
        matches!(&first, Err(AppendError::NotAnchored { seq: 1, failure }) if failure.reason == Reason::AnchorUnavailable),
        "{first:?}"
    );
    assert_eq!(ledger.state("engine/shop/ranker").unwrap(), None);
    let second = ledger.append(draft(Kind::PromoteAttest, 2)).wait();
    assert!(matches!(second, Err(AppendError::Refused(_))));
    let rollback = draft(Kind::Rollback, 3);
    assert_eq!(ledger.queue_rollback(rollback), Ok(Queued::OnDisk));
    anchor.set_down(false);
    while ledger.health().rollbacks_on_disk > 0 {
        std::thread::yield_now();
    }
    assert!(ledger.health().is_ready());
    assert!(ledger.state("engine/shop/ranker").unwrap().is_some());
    ledger.append(draft(Kind::Config, 4)).wait().unwrap();
    ledger.close();
    let expected = [Kind::Genesis, Kind::GateEval, Kind::Rollback, Kind::Config];
    assert_eq!(kinds(dir.path()), expected);
}

#[test]
fn a_crash_between_commit_and_anchor_is_made_up_for_at_start() {
    let (dir, anchor) = (tempdir().unwrap(), Remote::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    anchor.set_down(true);
    assert!(ledger.append(draft(Kind::Config, 1)).wait().is_err());
    ledger.close();
    anchor.set_down(false);
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    assert_eq!(ledger.head().size, 2);
    assert_eq!(anchor.inner.clone().load().unwrap().unwrap().size, 2);
}

#[test]
fn a_rollback_that_was_written_while_the_anchor_was_away_is_written_once() {
    let (dir, anchor) = (tempdir().unwrap(), Remote::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    anchor.set_down(true);
    // The ledger was well, so these are written at once; what fails is the anchor.
    for n in 1..3 {
        assert_eq!(ledger.queue_rollback(rollback(n)), Ok(Queued::OnDisk));
    }
    wait_until(|| ledger.health().failure.is_some());
    assert!(
        ledger.health().rollbacks_on_disk > 0,
        "they wait until they are anchored"
    );
    anchor.set_down(false);
    wait_until(|| ledger.health().rollbacks_on_disk == 0 && ledger.health().is_ready());
    ledger.append(draft(Kind::Config, 3)).wait().unwrap();
    ledger.close();
    let expected = [Kind::Genesis, Kind::Rollback, Kind::Rollback, Kind::Config];
    assert_eq!(kinds(dir.path()), expected);
}

#[test]
fn nothing_is_written_behind_rollbacks_that_could_not_be_anchored() {
    let (dir, anchor) = (tempdir().unwrap(), Remote::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    // While the writer waits for the anchor, both come: it takes them in one pass.
    let gate = anchor.gate.lock().unwrap();
    let first = ledger.append(draft(Kind::Config, 1));
    wait_until(|| ledger.health().committed == 2);
    ledger.queue_rollback(rollback(1)).unwrap();
    let promotion = ledger.append(draft(Kind::PromoteAttest, 2));
    anchor.set_down(true);
    drop(gate);
    first.wait().unwrap();
    let refused = promotion.wait().unwrap_err();
    assert!(
        matches!(&refused, AppendError::Refused(failure) if failure.reason == Reason::AnchorUnavailable),
        "{refused}"
    );
    ledger.close();
    assert_eq!(kinds(dir.path()), [Kind::Genesis, Kind::Config, Kind::Rollback]);
}

/// Copies the main file alone, as a disk has it that never got the rest, whenever it is moved.
struct Photographer {
    inner: MemoryAnchor,
    database: PathBuf,
    copies: PathBuf,
}

impl Anchor for Photographer {
    fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        self.inner.load()
    }

    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError> {
        let copy = self.copies.join(next.size.to_string());
        std::fs::create_dir_all(&copy).unwrap();
        std::fs::copy(&self.database, copy.join("ledger.db")).unwrap();
        self.inner.swap(expected, next)
    }
}

#[test]
fn entries_that_a_killed_process_left_are_durable_before_they_are_anchored() {
    let (dir, copies, killed) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let anchor = Remote::default();
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    anchor.set_down(true);
    let refused = ledger.append(with_state(1)).wait();
    assert!(matches!(refused, Err(AppendError::NotAnchored { .. })), "{refused:?}");
    // The entry is in the WAL, the anchor does not know it. Nobody can say whether the WAL was ever flushed.
    common::copy(dir.path(), killed.path());
    let photographer = Photographer {
        inner: anchor.inner.clone(),
        database: killed.path().join("ledger.db"),
        copies: copies.path().to_owned(),
    };
    let ledger = open(killed.path(), photographer, 1).unwrap();
    assert_eq!(ledger.head().size, 2);
    assert_eq!(kinds(&copies.path().join("2")), [Kind::Genesis, Kind::GateEval]);
}

#[test]
fn a_foreign_checkpoint_does_not_stand_in_for_the_second_copy_of_a_promotion() {
    let (dir, foreign) = (tempdir().unwrap(), tempdir().unwrap());
    let anchor = MemoryAnchor::default();
    open(dir.path(), anchor.clone(), 1).unwrap().close();
    let other = Box::new(MemoryAnchor::default());
    let ledger = Ledger::open(foreign.path(), Keys::generate([9; 64]), other, 1, options()).unwrap();
    let tickets: Vec<_> = (0..600).map(|n| ledger.append(draft(Kind::Config, n))).collect();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    ledger.close();
    std::fs::copy(foreign.path().join("checkpoint"), dir.path().join("checkpoint")).unwrap();
    let ledger = open(dir.path(), anchor, 1).unwrap();
    let receipt = ledger.append(draft(Kind::PromoteAttest, 1)).wait().unwrap();
    // At this moment, and not when the publisher has been through.
    let tail = std::fs::read(dir.path().join("tail/0")).unwrap();
    let entry = ledger.reader().unwrap().entry_bytes(receipt.seq).unwrap().unwrap();
    assert!(tail.windows(entry.len()).any(|window| window == entry));
}

#[test]
fn published_entries_without_anything_else_are_no_new_ledger() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path(), MemoryAnchor::default(), 1).unwrap();
    ledger.append(draft(Kind::PromoteAttest, 1)).wait().unwrap();
    ledger.close();
    std::fs::remove_file(dir.path().join("checkpoint")).unwrap();
    std::fs::remove_file(dir.path().join("ledger.db")).unwrap();
    let before = Source::open(dir.path()).unwrap().copy().bundle_versions(0).unwrap();
    let refused = open(dir.path(), MemoryAnchor::default(), 1).unwrap_err();
    assert_eq!(refused.reason, Reason::AnchorMissing, "{refused}");
    assert_eq!(
        Source::open(dir.path()).unwrap().copy().bundle_versions(0).unwrap(),
        before
    );
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_not_taken_for_none() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    open(dir.path(), anchor.clone(), 1).unwrap().close();
    std::fs::remove_file(dir.path().join("checkpoint")).unwrap();
    std::fs::create_dir(dir.path().join("checkpoint")).unwrap();
    let refused = open(dir.path(), anchor, 1).unwrap_err();
    assert_eq!(refused.reason, Reason::StorageFailed, "{refused}");
    assert!(refused.detail.contains("published copy"), "{refused}");
}

#[test]
fn a_promotion_right_after_the_copy_was_lost_is_in_a_second_copy_all_the_same() {
    for checkpoint_too in [true, false] {
        promote_without_a_copy(checkpoint_too);
    }
}

fn promote_without_a_copy(checkpoint_too: bool) {
    let (dir, lost, anchor) = (tempdir().unwrap(), tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    let tickets: Vec<_> = (0..600).map(|n| ledger.append(with_state(n))).collect();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    ledger.close();
    for part in ["tile", "tail", "blobs"] {
        let _ = std::fs::remove_dir_all(dir.path().join(part));
    }
    if checkpoint_too {
        std::fs::remove_file(dir.path().join("checkpoint")).unwrap();
    }
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    let receipt = ledger.append(draft(Kind::PromoteAttest, 1)).wait().unwrap();
    common::copy(dir.path(), lost.path());
    std::fs::remove_file(lost.path().join("ledger.db")).unwrap();
    let _ = std::fs::remove_file(lost.path().join("ledger.db-wal"));
    let refilled = open(lost.path(), MemoryAnchor::new(Some(receipt.head.clone())), 1).unwrap();
    let entry = refilled.reader().unwrap().entry(receipt.seq).unwrap().unwrap();
    assert_eq!(entry.leaf, receipt.leaf_hash);
}
