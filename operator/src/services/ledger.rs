//! The ledger as controllers see it: open or not, always answering within a bound.
//!
//! A ledger that does not open stops promotions and nothing else: withdrawals are queued on the volume, and opening is
//! tried again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use penin_ledger::entry::Draft;
use penin_ledger::keys::Verifiers;
use penin_ledger::{
    Anchor as _, AppendError as LedgerAppendError, Failure, Ledger, Options, Reason as FailureReason, RollbackQueue,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::anchor::KubeAnchor;
use super::{keys, policy};
use crate::controllers::cycle::snapshot::LedgerView;
use crate::runtime::clock::Clock;
use crate::runtime::metrics::Metrics;

/// Pause between two tries to open the ledger.
const RETRY: Duration = Duration::from_secs(10);

/// Where the ledger and what belongs to it are.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Directory on the persistent volume.
    pub directory: PathBuf,
    /// Origin line.
    pub origin: String,
    /// Namespace of anchor and Secret.
    pub namespace: String,
    /// Name of the anchor.
    pub anchor: String,
    /// Name of the Secret with the signing keys.
    pub signing_key_secret: String,
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

/// Why nothing can be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    /// In words.
    text: String,
    /// Whether volume, keys and anchor contradict each other.
    corrupt: bool,
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { text, corrupt: false }
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        use FailureReason as Why;
        Self {
            text: failure.to_string(),
            corrupt: matches!(
                failure.reason,
                Why::AnchorMissing
                    | Why::AnchorRolledBack
                    | Why::RolledBack
                    | Why::Forked
                    | Why::Damaged
                    | Why::VolumeEmpty
                    | Why::VolumeReplaced
                    | Why::KeyMismatch
                    | Why::OriginMismatch
            ),
        }
    }
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
    pub fn new(directory: PathBuf, origin: String, metrics: Metrics) -> Self {
        let state = State::Closed("it is being opened".to_owned().into(), None);
        Self {
            state: Arc::new(Mutex::new(state)),
            directory,
            origin,
            metrics,
        }
    }

    /// Opens the ledger for `epoch`, and tries again until it opens or `stop`.
    pub async fn keep_open(
        &self,
        settings: LedgerSettings,
        client: Client,
        epoch: u64,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        loop {
            match open(&settings, &client, epoch, clock.as_ref()).await {
                Ok((ledger, public)) => {
                    tracing::info!(size = ledger.head().size, epoch, "The ledger is open");
                    self.adopt(ledger);
                    publish_policy(&settings, &client, &public).await;
                    return;
                }
                Err(problem) => {
                    tracing::error!(problem = problem.text, "The ledger does not open; nothing is promoted");
                    self.closed(problem);
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    fn adopt(&self, ledger: Ledger) {
        let mut state = self.lock();
        // What was queued on disk is found by the ledger; what never reached the disk is handed over.
        if let State::Closed(_, Some(queue)) = &mut *state {
            tracing::warn!(
                waiting = queue.in_memory(),
                "Withdrawals had been queued while the ledger was closed"
            );
        }
        *state = State::Open(Arc::new(ledger));
    }

    fn closed(&self, problem: Problem) {
        let mut state = self.lock();
        let queue = match std::mem::replace(&mut *state, State::Closed(String::new().into(), None)) {
            State::Closed(_, queue) => queue,
            State::Open(_) => None,
        };
        *state = State::Closed(problem, queue);
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
        self.look().map(|problem| problem.text)
    }

    /// The ledger as a decision needs it.
    #[must_use]
    pub fn view(&self) -> LedgerView {
        let problem = self.look();
        LedgerView {
            origin: self.origin.clone(),
            corrupt: problem.as_ref().is_some_and(|problem| problem.corrupt),
            problem: problem.map(|problem| problem.text),
        }
    }

    fn look(&self) -> Option<Problem> {
        match self.open_ledger() {
            Err(problem) => Some(problem),
            Ok(ledger) => {
                let health = ledger.health();
                self.metrics
                    .queued_withdrawals(health.rollbacks_on_disk + health.rollbacks_in_memory);
                health.failure.as_ref().map(Problem::from)
            }
        }
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
        let queued = match &mut *state {
            State::Open(ledger) => ledger.queue_rollback(draft),
            State::Closed(_, queue) => queue
                .get_or_insert_with(|| RollbackQueue::open(&self.directory))
                .push(draft),
        };
        match queued {
            Ok(place) => tracing::warn!(?place, "A withdrawal waits for the ledger"),
            Err(error) => tracing::error!(%error, "A withdrawal could not even be queued; it goes on all the same"),
        }
    }

    /// Size and root of the ledger, if it is open.
    #[must_use]
    pub fn head(&self) -> Option<(u64, String)> {
        let head = self.open_ledger().ok()?.head();
        Some((head.size, head.root.to_string()))
    }
}

async fn open(
    settings: &LedgerSettings,
    client: &Client,
    epoch: u64,
    clock: &dyn Clock,
) -> Result<(Ledger, Verifiers), Problem> {
    let runtime = Handle::current();
    let anchor = KubeAnchor::new(client.clone(), &settings.namespace, settings.anchor.clone(), runtime);
    let is_new = {
        let mut anchor = KubeAnchor::new(
            client.clone(),
            &settings.namespace,
            settings.anchor.clone(),
            Handle::current(),
        );
        let anchored = tokio::task::spawn_blocking(move || anchor.load())
            .await
            .map_err(|error| error.to_string())?;
        anchored.map_err(|error| error.to_string())?.is_none() && is_empty(&settings.directory)
    };
    let keys = keys::load(client, &settings.namespace, &settings.signing_key_secret, is_new)
        .await
        .map_err(|error| error.to_string())?;
    let public = keys.verifiers();
    let mut options = Options::new(settings.origin.clone(), clock.now().as_millisecond());
    options.holder.clone_from(&settings.holder);
    options.any_filesystem = settings.any_filesystem;
    let directory = settings.directory.clone();
    let opening = move || {
        let created = std::fs::create_dir_all(&directory);
        created.map_err(|error| format!("{}: {error}", directory.display()))?;
        Ledger::open(&directory, keys, Box::new(anchor), epoch, options).map_err(|failure| Problem::from(&failure))
    };
    let ledger = tokio::task::spawn_blocking(opening)
        .await
        .map_err(|error| error.to_string())??;
    Ok((ledger, public))
}

/// What verifiers need. A failure is logged: it stops nobody from deciding, and is made up for at the next start.
async fn publish_policy(settings: &LedgerSettings, client: &Client, public: &Verifiers) {
    let (directory, public) = (settings.directory.clone(), *public);
    let name = format!("{}-policy", settings.anchor);
    let reading = tokio::task::spawn_blocking(move || policy::data(&directory, &public));
    let published = match reading.await {
        Ok(Ok(data)) => policy::publish(client, &settings.namespace, &name, data).await,
        Ok(Err(problem)) => Err(problem),
        Err(error) => Err(error.to_string()),
    };
    if let Err(problem) = published {
        tracing::warn!(%name, %problem, "The ConfigMap with the ledger's policy and keys is not published");
    }
}

/// Whether no ledger was ever begun in the directory.
fn is_empty(directory: &std::path::Path) -> bool {
    std::fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}
