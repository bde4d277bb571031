//! Entries: what callers hand in ([`Draft`]) and what the ledger holds ([`Entry`]).

mod decode;
mod encode;
pub mod internal;
mod kind;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use decode::{DecodeError, Entry, chain_position, split_chain};
pub use encode::{DraftError, EncodedEntry, Position, Prepared};
pub use kind::{Kind, UnknownKind};

use crate::hash::Digest;

/// Largest entry in bytes: C2SP tlog-tiles writes entry lengths in 16 bits.
pub const MAX_ENTRY: usize = 65_535;
/// Largest body kept inside an entry, in canonical bytes; a larger one becomes a blob.
pub const MAX_INLINE_BODY: usize = 24 * 1024;
/// Largest blob or state value in bytes.
pub const MAX_BLOB: usize = 16 * 1024 * 1024;
/// Most blobs, states or content hashes of one entry.
pub const MAX_REFERENCES: usize = 64;
/// Longest name, key, trace id or media type in bytes.
pub const MAX_NAME: usize = 512;

/// in-toto statement type.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Predicate type of every entry.
pub const PREDICATE_TYPE: &str = "https://penin.ai/attestations/ledger-entry/v1";

/// What an entry is about: an artefact and its SHA-256, as an in-toto subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Name of the artefact, for example an image reference or `namespace/revision`.
    pub name: String,
    /// Its digest.
    pub sha256: Digest,
}

/// The cycle an entry belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleRef {
    /// `namespace/name`.
    pub name: String,
    /// The object's UID: a deleted and recreated cycle is another cycle.
    pub uid: String,
}

/// Content too large for an entry, or shared between entries. Stored once by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blob {
    /// What it is to this entry: `evidence`, `config`, `cycleInput` …
    pub name: String,
    /// Media type, usually `application/json`.
    pub media_type: String,
    /// The bytes, at most [`MAX_BLOB`].
    #[serde(with = "base64_bytes")]
    pub content: Vec<u8>,
}

/// A blob as an entry names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlobRef {
    /// What it is to this entry.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Digest of the content.
    pub sha256: Digest,
    /// Length of the content in bytes.
    pub size: u32,
}

/// A value to store in the transaction of the entry, read back with `Ledger::state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateUpdate {
    /// Name of the state, for example `engine/<namespace>/<name>/<uid>`.
    pub key: String,
    /// The bytes, at most [`MAX_BLOB`].
    #[serde(with = "base64_bytes")]
    pub value: Vec<u8>,
}

/// A state as an entry names it: the newest entry that names a key decides its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRef {
    /// Name of the state.
    pub key: String,
    /// Digest of the value, which is a blob.
    pub sha256: Digest,
    /// Length of the value in bytes.
    pub size: u32,
}

/// A state as it was when a draft was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Name of the state.
    pub key: String,
    /// Digest of its value; None without one. An empty value is none.
    pub sha256: Option<Digest>,
}

/// An entry to be written. The ledger adds position, epoch, chain link and signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Draft {
    /// What is recorded; never an internal kind.
    pub kind: Kind,
    /// What it is about.
    pub subject: Subject,
    /// The cycle it belongs to.
    pub cycle: Option<CycleRef>,
    /// Trace id that links logs and entries; may be empty.
    pub trace_id: String,
    /// Claimed time in milliseconds since the Unix epoch. Order is position, never time.
    pub time_ms: i64,
    /// What is to be recorded. Integers beyond ±2⁵³ must be strings.
    pub body: Map<String, Value>,
    /// `contentHash` of the engine events inside the body, in order.
    pub content_hashes: Vec<Digest>,
    /// Content stored by digest and named by this entry.
    pub blobs: Vec<Blob>,
    /// State stored in the same transaction.
    pub state: Vec<StateUpdate>,
    /// What the draft was decided on. If any of it has changed when the draft's turn comes, nothing is written: an
    /// earlier append may have become durable after its caller gave up. Not recorded; what waits in the rollback queue
    /// rests on nothing.
    #[serde(skip)]
    pub basis: Vec<Basis>,
}

impl Draft {
    /// A draft without cycle, trace, body, blobs and state.
    #[must_use]
    pub fn new(kind: Kind, subject: Subject, time_ms: i64) -> Self {
        Self {
            kind,
            subject,
            cycle: None,
            trace_id: String::new(),
            time_ms,
            body: Map::new(),
            content_hashes: Vec::new(),
            blobs: Vec::new(),
            state: Vec::new(),
            basis: Vec::new(),
        }
    }
}

/// The body of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Inside the entry.
    Inline(Map<String, Value>),
    /// Too large: a blob with this digest and size holds the canonical JSON object.
    Blob {
        /// Digest of the canonical JSON.
        sha256: Digest,
        /// Its length in bytes.
        size: u32,
    },
}

/// in-toto Statement v1. Field order is RFC 8785 order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "_type")]
    type_uri: String,
    predicate: Predicate,
    predicate_type: String,
    subject: Vec<WireSubject>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSubject {
    digest: WireDigest,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDigest {
    sha256: Digest,
}

/// Position in the log. `_chain` sorts before every other key of the predicate, so position and link stand
/// at a fixed place and can be checked without parsing the rest.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireChain {
    epoch: String,
    prev: Digest,
    seq: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Predicate {
    #[serde(rename = "_chain", default, skip_serializing_if = "Option::is_none")]
    chain: Option<WireChain>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blobs: Vec<BlobRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_blob: Option<WireBodyBlob>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    content_hashes: Vec<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cycle: Option<CycleRef>,
    kind: Kind,
    /// Digest of the queued draft when the entry was written late: makes appending it idempotent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queued: Option<Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    state: Vec<StateRef>,
    time: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    trace_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireBodyBlob {
    sha256: Digest,
    size: u32,
}

/// Binary fields in JSON as standard Base64.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
