//! Runs recorded inputs again and compares every event with the recording.
//!
//! A cycle is a pure function of configuration, state and input, so a recording that does not replay to the same content hashes was
//! altered, or was made by something else. [`Replay`] is the incremental form for long recordings; [`run`] takes them whole.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::decision::{CycleReason, Decision};
use crate::error::EngineError;
use crate::event::{Digest, Event, content_hash};
use crate::master::{Counters, CycleInput, CycleOutcome, State, commit, run_cycle};
use crate::num::decimal;

/// First event that differs from the recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    /// Cycle in which it lies.
    #[serde(with = "decimal")]
    pub cycle: u64,
    /// Index of the event in the cycle.
    pub event: usize,
    /// Recorded content hash; null when the recording has no such event.
    pub expected: Option<Digest>,
    /// Content hash of the replay; null when the replay has no such event.
    pub actual: Option<Digest>,
}

/// Result of a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayReport {
    /// Decision of each cycle.
    pub decisions: Vec<Decision>,
    /// Reason of each cycle.
    pub reasons: Vec<CycleReason>,
    /// Number of events.
    pub events: u64,
    /// Digest of all content hashes in order.
    pub stream_digest: Digest,
    /// Counters of the final state.
    pub counters: Counters,
    /// Content hash of the whole final state.
    pub final_state_hash: Digest,
    /// First difference from the recording; null when there is none, or nothing to compare with.
    pub divergence: Option<Divergence>,
}

/// A replay in progress. It keeps two small values per cycle and no events.
#[derive(Debug, Clone)]
pub struct Replay<'a> {
    config: &'a Config,
    state: State,
    decisions: Vec<Decision>,
    reasons: Vec<CycleReason>,
    events: u64,
    stream_digest: Digest,
    divergence: Option<Divergence>,
}

impl<'a> Replay<'a> {
    /// A replay that begins at `state`.
    #[must_use]
    pub fn new(config: &'a Config, state: State) -> Self {
        Self {
            config,
            state,
            decisions: Vec::new(),
            reasons: Vec::new(),
            events: 0,
            stream_digest: Digest::ZERO,
            divergence: None,
        }
    }

    /// The state after the cycles so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Runs one more cycle and compares its events with the recorded content hashes, if there are any.
    ///
    /// # Errors
    ///
    /// As [`run_cycle`].
    pub fn step(&mut self, input: &CycleInput, expected: Option<&[Digest]>) -> Result<CycleOutcome, EngineError> {
        let (outcome, next) = run_cycle(self.config, &self.state, input)?;
        self.state = commit(&self.state, &outcome, next)?;
        self.decisions.push(outcome.decision);
        self.reasons.push(outcome.reason);
        for event in &outcome.events {
            self.stream_digest = self.stream_digest.chain(&event.content_hash());
            self.events = self.events.saturating_add(1);
        }
        if self.divergence.is_none()
            && let Some(expected) = expected
        {
            self.divergence = divergence(&outcome, expected);
        }
        Ok(outcome)
    }

    /// The result so far.
    ///
    /// # Errors
    ///
    /// None in practice; a state has a canonical form.
    pub fn report(self) -> Result<ReplayReport, EngineError> {
        Ok(ReplayReport {
            decisions: self.decisions,
            reasons: self.reasons,
            events: self.events,
            stream_digest: self.stream_digest,
            counters: self.state.counters,
            final_state_hash: content_hash(&self.state)?,
            divergence: self.divergence,
        })
    }
}

fn divergence(outcome: &CycleOutcome, expected: &[Digest]) -> Option<Divergence> {
    let events = outcome.events.len().max(expected.len());
    (0..events)
        .map(|event| Divergence {
            cycle: outcome.cycle,
            event,
            expected: expected.get(event).copied(),
            actual: outcome.events.get(event).map(Event::content_hash),
        })
        .find(|pair| pair.expected != pair.actual)
}

/// Runs `inputs` from `state` and compares with `expected`, one list of content hashes per cycle.
///
/// A recording of another length diverges at the first cycle that only one of the two has.
///
/// # Errors
///
/// As [`run_cycle`].
pub fn run(
    config: &Config,
    state: &State,
    inputs: &[CycleInput],
    expected: Option<&[Vec<Digest>]>,
) -> Result<ReplayReport, EngineError> {
    let mut replay = Replay::new(config, state.clone());
    for (index, input) in inputs.iter().enumerate() {
        let recorded = expected.map(|cycles| cycles.get(index).map_or(&[][..], Vec::as_slice));
        replay.step(input, recorded)?;
    }
    let missing = expected.and_then(|cycles| cycles.get(inputs.len()));
    if replay.divergence.is_none()
        && let Some(missing) = missing
    {
        replay.divergence = Some(Divergence {
            cycle: replay.state.cycle,
            event: 0,
            expected: missing.first().copied(),
            actual: None,
        });
    }
    replay.report()
}
