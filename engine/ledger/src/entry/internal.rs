//! Bodies of the entries that the ledger writes itself.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Draft, Kind, Subject};
use crate::anchor::Head;
use crate::hash::Digest;
use crate::keys::{PublicKey, Verifiers};

/// Version of the entry format.
pub const FORMAT: &str = "penin.ledger/1";

/// Body of GENESIS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Genesis {
    /// [`FORMAT`].
    pub format: String,
    /// Origin line of the log.
    pub origin: String,
    /// Public keys at the start.
    pub keys: Verifiers,
    /// Last head of the generation before this one.
    pub previous: Option<Head>,
}

/// Body of LEADER.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Leader {
    /// Who writes from here on, for example the pod's name and UID.
    pub holder: String,
}

/// Body of `KEY_ROTATE`. The entry is signed by the old attestation key, and `proof` by the new one, so that a
/// key that nobody holds cannot be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRotate {
    /// Keys for every entry and checkpoint after this one.
    pub keys: Verifiers,
    /// Keys before.
    pub previous: Verifiers,
    /// Base64 of the new attestation key's signature over [`KeyRotate::proof_message`].
    pub proof: String,
}

impl KeyRotate {
    /// What the new attestation key signs: the origin, the position and both new keys.
    #[must_use]
    pub fn proof_message(origin: &str, seq: u64, keys: &Verifiers) -> Vec<u8> {
        let (log, attestation) = (keys.log.to_base64(), keys.attestation.to_base64());
        format!("penin.ledger/key-rotation/1\n{origin}\n{seq}\n{log}\n{attestation}\n").into_bytes()
    }

    /// Whether the proof is the new attestation key's.
    #[must_use]
    pub fn is_proved(&self, origin: &str, seq: u64) -> bool {
        use base64::Engine as _;
        let signature = base64::engine::general_purpose::STANDARD
            .decode(&self.proof)
            .ok()
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let key: PublicKey = self.keys.attestation;
        signature.is_some_and(|signature| key.verify(&Self::proof_message(origin, seq, &self.keys), &signature))
    }
}

/// Body of CLOCK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clock {
    /// Latest claimed time so far, milliseconds since the Unix epoch, as a string.
    pub latest_ms: String,
    /// The claimed time that is behind it.
    pub claimed_ms: String,
}

/// Body of RECOVERY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// What was done: `REFILLED`.
    pub action: String,
    /// Entries in the database before.
    pub found: String,
    /// Entries after.
    pub restored: String,
}

/// Body of ARCHIVE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Archive {
    /// Number of entries before this one, as a string.
    pub size: String,
    /// Root of those entries.
    pub root: Digest,
    /// The generation that follows; none when the log ends for good.
    pub next: Option<Successor>,
}

/// The generation after a sealed one. Named by the sealed one, so that whoever trusts its keys can trust the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Successor {
    /// Its origin line.
    pub origin: String,
    /// The keys that it begins with.
    pub keys: Verifiers,
}

/// Body of CARRY. The entry's states are those that the generation before left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Carry {
    /// Origin of the generation before.
    pub from: String,
}

/// A draft of the ledger's own; its subject is the log itself.
pub(crate) fn draft<T: Serialize>(kind: Kind, origin: &str, time_ms: i64, body: &T) -> Draft {
    let subject = Subject {
        name: origin.to_owned(),
        sha256: Digest::of(origin.as_bytes()),
    };
    let mut draft = Draft::new(kind, subject, time_ms);
    // A struct of strings always serialises to an object; an empty body would show at once in every test.
    if let Ok(Value::Object(fields)) = serde_json::to_value(body) {
        draft.body = fields;
    }
    draft
}

/// Reads the body of an internal entry.
pub(crate) fn read<T: DeserializeOwned>(kind: Kind, body: &Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(body.clone())).map_err(|e| format!("{kind}: {e}"))
}
