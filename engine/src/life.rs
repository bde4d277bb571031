//! Life equation: a step factor that is positive only while every condition of life holds.
//!
//! ```text
//! acceleration = (1 + 20·φ)/21          α = (((baseAlpha·φ)·SR)·G)·acceleration
//! ```
//!
//! φ is the exploratory CAOS⁺ form. All conditions are evaluated, in the order of [`Life::gates`]; if one is false, both values are 0 and
//! `first_failed` names the first. Advisory.
//!
//! Source: specification §11.

use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::num::{Num, UNIT_TOLERANCE, check};

/// Evidence of the conditions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Conditions {
    /// Consent was given.
    pub consent: Option<bool>,
    /// The ecological budget holds.
    pub eco_ok: Option<bool>,
    /// Expected calibration error, [0, 1].
    pub ece: Num,
    /// Ratio of selection rates, ≥ 1.
    pub rho_bias: Num,
    /// Contraction factor, ≥ 0.
    pub rho: Num,
    /// Exploratory CAOS⁺, [0, 1].
    pub phi: Num,
    /// Harmonic SR-Ω∞, [0, 1].
    pub sr: Num,
    /// ΔL∞, [−1, 1].
    pub delta_linf: Num,
    /// Global coherence G, [0, 1].
    pub coherence: Num,
}

/// One condition and whether it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LifeGate {
    /// Name of the condition.
    pub name: &'static str,
    /// Whether it held.
    pub passed: bool,
}

/// Result of the life equation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// Step factor α, [0, 1]; 0 unless every condition held.
    pub alpha: f64,
    /// Acceleration, [0, 1]; 0 unless every condition held.
    pub acceleration: f64,
    /// First condition that did not hold.
    pub first_failed: Option<&'static str>,
    /// Every condition, in order.
    pub gates: [LifeGate; 9],
}

/// Evaluates the life equation with the bounds of `guard`, `gates` and `life`.
#[must_use]
pub fn evaluate(conditions: &Conditions, settings: &Settings) -> Life {
    let within = |x: Num, lo: f64, hi: f64| check(x, lo, hi, UNIT_TOLERANCE).ok();
    let unit = |x: Num| within(x, 0.0, 1.0);
    let (guard, gates, life) = (&settings.guard, &settings.gates, &settings.life);
    let (phi, sr, coherence) = (unit(conditions.phi), unit(conditions.sr), unit(conditions.coherence));
    let held = [
        ("consent", conditions.consent == Some(true)),
        ("eco_ok", conditions.eco_ok == Some(true)),
        ("ece", unit(conditions.ece).is_some_and(|x| x <= guard.ece_max)),
        (
            "rho_bias",
            within(conditions.rho_bias, 1.0, f64::INFINITY).is_some_and(|x| x <= guard.rho_bias_max),
        ),
        (
            "rho",
            within(conditions.rho, 0.0, f64::INFINITY).is_some_and(|x| x < guard.rho_max),
        ),
        ("phi", phi.is_some_and(|x| x >= life.phi_min)),
        ("sr", sr.is_some_and(|x| x >= gates.sr_min)),
        (
            "delta_linf",
            within(conditions.delta_linf, -1.0, 1.0).is_some_and(|x| x >= gates.delta_linf_min),
        ),
        ("coherence", coherence.is_some_and(|x| x >= life.coherence_min)),
    ]
    .map(|(name, passed)| LifeGate { name, passed });
    let first_failed = held.iter().find(|gate| !gate.passed).map(|gate| gate.name);
    let (alpha, acceleration) = match (first_failed, phi, sr, coherence) {
        (None, Some(phi), Some(sr), Some(coherence)) => step(life.base_alpha, phi, sr, coherence),
        _ => (0.0, 0.0),
    };
    Life {
        alpha,
        acceleration,
        first_failed,
        gates: held,
    }
}

/// Step factor and acceleration of a life whose conditions all hold.
fn step(base_alpha: f64, phi: f64, sr: f64, coherence: f64) -> (f64, f64) {
    let acceleration = (1.0 + 20.0 * phi) / 21.0;
    ((((base_alpha * phi) * sr) * coherence) * acceleration, acceleration)
}
