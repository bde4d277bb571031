//! Rollback drafts that wait for a ledger that is broken or out of reach.
//!
//! A rollback is never held up by the ledger. Its entry is kept in a side file, flushed, and appended when the
//! ledger is well; when not even the side file can be written it is kept in memory, and counted.
//!
//! What waits when a generation is archived is recorded by the next one: see `inherit`.

mod file;

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::anchor::{sync_parent, write_durably};
use crate::entry::{Draft, DraftError, Kind, Prepared};
use crate::hash::Digest;
use file::{line, parse, read_bounded};

/// File name inside the ledger's directory.
pub const ROLLBACK_QUEUE: &str = "rollbacks.queue";
/// Unreadable lines of the queue are kept here, never dropped.
const DAMAGED: &str = "rollbacks.damaged";
/// Most drafts that wait, on disk and in memory together.
pub const MOST_ROLLBACKS: usize = 1_024;
/// Most bytes of one draft's line: the largest evidence, in Base64, and all that belongs to it.
const MOST_LINE: usize = 16 * 1024 * 1024;
/// Most bytes of all that waits; also what the side file may grow to, and twice that is read at most.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Bytes that are appended to the ledger at a time.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Drafts that are appended to the ledger at a time.
const BATCH_ITEMS: usize = 256;

/// Where a queued draft is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// In the side file, flushed: survives the process and the machine.
    OnDisk,
    /// In memory only: lost if the process ends before the ledger is well.
    InMemory,
}

/// Why a draft was not queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The draft can never be an entry.
    #[error("invalid draft: {0}")]
    Invalid(#[from] DraftError),
    /// Only rollbacks and what belongs to them may wait.
    #[error("kind: {0} cannot wait for the ledger; only ROLLBACK, REJECTION, OVERRIDE and OUTCOME can")]
    Kind(Kind),
    /// Too many drafts wait, or this one is too large.
    #[error("the rollback queue is full")]
    Full,
}

/// Where a waiting draft is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// In the side file.
    OnDisk,
    /// Nowhere else.
    InMemory,
    /// In the side file of an earlier generation.
    Earlier,
}

#[derive(Debug, Clone)]
struct Waiting {
    id: Digest,
    draft: Draft,
    /// Length of its JSON.
    bytes: usize,
    kept: Kept,
}

/// The queue. The operator uses it directly when the ledger does not open; an open ledger owns its own.
#[derive(Debug, Clone)]
pub struct RollbackQueue {
    path: PathBuf,
    waiting: VecDeque<Waiting>,
    damaged: usize,
    /// Whether this process has flushed the directory since the file was made. An earlier process may have been killed
    /// between making the file and flushing its name.
    named: bool,
    /// The side file holds, or may hold, lines that are kept nowhere else: it is never replaced.
    unread: bool,
    /// Drafts that are in the ledger, and anchored.
    recorded: HashSet<Digest>,
    /// Directories of earlier generations whose side files hold some of `waiting`.
    earlier: Vec<PathBuf>,
    /// Half a line may stand at the end of the side file, which could not be cut off.
    torn: bool,
}

impl RollbackQueue {
    fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(ROLLBACK_QUEUE),
            waiting: VecDeque::new(),
            damaged: 0,
            named: false,
            unread: false,
            recorded: HashSet::new(),
            earlier: Vec::new(),
            torn: false,
        }
    }

    /// Reads the side file of the ledger in `directory`. Never fails: a file that cannot be read stays as it is, and new
    /// drafts are added to it, or kept in memory when that fails too. The ledger does not open beside such a file.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        Self::read(directory).unwrap_or_else(|_| Self {
            unread: true,
            ..Self::new(directory)
        })
    }

    /// Reads the side file of the ledger in `directory`; none is an empty queue.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let mut queue = Self::new(directory);
        let bytes = read_bounded(&queue.path)?;
        let mut damaged = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match parse(line) {
                // What ends a line that may have been torn.
                _ if line == b"\n" => {}
                // Written again after a flush that failed.
                Some(waiting) if queue.knows(&waiting.id) => {}
                Some(waiting) if queue.waiting.len() < MOST_ROLLBACKS => {
                    queue.waiting.push_back(waiting);
                }
                _ => damaged.extend_from_slice(line),
            }
        }
        if !damaged.is_empty() {
            queue.damaged = damaged.split_inclusive(|byte| *byte == b'\n').count();
            queue.set_aside(directory, &damaged);
        }
        Ok(queue)
    }

    /// Keeps unreadable lines for a person, and cleans the queue so that appending to a torn line cannot
    /// damage the next draft. When the disk refuses, the old file stays and is looked at again.
    fn set_aside(&mut self, directory: &Path, lines: &[u8]) {
        let path = directory.join(DAMAGED);
        let kept = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(lines)?;
                file.sync_all()?;
                sync_parent(&path)
            });
        if kept.is_ok() {
            self.rewrite();
        } else {
            self.unread = true;
        }
    }

    fn knows(&self, id: &Digest) -> bool {
        self.waiting.iter().any(|waiting| waiting.id == *id)
    }

    /// Queues a draft; one that waits already, or is in the ledger, is not queued again. What is answered as
    /// [`Queued::OnDisk`] is flushed, and so is the file's name.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub fn push(&mut self, draft: Draft) -> Result<Queued, QueueError> {
        if !matches!(
            draft.kind,
            Kind::Rollback | Kind::Rejection | Kind::Override | Kind::Outcome
        ) {
            return Err(QueueError::Kind(draft.kind));
        }
        let mut draft = draft;
        crate::redact::body(&mut draft.body);
        Prepared::new(draft.clone())?;
        let json = serde_json::to_vec(&draft).map_err(|_| QueueError::Full)?;
        let bytes: usize = self.waiting.iter().map(|waiting| waiting.bytes).sum();
        if self.waiting.len() >= MOST_ROLLBACKS || json.len() > MOST_LINE || bytes + json.len() > MOST_BYTES {
            return Err(QueueError::Full);
        }
        let id = Digest::of(&json);
        if self.recorded.contains(&id) {
            return Ok(Queued::OnDisk);
        }
        let known = self.waiting.iter().position(|waiting| waiting.id == id);
        let kept = known.and_then(|at| self.waiting.get(at)).map(|waiting| waiting.kept);
        let kept = match kept {
            Some(kept @ (Kept::OnDisk | Kept::Earlier)) => kept,
            _ if self.write_line(&id, &json).is_ok() => Kept::OnDisk,
            _ => Kept::InMemory,
        };
        if let Some(waiting) = known.and_then(|at| self.waiting.get_mut(at)) {
            waiting.kept = kept;
        } else {
            let bytes = json.len();
            self.waiting.push_back(Waiting { id, draft, bytes, kept });
        }
        Ok(match kept {
            Kept::OnDisk | Kept::Earlier => Queued::OnDisk,
            Kept::InMemory => Queued::InMemory,
        })
    }

    fn write_line(&mut self, id: &Digest, json: &[u8]) -> io::Result<()> {
        let mut line = format!("{id} ").into_bytes();
        if self.unread || self.torn {
            // Nobody knows whether the last line is whole.
            line.insert(0, b'\n');
        }
        line.extend_from_slice(json);
        line.push(b'\n');
        let mut file = File::options().create(true).append(true).open(&self.path)?;
        let before = file.metadata()?.len();
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line would spoil the next one. If even this fails, the next one begins on a line of its own, and
            // reading sets the torn one aside.
            let cut = file.set_len(before);
            self.torn |= cut.is_err();
            cut?;
        }
        written?;
        self.torn = false;
        if !self.named {
            sync_parent(&self.path)?;
            self.named = true;
        }
        Ok(())
    }

    /// Drafts that wait, oldest first, with the id that makes appending them idempotent: as many as are appended at a
    /// time.
    pub(crate) fn next_batch(&self) -> Vec<(Digest, Draft)> {
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            let first = bytes == 0;
            bytes += waiting.bytes;
            first || bytes <= BATCH_BYTES
        };
        let some = self.waiting.iter().take(BATCH_ITEMS).take_while(fits);
        some.map(|waiting| (waiting.id, waiting.draft.clone())).collect()
    }

    /// Drafts that wait, oldest first, for a queue of another process or an open ledger to take.
    #[must_use]
    pub fn into_drafts(self) -> Vec<Draft> {
        self.waiting.into_iter().map(|waiting| waiting.draft).collect()
    }

    /// Takes out a draft that can be no entry of this program's; another version's checks may have let it in. Its line is
    /// kept for a person.
    pub(crate) fn refuse(&mut self, id: &Digest) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.id == *id) else {
            return;
        };
        let line = self
            .waiting
            .remove(at)
            .and_then(|waiting| line(&waiting))
            .unwrap_or_default();
        self.damaged += 1;
        if let Some(directory) = self.path.parent().map(Path::to_owned) {
            self.set_aside(&directory, &line);
        }
    }

    /// Forgets drafts that are in the ledger now, and anchored.
    pub(crate) fn remove(&mut self, done: impl Fn(&Digest) -> bool) {
        self.remove_all(&done);
    }

    /// Forgets drafts that are in the ledger now, and takes none of them again.
    pub(crate) fn remove_recorded(&mut self, recorded: &HashSet<Digest>) {
        self.remove_all(&|id| recorded.contains(id));
        self.recorded.extend(recorded);
    }

    fn remove_all(&mut self, done: &dyn Fn(&Digest) -> bool) {
        let before = std::mem::take(&mut self.waiting);
        let gone: VecDeque<Waiting>;
        (gone, self.waiting) = before.into_iter().partition(|waiting| done(&waiting.id));
        if gone.is_empty() {
            return;
        }
        self.recorded.extend(gone.iter().map(|waiting| waiting.id));
        if gone.iter().any(|waiting| waiting.kept != Kept::Earlier) {
            self.rewrite();
        }
        if gone.iter().any(|waiting| waiting.kept == Kept::Earlier) {
            for directory in &self.earlier {
                // Read again, for lines that came later. What is left by a failure is found recorded at the next start.
                if let Ok(mut queue) = Self::read(directory) {
                    queue.remove_all(done);
                }
            }
        }
    }

    /// Takes over what waits in the queue of the generation in `directory`, before everything that waits here. Its lines
    /// stay in that queue until [`RollbackQueue::remove`] is told that they are anchored; those of `recorded` go at once.
    ///
    /// A state whose key is in `decided` is left out: this generation has moved on from it.
    pub(crate) fn inherit(
        &mut self,
        directory: &Path,
        mut queue: Self,
        recorded: &HashSet<Digest>,
        decided: &HashSet<String>,
    ) {
        self.damaged += queue.damaged;
        queue.remove_recorded(recorded);
        if queue.waiting.is_empty() {
            return;
        }
        self.earlier.push(directory.to_owned());
        for mut waiting in queue.waiting.into_iter().rev() {
            if !self.knows(&waiting.id) {
                waiting.kept = Kept::Earlier;
                waiting.draft.state.retain(|state| !decided.contains(&state.key));
                self.waiting.push_front(waiting);
            }
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes the whole file anew. On failure the old file stays: its drafts are recognised by their ids.
    fn rewrite(&mut self) {
        if self.unread {
            return;
        }
        let own = self.waiting.iter().filter(|waiting| waiting.kept != Kept::Earlier);
        let bytes: Vec<u8> = own.filter_map(line).flatten().collect();
        // Also after a failure: the file may have been replaced, and its new name not flushed.
        self.named = write_durably(&self.path, &bytes).is_ok();
        if self.named {
            for waiting in self.waiting.iter_mut().filter(|waiting| waiting.kept != Kept::Earlier) {
                waiting.kept = Kept::OnDisk;
            }
        }
    }

    /// Drafts that the disk did not take, oldest first: they are lost unless another queue takes them.
    pub(crate) fn unsaved(&self) -> Vec<Draft> {
        let unsaved = self.waiting.iter().filter(|waiting| waiting.kept == Kept::InMemory);
        unsaved.map(|waiting| waiting.draft.clone()).collect()
    }

    /// Number of drafts in the side file, or in that of an earlier generation.
    #[must_use]
    pub fn on_disk(&self) -> usize {
        self.waiting.len() - self.in_memory()
    }

    /// Number of drafts in memory only.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.waiting.iter().filter(|w| w.kept == Kept::InMemory).count()
    }

    /// Number of unreadable lines found when the queue was read; they are kept in `rollbacks.damaged`.
    #[must_use]
    pub const fn damaged(&self) -> usize {
        self.damaged
    }
}

#[cfg(test)]
mod tests;
