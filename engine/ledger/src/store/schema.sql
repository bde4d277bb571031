-- The record. Every table is append-only; the triggers stop mistakes, the signatures and the anchor stop people.
CREATE TABLE entries (
    seq     INTEGER PRIMARY KEY CHECK (seq >= 0),
    epoch   INTEGER NOT NULL CHECK (epoch >= 0),
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    cycle   TEXT    NOT NULL,
    time_ms INTEGER NOT NULL,
    leaf    BLOB    NOT NULL CHECK (length(leaf) = 32),
    entry   BLOB    NOT NULL CHECK (length(entry) BETWEEN 1 AND 65535)
) STRICT;
CREATE INDEX entries_by_cycle ON entries (cycle, seq) WHERE cycle <> '';
-- An auditor looks for these before anything else, and would read every page for them.
CREATE INDEX entries_of_rotations ON entries (seq) WHERE kind = 'KEY_ROTATE';
CREATE TABLE blobs (
    digest  BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    content BLOB NOT NULL
) STRICT;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
-- Also what stops INSERT OR REPLACE, which is neither an update nor, without recursive triggers, a delete.
CREATE TRIGGER entries_in_order BEFORE INSERT ON entries
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), -1) + 1 FROM entries)
    BEGIN SELECT RAISE(ABORT, 'seq must be head + 1'); END;
CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs
    BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER blobs_no_delete BEFORE DELETE ON blobs
    BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER blobs_once BEFORE INSERT ON blobs
    WHEN EXISTS (SELECT 1 FROM blobs WHERE digest = NEW.digest)
    BEGIN SELECT RAISE(ABORT, 'blob exists'); END;
