//! Numbers of evidence read without loss.

use super::{Unknown, UnknownReason};

/// Largest count that a binary64 value still tells from its neighbours: 2^53 - 1.
pub const LARGEST_COUNT: u64 = (1 << 53) - 1;

/// A counter's value: a non-negative integer below 2^53. At 2^53 the source itself no longer counts.
///
/// # Errors
/// [`UnknownReason::NonFinite`] for NaN and infinities, [`UnknownReason::NotAnInteger`] for all else.
pub fn count(text: &str) -> Result<u64, Unknown> {
    let value = real(text)?;
    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact")]
    let largest = LARGEST_COUNT as f64;
    if (0.0..=largest).contains(&value) && value.fract() == 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an integer in 0..2^53"
        )]
        return Ok(value as u64);
    }
    Err(Unknown::new(
        UnknownReason::NotAnInteger,
        format_args!("a counter has the value {text:?}"),
    ))
}

/// A finite number.
///
/// # Errors
/// [`UnknownReason::Malformed`] when the text is no number, [`UnknownReason::NonFinite`] for NaN and infinities.
pub fn real(text: &str) -> Result<f64, Unknown> {
    let value: f64 = text
        .parse()
        .map_err(|_| Unknown::new(UnknownReason::Malformed, format_args!("{text:?} is no number")))?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Unknown::new(
            UnknownReason::NonFinite,
            format_args!("a value is {text}"),
        ))
    }
}

/// A count as a number, exact because counts stay below 2^53.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "sums of counts round to nearest beyond 2^53, which a ratio may"
)]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// `part` ÷ `whole`.
///
/// # Errors
/// [`UnknownReason::Undefined`] for 0 ÷ 0, [`UnknownReason::Inconsistent`] when the part is above the whole.
pub fn share(part: u64, whole: u64, what: &str) -> Result<f64, Unknown> {
    if part > whole {
        let detail = format!("{what}: {part} of {whole} is more than all; the counts are not of the same events");
        return Err(Unknown::new(UnknownReason::Inconsistent, detail));
    }
    if whole == 0 {
        return Err(Unknown::new(
            UnknownReason::Undefined,
            format_args!("{what}: nothing was counted"),
        ));
    }
    Ok(number(part) / number(whole))
}

/// A sum that does not wrap.
///
/// # Errors
/// [`UnknownReason::NotAnInteger`] when the sum leaves 64 bits.
pub fn sum(counts: impl IntoIterator<Item = u64>) -> Result<u64, Unknown> {
    let mut counts = counts.into_iter();
    counts
        .try_fold(0_u64, u64::checked_add)
        .ok_or_else(|| Unknown::new(UnknownReason::NotAnInteger, "a sum of counts leaves 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counters_are_integers_below_two_to_the_53() {
        let cases: &[(&str, Result<u64, UnknownReason>)] = &[
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("1.234567e+06", Ok(1_234_567)),
            ("9007199254740991", Ok(LARGEST_COUNT)),
            ("9007199254740992", Err(UnknownReason::NotAnInteger)),
            ("1e300", Err(UnknownReason::NotAnInteger)),
            ("0.5", Err(UnknownReason::NotAnInteger)),
            ("-1", Err(UnknownReason::NotAnInteger)),
            ("NaN", Err(UnknownReason::NonFinite)),
            ("+Inf", Err(UnknownReason::NonFinite)),
            ("-Inf", Err(UnknownReason::NonFinite)),
            ("", Err(UnknownReason::Malformed)),
            ("12 ", Err(UnknownReason::Malformed)),
            ("0x10", Err(UnknownReason::Malformed)),
        ];
        for (text, wanted) in cases {
            assert_eq!(count(text).map_err(|unknown| unknown.reason), *wanted, "{text}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_not_a_number() {
        assert_eq!(share(0, 0, "x").unwrap_err().reason, UnknownReason::Undefined);
        assert_eq!(share(2, 1, "x").unwrap_err().reason, UnknownReason::Inconsistent);
        assert!((share(1, 4, "x").unwrap() - 0.25).abs() < f64::EPSILON);
        assert!(sum([u64::MAX, 1]).is_err());
    }

    proptest! {
        #[test]
        fn no_text_becomes_an_unexact_count(text in "[-+0-9.eEinfNa ]{0,24}") {
            if let Ok(value) = count(&text) {
                prop_assert!(value <= LARGEST_COUNT);
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits() & !(1 << 63), number(value).to_bits());
            }
        }
    }
}
