//! Reading a ledger, with or without a writer at work.

use std::ops::Range;
use std::path::Path;

use crate::entry::{Body, DecodeError, Entry};
use crate::hash::Digest;
use crate::store::{Store, StoreError};

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The storage failed or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes at this position are not an entry.
    #[error("entry {seq}: {error}")]
    Entry {
        /// Position.
        seq: u64,
        /// What is wrong.
        error: DecodeError,
    },
    /// An entry names a blob that is not there.
    #[error("blob {0} is missing")]
    MissingBlob(Digest),
}

/// Read-only access to the database of a ledger. A writer may be at work.
#[derive(Debug)]
pub struct Reader {
    pub(crate) store: Store,
}

impl Reader {
    /// Opens the ledger in `directory`.
    ///
    /// # Errors
    /// When there is no database, it is damaged, or its format is unknown.
    pub fn open_read_only(directory: &Path) -> Result<Self, ReadError> {
        Ok(Self {
            store: Store::open_reader(directory)?,
        })
    }

    /// Number of entries and leaf hash of the last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn head(&self) -> Result<(u64, Digest), ReadError> {
        Ok(self.store.head()?)
    }

    /// The bytes of entry `seq`: what is hashed and signed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn entry_bytes(&self, seq: u64) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.store.entry(seq)?)
    }

    /// Entry `seq`, decoded. Its signature is not checked.
    ///
    /// # Errors
    /// When the database cannot be read or the bytes are not an entry.
    pub fn entry(&self, seq: u64) -> Result<Option<Entry>, ReadError> {
        self.store
            .entry(seq)?
            .map(|bytes| Entry::decode(&bytes).map_err(|error| ReadError::Entry { seq, error }))
            .transpose()
    }

    /// Entries of a range in order. Each is fetched when asked for: memory does not grow with the range.
    pub fn entries(&self, range: Range<u64>) -> Entries<'_> {
        Entries { reader: self, range }
    }

    /// Positions of the newest entries of the cycle `namespace/name`, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of_cycle(&self, cycle: &str, limit: u32) -> Result<Vec<u64>, ReadError> {
        Ok(self.store.of_cycle(cycle, limit)?)
    }

    /// A blob's content, checked against its digest.
    ///
    /// # Errors
    /// When the database cannot be read or the content is damaged.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.store.blob(digest)?)
    }

    /// The canonical JSON of an entry's body, wherever it is kept.
    ///
    /// # Errors
    /// When the body is in a blob that is missing or damaged.
    pub fn body(&self, entry: &Entry) -> Result<serde_json::Map<String, serde_json::Value>, ReadError> {
        match &entry.body {
            Body::Inline(body) => Ok(body.clone()),
            Body::Blob { sha256, .. } => {
                let bytes = self.blob(sha256)?.ok_or(ReadError::MissingBlob(*sha256))?;
                serde_json::from_slice(&bytes).map_err(|error| ReadError::Entry {
                    seq: entry.position.seq,
                    error: DecodeError::Statement(format!("body blob {sha256}: {error}")),
                })
            }
        }
    }
}

/// Iterator over entries. Ends after the last entry of the ledger, or after the first error.
#[derive(Debug)]
pub struct Entries<'a> {
    reader: &'a Reader,
    range: Range<u64>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let seq = self.range.next()?;
        let entry = self.reader.entry(seq).transpose();
        if !matches!(entry, Some(Ok(_))) {
            self.range = 0..0;
        }
        entry
    }
}
