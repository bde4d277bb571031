//! A ledger to read from: its database, or its published files alone.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::entry::Kind;
use crate::hash::{Digest, leaf_hash};
use crate::publish::copy::PublishedCopy;
use crate::publish::paths::TILE_WIDTH;
use crate::reader::ReadError;
use crate::store::{DATABASE, Store, StoreError};

/// An entry's bytes, and for a database what its columns claim.
pub(crate) struct RawEntry<'a> {
    pub seq: u64,
    pub bytes: &'a [u8],
    /// Kind and leaf hash in the database's columns.
    pub columns: Option<(&'a str, Digest)>,
}

/// Where the entries are read from.
#[derive(Debug)]
enum From {
    Database(Store),
    Files,
}

/// A ledger's directory, opened for reading. Several may be open at once, one for each thread.
#[derive(Debug)]
pub struct Source {
    directory: PathBuf,
    from: From,
    copy: PublishedCopy,
}

impl Source {
    /// Opens the database in `directory`, or when there is none the published files (an exported copy).
    ///
    /// # Errors
    /// When there is neither, or the database is damaged.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let copy = PublishedCopy::new(directory);
        let from = if directory.join(DATABASE).exists() {
            From::Database(Store::open_reader(directory)?)
        } else if directory.join("tile").is_dir() {
            From::Files
        } else {
            return Err(StoreError::Absent(directory.display().to_string()).into());
        };
        Ok(Self {
            directory: directory.to_owned(),
            from,
            copy,
        })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether a database is read, not only published files.
    #[must_use]
    pub const fn is_database(&self) -> bool {
        matches!(self.from, From::Database(_))
    }

    /// The published files of the directory.
    #[must_use]
    pub const fn copy(&self) -> &PublishedCopy {
        &self.copy
    }

    /// Number of entries there are.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub fn size(&self) -> Result<u64, ReadError> {
        match &self.from {
            From::Database(store) => Ok(store.head()?.0),
            From::Files => {
                let full = full_bundles(&self.directory)?;
                let partial = self.bundle(full)?.len() as u64;
                Ok(full * TILE_WIDTH + partial)
            }
        }
    }

    /// The most complete version of a bundle.
    fn bundle(&self, index: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let versions = self.copy.bundle_versions(index).map_err(|e| failed(&e))?;
        Ok(versions.into_iter().max_by_key(Vec::len).unwrap_or_default())
    }

    /// Calls `visit` for the entries of a range in order; ends early where an entry is missing.
    pub(crate) fn scan<E: std::convert::From<StoreError>>(
        &self,
        range: Range<u64>,
        mut visit: impl FnMut(RawEntry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.from {
            From::Database(store) => store.scan(range, |row| {
                visit(RawEntry {
                    seq: row.seq,
                    bytes: row.entry,
                    columns: Some((row.kind, row.leaf)),
                })
            }),
            From::Files => {
                let mut next = range.start;
                while next < range.end {
                    let start = next / TILE_WIDTH * TILE_WIDTH;
                    let entries = self.bundle(start / TILE_WIDTH)?;
                    let wanted = (start..range.end).zip(&entries).filter(|(seq, _)| *seq >= next);
                    for (seq, bytes) in wanted {
                        let columns = None;
                        visit(RawEntry { seq, bytes, columns })?;
                    }
                    if (entries.len() as u64) < TILE_WIDTH {
                        break;
                    }
                    next = start + TILE_WIDTH;
                }
                Ok(())
            }
        }
    }

    /// Calls `visit` with position and bytes of the entries of a range in order; ends early where one is missing.
    /// Reads each bundle or page once: use it for more than a few entries. Memory does not grow with the range.
    ///
    /// # Errors
    /// When an entry cannot be read, or what `visit` answers.
    pub fn read<E: std::convert::From<ReadError>>(
        &self,
        range: Range<u64>,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // The database counts in signed integers; there are never as many entries.
        let range = range.start.min(u64::MAX >> 1)..range.end.min(u64::MAX >> 1);
        let mut ended = None;
        let scanned = self.scan(range, |entry| {
            visit(entry.seq, entry.bytes).map_err(|error| {
                ended = Some(error);
                // Only ends the scan; the caller gets its own error.
                StoreError::Io(String::new())
            })
        });
        match (ended, scanned) {
            (Some(error), _) => Err(error),
            (None, scanned) => scanned.map_err(|error| ReadError::from(error).into()),
        }
    }

    /// The bytes of one entry.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry_bytes(&self, seq: u64) -> Result<Option<Vec<u8>>, ReadError> {
        match &self.from {
            From::Database(store) => Ok(store.entry(seq)?),
            From::Files => {
                let at = usize::try_from(seq % TILE_WIDTH).unwrap_or(usize::MAX);
                Ok(self.bundle(seq / TILE_WIDTH)?.into_iter().nth(at))
            }
        }
    }

    /// A blob named by entry `seq`, checked against its digest.
    ///
    /// # Errors
    /// When it cannot be read or, in the database, is damaged.
    pub fn blob(&self, digest: &Digest, seq: u64) -> Result<Option<Vec<u8>>, ReadError> {
        match &self.from {
            From::Database(store) => Ok(store.blob(digest)?),
            From::Files => Ok(self.copy.blob(digest, seq / TILE_WIDTH).map_err(|e| failed(&e))?),
        }
    }

    /// Positions of the key rotations, by claim of the database's columns or by the key ids of the envelopes.
    pub(crate) fn rotations(&self) -> Result<Vec<u64>, ReadError> {
        match &self.from {
            From::Database(store) => Ok(store.rotations()?),
            From::Files => {
                let mut rotations = Vec::new();
                let mut last: Option<Vec<u8>> = None;
                self.scan(0..u64::MAX >> 1, |entry| {
                    let id = key_id_text(entry.bytes);
                    if last.as_deref().is_some_and(|last| Some(last) != id) {
                        rotations.push(entry.seq.saturating_sub(1));
                    }
                    last = id.map(<[u8]>::to_vec);
                    Ok::<(), StoreError>(())
                })?;
                // A rotation that nothing follows changes no key id.
                let size = self.size()?;
                if let Some(tail) = size.checked_sub(1)
                    && let Some(bytes) = self.entry_bytes(tail)?
                    && crate::entry::Entry::decode_trusted(&bytes, leaf_hash(&bytes))
                        .is_ok_and(|entry| entry.kind == Kind::KeyRotate)
                {
                    rotations.push(tail);
                }
                Ok(rotations)
            }
        }
    }
}

/// The key id of a canonical envelope stands at a fixed distance from its end.
fn key_id_text(bytes: &[u8]) -> Option<&[u8]> {
    const AFTER: usize = 64 + 9 + 88 + 4;
    let start = bytes.len().checked_sub(AFTER)?;
    bytes.get(start..start + 64)
}

fn full_bundles(directory: &Path) -> Result<u64, StoreError> {
    let mut index = 0;
    loop {
        let path = directory.join(crate::publish::paths::bundle_path(index, TILE_WIDTH));
        match fs::metadata(path) {
            Ok(_) => index += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(index),
            Err(error) => return Err(failed(&error)),
        }
    }
}

fn failed(error: &io::Error) -> StoreError {
    StoreError::Io(format!("published files: {error}"))
}
