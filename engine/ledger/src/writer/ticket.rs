//! The answer to an append: a future and a blocking wait over the same slot.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::anchor::Head;
use crate::entry::DraftError;
use crate::hash::Digest;
use crate::health::{Failure, Reason};

use super::queue::{Queue, Work};

/// Proof of acknowledgement: the entry is durable and a head that covers it is anchored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Position of the entry.
    pub seq: u64,
    /// Its RFC 6962 leaf hash.
    pub leaf_hash: Digest,
    /// The anchored head that covers it.
    pub head: Head,
}

/// Why an append was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The draft can never be an entry; nothing was written.
    #[error("invalid draft: {0}")]
    Invalid(#[from] DraftError),
    /// The ledger takes no entries now; nothing was written.
    #[error("the ledger refuses entries: {0}")]
    Refused(Failure),
    /// A state that the draft was decided on has changed; nothing was written. Read it and decide again.
    #[error("state {key} has changed since the decision; read it and decide again")]
    StateMoved {
        /// Name of the state.
        key: String,
    },
    /// The entry is durable at `seq` but not acknowledged: the anchor did not take its head. It must be treated
    /// as not decided; when the anchor returns it is anchored as an entry without outcome.
    #[error("entry {seq} is durable but not anchored: {failure}")]
    NotAnchored {
        /// Where the entry stands.
        seq: u64,
        /// Why it was not anchored.
        failure: Failure,
    },
    /// Writing failed in a way that leaves the outcome unknown until the ledger is opened again.
    #[error("whether the entry was written is unknown: {0}")]
    Unknown(Failure),
}

#[derive(Debug, Default)]
struct SlotState {
    result: Option<Result<Receipt, AppendError>>,
    waker: Option<Waker>,
}

/// Where the writer leaves the answer.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<SlotState>,
    resolved: Condvar,
}

impl Slot {
    fn resolve(&self, result: Result<Receipt, AppendError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.result.is_none() {
            state.result = Some(result);
            let waker = state.waker.take();
            // Only now: whoever is woken takes this lock first.
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            self.resolved.notify_all();
        }
    }
}

/// The writer's end of a slot. Dropped unresolved, as when the writer dies, it answers "unknown": a caller is
/// never left waiting.
#[derive(Debug)]
pub(crate) struct Pending(Arc<Slot>);

impl Pending {
    pub fn resolve(self, result: Result<Receipt, AppendError>) {
        self.0.resolve(result);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.resolve(Err(AppendError::Unknown(Failure::new(
            Reason::Stopped,
            "the ledger's writer ended before it answered; open the ledger again",
        ))));
    }
}

/// A promise of a [`Receipt`]. Await it, or block with [`Ticket::wait`]. Dropping it does not cancel an entry
/// that was queued; it drops a draft that still waits for room.
///
/// When the queue was full at the append, the draft waits in the ticket and enters the queue, as soon as there
/// is room, from `poll` or `wait`: callers that outrun the disk are slowed down, and nothing is lost.
#[must_use = "an append is acknowledged only when its ticket resolves"]
#[derive(Debug)]
pub struct Ticket {
    slot: Arc<Slot>,
    waiting: Option<(Work, Pending)>,
    queue: Option<Arc<Queue>>,
}

impl Ticket {
    pub(crate) fn submit(queue: &Arc<Queue>, work: Work) -> Self {
        let slot = Arc::new(Slot::default());
        let pending = Pending(Arc::clone(&slot));
        Self {
            slot,
            waiting: queue.offer((work, pending)).err(),
            queue: Some(Arc::clone(queue)),
        }
    }

    pub(crate) fn failed(error: AppendError) -> Self {
        let slot = Arc::new(Slot::default());
        slot.resolve(Err(error));
        Self {
            slot,
            waiting: None,
            queue: None,
        }
    }

    /// Blocks until the entry is acknowledged or refused. The writer bounds every step, so this ends.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn wait(mut self) -> Result<Receipt, AppendError> {
        if let (Some(queue), Some(item)) = (&self.queue, self.waiting.take()) {
            queue.offer_blocking(item);
        }
        let mut state = self.slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = state.result.clone() {
                return result;
            }
            state = self.slot.resolved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Ticket {
    type Output = Result<Receipt, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let (Some(queue), Some(item)) = (&this.queue, this.waiting.take()) {
            this.waiting = queue.offer_or_register(item, context.waker());
            if this.waiting.is_some() {
                return Poll::Pending;
            }
        }
        let mut state = this.slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = state.result.clone() {
            return Poll::Ready(result);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
