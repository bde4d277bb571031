//! SR-Ω∞, the reflexive score: does the system judge itself well on four axes at once?
//!
//! Axes in [0, 1]: calibration, ethics, autocorrection, metacognition. Both forms are always returned:
//!
//! ```text
//! harmonic = clamp(1 / Σ(w / max(1e-6, x)), 0, 1)    weights 0.2, 0.4, 0.3, 0.1; gated by the cycle
//! min      = smallest axis                           gated by the SR service
//! ```
//!
//! A single axis at zero pulls the harmonic form below 1e-5. [`probe`] derives the axes from four measurements:
//!
//! ```text
//! calibration    max(0, 1 − ece/eceMax)      ece in [0, 1], eceMax = guard.eceMax
//! ethics         1 if ρ < 1 else 0           ρ ≥ 0
//! autocorrection e^(−max(0, risk))
//! metacognition  1 / (1 + e^(−ΔL∞/cost))
//! ```
//!
//! Source: specification §6.

use serde::{Deserialize, Serialize};

use crate::config::{GuardConfig, SrWeights};
use crate::num::{Checks, Code, Issue, Num, check, clamp, logistic, nonneg, unit, weighted_harmonic};

/// The four axes as evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Axes {
    /// Agreement of predicted and observed frequencies.
    pub calibration: Num,
    /// Ethical state.
    pub ethics: Num,
    /// Ability to reduce own risk.
    pub autocorrection: Num,
    /// Gain per cost as the system sees it.
    pub metacognition: Num,
}

/// SR-Ω∞ in both forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Weighted harmonic mean, [0, 1]; 0 with any issue.
    pub harmonic: f64,
    /// Smallest axis, [0, 1]; 0 with any issue.
    pub min: f64,
    /// Refused axes.
    pub issues: Vec<Issue>,
}

/// SR-Ω∞ of the axes.
#[must_use]
pub fn score(axes: &Axes, weights: &SrWeights) -> Score {
    let mut checks = Checks::new();
    let calibration = checks.unit("calibration", axes.calibration);
    let ethics = checks.unit("ethics", axes.ethics);
    let autocorrection = checks.unit("autocorrection", axes.autocorrection);
    let metacognition = checks.unit("metacognition", axes.metacognition);
    if !checks.is_ok() {
        return Score {
            harmonic: 0.0,
            min: 0.0,
            issues: checks.into_issues(),
        };
    }
    let harmonic = weighted_harmonic([
        (weights.calibration, calibration),
        (weights.ethics, ethics),
        (weights.autocorrection, autocorrection),
        (weights.metacognition, metacognition),
    ]);
    let min = calibration.min(ethics).min(autocorrection).min(metacognition);
    Score {
        harmonic,
        min,
        issues: Vec::new(),
    }
}

/// What [`probe`] measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Measurements {
    /// Expected calibration error, [0, 1].
    pub ece: Num,
    /// Contraction factor of the risk, ≥ 0.
    pub rho: Num,
    /// Current risk; values below 0 count as 0.
    pub risk: Num,
    /// Gain per unit of cost.
    pub delta_linf_per_cost: Num,
}

/// Axes derived from measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbedAxes {
    /// Calibration axis, [0, 1].
    pub calibration: f64,
    /// Ethics axis, 0 or 1.
    pub ethics: f64,
    /// Autocorrection axis, [0, 1].
    pub autocorrection: f64,
    /// Metacognition axis, [0, 1].
    pub metacognition: f64,
    /// Refused measurements; the axis of each is 0.
    pub issues: Vec<Issue>,
}

/// Axes of the SR service from measurements; a bad measurement makes its axis 0 and is listed.
#[must_use]
pub fn probe(measurements: &Measurements, guard: &GuardConfig) -> ProbedAxes {
    let mut checks = Checks::new();
    let finite = |x| check(x, f64::NEG_INFINITY, f64::INFINITY, 0.0);
    let mut axis =
        |field, measured: Result<f64, Code>, value: &dyn Fn(f64) -> f64| checks.take(field, measured.map(value));
    let calibration = axis("ece", unit(measurements.ece), &|ece| {
        clamp(1.0 - ece / guard.ece_max, 0.0, 1.0)
    });
    let ethics = axis("rho", nonneg(measurements.rho), &|rho| {
        if rho < 1.0 { 1.0 } else { 0.0 }
    });
    let autocorrection = axis("risk", finite(measurements.risk), &|risk| {
        libm::exp(-f64::max(0.0, risk))
    });
    let metacognition = axis("deltaLinfPerCost", finite(measurements.delta_linf_per_cost), &logistic);
    ProbedAxes {
        calibration,
        ethics,
        autocorrection,
        metacognition,
        issues: checks.into_issues(),
    }
}
