use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The grammar of GEP-2257 as a regular expression.
pub(super) const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// Longest text the pattern admits: four times five digits and a two-letter unit.
const MAX_LENGTH: usize = 28;

const MILLIS_PER_SECOND: u64 = 1_000;
const MILLIS_PER_MINUTE: u64 = 60 * MILLIS_PER_SECOND;
const MILLIS_PER_HOUR: u64 = 60 * MILLIS_PER_MINUTE;

/// A length of time as [GEP-2257](https://gateway-api.sigs.k8s.io/geps/gep-2257/) writes it:
/// up to four numbers of up to five digits, each with a unit `h`, `m`, `s` or `ms`, such as `1h30m`.
///
/// The given text is kept, so reading and writing an object changes nothing; comparisons look at
/// the value, so `60s` equals `1m`. Values we compute are written in the canonical form, see
/// [`Duration::from_millis`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    text: Cow<'static, str>,
    millis: u64,
}

/// Why a text is not a GEP-2257 duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text does not follow the grammar.
    #[error(
        "{0:?} is not a duration: write up to four numbers of up to five digits with a unit h, m, s or ms, such as 1h30m"
    )]
    Grammar(String),
    /// The value needs a number of more than five digits and cannot be written.
    #[error("{0} ms is longer than a duration can say (99999h59m59s999ms)")]
    TooLong(u64),
}

impl Duration {
    /// Zero, written `0s`.
    pub const ZERO: Self = Self {
        text: Cow::Borrowed("0s"),
        millis: 0,
    };

    /// A duration of whole seconds that is known when the program is compiled.
    ///
    /// `text` must be the canonical form of `seconds`; the crate's tests check every use.
    pub(crate) const fn known(text: &'static str, millis: u64) -> Self {
        Self {
            text: Cow::Borrowed(text),
            millis,
        }
    }

    /// The canonical form of a number of milliseconds: hours, minutes, seconds and milliseconds in
    /// this order, parts of value zero left out, `0s` for nothing.
    ///
    /// # Errors
    /// [`DurationError::TooLong`] from 100,000 hours on, which the five digits of the grammar cannot say.
    pub fn from_millis(millis: u64) -> Result<Self, DurationError> {
        let hours = millis / MILLIS_PER_HOUR;
        if hours > 99_999 {
            return Err(DurationError::TooLong(millis));
        }
        let parts = [
            (hours, "h"),
            (millis % MILLIS_PER_HOUR / MILLIS_PER_MINUTE, "m"),
            (millis % MILLIS_PER_MINUTE / MILLIS_PER_SECOND, "s"),
            (millis % MILLIS_PER_SECOND, "ms"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(value, _)| *value > 0)
            .map(|(value, unit)| format!("{value}{unit}"))
            .collect();
        let text = if parts.is_empty() {
            Cow::Borrowed("0s")
        } else {
            Cow::Owned(parts.concat())
        };
        Ok(Self { text, millis })
    }

    /// The value in milliseconds.
    #[must_use]
    pub const fn as_millis(&self) -> u64 {
        self.millis
    }

    /// The value in whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(&self) -> u64 {
        self.millis / MILLIS_PER_SECOND
    }

    /// The value as the standard library's type.
    #[must_use]
    pub const fn to_std(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }

    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same value in canonical form.
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        // Four parts of 99999h each exceed what one part can say; such a text is its own best form.
        Self::from_millis(self.millis).unwrap_or_else(|_| self.clone())
    }
}

fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=5).contains(&digits) {
            return None;
        }
        let (number, tail) = rest.split_at_checked(digits)?;
        // `ms` before `m`: the longer unit first, as the regular expression's alternation finds it.
        let (unit, tail) = [
            ("ms", 1),
            ("h", MILLIS_PER_HOUR),
            ("m", MILLIS_PER_MINUTE),
            ("s", MILLIS_PER_SECOND),
        ]
        .into_iter()
        .find_map(|(name, unit)| tail.strip_prefix(name).map(|tail| (unit, tail)))?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        parts += 1;
        rest = tail;
    }
    (1..=4).contains(&parts).then_some(millis)
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = parse(text).ok_or_else(|| DurationError::Grammar(text.chars().take(MAX_LENGTH + 1).collect()))?;
        Ok(Self {
            text: Cow::Owned(text.to_owned()),
            millis,
        })
    }
}

impl TryFrom<String> for Duration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.text.into_owned()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Duration {
    fn eq(&self, other: &Self) -> bool {
        self.millis == other.millis
    }
}

impl Eq for Duration {}

impl PartialOrd for Duration {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Duration {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.millis.cmp(&other.millis)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "minLength": 2, "maxLength": MAX_LENGTH })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_examples_of_the_enhancement_proposal() {
        let cases: &[(&str, u64)] = &[
            ("0h", 0),
            ("0s", 0),
            ("0h0m0s", 0),
            ("1h", 3_600_000),
            ("30m", 1_800_000),
            ("10s", 10_000),
            ("500ms", 500),
            ("2h30m", 9_000_000),
            ("150m", 9_000_000),
            ("7230s", 7_230_000),
            ("1h30m10s", 5_410_000),
            ("10s30m1h", 5_410_000),
            ("100ms200ms300ms", 600),
            ("99999h99999h99999h99999h", 4 * 99_999 * MILLIS_PER_HOUR),
        ];
        for (text, millis) in cases {
            assert_eq!(text.parse::<Duration>().map(|d| d.as_millis()), Ok(*millis), "{text}");
        }
    }

    #[test]
    fn refuses_what_the_grammar_does_not_admit() {
        for text in [
            "",
            "1",
            "1d",
            "1.5h",
            "-1h",
            "+1h",
            " 1h",
            "1h ",
            "1 h",
            "h",
            "100000h",
            "1h2h3m4m5s",
            "1us",
            "1µs",
            "0",
            "1H",
            "٣s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn keeps_the_given_text_and_compares_values() {
        let given: Duration = serde_json::from_str("\"60s\"").unwrap();
        assert_eq!(serde_json::to_string(&given).unwrap(), "\"60s\"");
        assert_eq!(given, "1m".parse().unwrap());
        assert_eq!(given.to_canonical().as_str(), "1m");
        assert!(serde_json::from_str::<Duration>("60").is_err());
    }

    #[test]
    fn a_value_too_long_to_write_is_an_error() {
        let limit = 100_000 * MILLIS_PER_HOUR;
        assert_eq!(Duration::from_millis(limit - 1).unwrap().as_str(), "99999h59m59s999ms");
        assert_eq!(Duration::from_millis(limit), Err(DurationError::TooLong(limit)));
    }

    proptest! {
        #[test]
        fn the_canonical_form_reads_back_as_the_same_value(millis in 0..100_000 * MILLIS_PER_HOUR) {
            let written = Duration::from_millis(millis).unwrap();
            let read: Duration = written.as_str().parse().unwrap();
            prop_assert_eq!(read.as_millis(), millis);
            let canonical = read.to_canonical();
            prop_assert_eq!(canonical.as_str(), written.as_str());
        }

        #[test]
        fn whatever_matches_the_pattern_is_read(text in "([0-9]{1,5}(h|m|s|ms)){1,4}") {
            prop_assert!(text.len() <= MAX_LENGTH);
            prop_assert!(text.parse::<Duration>().is_ok());
        }

        #[test]
        fn nothing_else_is_read(text in "[0-9hms. +-]{0,12}") {
            let parts: Vec<&str> = text.split_inclusive(['h', 's', 'm']).collect();
            // An independent reading of the grammar: glue `m` and a following `s` back together.
            let mut glued: Vec<String> = Vec::new();
            for part in parts {
                match glued.last_mut() {
                    Some(last) if part == "s" && last.ends_with('m') && !last.ends_with("mm") => last.push('s'),
                    _ => glued.push(part.to_owned()),
                }
            }
            let valid = (1..=4).contains(&glued.len()) && glued.iter().all(|part| {
                let number = part.trim_end_matches("ms").len().min(part.trim_end_matches(['h', 'm', 's']).len());
                let (number, unit) = part.split_at(number);
                (1..=5).contains(&number.len())
                    && number.bytes().all(|b| b.is_ascii_digit())
                    && ["h", "m", "s", "ms"].contains(&unit)
            });
            prop_assert_eq!(text.parse::<Duration>().is_ok(), valid);
        }
    }
}
