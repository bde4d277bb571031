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
        Self { sacrifice_weight: 0.2 }
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

pub use super::evidence_sections::*;
pub use super::gate_sections::*;
pub use super::pace_sections::*;
