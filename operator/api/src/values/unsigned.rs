use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub(super) const PATTERN: &str = "^(0|[1-9][0-9]{0,19})$";
const MAX_LENGTH: usize = 20;

/// An unsigned 64-bit integer written as a string without sign or leading zeros, such as `"12345"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnsignedString(u64);

/// Why a text is not an unsigned 64-bit integer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an unsigned 64-bit integer without leading zeros")]
pub struct UnsignedError(String);

impl UnsignedString {
    /// Wraps a number.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for UnsignedString {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl FromStr for UnsignedString {
    type Err = UnsignedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || UnsignedError(text.chars().take(MAX_LENGTH + 1).collect());
        let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
        if canonical {
            text.parse().map(Self).map_err(|_| error())
        } else {
            Err(error())
        }
    }
}

impl TryFrom<String> for UnsignedString {
    type Error = UnsignedError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<UnsignedString> for String {
    fn from(value: UnsignedString) -> Self {
        value.0.to_string()
    }
}

impl fmt::Display for UnsignedString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for UnsignedString {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "UnsignedString".into()
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
    fn refuses_signs_leading_zeros_and_overflow() {
        for text in [
            "",
            "+1",
            "-1",
            "01",
            "00",
            "1.0",
            " 1",
            "18446744073709551616",
            "1e3",
            "one",
        ] {
            assert!(text.parse::<UnsignedString>().is_err(), "{text:?} was read");
        }
        assert_eq!("18446744073709551615".parse(), Ok(UnsignedString(u64::MAX)));
    }

    proptest! {
        #[test]
        fn every_number_survives_a_round_trip(value: u64) {
            let json = serde_json::to_string(&UnsignedString::new(value)).unwrap();
            prop_assert_eq!(&json, &format!("\"{value}\""));
            prop_assert_eq!(serde_json::from_str::<UnsignedString>(&json).unwrap().get(), value);
        }
    }
}
