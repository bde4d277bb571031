//! What a batch will hold, before any of it is written: positions, signatures, and the keys and seals that follow.

use super::queue::Work;
use super::ticket::{AppendError, Pending};
use super::{Writer, clock_behind, lock, sealed};
use crate::entry::internal::{self, Archive, Clock, KeyRotate};
use crate::entry::{Basis, DraftError, EncodedEntry, Kind, Position, Prepared, StateRef};
use crate::hash::Digest;
use crate::keys::Keys;
use crate::tree::Frontier;

/// One entry of a batch, before it is committed.
pub(super) struct Planned {
    pub prepared: Box<Prepared>,
    pub encoded: EncodedEntry,
    pub seq: u64,
    pub pending: Option<Pending>,
    /// Keys in force after this entry, when they change.
    pub rotation: Option<Box<Keys>>,
}

/// A batch being built on top of the committed tree.
pub(super) struct Batch {
    pub frontier: Frontier,
    pub last: Digest,
    pub latest_ms: i64,
    pub keys: Keys,
    pub sealed: bool,
    pub planned: Vec<Planned>,
}

impl Writer {
    pub(super) fn start_batch(&self) -> Batch {
        Batch {
            frontier: self.frontier.clone(),
            last: self.last,
            latest_ms: self.latest_ms,
            keys: self.keys.clone(),
            sealed: self.sealed,
            planned: Vec::new(),
        }
    }

    pub(super) fn plan(&self, batch: &mut Batch, work: Work, pending: Pending) {
        if batch.sealed {
            pending.resolve(Err(AppendError::Refused(sealed())));
            return;
        }
        match work {
            Work::Append(prepared) => self.plan_draft(batch, prepared, pending),
            Work::Rotate { keys, time_ms } => self.plan_rotation(batch, keys, time_ms, pending),
            Work::Seal { next, time_ms } => {
                let body = Archive {
                    size: batch.frontier.size().to_string(),
                    root: batch.frontier.root(),
                    next: next.map(|next| *next),
                };
                batch.sealed = true;
                self.plan_internal(batch, Kind::Archive, time_ms, &body, pending, None);
            }
        }
    }

    /// The first state of a basis that is not what it was. A batch stands on what is durable, anchored or not.
    fn moved(&self, batch: &Batch, basis: &[Basis]) -> Option<String> {
        if basis.is_empty() {
            return None;
        }
        let planned = batch.planned.iter().flat_map(|planned| &planned.prepared.state);
        let durable: Vec<&StateRef> = self.unanchored_state.iter().chain(planned).collect();
        let anchored = lock(&self.shared.state);
        let value = |key: &str| {
            let newest = durable.iter().rev().find(|state| state.key == key).copied();
            let newest = newest.or_else(|| anchored.get(key));
            newest.filter(|state| state.size > 0).map(|state| state.sha256)
        };
        let moved = basis.iter().find(|basis| value(&basis.key) != basis.sha256);
        moved.map(|basis| basis.key.clone())
    }

    /// A claimed time behind the last one is recorded, and stops a promotion: somebody's clock is wrong. A promotion is
    /// tried again and again, so what stops it is recorded once.
    fn plan_draft(&self, batch: &mut Batch, prepared: Box<Prepared>, pending: Pending) {
        if let Some(key) = self.moved(batch, &prepared.basis) {
            pending.resolve(Err(AppendError::StateMoved { key }));
            return;
        }
        let claimed = prepared.time_ms;
        if let Some(failure) = clock_behind(claimed, batch.latest_ms, self.shared.clock_tolerance_ms) {
            let refused = prepared.kind == Kind::PromoteAttest;
            let noted = refused && {
                let mut condition = lock(&self.shared.condition);
                condition.clock_noted_ms.replace(batch.latest_ms) == Some(batch.latest_ms)
            };
            if !noted {
                self.note_clock(batch, claimed);
            }
            if refused {
                pending.resolve(Err(AppendError::Refused(failure)));
                return;
            }
        }
        self.place(batch, prepared, Some(pending));
    }

    fn note_clock(&self, batch: &mut Batch, claimed_ms: i64) {
        let body = Clock {
            latest_ms: batch.latest_ms.to_string(),
            claimed_ms: claimed_ms.to_string(),
        };
        let draft = internal::draft(Kind::Clock, &self.origin, claimed_ms.max(0), &body);
        if let Ok(clock) = Prepared::any_kind(draft, None) {
            self.place(batch, Box::new(clock), None);
        }
    }

    fn plan_rotation(&self, batch: &mut Batch, keys: Box<Keys>, time_ms: i64, pending: Pending) {
        use base64::Engine as _;
        use ed25519_dalek::Signer as _;
        let (new, previous) = (keys.verifiers(), batch.keys.verifiers());
        if new == previous {
            // Asked again, for example after an answer that was lost.
            pending.resolve(Err(AppendError::Invalid(DraftError::KeysInForce)));
            return;
        }
        let message = KeyRotate::proof_message(&self.origin, batch.frontier.size(), &new);
        let signature = keys.attestation.sign(&message).to_bytes();
        let body = KeyRotate {
            keys: new,
            previous,
            proof: base64::engine::general_purpose::STANDARD.encode(signature),
        };
        self.plan_internal(batch, Kind::KeyRotate, time_ms, &body, pending, Some(keys));
    }

    fn plan_internal<T: serde::Serialize>(
        &self,
        batch: &mut Batch,
        kind: Kind,
        time_ms: i64,
        body: &T,
        pending: Pending,
        rotation: Option<Box<Keys>>,
    ) {
        match Prepared::any_kind(internal::draft(kind, &self.origin, time_ms, body), None) {
            Ok(prepared) => {
                self.place(batch, Box::new(prepared), Some(pending));
                if let (Some(keys), Some(planned)) = (rotation, batch.planned.last_mut()) {
                    batch.keys = (*keys).clone();
                    planned.rotation = Some(keys);
                }
            }
            Err(error) => pending.resolve(Err(AppendError::Invalid(error))),
        }
    }

    pub(super) fn place(&self, batch: &mut Batch, prepared: Box<Prepared>, pending: Option<Pending>) {
        let position = Position {
            seq: batch.frontier.size(),
            epoch: self.epoch,
            prev: batch.last,
        };
        let encoded = prepared.sign(&position, &batch.keys.attestation);
        batch.frontier.push(encoded.leaf);
        batch.last = encoded.leaf;
        batch.latest_ms = batch.latest_ms.max(prepared.time_ms);
        batch.planned.push(Planned {
            prepared,
            encoded,
            seq: position.seq,
            pending,
            rotation: None,
        });
    }
}
