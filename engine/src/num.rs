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

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

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

/// A number of evidence as it was reported: missing, finite, NaN or infinite.
///
/// In JSON: a number, `null`, `"NaN"`, `"Infinity"` or `"-Infinity"`. Equality treats NaN as equal to NaN, so that a record equals its copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Num(Option<f64>);

impl Num {
    /// The missing value, `null` in JSON.
    pub const MISSING: Self = Self(None);

    /// A reported value, which may be non-finite.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self(Some(value))
    }

    /// The reported value, finite or not; `None` when missing.
    #[must_use]
    pub const fn get(self) -> Option<f64> {
        self.0
    }

    /// The value when it is finite.
    #[must_use]
    pub fn finite(self) -> Option<f64> {
        self.0.filter(|x| x.is_finite())
    }

    /// Whether no value was reported.
    #[must_use]
    pub const fn is_missing(self) -> bool {
        self.0.is_none()
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
            _ => false,
        }
    }
}

impl Eq for Num {}

impl From<f64> for Num {
    fn from(value: f64) -> Self {
        Self::new(value)
    }
}

impl From<Option<f64>> for Num {
    fn from(value: Option<f64>) -> Self {
        Self(value)
    }
}

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_none(),
            Some(x) if x.is_finite() => serializer.serialize_f64(x),
            Some(x) if x.is_nan() => serializer.serialize_str("NaN"),
            Some(x) if x > 0.0 => serializer.serialize_str("Infinity"),
            Some(_) => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumVisitor;

        impl Visitor<'_> for NumVisitor {
            type Value = Num;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Num, E> {
                Ok(Num::MISSING)
            }

            fn visit_none<E: de::Error>(self) -> Result<Num, E> {
                Ok(Num::MISSING)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Num, E> {
                Ok(Num::new(value))
            }

            // JSON numbers are binary64 everywhere in this crate; larger integers travel as strings.
            #[allow(
                clippy::cast_precision_loss,
                reason = "the nearest binary64 value is the meaning of a JSON number"
            )]
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Num, E> {
                Ok(Num::new(value as f64))
            }

            #[allow(
                clippy::cast_precision_loss,
                reason = "the nearest binary64 value is the meaning of a JSON number"
            )]
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Num, E> {
                Ok(Num::new(value as f64))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Num, E> {
                match value {
                    "NaN" => Ok(Num::new(f64::NAN)),
                    "Infinity" => Ok(Num::new(f64::INFINITY)),
                    "-Infinity" => Ok(Num::new(f64::NEG_INFINITY)),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(NumVisitor)
    }
}

/// Why a value, record or document was refused. A closed set; the text form is part of recorded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No value was reported.
    Missing,
    /// NaN or an infinity.
    NonFinite,
    /// Finite, but outside the admitted interval.
    OutOfRange,
    /// A list without elements.
    Empty,
    /// One of the points of a series is unusable.
    SeriesInvalid,
    /// Not a canonical decimal string of the admitted width.
    InvalidInteger,
    /// A vector has other coordinates than the thirteen named ones.
    UnknownCoordinate,
    /// A random-stream record of another generator.
    UnknownAlgorithm,
    /// A random-stream position in the middle of a draw.
    OddWordPosition,
    /// A record whose digest does not match its content.
    DigestMismatch,
    /// A stored stream that does not belong to this configuration.
    SeedMismatch,
    /// A field that the document type does not have.
    UnknownField,
    /// A value of another JSON type than the field's.
    WrongType,
    /// A stage name outside the closed set.
    UnknownStage,
    /// A value that has no canonical JSON form.
    NotCanonical,
    /// Counts with another number of calibration bins.
    BinMismatch,
    /// A league command that is only possible while no challenger is in a stage.
    StageNotIdle,
    /// An L∞ that is no unit value.
    InvalidLinf,
    /// A league without a registered champion.
    NoChampion,
    /// A decision that the league's stage does not admit.
    IllegalTransition,
    /// A rollback while no challenger is in a stage.
    NothingToRollBack,
    /// A time before the stage's start.
    ClockRegression,
}

impl Code {
    /// Text form, as it appears in recorded data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NonFinite => "non_finite",
            Self::OutOfRange => "out_of_range",
            Self::Empty => "empty",
            Self::SeriesInvalid => "series_invalid",
            Self::InvalidInteger => "invalid_integer",
            Self::UnknownCoordinate => "unknown_coordinate",
            Self::UnknownAlgorithm => "unknown_algorithm",
            Self::OddWordPosition => "odd_word_position",
            Self::DigestMismatch => "digest_mismatch",
            Self::SeedMismatch => "seed_mismatch",
            Self::UnknownField => "unknown_field",
            Self::WrongType => "wrong_type",
            Self::UnknownStage => "unknown_stage",
            Self::NotCanonical => "not_canonical",
            Self::BinMismatch => "bin_mismatch",
            Self::StageNotIdle => "stage_not_idle",
            Self::InvalidLinf => "invalid_linf",
            Self::NoChampion => "no_champion",
            Self::IllegalTransition => "illegal_transition",
            Self::NothingToRollBack => "nothing_to_roll_back",
            Self::ClockRegression => "clock_regression",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refused input of a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Name of the input.
    pub field: Cow<'static, str>,
    /// Why it was refused.
    pub code: Code,
}

/// A score with the list of everything that was wrong with its inputs.
///
/// With any issue, `value` is the worst value of that score; the score's module says which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The score; always finite and inside its range.
    pub value: f64,
    /// Refused inputs in declared order; empty when the score is usable.
    pub issues: Vec<Issue>,
}

impl Scored {
    /// A score without issues.
    #[must_use]
    pub const fn ok(value: f64) -> Self {
        Self {
            value,
            issues: Vec::new(),
        }
    }

    /// Whether every input was usable.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.issues.is_empty()
    }
}

/// Collects the checks of one score: every problem is listed, not only the first.
///
/// A refused input yields 0.0, so that the caller can go on checking; [`Checks::score`] discards whatever was computed from it.
#[derive(Debug, Default)]
pub struct Checks {
    issues: Vec<Issue>,
}

impl Checks {
    /// No checks made yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { issues: Vec::new() }
    }

    /// Lists an issue found by other means.
    pub fn refuse(&mut self, field: impl Into<Cow<'static, str>>, code: Code) {
        self.issues.push(Issue {
            field: field.into(),
            code,
        });
    }

    /// Unwraps the result of a check, listing its code.
    pub fn take(&mut self, field: impl Into<Cow<'static, str>>, checked: Result<f64, Code>) -> f64 {
        match checked {
            Ok(value) => value,
            Err(code) => {
                self.refuse(field, code);
                0.0
            }
        }
    }

    /// [`unit()`] for the named input.
    pub fn unit(&mut self, field: impl Into<Cow<'static, str>>, x: Num) -> f64 {
        self.take(field, unit(x))
    }

    /// [`nonneg`] for the named input.
    pub fn nonneg(&mut self, field: impl Into<Cow<'static, str>>, x: Num) -> f64 {
        self.take(field, nonneg(x))
    }

    /// [`check`] without tolerance for the named input.
    pub fn within(&mut self, field: impl Into<Cow<'static, str>>, x: Num, lo: f64, hi: f64) -> f64 {
        self.take(field, check(x, lo, hi, 0.0))
    }

    /// Any finite value for the named input.
    pub fn finite(&mut self, field: impl Into<Cow<'static, str>>, x: Num) -> f64 {
        self.within(field, x, f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Whether nothing was refused so far.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.issues.is_empty()
    }

    /// The collected issues.
    #[must_use]
    pub fn into_issues(self) -> Vec<Issue> {
        self.issues
    }

    /// The score: `compute()` when nothing was refused, otherwise `worst` with the issues.
    pub fn score(self, worst: f64, compute: impl FnOnce() -> f64) -> Scored {
        let value = if self.issues.is_empty() {
            compute()
        } else {
            worst
        };
        Scored {
            value,
            issues: self.issues,
        }
    }
}

/// Limits `x` to `[lo, hi]`; NaN passes through. Unlike `f64::clamp` it cannot panic.
#[must_use]
#[allow(
    clippy::manual_clamp,
    reason = "f64::clamp panics when lo > hi or a bound is NaN"
)]
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

/// Reads a decimal string without sign or leading zeros.
///
/// # Errors
///
/// [`Code::InvalidInteger`] for anything else, including values beyond the width of `T`.
pub fn parse_decimal<T: std::str::FromStr>(text: &str) -> Result<T, Code> {
    let canonical = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if !canonical {
        return Err(Code::InvalidInteger);
    }
    text.parse().map_err(|_| Code::InvalidInteger)
}

/// Serde form of unsigned integers as decimal strings: `#[serde(with = "penin_engine::num::decimal")]`.
///
/// JSON numbers are binary64 and lose integers above 2⁵³; strings lose nothing.
pub mod decimal {
    use std::fmt;
    use std::marker::PhantomData;
    use std::str::FromStr;

    use serde::de::{self, Deserializer, Visitor};
    use serde::ser::Serializer;

    /// Writes `value` as a decimal string.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T: fmt::Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a decimal string without sign or leading zeros.
    ///
    /// # Errors
    ///
    /// When the value is not such a string or does not fit `T`.
    pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        struct DecimalVisitor<T>(PhantomData<T>);

        impl<T: FromStr> Visitor<'_> for DecimalVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an unsigned integer as a decimal string without sign or leading zeros")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
                super::parse_decimal(value)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }

        deserializer.deserialize_str(DecimalVisitor(PhantomData))
    }
}

/// Serde form of an optional unsigned integer: a decimal string or null.
pub mod optional_decimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::U64String;

    /// Writes `value` as a decimal string or null.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    #[allow(clippy::ref_option, reason = "the signature that serde calls")]
    pub fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(U64String).serialize(serializer)
    }

    /// Reads a decimal string or null.
    ///
    /// # Errors
    ///
    /// When the value is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        Ok(Option::<U64String>::deserialize(deserializer)?.map(|value| value.0))
    }
}

/// An unsigned 64-bit integer that is a decimal string in JSON, for maps and lists.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct U64String(#[serde(with = "decimal")] pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn num_keeps_non_finite_values_in_json() {
        for text in [
            "null",
            "\"NaN\"",
            "\"Infinity\"",
            "\"-Infinity\"",
            "0.1",
            "-3.5",
        ] {
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
        for bad in [
            "",
            "+1",
            "-1",
            "01",
            "1.0",
            " 1",
            "18446744073709551616",
            "x",
        ] {
            assert_eq!(
                parse_decimal::<u64>(bad),
                Err(Code::InvalidInteger),
                "{bad}"
            );
        }
        assert_eq!(serde_json::to_string(&U64String(7)).unwrap(), "\"7\"");
        assert_eq!(
            serde_json::from_str::<U64String>("\"7\"").unwrap(),
            U64String(7)
        );
        assert!(serde_json::from_str::<U64String>("7").is_err());
    }
}
