//! Forms that other tools read.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::dsse::PAYLOAD_TYPE;
use crate::entry::{DecodeError, Entry};
use crate::publish::CHECKPOINT;
use crate::reader::ReadError;
use crate::source::Source;

/// Media type of the bundle.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The destination cannot be written.
    #[error("export: {0}")]
    Io(#[from] io::Error),
    /// An entry is not one.
    #[error("entry {seq}: {error}")]
    Entry {
        /// Its position.
        seq: u64,
        /// What is wrong.
        error: DecodeError,
    },
}

/// A Sigstore bundle (v0.3) of one entry, to be verified with the attestation key, for example by
/// `cosign verify-blob-attestation`. The envelope's key id, which is no part of what is signed, is left out: DSSE
/// leaves its form open, and Go's verifier skips a signature whose id is not the one that it would have made.
#[must_use]
pub fn sigstore_bundle(entry: &Entry) -> Value {
    json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": entry.envelope.key_id } },
        "dsseEnvelope": {
            "payload": BASE64.encode(&entry.envelope.payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "sig": BASE64.encode(entry.envelope.signature) }],
        },
    })
}

/// Writes one JSON line for each entry of a range: `{"leaf":…,"seq":…,"statement":…}`.
///
/// # Errors
/// See [`ExportError`].
pub fn ndjson(source: &Source, range: std::ops::Range<u64>, output: &mut impl Write) -> Result<(), ExportError> {
    source.read(range, |seq, bytes| {
        let failed = |error| ExportError::Entry { seq, error };
        let entry = Entry::decode(bytes).map_err(failed)?;
        let statement: Value = serde_json::from_slice(&entry.envelope.payload)
            .map_err(|e| failed(DecodeError::Statement(e.to_string())))?;
        let line = json!({ "leaf": entry.leaf, "seq": seq.to_string(), "statement": statement });
        serde_json::to_writer(&mut *output, &line).map_err(io::Error::from)?;
        output.write_all(b"\n")?;
        Ok(())
    })
}

/// Copies the published files to `destination`: blobs, entry bundles, tiles, and last the checkpoint, so that
/// an interrupted copy never promises what it does not hold.
///
/// # Errors
/// See [`ExportError`].
pub fn tiles(source: &Source, destination: &Path) -> Result<(), ExportError> {
    fs::create_dir_all(destination)?;
    for part in ["blobs", "tile"] {
        let from = source.directory().join(part);
        if from.is_dir() {
            copy(&from, &destination.join(part))?;
        }
    }
    fs::copy(source.directory().join(CHECKPOINT), destination.join(CHECKPOINT))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for item in fs::read_dir(from)? {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            copy(&item.path(), &target)?;
        } else if item.path().extension().is_none_or(|end| end != "new") {
            match fs::copy(item.path(), &target) {
                // A partial tile goes when its full one is there, which is copied too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => drop(copied?),
            }
        }
    }
    Ok(())
}
