//! The one input that an offline verifier has to trust: which log, and which keys it began with.

use serde::{Deserialize, Serialize};

use crate::keys::{KeyError, PublicKey, Verifiers};

/// Version of the policy document.
const SCHEMA: &str = "penin.ledger-policy/1";

/// The policy file: obtained out of band and pinned, for example from the operator's `ConfigMap` at installation.
/// Later keys follow from it through `KEY_ROTATE` entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Origin line of the log.
    pub origin: String,
    /// Keys in force at the first entry.
    pub keys: Verifiers,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    schema: String,
    origin: String,
    /// C2SP verifier key of the checkpoints.
    log_key: String,
    /// Base64 of the 32 bytes of the Ed25519 key of the entries.
    attestation_key: String,
}

impl Policy {
    /// The JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document {
            schema: SCHEMA.to_owned(),
            origin: self.origin.clone(),
            log_key: self.keys.log.to_vkey(&self.origin),
            attestation_key: self.keys.attestation.to_base64(),
        };
        // Four strings always serialise.
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads the JSON document.
    ///
    /// # Errors
    /// When the form or a key is wrong, or the log key is of another origin.
    pub fn from_json(text: &str) -> Result<Self, KeyError> {
        let error = |which: &str, reason: String| KeyError {
            which: which.to_owned(),
            reason,
        };
        let document: Document = serde_json::from_str(text).map_err(|e| error("policy", e.to_string()))?;
        if document.schema != SCHEMA {
            return Err(error("policy", format!("schema must be {SCHEMA:?}")));
        }
        let (name, log) = PublicKey::from_vkey(&document.log_key)?;
        if name != document.origin {
            return Err(error("log", format!("is named {name:?}, not the origin")));
        }
        Ok(Self {
            origin: document.origin,
            keys: Verifiers {
                log,
                attestation: PublicKey::from_base64(&document.attestation_key)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;

    #[test]
    fn a_policy_round_trips_and_is_strict() {
        let policy = Policy {
            origin: "example.com/log".into(),
            keys: Keys::generate([1; 64]).verifiers(),
        };
        let json = policy.to_json();
        assert_eq!(Policy::from_json(&json), Ok(policy));
        for (from, to) in [("policy/1", "policy/2"), ("\"origin\"", "\"orign\"")] {
            assert!(Policy::from_json(&json.replace(from, to)).is_err());
        }
        let renamed = json.replacen("example.com/log", "example.org/log", 1);
        assert!(Policy::from_json(&renamed).is_err());
    }
}
