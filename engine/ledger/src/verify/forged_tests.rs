//! Ledgers that were written wrongly by somebody who has the keys, or by a bug: every signature and every hash in them
//! is in order. What is wrong is named by the auditor, and the start refuses it.

use std::path::Path;

use base64::Engine as _;
use ed25519_dalek::Signer as _;

use super::{Marks, Report, Verdict, VerifyOptions, join, verify};
use crate::entry::internal::{self, Archive, Carry, Genesis, KeyRotate};
use crate::entry::{Draft, Kind, Position, Prepared, Subject};
use crate::hash::Digest;
use crate::health::Reason;
use crate::keys::Keys;
use crate::recover::survey::Survey;
use crate::source::Source;
use crate::store::{Row, Store};
use crate::verify::chunk::Checked;
use crate::verify::published::Extent;

const ORIGIN: &str = "test.penin.ai/ledger";
const TIME: i64 = 1_790_000_000_000;

fn keys(seed: u8) -> Keys {
    Keys::generate([seed; 64])
}

/// A ledger of exactly these entries, in the database alone.
struct Forger {
    position: Position,
    keys: Keys,
    entries: Vec<(Prepared, crate::entry::EncodedEntry, u64)>,
}

impl Forger {
    fn new() -> Self {
        let position = Position {
            seq: 0,
            epoch: 3,
            prev: Digest::ZERO,
        };
        let mut forger = Self {
            position,
            keys: keys(1),
            entries: Vec::new(),
        };
        forger.genesis();
        forger
    }

    fn genesis(&mut self) {
        let body = Genesis {
            format: internal::FORMAT.into(),
            origin: ORIGIN.into(),
            keys: keys(1).verifiers(),
            previous: None,
        };
        self.add(&internal::draft(Kind::Genesis, ORIGIN, TIME, &body));
    }

    fn add(&mut self, draft: &Draft) {
        let prepared = Prepared::any_kind(draft.clone(), None).unwrap();
        let signed = prepared.sign(&self.position, &self.keys.attestation);
        self.position.seq += 1;
        self.position.prev = signed.leaf;
        self.entries.push((prepared, signed, self.position.epoch));
    }

    fn config(&mut self) {
        let subject = Subject {
            name: "model".into(),
            sha256: Digest::of(b"model"),
        };
        self.add(&Draft::new(Kind::Config, subject, TIME));
    }

    fn rotation(&mut self, previous: &Keys, proved_by: &Keys) {
        let new = keys(2).verifiers();
        let message = KeyRotate::proof_message(ORIGIN, self.position.seq, &new);
        let body = KeyRotate {
            keys: new,
            previous: previous.verifiers(),
            proof: base64::engine::general_purpose::STANDARD.encode(proved_by.attestation.sign(&message).to_bytes()),
        };
        self.add(&internal::draft(Kind::KeyRotate, ORIGIN, TIME, &body));
    }

    fn archive(&mut self) {
        let body = Archive {
            size: self.position.seq.to_string(),
            root: Digest::ZERO,
            next: None,
        };
        self.add(&internal::draft(Kind::Archive, ORIGIN, TIME, &body));
    }

    fn write(&self, dir: &Path) {
        let mut store = Store::open_writer(dir).unwrap();
        let rows: Vec<Row<'_>> = self
            .entries
            .iter()
            .zip(0..)
            .map(|((prepared, signed, epoch), seq)| Row {
                seq,
                epoch: *epoch,
                kind: prepared.kind.as_str(),
                subject: "model",
                cycle: "",
                time_ms: TIME,
                leaf: signed.leaf,
                entry: &signed.bytes,
                content: &[],
            })
            .collect();
        store.append((0, Digest::ZERO), &rows).unwrap();
    }
}

#[test]
fn what_was_signed_but_must_not_be_is_named_and_refused_at_start() {
    /// What is wrong, how it is written, what the auditor says; what the start says, where it cares.
    type Case = (&'static str, fn(&mut Forger), &'static str, Option<&'static str>);
    let cases: [Case; 10] = [
        (
            "a link",
            |f| {
                f.position.prev = Digest::ZERO;
                f.config();
            },
            "does not link",
            Some("does not link"),
        ),
        (
            "an older epoch",
            |f| {
                f.position.epoch = 2;
                f.config();
            },
            "epoch is lower",
            Some("epoch 2 after 3"),
        ),
        (
            "another key",
            |f| {
                f.keys = keys(9);
                f.config();
            },
            "not by the key in force",
            Some("not by the ledger's key"),
        ),
        (
            "a rotation that the new key did not prove",
            |f| {
                f.rotation(&keys(1), &keys(9));
                f.keys = keys(2);
                f.config();
            },
            "without a proved KEY_ROTATE",
            Some("not proved"),
        ),
        (
            "a rotation from keys that were not in force",
            |f| {
                f.rotation(&keys(9), &keys(2));
                f.keys = keys(2);
                f.config();
            },
            "without a proved KEY_ROTATE",
            Some("does not name the keys in force"),
        ),
        (
            "the old key after a rotation",
            |f| {
                f.rotation(&keys(1), &keys(2));
                f.config();
            },
            "not by the key in force",
            Some("not by the ledger's key"),
        ),
        (
            "a rotation signed by the new key",
            |f| {
                f.keys = keys(2);
                f.rotation(&keys(1), &keys(2));
            },
            "not by the key in force",
            Some("not by the ledger's key"),
        ),
        (
            "an entry after ARCHIVE",
            |f| {
                f.archive();
                f.config();
            },
            "follows the ARCHIVE",
            Some("follows the ARCHIVE"),
        ),
        (
            "a second GENESIS",
            |f| f.genesis(),
            "GENESIS must be the first",
            Some("a second GENESIS"),
        ),
        (
            "a CARRY in the middle",
            |f| {
                f.config();
                let body = Carry { from: "x".into() };
                f.add(&internal::draft(Kind::Carry, ORIGIN, TIME, &body));
            },
            "right behind GENESIS",
            None,
        ),
    ];
    for (what, forge, named, refused) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut forger = Forger::new();
        forger.config();
        forge(&mut forger);
        forger.write(dir.path());
        let report = verify(dir.path(), &VerifyOptions::default()).unwrap();
        let said: Vec<&str> = report.findings.iter().map(|finding| finding.detail.as_str()).collect();
        assert_eq!(report.verdict, Verdict::Tampered, "{what}");
        assert!(said.iter().any(|detail| detail.contains(named)), "{what}: {said:?}");
        let survey = Survey::of(&Store::open_reader(dir.path()).unwrap(), 0);
        match (survey, refused) {
            (Err(failure), Some(refused)) => {
                assert_eq!(failure.reason, Reason::Damaged, "{what}");
                assert!(failure.detail.contains(refused), "{what}: {failure}");
            }
            (survey, refused) => assert_eq!(survey.is_ok(), refused.is_none(), "{what}"),
        }
    }
}

#[test]
fn the_same_ledger_without_anything_wrong_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let mut forger = Forger::new();
    let body = Carry { from: "x".into() };
    forger.add(&internal::draft(Kind::Carry, ORIGIN, TIME, &body));
    forger.config();
    forger.rotation(&keys(1), &keys(2));
    forger.keys = keys(2);
    forger.position.epoch = 4;
    forger.config();
    forger.archive();
    forger.write(dir.path());
    let report = verify(dir.path(), &VerifyOptions::default()).unwrap();
    assert_eq!(
        (report.verdict, report.signatures),
        (Verdict::Ok, 6),
        "{:?}",
        report.findings
    );
    let survey = Survey::of(&Store::open_reader(dir.path()).unwrap(), 0).unwrap();
    assert!(survey.sealed);
    assert_eq!(survey.verifiers(), Some(keys(2).verifiers()));
}

/// Entries of different chunks are seen by different threads: what is between two of them is the joiner's to check.
#[test]
fn what_is_wrong_between_two_chunks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    Forger::new().write(dir.path());
    let source = Source::open(dir.path()).unwrap();
    let chunk = |prev: Digest, epoch: u64, last: &[u8], sealed: bool| Checked {
        first: Some(Position { seq: 0, epoch, prev }),
        last: Digest::of(last),
        epoch,
        sealed,
        runs: vec![vec![(0, Digest::of(last))]],
        ..Checked::default()
    };
    let joined = |second: Checked, sealed: bool| {
        let (results, received) = std::sync::mpsc::sync_channel(2);
        // In the other order: a later chunk may be done first.
        results.send((1, Ok(second))).unwrap();
        results.send((0, Ok(chunk(Digest::ZERO, 5, b"a", sealed)))).unwrap();
        drop(results);
        let mut report = Report::new(false, false);
        report.size = 2;
        let options = VerifyOptions::default();
        let copy = Extent {
            size: 2,
            promised: 0,
            bundles: true,
        };
        let end = join(&received, &source, copy, &options, &mut Marks::default(), &mut report).unwrap();
        assert_eq!(end.tree.size(), 2);
        let said: Vec<String> = report.findings.into_iter().map(|finding| finding.detail).collect();
        said.join("; ")
    };
    let follows = Digest::of(b"a");
    assert_eq!(joined(chunk(follows, 5, b"b", false), false), "");
    assert!(joined(chunk(Digest::ZERO, 5, b"b", false), false).contains("does not link"));
    assert!(joined(chunk(follows, 4, b"b", false), false).contains("epoch is lower"));
    assert!(joined(chunk(follows, 5, b"b", false), true).contains("follows the ARCHIVE"));
}
