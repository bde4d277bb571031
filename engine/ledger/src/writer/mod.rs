//! The one writer: takes batches from the queue, makes them durable, anchors their head, then answers.

mod plan;
pub(crate) mod queue;
pub(crate) mod ticket;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::anchor::{Anchor, AnchorError, Head};
use crate::entry::{Kind, Prepared, StateRef};
use crate::hash::Digest;
use crate::health::{Failure, Reason};
use crate::keys::{Keys, Verifiers};
use crate::publish::Publisher;
use crate::rollbacks::RollbackQueue;
use crate::store::{Row, Store};
use crate::tree::Frontier;
use plan::{Batch, Planned};
use queue::{Item, Queue, Taken};
use ticket::{AppendError, Receipt};

/// How the writer behaves.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub anchor_attempts: u32,
    pub anchor_pause: Duration,
}

/// What the writer tells the other threads.
#[derive(Debug)]
pub(crate) struct Shared {
    /// How far a claimed time may be behind the latest one, in milliseconds.
    pub clock_tolerance_ms: i64,
    pub queue: Arc<Queue>,
    pub condition: Mutex<Condition>,
    pub state: Mutex<HashMap<String, StateRef>>,
    pub rollbacks: Mutex<RollbackQueue>,
}

#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub failure: Option<Failure>,
    pub anchored: Head,
    pub committed: u64,
    /// Latest claimed time of a committed entry, in milliseconds since the Unix epoch.
    pub latest_ms: i64,
    /// The latest time against which a promotion was refused, and that a CLOCK entry tells of.
    pub clock_noted_ms: Option<i64>,
    /// Whether the last committed entry is ARCHIVE.
    pub sealed: bool,
    /// Keys with the first entry that they sign; the last ones are in force.
    pub keys: Vec<(u64, Verifiers)>,
}

/// Why a sealed generation takes nothing.
pub(crate) fn sealed() -> Failure {
    Failure::new(Reason::Sealed, "this generation is archived; open the next one")
}

/// Why a promotion is refused whose claimed time is behind the latest one by more than the tolerance; `None` when it is
/// not.
pub(crate) fn clock_behind(claimed_ms: i64, latest_ms: i64, tolerance_ms: i64) -> Option<Failure> {
    (latest_ms.saturating_sub(claimed_ms) > tolerance_ms).then(|| {
        let detail = format!(
            "the claimed time {claimed_ms} ms is behind the last entry's {latest_ms} ms; set the clock right, or if the \
             entry's was fast, wait until that time or begin the next generation"
        );
        Failure::new(Reason::ClockBehind, detail)
    })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything the writer owns.
pub(crate) struct Writer {
    pub store: Store,
    pub anchor: Box<dyn Anchor>,
    pub keys: Keys,
    pub policy: Policy,
    pub shared: Arc<Shared>,
    pub publisher: Publisher,
    pub origin: String,
    pub epoch: u64,
    /// The committed tree, and the leaf hash of its last entry.
    pub frontier: Frontier,
    pub last: Digest,
    pub latest_ms: i64,
    pub anchored: Head,
    pub sealed: bool,
    /// States of entries that are committed but not anchored yet.
    pub unanchored_state: Vec<StateRef>,
    /// Rollbacks that had waited, and are committed but not anchored yet.
    pub unanchored_rollbacks: Vec<Digest>,
}

struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let failure = Failure::new(Reason::Stopped, "the ledger's writer has ended");
        self.0.abort(&failure);
    }
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub fn run(mut self) {
        // Also when this thread panics: later callers are refused instead of waiting for nobody.
        let _closed = CloseOnDrop(Arc::clone(&self.shared.queue));
        loop {
            // While something waits to be retried, look again without being asked.
            let patience = self.failure().map(|_| self.policy.anchor_pause * 4);
            match self.shared.queue.take(patience) {
                Taken::Batch(items) => self.pass(items),
                Taken::Closed => break,
            }
        }
        self.publisher.finish();
        // Only tidiness, and harmless when it fails; an unsound store is left as it is.
        if lock(&self.shared.condition).failure.is_none() {
            let _ = self.store.fold();
        }
    }

    fn failure(&self) -> Option<Failure> {
        lock(&self.shared.condition).failure.clone()
    }

    fn pass(&mut self, items: Vec<Item>) {
        if let Err(failure) = self.settle().and_then(|()| self.append_rollbacks()) {
            self.fail(&failure, items);
            return;
        }
        if !items.is_empty() {
            self.append(items);
        }
    }

    /// Anchors what an earlier failure left behind. On success the ledger is well.
    fn settle(&mut self) -> Result<(), Failure> {
        match self.failure() {
            None => return Ok(()),
            Some(failure) if !failure.reason.is_transient() => return Err(failure),
            Some(failure) if failure.reason == Reason::StorageFull => self.store.probe().map_err(Failure::from)?,
            Some(_) => {}
        }
        if self.anchored.size != self.frontier.size() {
            // What failed may have been the second copy, and a promotion may be among these entries.
            self.publisher.write_durably(&self.store, self.frontier.size())?;
            self.move_anchor()?;
            self.acknowledged(Vec::new());
        }
        lock(&self.shared.condition).failure = None;
        Ok(())
    }

    /// Refuses items, and everything that follows when the failure does not pass by itself.
    fn fail(&mut self, failure: &Failure, items: Vec<Item>) {
        lock(&self.shared.condition).failure = Some(failure.clone());
        for (_, pending) in items {
            pending.resolve(Err(AppendError::Refused(failure.clone())));
        }
        if !failure.reason.is_transient() {
            self.shared.queue.abort(failure);
        }
    }

    fn append(&mut self, items: Vec<Item>) {
        let mut batch = self.start_batch();
        for (work, pending) in items {
            self.plan(&mut batch, work, pending);
        }
        self.commit(batch);
    }

    /// Appends entries of the ledger's own, for which nobody waits.
    pub fn append_prepared(&mut self, entries: Vec<Prepared>) -> bool {
        let mut batch = self.start_batch();
        for prepared in entries {
            self.place(&mut batch, Box::new(prepared), None);
        }
        self.commit(batch)
    }

    /// Appends the rollbacks that waited, some at a time. They stay queued until they are anchored.
    fn append_rollbacks(&mut self) -> Result<(), Failure> {
        while !self.sealed {
            let waiting = lock(&self.shared.rollbacks).next_batch();
            if waiting.is_empty() {
                break;
            }
            let mut batch = self.start_batch();
            for (id, draft) in waiting {
                match Prepared::any_kind(draft, Some(id)) {
                    Ok(prepared) => self.place(&mut batch, Box::new(prepared), None),
                    // It was checked when it was queued, but perhaps by another version of this program.
                    Err(_) => lock(&self.shared.rollbacks).refuse(&id),
                }
            }
            if !self.commit(batch) {
                let unsaid = || Failure::new(Reason::StorageFailed, "the rollbacks that waited were not recorded");
                return Err(self.failure().unwrap_or_else(unsaid));
            }
        }
        Ok(())
    }

    /// Makes a batch durable, anchors it and answers. Whether all of it was acknowledged.
    fn commit(&mut self, batch: Batch) -> bool {
        if batch.planned.is_empty() {
            return true;
        }
        if let Err(failure) = self.store_batch(&batch) {
            self.refuse_batch(batch, &failure);
            return false;
        }
        let second_copy = self.second_copy(&batch.planned);
        let planned = self.committed(batch);
        match second_copy.and_then(|()| self.move_anchor()) {
            Ok(()) => {
                self.acknowledged(planned);
                true
            }
            Err(failure) => {
                // Before the answers: whoever was refused sees why in the health.
                self.fail(&failure, Vec::new());
                for planned in planned {
                    let (seq, failure) = (planned.seq, failure.clone());
                    if let Some(pending) = planned.pending {
                        pending.resolve(Err(AppendError::NotAnchored { seq, failure }));
                    }
                }
                false
            }
        }
    }

    /// The batch is in the database: the next one stands on it. Its entries, which nobody is told of yet.
    fn committed(&mut self, batch: Batch) -> Vec<Planned> {
        let Batch {
            frontier,
            last,
            latest_ms,
            keys,
            sealed,
            planned,
        } = batch;
        (self.frontier, self.last, self.latest_ms) = (frontier, last, latest_ms);
        (self.keys, self.sealed) = (keys, sealed);
        let mut condition = lock(&self.shared.condition);
        (condition.committed, condition.sealed) = (self.frontier.size(), self.sealed);
        condition.latest_ms = self.latest_ms;
        for planned in &planned {
            self.unanchored_state.extend_from_slice(&planned.prepared.state);
            self.unanchored_rollbacks.extend(planned.prepared.queued);
            if let Some(keys) = &planned.rotation {
                condition.keys.push((planned.seq + 1, keys.verifiers()));
                self.publisher.rotate(keys.log.clone());
            }
        }
        drop(condition);
        planned
    }

    fn store_batch(&mut self, batch: &Batch) -> Result<(), Failure> {
        let rows: Vec<Row<'_>> = batch.planned.iter().map(|planned| self.row(planned)).collect();
        let expected = (self.frontier.size(), self.last);
        self.store.append(expected, &rows).map_err(Failure::from)
    }

    fn row<'a>(&self, planned: &'a Planned) -> Row<'a> {
        Row {
            seq: planned.seq,
            epoch: self.epoch,
            kind: planned.prepared.kind.as_str(),
            subject: &planned.prepared.columns.subject,
            cycle: &planned.prepared.columns.cycle,
            time_ms: planned.prepared.time_ms,
            leaf: planned.encoded.leaf,
            entry: &planned.encoded.bytes,
            content: &planned.prepared.content,
        }
    }

    /// Promotions and rollbacks are acknowledged only when the second copy is durable too.
    fn second_copy(&mut self, planned: &[Planned]) -> Result<(), Failure> {
        let mut kinds = planned.iter().map(|planned| planned.prepared.kind);
        match planned.last() {
            Some(last) if kinds.any(Kind::needs_second_copy) => self.publisher.write_durably(&self.store, last.seq + 1),
            _ => Ok(()),
        }
    }

    /// The transaction did not take place, or nobody knows.
    fn refuse_batch(&mut self, batch: Batch, failure: &Failure) {
        self.fail(failure, Vec::new());
        let known = matches!(
            failure.reason,
            Reason::StorageFull | Reason::RolledBack | Reason::VolumeReplaced
        );
        for pending in batch.planned.into_iter().filter_map(|planned| planned.pending) {
            let failure = failure.clone();
            pending.resolve(Err(if known {
                AppendError::Refused(failure)
            } else {
                AppendError::Unknown(failure)
            }));
        }
    }

    /// The new head is anchored: make states visible, forget the rollbacks that waited for it, answer, and only then tell
    /// the publisher, for whom nobody waits.
    fn acknowledged(&mut self, planned: Vec<Planned>) {
        let mut state = lock(&self.shared.state);
        for reference in self.unanchored_state.drain(..) {
            state.insert(reference.key.clone(), reference);
        }
        drop(state);
        lock(&self.shared.condition).anchored = self.anchored.clone();
        // Only now: whoever sees that nothing waits any more also sees the head that holds it.
        let recorded: HashSet<Digest> = self.unanchored_rollbacks.drain(..).collect();
        if !recorded.is_empty() {
            lock(&self.shared.rollbacks).remove(|id| recorded.contains(id));
        }
        self.answer(planned);
        self.publisher.publish(self.anchored.clone());
    }

    fn answer(&self, planned: Vec<Planned>) {
        for planned in planned {
            if let Some(pending) = planned.pending {
                pending.resolve(Ok(Receipt {
                    seq: planned.seq,
                    leaf_hash: planned.encoded.leaf,
                    head: self.anchored.clone(),
                }));
            }
        }
    }

    fn move_anchor(&mut self) -> Result<(), Failure> {
        let next = Head {
            origin: self.origin.clone(),
            size: self.frontier.size(),
            root: self.frontier.root(),
            epoch: self.epoch,
        };
        swap(self.anchor.as_mut(), Some(&self.anchored), &next, &self.policy)?;
        self.anchored = next;
        Ok(())
    }
}

/// Moves the anchor, with bounded retries. After an unknown outcome it looks before it tries again.
pub(crate) fn swap(
    anchor: &mut dyn Anchor,
    expected: Option<&Head>,
    next: &Head,
    policy: &Policy,
) -> Result<(), Failure> {
    let mut last = String::new();
    for attempt in 0..policy.anchor_attempts.max(1) {
        if attempt > 0 {
            std::thread::sleep(policy.anchor_pause);
        }
        let refused = match anchor.swap(expected, next) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match anchor.load() {
            Ok(Some(held)) if held == *next => return Ok(()),
            // Not moved: either the swap never arrived, or something beside the head changed.
            Ok(held) if held.as_ref() == expected => last = refused.to_string(),
            Ok(Some(held)) => {
                return Err(Failure::new(
                    Reason::Fenced,
                    format!(
                        "the anchor has size {} and epoch {}, expected size {} and epoch {}: another writer \
                         moved it",
                        held.size,
                        held.epoch,
                        expected.map_or(0, |head| head.size),
                        expected.map_or(0, |head| head.epoch),
                    ),
                ));
            }
            Ok(None) => {
                return Err(Failure::new(
                    Reason::AnchorMissing,
                    "the anchor was deleted while the ledger was open",
                ));
            }
            Err(AnchorError::Conflict) => last = refused.to_string(),
            Err(AnchorError::Unavailable(why)) => last = why,
        }
    }
    Err(Failure::new(Reason::AnchorUnavailable, last))
}
