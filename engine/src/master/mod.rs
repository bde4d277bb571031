//! The Master Equation cycle: one judgement of one candidate.
//!
//! ```text
//! I(t+1) = Π[ I(t) + gain · min(α·ΔL∞·lr, r) ]        Π: each coordinate into [0, 1], the whole into a ball; only on Promote
//! ```
//!
//! [`run_cycle`] goes through fourteen phases, all of them in every cycle: 1 state, hashes and random draws; 2 resources and risk; 3 global
//! coherence; 4 guard; 5 L∞ and ΔL∞; 6 CAOS⁺; 7 SR-Ω∞, closure, Agápe; 8 step factor α; 9 promotion gates; 10 step; 11 decision; 12
//! next state; 13 advisory scores; 14 events. It returns the outcome and the next state; nothing is changed in place. [`commit`] makes the
//! exchange a compare-and-set.
//!
//! | # | condition (Required gates only; the first that applies) | decision | reason |
//! |---|---|---|---|
//! | 1 | a risk gate fails | Abort | `RISK` |
//! | 2 | a guard gate fails | Abort | `SIGMA_GUARD` |
//! | 3 | the candidate's evidence is stand-in data | Fallback | `STUB_EVIDENCE` |
//! | 4 | no reference yet; risk, guard and L∞ usable | Hold | `BASELINE_RECORDED` |
//! | 5 | no reference yet otherwise | Hold | `EVIDENCE_UNKNOWN` |
//! | 6 | a promotion gate fails | Rollback in canary and watch, else Reject | `GATES_FAILED` |
//! | 7 | any gate is Unknown | Hold | `EVIDENCE_UNKNOWN` |
//! | 8 | the inputs were perturbed on purpose | Hold | `CHAOS_INJECTED` |
//! | 9 | stage watch | Hold | `WATCH_PASSED` |
//! | 10 | the step is not positive | as 6 | `NON_POSITIVE_STEP` |
//! | 11 | stage shadow | Canary | `SHADOW_PASSED` |
//! | 12 | otherwise | Promote | `ALL_GATES_PASSED` |

mod advisory;
mod alpha;
mod commit;
mod decide;
mod document;
mod events;
mod findings;
mod input;
mod node;
mod outcome;
mod parse;
mod state;
mod vector;

pub use alpha::alpha;
pub use commit::commit;
pub use input::{Candidate, ChampionEvidence, CycleInput, EthicsEvidence, EthicsMetric};
pub use outcome::{CycleOutcome, GuardVerdict, RiskContraction, Scores};
pub use state::{Counters, Evolving, State};
pub use vector::{DIMENSIONS, StateVector};

use crate::caos;
use crate::config::Config;
use crate::error::EngineError;
use crate::event::Digest;
use crate::fibonacci;
use crate::gates::{GateName, GateStatus};
use crate::num::Code;
use crate::resources::UNREADABLE_LOAD;
use crate::rng::{RngState, Stream};
use advisory::Advisory;
use decide::{Verdict, decide};
use findings::Findings;

/// Judges one candidate: the outcome with its events, and the next state.
///
/// # Errors
///
/// [`EngineError::State`] when `state` does not belong to `config`, [`EngineError::Input`] for an empty candidate name. Bad evidence is
/// never an error.
pub fn run_cycle(config: &Config, state: &State, input: &CycleInput) -> Result<(CycleOutcome, State), EngineError> {
    state.validate(config)?;
    if input.candidate.name.is_empty() {
        return Err(EngineError::input("candidate.name", Code::Empty));
    }
    let origin = Origin::new(config, state, input)?;
    let components = input.caos.unwrap_or_default();
    let components = origin.chaos.map_or(components, |factor| components.scaled(factor));
    let findings = Findings::new(config, state, input, &components);
    let verdict = decide(state, input, &findings, origin.chaos.is_some());
    let next = commit::next_state(config, state, input, &components, &findings, &verdict, origin.rng_after);
    let advisory = Advisory::new(config, input, &findings, &verdict);
    let mut outcome = summarise(config, state, &origin, &findings, verdict, &advisory, &next)?;
    outcome.events = events::events(config, input, &findings, &outcome)?;
    Ok((outcome, next))
}

/// Phase 1: what the cycle starts from, and its random draws.
struct Origin {
    input_hash: Digest,
    pre_state_hash: Digest,
    rng_after: RngState,
    chaos: Option<f64>,
}

impl Origin {
    fn new(config: &Config, state: &State, input: &CycleInput) -> Result<Self, EngineError> {
        let probability = config.caos.chaos_probability;
        // Without chaos nothing is drawn, so the position stays.
        let (chaos, rng_after) = if probability > 0.0 {
            let mut stream = Stream::restore(&state.rng);
            let factor = caos::chaos_factor(&mut stream, probability);
            (factor, stream.state())
        } else {
            (None, state.rng)
        };
        Ok(Self {
            input_hash: input.hash()?,
            pre_state_hash: state.hash()?,
            rng_after,
            chaos,
        })
    }
}

/// The outcome without its events.
fn summarise(
    config: &Config,
    state: &State,
    origin: &Origin,
    findings: &Findings,
    verdict: Verdict,
    advisory: &Advisory,
    next: &State,
) -> Result<CycleOutcome, EngineError> {
    let guard = findings.trace.guard_status();
    let cadence = &config.fibonacci;
    Ok(CycleOutcome {
        cycle: state.cycle,
        decision: verdict.decision,
        reason: verdict.reason,
        causes: verdict.causes,
        traffic: verdict.decision.traffic(),
        gates: findings.trace.gates.clone(),
        guard: GuardVerdict {
            allow: guard == GateStatus::Pass,
            status: guard,
        },
        scores: scores(findings, advisory),
        chaos_factor: origin.chaos,
        contraction: advisory.contraction,
        life_first_failed: advisory.life.first_failed.map(Into::into),
        lyapunov_stable: advisory.lyapunov.stable,
        growth_ok: advisory.growth.ok,
        config_hash: config.hash(),
        input_hash: origin.input_hash,
        pre_state_hash: origin.pre_state_hash,
        post_state_hash: next.hash()?,
        rng_before: state.rng,
        rng_after: origin.rng_after,
        next_interval_seconds: if cadence.enabled {
            fibonacci::ttl(
                next.hold_streak.saturating_add(1),
                cadence.cadence_base_seconds,
                cadence.max_interval_seconds,
            )
        } else {
            cadence.cadence_base_seconds
        },
        events: Vec::new(),
    })
}

fn scores(findings: &Findings, advisory: &Advisory) -> Scores {
    let load = |name| {
        let value = findings.trace.value(name).number();
        value.unwrap_or(UNREADABLE_LOAD)
    };
    Scores {
        agape: findings.agape.map(|judged| judged.value),
        alpha: findings.alpha,
        anabolization: advisory.anabolization,
        caos_base: findings.caos.base.value,
        caos_boost: findings.caos.boost,
        caos_exploratory: findings.caos.exploratory,
        caos_harmony: findings.caos.harmony.value,
        caos_plus: findings.caos.plus().value,
        coherence: findings.coherence.value,
        cpu: load(GateName::Cpu),
        delta_linf: findings.progress.delta.unwrap_or(-1.0),
        growth_rate: advisory.growth.rate,
        learning_rate: findings.step.learning_rate,
        life_alpha: advisory.life.alpha,
        linf: findings.progress.linf.value,
        linf_reference: findings.progress.reference,
        lyapunov_next: advisory.lyapunov.next,
        lyapunov_previous: advisory.lyapunov.previous,
        mem: load(GateName::Mem),
        oci: findings.oci.value,
        pattern_stable: findings.caos.stable,
        pattern_strength: findings.caos.strength,
        sr_harmonic: findings.sr.value,
        sr_min: findings.sr_min,
        step: findings.step.wanted,
        step_applied: findings.step.applied,
    }
}
