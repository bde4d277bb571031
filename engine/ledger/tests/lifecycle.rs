//! The ledger's life: opening, appending, failing and coming back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use common::{copy, draft, keys, kinds, open, options, with_state};
use penin_ledger::entry::DraftError;
use penin_ledger::{
    Anchor, AnchorError, AppendError, Basis, Digest, Draft, Head, Keys, Kind, Ledger, MemoryAnchor, Reader, Reason,
    Ticket,
};
use tempfile::tempdir;

/// Size of the published checkpoint.
fn signed(dir: &std::path::Path) -> Option<u64> {
    let note = std::fs::read(dir.join("checkpoint")).ok()?;
    Some(penin_ledger::note::Checkpoint::claimed(&note)?.size)
}

fn reason(result: Result<Ledger, penin_ledger::Failure>) -> Reason {
    result.expect_err("must be refused").reason
}

#[test]
fn an_acknowledged_entry_is_durable_anchored_and_readable() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    let receipt = ledger.append(with_state(1)).wait().unwrap();
    assert_eq!(receipt.seq, 1);
    assert_eq!(anchor.clone().load().unwrap(), Some(receipt.head.clone()));
    assert_eq!(ledger.state("engine/shop/ranker").unwrap().unwrap(), b"{\"cycle\":1}");
    assert_eq!(ledger.state("other").unwrap(), None);
    let reader = ledger.reader().unwrap();
    let entry = reader.entry(1).unwrap().unwrap();
    assert_eq!(entry.leaf, receipt.leaf_hash);
    let blob = reader.blob(&entry.blobs[0].sha256).unwrap().unwrap();
    assert_eq!(blob, b"{\"samples\":\"1\"}");
    assert_eq!(reader.of_cycle("shop/ranker", 10).unwrap(), [1]);
    assert!(ledger.health().is_ready());
}

#[test]
fn a_ledger_reopens_with_state_and_records_new_epochs_only() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    for (epoch, n) in [(1, 1), (1, 2), (5, 3)] {
        let ledger = open(dir.path(), anchor.clone(), epoch).unwrap();
        ledger.append(with_state(n)).wait().unwrap();
        ledger.close();
    }
    let expected = [
        Kind::Genesis,
        Kind::GateEval,
        Kind::GateEval,
        Kind::Leader,
        Kind::GateEval,
    ];
    assert_eq!(kinds(dir.path()), expected);
    let ledger = open(dir.path(), anchor, 5).unwrap();
    assert_eq!(ledger.state("engine/shop/ranker").unwrap().unwrap(), b"{\"cycle\":3}");
}

#[test]
fn concurrent_callers_each_get_their_own_position() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let mut small = options();
    small.queue_entries = 4;
    let ledger = Ledger::open(dir.path(), keys(), Box::new(anchor), 1, small).unwrap();
    let barrier = Barrier::new(16);
    let mut seqs: Vec<u64> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16_u64)
            .map(|caller| {
                let (ledger, barrier) = (&ledger, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    (0..20)
                        .map(|n| {
                            let draft = draft(Kind::GateEval, caller * 100 + n);
                            ledger.append(draft).wait().unwrap().seq
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=320).collect::<Vec<_>>());
}

#[test]
fn tickets_are_futures_and_a_full_queue_slows_but_loses_nothing() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let mut small = options();
    small.queue_entries = 2;
    let ledger = Ledger::open(dir.path(), keys(), Box::new(anchor), 1, small).unwrap();
    let tickets: Vec<_> = (0..50).map(|n| ledger.append(draft(Kind::GateEval, n))).collect();
    let seqs: std::collections::BTreeSet<u64> = tickets
        .into_iter()
        .map(|ticket| block_on(ticket).unwrap().seq)
        .collect();
    assert_eq!(seqs.len(), 50);
}

#[test]
fn a_draft_whose_basis_has_moved_is_refused_and_leaves_nothing() {
    const KEY: &str = "engine/shop/ranker";
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    let on = |n: u64, before: Option<&Draft>| {
        let mut draft = with_state(n);
        draft.basis = vec![Basis {
            key: KEY.into(),
            sha256: before.map(|before| Digest::of(&before.state[0].value)),
        }];
        draft
    };
    let moved = |ticket: Ticket| match ticket.wait() {
        Err(AppendError::StateMoved { key }) => assert_eq!(key, KEY),
        other => panic!("{other:?}"),
    };
    let first = on(1, None);
    // Three callers that have all read that there is nothing; they may be in one batch.
    let tickets = [first.clone(), on(2, None), on(3, None)].map(|draft| ledger.append(draft));
    let [one, two, three] = tickets;
    assert_eq!(one.wait().unwrap().seq, 1);
    moved(two);
    moved(three);
    moved(ledger.append(on(4, Some(&on(2, None)))));
    let second = on(5, Some(&first));
    assert_eq!(ledger.append(second.clone()).wait().unwrap().seq, 2);
    // Also across a restart; and an emptied state counts as none.
    ledger.close();
    let ledger = open(dir.path(), anchor, 1).unwrap();
    moved(ledger.append(on(6, Some(&first))));
    let mut emptied = on(7, Some(&second));
    emptied.state[0].value.clear();
    ledger.append(emptied).wait().unwrap();
    moved(ledger.append(on(8, Some(&second))));
    ledger.append(on(9, None)).wait().unwrap();
    // Who says nothing about it is not asked.
    ledger.append(with_state(10)).wait().unwrap();
    assert_eq!(ledger.state(KEY).unwrap().unwrap(), b"{\"cycle\":10}");
    assert_eq!(ledger.head().size, 6);
}

/// The smallest executor: parks the thread until woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_second_opener_of_the_volume_is_refused() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let _first = open(dir.path(), anchor.clone(), 1).unwrap();
    assert_eq!(reason(open(dir.path(), anchor, 2)), Reason::Locked);
}

#[test]
fn other_keys_another_origin_and_an_older_epoch_are_refused() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    open(dir.path(), anchor.clone(), 7).unwrap().close();
    let other_keys = Keys::generate([1; 64]);
    let refused = Ledger::open(dir.path(), other_keys, Box::new(anchor.clone()), 7, options());
    assert_eq!(reason(refused), Reason::KeyMismatch);
    let mut elsewhere = options();
    elsewhere.origin = "other".into();
    let refused = Ledger::open(dir.path(), keys(), Box::new(anchor.clone()), 7, elsewhere);
    assert_eq!(reason(refused), Reason::OriginMismatch);
    assert_eq!(reason(open(dir.path(), anchor, 6)), Reason::Fenced);
}

#[test]
fn restored_volume_deleted_anchor_and_lost_volume_are_refused_at_start() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    ledger.append(draft(Kind::Config, 1)).wait().unwrap();
    ledger.close();
    let snapshot = tempdir().unwrap();
    copy(dir.path(), snapshot.path());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    ledger.append(draft(Kind::Config, 2)).wait().unwrap();
    ledger.close();

    let refused = open(snapshot.path(), anchor.clone(), 2);
    assert_eq!(reason(refused), Reason::RolledBack);
    let empty = tempdir().unwrap();
    let refused = open(empty.path(), anchor.clone(), 2);
    assert_eq!(reason(refused), Reason::VolumeEmpty);
    anchor.overwrite(None);
    assert_eq!(reason(open(dir.path(), anchor, 2)), Reason::AnchorMissing);
}

#[test]
fn two_copies_of_a_volume_cannot_both_go_on() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    open(dir.path(), anchor.clone(), 1).unwrap().close();
    let copied = tempdir().unwrap();
    copy(dir.path(), copied.path());
    // The old leader is paused; a new one takes over with a higher epoch.
    let old = open(dir.path(), anchor.clone(), 1).unwrap();
    let new = open(copied.path(), anchor.clone(), 2).unwrap();
    new.append(draft(Kind::Config, 1)).wait().unwrap();
    let late = old.append(draft(Kind::PromoteAttest, 2)).wait();
    assert!(
        matches!(&late, Err(AppendError::NotAnchored { failure, .. }) if failure.reason == Reason::Fenced),
        "{late:?}"
    );
    assert_eq!(old.health().failure.unwrap().reason, Reason::Fenced);
    let later = old.append(draft(Kind::Config, 3)).wait();
    assert!(matches!(later, Err(AppendError::Refused(f)) if f.reason == Reason::Fenced));
    new.append(draft(Kind::Config, 4)).wait().unwrap();
    old.close();
    new.close();
    // What the old one could not anchor, it never signed: nobody can show two heads of one size.
    assert_eq!(signed(dir.path()), Some(1));
    assert_eq!(signed(copied.path()), Some(4));
    assert_eq!(reason(open(dir.path(), anchor.clone(), 3)), Reason::RolledBack);
    // With as many entries as the anchor it is the root that tells.
    let mut head = anchor.clone().load().unwrap().unwrap();
    head.size = Reader::open_read_only(dir.path()).unwrap().head().unwrap().0;
    anchor.overwrite(Some(head));
    assert_eq!(reason(open(dir.path(), anchor, 3)), Reason::Forked);
}

#[test]
fn an_anchor_deleted_or_edited_while_open_stops_the_next_append() {
    for (edit, expected) in [(None, Reason::AnchorMissing), (Some(1), Reason::Fenced)] {
        let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
        let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
        ledger.append(draft(Kind::Config, 1)).wait().unwrap();
        let head = ledger.head();
        anchor.overwrite(edit.map(|size| Head { size, ..head }));
        let refused = ledger.append(draft(Kind::Config, 2)).wait();
        assert!(
            matches!(&refused, Err(AppendError::NotAnchored { failure, .. }) if failure.reason == expected),
            "{refused:?}"
        );
        assert!(!ledger.health().is_ready());
        assert_eq!(ledger.reader().unwrap().head().unwrap().0, 3);
    }
}

#[test]
fn a_queued_rollback_is_appended_once_even_when_the_queue_file_comes_back() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    open(dir.path(), anchor.clone(), 1).unwrap().close();
    let mut queue = penin_ledger::RollbackQueue::open(dir.path());
    queue.push(draft(Kind::Rollback, 1)).unwrap();
    let file = dir.path().join("rollbacks.queue");
    let kept = std::fs::read(&file).unwrap();
    for _ in 0..3 {
        std::fs::write(&file, &kept).unwrap();
        let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
        while ledger.health().rollbacks_on_disk > 0 {
            std::thread::yield_now();
        }
        ledger.close();
    }
    assert_eq!(kinds(dir.path()), [Kind::Genesis, Kind::Rollback]);
}

#[test]
fn a_clock_set_back_is_recorded_and_stops_promotions_only() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor, 1).unwrap();
    ledger.append(draft(Kind::Config, 100_000)).wait().unwrap();
    let late = ledger.append(draft(Kind::PromoteAttest, 1)).wait();
    assert!(matches!(late, Err(AppendError::Refused(f)) if f.reason == Reason::ClockBehind));
    ledger.append(draft(Kind::Rollback, 2)).wait().unwrap();
    ledger.append(draft(Kind::PromoteAttest, 100_001)).wait().unwrap();
    ledger.close();
    let expected = [
        Kind::Genesis,
        Kind::Config,
        Kind::Clock,
        Kind::Clock,
        Kind::Rollback,
        Kind::PromoteAttest,
    ];
    assert_eq!(kinds(dir.path()), expected);
}

#[test]
fn a_fast_clock_is_told_before_a_promotion_is_and_noted_once_however_often_it_is_tried() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    let now = common::START_MS;
    assert_eq!(ledger.clock_behind(now), None);
    ledger.append(draft(Kind::Config, 100_000)).wait().unwrap();
    for n in 1..4 {
        ledger.append(draft(Kind::PromoteAttest, n)).wait().unwrap_err();
    }
    let behind = |ledger: &Ledger, ms: i64| ledger.clock_behind(now + ms).map(|failure| failure.reason);
    assert_eq!(behind(&ledger, 1), Some(Reason::ClockBehind));
    assert_eq!(behind(&ledger, 94_999), Some(Reason::ClockBehind));
    assert_eq!(behind(&ledger, 95_000), None);
    // It is no failure of the ledger: what takes traffic away is recorded.
    assert!(ledger.health().is_ready());
    ledger.append(draft(Kind::Rollback, 5)).wait().unwrap();
    ledger.close();
    let expected = [Kind::Genesis, Kind::Config, Kind::Clock, Kind::Clock, Kind::Rollback];
    assert_eq!(kinds(dir.path()), expected);
    let ledger = open(dir.path(), anchor, 1).unwrap();
    assert_eq!(behind(&ledger, 1), Some(Reason::ClockBehind));
}

/// An anchor whose server makes the writer break down.
#[derive(Debug)]
struct Breaking(MemoryAnchor, Arc<AtomicBool>);

impl Anchor for Breaking {
    fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        self.0.load()
    }

    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError> {
        assert!(!self.1.load(Ordering::Relaxed), "broken on purpose");
        self.0.swap(expected, next)
    }
}

#[test]
fn a_writer_that_broke_down_is_a_failure_and_opening_again_mends_it() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let broken = Arc::new(AtomicBool::new(false));
    let ledger = open(dir.path(), Breaking(anchor.clone(), broken.clone()), 1).unwrap();
    broken.store(true, Ordering::Relaxed);
    ledger.append(draft(Kind::Config, 1)).wait().unwrap_err();
    while ledger.health().failure.is_none() {
        std::thread::yield_now();
    }
    let failure = ledger.health().failure.unwrap();
    assert_eq!(
        (failure.reason, failure.reason.is_transient()),
        (Reason::Stopped, false)
    );
    ledger.close();
    let ledger = open(dir.path(), anchor, 1).unwrap();
    assert!(ledger.health().is_ready());
    ledger.append(draft(Kind::Config, 2)).wait().unwrap();
}

#[test]
fn rotated_keys_open_the_ledger_and_the_old_ones_do_not() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    let new = Keys::generate([43; 64]);
    ledger.rotate_keys(new.clone(), common::START_MS).wait().unwrap();
    let again = ledger.rotate_keys(new.clone(), common::START_MS).wait();
    assert_eq!(again, Err(AppendError::Invalid(DraftError::KeysInForce)));
    ledger.append(draft(Kind::Config, 1)).wait().unwrap();
    let expected = [(0, keys().verifiers()), (2, new.verifiers())];
    assert_eq!(ledger.keys(), expected);
    ledger.close();
    assert_eq!(reason(open(dir.path(), anchor.clone(), 1)), Reason::KeyMismatch);
    let ledger = Ledger::open(dir.path(), new.clone(), Box::new(anchor), 1, options()).unwrap();
    assert_eq!(ledger.keys(), expected);
    let reader = ledger.reader().unwrap();
    let rotation = reader.entry(1).unwrap().unwrap();
    assert!(rotation.envelope.verify(&keys().verifiers().attestation));
    let after = reader.entry(2).unwrap().unwrap();
    assert!(after.envelope.verify(&new.verifiers().attestation));
}

#[test]
fn a_sealed_generation_takes_nothing_more_and_says_so() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    assert!(ledger.health().is_ready());
    ledger.seal(None, common::START_MS).wait().unwrap();
    let refused = ledger.append(draft(Kind::Config, 1)).wait();
    assert!(matches!(refused, Err(AppendError::Refused(f)) if f.reason == Reason::Sealed));
    ledger.close();
    let again = open(dir.path(), anchor, 9).unwrap();
    assert_eq!(again.head().size, 2);
    assert_eq!(again.health().failure.unwrap().reason, Reason::Sealed);
}

/// Waits until the second copy covers the head.
fn published(dir: &std::path::Path, size: u64) {
    let line = format!("\n{size}\n");
    while !std::fs::read_to_string(dir.join("checkpoint")).is_ok_and(|note| note.contains(&line)) {
        std::thread::yield_now();
    }
}

#[test]
fn a_lost_or_damaged_database_is_rebuilt_from_the_second_copy() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    for n in 0..600 {
        drop(ledger.append(with_state(n)));
    }
    let receipt = ledger.append(draft(Kind::Config, 600)).wait().unwrap();
    published(dir.path(), receipt.head.size);
    ledger.close();
    let before = std::fs::read(dir.path().join("checkpoint")).unwrap();
    let aside = penin_ledger::set_database_aside(dir.path()).unwrap();
    assert!(aside.join("ledger.db").exists());
    let ledger = open(dir.path(), anchor, 1).unwrap();
    assert_eq!(ledger.head().size, receipt.head.size + 1);
    assert_eq!(ledger.state("engine/shop/ranker").unwrap().unwrap(), b"{\"cycle\":599}");
    ledger.close();
    let kinds = kinds(dir.path());
    assert_eq!(kinds.last(), Some(&Kind::Recovery));
    assert_eq!(kinds.len(), 603);
    let after = std::fs::read(dir.path().join("checkpoint")).unwrap();
    assert_ne!(before, after);
}

#[test]
fn a_promotion_survives_the_loss_of_the_database_at_once() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    for n in 0..300 {
        drop(ledger.append(with_state(n)));
    }
    let mut promotion = with_state(300);
    promotion.kind = Kind::PromoteAttest;
    let receipt = ledger.append(promotion).wait().unwrap();
    // What a crash at this moment leaves: nothing is waited for.
    let crashed = tempdir().unwrap();
    copy(dir.path(), crashed.path());
    ledger.close();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(crashed.path().join(name));
    }
    let mut head = receipt.head.clone();
    head.epoch = 1;
    let anchor = MemoryAnchor::new(Some(head));
    let ledger = open(crashed.path(), anchor, 1).unwrap();
    let again = ledger.reader().unwrap().entry(receipt.seq).unwrap();
    assert_eq!(again.unwrap().leaf, receipt.leaf_hash);
    assert_eq!(ledger.state("engine/shop/ranker").unwrap().unwrap(), b"{\"cycle\":300}");
}

#[test]
fn an_anchor_restored_to_an_older_head_is_refused_by_the_checkpoint() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    let old = ledger.append(draft(Kind::Config, 1)).wait().unwrap().head;
    ledger.append(draft(Kind::Config, 2)).wait().unwrap();
    ledger.close();
    anchor.overwrite(Some(old));
    assert_eq!(reason(open(dir.path(), anchor, 1)), Reason::AnchorRolledBack);
}

#[test]
fn a_checkpoint_that_somebody_else_signed_stops_nothing() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    open(dir.path(), anchor.clone(), 1).unwrap().close();
    // A larger one, of the same name, by other keys: it must not pass for a sign that the anchor was set back.
    let foreign = tempdir().unwrap();
    let ledger = Ledger::open(
        foreign.path(),
        Keys::generate([9; 64]),
        Box::new(MemoryAnchor::default()),
        1,
        options(),
    )
    .unwrap();
    for n in 0..5 {
        ledger.append(draft(Kind::Config, n)).wait().unwrap();
    }
    ledger.close();
    assert_eq!(signed(foreign.path()), Some(6));
    std::fs::copy(foreign.path().join("checkpoint"), dir.path().join("checkpoint")).unwrap();
    open(dir.path(), anchor, 1).unwrap().close();
    assert_eq!(signed(dir.path()), Some(1), "written anew");
}

#[test]
fn a_second_copy_that_was_altered_is_not_taken_for_the_record() {
    let (dir, anchor) = (tempdir().unwrap(), MemoryAnchor::default());
    let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
    for n in 0..5 {
        ledger.append(draft(Kind::Config, n)).wait().unwrap();
    }
    ledger.close();
    penin_ledger::set_database_aside(dir.path()).unwrap();
    // The last entry's signature: nothing links to it, and it still decodes. Only the anchored root tells.
    let bundle = dir.path().join("tile/entries/000.p/6");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let at = bytes.len() - 40;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(&bundle, bytes).unwrap();
    assert_eq!(reason(open(dir.path(), anchor, 1)), Reason::VolumeEmpty);
}
