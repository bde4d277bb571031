//! Forms that other tools read.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::dsse::PAYLOAD_TYPE;
use crate::entry::{DecodeError, Entry};
use crate::note::Checkpoint;
use crate::publish::CHECKPOINT;
use crate::publish::copy::{PublishedCopy, first_entries, named_blobs};
use crate::publish::paths::{MOST_LEVELS, TILE_WIDTH, blob_path, bundle_path, tile_path};
use crate::publish::tiles::first_hashes;
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

/// Copies the published files that the checkpoint covers to `destination`: blobs, entry bundles, tiles, and last the
/// checkpoint, so that an interrupted copy never promises what it does not hold. Of a ledger that grows meanwhile
/// nothing more is copied. What is missing is left out, and nothing behind a missing bundle is copied: the verification
/// of the copy names it.
///
/// # Errors
/// See [`ExportError`].
pub fn tiles(source: &Source, destination: &Path) -> Result<(), ExportError> {
    let copy = source.copy();
    // First what promises: what is read after it is there, whatever is published meanwhile.
    let note = copy.checkpoint()?;
    let claimed = note.as_deref().and_then(Checkpoint::claimed);
    let (Some(note), Some(claimed)) = (note, claimed) else {
        let what = format!(
            "{}: no checkpoint that could say how far to copy; a running operator writes it",
            source.directory().join(CHECKPOINT).display()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, what).into());
    };
    fs::create_dir_all(destination)?;
    let mut count = bundles(copy, claimed.size, destination)?;
    let mut promised = claimed.size;
    for level in 0..=MOST_LEVELS {
        for index in 0..count.div_ceil(TILE_WIDTH) {
            let width = TILE_WIDTH.min(promised - index * TILE_WIDTH);
            let path = |width| tile_path(level, index, width);
            if let Some((path, bytes)) = form(copy, path, width)? {
                write(destination, path, first_hashes(&bytes, width))?;
            }
        }
        (count, promised) = (count / TILE_WIDTH, promised / TILE_WIDTH);
    }
    write(destination, CHECKPOINT, &note)?;
    Ok(())
}

/// Copies the bundles of the first entries, with the blobs that they name; how many of the entries there are.
fn bundles(copy: &PublishedCopy, size: u64, destination: &Path) -> Result<u64, ExportError> {
    for index in 0..size.div_ceil(TILE_WIDTH) {
        let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
        let Some((path, bytes)) = form(copy, |width| bundle_path(index, width), width)? else {
            return Ok(index * TILE_WIDTH);
        };
        // Bytes behind the last entry stay in a full bundle: the verification has to see them.
        let kept = if width == TILE_WIDTH {
            &bytes
        } else {
            first_entries(&bytes, width)
        };
        for digest in named_blobs(kept) {
            let path = blob_path(&digest);
            if !destination.join(&path).exists()
                && let Some(content) = copy.read(&path)?
            {
                write(destination, path, &content)?;
            }
        }
        write(destination, path, kept)?;
    }
    Ok(size)
}

/// The form of this width, or the full one, which takes its place once it is there, with the path of this width.
fn form(copy: &PublishedCopy, path: impl Fn(u64) -> String, width: u64) -> io::Result<Option<(String, Vec<u8>)>> {
    let wanted = path(width);
    let found = match copy.read(&wanted)? {
        None if width < TILE_WIDTH => copy.read(path(TILE_WIDTH))?,
        found => found,
    };
    Ok(found.map(|bytes| (wanted, bytes)))
}

fn write(destination: &Path, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = destination.join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}
