//! Reports from integer counters that workloads export.
//!
//! A pod cannot export an [`super::Accumulator`] through a metrics system, but it can export counters: for each right-closed calibration
//! bin the samples, the positive labels and Σ round(p·2²⁰); for each group the four confusion counts; optionally Σ round((p − y)²·2²⁰)
//! over all samples. A metrics system may add them up over pods and subtract them over time, so that the volume of samples is not bounded
//! by one machine.
//!
//! | metric | from counters |
//! |---|---|
//! | ECE, MCE | the same formulas on the same bins; a bin's Σp is rounded at 2⁻²⁰ instead of 2⁻⁵³, so they differ by at most 2⁻²¹ |
//! | `rho_bias`, fairness, parities | identical |
//! | Brier | within 2⁻²¹ when Σ of squared errors is exported, else unknown with `not_exported`: it cannot be had from sums of p |
//! | adaptive ECE | unknown with `not_exported`: its bins depend on the distribution of p inside the exported bins |
//! | intervals | none, because counters have no blocks; with `gateOnBound` the gated metrics are unknown with `missing_interval` |
//!
//! Counters that no samples can have produced are bad evidence, not errors: every metric is then unknown.

use serde::{Deserialize, Serialize};

use super::accumulator::{Cell, EDGE_RULE, GroupDocument, MAX_GROUPS};
use super::groups::Confusion;
use super::report::{EthicsReason, Evaluation, Totals};
use crate::config::{EthicsConfig, EvidencePolicy};
use crate::error::EngineError;
use crate::event::{Digest, content_hash};
use crate::num::{Code, decimal};

/// Fixed-point digits of exported probabilities: Σ round(p·2²⁰).
pub const EXPORT_BITS: u32 = 20;
/// Shift from the exported scale to the internal one, 2⁵³.
const SHIFT: u32 = 53 - EXPORT_BITS;
/// Largest admitted count; far beyond any real one, and small enough that no sum overflows.
const MAX_COUNT: u64 = 1 << 53;

/// Counters of one calibration bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BinCounts {
    /// Samples.
    #[serde(with = "decimal")]
    pub samples: u64,
    /// Samples with label 1.
    #[serde(with = "decimal")]
    pub positives: u64,
    /// Σ round(p·2²⁰).
    #[serde(with = "decimal")]
    pub sum_prob: u64,
}

/// Confusion counters of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupCounts {
    /// Name of the group.
    pub name: String,
    /// Prediction 1, label 1.
    #[serde(with = "decimal")]
    pub true_positives: u64,
    /// Prediction 1, label 0.
    #[serde(with = "decimal")]
    pub false_positives: u64,
    /// Prediction 0, label 0.
    #[serde(with = "decimal")]
    pub true_negatives: u64,
    /// Prediction 0, label 1.
    #[serde(with = "decimal")]
    pub false_negatives: u64,
}

/// Exported counters of one window or one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Counts {
    /// Calibration bins (k/B, (k+1)/B] in order; empty for a model without probabilities.
    pub bins: Vec<BinCounts>,
    /// Σ round((p − label)²·2²⁰) over all samples, if exported.
    #[serde(with = "crate::num::optional_decimal")]
    pub sum_squared_error: Option<u64>,
    /// Groups in any order; a name may occur once.
    pub groups: Vec<GroupCounts>,
}

/// The report that these counters support.
///
/// # Errors
///
/// [`Code::BinMismatch`] when the number of bins is not the configured one (none is admitted where calibration is waived).
pub fn from_counts(config: &EthicsConfig, counts: &Counts) -> Result<Evaluation, EngineError> {
    let waived = config.calibration_policy == EvidencePolicy::NotApplicable;
    if counts.bins.len() as u64 != config.bins && !(waived && counts.bins.is_empty()) {
        return Err(EngineError::input("bins", Code::BinMismatch));
    }
    let defect = defect(counts);
    let groups = if defect.is_none() { groups(counts) } else { Vec::new() };
    let in_bins = total(counts.bins.iter().map(|bin| bin.samples));
    let in_groups = total(groups.iter().flat_map(|(_, group)| u64::try_from(group.samples())));
    let samples = if counts.bins.is_empty() { in_groups } else { in_bins };
    let totals = Totals {
        bins: if counts.bins.is_empty() {
            vec![Cell::default(); usize::try_from(config.bins).unwrap_or(0)]
        } else {
            counts.bins.iter().map(cell).collect()
        },
        micro: None,
        sum_squared: counts.sum_squared_error.map(|sum| u128::from(sum) << SHIFT),
        samples,
        // More samples in groups than in bins: the two do not describe the same samples.
        defect: defect.or((in_groups > samples).then_some(EthicsReason::LengthMismatch)),
        group_overflow: groups.len() > MAX_GROUPS,
        ungrouped: samples.saturating_sub(in_groups),
        groups,
        digest: digest(counts)?,
    };
    Ok(super::judge(config, totals.report(config)))
}

fn total(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

fn cell(bin: &BinCounts) -> Cell {
    Cell {
        count: bin.samples,
        positives: bin.positives,
        sum: u128::from(bin.sum_prob) << SHIFT,
    }
}

/// Groups that have samples, by name.
fn groups(counts: &Counts) -> Vec<(&str, Confusion)> {
    let mut groups: Vec<(&str, Confusion)> = counts
        .groups
        .iter()
        .map(|group| (group.name.as_str(), confusion(group)))
        .filter(|(_, counts)| counts.samples() > 0)
        .collect();
    groups.sort_by_key(|(name, _)| *name);
    groups
}

const fn confusion(group: &GroupCounts) -> Confusion {
    Confusion::new(
        group.true_positives,
        group.false_positives,
        group.true_negatives,
        group.false_negatives,
    )
}

/// Why no samples can have produced these counters.
fn defect(counts: &Counts) -> Option<EthicsReason> {
    let in_bins = total(counts.bins.iter().map(|bin| bin.samples));
    let in_groups = total(counts.groups.iter().flat_map(|group| {
        [
            group.true_positives,
            group.false_positives,
            group.true_negatives,
            group.false_negatives,
        ]
    }));
    let impossible_bin = |bin: &BinCounts| {
        bin.positives > bin.samples || u128::from(bin.sum_prob) > u128::from(bin.samples) << EXPORT_BITS
    };
    let squared = counts.sum_squared_error.unwrap_or(0);
    let impossible_square = !counts.bins.is_empty() && u128::from(squared) > u128::from(in_bins) << EXPORT_BITS;
    let mut names: Vec<&str> = counts.groups.iter().map(|group| group.name.as_str()).collect();
    names.sort_unstable();
    let repeated = names.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    (in_bins > MAX_COUNT
        || in_groups > MAX_COUNT
        || counts.bins.iter().any(impossible_bin)
        || impossible_square
        || repeated)
        .then_some(EthicsReason::OutOfRange)
}

/// Content hash of the counters; another schema than that of samples, because it proves less.
fn digest(counts: &Counts) -> Result<Digest, EngineError> {
    let mut groups: Vec<&GroupCounts> = counts.groups.iter().collect();
    groups.sort_by_key(|group| group.name.as_str());
    content_hash(&CountsDocument {
        schema: "penin.ethics-counts/1",
        edge_rule: EDGE_RULE,
        scale_bits: EXPORT_BITS,
        bins: counts.bins.len(),
        counts: counts.bins.iter().map(|bin| bin.samples.to_string()).collect(),
        positives: counts.bins.iter().map(|bin| bin.positives.to_string()).collect(),
        sum_q: counts.bins.iter().map(|bin| bin.sum_prob.to_string()).collect(),
        sum_sq: counts.sum_squared_error.map(|sum| sum.to_string()),
        groups: groups
            .iter()
            .map(|group| GroupDocument::new(&group.name, &confusion(group)))
            .collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsDocument<'a> {
    schema: &'static str,
    edge_rule: &'static str,
    scale_bits: u32,
    bins: usize,
    counts: Vec<String>,
    positives: Vec<String>,
    sum_q: Vec<String>,
    sum_sq: Option<String>,
    groups: Vec<GroupDocument<'a>>,
}
