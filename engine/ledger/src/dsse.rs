//! DSSE envelopes (secure-systems-lab/dsse v1.0.2) with exactly one Ed25519 signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::keys::PublicKey;

/// Media type of in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// An envelope that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the JSON of an envelope.
    #[error("not a DSSE envelope: {0}")]
    Json(String),
    /// Another payload type.
    #[error("payload type is {0:?}, expected {PAYLOAD_TYPE:?}")]
    PayloadType(String),
    /// Not exactly one signature.
    #[error("{0} signatures, expected exactly one")]
    SignatureCount(usize),
    /// A field is not standard Base64 of the right length.
    #[error("{0} is not standard Base64 of the right length")]
    Base64(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    payload: &'a str,
    #[serde(borrow)]
    payload_type: &'a str,
    signatures: Vec<WireSignature<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature<'a> {
    #[serde(borrow)]
    keyid: &'a str,
    #[serde(borrow)]
    sig: &'a str,
}

/// A parsed envelope. The signature is not checked by parsing; call [`Envelope::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The key hint.
    pub key_id: Digest,
    /// The Ed25519 signature over [`pae`] of the payload.
    pub signature: [u8; 64],
}

impl Envelope {
    /// Signs `payload`.
    #[must_use]
    pub fn sign(payload: Vec<u8>, key: &SigningKey) -> Self {
        let signature = key.sign(&pae(&payload)).to_bytes();
        let key_id = PublicKey(key.verifying_key()).key_id();
        Self {
            payload,
            key_id,
            signature,
        }
    }

    /// Parses the JSON form.
    ///
    /// # Errors
    /// See [`EnvelopeError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(|e| EnvelopeError::Json(e.to_string()))?;
        if wire.payload_type != PAYLOAD_TYPE {
            let shown = wire.payload_type.chars().take(100).collect();
            return Err(EnvelopeError::PayloadType(shown));
        }
        let [signature] = wire.signatures.as_slice() else {
            return Err(EnvelopeError::SignatureCount(wire.signatures.len()));
        };
        let payload = BASE64
            .decode(wire.payload)
            .map_err(|_| EnvelopeError::Base64("payload"))?;
        let key_id = signature.keyid.parse().map_err(|_| EnvelopeError::Base64("keyid"))?;
        let signature = BASE64
            .decode(signature.sig)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(EnvelopeError::Base64("sig"))?;
        Ok(Self {
            payload,
            key_id,
            signature,
        })
    }

    /// The canonical JSON form. Base64 and hexadecimal need no escaping and the keys are in order,
    /// so writing it directly gives the RFC 8785 bytes (a test compares).
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = String::with_capacity(encoded_length(self.payload.len()));
        text.push_str(r#"{"payload":""#);
        BASE64.encode_string(&self.payload, &mut text);
        text.push_str(r#"","payloadType":""#);
        text.push_str(PAYLOAD_TYPE);
        text.push_str(r#"","signatures":[{"keyid":""#);
        text.push_str(&self.key_id.to_string());
        text.push_str(r#"","sig":""#);
        BASE64.encode_string(self.signature, &mut text);
        text.push_str(r#""}]}"#);
        text.into_bytes()
    }

    /// Whether `key` made the signature.
    #[must_use]
    pub fn verify(&self, key: &PublicKey) -> bool {
        key.verify(&pae(&self.payload), &self.signature)
    }
}

/// Where the Base64 payload starts in the canonical JSON form.
pub(crate) const PAYLOAD_PREFIX: &[u8] = br#"{"payload":""#;

/// Length of the canonical JSON form of an envelope around `payload` bytes.
#[must_use]
pub const fn encoded_length(payload: usize) -> usize {
    // The fixed text with a 64-digit key id and an 88-digit signature.
    const FIXED: usize = 12 + 17 + PAYLOAD_TYPE.len() + 26 + 64 + 9 + 88 + 4;
    FIXED + payload.div_ceil(3) * 4
}

/// The pre-authentication encoding: the bytes that are signed.
#[must_use]
pub fn pae(payload: &[u8]) -> Vec<u8> {
    let header = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    let mut bytes = header.into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;

    #[test]
    fn the_written_form_is_canonical_and_of_the_announced_length() {
        let keys = Keys::generate([1; 64]);
        for length in [0, 1, 2, 3, 100] {
            let envelope = Envelope::sign(vec![b'x'; length], &keys.attestation);
            let json = envelope.to_json();
            let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(json, crate::canonical::to_vec(&value).unwrap());
            assert_eq!(json.len(), encoded_length(length));
            assert!(json.starts_with(PAYLOAD_PREFIX));
            assert_eq!(Envelope::parse(&json), Ok(envelope));
        }
    }

    #[test]
    fn any_changed_byte_is_refused() {
        let keys = Keys::generate([1; 64]);
        let key = keys.verifiers().attestation;
        let json = Envelope::sign(b"{\"a\":1}".to_vec(), &keys.attestation).to_json();
        for position in 0..json.len() {
            let mut altered = json.clone();
            altered[position] ^= 1;
            let accepted = Envelope::parse(&altered).is_ok_and(|e| {
                // The key id is an unsigned hint by DSSE's rules; everything else must matter.
                e.verify(&key) && e.key_id == key.key_id()
            });
            assert!(!accepted, "byte {position}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for bad in [
            "",
            "[]",
            r#"{"payload":"","payloadType":"text/plain","signatures":[]}"#,
            r#"{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}"#,
            r#"{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[],"x":1}"#,
        ] {
            assert!(Envelope::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
