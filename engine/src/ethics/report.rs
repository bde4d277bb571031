//! From counts to metrics, and from metrics to what the guard receives.

use serde::{Deserialize, Serialize};

use super::accumulator::{BLOCKS, Cell, EDGE_RULE};
use super::binning::SCALE;
use super::groups::{Confusion, Parities, Parity, RHO_BIAS_WORST, RhoBiasForms};
use crate::config::{BiasForm, EthicsConfig, EvidencePolicy, FairnessMetric};
use crate::event::Digest;
use crate::num::decimal;

macro_rules! ethics_reasons {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// Why a metric is not measured. A closed set; the first that applies is given.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EthicsReason {
            $($(#[$doc])* $variant,)*
        }

        impl EthicsReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Text form, as it is recorded.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

ethics_reasons! {
    /// Columns of different length, or counters that do not describe the same samples.
    LengthMismatch => "length_mismatch",
    /// A sample had no probability, or a NaN or infinite one.
    NonFinite => "non_finite",
    /// A probability outside [0, 1], or counters that no samples can produce.
    OutOfRange => "out_of_range",
    /// Fewer samples than `ethics.minSamples`.
    InsufficientData => "insufficient_data",
    /// More than 256 groups.
    TooManyGroups => "too_many_groups",
    /// No sample has a known group.
    NoGroups => "no_groups",
    /// A sample without a known group.
    MissingGroup => "missing_group",
    /// One group only: there is nothing to compare.
    SingleGroup => "single_group",
    /// A group with fewer samples than `ethics.groupMinSamples`.
    GroupBelowMinimum => "group_below_minimum",
    /// Nobody is selected.
    ZeroRate => "zero_rate",
    /// A group without positive, or without negative, labels.
    UndefinedRate => "undefined_rate",
    /// The configuration waives this evidence.
    NotApplicable => "not_applicable",
    /// The guard is to see the end of an interval and there is none.
    MissingInterval => "missing_interval",
    /// The exported counters do not contain what this metric needs.
    NotExported => "not_exported",
}

/// How a metric came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricStatus {
    /// Computed from enough samples.
    Measured,
    /// Not computable; the value is the worst one.
    Unknown,
    /// Waived by the configuration; the value is the best one.
    NotApplicable,
}

/// One metric of a report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The value; finite, and the worst possible one unless measured or waived.
    pub value: f64,
    /// How it came about.
    pub status: MetricStatus,
    /// Why it is not measured.
    pub reason: Option<EthicsReason>,
}

impl Metric {
    pub(super) const fn measured(value: f64) -> Self {
        Self {
            value,
            status: MetricStatus::Measured,
            reason: None,
        }
    }

    pub(super) const fn unknown(worst: f64, reason: EthicsReason) -> Self {
        Self {
            value: worst,
            status: MetricStatus::Unknown,
            reason: Some(reason),
        }
    }

    pub(super) const fn waived(best: f64) -> Self {
        Self {
            value: best,
            status: MetricStatus::NotApplicable,
            reason: Some(EthicsReason::NotApplicable),
        }
    }

    /// Whether the metric was computed.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.status == MetricStatus::Measured
    }
}

/// Rates of one group; null where the denominator is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupRates {
    /// Name of the group.
    pub name: String,
    /// Number of samples.
    #[serde(with = "decimal")]
    pub samples: u64,
    /// Share of positive predictions.
    pub selection_rate: Option<f64>,
    /// Share of positive predictions among positive labels.
    pub true_positive_rate: Option<f64>,
    /// Share of positive predictions among negative labels.
    pub false_positive_rate: Option<f64>,
}

/// Bootstrap intervals, widened to contain the point estimates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Intervals {
    /// Number of resamples.
    pub replicates: u64,
    /// Coverage, permille.
    pub confidence_permille: u64,
    /// Interval of ECE.
    pub ece: [f64; 2],
    /// Interval of the gated form of `rho_bias`; null when that is not measured.
    pub rho_bias: Option<[f64; 2]>,
    /// Interval of fairness; null when that is not measured.
    pub fairness: Option<[f64; 2]>,
}

/// Calibration and group fairness of one set of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Samples with a usable probability.
    #[serde(with = "decimal")]
    pub samples: u64,
    /// Calibration bins.
    pub bins: u64,
    /// Rule for values on an edge: `right-closed`.
    pub edge_rule: String,
    /// Expected calibration error, [0, 1].
    pub ece: Metric,
    /// Largest calibration error of a bin, [0, 1].
    pub mce: Metric,
    /// Expected calibration error over bins of equal mass, [0, 1].
    pub adaptive_ece: Metric,
    /// Brier score, [0, 1].
    pub brier: Metric,
    /// The gated form of `rho_bias`, [1, 10].
    pub rho_bias: Metric,
    /// One minus the difference of the configured rate, [0, 1].
    pub fairness: Metric,
    /// Both forms of `rho_bias`.
    pub rho_bias_forms: RhoBiasForms,
    /// Parity of selection rates.
    pub demographic_parity: Parity,
    /// Parity of true- and false-positive rates.
    pub equalized_odds: Parity,
    /// Parity of true-positive rates.
    pub equal_opportunity: Parity,
    /// Rates by group, sorted by name.
    pub groups: Vec<GroupRates>,
    /// Bootstrap intervals; null when switched off or ECE is not measured.
    pub intervals: Option<Intervals>,
    /// Content hash of the counts.
    pub evidence_digest: Digest,
}

/// A metric as the guard receives it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedMetric {
    /// The value, null when unknown.
    pub value: Option<f64>,
    /// Why it is unknown.
    pub unknown: Option<EthicsReason>,
}

/// The three gated metrics exactly as the guard receives them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EthicsGate {
    /// ECE, or the upper end of its interval.
    pub ece: GatedMetric,
    /// `rho_bias`, or the upper end of its interval.
    pub rho_bias: GatedMetric,
    /// Fairness, or the lower end of its interval.
    pub fairness: GatedMetric,
}

/// A report together with what the guard makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// All metrics.
    pub report: Report,
    /// The gated metrics.
    pub gate: EthicsGate,
}

/// Everything that a report is computed from.
pub(super) struct Totals<'a> {
    pub(super) bins: Vec<Cell>,
    /// Adaptive bins; none when the counters do not contain them.
    pub(super) micro: Option<&'a [Cell]>,
    /// Σ of squared errors at scale 2⁵³; none when the counters do not contain it.
    pub(super) sum_squared: Option<u128>,
    pub(super) samples: u64,
    pub(super) groups: Vec<(&'a str, Confusion)>,
    /// Why calibration and group metrics alike are unusable.
    pub(super) defect: Option<EthicsReason>,
    pub(super) group_overflow: bool,
    pub(super) ungrouped: u64,
    pub(super) digest: Digest,
}

impl Totals<'_> {
    /// First reason against all metrics.
    fn common_reason(&self, config: &EthicsConfig) -> Option<EthicsReason> {
        self.defect
            .or_else(|| (self.samples < config.min_samples).then_some(EthicsReason::InsufficientData))
    }

    /// First reason against all group metrics.
    fn group_reason(&self, config: &EthicsConfig) -> Option<EthicsReason> {
        let below = |(_, counts): &(&str, Confusion)| counts.samples() < u128::from(config.group_min_samples);
        self.common_reason(config).or_else(|| {
            if self.group_overflow {
                Some(EthicsReason::TooManyGroups)
            } else if self.groups.is_empty() {
                Some(EthicsReason::NoGroups)
            } else if self.ungrouped > 0 {
                Some(EthicsReason::MissingGroup)
            } else if self.groups.len() == 1 {
                Some(EthicsReason::SingleGroup)
            } else if self.groups.iter().any(below) {
                Some(EthicsReason::GroupBelowMinimum)
            } else {
                None
            }
        })
    }

    /// The report without intervals.
    pub(super) fn report(&self, config: &EthicsConfig) -> Report {
        let calibration = self.calibration(config);
        let groups = self.group_metrics(config);
        Report {
            samples: self.samples,
            bins: self.bins.len() as u64,
            edge_rule: EDGE_RULE.to_owned(),
            ece: calibration.ece,
            mce: calibration.mce,
            adaptive_ece: calibration.adaptive_ece,
            brier: calibration.brier,
            rho_bias: groups.rho_bias,
            fairness: groups.fairness,
            rho_bias_forms: groups.forms,
            demographic_parity: groups.parities.demographic,
            equalized_odds: groups.parities.odds,
            equal_opportunity: groups.parities.opportunity,
            groups: self.groups.iter().map(group_rates).collect(),
            intervals: None,
            evidence_digest: self.digest,
        }
    }

    fn calibration(&self, config: &EthicsConfig) -> Calibration {
        if config.calibration_policy == EvidencePolicy::NotApplicable {
            return Calibration::all(Metric::waived(0.0));
        }
        if let Some(reason) = self.common_reason(config) {
            return Calibration::all(Metric::unknown(1.0, reason));
        }
        let exported =
            |value: Option<f64>| value.map_or(Metric::unknown(1.0, EthicsReason::NotExported), Metric::measured);
        Calibration {
            ece: Metric::measured(expected_error(&self.bins)),
            mce: Metric::measured(maximum_error(&self.bins)),
            adaptive_ece: exported(self.micro.map(|micro| adaptive_error(micro, config.adaptive_bins))),
            brier: exported(self.sum_squared.map(|sum| per_sample(sum, u128::from(self.samples)))),
        }
    }

    fn group_metrics(&self, config: &EthicsConfig) -> GroupMetrics {
        if config.group_policy == EvidencePolicy::NotApplicable {
            return GroupMetrics::all(Metric::waived(1.0), Metric::waived(1.0));
        }
        if let Some(reason) = self.group_reason(config) {
            return GroupMetrics::all(Metric::unknown(RHO_BIAS_WORST, reason), Metric::unknown(0.0, reason));
        }
        let counts: Vec<Confusion> = self.groups.iter().map(|(_, counts)| *counts).collect();
        let forms = RhoBiasForms::of(&counts);
        let parities = Parities::of(&counts);
        let zero = forms.to_overall.is_none();
        let fairness_reason = if zero && config.fairness_metric == FairnessMetric::DemographicParity {
            EthicsReason::ZeroRate
        } else {
            EthicsReason::UndefinedRate
        };
        GroupMetrics {
            rho_bias: gated_form(config.bias_form, forms).map_or(
                Metric::unknown(RHO_BIAS_WORST, EthicsReason::ZeroRate),
                Metric::measured,
            ),
            fairness: fairness(config.fairness_metric, &parities, zero)
                .map_or(Metric::unknown(0.0, fairness_reason), Metric::measured),
            forms,
            parities,
        }
    }
}

struct Calibration {
    ece: Metric,
    mce: Metric,
    adaptive_ece: Metric,
    brier: Metric,
}

impl Calibration {
    const fn all(metric: Metric) -> Self {
        Self {
            ece: metric,
            mce: metric,
            adaptive_ece: metric,
            brier: metric,
        }
    }
}

struct GroupMetrics {
    rho_bias: Metric,
    fairness: Metric,
    forms: RhoBiasForms,
    parities: Parities,
}

impl GroupMetrics {
    fn all(rho_bias: Metric, fairness: Metric) -> Self {
        Self {
            rho_bias,
            fairness,
            forms: RhoBiasForms::default(),
            parities: Parities::default(),
        }
    }
}

fn group_rates((name, counts): &(&str, Confusion)) -> GroupRates {
    GroupRates {
        name: (*name).to_owned(),
        samples: u64::try_from(counts.samples()).unwrap_or(u64::MAX),
        selection_rate: counts.selection_rate(),
        true_positive_rate: counts.true_positive_rate(),
        false_positive_rate: counts.false_positive_rate(),
    }
}

pub(super) const fn gated_form(form: BiasForm, forms: RhoBiasForms) -> Option<f64> {
    match form {
        BiasForm::ToOverall => forms.to_overall,
        BiasForm::BetweenGroups => forms.between_groups,
    }
}

/// Fairness, or none where the configured rate is undefined. Without any selection demographic parity says nothing.
pub(super) fn fairness(metric: FairnessMetric, parities: &Parities, nobody_selected: bool) -> Option<f64> {
    let difference = match metric {
        FairnessMetric::DemographicParity if nobody_selected => None,
        FairnessMetric::DemographicParity => parities.demographic.difference,
        FairnessMetric::EqualOpportunity => parities.opportunity.difference,
        FairnessMetric::EqualizedOdds => parities.odds.difference,
    };
    difference.map(|difference| f64::max(0.0, 1.0 - difference))
}

/// |positives·2⁵³ − Σq| of a bin: its calibration error times its samples, exact.
pub(super) fn gap(cell: &Cell) -> u128 {
    (u128::from(cell.positives) << 53).abs_diff(cell.sum)
}

/// Sum at scale 2⁵³ divided by a number of samples.
#[allow(
    clippy::cast_precision_loss,
    reason = "integers round to the nearest binary64 value by definition"
)]
pub(super) fn per_sample(sum: u128, samples: u128) -> f64 {
    sum as f64 / samples as f64 * (1.0 / SCALE)
}

fn expected_error(bins: &[Cell]) -> f64 {
    let samples = bins.iter().map(|bin| u128::from(bin.count)).sum();
    per_sample(bins.iter().map(gap).sum(), samples)
}

fn maximum_error(bins: &[Cell]) -> f64 {
    bins.iter()
        .filter(|bin| bin.count > 0)
        .map(|bin| per_sample(gap(bin), u128::from(bin.count)))
        .fold(0.0, f64::max)
}

/// Expected error over groups of micro-bins of about equal mass: a micro-bin with C earlier samples goes to group ⌊K·C/N⌋.
fn adaptive_error(micro: &[Cell], groups: u64) -> f64 {
    let samples: u128 = micro.iter().map(|cell| u128::from(cell.count)).sum();
    let mut total = 0;
    let mut earlier = 0_u128;
    let mut current = (0_u128, Cell::default());
    for cell in micro.iter().filter(|cell| cell.count > 0) {
        let group = u128::from(groups) * earlier / samples;
        if group != current.0 {
            total += gap(&current.1);
            current = (group, Cell::default());
        }
        current.1.add(*cell);
        earlier += u128::from(cell.count);
    }
    per_sample(total + gap(&current.1), samples)
}

const _: () = assert!(BLOCKS == 64, "the bootstrap draws from 64 blocks");
