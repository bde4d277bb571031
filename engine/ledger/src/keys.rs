//! The two Ed25519 keys of a ledger: one signs checkpoints, the other attestations.
//!
//! They are separate because the signed-note specification asks that one key serve one signature type.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hash::{Digest, hex};

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{which} key: {reason}")]
pub struct KeyError {
    /// `log`, `attestation` or the name of a verifier key.
    pub which: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The ledger's private keys. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct Keys {
    /// Signs checkpoints (C2SP signed notes).
    pub(crate) log: SigningKey,
    /// Signs entries (DSSE envelopes).
    pub(crate) attestation: SigningKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys { log: [redacted], attestation: [redacted] }")
    }
}

impl Keys {
    /// Derives both keys from 64 bytes of entropy. The caller supplies it from the system's generator;
    /// equal entropy gives equal keys.
    #[must_use]
    pub fn generate(entropy: [u8; 64]) -> Self {
        let entropy = Zeroizing::new(entropy);
        let derive = |label: &[u8]| {
            let mut input = Zeroizing::new(Vec::with_capacity(96));
            input.extend_from_slice(label);
            input.extend_from_slice(entropy.as_slice());
            SigningKey::from_bytes(Digest::of(&input).as_bytes())
        };
        Self {
            log: derive(b"penin ledger log key\0"),
            attestation: derive(b"penin ledger attestation key\0"),
        }
    }

    /// From the two raw 32-byte Ed25519 seeds (RFC 8032).
    ///
    /// # Errors
    /// When both are the same key.
    pub fn from_seeds(log: &[u8; 32], attestation: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(SigningKey::from_bytes(log), SigningKey::from_bytes(attestation))
    }

    /// From two PKCS#8 PEM documents (RFC 8410), as `openssl genpkey -algorithm ed25519` writes them.
    ///
    /// # Errors
    /// When a document is not an Ed25519 private key, or both are the same key.
    pub fn from_pkcs8_pem(log: &str, attestation: &str) -> Result<Self, KeyError> {
        let parse = |which: &str, pem: &str| {
            SigningKey::from_pkcs8_pem(pem).map_err(|error| KeyError {
                which: which.into(),
                reason: format!("not an Ed25519 private key in PKCS#8 PEM: {error}"),
            })
        };
        Self::new(parse("log", log)?, parse("attestation", attestation)?)
    }

    fn new(log: SigningKey, attestation: SigningKey) -> Result<Self, KeyError> {
        if log.verifying_key() == attestation.verifying_key() {
            return Err(KeyError {
                which: "attestation".into(),
                reason: "is the log key; the two must differ".into(),
            });
        }
        Ok(Self { log, attestation })
    }

    /// Both keys as PKCS#8 PEM: `(log, attestation)`, for the Secret that holds them.
    ///
    /// # Errors
    /// When a key cannot be encoded.
    pub fn to_pkcs8_pem(&self) -> Result<(Zeroizing<String>, Zeroizing<String>), KeyError> {
        let encode = |which: &str, key: &SigningKey| {
            key.to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
                .map_err(|error| KeyError {
                    which: which.into(),
                    reason: format!("cannot be encoded: {error}"),
                })
        };
        Ok((encode("log", &self.log)?, encode("attestation", &self.attestation)?))
    }

    /// The public halves.
    #[must_use]
    pub fn verifiers(&self) -> Verifiers {
        Verifiers {
            log: PublicKey(self.log.verifying_key()),
            attestation: PublicKey(self.attestation.verifying_key()),
        }
    }
}

/// An Ed25519 public key. Written as standard Base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(crate) VerifyingKey);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_base64())
    }
}

impl PublicKey {
    /// Reads the Base64 form.
    ///
    /// # Errors
    /// When the text is not the Base64 of a valid, strong Ed25519 point.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let error = |reason: &str| KeyError {
            which: "public".into(),
            reason: reason.into(),
        };
        let bytes = BASE64.decode(text).map_err(|_| error("not standard Base64"))?;
        let bytes: [u8; 32] = bytes
            .try_into()
            .map_err(|_| error("an Ed25519 public key has 32 bytes"))?;
        Self::from_bytes(bytes).ok_or_else(|| error("not a usable point of the curve"))
    }

    /// From the 32 bytes; `None` for a point that is invalid or of small order.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(&bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Standard Base64 of the 32 bytes.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.0.as_bytes())
    }

    /// `SubjectPublicKeyInfo` in PEM (RFC 8410), as other tools read it.
    ///
    /// # Errors
    /// When the key cannot be encoded.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0
            .to_public_key_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
            .map_err(|error| KeyError {
                which: "public".into(),
                reason: format!("cannot be encoded: {error}"),
            })
    }

    /// The `keyid` of DSSE signatures: SHA-256 of the 32 bytes. A hint, never trusted.
    #[must_use]
    pub fn key_id(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// Strict verification: refuses non-canonical encodings and small-order points.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }

    /// The C2SP signed-note verifier key `name+id+base64(0x01 ‖ key)`.
    #[must_use]
    pub fn to_vkey(&self, name: &str) -> String {
        let mut typed = vec![NOTE_ED25519];
        typed.extend_from_slice(self.0.as_bytes());
        format!("{name}+{}+{}", hex(&self.note_key_id(name)), BASE64.encode(typed))
    }

    /// The four-byte signed-note key id: SHA-256(name ‖ LF ‖ 0x01 ‖ key), first four bytes.
    #[must_use]
    pub fn note_key_id(&self, name: &str) -> [u8; 4] {
        let mut input = Vec::with_capacity(name.len() + 34);
        input.extend_from_slice(name.as_bytes());
        input.push(b'\n');
        input.push(NOTE_ED25519);
        input.extend_from_slice(self.0.as_bytes());
        let [a, b, c, d, ..] = *Digest::of(&input).as_bytes();
        [a, b, c, d]
    }

    /// Reads a verifier key made by [`Self::to_vkey`] or another tool: `(name, key)`.
    ///
    /// # Errors
    /// When the form, the id or the key is wrong.
    pub fn from_vkey(text: &str) -> Result<(String, Self), KeyError> {
        let error = |reason: &str| KeyError {
            which: "verifier".into(),
            reason: reason.into(),
        };
        // A file of one line ends with a newline; any other space would be a second spelling.
        let text = text.strip_suffix('\n').unwrap_or(text);
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(error("expected name+id+key"));
        };
        let typed = BASE64
            .decode(key)
            .map_err(|_| error("the key is not standard Base64"))?;
        let [NOTE_ED25519, bytes @ ..] = typed.as_slice() else {
            return Err(error("only Ed25519 keys (type 0x01) are known"));
        };
        let bytes: [u8; 32] = bytes
            .try_into()
            .map_err(|_| error("an Ed25519 public key has 32 bytes"))?;
        let key = Self::from_bytes(bytes).ok_or_else(|| error("not a usable point of the curve"))?;
        if hex(&key.note_key_id(name)) != id {
            return Err(error("the id does not belong to this name and key"));
        }
        Ok((name.to_owned(), key))
    }
}

/// Signature type byte of Ed25519 in C2SP signed notes.
const NOTE_ED25519: u8 = 0x01;

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_base64(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The public halves of a ledger's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verifiers {
    /// Verifies checkpoints.
    pub log: PublicKey,
    /// Verifies entries.
    pub attestation: PublicKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_print() {
        let keys = Keys::generate([7; 64]);
        assert_eq!(format!("{keys:?}"), "Keys { log: [redacted], attestation: [redacted] }");
    }

    #[test]
    fn pem_round_trips_and_equal_keys_are_refused() {
        let keys = Keys::generate([7; 64]);
        let (log, attestation) = keys.to_pkcs8_pem().unwrap();
        let again = Keys::from_pkcs8_pem(&log, &attestation).unwrap();
        assert_eq!(again.verifiers(), keys.verifiers());
        assert!(Keys::from_pkcs8_pem(&log, &log).is_err());
        assert!(Keys::from_pkcs8_pem("nonsense", &attestation).is_err());
        assert!(Keys::from_seeds(&[1; 32], &[1; 32]).is_err());
    }

    #[test]
    fn verifier_keys_round_trip_and_reject_other_names() {
        let key = Keys::generate([7; 64]).verifiers().log;
        let text = key.to_vkey("example.com/log");
        assert_eq!(PublicKey::from_vkey(&text), Ok(("example.com/log".to_owned(), key)));
        assert!(PublicKey::from_vkey(&text.replace("example", "elpmaxe")).is_err());
        assert!(PublicKey::from_vkey(&format!("{text}\n")).is_ok());
        for more in ["\t", " ", "\n\n", "\r\n"] {
            assert!(PublicKey::from_vkey(&format!("{text}{more}")).is_err(), "{more:?}");
        }
    }

    #[test]
    fn small_order_points_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(identity), None);
    }
}
