//! Numeric policy: how a number enters a score, and what happens when it must not.
//!
//! Evidence arrives as [`Num`]: a finite number, a missing value, or one of the three non-finite values of IEEE-754, kept as it came
//! so that it can be recorded and replayed. [`check`] admits it into an interval or names the reason it is refused; a score computed
//! from any refused input takes its worst value ([`Scored`]).
//!
//! | function | admits | snaps |
//! |---|---|---|
//! | [`check`]`(x, lo, hi, tol)` | `lo − tol ≤ x ≤ hi + tol` | to `[lo, hi]` |
//! | [`unit()`]`(x)` | `[0, 1]` with tolerance 1e-9 | rounding dust only: 85 is refused, not read as 1 |
//! | [`nonneg`]`(x)` | `[0, ∞)` | nothing |
//!
//! All arithmetic is binary64 without fused multiply-add or reordering; `exp`, `ln`, `pow` and `tanh` come from `libm`, whose results
//! do not depend on the platform. Negative zero is removed from everything that enters a score.

pub mod decimal;
pub mod optional_decimal;
mod score;
mod value;

pub use decimal::{U64String, parse_decimal};
pub use score::{Checks, Code, Issue, Scored};
pub use value::Num;

/// Golden ratio φ.
pub const PHI: f64 = 1.618_033_988_749_895;
/// φ⁻¹.
pub const PHI_INVERSE: f64 = 0.618_033_988_749_894_9;
/// φ⁻².
pub const PHI_INVERSE_SQUARED: f64 = 0.381_966_011_250_105_15;
/// Smallest value that enters a harmonic mean: it keeps the mean finite and still near zero.
pub const HARMONIC_FLOOR: f64 = 1e-6;
/// Distance from a unit interval that counts as rounding dust.
pub const UNIT_TOLERANCE: f64 = 1e-9;

/// Limits `x` to `[lo, hi]`; NaN passes through. Unlike `f64::clamp` it cannot panic.
#[must_use]
#[allow(clippy::manual_clamp, reason = "f64::clamp panics when lo > hi or a bound is NaN")]
pub fn clamp(x: f64, lo: f64, hi: f64) -> f64 {
    if x < lo {
        lo
    } else if x > hi {
        hi
    } else {
        x
    }
}

/// Admits `x` into `[lo, hi]`, forgiving a distance of `tol` beyond either end.
///
/// # Errors
///
/// [`Code::Missing`], [`Code::NonFinite`] or [`Code::OutOfRange`].
pub fn check(x: Num, lo: f64, hi: f64, tol: f64) -> Result<f64, Code> {
    let value = x.get().ok_or(Code::Missing)?;
    if !value.is_finite() {
        return Err(Code::NonFinite);
    }
    if value < lo - tol || value > hi + tol {
        return Err(Code::OutOfRange);
    }
    Ok(clamp(value, lo, hi) + 0.0)
}

/// Admits a value of the unit interval; rounding dust of 1e-9 is snapped to it.
///
/// # Errors
///
/// As [`check`].
pub fn unit(x: Num) -> Result<f64, Code> {
    check(x, 0.0, 1.0, UNIT_TOLERANCE)
}

/// Admits a finite value of at least 0.
///
/// # Errors
///
/// As [`check`].
pub fn nonneg(x: Num) -> Result<f64, Code> {
    check(x, 0.0, f64::INFINITY, 0.0)
}

/// Logistic function 1 / (1 + e^(−y)), in `[0, 1]`.
#[must_use]
pub fn logistic(y: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-y))
}

/// Natural logarithm of `n!`: exact product up to 20, Stirling's series with four correction terms above.
///
/// Source: NIST Digital Library of Mathematical Functions, §5.11.1.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "n is a sample count; the nearest binary64 value is intended"
)]
#[allow(
    clippy::suboptimal_flops,
    reason = "fused multiply-add would change the last bit on some platforms"
)]
pub fn ln_factorial(n: u64) -> f64 {
    if n <= 20 {
        let factorial: u64 = (2..=n).product();
        return libm::log(factorial as f64);
    }
    let x = n as f64;
    let r = 1.0 / x;
    let q = r * r;
    (x + 0.5) * libm::log(x) - x
        + 0.918_938_533_204_672_8
        + r * (1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q * (1.0 / 1680.0))))
}

/// Harmonic mean of (weight, value) pairs whose weights sum to 1, each value floored at [`HARMONIC_FLOOR`], limited to `[0, 1]`.
///
/// The sum runs in the order of the pairs, from 0.0.
#[must_use]
pub fn weighted_harmonic(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let sum = pairs.into_iter().fold(0.0, |sum, (weight, value)| {
        sum + weight / f64::max(HARMONIC_FLOOR, value)
    });
    clamp(1.0 / sum, 0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn num_keeps_non_finite_values_in_json() {
        for text in ["null", "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "0.1", "-3.5"] {
            let num: Num = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&num).unwrap(), text);
        }
        assert!(serde_json::from_str::<Num>("\"inf\"").is_err());
        assert!(serde_json::from_str::<Num>("true").is_err());
        assert_eq!(
            serde_json::from_str::<Num>("18446744073709551615").unwrap(),
            Num::new(18_446_744_073_709_551_615.0)
        );
        assert_eq!(serde_json::from_str::<Num>("-5").unwrap(), Num::new(-5.0));
    }

    #[test]
    fn check_names_the_first_reason() {
        assert_eq!(unit(Num::MISSING), Err(Code::Missing));
        assert_eq!(unit(Num::new(f64::NAN)), Err(Code::NonFinite));
        assert_eq!(unit(Num::new(85.0)), Err(Code::OutOfRange));
        assert_eq!(unit(Num::new(1.0 + 5e-10)), Ok(1.0));
        assert!(unit(Num::new(-0.0)).unwrap().is_sign_positive());
        assert_eq!(nonneg(Num::new(f64::INFINITY)), Err(Code::NonFinite));
        assert_eq!(nonneg(Num::new(-1e-300)), Err(Code::OutOfRange));
        assert_eq!(nonneg(Num::new(f64::MAX)), Ok(f64::MAX));
    }

    #[test]
    fn decimal_strings_are_canonical() {
        assert_eq!(parse_decimal::<u64>("18446744073709551615"), Ok(u64::MAX));
        for bad in ["", "+1", "-1", "01", "1.0", " 1", "18446744073709551616", "x"] {
            assert_eq!(parse_decimal::<u64>(bad), Err(Code::InvalidInteger), "{bad}");
        }
        assert_eq!(serde_json::to_string(&U64String(7)).unwrap(), "\"7\"");
        assert_eq!(serde_json::from_str::<U64String>("\"7\"").unwrap(), U64String(7));
        assert!(serde_json::from_str::<U64String>("7").is_err());
    }
}
