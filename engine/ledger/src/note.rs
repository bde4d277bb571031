//! C2SP signed notes and checkpoints (signed-note v1.0.0, tlog-checkpoint v1.0.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::hash::Digest;
use crate::keys::PublicKey;

/// Largest note that is read: a checkpoint with many cosignatures stays far below.
const MOST_BYTES: usize = 64 * 1024;
/// Most signature lines that are looked at, as in the reference implementation.
const MOST_SIGNATURES: usize = 100;

/// A note that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the form of a signed note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// The text is not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// Another log's checkpoint.
    #[error("checkpoint of {found:?}, expected {expected:?}")]
    Origin {
        /// Origin in the note.
        found: String,
        /// Origin expected.
        expected: String,
    },
    /// A signature with a known key's name and id is wrong.
    #[error("the signature of a known key is wrong")]
    BadSignature,
    /// No signature by the expected key.
    #[error("not signed by the log's key")]
    Unsigned,
}

/// A tree head: what a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Origin line.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root.
    pub root: Digest,
}

impl Checkpoint {
    /// The signed text: origin, decimal size, Base64 root, each ended by a newline. No extension lines.
    #[must_use]
    pub fn text(&self) -> String {
        let root = BASE64.encode(self.root.as_bytes());
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Signs with one or several keys, all under the origin's name.
    #[must_use]
    pub fn sign<'a>(&self, keys: impl IntoIterator<Item = &'a SigningKey>) -> String {
        let text = self.text();
        let mut note = format!("{text}\n");
        for key in keys {
            let mut blob = PublicKey(key.verifying_key()).note_key_id(&self.origin).to_vec();
            blob.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
            note.push_str("— ");
            note.push_str(&self.origin);
            note.push(' ');
            BASE64.encode_string(blob, &mut note);
            note.push('\n');
        }
        note
    }

    /// Reads a note signed by `key` under the name `origin`. Lines of unknown keys are ignored, as the format
    /// demands; a wrong signature of the known key refuses the note.
    ///
    /// # Errors
    /// See [`NoteError`].
    pub fn open(note: &[u8], origin: &str, key: &PublicKey) -> Result<Self, NoteError> {
        let (text, signatures) = split(note)?;
        let checkpoint = Self::parse(text)?;
        if checkpoint.origin != origin {
            return Err(NoteError::Origin {
                found: checkpoint.origin.chars().take(255).collect(),
                expected: origin.to_owned(),
            });
        }
        let id = key.note_key_id(origin);
        let mut verified = false;
        for line in signatures.lines().take(MOST_SIGNATURES) {
            let (name, blob) = signature_line(line)?;
            if name == origin && blob.get(..4) == Some(&id) {
                let signature: Option<&[u8; 64]> = blob.get(4..).and_then(|s| s.try_into().ok());
                match signature {
                    Some(signature) if key.verify(text.as_bytes(), signature) => verified = true,
                    _ => return Err(NoteError::BadSignature),
                }
            }
        }
        verified.then_some(checkpoint).ok_or(NoteError::Unsigned)
    }

    /// What a note claims, whoever signed it: to know what to ask for, never to believe it.
    #[must_use]
    pub fn claimed(note: &[u8]) -> Option<Self> {
        let (text, _) = split(note).ok()?;
        Self::parse(text).ok()
    }

    /// Reads the text of a checkpoint without any signature.
    ///
    /// # Errors
    /// [`NoteError::Checkpoint`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(NoteError::Checkpoint("no final newline"))?
            .split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Checkpoint("fewer than three lines"));
        };
        if origin.is_empty() {
            return Err(NoteError::Checkpoint("the origin is empty"));
        }
        if lines.any(str::is_empty) {
            return Err(NoteError::Checkpoint("an extension line is empty"));
        }
        let count: u64 = size
            .parse()
            .map_err(|_| NoteError::Checkpoint("the size is not a decimal integer"))?;
        if count.to_string() != size {
            return Err(NoteError::Checkpoint("the size is not canonical"));
        }
        let root = BASE64
            .decode(root)
            .ok()
            .and_then(|bytes| Digest::from_slice(&bytes))
            .ok_or(NoteError::Checkpoint("the root is not Base64 of 32 bytes"))?;
        Ok(Self {
            origin: origin.to_owned(),
            size: count,
            root,
        })
    }
}

/// Text with its final newline, and the signature lines.
fn split(note: &[u8]) -> Result<(&str, &str), NoteError> {
    if note.len() > MOST_BYTES {
        return Err(NoteError::Form("larger than 64 KiB"));
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Form("not UTF-8"))?;
    if note.chars().any(|c| c.is_ascii_control() && c != '\n') {
        return Err(NoteError::Form("control characters"));
    }
    let at = note
        .rfind("\n\n")
        .ok_or(NoteError::Form("no blank line before the signatures"))?;
    let (text, rest) = note.split_at_checked(at + 1).ok_or(NoteError::Form("no text"))?;
    let signatures = rest
        .strip_prefix('\n')
        .filter(|lines| lines.ends_with('\n'))
        .ok_or(NoteError::Form("no signature line"))?;
    if signatures.lines().count() > MOST_SIGNATURES {
        return Err(NoteError::Form("more than 100 signatures"));
    }
    Ok((text, signatures))
}

fn signature_line(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let (name, blob) = line
        .strip_prefix("— ")
        .and_then(|rest| rest.split_once(' '))
        .ok_or(NoteError::Form("a signature line is malformed"))?;
    let blob = BASE64
        .decode(blob)
        .ok()
        .filter(|blob| blob.len() >= 5)
        .ok_or(NoteError::Form("a signature is not Base64"))?;
    if name.is_empty() || name.contains('+') || name.chars().any(char::is_whitespace) {
        return Err(NoteError::Form("a signature name is malformed"));
    }
    Ok((name, blob))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "example.com/log".into(),
            size: 42,
            root: Digest::of(b"root"),
        }
    }

    #[test]
    fn a_checkpoint_opens_with_its_key_beside_unknown_lines() {
        let (ours, other) = (Keys::generate([1; 64]), Keys::generate([2; 64]));
        let note = checkpoint().sign([&other.log, &ours.log]);
        let key = ours.verifiers().log;
        let opened = Checkpoint::open(note.as_bytes(), "example.com/log", &key);
        assert_eq!(opened, Ok(checkpoint()));
        let third = Keys::generate([3; 64]).verifiers().log;
        let opened = Checkpoint::open(note.as_bytes(), "example.com/log", &third);
        assert_eq!(opened, Err(NoteError::Unsigned));
        let opened = Checkpoint::open(note.as_bytes(), "example.com/other", &key);
        assert!(matches!(opened, Err(NoteError::Origin { .. })));
    }

    #[test]
    fn every_changed_or_missing_byte_is_refused() {
        let keys = Keys::generate([1; 64]);
        let note = checkpoint().sign([&keys.log]).into_bytes();
        let open = |bytes: &[u8]| Checkpoint::open(bytes, "example.com/log", &keys.verifiers().log);
        for position in 0..note.len() {
            let mut altered = note.clone();
            altered[position] ^= 1;
            assert!(open(&altered).is_err(), "byte {position}");
            assert!(open(&note[..position]).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn non_canonical_sizes_are_refused() {
        for text in ["o\n01\nAA==\n", "o\n+1\nAA==\n", "\n1\n\n", "o\n1\n"] {
            assert!(Checkpoint::parse(text).is_err(), "{text:?}");
        }
    }
}
