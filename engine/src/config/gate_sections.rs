//! The sections that set the gates' bounds: guard, gates, resources.

use serde::{Deserialize, Serialize};

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
