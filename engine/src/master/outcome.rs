//! What a cycle returns.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::decision::{Cause, CycleReason, Decision, Traffic};
use crate::event::{Digest, Event};
use crate::gates::{Gate, GateStatus};
use crate::num::decimal;
use crate::rng::RngState;

/// Every score of a cycle. Declared in canonical order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scores {
    /// Agápe index, [0, 1]; null without virtues.
    pub agape: Option<f64>,
    /// Step factor α, [0, 1].
    pub alpha: f64,
    /// Anabolization factor, [0.5, 2]; advisory.
    pub anabolization: f64,
    /// Exponential CAOS⁺ before the boost, ≥ 0.
    pub caos_base: f64,
    /// Boost, [1, 1.05].
    pub caos_boost: f64,
    /// Exploratory form, [0, 1); never gated.
    pub caos_exploratory: f64,
    /// Harmony of the components, ≥ 0.
    pub caos_harmony: f64,
    /// CAOS⁺, the gated value, ≥ 0.
    pub caos_plus: f64,
    /// Global coherence, [0, 1].
    pub coherence: f64,
    /// CPU load that was judged.
    pub cpu: f64,
    /// ΔL∞, [−1, 1]; −1 when it is unknown.
    pub delta_linf: f64,
    /// Relative growth of L∞; advisory.
    pub growth_rate: f64,
    /// Factor on the step from the line search, [0.5, 2].
    pub learning_rate: f64,
    /// Step factor of the life equation; advisory.
    pub life_alpha: f64,
    /// L∞ of the candidate, [0, 1].
    pub linf: f64,
    /// L∞ of the reference; null when there is none or it is unusable.
    pub linf_reference: Option<f64>,
    /// Lyapunov value of the candidate, [0, 1]; advisory.
    pub lyapunov_next: f64,
    /// Lyapunov value of the reference, [0, 1]; advisory.
    pub lyapunov_previous: f64,
    /// Memory load that was judged.
    pub mem: f64,
    /// Organisational closure, [0, 1].
    pub oci: f64,
    /// Whether the pattern was stable before this cycle and still is.
    pub pattern_stable: bool,
    /// Strength of this cycle's pattern, [0, 1].
    pub pattern_strength: f64,
    /// Harmonic SR-Ω∞, the gated value, [0, 1].
    pub sr_harmonic: f64,
    /// Smallest axis of SR-Ω∞, [0, 1].
    pub sr_min: f64,
    /// Step α·ΔL∞·learning rate, ≥ 0.
    pub step: f64,
    /// Step within the trust radius.
    pub step_applied: f64,
}

/// The guard's verdict in an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardVerdict {
    /// Whether every guard gate passed.
    pub allow: bool,
    /// Combination of the guard gates.
    pub status: GateStatus,
}

/// How many contraction passes would bring the risk below its limits: advice, never a pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskContraction {
    /// Passes made.
    pub passes: u64,
    /// Whether both limits are kept afterwards.
    pub reached: bool,
    /// Effective ρ afterwards.
    pub rho: f64,
    /// Uncertainty afterwards.
    pub uncertainty: f64,
}

/// Result of one cycle: the decision and everything that explains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CycleOutcome {
    /// Number of the cycle.
    #[serde(with = "decimal")]
    pub cycle: u64,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub reason: CycleReason,
    /// What the decision rests on, in trace order.
    pub causes: Vec<Cause>,
    /// Where live traffic goes.
    pub traffic: Traffic,
    /// Full trace: risk gates, guard gates, promotion gates.
    pub gates: Vec<Gate>,
    /// The guard's verdict.
    pub guard: GuardVerdict,
    /// Every score.
    pub scores: Scores,
    /// Factor on the CAOS⁺ components in a cycle perturbed on purpose.
    pub chaos_factor: Option<f64>,
    /// Advice after a risk abort.
    pub contraction: Option<RiskContraction>,
    /// First condition of the life equation that does not hold; advisory.
    pub life_first_failed: Option<Cow<'static, str>>,
    /// Whether the Lyapunov value does not rise; advisory.
    pub lyapunov_stable: bool,
    /// Whether L∞ grew enough; advisory.
    pub growth_ok: bool,
    /// Content hash of the configuration.
    pub config_hash: Digest,
    /// Content hash of the input.
    pub input_hash: Digest,
    /// State hash before.
    pub pre_state_hash: Digest,
    /// State hash after.
    pub post_state_hash: Digest,
    /// Random stream before the cycle's draws.
    pub rng_before: RngState,
    /// Random stream after the cycle's draws.
    pub rng_after: RngState,
    /// When to run the next cycle, seconds.
    pub next_interval_seconds: u64,
    /// Events for the ledger, in order.
    pub events: Vec<Event>,
}
