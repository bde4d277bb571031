//! Tests of the record.

use super::*;

fn row(seq: u64, entry: &[u8]) -> Row<'_> {
    Row {
        seq,
        epoch: 1,
        kind: "CONFIG",
        subject: "s",
        cycle: "ns/c",
        time_ms: 0,
        leaf: crate::hash::leaf_hash(entry),
        entry,
        content: &[],
    }
}

fn filled() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open_writer(dir.path()).unwrap();
    store.append((0, Digest::ZERO), &[row(0, b"a"), row(1, b"b")]).unwrap();
    (dir, store)
}

#[test]
fn rows_come_back_in_order_and_the_head_is_known() {
    let (_dir, store) = filled();
    let mut seen = Vec::new();
    store
        .scan(0..u64::MAX >> 1, |row| -> Result<(), StoreError> {
            seen.push((row.seq, row.entry.to_vec()));
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [(0, b"a".to_vec()), (1, b"b".to_vec())]);
    assert_eq!(store.head().unwrap(), (2, crate::hash::leaf_hash(b"b")));
    assert_eq!(store.of_cycle("ns/c", 9).unwrap(), [1, 0]);
}

#[test]
fn nothing_written_can_be_changed_through_a_connection() {
    let (_dir, store) = filled();
    for statement in [
        "UPDATE entries SET entry = x'00' WHERE seq = 0",
        "DELETE FROM entries WHERE seq = 1",
        "DROP TABLE entries",
        "DROP TRIGGER entries_in_order",
        "ALTER TABLE entries ADD COLUMN x TEXT",
        "CREATE TABLE other (x TEXT)",
        "ATTACH ':memory:' AS other",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA synchronous = OFF",
        "PRAGMA recursive_triggers = OFF",
        "INSERT OR REPLACE INTO entries VALUES (0, 1, 'CONFIG', 's', '', 0, zeroblob(32), x'00')",
        "INSERT OR REPLACE INTO entries VALUES (1, 1, 'CONFIG', 's', '', 0, zeroblob(32), x'00')",
        "INSERT INTO entries VALUES (3, 1, 'CONFIG', 's', '', 0, zeroblob(32), x'00')",
        "INSERT INTO entries VALUES (NULL, 1, 'CONFIG', 's', '', 0, zeroblob(32), x'00')",
        "INSERT INTO entries VALUES (2, 1, 'CONFIG', 's', '', 0, zeroblob(31), x'00')",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')",
    ] {
        let outcome = store.connection.execute_batch(statement);
        let head = store.head().unwrap();
        assert_eq!(head, (2, crate::hash::leaf_hash(b"b")), "{statement}");
        assert_eq!(store.entry(0).unwrap().unwrap(), b"a", "{statement}");
        assert!(outcome.is_err(), "{statement}");
    }
}

#[test]
fn replace_is_stopped_by_the_trigger_even_without_the_authorizer() {
    let (dir, store) = filled();
    drop(store);
    let bare = Connection::open(dir.path().join(DATABASE)).unwrap();
    for statement in [
        "INSERT OR REPLACE INTO entries VALUES (0, 1, 'CONFIG', 's', '', 0, zeroblob(32), x'00')",
        "UPDATE entries SET entry = x'00'",
        "DELETE FROM entries",
    ] {
        assert!(bare.execute_batch(statement).is_err(), "{statement}");
    }
}

#[test]
fn a_writer_with_another_head_is_refused() {
    let (_dir, mut store) = filled();
    let refused = store.append((1, crate::hash::leaf_hash(b"a")), &[row(2, b"c")]);
    assert_eq!(refused, Err(StoreError::HeadMoved));
    assert_eq!(store.head().unwrap().0, 2);
}

#[test]
fn a_replaced_file_is_noticed() {
    let (dir, mut store) = filled();
    let path = dir.path().join(DATABASE);
    fs::copy(&path, dir.path().join("copy")).unwrap();
    fs::rename(dir.path().join("copy"), &path).unwrap();
    let head = store.head().unwrap();
    assert_eq!(store.append(head, &[row(2, b"c")]), Err(StoreError::Replaced));
}

#[test]
fn a_foreign_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Connection::open(dir.path().join(DATABASE)).unwrap();
    bare.execute_batch("CREATE TABLE t (x TEXT)").unwrap();
    drop(bare);
    assert!(matches!(Store::open_writer(dir.path()), Err(StoreError::Damaged(_))));
}
