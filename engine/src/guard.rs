//! Σ-Guard: the ethical and risk conditions that no score can buy out.
//!
//! | gate | rule | possible values | | gate | rule | possible values |
//! |---|---|---|---|---|---|---|
//! | `rho` | < `rhoMax` (strict) | [0, ∞) | | `fairness` | ≥ `fairnessMin`, or off | [0, 1] |
//! | `ece` | ≤ `eceMax` | [0, 1] | | `guard_coherence` | ≥ `coherenceMin`, or off | [0, 1] |
//! | `rho_bias` | ≤ `rhoBiasMax` | [1, ∞) | | `cost_increase` | ≤ `costIncreaseMax`, or off | finite |
//! | `consent`, `eco_ok` | = true | | | `kappa` | ≥ `kappaMin`, or off | [1, 100] |
//!
//! The guard allows exactly when every gate passes. A waiver of the configuration (`groupPolicy` or `calibrationPolicy` =
//! `notApplicable`) lets the gates it names pass with the reason `not_applicable`; it is part of the configuration's hash and thereby of
//! every attestation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Config, EvidencePolicy, GuardConfig};
use crate::gates::{Bound, Comparison, Gate, GateName, GateStatus, Reason, combine, reason};
use crate::num::Num;

/// Which quantity an entry of [`GuardMetrics::unknown`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GuardMetric {
    /// Effective contraction factor.
    Rho,
    /// Expected calibration error.
    Ece,
    /// Ratio of selection rates.
    RhoBias,
    /// Declared consent.
    Consent,
    /// Ecological budget.
    EcoOk,
    /// Group fairness.
    Fairness,
    /// Global coherence.
    Coherence,
    /// Relative cost increase.
    CostIncrease,
    /// Gain of CAOS⁺.
    Kappa,
}

/// What the guard judges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GuardMetrics {
    /// Effective risk contraction factor ρ; below 1 means that risk falls.
    pub rho: Num,
    /// Expected calibration error, a fraction.
    pub ece: Num,
    /// Ratio of selection rates, at least 1.
    pub rho_bias: Num,
    /// Whether the use of the data is consented to.
    pub consent: Option<bool>,
    /// Whether the ecological budget is kept.
    pub eco_ok: Option<bool>,
    /// One minus the difference of the configured group rate.
    pub fairness: Num,
    /// Global coherence.
    pub coherence: Num,
    /// Relative increase of cost against the champion.
    pub cost_increase: Num,
    /// Configured gain κ.
    pub kappa: Num,
    /// Quantities that must not be used although they have a value, with the reason.
    pub unknown: BTreeMap<GuardMetric, Reason>,
}

/// The five conditions by the names under which the guard service reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "five independent conditions of a public document"
)]
pub struct GuardReasons {
    /// `rho` passed.
    pub rho_ok: bool,
    /// `ece` passed.
    pub ece_ok: bool,
    /// `rho_bias` passed.
    pub rho_bias_ok: bool,
    /// `consent` passed.
    pub consent: bool,
    /// `eco_ok` passed.
    pub eco_ok: bool,
}

/// Result of the guard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardReport {
    /// Whether every gate passed.
    pub allow: bool,
    /// Combination of the gates.
    pub status: GateStatus,
    /// Every gate, in order.
    pub gates: Vec<Gate>,
    /// The five conditions of the guard service.
    pub reasons: GuardReasons,
}

/// Evaluates the guard.
#[must_use]
pub fn evaluate(config: &Config, metrics: &GuardMetrics) -> GuardReport {
    let mut gates = Vec::with_capacity(9);
    extend(config, metrics, &mut gates);
    let status = combine(gates.iter().map(|gate| gate.status));
    let passed = |name| gates.iter().any(|gate| gate.name == name && gate.passed());
    GuardReport {
        allow: status == GateStatus::Pass,
        status,
        reasons: GuardReasons {
            rho_ok: passed(GateName::Rho),
            ece_ok: passed(GateName::Ece),
            rho_bias_ok: passed(GateName::RhoBias),
            consent: passed(GateName::Consent),
            eco_ok: passed(GateName::EcoOk),
        },
        gates,
    }
}

/// Appends the guard gates to `gates`.
pub(crate) fn extend(config: &Config, metrics: &GuardMetrics, gates: &mut Vec<Gate>) {
    let guard = &config.guard;
    let unknown = |metric| metrics.unknown.get(&metric);
    let waived_groups = config.ethics.group_policy == EvidencePolicy::NotApplicable;
    let waived_calibration = config.ethics.calibration_policy == EvidencePolicy::NotApplicable;

    let rho = ceiling(GateName::Rho, Comparison::Lt, 0.0, f64::INFINITY, guard.rho_max);
    gates.push(rho.judge(metrics.rho, unknown(GuardMetric::Rho)));

    let ece = ceiling(GateName::Ece, Comparison::Le, 0.0, 1.0, guard.ece_max);
    gates.push(if waived_calibration {
        waived(&ece, 0.0)
    } else {
        ece.judge(metrics.ece, unknown(GuardMetric::Ece))
    });

    let rho_bias = ceiling(
        GateName::RhoBias,
        Comparison::Le,
        1.0,
        f64::INFINITY,
        guard.rho_bias_max,
    );
    gates.push(if waived_groups {
        waived(&rho_bias, 1.0)
    } else {
        rho_bias.judge(metrics.rho_bias, unknown(GuardMetric::RhoBias))
    });

    gates.push(Gate::boolean(
        GateName::Consent,
        metrics.consent,
        unknown(GuardMetric::Consent),
    ));
    gates.push(Gate::boolean(
        GateName::EcoOk,
        metrics.eco_ok,
        unknown(GuardMetric::EcoOk),
    ));
    extend_optional(guard, metrics, waived_groups, gates);
}

/// The gates that the configuration can switch off with a null bound.
fn extend_optional(guard: &GuardConfig, metrics: &GuardMetrics, waived_groups: bool, gates: &mut Vec<Gate>) {
    let unknown = |metric| metrics.unknown.get(&metric);
    if let Some(min) = guard.fairness_min {
        let fairness = floor(GateName::Fairness, 0.0, 1.0, min);
        gates.push(if waived_groups {
            waived(&fairness, 1.0)
        } else {
            fairness.judge(metrics.fairness, unknown(GuardMetric::Fairness))
        });
    }
    if let Some(min) = guard.coherence_min {
        gates.push(
            floor(GateName::GuardCoherence, 0.0, 1.0, min).judge(metrics.coherence, unknown(GuardMetric::Coherence)),
        );
    }
    if let Some(max) = guard.cost_increase_max {
        let bound = ceiling(
            GateName::CostIncrease,
            Comparison::Le,
            f64::NEG_INFINITY,
            f64::INFINITY,
            max,
        );
        gates.push(bound.judge(metrics.cost_increase, unknown(GuardMetric::CostIncrease)));
    }
    if let Some(min) = guard.kappa_min {
        gates.push(floor(GateName::Kappa, 1.0, 100.0, min).judge(metrics.kappa, unknown(GuardMetric::Kappa)));
    }
}

/// A gate that the configuration waives: it passes with the best possible value.
fn waived(bound: &Bound, best: f64) -> Gate {
    bound.pass(best, Reason::Borrowed(reason::NOT_APPLICABLE))
}

const fn ceiling(name: GateName, comparison: Comparison, lowest: f64, highest: f64, threshold: f64) -> Bound {
    Bound {
        name,
        lowest,
        highest,
        comparison,
        threshold,
    }
}

const fn floor(name: GateName, lowest: f64, highest: f64, threshold: f64) -> Bound {
    ceiling(name, Comparison::Ge, lowest, highest, threshold)
}
