//! The side file: a line for each draft, of the digest of its JSON and the JSON.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{Kept, MOST_BYTES, Waiting};
use crate::hash::Digest;

/// The whole side file; none is an empty one. One that nobody here can have written is not read into memory.
pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(bytes),
        Err(error) => return Err(error),
    };
    let most = 2 * MOST_BYTES as u64;
    if file.take(most + 1).read_to_end(&mut bytes)? as u64 > most {
        return Err(io::Error::other(format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// A draft's line; None when it has no JSON, which no draft that was queued is.
pub(super) fn line(waiting: &Waiting) -> Option<Vec<u8>> {
    let mut line = format!("{} ", waiting.id).into_bytes();
    line.extend(serde_json::to_vec(&waiting.draft).ok()?);
    line.push(b'\n');
    Some(line)
}

/// The draft of a line, if it is whole and as it was written.
pub(super) fn parse(line: &[u8]) -> Option<Waiting> {
    let line = line.strip_suffix(b"\n")?;
    let (id, json) = line.split_at_checked(64)?;
    let id: Digest = std::str::from_utf8(id).ok()?.parse().ok()?;
    let json = json.strip_prefix(b" ")?;
    if Digest::of(json) != id {
        return None;
    }
    let draft = serde_json::from_slice(json).ok()?;
    Some(Waiting {
        id,
        draft,
        bytes: json.len(),
        kept: Kept::OnDisk,
    })
}
