//! The ledger as controllers see it: open or not, always answering within a bound.
//!
//! A ledger that does not open, or has failed, stops promotions and nothing else: withdrawals are queued on the volume,
//! and opening is tried again (`keeping.rs`).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use penin_ledger::entry::Draft;
use penin_ledger::{AppendError as LedgerAppendError, Failure, Ledger, QueueError, Queued, RollbackQueue};

use super::keys::KeySource;
use super::problem::Problem;
use crate::controllers::cycle::snapshot::LedgerView;
use crate::runtime::clock::Clock;
use crate::runtime::metrics::Metrics;

/// Where the ledger and what belongs to it are.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Directory of the first generation on the persistent volume.
    pub directory: PathBuf,
    /// Origin line of the first generation.
    pub origin: String,
    /// Namespace of anchors and Secrets.
    pub namespace: String,
    /// Name of the first generation's anchor.
    pub anchor: String,
    /// Which generation takes entries, from 1. The one before is sealed and handed over when this one has not begun.
    pub generation: u32,
    /// The signing keys.
    pub signing_keys: KeySource,
    /// The keys before those: if they are in force, they are rotated.
    pub former_signing_keys: Option<KeySource>,
    /// Who writes: pod name and uid.
    pub holder: String,
    /// Accept a file system without lasting storage: tests only.
    pub any_filesystem: bool,
}

/// An entry that is durable and anchored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number.
    pub sequence: u64,
    /// Entries in the ledger.
    pub size: u64,
    /// Root over them.
    pub root: String,
}

/// Why an entry is not durable and anchored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The ledger did not answer in time; the entry may still become durable.
    #[error("the ledger did not answer in time")]
    Timeout,
    /// The ledger is not open.
    #[error("the ledger is closed: {0}")]
    Closed(String),
    /// The ledger refused.
    #[error(transparent)]
    Refused(#[from] LedgerAppendError),
}

enum State {
    Closed(Problem, Option<RollbackQueue>),
    Open(Arc<Ledger>),
}

/// Handle to the ledger. Clones share it.
#[derive(Clone)]
pub struct LedgerService {
    state: Arc<Mutex<State>>,
    directory: PathBuf,
    origin: String,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for LedgerService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerService")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl LedgerService {
    /// A service whose ledger is not open yet.
    #[must_use]
    pub fn new(directory: PathBuf, origin: String, metrics: Metrics, clock: Arc<dyn Clock>) -> Self {
        let state = State::Closed("it is being opened".to_owned().into(), None);
        Self {
            state: Arc::new(Mutex::new(state)),
            directory,
            origin,
            metrics,
            clock,
        }
    }

    pub(super) fn adopt(&self, ledger: Ledger) -> Arc<Ledger> {
        let damaged = ledger.health().rollbacks_damaged;
        if damaged > 0 {
            tracing::error!(
                damaged,
                "Lines of the queue of withdrawals are none and were put aside, in rollbacks.damaged beside it"
            );
        }
        let mut state = self.lock();
        let ledger = Arc::new(ledger);
        let before = std::mem::replace(&mut *state, State::Open(Arc::clone(&ledger)));
        // The ledger has found what was on disk when it was opened, and takes nothing twice. What came since, or never
        // reached the disk, it knows only from here.
        if let State::Closed(_, Some(queue)) = before {
            let drafts = queue.into_drafts();
            tracing::warn!(
                waiting = drafts.len(),
                "Withdrawals had been queued while the ledger was closed"
            );
            for draft in drafts {
                queued(ledger.queue_rollback(draft));
            }
        }
        ledger
    }

    /// Opening has failed: why, as long as it is not tried again.
    pub(super) fn closed(&self, problem: Problem) {
        let mut state = self.lock();
        let queue = match std::mem::replace(&mut *state, State::Closed(String::new().into(), None)) {
            State::Closed(_, queue) => queue,
            State::Open(_) => None,
        };
        *state = State::Closed(problem, queue);
    }

    /// Takes the ledger out of use because it has failed for good. Withdrawals that only its memory holds are queued
    /// anew; those on disk are found when it is opened again.
    pub(super) fn lost(&self, ledger: &Ledger, failure: &Failure) {
        let mut state = self.lock();
        let mut queue = None;
        for draft in ledger.unsaved_rollbacks() {
            let queue = queue.get_or_insert_with(|| RollbackQueue::open(&self.directory));
            queued(queue.push(draft));
        }
        *state = State::Closed(Problem::from(failure), queue);
    }

    /// As if opening had failed like this.
    #[cfg(test)]
    pub(crate) fn failed(&self, failure: &Failure) {
        self.closed(Problem::from(failure));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_ledger(&self) -> Result<Arc<Ledger>, Problem> {
        match &*self.lock() {
            State::Open(ledger) => Ok(Arc::clone(ledger)),
            State::Closed(problem, _) => Err(problem.clone()),
        }
    }

    /// None when promotions can be recorded, else why not.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let view = self.view();
        view.problem.or(view.clock_behind)
    }

    /// The ledger as a decision needs it.
    #[must_use]
    pub fn view(&self) -> LedgerView {
        let (problem, clock_behind, publication) = match self.open_ledger() {
            Err(problem) => (Some(problem), None, None),
            Ok(ledger) => {
                let health = ledger.health();
                let behind = ledger.clock_behind(self.clock.now().as_millisecond());
                (
                    health.failure.as_ref().map(Problem::from),
                    behind.map(|failure| failure.to_string()),
                    health.publication_error,
                )
            }
        };
        LedgerView {
            origin: self.origin.clone(),
            corrupt: problem.as_ref().is_some_and(|problem| problem.corrupt),
            problem: problem.map(|problem| problem.text),
            clock_behind,
            publication,
        }
    }

    /// Brings the metrics up to date: withdrawals that wait, and whether the published copy is behind.
    pub(super) fn measure(&self) {
        let (waiting, publication) = match &*self.lock() {
            State::Open(ledger) => {
                let health = ledger.health();
                let waiting = health.rollbacks_on_disk + health.rollbacks_in_memory;
                (waiting, health.publication_error.is_some())
            }
            State::Closed(_, queue) => {
                let waiting = queue.as_ref().map_or(0, |queue| queue.on_disk() + queue.in_memory());
                (waiting, false)
            }
        };
        self.metrics.queued_withdrawals(waiting);
        self.metrics.publication_fails(publication);
    }

    /// A state that was stored with an entry; None when there is none.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn state(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let ledger = self.open_ledger().map_err(|problem| problem.text)?;
        let key = key.to_owned();
        let read = tokio::task::spawn_blocking(move || ledger.state(&key))
            .await
            .map_err(|error| error.to_string())?;
        // An empty value is what a deleted cycle leaves.
        Ok(read
            .map_err(|error| error.to_string())?
            .filter(|bytes| !bytes.is_empty()))
    }

    /// Appends an entry and waits, at most `patience`, until it is durable and anchored.
    ///
    /// # Errors
    /// [`AppendError`].
    pub async fn append(&self, draft: Draft, patience: Duration) -> Result<Receipt, AppendError> {
        let result = self.try_append(draft, patience).await;
        match &result {
            Ok(receipt) => self.metrics.appended(receipt.size),
            Err(error) => {
                tracing::warn!(%error, "An entry was not recorded");
                self.metrics.append_failed();
            }
        }
        result
    }

    async fn try_append(&self, draft: Draft, patience: Duration) -> Result<Receipt, AppendError> {
        let ledger = self
            .open_ledger()
            .map_err(|problem| AppendError::Closed(problem.text))?;
        let ticket = ledger.append(draft);
        let receipt = tokio::time::timeout(patience, ticket)
            .await
            .map_err(|_| AppendError::Timeout)??;
        Ok(Receipt {
            sequence: receipt.seq,
            size: receipt.head.size,
            root: receipt.head.root.to_string(),
        })
    }

    /// Queues a withdrawal that the ledger could not take. It is appended when the ledger is well.
    pub fn queue_withdrawal(&self, draft: Draft) {
        let mut state = self.lock();
        queued(match &mut *state {
            State::Open(ledger) => ledger.queue_rollback(draft),
            State::Closed(_, queue) => queue
                .get_or_insert_with(|| RollbackQueue::open(&self.directory))
                .push(draft),
        });
    }

    /// Size and root of the ledger, if it is open.
    #[must_use]
    pub fn head(&self) -> Option<(u64, String)> {
        let head = self.open_ledger().ok()?.head();
        Some((head.size, head.root.to_string()))
    }
}

fn queued(result: Result<Queued, QueueError>) {
    match result {
        Ok(place) => tracing::warn!(?place, "A withdrawal waits for the ledger"),
        Err(error) => tracing::error!(%error, "A withdrawal could not even be queued; it goes on all the same"),
    }
}
