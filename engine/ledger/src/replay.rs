//! Runs the recorded decisions again: every engine event must come out with the content hash that was signed.
//!
//! An entry that records an engine cycle names the blobs [`CONFIG`], [`STATE`] and [`CYCLE_INPUT`], carries the content
//! hashes of the cycle's events, and has the hashes of the states before and after in its body (`outcome`). The state
//! before must be the one that the cycle's last recorded decision left, or its adoption.

use std::collections::HashMap;
use std::ops::Range;

use penin_engine::config::Config;
use penin_engine::master::{CycleInput, CycleOutcome, State, commit, run_cycle};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::entry::{Body, DecodeError, Entry, Kind};
use crate::hash::Digest;
use crate::reader::ReadError;
use crate::source::Source;

/// Name of the blob with the engine's configuration.
pub const CONFIG: &str = "config";
/// Name of the blob with the engine's state before the cycle.
pub const STATE: &str = "state";
/// Name of the blob with the engine's input.
pub const CYCLE_INPUT: &str = "cycleInput";

/// The field `outcome` of an entry that records an engine cycle: the decision for people, and for a replay the hashes
/// of the states.
#[must_use]
pub fn summary(outcome: &CycleOutcome) -> Value {
    json!({
        "cycle": outcome.cycle.to_string(),
        "decision": outcome.decision,
        "reason": outcome.reason,
        "causes": outcome.causes,
        "traffic": outcome.traffic,
        "configHash": outcome.config_hash,
        "inputHash": outcome.input_hash,
        "preStateHash": outcome.pre_state_hash,
        "postStateHash": outcome.post_state_hash,
        "rngBefore": outcome.rng_before,
        "rngAfter": outcome.rng_after,
    })
}

/// The content hashes of an engine cycle's events, in order.
#[must_use]
pub fn content_hashes(outcome: &CycleOutcome) -> Vec<Digest> {
    outcome.events.iter().map(|event| own(&event.content_hash())).collect()
}

/// The engine's digest as the ledger's.
fn own(hash: &penin_engine::event::Digest) -> Digest {
    Digest::from_bytes(*hash.as_bytes())
}

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
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    /// Cycles run again.
    pub cycles: u64,
    /// Events compared.
    pub events: u64,
    /// Entries with content hashes whose inputs were not recorded, so that they cannot be run again.
    pub without_inputs: u64,
    /// The first difference.
    pub divergence: Option<Divergence>,
}

/// Replays the engine cycles recorded in a range of entries. Stops at the first difference. The first decision of each
/// cycle in a range that begins later is run from its own recorded state. Memory grows with the number of cycles.
///
/// # Errors
/// When an entry or a blob cannot be read.
pub fn replay(source: &Source, range: Range<u64>, progress: impl FnMut(u64)) -> Result<ReplayReport, ReadError> {
    States::default().replay(source, range, progress)
}

/// Hash of the engine's state by the UID of the cycle, as the entries replayed so far left it. Generations that follow
/// each other are replayed with the same one, the oldest first; that they do is [`crate::generations::broken_link`]'s to
/// check.
#[derive(Debug, Clone, Default)]
pub struct States(HashMap<String, Digest>);

impl States {
    /// As [`replay()`], from these states on.
    ///
    /// # Errors
    /// When an entry or a blob cannot be read.
    pub fn replay(
        &mut self,
        source: &Source,
        range: Range<u64>,
        mut progress: impl FnMut(u64),
    ) -> Result<ReplayReport, ReadError> {
        let mut report = ReplayReport::default();
        source.read(range, |seq, bytes| {
            if report.divergence.is_some() {
                return Ok(());
            }
            progress(seq);
            let entry = Entry::decode(bytes).map_err(|error| ReadError::Entry { seq, error })?;
            if !entry.content_hashes.is_empty() || entry.kind == Kind::Adopt {
                one(source, &entry, self, &mut report)?;
            }
            Ok::<(), ReadError>(())
        })?;
        Ok(report)
    }
}

fn one(source: &Source, entry: &Entry, states: &mut States, report: &mut ReplayReport) -> Result<(), ReadError> {
    let seq = entry.position.seq;
    let uid = entry.cycle.as_ref().map(|cycle| cycle.uid.clone()).unwrap_or_default();
    let body = body(source, entry)?;
    if entry.kind == Kind::Adopt {
        if let Some(hash) = digest(&body, "stateHash") {
            states.0.insert(uid, hash);
        }
        return Ok(());
    }
    let Some(recorded) = recorded(source, entry, &body)? else {
        report.without_inputs += 1;
        return Ok(());
    };
    // A rollback that had waited was decided before what stands in front of it. When that was taken over from an earlier
    // generation and the cycle had gone on, it sets no state.
    let had_waited = entry.queued.is_some();
    let before = states.0.get(&uid).filter(|_| !had_waited);
    match run(&recorded, before, &entry.content_hashes) {
        Ok((events, after)) => {
            report.cycles += 1;
            report.events += events;
            if !had_waited || !entry.state.is_empty() {
                states.0.insert(uid, after);
            }
        }
        Err(detail) => report.divergence = Some(Divergence { seq, detail }),
    }
    Ok(())
}

/// What an entry recorded of a cycle.
struct Recorded {
    config: Value,
    state: Value,
    input: Value,
    /// The events as the entry shows them to people.
    events: Option<Value>,
    /// Hashes of the states before and after, as the entry says.
    before: Option<Digest>,
    after: Option<Digest>,
}

fn recorded(source: &Source, entry: &Entry, body: &Map<String, Value>) -> Result<Option<Recorded>, ReadError> {
    let blob = |name: &str| entry.blobs.iter().find(|blob| blob.name == name);
    let (Some(config), Some(state), Some(input)) = (blob(CONFIG), blob(STATE), blob(CYCLE_INPUT)) else {
        return Ok(None);
    };
    let seq = entry.position.seq;
    let empty = Map::new();
    let outcome = body.get("outcome").and_then(Value::as_object).unwrap_or(&empty);
    Ok(Some(Recorded {
        config: document(source, seq, &config.sha256)?,
        state: document(source, seq, &state.sha256)?,
        input: document(source, seq, &input.sha256)?,
        events: body.get("events").cloned(),
        before: digest(outcome, "preStateHash"),
        after: digest(outcome, "postStateHash"),
    }))
}

fn body(source: &Source, entry: &Entry) -> Result<Map<String, Value>, ReadError> {
    match &entry.body {
        Body::Inline(body) => Ok(body.clone()),
        Body::Blob { sha256, .. } => match document(source, entry.position.seq, sha256)? {
            Value::Object(body) => Ok(body),
            _ => Err(ReadError::Entry {
                seq: entry.position.seq,
                error: DecodeError::Statement(format!("body blob {sha256} is no object")),
            }),
        },
    }
}

fn digest(fields: &Map<String, Value>, name: &str) -> Option<Digest> {
    fields.get(name)?.as_str()?.parse().ok()
}

fn document(source: &Source, seq: u64, digest: &Digest) -> Result<Value, ReadError> {
    let bytes = source.blob(digest, seq)?.ok_or(ReadError::MissingBlob(*digest))?;
    serde_json::from_slice(&bytes).map_err(|error| ReadError::Entry {
        seq,
        error: DecodeError::Statement(format!("blob {digest}: {error}")),
    })
}

/// Runs one cycle; the number of its events and the hash of the state after, or what differs.
fn run(recorded: &Recorded, before: Option<&Digest>, hashes: &[Digest]) -> Result<(u64, Digest), String> {
    let config =
        Config::from_json(&recorded.config).map_err(|errors| format!("the configuration is not valid: {errors:?}"))?;
    let state = State::from_json(&config, &recorded.state)
        .map_err(|error| format!("the state before is not valid: {error}"))?;
    let input = CycleInput::from_json(&recorded.input).map_err(|error| format!("the input is not valid: {error}"))?;
    let failed = |error| format!("the engine refuses it: {error}");
    let (outcome, next) = run_cycle(&config, &state, &input).map_err(failed)?;
    commit(&state, &outcome, next).map_err(failed)?;
    let (pre, post) = (own(&outcome.pre_state_hash), own(&outcome.post_state_hash));
    if before.is_some_and(|before| *before != pre) {
        return Err("the state before is not the one that the decision before it left".to_owned());
    }
    let events = content_hashes(&outcome);
    compare(&events, hashes)?;
    let shown = serde_json::to_value(&outcome.events).map_err(|error| error.to_string())?;
    if recorded.events.as_ref().is_some_and(|events| *events != shown) {
        return Err("the events in the entry are not those that were hashed".to_owned());
    }
    for (what, said, found) in [("before", recorded.before, pre), ("after", recorded.after, post)] {
        match said {
            Some(said) if said == found => {}
            Some(said) => return Err(format!("state {what}: recorded {said}, replayed {found}")),
            None => return Err(format!("the entry has no hash of the state {what}")),
        }
    }
    Ok((events.len() as u64, post))
}

fn compare(events: &[Digest], hashes: &[Digest]) -> Result<(), String> {
    for index in 0..events.len().max(hashes.len()) {
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
    Ok(())
}
