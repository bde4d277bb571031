//! The bounded queue between callers and the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::ticket::{AppendError, Pending};
use crate::entry::Prepared;
use crate::entry::internal::Successor;
use crate::health::Failure;
use crate::keys::Keys;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Append a caller's draft.
    Append(Box<Prepared>),
    /// Change to other keys.
    Rotate {
        /// The new keys.
        keys: Box<Keys>,
        /// Claimed time.
        time_ms: i64,
    },
    /// Seal the generation.
    Seal {
        /// The generation that follows.
        next: Option<Box<Successor>>,
        /// Claimed time.
        time_ms: i64,
    },
}

impl Work {
    fn weight(&self) -> usize {
        match self {
            Self::Append(prepared) => prepared.weight(),
            Self::Rotate { .. } | Self::Seal { .. } => 1_024,
        }
    }
}

pub(crate) type Item = (Work, Pending);

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    weight: usize,
    closed: Option<Failure>,
    /// The writer should look at something besides the items.
    poked: bool,
    /// Tasks that wait for room. Each is a caller that holds its own draft, so callers bound the list.
    wakers: Vec<Waker>,
}

/// Bounded by number and by bytes.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    work: Condvar,
    room: Condvar,
    most_items: usize,
    most_bytes: usize,
}

/// Largest batch of one transaction: bounds the memory of a batch and the latency of its first entry.
const BATCH_ITEMS: usize = 256;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What the writer took.
pub(crate) enum Taken {
    /// Work, possibly none when it was poked or the wait ended.
    Batch(Vec<Item>),
    /// Closed and empty.
    Closed,
}

impl Queue {
    pub fn new(most_items: usize, most_bytes: usize) -> Self {
        Self {
            inner: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            most_items: most_items.max(1),
            most_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, inner: &Inner, work: &Work) -> bool {
        // An empty queue takes anything, else a draft above the byte bound would wait forever.
        inner.items.is_empty()
            || (inner.items.len() < self.most_items && inner.weight.saturating_add(work.weight()) <= self.most_bytes)
    }

    /// Wakes the writer only after the lock is free: it would wake up to wait for it.
    fn push(&self, mut inner: MutexGuard<'_, Inner>, (work, pending): Item) {
        if let Some(failure) = &inner.closed {
            pending.resolve(Err(AppendError::Refused(failure.clone())));
        } else {
            inner.weight += work.weight();
            inner.items.push_back((work, pending));
            drop(inner);
            self.work.notify_one();
        }
    }

    /// Queues the item, or gives it back when there is no room.
    pub fn offer(&self, item: Item) -> Result<(), Item> {
        let inner = self.lock();
        if inner.closed.is_none() && !self.has_room(&inner, &item.0) {
            return Err(item);
        }
        self.push(inner, item);
        Ok(())
    }

    /// As [`Self::offer`]; without room it arranges for a wake-up and gives the item back.
    pub fn offer_or_register(&self, item: Item, waker: &Waker) -> Option<Item> {
        let mut inner = self.lock();
        if inner.closed.is_none() && !self.has_room(&inner, &item.0) {
            // Polled again, it waits already.
            if !inner.wakers.iter().any(|waiting| waiting.will_wake(waker)) {
                inner.wakers.push(waker.clone());
            }
            return Some(item);
        }
        self.push(inner, item);
        None
    }

    /// Waits for room.
    pub fn offer_blocking(&self, item: Item) {
        let mut inner = self.lock();
        while inner.closed.is_none() && !self.has_room(&inner, &item.0) {
            inner = self.room.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        self.push(inner, item);
    }

    /// Takes the next batch; waits until there is work, a poke, a close, or `patience` has passed.
    pub fn take(&self, patience: Option<Duration>) -> Taken {
        let mut inner = self.lock();
        while inner.items.is_empty() && !inner.poked && inner.closed.is_none() {
            match patience {
                None => {
                    inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
                }
                Some(patience) => {
                    let (again, waited) = self
                        .work
                        .wait_timeout(inner, patience)
                        .unwrap_or_else(PoisonError::into_inner);
                    inner = again;
                    if waited.timed_out() {
                        break;
                    }
                }
            }
        }
        if inner.items.is_empty() && inner.closed.is_some() {
            return Taken::Closed;
        }
        inner.poked = false;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(item) = inner.items.pop_front() {
            bytes += item.0.weight();
            inner.weight -= item.0.weight();
            batch.push(item);
            if batch.len() >= BATCH_ITEMS || bytes >= BATCH_BYTES {
                break;
            }
        }
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        self.room.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        Taken::Batch(batch)
    }

    /// Lets the writer look around without work.
    pub fn poke(&self) {
        self.lock().poked = true;
        self.work.notify_one();
    }

    /// Refuses all further items with `failure`. Items already queued are still taken.
    pub fn close(&self, failure: Failure) {
        let mut inner = self.lock();
        inner.closed.get_or_insert(failure);
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        self.work.notify_all();
        self.room.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Closes and refuses also what is queued.
    pub fn abort(&self, failure: &Failure) {
        self.close(failure.clone());
        let items = std::mem::take(&mut self.lock().items);
        for (_, pending) in items {
            pending.resolve(Err(AppendError::Refused(failure.clone())));
        }
    }

    pub fn len(&self) -> usize {
        self.lock().items.len()
    }
}
