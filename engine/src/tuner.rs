//! Online tuner: AdaGrad on a few bounded configuration parameters.
//!
//! Per update and parameter, with g clipped to ±gradientClip and g₂ starting at 1e-9:
//!
//! ```text
//! g₂ ← g₂ + g·g        Δ = −((η₀/√(1 + g₂))·g), 0 during the first `warmup` updates        value ← clamp(value + Δ, min, max)
//! ```
//!
//! Bounds always hold, nothing moves during the warm-up, and the step size never grows for a constant gradient. The engine never applies
//! a tuned value to itself: [`Tuner::propose`] names the difference to the configuration in force, and a configuration changed that way
//! is a candidate like any other, which must pass all gates.
//!
//! [`meta_loss`] is what the tuner minimises; its gradient is numeric ([`numeric_gradient`]).
//!
//! Sources: specification §12; J. Duchi, E. Hazan, Y. Singer, *Adaptive subgradient methods*, J. Mach. Learn. Res. 12 (2011).

use serde::{Deserialize, Serialize};

use crate::config::{Settings, TunerConfig};
use crate::num::{Code, Num, check, clamp, unit};

/// Initial accumulated squared gradient.
const G2_START: f64 = 1e-9;
/// Half the distance of the two evaluations of [`numeric_gradient`].
const DELTA: f64 = 1e-4;
/// Largest CAOS⁺ and convergence time in [`meta_loss`].
const LARGEST: f64 = 1e6;

/// A parameter in tuning. Its value always lies within its bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ParameterRecord")]
pub struct Parameter {
    name: String,
    value: f64,
    min: f64,
    max: f64,
    g2: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterRecord {
    name: String,
    value: f64,
    min: f64,
    max: f64,
    g2: f64,
}

impl TryFrom<ParameterRecord> for Parameter {
    type Error = Code;

    fn try_from(record: ParameterRecord) -> Result<Self, Code> {
        let g2 = check(Num::new(record.g2), 0.0, f64::INFINITY, 0.0)?;
        let value = check(Num::new(record.value), record.min, record.max, 0.0)?;
        Ok(Self {
            g2,
            ..Self::new(record.name, Num::new(value), record.min, record.max)?
        })
    }
}

impl Parameter {
    /// A parameter that starts at `value`, moved to the nearest bound when it lies outside.
    ///
    /// # Errors
    ///
    /// The code of a value or bound that is not finite; [`Code::OutOfRange`] when `min` is not below `max`.
    pub fn new(name: impl Into<String>, value: Num, min: f64, max: f64) -> Result<Self, Code> {
        let finite = |x: Num| check(x, f64::NEG_INFINITY, f64::INFINITY, 0.0);
        let (value, min, max) = (finite(value)?, finite(Num::new(min))?, finite(Num::new(max))?);
        if min >= max {
            return Err(Code::OutOfRange);
        }
        Ok(Self {
            name: name.into(),
            value: clamp(value, min, max),
            min,
            max,
            g2: G2_START,
        })
    }

    /// Path of the configuration field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Current value, within the bounds.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// Accumulated squared gradients.
    #[must_use]
    pub const fn g2(&self) -> f64 {
        self.g2
    }

    #[allow(
        clippy::suboptimal_flops,
        reason = "fused multiply-add would change the last bit on some platforms"
    )]
    fn update(&mut self, gradient: f64, warm: bool, config: &TunerConfig) {
        let g = clamp(gradient, -config.gradient_clip, config.gradient_clip);
        self.g2 += g * g;
        let step = if warm {
            -((config.eta0 / (1.0 + self.g2).sqrt()) * g)
        } else {
            0.0
        };
        self.value = clamp(self.value + step, self.min, self.max);
    }
}

/// Why an update was refused; the tuner is unchanged then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunerError {
    /// There is not exactly one gradient per parameter.
    LengthMismatch,
    /// A gradient is missing or not finite.
    NonFiniteGradient,
}

impl std::fmt::Display for TunerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LengthMismatch => "an update needs exactly one gradient per parameter",
            Self::NonFiniteGradient => "a gradient is missing or not finite",
        })
    }
}

impl std::error::Error for TunerError {}

/// A proposed change of one configuration field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Path of the field.
    pub name: String,
    /// Value in force.
    pub from: f64,
    /// Proposed value.
    pub to: f64,
}

/// The tuner's whole state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuner {
    parameters: Vec<Parameter>,
    #[serde(with = "crate::num::decimal")]
    updates: u64,
}

impl Tuner {
    /// A tuner over the given parameters, without history.
    #[must_use]
    pub const fn new(parameters: Vec<Parameter>) -> Self {
        Self { parameters, updates: 0 }
    }

    /// A tuner over the parameters of `settings.tuner`, starting at the values in force; fields that are switched off (null) are left out.
    ///
    /// # Errors
    ///
    /// As [`Parameter::new`], which cannot happen for the settings of a valid configuration.
    pub fn from_settings(settings: &Settings) -> Result<Self, Code> {
        let parameters = settings.tuner.parameters.iter().filter_map(|parameter| {
            let value = settings.number(&parameter.name)?;
            Some(Parameter::new(
                parameter.name.clone(),
                Num::new(value),
                parameter.min,
                parameter.max,
            ))
        });
        parameters.collect::<Result<_, _>>().map(Self::new)
    }

    /// The parameters in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Updates made, warm-up included.
    #[must_use]
    pub const fn updates(&self) -> u64 {
        self.updates
    }

    /// Makes one update with one gradient per parameter.
    ///
    /// # Errors
    ///
    /// [`TunerError`]; nothing changes then.
    pub fn step(&mut self, gradients: &[Num], config: &TunerConfig) -> Result<(), TunerError> {
        if gradients.len() != self.parameters.len() {
            return Err(TunerError::LengthMismatch);
        }
        let gradients: Option<Vec<f64>> = gradients.iter().map(|gradient| gradient.finite()).collect();
        let gradients = gradients.ok_or(TunerError::NonFiniteGradient)?;
        self.updates = self.updates.saturating_add(1);
        let warm = self.updates > config.warmup;
        for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
            parameter.update(gradient, warm, config);
        }
        Ok(())
    }

    /// The differences between the tuned values and the configuration in force.
    #[must_use]
    pub fn propose(&self, settings: &Settings) -> Vec<Proposal> {
        let proposals = self.parameters.iter().filter_map(|parameter| {
            let from = settings.number(&parameter.name)?;
            Some(Proposal {
                name: parameter.name.clone(),
                from,
                to: parameter.value,
            })
        });
        proposals
            .filter(|proposal| proposal.from.to_bits() != proposal.to.to_bits())
            .collect()
    }
}

/// What the tuner minimises over a window of cycles:
/// `0.4·var(L∞) + 0.3·convergenceTime + 0.2·var(CAOS⁺) + 0.1·gateFailureRate`, with population variances.
///
/// `None` when a list is empty, an L∞ or the rate is not unit, or a CAOS⁺ or the time is outside [0, 1e6].
#[must_use]
#[allow(
    clippy::suboptimal_flops,
    reason = "fused multiply-add would change the last bit on some platforms"
)]
pub fn meta_loss(linf: &[Num], caos: &[Num], convergence_time: Num, gate_failure_rate: Num) -> Option<f64> {
    let large = |x: Num| check(x, 0.0, LARGEST, 0.0);
    let linf = variance(linf.iter().map(|x| unit(*x)))?;
    let caos = variance(caos.iter().map(|x| large(*x)))?;
    let time = large(convergence_time).ok()?;
    let rate = unit(gate_failure_rate).ok()?;
    Some(0.4 * linf + 0.3 * time + 0.2 * caos + 0.1 * rate)
}

/// Population variance; `None` for an empty list or any unusable value.
#[allow(
    clippy::cast_precision_loss,
    reason = "the nearest binary64 value of a length is intended"
)]
fn variance(values: impl Iterator<Item = Result<f64, Code>>) -> Option<f64> {
    let values = values
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|values| !values.is_empty())?;
    let n = values.len() as f64;
    let mean = values.iter().fold(0.0, |sum, x| sum + x) / n;
    Some(values.iter().fold(0.0, |sum, x| sum + (x - mean) * (x - mean)) / n)
}

/// Central difference of a loss at θ: (loss(θ + δ) − loss(θ − δ)) / (2δ), δ = 1e-4. Missing when the loss is.
pub fn numeric_gradient(theta: f64, mut loss: impl FnMut(f64) -> Option<f64>) -> Num {
    let above = loss(theta + DELTA);
    let below = loss(theta - DELTA);
    Num::from(above.zip(below).map(|(above, below)| (above - below) / (2.0 * DELTA)))
}
