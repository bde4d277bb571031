//! Runs the recorded decisions again: every engine event must come out with the content hash that was signed.
//!
//! An entry that records an engine cycle names the blobs [`CONFIG`] and [`CYCLE_INPUT`], carries the content hashes of
//! the cycle's events, and stores the engine's next state under a key that begins with [`STATE_PREFIX`]. The state
//! before a cycle is the one that the entry before it stored under the same key, or the initial one.

use std::collections::HashMap;
use std::ops::Range;

use penin_engine::config::Config;
use penin_engine::event;
use penin_engine::master::{CycleInput, State, commit, run_cycle};
use serde::Serialize;
use serde_json::Value;

use crate::entry::{DecodeError, Entry, StateRef};
use crate::hash::Digest;
use crate::reader::ReadError;
use crate::source::Source;

/// Name of the blob with the engine's configuration.
pub const CONFIG: &str = "config";
/// Name of the blob with the engine's input.
pub const CYCLE_INPUT: &str = "cycleInput";
/// Start of the key of an engine state.
pub const STATE_PREFIX: &str = "engine/";

/// The first entry whose decision does not come out as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// Position of the entry.
    pub seq: u64,
    /// What differs.
    pub detail: String,
}

/// Outcome of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Cycles run again.
    pub cycles: u64,
    /// Events compared.
    pub events: u64,
    /// The first difference.
    pub divergence: Option<Divergence>,
}

/// Replays the engine cycles recorded in a range of entries, which must begin where the states begin: with the
/// first entry, unless only later keys are of interest. Stops at the first difference. Memory grows with the
/// number of state keys.
///
/// # Errors
/// When an entry or a blob cannot be read.
pub fn replay(source: &Source, range: Range<u64>) -> Result<ReplayReport, ReadError> {
    let mut report = ReplayReport::default();
    let mut states: HashMap<String, StateRef> = HashMap::new();
    for seq in range {
        let Some(bytes) = source.entry_bytes(seq)? else {
            break;
        };
        let entry = Entry::decode(&bytes).map_err(|error| ReadError::Entry { seq, error })?;
        if let Some(recorded) = recorded(source, &entry)? {
            let before = match states.get(&recorded.state.key) {
                Some(reference) => Some(document(source, seq, &reference.sha256)?),
                None => None,
            };
            match run(&recorded, before.as_ref(), &entry.content_hashes) {
                Ok(events) => {
                    report.cycles += 1;
                    report.events += events;
                }
                Err(detail) => {
                    report.divergence = Some(Divergence { seq, detail });
                    return Ok(report);
                }
            }
        }
        for state in entry.state {
            states.insert(state.key.clone(), state);
        }
    }
    Ok(report)
}

/// What an entry recorded of a cycle.
struct Recorded {
    config: Value,
    input: Value,
    state: StateRef,
}

fn recorded(source: &Source, entry: &Entry) -> Result<Option<Recorded>, ReadError> {
    let blob = |name: &str| entry.blobs.iter().find(|blob| blob.name == name);
    let state = entry.state.iter().find(|state| state.key.starts_with(STATE_PREFIX));
    let (Some(config), Some(input), Some(state)) = (blob(CONFIG), blob(CYCLE_INPUT), state) else {
        return Ok(None);
    };
    let seq = entry.position.seq;
    Ok(Some(Recorded {
        config: document(source, seq, &config.sha256)?,
        input: document(source, seq, &input.sha256)?,
        state: state.clone(),
    }))
}

fn document(source: &Source, seq: u64, digest: &Digest) -> Result<Value, ReadError> {
    let bytes = source.blob(digest, seq)?.ok_or(ReadError::MissingBlob(*digest))?;
    serde_json::from_slice(&bytes).map_err(|error| ReadError::Entry {
        seq,
        error: DecodeError::Statement(format!("blob {digest}: {error}")),
    })
}

/// Runs one cycle; the number of its events, or what differs.
fn run(recorded: &Recorded, before: Option<&Value>, hashes: &[Digest]) -> Result<u64, String> {
    let config =
        Config::from_json(&recorded.config).map_err(|errors| format!("the configuration is not valid: {errors:?}"))?;
    let state = match before {
        Some(document) => State::from_json(&config, document),
        None => Ok(State::new(&config)),
    }
    .map_err(|error| format!("the state before is not valid: {error}"))?;
    let input = CycleInput::from_json(&recorded.input).map_err(|error| format!("the input is not valid: {error}"))?;
    let failed = |error| format!("the engine refuses it: {error}");
    let (outcome, next) = run_cycle(&config, &state, &input).map_err(failed)?;
    let next = commit(&state, &outcome, next).map_err(failed)?;
    let events: Vec<Digest> = outcome
        .events
        .iter()
        .map(|event| Digest::from_bytes(*event.content_hash().as_bytes()))
        .collect();
    let count = events.len().max(hashes.len());
    for index in 0..count {
        let (actual, expected) = (events.get(index), hashes.get(index));
        if actual != expected {
            let name = |hash: Option<&Digest>| hash.map_or_else(|| "none".to_owned(), Digest::to_string);
            return Err(format!(
                "event {index}: recorded {}, replayed {}",
                name(expected),
                name(actual)
            ));
        }
    }
    let text = event::canonical(&next).map_err(|error| format!("the next state: {error}"))?;
    if Digest::of(text.as_bytes()) != recorded.state.sha256 {
        return Err("the state after the cycle is another one".to_owned());
    }
    Ok(events.len() as u64)
}
