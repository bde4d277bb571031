//! Risk contraction (IR→IC, operator Lψ): does risk shrink from one step to the next?
//!
//! A risk profile is a list of unit risks with mean H; ρ in (0, 1) is the contraction factor.
//!
//! ```text
//! project          every risk × ρ
//! isContractive    H' ≤ ρ·H + 1e-12
//! observedRho      max over the last 10 points of min(1e6, h[k+1] / max(1e-12, h[k]))
//! effectiveRho     the larger of the reported and the observed factor
//! ```
//!
//! Below 1 risk contracts; the guard requires it. Anything unusable counts as not contractive. H falls strictly for H > 0, the
//! projection is linear, and the order of the risks matters only by rounding.
//!
//! Source: specification §9; contraction in the sense of S. Banach, Fund. Math. 3 (1922).

use serde::{Deserialize, Serialize};

use crate::num::{Code, Num, check, nonneg, unit};

/// Points of a risk series that count.
const WINDOW: usize = 10;
/// Largest reported growth of risk between two points.
const MAX_OBSERVED: f64 = 1e6;
/// Passes that [`contract`] makes at most, whatever was asked for; a hundred times what a configuration admits.
pub const MAX_PASSES: u64 = 10_000;

/// A projected risk profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Risks after one pass; `None` when the input was unusable.
    pub risks: Option<Vec<f64>>,
    /// Their mean; 1 when the input was unusable.
    pub mean: f64,
    /// Why the input was unusable.
    pub code: Option<Code>,
}

/// One pass: every risk multiplied by ρ in (0, 1).
#[must_use]
pub fn project(risks: &[Num], rho: Num) -> Projection {
    match admit(risks, rho) {
        Ok((risks, rho)) => {
            let risks = scaled(&risks, rho);
            Projection {
                mean: mean(&risks),
                risks: Some(risks),
                code: None,
            }
        }
        Err(code) => Projection {
            risks: None,
            mean: 1.0,
            code: Some(code),
        },
    }
}

/// Whether the mean risk fell at least by the factor ρ. False for unequal lengths, empty or unusable profiles.
#[must_use]
#[allow(
    clippy::suboptimal_flops,
    reason = "fused multiply-add would change the last bit on some platforms"
)]
pub fn is_contractive(before: &[Num], after: &[Num], rho: Num) -> bool {
    if before.len() != after.len() {
        return false;
    }
    match (admit(before, rho), admit(after, rho)) {
        (Ok((before, rho)), Ok((after, _))) => mean(&after) <= rho * mean(&before) + 1e-12,
        _ => false,
    }
}

/// Result of repeated projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contraction {
    /// Passes made.
    pub passes: u64,
    /// Mean risk afterwards; 1 when the input was unusable.
    pub mean: f64,
    /// Whether the mean is at most the target.
    pub reached: bool,
    /// Risks afterwards; `None` when the input was unusable.
    pub risks: Option<Vec<f64>>,
}

/// Projects until the mean is at most `target` or `max_passes` (at most [`MAX_PASSES`]) are used up.
#[must_use]
pub fn contract(risks: &[Num], rho: Num, target: Num, max_passes: u64) -> Contraction {
    let target = check(target, f64::NEG_INFINITY, f64::INFINITY, 0.0);
    let (Ok((mut risks, rho)), Ok(target)) = (admit(risks, rho), target) else {
        return Contraction {
            passes: 0,
            mean: 1.0,
            reached: false,
            risks: None,
        };
    };
    let mut passes = 0;
    let mut current = mean(&risks);
    while current > target && passes < max_passes.min(MAX_PASSES) {
        risks = scaled(&risks, rho);
        current = mean(&risks);
        passes += 1;
    }
    Contraction {
        passes,
        mean: current,
        reached: current <= target,
        risks: Some(risks),
    }
}

/// Largest growth factor of the mean risk over the last ten points, in [0, 1e6].
///
/// 1, not contractive, for fewer than two points or any unusable point among them.
#[must_use]
pub fn observed_rho(series: &[Num]) -> f64 {
    match recent(series) {
        Ok(points) if points.len() >= 2 => largest_ratio(&points),
        _ => 1.0,
    }
}

/// The contraction factor that the gates see: the larger of the reported one and the observed one.
///
/// # Errors
///
/// The code of an unusable `rho` (which must be ≥ 0), [`Code::SeriesInvalid`] for an unusable point among the last ten, or
/// [`Code::Missing`] when there is neither a reported factor nor a series of two points.
pub fn effective_rho(rho: Num, series: &[Num]) -> Result<f64, Code> {
    let reported = if rho.is_missing() { None } else { Some(nonneg(rho)?) };
    let points = recent(series).map_err(|_| Code::SeriesInvalid)?;
    let observed = (points.len() >= 2).then(|| largest_ratio(&points));
    match (reported, observed) {
        (Some(reported), Some(observed)) => Ok(f64::max(reported, observed)),
        (Some(rho), None) | (None, Some(rho)) => Ok(rho),
        (None, None) => Err(Code::Missing),
    }
}

fn recent(series: &[Num]) -> Result<Vec<f64>, Code> {
    series
        .iter()
        .skip(series.len().saturating_sub(WINDOW))
        .map(|point| unit(*point))
        .collect()
}

fn largest_ratio(points: &[f64]) -> f64 {
    let ratios = points
        .iter()
        .zip(points.iter().skip(1))
        .map(|(before, after)| f64::min(MAX_OBSERVED, after / f64::max(1e-12, *before)));
    ratios.fold(0.0, f64::max)
}

fn admit(risks: &[Num], rho: Num) -> Result<(Vec<f64>, f64), Code> {
    if risks.is_empty() {
        return Err(Code::Empty);
    }
    let risks = risks.iter().map(|risk| unit(*risk)).collect::<Result<Vec<_>, _>>()?;
    let rho = check(rho, 0.0, 1.0, 0.0)?;
    if rho > 0.0 && rho < 1.0 {
        Ok((risks, rho))
    } else {
        Err(Code::OutOfRange)
    }
}

fn scaled(risks: &[f64], rho: f64) -> Vec<f64> {
    risks.iter().map(|risk| risk * rho).collect()
}

/// Arithmetic mean of a non-empty list.
#[allow(
    clippy::cast_precision_loss,
    reason = "the nearest binary64 value of a length is intended"
)]
fn mean(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |sum, x| sum + x) / values.len() as f64
}
