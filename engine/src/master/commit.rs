//! The next state, and its exchange against the current one.

use super::decide::Verdict;
use super::findings::Findings;
use super::input::CycleInput;
use super::outcome::CycleOutcome;
use super::state::{Evolving, State};
use crate::caos::Components;
use crate::config::Config;
use crate::decision::{CycleReason, Decision, Stage};
use crate::error::EngineError;
use crate::fibonacci;
use crate::num::Num;
use crate::rng::RngState;

/// The state after a cycle.
pub(super) fn next_state(
    config: &Config,
    state: &State,
    input: &CycleInput,
    components: &Components,
    findings: &Findings,
    verdict: &Verdict,
    rng: RngState,
) -> State {
    let held = verdict.decision == Decision::Hold;
    let mut next = State {
        cycle: state.cycle.saturating_add(1),
        evolving: state.evolving.clone(),
        hold_streak: if held { state.hold_streak.saturating_add(1) } else { 0 },
        counters: state.counters.after(verdict.decision),
        rng,
        fallback: state.fallback.clone(),
    };
    match verdict.decision {
        Decision::Promote => {
            next.fallback = Some(state.evolving.clone());
            next.evolving = promoted(config, &state.evolving, input, components, findings);
        }
        Decision::Abort | Decision::Rollback => {
            if input.stage == Stage::Watch
                && let Some(before) = next.fallback.take()
            {
                next.evolving = before;
            }
        }
        Decision::Hold | Decision::Reject | Decision::Canary | Decision::Fallback => {
            next.evolving.tracker = findings.caos.tracker;
            if verdict.reason == CycleReason::BaselineRecorded {
                next.evolving.linf = Some(findings.progress.linf.value);
            }
        }
    }
    next
}

/// The evolving part after a promotion.
fn promoted(
    config: &Config,
    before: &Evolving,
    input: &CycleInput,
    components: &Components,
    findings: &Findings,
) -> Evolving {
    let metric = |name: &'static str| {
        let value = input.metrics.get(name).copied();
        (name, value.unwrap_or(Num::MISSING))
    };
    let axes = input.sr.unwrap_or_default();
    let measured = [
        metric("rsi"),
        metric("synergy"),
        metric("novelty"),
        metric("stability"),
        metric("viability"),
        metric("cost"),
        ("c", components.c),
        ("a", components.a),
        ("o", components.o),
        ("s", components.s),
        ("calibration", axes.calibration),
        ("autocorrection", axes.autocorrection),
        ("metacognition", axes.metacognition),
    ];
    let trust = &config.fibonacci;
    let delta = Num::from(findings.progress.delta.ok());
    Evolving {
        alpha: findings.alpha,
        linf: Some(findings.progress.linf.value),
        tracker: findings.caos.tracker,
        trust_radius: if trust.enabled && trust.trust_region {
            fibonacci::trust(before.trust_radius, delta, trust)
        } else {
            before.trust_radius
        },
        vector: before
            .vector
            .overwritten(measured)
            .project(findings.step.applied, config.max_norm),
    }
}

/// Exchanges the current state for the one after a cycle, if nothing has happened in between.
///
/// # Errors
///
/// [`EngineError::StateMismatch`] unless cycle and state hash of `current` are those that the outcome was computed from.
pub fn commit(current: &State, outcome: &CycleOutcome, next: State) -> Result<State, EngineError> {
    if current.cycle == outcome.cycle && current.hash()? == outcome.pre_state_hash {
        Ok(next)
    } else {
        Err(EngineError::StateMismatch)
    }
}
