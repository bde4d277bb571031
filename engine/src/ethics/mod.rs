//! Calibration and group fairness from samples, in constant memory.
//!
//! A sample is a predicted probability p, the prediction acted on, the label that turned out, a group and a key. Samples are counted in
//! integers only ([`Accumulator`]): for each of 64 blocks and B right-closed bins the samples, the positive labels and Σq with
//! q = round(p·2⁵³); the same for 4096 micro-bins; Σ of squared errors; the confusion counts of each group. Counting is associative and
//! commutative bit for bit, so shards, pods and days can be merged in any order.
//!
//! | metric (N samples) | formula | worst |
//! |---|---|---|
//! | ECE | `Σ_b abs(positives_b − Σp_b) / N` | 1 |
//! | MCE | `max_b abs(positives_b − Σp_b) / n_b` | 1 |
//! | adaptive ECE | as ECE, over bins of equal mass | 1 |
//! | Brier | Σ (p − label)² / N | 1 |
//! | `rho_bias` | ratio of selection rates, to the overall rate or between groups, at most 10 | 10 |
//! | fairness | 1 − difference of selection rates, or of TPR, or of TPR and FPR | 0 |
//!
//! A metric is measured, unknown (with its worst value and the first reason that applies) or waived by the configuration. Too few
//! samples never pass. Even a perfectly calibrated model has an expected ECE of about sqrt(B/N), so a bound of 0.01 needs tens of
//! thousands of samples.
//!
//! Sources: M. P. Naeini, G. F. Cooper, M. Hauskrecht, *Obtaining Well Calibrated Probabilities Using Bayesian Binning* (AAAI 2015);
//! G. W. Brier, *Verification of forecasts expressed in terms of probability* (1950); the group rates of [`Parity`].

mod accumulator;
mod batch;
mod binning;
mod bootstrap;
mod counts;
mod eco;
mod groups;
mod report;

pub use accumulator::{Accumulator, BLOCKS, MAX_GROUPS, Sample};
pub use batch::{Batch, Groups, Keys, NO_GROUP};
pub use binning::{MAX_BINS, MIN_BINS, bin_index};
pub use counts::{BinCounts, Counts, EXPORT_BITS, GroupCounts, from_counts};
pub use eco::{CARBON_KG_PER_THOUSAND_TOKENS, Eco, eco};
pub use groups::{Parity, RHO_BIAS_WORST, RhoBiasForms};
pub use report::{
    EthicsGate, EthicsReason, Evaluation, GatedMetric, GroupRates, Intervals, Metric, MetricStatus, Report,
};

use crate::config::EthicsConfig;
use crate::error::EngineError;
use crate::num::Code;

/// Evaluates all metrics. `seed` and `cycle` choose the random stream of the bootstrap; they are not used without replicates.
///
/// # Errors
///
/// [`Code::BinMismatch`] when the accumulator has another number of bins than the configuration.
pub fn evaluate(
    config: &EthicsConfig,
    accumulator: &Accumulator,
    seed: u64,
    cycle: u64,
) -> Result<Evaluation, EngineError> {
    if accumulator.bins() as u64 != config.bins {
        return Err(EngineError::input("bins", Code::BinMismatch));
    }
    let totals = report::Totals {
        bins: accumulator.bin_totals(),
        micro: Some(&accumulator.micro),
        sum_squared: Some(accumulator.sum_squared),
        samples: accumulator.samples(),
        groups: accumulator.group_totals(),
        defect: defect(accumulator),
        group_overflow: accumulator.group_overflow,
        ungrouped: accumulator.ungrouped,
        digest: accumulator.evidence_digest()?,
    };
    let mut report = totals.report(config);
    if config.bootstrap.replicates > 0 && report.ece.is_measured() {
        let intervals = bootstrap::intervals(config, accumulator, &report, seed, cycle);
        report.intervals = Some(intervals);
    }
    Ok(judge(config, report))
}

/// First reason that makes every metric of these counts unusable.
const fn defect(accumulator: &Accumulator) -> Option<EthicsReason> {
    if accumulator.length_mismatch {
        Some(EthicsReason::LengthMismatch)
    } else if accumulator.invalid_non_finite > 0 {
        Some(EthicsReason::NonFinite)
    } else if accumulator.invalid_range > 0 {
        Some(EthicsReason::OutOfRange)
    } else {
        None
    }
}

/// Adds what the guard receives.
fn judge(config: &EthicsConfig, report: Report) -> Evaluation {
    let on_bound = config.bootstrap.gate_on_bound;
    let gated = |metric: &Metric, bound: Option<f64>| {
        let (value, unknown) = match metric.status {
            MetricStatus::Unknown => (None, metric.reason),
            MetricStatus::Measured if on_bound && bound.is_none() => (None, Some(EthicsReason::MissingInterval)),
            MetricStatus::Measured if on_bound => (bound, None),
            MetricStatus::Measured | MetricStatus::NotApplicable => (Some(metric.value), None),
        };
        GatedMetric { value, unknown }
    };
    let intervals = report.intervals.as_ref();
    let rho_bias = intervals.and_then(|intervals| intervals.rho_bias);
    let fairness = intervals.and_then(|intervals| intervals.fairness);
    let gate = EthicsGate {
        ece: gated(&report.ece, intervals.map(|intervals| intervals.ece[1])),
        rho_bias: gated(&report.rho_bias, rho_bias.map(|interval| interval[1])),
        fairness: gated(&report.fairness, fairness.map(|interval| interval[0])),
    };
    Evaluation { report, gate }
}
