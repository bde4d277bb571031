//! The handle that callers hold.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::anchor::{Anchor, Head};
use crate::entry::internal::Successor;
use crate::entry::{Draft, Prepared, StateRef, StateUpdate};
use crate::generations::Predecessor;
use crate::health::{Failure, Health, Reason};
use crate::keys::{Keys, Verifiers};
use crate::publish::Mailbox;
use crate::reader::{ReadError, Reader};
use crate::recover::volume::VolumeLock;
use crate::rollbacks::{QueueError, Queued};
use crate::writer::queue::Work;
use crate::writer::ticket::{AppendError, Receipt, Ticket};
use crate::writer::{Policy, Shared, Writer, clock_behind, lock, sealed};

/// How a ledger is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Origin line of the log: schema-less, unique, for example
    /// `<cluster id>.penin.ai/ledger/<namespace>/<generation>`. 1 to 255 bytes.
    pub origin: String,
    /// Claimed time of the entries that opening writes, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Who opens, for the LEADER entry: pod name and UID. At most 512 bytes.
    pub holder: String,
    /// What the generation before this one handed over; only used when this one begins.
    pub previous: Option<Predecessor>,
    /// Directories of the generations before this one, oldest first: rollbacks that still wait in their queues are
    /// recorded by this one. Default none.
    pub earlier: Vec<PathBuf>,
    /// Most drafts in the queue. Default 1,024.
    pub queue_entries: usize,
    /// Most bytes in the queue. Default 64 MiB.
    pub queue_bytes: usize,
    /// How often a swap of the anchor is tried before its entries are answered as not anchored. Default 5.
    pub anchor_attempts: u32,
    /// Pause between two tries. Default 200 ms.
    pub anchor_pause: Duration,
    /// How far a claimed time may be behind the latest before it is an anomaly. Default 5,000 ms.
    pub clock_tolerance_ms: i64,
    /// Accept file systems that give no lasting or exclusive storage (tmpfs, NFS, SMB, FUSE). Default false.
    pub any_filesystem: bool,
}

impl Options {
    /// The defaults for a log named `origin`, opened at the claimed time `time_ms`.
    #[must_use]
    pub fn new(origin: impl Into<String>, time_ms: i64) -> Self {
        Self {
            origin: origin.into(),
            time_ms,
            holder: String::new(),
            previous: None,
            earlier: Vec::new(),
            queue_entries: 1_024,
            queue_bytes: 64 * 1024 * 1024,
            anchor_attempts: 5,
            anchor_pause: Duration::from_millis(200),
            clock_tolerance_ms: 5_000,
            any_filesystem: false,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            anchor_attempts: self.anchor_attempts,
            anchor_pause: self.anchor_pause,
        }
    }
}

/// An open ledger: the only writer of its volume. Shared by reference; every method may be called from any
/// thread. Dropping it writes what is queued and closes it.
#[derive(Debug)]
pub struct Ledger {
    directory: PathBuf,
    shared: Arc<Shared>,
    reader: Mutex<Reader>,
    publication: Arc<Mailbox>,
    writer: Option<JoinHandle<()>>,
    /// Released last.
    _volume: VolumeLock,
}

impl Ledger {
    /// Opens the ledger in `directory`, creates it when there is neither an entry nor an anchor, and recovers
    /// by the recovery table. A higher `epoch` than the last writer's is claimed in the anchor first and
    /// recorded by a LEADER entry.
    ///
    /// Blocks for a pass over the whole record.
    ///
    /// # Errors
    /// With the reason of the recovery table; see [`Reason`]. Nothing but the lock file, an empty database and
    /// the claim of the epoch is written before the decision.
    #[allow(clippy::needless_pass_by_value, reason = "options are a value built for one call")]
    pub fn open(
        directory: &Path,
        keys: Keys,
        anchor: Box<dyn Anchor>,
        epoch: u64,
        options: Options,
    ) -> Result<Self, Failure> {
        crate::recover::open(directory, keys, anchor, epoch, &options)
    }

    pub(crate) fn start(
        directory: &Path,
        volume: VolumeLock,
        shared: Arc<Shared>,
        writer: Writer,
    ) -> Result<Self, Failure> {
        let reader = Reader::open_read_only(directory)
            .map_err(|error| Failure::new(Reason::StorageFailed, error.to_string()))?;
        let publication = writer.publisher.mailbox();
        let handle = std::thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| Failure::new(Reason::StorageFailed, error.to_string()))?;
        // Rollbacks may be waiting from before.
        shared.queue.poke();
        Ok(Self {
            directory: directory.to_owned(),
            shared,
            reader: Mutex::new(reader),
            publication,
            writer: Some(handle),
            _volume: volume,
        })
    }

    /// Appends an entry. Never blocks. The ticket resolves when the entry is durable and anchored (a promotion
    /// or rollback: when its second copy is durable too), or with the reason why not.
    ///
    /// Entries of one caller keep their order when each ticket is awaited, or polled once, before the next append.
    pub fn append(&self, draft: Draft) -> Ticket {
        match Prepared::new(draft) {
            Ok(prepared) => self.submit(Work::Append(Box::new(prepared))),
            Err(error) => Ticket::failed(AppendError::Invalid(error)),
        }
    }

    /// Changes to other keys with a `KEY_ROTATE` entry, signed by the old key and proved by the new one. Save the
    /// new keys before: after this the old ones no longer open the ledger.
    pub fn rotate_keys(&self, keys: Keys, time_ms: i64) -> Ticket {
        let keys = Box::new(keys);
        self.submit(Work::Rotate { keys, time_ms })
    }

    /// Seals the generation with an ARCHIVE entry that names the next one, after which nothing is accepted. See
    /// [`crate::generations::hand_over`] for what belongs to it.
    pub fn seal(&self, next: Option<Successor>, time_ms: i64) -> Ticket {
        let next = next.map(Box::new);
        self.submit(Work::Seal { next, time_ms })
    }

    fn submit(&self, work: Work) -> Ticket {
        Ticket::submit(&self.shared.queue, work)
    }

    /// Keeps a rollback (or rejection, or outcome) until the ledger is well, then appends it; for callers whose
    /// append was refused. On disk when the disk takes it, else in memory, and counted in [`Health`]. A draft that waits
    /// already, or had waited and is an entry now, is not taken twice.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub fn queue_rollback(&self, draft: Draft) -> Result<Queued, QueueError> {
        let queued = lock(&self.shared.rollbacks).push(draft)?;
        self.shared.queue.poke();
        Ok(queued)
    }

    /// Rollbacks that wait in memory because the disk did not take them, oldest first: whoever closes the ledger to open
    /// it again keeps them. Those on disk are found when it is opened.
    #[must_use]
    pub fn unsaved_rollbacks(&self) -> Vec<Draft> {
        lock(&self.shared.rollbacks).unsaved()
    }

    /// Why a promotion that claims the time `now_ms` (milliseconds since the Unix epoch) would be refused for its time;
    /// `None` when it would not. Everything else is recorded all the same, with a CLOCK entry before it.
    #[must_use]
    pub fn clock_behind(&self, now_ms: i64) -> Option<Failure> {
        let latest_ms = lock(&self.shared.condition).latest_ms;
        clock_behind(now_ms, latest_ms, self.shared.clock_tolerance_ms)
    }

    /// The newest acknowledged value of a state, checked against the digest that its entry signs.
    ///
    /// # Errors
    /// When the value cannot be read, is missing or damaged.
    pub fn state(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(reference) = lock(&self.shared.state).get(key).cloned() else {
            return Ok(None);
        };
        let value = lock(&self.reader).blob(&reference.sha256)?;
        value.map(Some).ok_or(ReadError::MissingBlob(reference.sha256))
    }

    /// Every acknowledged state that has a value, in order of their keys.
    ///
    /// # Errors
    /// When a value cannot be read, is missing or damaged.
    pub fn states(&self) -> Result<Vec<StateUpdate>, ReadError> {
        let mut references: Vec<StateRef> = lock(&self.shared.state).values().cloned().collect();
        references.retain(|reference| reference.size > 0);
        references.sort_by(|a, b| a.key.cmp(&b.key));
        let reader = lock(&self.reader);
        let value = |reference: StateRef| {
            let value = reader.blob(&reference.sha256)?;
            Ok(StateUpdate {
                value: value.ok_or(ReadError::MissingBlob(reference.sha256))?,
                key: reference.key,
            })
        };
        references.into_iter().map(value).collect()
    }

    /// Every pair of keys with the first entry that it signs. The last one is in force; GENESIS names the first.
    #[must_use]
    pub fn keys(&self) -> Vec<(u64, Verifiers)> {
        lock(&self.shared.condition).keys.clone()
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How the ledger is.
    #[must_use]
    pub fn health(&self) -> Health {
        let condition = lock(&self.shared.condition).clone();
        let rollbacks = lock(&self.shared.rollbacks);
        // Only a writer that broke down ends without a failure while the ledger is in use.
        let ended = self.writer.as_ref().is_some_and(JoinHandle::is_finished);
        let ended = || ended.then(|| Failure::new(Reason::Stopped, "the ledger's writer has ended; open it again"));
        Health {
            failure: condition
                .failure
                .or_else(|| condition.sealed.then(sealed))
                .or_else(ended),
            head: condition.anchored,
            committed: condition.committed,
            queued: self.shared.queue.len(),
            rollbacks_on_disk: rollbacks.on_disk(),
            rollbacks_in_memory: rollbacks.in_memory(),
            rollbacks_damaged: rollbacks.damaged(),
            publication_error: self.publication.error(),
        }
    }

    /// The last anchored head.
    #[must_use]
    pub fn head(&self) -> Head {
        lock(&self.shared.condition).anchored.clone()
    }

    /// A reader of its own connection, to be used from another thread.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn reader(&self) -> Result<Reader, ReadError> {
        Reader::open_read_only(&self.directory)
    }

    /// Writes what is queued, publishes, and closes.
    pub fn close(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shared
            .queue
            .close(Failure::new(Reason::Stopped, "the ledger is closed"));
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has already answered every caller; there is nothing left to save here.
            let _ = writer.join();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The outcome of an append.
pub type AppendResult = Result<Receipt, AppendError>;
