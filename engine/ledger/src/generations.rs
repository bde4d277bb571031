//! Generations: a ledger is sealed, exported, and the next one begins with a link to its last head. Nothing is ever
//! rewritten, and the chain of generations is checked like the chain of entries.

use std::collections::BTreeMap;

use crate::anchor::Head;
pub use crate::entry::internal::Successor;
use crate::entry::internal::{self, Archive, Genesis};
use crate::entry::{Body, Entry, Kind, StateUpdate};
use crate::hash::{Digest, leaf_hash};
use crate::health::Reason;
use crate::ledger::Ledger;
use crate::reader::ReadError;
use crate::source::Source;
use crate::tree::Frontier;
use crate::writer::ticket::AppendError;

/// How a generation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Origin, size, root and epoch over all of its entries.
    pub head: Head,
    /// Whether its last entry is ARCHIVE.
    pub sealed: bool,
    /// The generation that the ARCHIVE entry names.
    pub next: Option<Successor>,
}

/// What a sealed generation hands over to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its last head.
    pub head: Head,
    /// Its states: the next generation goes on from them.
    pub state: Vec<StateUpdate>,
}

/// Why a generation was not handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// The ARCHIVE entry was not acknowledged.
    #[error("the generation is not sealed: {0}")]
    Append(#[from] AppendError),
    /// The sealed generation cannot be read.
    #[error("the sealed generation cannot be read: {0}")]
    Read(#[from] ReadError),
    /// It was sealed before, for another successor.
    #[error(
        "the generation was sealed for {}, not for {}; a generation has one successor: begin that one, with its keys",
        describe(.named.as_deref()),
        describe(Some(.wanted))
    )]
    Successor {
        /// The one that its ARCHIVE entry names.
        named: Option<Box<Successor>>,
        /// The one asked for.
        wanted: Box<Successor>,
    },
}

fn describe(successor: Option<&Successor>) -> String {
    match successor {
        Some(next) => format!(
            "{:?} with attestation key {}",
            next.origin,
            next.keys.attestation.to_base64()
        ),
        None => "no other".to_owned(),
    }
}

/// Seals a generation for `next`, unless it is sealed already, closes it, and returns what `next` begins with: calling
/// it again after a crash does no harm.
///
/// # Errors
/// See [`HandOverError`].
pub fn hand_over(ledger: Ledger, next: Successor, time_ms: i64) -> Result<Predecessor, HandOverError> {
    match ledger.seal(Some(next.clone()), time_ms).wait() {
        Ok(_) => {}
        Err(AppendError::Refused(failure)) if failure.reason == Reason::Sealed => {}
        Err(error) => return Err(error.into()),
    }
    let state = ledger.states()?;
    let directory = ledger.directory().to_owned();
    ledger.close();
    let end = end(&Source::open(&directory)?)?;
    if end.next.as_ref() == Some(&next) {
        Ok(Predecessor { head: end.head, state })
    } else {
        Err(HandOverError::Successor {
            named: end.next.map(Box::new),
            wanted: Box::new(next),
        })
    }
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
        sealed: last.as_ref().is_some_and(|entry| entry.kind == Kind::Archive),
        next: last.as_ref().and_then(successor),
    })
}

fn successor(entry: &Entry) -> Option<Successor> {
    match (&entry.body, entry.kind) {
        (Body::Inline(body), Kind::Archive) => internal::read::<Archive>(Kind::Archive, body).ok()?.next,
        _ => None,
    }
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

/// What is wrong with the link from a generation to the next; `None` when nothing is. The link goes both ways: the next
/// one names the last head of the one before, which names origin and first keys of the next one. The states that the
/// next one begins with must be those that the one before left. Memory grows with the number of states.
///
/// # Errors
/// When an entry cannot be read.
pub fn broken_link(previous: &Source, next: &Source) -> Result<Option<String>, ReadError> {
    let end = end(previous)?;
    let Some(beginning) = beginning(next)? else {
        return Ok(Some(
            "it has no first entry that could name the generation before".to_owned(),
        ));
    };
    let begun = Successor {
        origin: beginning.origin,
        keys: beginning.keys,
    };
    Ok(match beginning.previous {
        None => Some("its first entry names no generation before it".to_owned()),
        Some(named) if named != end.head => Some(format!(
            "its first entry follows {} entries of {:?} with root {}, the generation before has {} of {:?} with root {}",
            named.size, named.origin, named.root, end.head.size, end.head.origin, end.head.root
        )),
        Some(_) if !end.sealed => Some("the generation before is not sealed".to_owned()),
        Some(_) if end.next.as_ref() != Some(&begun) => Some(format!(
            "the generation before was sealed for {}, this is {}",
            describe(end.next.as_ref()),
            describe(Some(&begun))
        )),
        Some(_) => difference(&left(previous)?, &taken_over(next)?),
    })
}

/// Digests of states by their keys.
type States = BTreeMap<String, Digest>;

/// The states that have a value at the end of a generation.
fn left(source: &Source) -> Result<States, ReadError> {
    let mut states = States::new();
    source.read(0..u64::MAX, |seq, bytes| {
        let entry = Entry::decode_trusted(bytes, leaf_hash(bytes)).map_err(|error| ReadError::Entry { seq, error })?;
        note(&mut states, &entry);
        Ok::<(), ReadError>(())
    })?;
    Ok(states)
}

/// The states that a generation begins with: those of the CARRY entries right behind its first entry.
fn taken_over(source: &Source) -> Result<States, ReadError> {
    let mut states = States::new();
    for seq in 1.. {
        let Some(bytes) = source.entry_bytes(seq)? else { break };
        let entry = Entry::decode(&bytes).map_err(|error| ReadError::Entry { seq, error })?;
        if entry.kind != Kind::Carry {
            break;
        }
        note(&mut states, &entry);
    }
    Ok(states)
}

/// An empty value is none: that is how a state is deleted.
fn note(states: &mut States, entry: &Entry) {
    for state in &entry.state {
        if state.size > 0 {
            states.insert(state.key.clone(), state.sha256);
        } else {
            states.remove(&state.key);
        }
    }
}

/// The first state, in the order of the keys, that was not taken over as it was left.
fn difference(left: &States, taken: &States) -> Option<String> {
    let key = left
        .keys()
        .chain(taken.keys())
        .filter(|key| left.get(*key) != taken.get(*key))
        .min()?;
    let name = |digest: Option<&Digest>| digest.map_or_else(|| "none".to_owned(), Digest::to_string);
    Some(format!(
        "it begins with {} as state {key:?}, the generation before left {}",
        name(taken.get(key)),
        name(left.get(key))
    ))
}
