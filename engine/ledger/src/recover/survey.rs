//! One pass over the record at start: recomputes the tree and the chain, and collects what the writer needs.

use std::collections::{HashMap, HashSet};

use crate::entry::internal::{self, Genesis, KeyRotate};
use crate::entry::{Body, Entry, Kind, StateRef, split_chain};
use crate::hash::{Digest, leaf_hash};
use crate::health::{Failure, Reason};
use crate::keys::Verifiers;
use crate::store::{Store, StoredRow};
use crate::tree::Frontier;

/// What the record says, entry by entry. Its memory grows with the number of state keys, not of entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
    pub frontier: Frontier,
    /// Leaf hash of the last entry.
    pub last: Digest,
    pub epoch: u64,
    /// Latest claimed time.
    pub latest_ms: i64,
    pub genesis: Option<Genesis>,
    /// Keys with the first entry that they sign; the last ones are in force.
    pub keys: Vec<(u64, Verifiers)>,
    pub sealed: bool,
    pub state: HashMap<String, StateRef>,
    /// Keys of states that were not only carried over from the generation before.
    pub decided: HashSet<String>,
    /// Which of the queued rollbacks are already entries.
    pub queued: HashSet<Digest>,
    /// Root at the size asked for.
    pub root_at_mark: Option<Digest>,
    mark: u64,
}

impl Survey {
    /// Prepares a pass that remembers the root at size `mark`.
    pub fn new(mark: u64) -> Self {
        let mut survey = Self {
            mark,
            ..Self::default()
        };
        survey.note_root();
        survey
    }

    /// Reads every page, entry and blob of the database.
    pub fn of(store: &Store, mark: u64) -> Result<Self, Failure> {
        store.check_pages()?;
        let mut survey = Self::new(mark);
        store.scan(0..u64::MAX >> 1, |row| {
            let entry = survey.row(&row)?;
            for (digest, size) in entry.content() {
                if !store.has_blob(&digest, size)? {
                    return Err(damaged(row.seq, format!("blob {digest} is missing")));
                }
            }
            Ok(())
        })?;
        store.scan_blobs_after(0, |digest, content| {
            if Digest::of(content) == digest {
                Ok(())
            } else {
                let detail = format!("blob {digest}: its content has another digest");
                Err(Failure::new(Reason::Damaged, detail))
            }
        })?;
        Ok(survey)
    }

    /// Keys in force after the last entry.
    pub fn verifiers(&self) -> Option<Verifiers> {
        self.keys.last().map(|(_, keys)| *keys)
    }

    fn row(&mut self, row: &StoredRow<'_>) -> Result<Entry, Failure> {
        let entry = self.add(row.seq, row.entry)?;
        if entry.leaf != row.leaf || entry.position.epoch != row.epoch || entry.kind.as_str() != row.kind {
            return Err(damaged(row.seq, "its columns do not match its content"));
        }
        Ok(entry)
    }

    /// Adds the next entry.
    pub fn add(&mut self, seq: u64, bytes: &[u8]) -> Result<Entry, Failure> {
        let expected = self.frontier.size();
        if seq != expected {
            return Err(damaged(expected, format!("the next row has seq {seq}")));
        }
        let Some(epoch) = split_chain(bytes, seq, &self.last) else {
            return Err(damaged(
                seq,
                "does not link to the entry before it (seq or prev differs)",
            ));
        };
        if epoch < self.epoch {
            return Err(damaged(seq, format!("epoch {epoch} after {}", self.epoch)));
        }
        // Entries above the anchor are covered by no trusted root, only by their signature.
        let trusted = seq < self.mark;
        let entry = if trusted {
            Entry::decode_trusted(bytes, leaf_hash(bytes))
        } else {
            Entry::decode(bytes)
        }
        .map_err(|error| damaged(seq, error.to_string()))?;
        self.note(&entry, trusted)?;
        Ok(entry)
    }

    fn note(&mut self, entry: &Entry, trusted: bool) -> Result<(), Failure> {
        let seq = entry.position.seq;
        self.note_keys(entry).map_err(|reason| damaged(seq, reason))?;
        if !trusted && !self.signed_before(entry) {
            return Err(damaged(seq, "its signature is not by the ledger's key"));
        }
        if self.sealed {
            return Err(damaged(seq, "follows the ARCHIVE entry"));
        }
        self.sealed = entry.kind == Kind::Archive;
        for state in &entry.state {
            if entry.kind != Kind::Carry && !self.decided.contains(&state.key) {
                self.decided.insert(state.key.clone());
            }
            self.state.insert(state.key.clone(), state.clone());
        }
        self.queued.extend(entry.queued);
        self.epoch = entry.position.epoch;
        self.latest_ms = self.latest_ms.max(entry.time_ms);
        self.last = entry.leaf;
        self.frontier.push(entry.leaf);
        self.note_root();
        Ok(())
    }

    /// GENESIS names the first keys and `KEY_ROTATE` the next ones.
    fn note_keys(&mut self, entry: &Entry) -> Result<(), String> {
        let Body::Inline(body) = &entry.body else {
            return if entry.kind.is_internal() {
                Err("an internal entry has its body in a blob".into())
            } else {
                Ok(())
            };
        };
        match (entry.kind, &self.genesis) {
            (Kind::Genesis, None) => {
                let genesis: Genesis = internal::read(Kind::Genesis, body)?;
                if genesis.format != internal::FORMAT {
                    return Err(format!("format {:?} is unknown", genesis.format));
                }
                self.keys.push((0, genesis.keys));
                self.genesis = Some(genesis);
            }
            (Kind::Genesis, Some(_)) => return Err("a second GENESIS".into()),
            (_, None) => return Err("the first entry is not GENESIS".into()),
            (Kind::KeyRotate, Some(genesis)) => {
                let rotation: KeyRotate = internal::read(Kind::KeyRotate, body)?;
                if Some(rotation.previous) != self.verifiers() {
                    return Err("KEY_ROTATE does not name the keys in force".into());
                }
                if !rotation.is_proved(&genesis.origin, entry.position.seq) {
                    return Err("KEY_ROTATE is not proved by the new key".into());
                }
                self.keys.push((entry.position.seq + 1, rotation.keys));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the entry is signed by the key in force before it; a rotation is signed by the old key.
    fn signed_before(&self, entry: &Entry) -> bool {
        let key = match (entry.kind, &entry.body) {
            (Kind::KeyRotate, Body::Inline(body)) => internal::read(Kind::KeyRotate, body)
                .ok()
                .map(|rotation: KeyRotate| rotation.previous.attestation),
            _ => self.verifiers().map(|verifiers| verifiers.attestation),
        };
        key.is_some_and(|key| entry.envelope.verify(&key))
    }

    fn note_root(&mut self) {
        if self.frontier.size() == self.mark {
            self.root_at_mark = Some(self.frontier.root());
        }
    }
}

fn damaged(seq: u64, detail: impl AsRef<str>) -> Failure {
    Failure::new(Reason::Damaged, format!("entry {seq}: {}", detail.as_ref()))
}
