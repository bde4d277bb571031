//! The sections that judge traffic and samples: ethics, league, router.

use serde::{Deserialize, Serialize};

/// Calibration and group fairness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EthicsConfig {
    /// Calibration bins of equal width, [2, 1000].
    pub bins: u64,
    /// Calibration bins of equal mass, [2, 1000].
    pub adaptive_bins: u64,
    /// Valid samples before calibration counts as measured, [10, 1e9].
    pub min_samples: u64,
    /// Samples in every group before group metrics count as measured, [1, 1e9].
    pub group_min_samples: u64,
    /// Which form of `ρ_bias` is gated.
    pub bias_form: BiasForm,
    /// Which parity difference makes the fairness value.
    pub fairness_metric: FairnessMetric,
    /// Whether group evidence is required or waived.
    pub group_policy: EvidencePolicy,
    /// Whether calibration evidence is required or waived.
    pub calibration_policy: EvidencePolicy,
    /// Largest carbon mass in kg, [0, 1e6]; `None` relies on the reported verdict alone.
    pub eco_budget_kg: Option<f64>,
    /// Bootstrap intervals.
    pub bootstrap: BootstrapConfig,
}

impl Default for EthicsConfig {
    fn default() -> Self {
        Self {
            bins: 15,
            adaptive_bins: 15,
            min_samples: 100,
            group_min_samples: 10,
            bias_form: BiasForm::ToOverall,
            fairness_metric: FairnessMetric::DemographicParity,
            group_policy: EvidencePolicy::Required,
            calibration_policy: EvidencePolicy::Required,
            eco_budget_kg: None,
            bootstrap: BootstrapConfig::default(),
        }
    }
}

/// Which ratio of selection rates is gated as `ρ_bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BiasForm {
    /// Each group against the overall rate.
    ToOverall,
    /// The highest group rate against the lowest.
    BetweenGroups,
}

/// Which parity difference makes the fairness value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FairnessMetric {
    /// Selection rates.
    DemographicParity,
    /// True-positive rates.
    EqualOpportunity,
    /// True- and false-positive rates.
    EqualizedOdds,
}

/// Whether a kind of evidence is required or explicitly waived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EvidencePolicy {
    /// Evidence is required.
    Required,
    /// Waived: the model has no such evidence. The waiver is part of every configuration hash.
    NotApplicable,
}

/// Bootstrap intervals of the gated ethics metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootstrapConfig {
    /// Resamples, 0 (off) or [50, 10000].
    pub replicates: u64,
    /// Coverage in permille, [500, 999].
    pub confidence_permille: u64,
    /// Whether the guard sees the unfavourable end of the interval instead of the point estimate.
    pub gate_on_bound: bool,
}

impl Default for BootstrapConfig {
    fn default() -> Self {
        Self {
            replicates: 0,
            confidence_permille: 950,
            gate_on_bound: false,
        }
    }
}

/// Shadow, canary and watch stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeagueConfig {
    /// Shadow stage, seconds, [60, 3600].
    pub shadow_seconds: u64,
    /// Samples of the shadow stage, [10, 1e9].
    pub shadow_min_samples: u64,
    /// Shadow stage without a verdict fails after this, seconds, [60, 86400].
    pub shadow_deadline_seconds: u64,
    /// Canary stage, seconds, [60, 7200].
    pub canary_seconds: u64,
    /// Samples of the canary stage, [50, 1e9].
    pub canary_min_samples: u64,
    /// Canary stage without a verdict fails after this, seconds, [60, 86400].
    pub canary_deadline_seconds: u64,
    /// Live share of a canary in basis points, [100, 500].
    pub canary_basis_points: u64,
    /// Largest error rate, [0.001, 0.2].
    pub error_rate_max: f64,
    /// Largest 95th percentile of the latency in milliseconds, [1, 600000]; `None` switches the check off.
    pub p95_latency_max_ms: Option<f64>,
    /// Smallest mean ΔL∞ of the canary stage, [0.001, 0.5].
    pub delta_linf_min: f64,
    /// Watch stage, seconds, [60, 86400].
    pub watch_seconds: u64,
    /// Samples of the watch stage, [10, 1e9].
    pub watch_min_samples: u64,
    /// Watch stage without a verdict fails after this, seconds, [60, 86400].
    pub watch_deadline_seconds: u64,
    /// Sequential test of the error rates.
    pub sequential: SequentialConfig,
    /// Rank test of the latencies.
    pub latency_test: LatencyTestConfig,
}

impl Default for LeagueConfig {
    fn default() -> Self {
        Self {
            shadow_seconds: 300,
            shadow_min_samples: 100,
            shadow_deadline_seconds: 1800,
            canary_seconds: 600,
            canary_min_samples: 500,
            canary_deadline_seconds: 3600,
            canary_basis_points: 500,
            error_rate_max: 0.05,
            p95_latency_max_ms: None,
            delta_linf_min: 0.02,
            watch_seconds: 300,
            watch_min_samples: 100,
            watch_deadline_seconds: 1800,
            sequential: SequentialConfig::default(),
            latency_test: LatencyTestConfig::default(),
        }
    }
}

/// Sequential test of the challenger's error rate against the champion's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SequentialConfig {
    /// What the test must show.
    pub mode: SequentialMode,
    /// Error probability of both confidence sequences together, [0.0001, 0.2].
    pub alpha: f64,
    /// Tolerated excess of the error rate, [0, 0.2].
    pub margin: f64,
}

impl Default for SequentialConfig {
    fn default() -> Self {
        Self {
            mode: SequentialMode::Harm,
            alpha: 0.05,
            margin: 0.01,
        }
    }
}

/// What the sequential test must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SequentialMode {
    /// Fails when harm is proven, passes otherwise.
    Harm,
    /// Passes only when non-inferiority is proven.
    NonInferior,
    /// No test.
    Off,
}

/// Mann-Whitney test of the challenger's latencies against the champion's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatencyTestConfig {
    /// Whether the test runs; requires `league.p95LatencyMaxMs`, because rank tests miss tails.
    pub enabled: bool,
    /// Critical value of the normal statistic, [1, 6].
    pub z_critical: f64,
    /// Smallest effect above one half that counts as slower, [0, 0.5].
    pub min_effect: f64,
    /// Samples of either side, [10, 1e9].
    pub min_samples: u64,
}

impl Default for LatencyTestConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            z_critical: 2.326_347_874_040_841,
            min_effect: 0.05,
            min_samples: 50,
        }
    }
}

/// Provider choice and daily budget. Money is integer micro-USD, a decimal string in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouterConfig {
    /// Weight of an answer being there, [0, 1]; the three weights sum to 1.
    pub quality_weight: f64,
    /// Weight of the latency, [0, 1].
    pub latency_weight: f64,
    /// Weight of the cost, [0, 1].
    pub cost_weight: f64,
    /// Latency that scores 1, seconds, [0.01, 60].
    pub latency_reference_seconds: f64,
    /// Cost that scores 0, at least 1.
    #[serde(with = "crate::num::decimal")]
    pub cost_reference_micro_usd: u64,
    /// Budget of one UTC day; 0 denies every call.
    #[serde(with = "crate::num::decimal")]
    pub budget_daily_micro_usd: u64,
    /// Cost assumed for a call whose price is unknown.
    #[serde(with = "crate::num::decimal")]
    pub estimate_micro_usd: u64,
    /// Share of the budget at which the soft limit is reported, percent, [1, 100].
    pub soft_limit_percent: u64,
    /// Calls that may run at once, [1, 16].
    pub max_parallel: u64,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            quality_weight: 0.4,
            latency_weight: 0.3,
            cost_weight: 0.3,
            latency_reference_seconds: 0.1,
            cost_reference_micro_usd: 100_000,
            budget_daily_micro_usd: 5_000_000,
            estimate_micro_usd: 10_000,
            soft_limit_percent: 95,
            max_parallel: 3,
        }
    }
}
