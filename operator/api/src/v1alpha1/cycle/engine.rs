use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    rules::{above, closed},
    values::{DecimalString, UnsignedString},
};

/// Settings of the decision engine. Every change starts a new configuration hash, which the ledger
/// shows with each decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineSpec {
    /// Seed of the engine's random stream; 12345 when left out. Cannot be set, changed or removed
    /// later: the recorded state belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::must("spec.engine.seed", "size(self) < 20 || self <= '18446744073709551615'", "must be an unsigned 64-bit integer"))]
    pub seed: Option<UnsignedString>,
    /// Base step α₀ of the Master Equation; 0.1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.engine.alpha0", &closed("0.01", "1.0")))]
    pub alpha0: Option<DecimalString>,
    /// Settings of CAOS⁺.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caos: Option<CaosSpec>,
    /// Settings of the risk contraction Lψ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lpsi: Option<LpsiSpec>,
    /// Settings of the Fibonacci schedule and trust region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fibonacci: Option<FibonacciSpec>,
}

/// Settings of CAOS⁺, `(1 + κ·C·A)^(O·S)` times its boost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaosSpec {
    /// Gain κ; 20 when left out. The guard accepts no smaller one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.engine.caos.kappa", &closed("20.0", "100.0")))]
    pub kappa: Option<DecimalString>,
    /// Largest boost for a stable pattern, only with `fibonacci.enabled`; 0.05 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.engine.caos.maxBoost", &closed("0.0", "0.05")))]
    pub max_boost: Option<DecimalString>,
    /// Smoothing of the stability tracker; 0.2 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.engine.caos.ewmaAlpha", &closed("0.1", "0.5")))]
    pub ewma_alpha: Option<DecimalString>,
    /// Cycles before the pattern can count as stable; 5 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 20))]
    pub min_stability_cycles: Option<u8>,
    /// Variance below which the pattern counts as stable; 0.01 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.engine.caos.stabilityVariance", &above("0.0", "1.0")))]
    pub stability_variance: Option<DecimalString>,
    /// Probability of an exploratory cycle, which never promotes; 0 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.engine.caos.chaosProbability", &closed("0.0", "0.1")))]
    pub chaos_probability: Option<DecimalString>,
}

/// Settings of the risk contraction, which advises after an abort for risk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::field_must("spec.engine.lpsi.rho", "rho", "!has(self.rho) || (double(self.rho) > 0.0 && double(self.rho) < 1.0)", "must be in (0, 1)"))]
#[serde(rename_all = "camelCase")]
pub struct LpsiSpec {
    /// Factor of one pass; 0.9 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rho: Option<DecimalString>,
    /// Most passes; 10 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_passes: Option<u8>,
}

/// Settings of the Fibonacci schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FibonacciSpec {
    /// Turns on line search, trust region and boost.
    #[serde(default)]
    pub enabled: bool,
    /// First radius of the trust region; 0.1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.engine.fibonacci.trustRadius", &closed("0.01", "0.5")))]
    pub trust_radius: Option<DecimalString>,
}
