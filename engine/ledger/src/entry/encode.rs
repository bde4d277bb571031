//! From a draft to the bytes of an entry, in two steps: everything that does not depend on the position is
//! checked and serialised by the caller's thread; the writer only adds the chain link and signs.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Basis, Blob, Draft, Kind, MAX_BLOB, MAX_ENTRY, MAX_INLINE_BODY, MAX_NAME, MAX_REFERENCES, PREDICATE_TYPE,
    Predicate, STATEMENT_TYPE, StateRef, StateUpdate, WireBodyBlob, WireDigest, WireSubject,
};
use crate::canonical::{self, CanonicalError};
use crate::dsse::{self, Envelope};
use crate::entry::BlobRef;
use crate::hash::{Digest, leaf_hash};
use crate::redact;

/// A draft that can never become an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Only the ledger writes this kind.
    #[error("kind: {0} is written by the ledger itself")]
    InternalKind(Kind),
    /// A text is empty where it must not be, too long, or has control characters.
    #[error("{field}: must have {min} to {MAX_NAME} bytes and no control characters")]
    Text {
        /// Path of the field.
        field: String,
        /// Smallest length.
        min: usize,
    },
    /// A list is too long.
    #[error("{field}: at most {MAX_REFERENCES} items")]
    TooMany {
        /// Path of the field.
        field: &'static str,
    },
    /// A blob or state value is too large.
    #[error("{field}: {size} bytes, at most {MAX_BLOB}")]
    BlobTooLarge {
        /// Path of the field.
        field: String,
        /// Its size.
        size: usize,
    },
    /// Two state updates have the same key.
    #[error("state: key {0:?} appears twice")]
    DuplicateState(String),
    /// A time outside the years 1970 to 9999.
    #[error("time: {0} ms is outside the years 1970 to 9999")]
    Time(i64),
    /// A JSON blob or state holds a secret. It is named by its digest, so it cannot be redacted here.
    #[error(
        "{field}: reads like a secret by its name or its form, and cannot be redacted there; rename it or leave it out"
    )]
    Secret {
        /// Path of the field.
        field: String,
    },
    /// The new keys are those in force.
    #[error("keys: these are in force already")]
    KeysInForce,
    /// The body has no faithful canonical form.
    #[error("body: {0}")]
    Body(#[from] CanonicalError),
    /// The entry exceeds the 16-bit length of entry bundles.
    #[error("entry of {size} bytes, at most {MAX_ENTRY}; move large fields to blobs")]
    EntryTooLarge {
        /// Size it would have.
        size: usize,
    },
}

/// Where an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Index of the leaf, from 0.
    pub seq: u64,
    /// Epoch of the writer.
    pub epoch: u64,
    /// Leaf hash of the entry before; zero for the first.
    pub prev: Digest,
}

/// A checked draft, serialised up to its position.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) kind: Kind,
    pub(crate) time_ms: i64,
    /// The predicate without `_chain`: a non-empty canonical object.
    predicate: Vec<u8>,
    /// The canonical subject list.
    subject: Vec<u8>,
    /// Blobs and state values by digest.
    pub(crate) content: Vec<(Digest, Vec<u8>)>,
    pub(crate) state: Vec<StateRef>,
    pub(crate) basis: Vec<Basis>,
    /// Digest of the draft that had waited in the rollback queue.
    pub(crate) queued: Option<Digest>,
    pub(crate) columns: Columns,
}

/// Copies of entry fields for queries; the entry itself is what counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Subject name.
    pub subject: String,
    /// Cycle `namespace/name`, or empty.
    pub cycle: String,
}

/// A signed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedEntry {
    /// The canonical envelope.
    pub bytes: Vec<u8>,
    /// Its RFC 6962 leaf hash.
    pub leaf: Digest,
}

impl Prepared {
    /// Checks and serialises a draft.
    ///
    /// # Errors
    /// See [`DraftError`].
    pub fn new(mut draft: Draft) -> Result<Self, DraftError> {
        if draft.kind.is_internal() {
            return Err(DraftError::InternalKind(draft.kind));
        }
        redact::body(&mut draft.body);
        check_secrets(&draft)?;
        Self::any_kind(draft, None)
    }

    /// As [`Self::new`], for the ledger's own kinds and for drafts that waited in the rollback queue.
    pub(crate) fn any_kind(draft: Draft, queued: Option<Digest>) -> Result<Self, DraftError> {
        check_texts(&draft)?;
        check_sizes(&draft)?;
        let time = Timestamp::from_millisecond(draft.time_ms)
            .ok()
            .filter(|time| time.as_millisecond() >= 0)
            .ok_or(DraftError::Time(draft.time_ms))?;
        let columns = Columns {
            subject: draft.subject.name.clone(),
            cycle: draft.cycle.as_ref().map_or_else(String::new, |c| c.name.clone()),
        };
        let mut content = Vec::new();
        let blobs = blob_references(draft.blobs, &mut content);
        let state = state_references(draft.state, &mut content);
        let body_blob = body_blob(&Value::Object(draft.body.clone()), &mut content)?;
        let body = body_blob.is_none().then_some(draft.body);
        let predicate = canonical::write(&Predicate {
            chain: None,
            blobs,
            body,
            body_blob,
            content_hashes: draft.content_hashes,
            cycle: draft.cycle,
            kind: draft.kind,
            queued,
            state: state.clone(),
            time: format!("{time:.3}"),
            trace_id: draft.trace_id,
        })?;
        let subject = canonical::write(&[WireSubject {
            digest: WireDigest {
                sha256: draft.subject.sha256,
            },
            name: draft.subject.name,
        }])?;
        let prepared = Self {
            kind: draft.kind,
            time_ms: draft.time_ms,
            predicate,
            subject,
            content,
            state,
            basis: draft.basis,
            queued,
            columns,
        };
        let size = prepared.longest();
        if size > MAX_ENTRY {
            return Err(DraftError::EntryTooLarge { size });
        }
        Ok(prepared)
    }

    /// Length of the entry at the longest position: a draft's fate does not depend on when it is written.
    fn longest(&self) -> usize {
        let position = Position {
            seq: u64::MAX,
            epoch: u64::MAX,
            prev: Digest::ZERO,
        };
        dsse::encoded_length(self.statement(&position).len())
    }

    /// Bytes held in memory until written.
    pub(crate) fn weight(&self) -> usize {
        let content: usize = self.content.iter().map(|(_, bytes)| bytes.len()).sum();
        self.predicate.len() + self.subject.len() + content
    }

    /// Adds the position and signs.
    #[must_use]
    pub fn sign(&self, position: &Position, key: &ed25519_dalek::SigningKey) -> EncodedEntry {
        let bytes = Envelope::sign(self.statement(position), key).to_json();
        EncodedEntry {
            leaf: leaf_hash(&bytes),
            bytes,
        }
    }

    /// The canonical statement: written around the canonical parts, equal to canonicalising the whole (tested).
    fn statement(&self, position: &Position) -> Vec<u8> {
        let mut bytes = chain_prefix(position).into_bytes();
        bytes.push(b',');
        bytes.extend_from_slice(self.predicate.strip_prefix(b"{").unwrap_or(&self.predicate));
        bytes.extend_from_slice(br#","predicateType":""#);
        bytes.extend_from_slice(PREDICATE_TYPE.as_bytes());
        bytes.extend_from_slice(br#"","subject":"#);
        bytes.extend_from_slice(&self.subject);
        bytes.push(b'}');
        bytes
    }
}

/// How every statement starts: position and link at a fixed place.
pub(super) fn chain_prefix(position: &Position) -> String {
    format!(
        r#"{{"_type":"{STATEMENT_TYPE}","predicate":{{"_chain":{{"epoch":"{}","prev":"{}","seq":"{}"}}"#,
        position.epoch, position.prev, position.seq
    )
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The reference to the blob that a body becomes when it is too long to stand in the entry.
fn body_blob(body: &Value, content: &mut Vec<(Digest, Vec<u8>)>) -> Result<Option<WireBodyBlob>, DraftError> {
    let bytes = canonical::to_vec(body)?;
    if bytes.len() <= MAX_INLINE_BODY {
        return Ok(None);
    }
    let reference = WireBodyBlob {
        sha256: Digest::of(&bytes),
        size: length(&bytes),
    };
    content.push((reference.sha256, bytes));
    Ok(Some(reference))
}

fn check_texts(draft: &Draft) -> Result<(), DraftError> {
    text("subject.name", &draft.subject.name, 1)?;
    text("traceId", &draft.trace_id, 0)?;
    if let Some(cycle) = &draft.cycle {
        text("cycle.name", &cycle.name, 1)?;
        text("cycle.uid", &cycle.uid, 1)?;
    }
    for (index, blob) in draft.blobs.iter().enumerate() {
        text(&format!("blobs[{index}].name"), &blob.name, 1)?;
        text(&format!("blobs[{index}].mediaType"), &blob.media_type, 1)?;
    }
    for (index, update) in draft.state.iter().enumerate() {
        text(&format!("state[{index}].key"), &update.key, 1)?;
        let earlier = draft.state.iter().take(index);
        if earlier.into_iter().any(|other| other.key == update.key) {
            return Err(DraftError::DuplicateState(update.key.clone()));
        }
    }
    Ok(())
}

/// Blobs and states that are JSON must be free of secrets as they are.
fn check_secrets(draft: &Draft) -> Result<(), DraftError> {
    let blobs = draft
        .blobs
        .iter()
        .filter(|blob| blob.media_type.contains("json"))
        .map(|blob| ("blob", &blob.name, &blob.content));
    let state = draft.state.iter().map(|update| ("state", &update.key, &update.value));
    for (what, name, content) in blobs.chain(state) {
        let document: Option<Value> = serde_json::from_slice(content).ok();
        if let Some(path) = document.as_ref().and_then(redact::find_secret) {
            let field = format!("{what} {name:?}: {path}");
            return Err(DraftError::Secret { field });
        }
    }
    Ok(())
}

fn text(field: &str, value: &str, min: usize) -> Result<(), DraftError> {
    let fits = (min..=MAX_NAME).contains(&value.len()) && !value.chars().any(char::is_control);
    fits.then_some(()).ok_or_else(|| DraftError::Text {
        field: field.to_owned(),
        min,
    })
}

fn blob_references(blobs: Vec<Blob>, content: &mut Vec<(Digest, Vec<u8>)>) -> Vec<BlobRef> {
    let references = blobs.into_iter().map(|blob| {
        let reference = BlobRef {
            sha256: Digest::of(&blob.content),
            size: length(&blob.content),
            name: blob.name,
            media_type: blob.media_type,
        };
        content.push((reference.sha256, blob.content));
        reference
    });
    references.collect()
}

fn state_references(state: Vec<StateUpdate>, content: &mut Vec<(Digest, Vec<u8>)>) -> Vec<StateRef> {
    let references = state.into_iter().map(|update| {
        let reference = StateRef {
            sha256: Digest::of(&update.value),
            size: length(&update.value),
            key: update.key,
        };
        content.push((reference.sha256, update.value));
        reference
    });
    references.collect()
}

fn check_sizes(draft: &Draft) -> Result<(), DraftError> {
    for (field, count) in [
        ("blobs", draft.blobs.len()),
        ("state", draft.state.len()),
        ("contentHashes", draft.content_hashes.len()),
        ("basis", draft.basis.len()),
    ] {
        if count > MAX_REFERENCES {
            return Err(DraftError::TooMany { field });
        }
    }
    let blobs = draft.blobs.iter().map(|blob| blob.content.len());
    let values = draft.state.iter().map(|update| update.value.len());
    for (field, sizes) in [("blobs", blobs.collect::<Vec<_>>()), ("state", values.collect())] {
        if let Some((index, size)) = sizes.into_iter().enumerate().find(|(_, s)| *s > MAX_BLOB) {
            return Err(DraftError::BlobTooLarge {
                field: format!("{field}[{index}]"),
                size,
            });
        }
    }
    Ok(())
}
