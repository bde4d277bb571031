//! The record in SQLite: WAL, `synchronous=FULL`, one writer, append-only.

mod connection;

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use crate::hash::Digest;
use crate::health::{Failure, Reason};

/// File name of the database inside the ledger's directory.
pub const DATABASE: &str = "ledger.db";
/// Written and removed to see whether a full volume has room again.
const PROBE: &str = "probe";
const PROBE_BYTES: usize = 1024 * 1024;
/// Rows fetched at a time.
const PAGE: u32 = 256;

/// A failure of the storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no ledger at this place.
    #[error("{0}: no ledger here")]
    Absent(String),
    /// No space; the transaction was rolled back and nothing is unknown.
    #[error("no space left on the ledger's volume")]
    Full,
    /// A read, write or flush failed.
    #[error("{0}")]
    Io(String),
    /// The database is damaged or is not a ledger.
    #[error("{0}")]
    Damaged(String),
    /// The format is newer than this program.
    #[error("database format {0} is unknown; use a newer version of this program")]
    UnknownFormat(i64),
    /// The last row is not the one this writer wrote.
    #[error("the database's last entry is not the one that was written last")]
    HeadMoved,
    /// The file at the path is not the one that is open.
    #[error("the database file was replaced while it was open")]
    Replaced,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = format!("database: {error}");
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Io(text),
            _ => Self::Damaged(text),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let reason = match &error {
            StoreError::Full => Reason::StorageFull,
            StoreError::Absent(_) | StoreError::Io(_) => Reason::StorageFailed,
            StoreError::Damaged(_) => Reason::Damaged,
            StoreError::UnknownFormat(_) => Reason::UnknownFormat,
            StoreError::HeadMoved => Reason::RolledBack,
            StoreError::Replaced => Reason::VolumeReplaced,
        };
        Self::new(reason, error.to_string())
    }
}

/// One row to append.
pub(crate) struct Row<'a> {
    pub seq: u64,
    pub epoch: u64,
    pub kind: &'a str,
    pub subject: &'a str,
    pub cycle: &'a str,
    pub time_ms: i64,
    pub leaf: Digest,
    pub entry: &'a [u8],
    pub content: &'a [(Digest, Vec<u8>)],
}

/// A row as stored. The columns are copies for queries: what counts is the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredRow<'a> {
    pub seq: u64,
    pub epoch: u64,
    pub kind: &'a str,
    pub leaf: Digest,
    pub entry: &'a [u8],
}

/// A connection to the database.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    /// Device and inode of the open file.
    identity: (u64, u64),
    /// Whether the WAL was given its room.
    has_room: bool,
}

impl Store {
    /// Opens for writing, and creates the database when there is none.
    pub fn open_writer(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE);
        let connection = connection::open_writer(&path)?;
        Self::new(connection, path)
    }

    /// Opens an existing database for reading only.
    pub fn open_reader(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE);
        let connection = connection::open_reader(&path)?;
        Self::new(connection, path)
    }

    fn new(connection: Connection, path: PathBuf) -> Result<Self, StoreError> {
        let identity = identity(&path)?;
        Ok(Self {
            connection,
            path,
            identity,
            has_room: false,
        })
    }

    /// Number of entries and leaf hash of the last one.
    pub fn head(&self) -> Result<(u64, Digest), StoreError> {
        head(&self.connection)
    }

    /// Appends rows in one transaction, which is durable when this returns. `expected` is the head that the
    /// writer remembers: size and last leaf.
    pub fn append(&mut self, expected: (u64, Digest), rows: &[Row<'_>]) -> Result<(), StoreError> {
        if identity(&self.path)? != self.identity {
            return Err(StoreError::Replaced);
        }
        if !self.has_room {
            // Only speed is lost without it; a disk that is full refuses the commit with its own reason.
            let _ = connection::make_room(&self.path);
            self.has_room = true;
        }
        // Cached: compiling these two anew costs as much as inserting a row.
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let outcome = self.insert(expected, rows).and_then(|()| {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(())
        });
        // After some errors SQLite has rolled back by itself. If this fails, the next BEGIN says so.
        if outcome.is_err() && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        outcome
    }

    fn insert(&self, expected: (u64, Digest), rows: &[Row<'_>]) -> Result<(), StoreError> {
        if head(&self.connection)? != expected {
            return Err(StoreError::HeadMoved);
        }
        let mut known = self
            .connection
            .prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?;
        let mut blob = self
            .connection
            .prepare_cached("INSERT INTO blobs (digest, content) VALUES (?1, ?2)")?;
        let mut entry = self.connection.prepare_cached(
            "INSERT INTO entries (seq, epoch, kind, subject, cycle, time_ms, leaf, entry) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for row in rows {
            for (digest, content) in row.content {
                if !known.exists([digest.as_bytes()])? {
                    blob.execute(params![digest.as_bytes(), content])?;
                }
            }
            entry.execute(params![
                signed(row.seq),
                signed(row.epoch),
                row.kind,
                row.subject,
                row.cycle,
                row.time_ms,
                row.leaf.as_bytes(),
                row.entry,
            ])?;
        }
        Ok(())
    }

    /// Makes everything that is read here durable: flushes the WAL, moves it to the main file and flushes that.
    ///
    /// # Errors
    /// Also when a reader kept part of it from being moved for as long as a lock is waited for.
    pub fn make_durable(&self) -> Result<(), StoreError> {
        // https://sqlite.org/pragma.html#pragma_wal_checkpoint: blocked, frames in the WAL, frames moved.
        let (blocked, frames, moved): (i64, i64, i64) =
            self.connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        if blocked == 0 && frames == moved {
            return Ok(());
        }
        Err(StoreError::Io(format!(
            "database: {moved} of {frames} pages of the WAL were moved; something else reads it"
        )))
    }

    /// Whether the volume takes a file of the size that a transaction may need.
    ///
    /// # Errors
    /// [`StoreError::Full`], or why it takes nothing at all.
    pub fn probe(&self) -> Result<(), StoreError> {
        let path = self.path.with_file_name(PROBE);
        let written = fs::File::create(&path).and_then(|file| {
            file.write_all_at(&vec![1; PROBE_BYTES], 0)?;
            file.sync_all()
        });
        let removed = fs::remove_file(&path);
        written.and(removed).map_err(|error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
            _ => StoreError::Io(format!("{}: {error}", path.display())),
        })
    }

    /// Moves the WAL into the main file, so that a closed ledger is one file. Failing does no harm: the next
    /// opener reads the WAL.
    pub fn fold(&self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Calls `visit` for each row of `range` in order until it returns an error. Memory does not grow with the
    /// range. A missing row shows as a gap in `seq`.
    pub fn scan<E: From<StoreError>>(
        &self,
        range: Range<u64>,
        mut visit: impl FnMut(StoredRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = range.start;
        // Paged, so that a long scan does not hold one read transaction and keep the WAL from being reset.
        while next < range.end {
            let seen = self.scan_page(next..range.end, &mut visit)?;
            match seen {
                Some(last) => next = last + 1,
                None => break,
            }
        }
        Ok(())
    }

    fn scan_page<E: From<StoreError>>(
        &self,
        range: Range<u64>,
        visit: &mut impl FnMut(StoredRow<'_>) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT seq, epoch, kind, leaf, entry FROM entries WHERE seq >= ?1 AND seq < ?2 \
                 ORDER BY seq LIMIT ?3",
            )
            .map_err(StoreError::from)?;
        let mut rows = statement
            .query(params![signed(range.start), signed(range.end), PAGE])
            .map_err(StoreError::from)?;
        let mut last = None;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let stored = stored_row(row)?;
            visit(stored)?;
            last = Some(stored.seq);
        }
        Ok(last)
    }

    /// The bytes of one entry.
    pub fn entry(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT entry FROM entries WHERE seq = ?1")?;
        Ok(statement.query_row([signed(seq)], |row| row.get(0)).optional()?)
    }

    /// The newest entries of a cycle, newest first: their `seq`.
    pub fn of_cycle(&self, cycle: &str, limit: u32) -> Result<Vec<u64>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq FROM entries WHERE cycle = ?1 AND cycle <> '' ORDER BY seq DESC LIMIT ?2")?;
        let rows = statement.query_map(params![cycle, limit], |row| row.get::<_, i64>(0))?;
        let seqs: Result<Vec<i64>, _> = rows.collect();
        Ok(seqs?.into_iter().map(i64::cast_unsigned).collect())
    }

    /// Positions of the entries whose `kind` column says that keys change, in order.
    pub fn rotations(&self) -> Result<Vec<u64>, StoreError> {
        // Literally as in the index, or it is not used.
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq FROM entries WHERE kind = 'KEY_ROTATE' ORDER BY seq")?;
        let rows = statement.query_map([], |row| row.get::<_, i64>(0))?;
        let seqs: Result<Vec<i64>, _> = rows.collect();
        Ok(seqs?.into_iter().map(i64::cast_unsigned).collect())
    }

    /// A blob's content, checked against its digest.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT content FROM blobs WHERE digest = ?1")?;
        let content: Option<Vec<u8>> = statement.query_row([digest.as_bytes()], |row| row.get(0)).optional()?;
        match content {
            Some(content) if Digest::of(&content) != *digest => Err(StoreError::Damaged(format!(
                "blob {digest}: its content has another digest"
            ))),
            content => Ok(content),
        }
    }

    /// Checks every page: trees, indexes against their tables, and that each page belongs to something
    /// (<https://sqlite.org/pragma.html#pragma_integrity_check>). Content is for the digests to prove. Without it, damage
    /// to a page that a start does not read would show only when somebody writes or asks by it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first fault.
    pub fn check_pages(&self) -> Result<(), StoreError> {
        let found: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found == "ok" {
            return Ok(());
        }
        Err(StoreError::Damaged(format!("database: {}", found.replace('\n', " "))))
    }

    /// Whether a blob of this size is stored; its content is not read.
    pub fn has_blob(&self, digest: &Digest, size: u32) -> Result<bool, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT length(content) FROM blobs WHERE digest = ?1")?;
        let found: Option<i64> = statement.query_row([digest.as_bytes()], |row| row.get(0)).optional()?;
        Ok(found == Some(i64::from(size)))
    }

    /// Calls `visit` with digest and content of every blob stored after row `after` (0: all), and returns the
    /// last row. The digest is not checked.
    pub fn scan_blobs_after<E: From<StoreError>>(
        &self,
        after: i64,
        mut visit: impl FnMut(Digest, &[u8]) -> Result<(), E>,
    ) -> Result<i64, E> {
        let mut last = after;
        let mut statement = self
            .connection
            .prepare_cached("SELECT digest, content, rowid FROM blobs WHERE rowid > ?1 ORDER BY rowid")
            .map_err(StoreError::from)?;
        let mut rows = statement.query([after]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let (digest, content) = stored_blob(row)?;
            visit(digest, content)?;
            last = row.get(2).map_err(StoreError::from)?;
        }
        Ok(last)
    }
}

fn stored_row<'a>(row: &'a rusqlite::Row<'_>) -> Result<StoredRow<'a>, StoreError> {
    let damaged = |column: &str| StoreError::Damaged(format!("entries.{column}: wrong type"));
    let integer = |index, name: &str| -> Result<u64, StoreError> {
        let value = row.get_ref(index)?.as_i64().map_err(|_| damaged(name))?;
        u64::try_from(value).map_err(|_| damaged(name))
    };
    Ok(StoredRow {
        seq: integer(0, "seq")?,
        epoch: integer(1, "epoch")?,
        kind: row.get_ref(2)?.as_str().map_err(|_| damaged("kind"))?,
        leaf: Digest::from_slice(row.get_ref(3)?.as_blob().map_err(|_| damaged("leaf"))?)
            .ok_or_else(|| damaged("leaf"))?,
        entry: row.get_ref(4)?.as_blob().map_err(|_| damaged("entry"))?,
    })
}

fn stored_blob<'a>(row: &'a rusqlite::Row<'_>) -> Result<(Digest, &'a [u8]), StoreError> {
    let damaged = |column: &str| StoreError::Damaged(format!("blobs.{column}: wrong type"));
    let bytes = |index, name: &str| row.get_ref(index)?.as_blob().map_err(|_| damaged(name));
    let digest = Digest::from_slice(bytes(0, "digest")?).ok_or_else(|| damaged("digest"))?;
    Ok((digest, bytes(1, "content")?))
}

fn head(connection: &Connection) -> Result<(u64, Digest), StoreError> {
    let mut statement = connection.prepare_cached("SELECT seq, leaf FROM entries ORDER BY seq DESC LIMIT 1")?;
    let row: Option<(i64, [u8; 32])> = statement
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map_or((0, Digest::ZERO), |(seq, leaf)| {
        (seq.cast_unsigned() + 1, Digest::from_bytes(leaf))
    }))
}

/// SQLite integers are signed. Sizes and epochs beyond 2⁶³ are refused when the ledger is opened.
const fn signed(value: u64) -> i64 {
    value.cast_signed()
}

fn identity(path: &Path) -> Result<(u64, u64), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Replaced),
        Err(error) => Err(StoreError::Io(format!("{}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests;
