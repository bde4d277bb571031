//! The sections of a configuration with their defaults. Ranges stand at each field and are enforced by the schema beside this module.

use serde::{Deserialize, Serialize};

use crate::linf::Normalizer;

/// The complete configuration as plain data. Only [`super::Config`] says that it is valid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Seed of the random stream; a decimal string in JSON.
    #[serde(with = "crate::num::decimal")]
    pub seed: u64,
    /// Largest step factor α₀ of the Master Equation, [0.01, 1].
    pub alpha0: f64,
    /// Largest Euclidean norm of the state vector, (0, 100].
    pub max_norm: f64,
    /// CAOS⁺.
    pub caos: CaosConfig,
    /// SR-Ω∞.
    pub sr: SrConfig,
    /// L∞ and its metrics.
    pub linf: LinfConfig,
    /// Agápe index.
    pub agape: AgapeConfig,
    /// Global coherence G.
    pub coherence: CoherenceConfig,
    /// Risk contraction.
    pub lpsi: LpsiConfig,
    /// Σ-Guard.
    pub guard: GuardConfig,
    /// Promotion gates.
    pub gates: GatesConfig,
    /// Resource and risk limits.
    pub resources: ResourcesConfig,
    /// Life equation.
    pub life: LifeConfig,
    /// Calibration and group fairness.
    pub ethics: EthicsConfig,
    /// Shadow, canary and watch stages.
    pub league: LeagueConfig,
    /// Provider choice and budget.
    pub router: RouterConfig,
    /// Cadence, caches, trust region and line search.
    pub fibonacci: FibonacciConfig,
    /// Online tuner.
    pub tuner: TunerConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 12_345,
            alpha0: 0.1,
            max_norm: 4.0,
            caos: CaosConfig::default(),
            sr: SrConfig::default(),
            linf: LinfConfig::default(),
            agape: AgapeConfig::default(),
            coherence: CoherenceConfig::default(),
            lpsi: LpsiConfig::default(),
            guard: GuardConfig::default(),
            gates: GatesConfig::default(),
            resources: ResourcesConfig::default(),
            life: LifeConfig::default(),
            ethics: EthicsConfig::default(),
            league: LeagueConfig::default(),
            router: RouterConfig::default(),
            fibonacci: FibonacciConfig::default(),
            tuner: TunerConfig::default(),
        }
    }
}

/// CAOS⁺: see [`crate::caos`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaosConfig {
    /// Amplification κ, [1, 100].
    pub kappa: f64,
    /// Saturation γ of the exploratory form, [0.1, 2].
    pub gamma: f64,
    /// Focus exponent f of the exploratory form, [1, 4].
    pub focus: f64,
    /// Largest boost of a stable pattern, [0, 0.05].
    pub max_boost: f64,
    /// Weight of a new sample in the stability tracker, [0.1, 0.5].
    pub ewma_alpha: f64,
    /// Samples before a pattern may count as stable, [5, 20].
    pub min_stability_cycles: u64,
    /// Variance below which a pattern counts as stable, (0, 1].
    pub stability_variance: f64,
    /// Probability that a cycle perturbs its components, [0, 0.1].
    pub chaos_probability: f64,
}

impl Default for CaosConfig {
    fn default() -> Self {
        Self {
            kappa: 20.0,
            gamma: 0.7,
            focus: 1.0,
            max_boost: 0.05,
            ewma_alpha: 0.2,
            min_stability_cycles: 5,
            stability_variance: 0.01,
            chaos_probability: 0.0,
        }
    }
}

/// SR-Ω∞: see [`crate::sr`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SrConfig {
    /// Weights of the four axes.
    pub weights: SrWeights,
}

/// Weights of the axes of SR-Ω∞: each (0, 1], sum 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SrWeights {
    /// Weight of calibration.
    pub calibration: f64,
    /// Weight of ethics.
    pub ethics: f64,
    /// Weight of autocorrection.
    pub autocorrection: f64,
    /// Weight of metacognition.
    pub metacognition: f64,
}

impl Default for SrWeights {
    fn default() -> Self {
        Self {
            calibration: 0.2,
            ethics: 0.4,
            autocorrection: 0.3,
            metacognition: 0.1,
        }
    }
}

/// L∞: see [`crate::linf`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinfConfig {
    /// Weight λ of the cost in the exponent, [0, 2].
    pub cost_penalty: f64,
    /// The aggregated metrics in order, 1 to 64, with unique names.
    pub metrics: Vec<MetricConfig>,
}

impl Default for LinfConfig {
    fn default() -> Self {
        let metric = |name: &str, weight, normalize| MetricConfig {
            name: name.to_owned(),
            weight,
            normalize,
        };
        Self {
            cost_penalty: 0.1,
            metrics: vec![
                metric("rsi", 0.2, Normalizer::Identity),
                metric("synergy", 0.2, Normalizer::Identity),
                metric("novelty", 0.2, Normalizer::Identity),
                metric("stability", 0.2, Normalizer::Identity),
                metric("viability", 0.15, Normalizer::Identity),
                metric("cost", 0.05, Normalizer::OneMinus),
            ],
        }
    }
}

/// One metric of L∞.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricConfig {
    /// Unique, non-empty name.
    pub name: String,
    /// Weight, (0, 1000].
    pub weight: f64,
    /// How a raw value becomes a unit value.
    pub normalize: Normalizer,
}

/// Agápe index: see [`crate::agape`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgapeConfig {
    /// Share of the borne cost in the index, [0, 1].
    pub sacrifice_weight: f64,
}

impl Default for AgapeConfig {
    fn default() -> Self {
        Self {
            sacrifice_weight: 0.2,
        }
    }
}

/// Global coherence: see [`crate::coherence`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CoherenceConfig {
    /// Weights of the eight modules.
    pub weights: CoherenceWeights,
}

/// Weights of the modules of G: each (0, 1], sum 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CoherenceWeights {
    /// Weight of ethics.
    pub ethics: f64,
    /// Weight of contractivity.
    pub contractivity: f64,
    /// Weight of the league.
    pub league: f64,
    /// Weight of CAOS⁺.
    pub caos: f64,
    /// Weight of SR-Ω∞.
    pub sr: f64,
    /// Weight of the cycle machinery.
    pub meta: f64,
    /// Weight of the tuner.
    pub tuning: f64,
    /// Weight of the router.
    pub router: f64,
}

impl Default for CoherenceWeights {
    fn default() -> Self {
        let weight = 0.125;
        Self {
            ethics: weight,
            contractivity: weight,
            league: weight,
            caos: weight,
            sr: weight,
            meta: weight,
            tuning: weight,
            router: weight,
        }
    }
}

/// Risk contraction: see [`crate::lpsi`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LpsiConfig {
    /// Contraction factor ρ of one pass, (0, 1).
    pub rho: f64,
    /// Largest number of advised passes, [1, 100].
    pub max_passes: u64,
}

impl Default for LpsiConfig {
    fn default() -> Self {
        Self {
            rho: 0.9,
            max_passes: 10,
        }
    }
}

/// Σ-Guard; a `None` bound switches its gate off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardConfig {
    /// Strict upper bound of the contraction factor, (0, 1].
    pub rho_max: f64,
    /// Largest expected calibration error, (0, 1].
    pub ece_max: f64,
    /// Largest ratio of selection rates, [1, 10).
    pub rho_bias_max: f64,
    /// Smallest fairness, [0, 1].
    pub fairness_min: Option<f64>,
    /// Smallest coherence, [0, 1]; 0.85 is recommended.
    pub coherence_min: Option<f64>,
    /// Largest relative cost increase, [0, 1]; 0.10 is recommended.
    pub cost_increase_max: Option<f64>,
    /// Smallest κ, [1, 100].
    pub kappa_min: Option<f64>,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            rho_max: 1.0,
            ece_max: 0.01,
            rho_bias_max: 1.05,
            fairness_min: Some(0.8),
            coherence_min: None,
            cost_increase_max: None,
            kappa_min: Some(20.0),
        }
    }
}

/// Promotion gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatesConfig {
    /// Smallest CAOS⁺, [1, 100].
    pub caos_min: f64,
    /// Smallest harmonic SR-Ω∞, (0, 1].
    pub sr_min: f64,
    /// Smallest ΔL∞, [0.001, 0.1].
    pub delta_linf_min: f64,
    /// Gate on G; default 0.7, Required.
    pub coherence: FloorConfig,
    /// Gate on OCI; default 0.9, Required.
    pub oci: FloorConfig,
    /// Gate on the Agápe index; default 0.7, Off.
    pub agape: FloorConfig,
}

impl Default for GatesConfig {
    fn default() -> Self {
        Self {
            caos_min: 1.0,
            sr_min: 0.8,
            delta_linf_min: 0.01,
            coherence: FloorConfig {
                min: 0.7,
                mode: GateMode::Required,
            },
            oci: FloorConfig {
                min: 0.9,
                mode: GateMode::Required,
            },
            agape: FloorConfig {
                min: 0.7,
                mode: GateMode::Off,
            },
        }
    }
}

/// A gate with a configurable mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FloorConfig {
    /// Smallest passing value, (0, 1].
    pub min: f64,
    /// Whether the gate blocks, informs, or is left out.
    pub mode: GateMode,
}

/// Whether a gate blocks, informs, or is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateMode {
    /// The gate must pass.
    Required,
    /// The gate is evaluated and shown, but does not block.
    Advisory,
    /// The gate is not evaluated.
    Off,
}

/// Resource and risk limits, all strict upper bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourcesConfig {
    /// CPU use as a fraction, (0, 0.99], so that an unreadable node (0.99) always fails.
    pub cpu_max: f64,
    /// Memory use as a fraction, (0, 0.99].
    pub mem_max: f64,
    /// Effective contraction factor, (0, 1].
    pub rho_max: f64,
    /// Uncertainty, (0, 1].
    pub uncertainty_max: f64,
    /// Age beyond which a reading is stale, seconds, [1, 3600].
    pub max_age_seconds: u64,
}

impl Default for ResourcesConfig {
    fn default() -> Self {
        Self {
            cpu_max: 0.95,
            mem_max: 0.95,
            rho_max: 0.95,
            uncertainty_max: 0.9,
            max_age_seconds: 60,
        }
    }
}

/// Life equation: see [`crate::life`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LifeConfig {
    /// Smallest exploratory φ, [0, 1].
    pub phi_min: f64,
    /// Smallest coherence, [0, 1].
    pub coherence_min: f64,
    /// Step factor before scaling, (0, 1].
    pub base_alpha: f64,
}

impl Default for LifeConfig {
    fn default() -> Self {
        Self {
            phi_min: 0.25,
            coherence_min: 0.85,
            base_alpha: 0.001,
        }
    }
}

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

pub use super::evidence_sections::*;
