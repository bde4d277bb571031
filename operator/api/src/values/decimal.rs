use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Nine digits before and nine after the point: every such text is a finite binary64 number.
pub(super) const PATTERN: &str = r"^-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?$";
const MAX_LENGTH: usize = 20;
const MAX_DIGITS: usize = 9;

/// A decimal number written as a string, such as `"0.05"`: up to nine digits on either side of the
/// point, no exponent, no plus sign, no superfluous leading zero, never NaN or infinite.
///
/// The given text is kept. Comparisons look at the value, so `"0.5"` equals `"0.50"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DecimalString {
    text: Cow<'static, str>,
    value: f64,
}

/// Why a text is not a decimal string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a decimal number: write digits with an optional point, at most nine on either side, such as 0.05"
)]
pub struct DecimalError(String);

impl DecimalString {
    /// A number that is known when the program is compiled; the crate's tests check every use.
    pub(crate) const fn known(text: &'static str, value: f64) -> Self {
        Self {
            text: Cow::Borrowed(text),
            value,
        }
    }

    /// The nearest decimal string with at most nine digits after the point; trailing zeros are
    /// left out. `None` for NaN, infinities and magnitudes of 10⁹ and above.
    ///
    /// The result is for people and for status: a decision uses the number itself.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let fixed = format!("{value:.MAX_DIGITS$}");
        let text = fixed.trim_end_matches('0').trim_end_matches('.');
        if text == "-0" {
            "0".parse().ok()
        } else {
            text.parse().ok()
        }
    }

    /// The value; always finite.
    #[must_use]
    pub const fn to_f64(&self) -> f64 {
        self.value
    }

    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn follows_grammar(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits =
        |part: &str| (1..=MAX_DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(all_digits)
}

impl FromStr for DecimalString {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DecimalError(text.chars().take(MAX_LENGTH + 1).collect());
        if !follows_grammar(text) {
            return Err(error());
        }
        let value = text.parse().map_err(|_| error())?;
        Ok(Self {
            text: Cow::Owned(text.to_owned()),
            value,
        })
    }
}

impl TryFrom<String> for DecimalString {
    type Error = DecimalError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DecimalString> for String {
    fn from(decimal: DecimalString) -> Self {
        decimal.text.into_owned()
    }
}

impl fmt::Display for DecimalString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for DecimalString {
    fn eq(&self, other: &Self) -> bool {
        self.value.total_cmp(&other.value).is_eq()
    }
}

impl Eq for DecimalString {}

impl JsonSchema for DecimalString {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DecimalString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "minLength": 1, "maxLength": MAX_LENGTH })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_decimals_and_nothing_else() {
        for (text, value) in [
            ("0", 0.0),
            ("1", 1.0),
            ("0.05", 0.05),
            ("-3.25", -3.25),
            ("999999999.999999999", 1e9),
        ] {
            assert_eq!(text.parse::<DecimalString>().map(|d| d.to_f64()), Ok(value), "{text}");
        }
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "00",
            "01",
            "+1",
            "1e3",
            "NaN",
            "inf",
            "1,5",
            " 1",
            "0.1234567890",
            "1234567890",
            "0x1",
            "--1",
            "1.-1",
        ] {
            assert!(text.parse::<DecimalString>().is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn non_finite_and_huge_numbers_have_no_decimal_string() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, -1e9, f64::MAX] {
            assert_eq!(DecimalString::from_f64(value), None, "{value}");
        }
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-1e-12, "0"),
            (0.1, "0.1"),
            (10.0, "10"),
            (1.0 / 3.0, "0.333333333"),
        ] {
            assert_eq!(
                DecimalString::from_f64(value).as_ref().map(DecimalString::as_str),
                Some(text)
            );
        }
    }

    proptest! {
        #[test]
        fn text_survives_a_round_trip(text in r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?") {
            let json = serde_json::to_string(&text).unwrap();
            let read: DecimalString = serde_json::from_str(&json).unwrap();
            prop_assert!(read.to_f64().is_finite());
            prop_assert!(text.len() <= MAX_LENGTH);
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }

        #[test]
        fn numbers_are_written_to_the_ninth_place(value in -999_999_999.0..999_999_999.0_f64) {
            let written = DecimalString::from_f64(value).unwrap();
            prop_assert!((written.to_f64() - value).abs() <= 5.1e-10 + value.abs() * f64::EPSILON);
        }
    }
}
