//! The sections that pace and tune: fibonacci, tuner.

use serde::{Deserialize, Serialize};

/// Cadence, caches, trust region and line search: see [`crate::fibonacci`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FibonacciConfig {
    /// Whether boost, line search, trust region and growing cadence are used.
    pub enabled: bool,
    /// Whether cache lifetimes grow with the completed cycles.
    pub cache: bool,
    /// Whether the trust radius adapts.
    pub trust_region: bool,
    /// Line search of the learning rate.
    pub search_method: SearchMethod,
    /// First-level cache lifetime, seconds, [1, 60].
    pub l1_ttl_base_seconds: u64,
    /// Second-level cache lifetime, seconds, [1, 3600].
    pub l2_ttl_base_seconds: u64,
    /// Interval between cycles, seconds, [1, 60].
    pub cadence_base_seconds: u64,
    /// Longest interval, seconds, [60, 3600].
    pub max_interval_seconds: u64,
    /// Initial trust radius, [0.01, 0.5].
    pub trust_radius: f64,
    /// Smallest trust radius, [0.0001, 0.5].
    pub trust_min: f64,
    /// Largest trust radius, [0.01, 1].
    pub trust_max: f64,
    /// Factor after a clear gain, [1, 2]; default φ^(1/8).
    pub trust_growth: f64,
    /// Factor otherwise, [0.5, 1]; default φ^(−1/8).
    pub trust_shrink: f64,
}

impl Default for FibonacciConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            cache: true,
            trust_region: true,
            search_method: SearchMethod::Fibonacci,
            l1_ttl_base_seconds: 1,
            l2_ttl_base_seconds: 60,
            cadence_base_seconds: 5,
            max_interval_seconds: 300,
            trust_radius: 0.1,
            trust_min: 0.01,
            trust_max: 0.5,
            trust_growth: 1.061_997_403_745_264_4,
            trust_shrink: 0.941_621_887_655_635_5,
        }
    }
}

/// Line-search method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SearchMethod {
    /// Fibonacci section.
    Fibonacci,
    /// Golden section.
    Golden,
}

/// Online tuner: see [`crate::tuner`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TunerConfig {
    /// Whether proposals are made.
    pub enabled: bool,
    /// Step factor η₀, (0, 1].
    pub eta0: f64,
    /// Updates that only gather statistics, [0, 1000].
    pub warmup: u64,
    /// Largest absolute gradient, (0, 100].
    pub gradient_clip: f64,
    /// Tuned parameters with their bounds.
    pub parameters: Vec<TunerParameterConfig>,
}

impl Default for TunerConfig {
    fn default() -> Self {
        let parameter = |name: &str, min, max| TunerParameterConfig {
            name: name.to_owned(),
            min,
            max,
        };
        Self {
            enabled: false,
            eta0: 0.1,
            warmup: 10,
            gradient_clip: 1.0,
            parameters: vec![
                parameter("caos.kappa", 20.0, 100.0),
                parameter("linf.costPenalty", 0.1, 2.0),
                parameter("gates.deltaLinfMin", 0.001, 0.1),
                parameter("alpha0", 0.01, 0.5),
                parameter("caos.gamma", 0.5, 1.5),
            ],
        }
    }
}

/// One tuned parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TunerParameterConfig {
    /// Path of a numeric configuration field, such as `caos.kappa`.
    pub name: String,
    /// Smallest proposed value.
    pub min: f64,
    /// Largest proposed value.
    pub max: f64,
}
