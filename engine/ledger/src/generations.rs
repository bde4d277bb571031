//! Generations: a ledger is sealed, exported, and the next one begins with a link to its last head. Nothing is ever
//! rewritten, and the chain of generations is checked like the chain of entries.

use crate::anchor::Head;
use crate::entry::internal::{self, Genesis};
use crate::entry::{Body, Entry, Kind};
use crate::hash::leaf_hash;
use crate::reader::ReadError;
use crate::source::Source;
use crate::tree::Frontier;

/// How a generation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Origin, size, root and epoch over all of its entries.
    pub head: Head,
    /// Whether its last entry is ARCHIVE.
    pub sealed: bool,
}

/// Reads where a generation ends, from its entries. Their signatures are [`crate::verify()`]'s to check.
///
/// # Errors
/// When an entry cannot be read.
pub fn end(source: &Source) -> Result<End, ReadError> {
    let mut tree = Frontier::new();
    let mut last: Option<Entry> = None;
    let size = source.size()?;
    source.read(0..size, |seq, bytes| {
        tree.push(leaf_hash(bytes));
        if seq + 1 == size {
            last = Some(Entry::decode(bytes).map_err(|error| ReadError::Entry { seq, error })?);
        }
        Ok::<(), ReadError>(())
    })?;
    Ok(End {
        head: Head {
            origin: beginning(source)?.map(|genesis| genesis.origin).unwrap_or_default(),
            size: tree.size(),
            root: tree.root(),
            epoch: last.as_ref().map_or(0, |entry| entry.position.epoch),
        },
        sealed: last.is_some_and(|entry| entry.kind == Kind::Archive),
    })
}

/// The body of the first entry; `None` when it is no GENESIS.
///
/// # Errors
/// When it cannot be read.
pub fn beginning(source: &Source) -> Result<Option<Genesis>, ReadError> {
    let Some(bytes) = source.entry_bytes(0)? else {
        return Ok(None);
    };
    let entry = Entry::decode(&bytes).map_err(|error| ReadError::Entry { seq: 0, error })?;
    Ok(match (&entry.body, entry.kind) {
        (Body::Inline(body), Kind::Genesis) => internal::read(Kind::Genesis, body).ok(),
        _ => None,
    })
}

/// What is wrong with the link from a generation to the next; `None` when nothing is.
///
/// # Errors
/// When an entry cannot be read.
pub fn broken_link(previous: &Source, next: &Source) -> Result<Option<String>, ReadError> {
    let end = end(previous)?;
    let named = beginning(next)?.and_then(|genesis| genesis.previous);
    Ok(match named {
        None => Some("its first entry names no generation before it".to_owned()),
        Some(named) if named != end.head => Some(format!(
            "its first entry follows {} entries of {:?} with root {}, the generation before has {} of {:?} with root {}",
            named.size, named.origin, named.root, end.head.size, end.head.origin, end.head.root
        )),
        Some(_) if !end.sealed => Some("the generation before is not sealed".to_owned()),
        Some(_) => None,
    })
}
