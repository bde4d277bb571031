//! L∞: one number for how good a candidate is, without compensation, and ΔL∞, what it gains over the reference.
//!
//! Raw metrics become unit values by a [`Normalizer`]; their weighted harmonic mean, discounted by cost, is L∞:
//!
//! ```text
//! H  = Σw / Σ(w / max(1e-6, m))          m in [0, 1], w > 0
//! L∞ = clamp(H · e^(−λ·cost), 0, 1)      cost ≥ 0, λ = linf.costPenalty
//! ```
//!
//! The harmonic mean lies between the smallest and the largest metric and is at most `Σw/wᵢ` times any single one, so no metric pays
//! for another. L∞ is 0 unless ethics holds and risk contracts. ΔL∞ = new − reference is always the absolute difference; it is −1, the
//! worst value, when either side is unusable.
//!
//! Source: specification §7; for the harmonic mean as an aggregate of rates see Hardy, Littlewood, Pólya, *Inequalities* (1934), ch. 2.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::num::{Checks, Code, HARMONIC_FLOOR, Issue, Num, check, clamp, nonneg, unit};

/// Largest weight of a metric.
pub const MAX_WEIGHT: f64 = 1000.0;

/// Which direction of a raw value is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Better {
    /// Larger values are better.
    Higher,
    /// Smaller values are better.
    Lower,
}

/// How a raw value becomes a unit value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Normalizer {
    /// The value is a unit value already.
    Identity,
    /// 1 − x of a unit value.
    OneMinus,
    /// Linear between two ends, saturating beyond them.
    Linear {
        /// Lower end; `max − min` must be finite and positive.
        min: f64,
        /// Upper end.
        max: f64,
        /// Which end is worth 1.
        better: Better,
    },
    /// Ratio to a baseline: `min(1, atParity · r)`, r = x/baseline (higher) or baseline/x (lower).
    RatioToBaseline {
        /// The value worth `atParity`; > 0, in the unit of the raw value.
        baseline: f64,
        /// Which direction is better.
        better: Better,
        /// Unit value at the baseline, (0, 1].
        #[serde(default = "at_parity")]
        at_parity: f64,
    },
}

const fn at_parity() -> f64 {
    0.8
}

impl Normalizer {
    /// The unit value of a raw value.
    ///
    /// # Errors
    ///
    /// The code of [`check`]; [`Code::OutOfRange`] also for parameters outside the ranges named at the variants.
    pub fn apply(&self, raw: Num) -> Result<f64, Code> {
        match *self {
            Self::Identity => unit(raw),
            Self::OneMinus => unit(raw).map(|x| 1.0 - x),
            Self::Linear { min, max, better } => linear(raw, min, max, better),
            Self::RatioToBaseline {
                baseline,
                better,
                at_parity,
            } => ratio(raw, baseline, better, at_parity),
        }
    }
}

fn linear(raw: Num, min: f64, max: f64, better: Better) -> Result<f64, Code> {
    let x = check(raw, f64::NEG_INFINITY, f64::INFINITY, 0.0)?;
    let width = max - min;
    if !(width.is_finite() && width > 0.0) {
        return Err(Code::OutOfRange);
    }
    let distance = match better {
        Better::Higher => x - min,
        Better::Lower => max - x,
    };
    Ok(clamp(distance / width, 0.0, 1.0) + 0.0)
}

fn ratio(raw: Num, baseline: f64, better: Better, at_parity: f64) -> Result<f64, Code> {
    let x = nonneg(raw)?;
    let parameters = baseline.is_finite() && baseline > 0.0 && at_parity > 0.0 && at_parity <= 1.0;
    if !parameters || (x == 0.0 && better == Better::Lower) {
        return Err(Code::OutOfRange);
    }
    let ratio = match better {
        Better::Higher => x / baseline,
        Better::Lower => baseline / x,
    };
    Ok(f64::min(1.0, at_parity * ratio))
}

/// One metric on its way into L∞.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric<'a> {
    /// Name, under which a problem is listed.
    pub name: Cow<'a, str>,
    /// Weight, (0, 1000].
    pub weight: f64,
    /// Unit value, or why there is none.
    pub value: Result<f64, Code>,
}

/// L∞ of one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Linf {
    /// L∞ in [0, 1]; 0 with any issue or when a flag is not true.
    pub value: f64,
    /// Weighted harmonic mean H of the metrics; also reported when a flag is not true, 0 with any issue.
    pub harmonic: f64,
    /// Refused inputs.
    pub issues: Vec<Issue>,
}

/// Aggregates metrics into L∞.
///
/// `cost` is in the unit that `cost_penalty` (λ ≥ 0) refers to. Both flags must be exactly true for L∞ to be above 0. A metric without
/// value or with a weight outside (0, 1000] is an issue under its name; no metric at all is `metrics: empty`.
#[must_use]
pub fn aggregate(
    metrics: &[Metric<'_>],
    cost: Num,
    cost_penalty: Num,
    ethics_ok: Option<bool>,
    contractive: Option<bool>,
) -> Linf {
    let mut checks = Checks::new();
    if metrics.is_empty() {
        checks.refuse("metrics", Code::Empty);
    }
    let mut weights = 0.0;
    let mut weighted = 0.0;
    for metric in metrics {
        match weight(metric.weight).and_then(|w| Ok((w, unit(Num::new(metric.value?))?))) {
            Ok((w, m)) => {
                weights += w;
                weighted += w / f64::max(HARMONIC_FLOOR, m);
            }
            Err(code) => checks.refuse(metric.name.clone().into_owned(), code),
        }
    }
    let cost = checks.nonneg("cost", cost);
    let penalty = checks.nonneg("costPenalty", cost_penalty);
    if !checks.is_ok() {
        return Linf {
            value: 0.0,
            harmonic: 0.0,
            issues: checks.into_issues(),
        };
    }
    let harmonic = weights / weighted;
    let open = ethics_ok == Some(true) && contractive == Some(true);
    let value = if open {
        clamp(harmonic * libm::exp(-(penalty * cost)), 0.0, 1.0)
    } else {
        0.0
    };
    Linf {
        value,
        harmonic,
        issues: Vec::new(),
    }
}

fn weight(w: f64) -> Result<f64, Code> {
    let w = check(Num::new(w), 0.0, MAX_WEIGHT, 0.0)?;
    if w > 0.0 { Ok(w) } else { Err(Code::OutOfRange) }
}

/// ΔL∞ = new − reference, in [−1, 1]; −1 when either side is not a unit value.
#[must_use]
pub fn delta(new: Num, reference: Num) -> f64 {
    match (unit(new), unit(reference)) {
        (Ok(new), Ok(reference)) => new - reference,
        _ => -1.0,
    }
}
