//! From the bytes of an entry to its fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

use super::{BlobRef, Body, CycleRef, Kind, PREDICATE_TYPE, Position, STATEMENT_TYPE, StateRef, Statement, Subject};
use crate::dsse::{Envelope, EnvelopeError, PAYLOAD_PREFIX};
use crate::hash::{Digest, leaf_hash};

/// An entry of the ledger. Decoding does not check the signature; see [`Entry::envelope`].
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Position, epoch and link.
    pub position: Position,
    /// What is recorded.
    pub kind: Kind,
    /// Claimed time in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// What it is about.
    pub subject: Subject,
    /// The cycle it belongs to.
    pub cycle: Option<CycleRef>,
    /// Trace id, or empty.
    pub trace_id: String,
    /// The body, or where it is.
    pub body: Body,
    /// `contentHash` of the engine events in the body.
    pub content_hashes: Vec<Digest>,
    /// Blobs that belong to the entry.
    pub blobs: Vec<BlobRef>,
    /// State stored with the entry.
    pub state: Vec<StateRef>,
    /// Digest of the queued draft, when the entry was written late.
    pub queued: Option<Digest>,
    /// RFC 6962 leaf hash.
    pub leaf: Digest,
    /// The envelope, for signature checks.
    pub envelope: Envelope,
}

/// Bytes that are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The envelope is wrong.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The payload is not the statement of an entry.
    #[error("statement: {0}")]
    Statement(String),
    /// The bytes are valid JSON but not canonical: two readers might disagree about them.
    #[error("{0} is not in RFC 8785 canonical form")]
    NotCanonical(&'static str),
}

impl Entry {
    /// Decodes the bytes of an entry.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope = Envelope::parse(bytes)?;
        if envelope.to_json() != bytes {
            return Err(DecodeError::NotCanonical("envelope"));
        }
        let statement = parse(&envelope.payload)?;
        let canonical = crate::canonical::write(&statement).map_err(|e| DecodeError::Statement(e.to_string()))?;
        if canonical != envelope.payload {
            return Err(DecodeError::NotCanonical("statement"));
        }
        Self::from_statement(statement, leaf_hash(bytes), envelope)
    }

    /// As [`Self::decode`] without the check for canonical form, which is most of the cost: for bytes that a
    /// trusted root covers.
    pub(crate) fn decode_trusted(bytes: &[u8], leaf: Digest) -> Result<Self, DecodeError> {
        let envelope = Envelope::parse(bytes)?;
        Self::from_statement(parse(&envelope.payload)?, leaf, envelope)
    }

    fn from_statement(statement: Statement, leaf: Digest, envelope: Envelope) -> Result<Self, DecodeError> {
        let error = |reason: &str| DecodeError::Statement(reason.to_owned());
        if statement.type_uri != STATEMENT_TYPE {
            return Err(error("_type is not in-toto Statement v1"));
        }
        if statement.predicate_type != PREDICATE_TYPE {
            return Err(error("predicateType is not a ledger entry"));
        }
        let predicate = statement.predicate;
        let chain = predicate.chain.ok_or_else(|| error("_chain is missing"))?;
        let [subject] =
            <[_; 1]>::try_from(statement.subject).map_err(|_| error("subject must have exactly one item"))?;
        let body = match (predicate.body, predicate.body_blob) {
            (Some(body), None) => Body::Inline(body),
            (None, Some(blob)) => Body::Blob {
                sha256: blob.sha256,
                size: blob.size,
            },
            _ => return Err(error("exactly one of body and bodyBlob is expected")),
        };
        let time: Timestamp = predicate.time.parse().map_err(|_| error("time is not RFC 3339"))?;
        Ok(Self {
            position: Position {
                seq: integer(&chain.seq).ok_or_else(|| error("seq is not a decimal integer"))?,
                epoch: integer(&chain.epoch).ok_or_else(|| error("epoch is not a decimal integer"))?,
                prev: chain.prev,
            },
            kind: predicate.kind,
            time_ms: time.as_millisecond(),
            subject: Subject {
                name: subject.name,
                sha256: subject.digest.sha256,
            },
            cycle: predicate.cycle,
            trace_id: predicate.trace_id,
            body,
            content_hashes: predicate.content_hashes,
            blobs: predicate.blobs,
            state: predicate.state,
            queued: predicate.queued,
            leaf,
            envelope,
        })
    }

    /// Digests of everything the entry names: blobs, state values and a body kept outside.
    pub fn content(&self) -> impl Iterator<Item = (Digest, u32)> {
        let body = match &self.body {
            Body::Inline(_) => None,
            Body::Blob { sha256, size } => Some((*sha256, *size)),
        };
        let blobs = self.blobs.iter().map(|blob| (blob.sha256, blob.size));
        let state = self.state.iter().map(|state| (state.sha256, state.size));
        blobs.chain(state).chain(body)
    }
}

fn parse(payload: &[u8]) -> Result<Statement, DecodeError> {
    serde_json::from_slice(payload).map_err(|e| DecodeError::Statement(e.to_string()))
}

/// Canonical decimal: no sign, no leading zero.
fn integer(text: &str) -> Option<u64> {
    match leading_integer(text.as_bytes())? {
        (value, []) => Some(value),
        _ => None,
    }
}

/// A canonical decimal at the start, and what follows it.
fn leading_integer(text: &[u8]) -> Option<(u64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length)?;
    let canonical = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
    let add = |value: u64, digit: &u8| value.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let value = digits.iter().try_fold(0_u64, add)?;
    canonical.then_some((value, rest))
}

/// Whether the entry stands at this `seq` after the entry with leaf hash `prev`; returns its epoch.
/// Reads only the start of the payload, where the canonical form puts the position: an order of magnitude
/// cheaper than decoding the entry.
#[must_use]
pub fn split_chain(bytes: &[u8], seq: u64, prev: &Digest) -> Option<u64> {
    let position = chain_position(bytes)?;
    (position.seq == seq && position.prev == *prev).then_some(position.epoch)
}

/// The position that an entry claims, read from the start of the payload alone.
#[must_use]
pub fn chain_position(bytes: &[u8]) -> Option<Position> {
    // Length of the text that `chain_prefix` writes before the epoch; the tests compare the two.
    const EPOCH_AT: usize = STATEMENT_TYPE.len() + 44;
    const LONGEST: usize = EPOCH_AT + 20 + 10 + 64 + 9 + 20 + 2;
    let payload = bytes.strip_prefix(PAYLOAD_PREFIX)?;
    let mut start = [0; LONGEST.div_ceil(3) * 3];
    let digits = payload.get(..start.len() / 3 * 4)?;
    BASE64.decode_slice_unchecked(digits, &mut start).ok()?;
    // Piece by piece, as bytes: writing the expected text anew, to compare with, costs more than all the rest.
    let text = start
        .strip_prefix(br#"{"_type":""#)?
        .strip_prefix(STATEMENT_TYPE.as_bytes())?;
    let text = text.strip_prefix(br#"","predicate":{"_chain":{"epoch":""#)?;
    let (epoch, text) = leading_integer(text)?;
    let (prev, text) = text.strip_prefix(br#"","prev":""#)?.split_at_checked(64)?;
    let (seq, text) = leading_integer(text.strip_prefix(br#"","seq":""#)?)?;
    text.strip_prefix(br#""}"#)?;
    Some(Position {
        seq,
        epoch,
        prev: Digest::from_hex(prev)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Blob, Draft, DraftError, MAX_INLINE_BODY, Prepared, StateUpdate};
    use crate::keys::Keys;
    use proptest::prelude::*;
    use serde_json::json;

    fn draft() -> Draft {
        let subject = Subject {
            name: "registry.example/model:7".into(),
            sha256: Digest::of(b"model"),
        };
        let mut draft = Draft::new(Kind::GateEval, subject, 1_790_000_000_123);
        draft.cycle = Some(CycleRef {
            name: "shop/ranker".into(),
            uid: "b7b3".into(),
        });
        draft.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".into();
        draft.body = json!({"gates": [{"name": "ρ", "value": 0.1, "seed": "18446744073709551615"}]})
            .as_object()
            .unwrap()
            .clone();
        draft.content_hashes = vec![Digest::of(b"event")];
        draft.blobs = vec![Blob {
            name: "evidence".into(),
            media_type: "application/json".into(),
            content: b"{}".to_vec(),
        }];
        draft.state = vec![StateUpdate {
            key: "engine/shop/ranker".into(),
            value: b"{\"cycle\":1}".to_vec(),
        }];
        draft
    }

    #[test]
    fn an_integer_has_one_spelling() {
        for value in [0, 7, 10, u64::MAX] {
            assert_eq!(integer(&value.to_string()), Some(value));
            assert_eq!(
                leading_integer(format!("{value}\"x").as_bytes()),
                Some((value, &b"\"x"[..]))
            );
        }
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1a", "18446744073709551616"] {
            assert_eq!(integer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_entry_decodes_to_its_draft_and_is_canonical() {
        let keys = Keys::generate([3; 64]);
        let position = Position {
            seq: u64::MAX,
            epoch: 9,
            prev: Digest::of(b"prev"),
        };
        let signed = Prepared::new(draft()).unwrap().sign(&position, &keys.attestation);
        let entry = Entry::decode(&signed.bytes).unwrap();
        let given = draft();
        assert_eq!(entry.position, position);
        assert_eq!(entry.kind, given.kind);
        assert_eq!(entry.time_ms, given.time_ms);
        assert_eq!(entry.subject, given.subject);
        assert_eq!(entry.cycle, given.cycle);
        assert_eq!(entry.body, Body::Inline(given.body));
        assert_eq!(entry.content_hashes, given.content_hashes);
        assert_eq!(entry.content().count(), 2);
        assert_eq!(entry.leaf, signed.leaf);
        assert!(entry.envelope.verify(&keys.verifiers().attestation));
        assert!(!entry.envelope.verify(&keys.verifiers().log));
        let statement: serde_json::Value = serde_json::from_slice(&entry.envelope.payload).unwrap();
        assert_eq!(entry.envelope.payload, crate::canonical::to_vec(&statement).unwrap());
    }

    #[test]
    fn a_large_body_becomes_a_blob_and_an_endless_one_is_refused() {
        let mut large = draft();
        large.body.insert("trace".into(), json!("x".repeat(MAX_INLINE_BODY)));
        let prepared = Prepared::new(large).unwrap();
        let keys = Keys::generate([3; 64]);
        let position = Position {
            seq: 0,
            epoch: 0,
            prev: Digest::ZERO,
        };
        let entry = Entry::decode(&prepared.sign(&position, &keys.attestation).bytes).unwrap();
        assert!(matches!(entry.body, Body::Blob { .. }));
        assert_eq!(prepared.content.len(), 3);
    }

    #[test]
    fn bad_drafts_name_the_field() {
        let check = |change: fn(&mut Draft), expected: &str| {
            let mut draft = draft();
            change(&mut draft);
            assert_eq!(Prepared::new(draft).unwrap_err().to_string(), expected);
        };
        check(
            |d| d.kind = Kind::Genesis,
            "kind: GENESIS is written by the ledger itself",
        );
        check(
            |d| d.subject.name.clear(),
            "subject.name: must have 1 to 512 bytes and no control characters",
        );
        check(|d| d.time_ms = -1, "time: -1 ms is outside the years 1970 to 9999");
        check(
            |d| d.state.push(d.state[0].clone()),
            "state: key \"engine/shop/ranker\" appears twice",
        );
        check(
            |d| drop(d.body.insert("n".into(), json!(u64::MAX))),
            "body: /n: integer 18446744073709551615 is beyond ±2^53; write it as a string",
        );
        check(|d| d.blobs = vec![d.blobs[0].clone(); 65], "blobs: at most 64 items");
    }

    #[test]
    fn too_many_references_for_one_entry_are_refused() {
        let mut full = draft();
        full.blobs = (0..64)
            .map(|i| Blob {
                name: format!("{i}{}", "n".repeat(500)),
                media_type: "m".repeat(500),
                content: Vec::new(),
            })
            .collect();
        assert!(matches!(Prepared::new(full), Err(DraftError::EntryTooLarge { .. })));
    }

    #[test]
    fn spaces_in_the_statement_are_refused() {
        let keys = Keys::generate([3; 64]);
        let position = Position {
            seq: 0,
            epoch: 0,
            prev: Digest::ZERO,
        };
        let signed = Prepared::new(draft()).unwrap().sign(&position, &keys.attestation);
        let payload = Entry::decode(&signed.bytes).unwrap().envelope.payload;
        let spaced = String::from_utf8(payload).unwrap().replacen(':', ": ", 1);
        let forged = Envelope::sign(spaced.into_bytes(), &keys.attestation).to_json();
        assert_eq!(Entry::decode(&forged), Err(DecodeError::NotCanonical("statement")));
    }

    proptest! {
        #[test]
        fn the_quick_chain_check_agrees_with_decoding(
            seq in any::<u64>(), epoch in any::<u64>(), prev in any::<[u8; 32]>(), other in any::<u64>(),
        ) {
            let keys = Keys::generate([3; 64]);
            let position = Position { seq, epoch, prev: Digest::from_bytes(prev) };
            let bytes = Prepared::new(draft()).unwrap().sign(&position, &keys.attestation).bytes;
            prop_assert_eq!(split_chain(&bytes, seq, &position.prev), Some(epoch));
            prop_assert_eq!(split_chain(&bytes, seq, &Digest::of(b"other")), None);
            if other != seq {
                prop_assert_eq!(split_chain(&bytes, other, &position.prev), None);
            }
        }
    }
}
