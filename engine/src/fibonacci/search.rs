//! Section search for the maximum of a unimodal function.
//!
//! Both methods shrink [a, b] by one evaluation a step and keep the other value: golden section by the constant factor φ⁻¹, Fibonacci
//! section by ratios of neighbouring Fibonacci numbers, which needs the fewest evaluations for a given tolerance. For a unimodal objective the result lies within
//! the tolerance of the maximum.
//!
//! Source: J. Kiefer, *Sequential minimax search for a maximum*, Proc. Amer. Math. Soc. 4 (1953).

use serde::{Deserialize, Serialize};

use super::{Optimum, number};
use crate::config::SearchMethod;
use crate::num::{PHI_INVERSE, PHI_INVERSE_SQUARED, clamp};

/// Largest index of the Fibonacci section: beyond it the ratio is the golden one to the last bit.
const LARGEST_SECTION: u64 = 90;

/// Why a search was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchError {
    /// Not a < b finite with a tolerance > 0 that can be reached.
    BadInterval,
    /// The objective returned NaN or an infinity.
    ObjectiveNonFinite,
}

impl std::fmt::Display for SearchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BadInterval => "the search needs finite a < b and a tolerance > 0 that can be reached",
            Self::ObjectiveNonFinite => "the objective is not finite on the interval",
        })
    }
}

impl std::error::Error for SearchError {}

/// Maximises `objective` on [a, b] to within `tolerance`; it is never asked beyond the ends. An interval no wider than the tolerance
/// gives its midpoint without an evaluation.
///
/// # Errors
///
/// [`SearchError`].
pub fn search(
    method: SearchMethod,
    objective: impl Fn(f64) -> f64,
    a: f64,
    b: f64,
    tolerance: f64,
) -> Result<Optimum, SearchError> {
    let width = b - a;
    if !(a < b && width.is_finite() && tolerance > 0.0 && tolerance.is_finite()) {
        return Err(SearchError::BadInterval);
    }
    if width <= tolerance {
        return Ok(Optimum {
            x: f64::midpoint(a, b),
            evaluations: 0,
        });
    }
    // A tolerance below the resolution of the ends lets rounding carry points past them, near the largest numbers even to infinity.
    let inside = |x: f64| clamp(x, a, b);
    let objective = |x: f64| objective(inside(x));
    let found = match method {
        SearchMethod::Golden => golden(&objective, a, b, tolerance),
        SearchMethod::Fibonacci => fibonacci(&objective, a, b, tolerance),
    }?;
    Ok(Optimum {
        x: inside(found.x),
        ..found
    })
}

/// An interval [a, b] with two evaluated points c < d inside.
struct Section<'a, F> {
    objective: &'a F,
    a: f64,
    b: f64,
    c: (f64, f64),
    d: (f64, f64),
    evaluations: u64,
}

impl<'a, F: Fn(f64) -> f64> Section<'a, F> {
    fn new(objective: &'a F, a: f64, b: f64, c: f64, d: f64) -> Result<Self, SearchError> {
        Ok(Self {
            objective,
            a,
            b,
            c: evaluate(objective, c)?,
            d: evaluate(objective, d)?,
            evaluations: 2,
        })
    }

    fn left_is_better(&self) -> bool {
        self.c.1 > self.d.1
    }

    /// Drops the part beyond the worse point and evaluates the one point that is new: `low(a, b)` or `high(a, b)`.
    fn shrink(&mut self, low: impl Fn(f64, f64) -> f64, high: impl Fn(f64, f64) -> f64) -> Result<(), SearchError> {
        if self.left_is_better() {
            self.b = self.d.0;
            self.d = self.c;
            self.c = evaluate(self.objective, low(self.a, self.b))?;
        } else {
            self.a = self.c.0;
            self.c = self.d;
            self.d = evaluate(self.objective, high(self.a, self.b))?;
        }
        self.evaluations += 1;
        Ok(())
    }

    fn optimum(&self) -> Optimum {
        let x = if self.left_is_better() {
            f64::midpoint(self.a, self.d.0)
        } else {
            f64::midpoint(self.c.0, self.b)
        };
        Optimum {
            x,
            evaluations: self.evaluations,
        }
    }
}

fn evaluate(objective: &impl Fn(f64) -> f64, x: f64) -> Result<(f64, f64), SearchError> {
    let value = objective(x);
    if value.is_finite() {
        Ok((x, value))
    } else {
        Err(SearchError::ObjectiveNonFinite)
    }
}

#[allow(
    clippy::suboptimal_flops,
    reason = "fused multiply-add would change the last bit on some platforms"
)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a finite count of at most a few thousand steps"
)]
fn golden(objective: &impl Fn(f64) -> f64, a: f64, b: f64, tolerance: f64) -> Result<Optimum, SearchError> {
    let mut h = b - a;
    let steps = (libm::log(tolerance / h) / libm::log(PHI_INVERSE)).ceil();
    if !steps.is_finite() {
        return Err(SearchError::BadInterval);
    }
    let mut section = Section::new(objective, a, b, a + PHI_INVERSE_SQUARED * h, a + PHI_INVERSE * h)?;
    for _ in 1..steps as u64 {
        h *= PHI_INVERSE;
        section.shrink(|a, _| a + PHI_INVERSE_SQUARED * h, |a, _| a + PHI_INVERSE * h)?;
    }
    Ok(section.optimum())
}

#[allow(
    clippy::suboptimal_flops,
    reason = "fused multiply-add would change the last bit on some platforms"
)]
fn fibonacci(objective: &impl Fn(f64) -> f64, a: f64, b: f64, tolerance: f64) -> Result<Optimum, SearchError> {
    let needed = (b - a) / tolerance;
    let n = (4..=LARGEST_SECTION)
        .find(|n| float(*n) >= needed)
        .ok_or(SearchError::BadInterval)?;
    let low = |m: u64| move |a: f64, b: f64| a + (float(m - 2) / float(m)) * (b - a);
    let high = |m: u64| move |a: f64, b: f64| a + (float(m - 1) / float(m)) * (b - a);
    let mut section = Section::new(objective, a, b, low(n)(a, b), high(n)(a, b))?;
    for m in (4..n).rev() {
        section.shrink(low(m), high(m))?;
    }
    Ok(section.optimum())
}

#[allow(
    clippy::cast_precision_loss,
    reason = "the nearest binary64 value of a Fibonacci number is intended"
)]
fn float(k: u64) -> f64 {
    number(k) as f64
}
