//! Which keys are in force at which entry.

use super::Report;
use crate::entry::internal::{self, Genesis, KeyRotate};
use crate::entry::{Body, Entry, Kind};
use crate::keys::{PublicKey, Verifiers};
use crate::note::{Checkpoint, NoteError};
use crate::policy::Policy;
use crate::reader::ReadError;
use crate::source::Source;

/// Keys by the first entry that they sign.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    origin: String,
    from: Vec<(u64, Verifiers)>,
}

impl Schedule {
    /// Reads the first entry and the rotations, each checked against the keys before it.
    pub fn read(source: &Source, policy: Option<&Policy>, report: &mut Report) -> Result<Self, ReadError> {
        let genesis = source
            .entry_bytes(0)?
            .and_then(|bytes| body::<Genesis>(&bytes, Kind::Genesis));
        if genesis.is_none() && source.size()? > 0 {
            report.tampered(Some(0), "the first entry is not a readable GENESIS");
        }
        let claimed = genesis.map(|genesis| (genesis.origin, genesis.keys));
        let mut schedule = match (policy, claimed) {
            (Some(policy), claimed) => {
                let pinned = (policy.origin.clone(), policy.keys);
                if claimed.is_some_and(|claimed| claimed != pinned) {
                    report.tampered(Some(0), "origin or keys are not those of the policy");
                }
                Self::start(pinned.0, &pinned.1)
            }
            (None, Some((origin, keys))) => Self::start(origin, &keys),
            (None, None) => Self {
                origin: String::new(),
                from: Vec::new(),
            },
        };
        for seq in source.rotations()? {
            let rotation = source
                .entry_bytes(seq)?
                .and_then(|bytes| body::<KeyRotate>(&bytes, Kind::KeyRotate));
            match rotation {
                Some(rotation)
                    if schedule.current() == Some(rotation.previous) && rotation.is_proved(&schedule.origin, seq) =>
                {
                    schedule.from.push((seq + 1, rotation.keys));
                }
                _ => report.tampered(Some(seq), "the key changes without a proved KEY_ROTATE"),
            }
        }
        Ok(schedule)
    }

    fn start(origin: String, keys: &Verifiers) -> Self {
        Self {
            origin,
            from: vec![(0, *keys)],
        }
    }

    fn current(&self) -> Option<Verifiers> {
        self.from.last().map(|(_, keys)| *keys)
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The attestation key that signs entry `seq`.
    pub fn attestation_key(&self, seq: u64) -> Option<PublicKey> {
        let later = self.from.partition_point(|(from, _)| *from <= seq);
        let index = later.checked_sub(1)?;
        self.from.get(index).map(|(_, keys)| keys.attestation)
    }

    /// The newest checkpoint, which one of the log's keys must have signed, or why it cannot be accepted. The line of
    /// the newest key must be there; around a rotation the one before may still be the only one.
    pub fn open(&self, note: &[u8]) -> Result<Checkpoint, NoteError> {
        let mut refused = None;
        for (_, keys) in self.from.iter().rev().take(2) {
            match Checkpoint::open(note, &self.origin, &keys.log) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(NoteError::Unsigned))
    }

    /// Whether any key is known.
    pub const fn has_keys(&self) -> bool {
        !self.from.is_empty()
    }

    /// Whether entry `seq` is a rotation that was followed.
    pub fn rotates_at(&self, seq: u64) -> bool {
        self.from.binary_search_by_key(&(seq + 1), |(from, _)| *from).is_ok()
    }
}

fn body<T: serde::de::DeserializeOwned>(bytes: &[u8], kind: Kind) -> Option<T> {
    let entry = Entry::decode(bytes).ok()?;
    match (&entry.body, entry.kind == kind) {
        (Body::Inline(body), true) => internal::read(kind, body).ok(),
        _ => None,
    }
}
