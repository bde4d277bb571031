//! How connections are set up: every one of them is restricted before it is used.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::StoreError;

const SCHEMA: &str = include_str!("schema.sql");
/// `PeΩL` would not fit four ASCII bytes; `PenL` marks the file for `file(1)`.
const APPLICATION_ID: i64 = 0x5065_6e4c;
/// Version of the tables.
const FORMAT: i64 = 1;
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// WAL pages after which a commit also moves them to the main file; they fit into [`WAL_ROOM`].
const CHECKPOINT_PAGES: i64 = 500;
/// A reader's page cache: negative, in KiB (<https://sqlite.org/pragma.html#pragma_cache_size>).
const READER_CACHE: i64 = -256;
/// Bytes that the WAL is given at once: a flush of bytes inside a file is cheaper than one that also grows it.
const WAL_ROOM: u64 = 2 * 1024 * 1024;

pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(path, flags)?;
    harden(&connection)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Io(format!(
            "database: journal mode is {mode}, WAL is required"
        )));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    create_or_check(&mut connection)?;
    connection.authorizer(Some(authorize_writer))?;
    Ok(connection)
}

/// Fills the WAL up with zeros, which end it for SQLite: a frame counts when it repeats the salts of the header, and
/// its checksum holds (<https://sqlite.org/fileformat2.html#the_write_ahead_log>). They become durable with the first
/// commit.
///
/// Closing the file drops no lock of SQLite's: it locks the database and the shared memory, never the WAL.
pub(super) fn make_room(database: &Path) -> std::io::Result<()> {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    let wal = OpenOptions::new().write(true).open(path)?;
    let size = wal.metadata()?.len();
    let zeros = vec![0; usize::try_from(WAL_ROOM.saturating_sub(size)).unwrap_or(0)];
    wal.write_all_at(&zeros, size)
}

pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(path, flags)?;
    harden(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    // A reader goes through a page once. Few buffers stay in the processor's cache; the default of 2 MiB does not.
    connection.pragma_update(None, "cache_size", READER_CACHE)?;
    check_format(&connection)?;
    connection.authorizer(Some(authorize_reader))?;
    Ok(connection)
}

fn harden(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Else a statement is compiled anew whenever another position is bound to it, which costs more than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // A memory map would turn a failing disk into a signal instead of an error.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    Ok(())
}

fn create_or_check(connection: &mut Connection) -> Result<(), StoreError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        return check_format(connection);
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// The schema must be ours to the letter: a dropped trigger or an added table is somebody else's work.
fn check_format(connection: &Connection) -> Result<(), StoreError> {
    let pragma = |name: &str| -> rusqlite::Result<i64> { connection.pragma_query_value(None, name, |row| row.get(0)) };
    if pragma("application_id")? != APPLICATION_ID {
        return Err(StoreError::Damaged(
            "database: not a ledger (application_id differs)".into(),
        ));
    }
    let format = pragma("user_version")?;
    if format != FORMAT {
        return Err(StoreError::UnknownFormat(format));
    }
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if found != expected_schema()? {
        return Err(StoreError::Damaged(
            "database: tables, indexes or triggers are not those of a ledger".into(),
        ));
    }
    Ok(())
}

fn expected_schema() -> Result<Vec<String>, StoreError> {
    let reference = Connection::open_in_memory()?;
    reference.execute_batch(SCHEMA)?;
    let mut statement = reference.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What the writer's own statements need, and nothing else.
fn authorize_writer(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Insert {
            table_name: "entries" | "blobs",
        }
        | AuthAction::Pragma {
            pragma_name: "wal_checkpoint",
            ..
        } => Authorization::Allow,
        _ => authorize_reader(context),
    }
}

fn authorize_reader(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Pragma {
            pragma_name: "integrity_check",
            ..
        }
        | AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Function {
            function_name: "max" | "coalesce" | "length",
        } => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `synchronous` cannot be seen from outside: without it everything works until the power fails.
    #[test]
    fn a_writer_flushes_every_commit_and_readers_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let pragma = |connection: &mut Connection, name: &str| -> String {
            let unrestricted: Option<fn(AuthContext<'_>) -> Authorization> = None;
            connection.authorizer(unrestricted).unwrap();
            let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
            match connection.pragma_query_value(None, name, value).unwrap() {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => panic!("{name}: {other:?}"),
            }
        };
        let mut writer = open_writer(&path).unwrap();
        // 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous
        for (name, value) in [
            ("synchronous", "2"),
            ("journal_mode", "wal"),
            ("busy_timeout", "3000"),
            ("recursive_triggers", "1"),
            ("trusted_schema", "0"),
        ] {
            assert_eq!(pragma(&mut writer, name), value, "{name}");
        }
        let mut reader = open_reader(&path).unwrap();
        assert_eq!(pragma(&mut reader, "query_only"), "1");
    }
}
