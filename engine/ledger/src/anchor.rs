//! The anchor: the ledger's head kept outside the volume, moved only by compare-and-swap.
//!
//! It detects what the volume alone cannot show (a restored older copy, a cut tail, a lost volume) and it is
//! the fence between writers: whoever loses a swap has lost the ledger.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::hash::Digest;

/// How often, and how long, a swap waits for the lock of an anchor file.
const LOCK_ATTEMPTS: u32 = 1_000;
const LOCK_PAUSE: Duration = Duration::from_millis(3);

/// The head of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Origin line of the log.
    pub origin: String,
    /// Number of entries.
    #[serde(with = "decimal")]
    pub size: u64,
    /// RFC 6962 root of that many entries.
    pub root: Digest,
    /// Epoch of the writer.
    #[serde(with = "decimal")]
    pub epoch: u64,
}

/// Why the anchor could not be read or moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It does not hold what was expected: someone else moved, deleted or created it.
    #[error("the anchor does not hold the expected head")]
    Conflict,
    /// It cannot be reached; whether a swap took place is unknown.
    #[error("the anchor is unavailable: {0}")]
    Unavailable(String),
}

/// Where the head is anchored. An implementation must be durable and linearizable, must refuse to shrink,
/// and must bound its waiting: the ledger's writer calls it.
pub trait Anchor: Send {
    /// The anchored head; `None` when there is no anchor.
    ///
    /// # Errors
    /// [`AnchorError::Unavailable`] when it cannot be read.
    fn load(&mut self) -> Result<Option<Head>, AnchorError>;

    /// Replaces `expected` (`None`: no anchor exists) by `next`, atomically.
    ///
    /// # Errors
    /// [`AnchorError::Conflict`] when it holds something else; nothing changed then.
    /// [`AnchorError::Unavailable`] when the outcome is unknown.
    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError>;
}

/// An anchor in memory, shared by its clones. For tests and simulations: it does not survive the process.
#[derive(Debug, Clone, Default)]
pub struct MemoryAnchor(Arc<Mutex<Option<Head>>>);

impl MemoryAnchor {
    /// An anchor that holds `head`.
    #[must_use]
    pub fn new(head: Option<Head>) -> Self {
        Self(Arc::new(Mutex::new(head)))
    }

    /// Replaces the head unconditionally, as someone who edits the anchor by hand.
    pub fn overwrite(&self, head: Option<Head>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

impl Anchor for MemoryAnchor {
    fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref() != expected || !extends(expected, next) {
            return Err(AnchorError::Conflict);
        }
        *held = Some(next.clone());
        Ok(())
    }
}

/// The rules the `LedgerAnchor` resource enforces too: same origin, no smaller size or epoch, and a new root
/// only with a new size.
fn extends(old: Option<&Head>, new: &Head) -> bool {
    old.is_none_or(|old| {
        old.origin == new.origin
            && old.epoch <= new.epoch
            && (old.size < new.size || (old.size == new.size && old.root == new.root))
    })
}

/// An anchor in a JSON file, best on another disk than the ledger. Swaps are serialised by a lock file and
/// durable by write, flush and rename.
#[derive(Debug)]
pub struct FileAnchor {
    path: PathBuf,
    lock: File,
}

impl FileAnchor {
    /// Uses the file at `path`; its directory must exist. Beside it a file with the extension `lock` is made.
    ///
    /// # Errors
    /// When the lock file cannot be created.
    pub fn open(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        let lock = File::options()
            .create(true)
            .append(true)
            .open(path.with_extension("lock"))?;
        Ok(Self { path, lock })
    }

    fn read(&self) -> Result<Option<Head>, AnchorError> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| self.unavailable("is not an anchored head", &e)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unavailable("cannot be read", &error)),
        }
    }

    fn unavailable(&self, what: &str, error: &dyn std::error::Error) -> AnchorError {
        AnchorError::Unavailable(format!("{} {what}: {error}", self.path.display()))
    }
}

impl Anchor for FileAnchor {
    fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        self.read()
    }

    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError> {
        let locked = Locked::take(&self.lock).map_err(|e| self.unavailable("cannot be locked", &e))?;
        if self.read()?.as_ref() != expected || !extends(expected, next) {
            return Err(AnchorError::Conflict);
        }
        let mut bytes = serde_json::to_vec_pretty(next).map_err(|e| self.unavailable("cannot be written", &e))?;
        bytes.push(b'\n');
        write_durably(&self.path, &bytes).map_err(|e| self.unavailable("cannot be written", &e))?;
        drop(locked);
        Ok(())
    }
}

struct Locked<'a>(&'a File);

impl<'a> Locked<'a> {
    /// Waits for the lock, but not for ever: whoever holds it may be stopped.
    fn take(file: &'a File) -> std::io::Result<Self> {
        for _ in 0..LOCK_ATTEMPTS {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(LOCK_PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
        Err(std::io::Error::other("another process has held the lock for seconds"))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing the file releases the lock as well, so a failure here leaves nothing locked for long.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

/// Writes a whole file so that after a crash either the old or the new content is there.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes a rename or creation in the directory of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// 64-bit integers as decimal strings: JSON numbers lose digits beyond 2⁵³.
mod decimal {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(size: u64, epoch: u64) -> Head {
        Head {
            origin: "test".into(),
            size,
            root: Digest::of(&size.to_be_bytes()),
            epoch,
        }
    }

    fn rules(anchor: &mut dyn Anchor) {
        assert_eq!(anchor.load(), Ok(None));
        assert_eq!(anchor.swap(Some(&head(1, 1)), &head(2, 1)), Err(AnchorError::Conflict));
        anchor.swap(None, &head(3, 1)).unwrap();
        assert_eq!(anchor.load(), Ok(Some(head(3, 1))));
        assert_eq!(anchor.swap(None, &head(4, 1)), Err(AnchorError::Conflict));
        for (what, next) in [
            ("smaller size", head(2, 1)),
            ("smaller epoch", head(4, 0)),
            (
                "other root at the same size",
                Head {
                    root: Digest::ZERO,
                    ..head(3, 2)
                },
            ),
            (
                "other origin",
                Head {
                    origin: "else".into(),
                    ..head(4, 1)
                },
            ),
        ] {
            let refused = anchor.swap(Some(&head(3, 1)), &next);
            assert_eq!(refused, Err(AnchorError::Conflict), "{what}");
        }
        anchor.swap(Some(&head(3, 1)), &head(4, 2)).unwrap();
        assert_eq!(anchor.load(), Ok(Some(head(4, 2))));
    }

    #[test]
    fn memory_anchor_keeps_the_rules() {
        rules(&mut MemoryAnchor::default());
    }

    #[test]
    fn file_anchor_keeps_the_rules() {
        let dir = tempfile::tempdir().unwrap();
        rules(&mut FileAnchor::open(dir.path().join("anchor.json")).unwrap());
    }

    #[test]
    fn a_damaged_anchor_file_is_unavailable_not_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor.json");
        fs::write(&path, "{").unwrap();
        let mut anchor = FileAnchor::open(&path).unwrap();
        assert!(matches!(anchor.load(), Err(AnchorError::Unavailable(_))));
        assert!(matches!(
            anchor.swap(None, &head(1, 1)),
            Err(AnchorError::Unavailable(_))
        ));
    }
}
