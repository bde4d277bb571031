//! Fibonacci numbers at work: growing intervals, a trust region, line search, a decaying schedule and a compact label.
//!
//! ```text
//! ttl(k, base, max)   base if base > max, else min(max, base·F_k)                       whole seconds, k in 1..=93
//! trust(r, ΔL∞)       ΔL∞ > 0.02: min(trustMax, r·trustGrowth), else max(trustMin, r·trustShrink)
//! learning rate       maximum on [0.5, 2] of g − g²/(2r), g = (s₀·lr)·(1 + 0.1·h), h = 1 − min(1, |harmony − φ|/φ)
//! schedule(α₀, t, b)  (α₀·φ^(−max(0, t)))·clamp(b, 0.1, 1.05)
//! zeckendorf          ⌊|ΔL∞|·1e6⌋ + ⌊|CAOS⁺|·1e6⌋ + cycle as a sum of non-consecutive Fibonacci numbers; a label only
//! ```
//!
//! The searches themselves are in [`search()`]. Source: specification §13; E. Zeckendorf, Bull. Soc. R. Sci. Liège 41 (1972).

mod search;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

pub use search::{SearchError, search};

use crate::config::{FibonacciConfig, SearchMethod};
use crate::num::{Num, PHI, check, clamp, nonneg, unit};

/// Largest index whose Fibonacci number fits 64 bits.
pub const LARGEST_INDEX: u64 = NUMBERS.len() as u64;
/// A gain above this widens the trust region.
const CLEAR_GAIN: f64 = 0.02;
/// Largest magnitude that enters a label.
const LARGEST_LABELLED: f64 = 1e6;

/// F₁ to F₉₃.
#[allow(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses an index out of bounds"
)]
const NUMBERS: [u64; 93] = {
    let mut numbers = [1; 93];
    let mut index = 2;
    while index < numbers.len() {
        numbers[index] = numbers[index - 1] + numbers[index - 2];
        index += 1;
    }
    numbers
};

/// `F_k` with F₁ = F₂ = 1; k is limited to 1..=93.
#[must_use]
pub fn number(k: u64) -> u64 {
    let index = usize::try_from(k.clamp(1, LARGEST_INDEX) - 1);
    // The index is inside the table by the clamp.
    index.ok().and_then(|index| NUMBERS.get(index)).copied().unwrap_or(1)
}

/// Interval of step k in seconds: grows with the Fibonacci numbers up to `max`; a `base` beyond `max` stays as it is.
#[must_use]
pub fn ttl(k: u64, base: u64, max: u64) -> u64 {
    if base > max {
        base
    } else {
        max.min(base.saturating_mul(number(k)))
    }
}

/// The trust radius after a promotion with gain ΔL∞, within [trustMin, trustMax].
///
/// An unusable gain counts as none; an unusable radius becomes the smallest.
#[must_use]
pub fn trust(radius: f64, delta_linf: Num, config: &FibonacciConfig) -> f64 {
    let Ok(radius) = nonneg(Num::new(radius)) else {
        return config.trust_min;
    };
    let clear = check(delta_linf, -1.0, 1.0, 0.0).is_ok_and(|delta| delta > CLEAR_GAIN);
    let radius = if clear {
        radius * config.trust_growth
    } else {
        radius * config.trust_shrink
    };
    clamp(radius, config.trust_min, config.trust_max)
}

/// Result of a line search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Optimum {
    /// Where the maximum was found.
    pub x: f64,
    /// Evaluations of the objective.
    pub evaluations: u64,
}

/// Learning rate in [0.5, 2] for a step s₀ in a trust region of radius r, given the harmony of the cycle.
///
/// When s₀ or r is not in (0, 1], or harmony is not finite and ≥ 0, the rate is 1 without a search.
#[must_use]
#[allow(
    clippy::suboptimal_flops,
    reason = "fused multiply-add would change the last bit on some platforms"
)]
pub fn learning_rate(step: Num, trust_radius: Num, harmony: Num, method: SearchMethod) -> Optimum {
    const NEUTRAL: Optimum = Optimum { x: 1.0, evaluations: 0 };
    let positive_unit = |x: Num| check(x, 0.0, 1.0, 0.0).ok().filter(|x| *x > 0.0);
    let (Some(step), Some(radius), Ok(harmony)) = (positive_unit(step), positive_unit(trust_radius), nonneg(harmony))
    else {
        return NEUTRAL;
    };
    let closeness = 1.0 - f64::min(1.0, (harmony - PHI).abs() / PHI);
    let objective = |rate: f64| {
        let g = (step * rate) * (1.0 + 0.1 * closeness);
        g - (g * g) / (2.0 * radius)
    };
    search(method, objective, 0.5, 2.0, 1e-6).unwrap_or(NEUTRAL)
}

/// Step factor after t steps without progress; 0 when α₀ is not unit or t or the boost is not finite.
#[must_use]
pub fn schedule(alpha0: Num, t: Num, boost: Num) -> f64 {
    match (unit(alpha0), t.finite(), boost.finite()) {
        (Ok(alpha0), Some(t), Some(boost)) => (alpha0 * libm::pow(PHI, -f64::max(0.0, t))) * clamp(boost, 0.1, 1.05),
        _ => 0.0,
    }
}

/// Label of a cycle, such as `Z{832040+121393}`: `0` for zero, `invalid` for values that are unusable or beyond 1e6 in magnitude.
#[must_use]
pub fn zeckendorf(delta_linf: Num, caos_plus: Num, cycle: u64) -> String {
    let (Some(delta), Some(caos)) = (micro(delta_linf), micro(caos_plus)) else {
        return "invalid".to_owned();
    };
    let mut rest = delta + caos + u128::from(cycle);
    if rest == 0 {
        return "0".to_owned();
    }
    let mut label = String::from("Z{");
    // From F₂ up: F₁ is the same number again.
    for k in (2..=LARGEST_INDEX).rev() {
        let term = u128::from(number(k));
        if term <= rest {
            rest -= term;
            let separator = if rest == 0 { "}" } else { "+" };
            // Writing to a string cannot fail.
            let _ = write!(label, "{term}{separator}");
        }
    }
    label
}

/// ⌊|x|·1e6⌋ for a finite x within ±1e6.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is whole, not negative and at most 1e12"
)]
fn micro(x: Num) -> Option<u128> {
    let x = check(x, -LARGEST_LABELLED, LARGEST_LABELLED, 0.0).ok()?;
    Some((x.abs() * 1e6).floor() as u128)
}
