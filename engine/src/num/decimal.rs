//! Serde form of unsigned integers as decimal strings: `#[serde(with = "penin_engine::num::decimal")]`.
//!
//! JSON numbers are binary64 and lose integers above 2⁵³; strings lose nothing.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::Code;

/// An unsigned 64-bit integer that is a decimal string in JSON, for maps and lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct U64String(#[serde(with = "self")] pub u64);

/// Reads a decimal string without sign or leading zeros.
///
/// # Errors
///
/// [`Code::InvalidInteger`] for anything else, including values beyond the width of `T`.
pub fn parse_decimal<T: FromStr>(text: &str) -> Result<T, Code> {
    let canonical =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if !canonical {
        return Err(Code::InvalidInteger);
    }
    text.parse().map_err(|_| Code::InvalidInteger)
}

/// Writes `value` as a decimal string.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads a decimal string without sign or leading zeros.
///
/// # Errors
///
/// When the value is not such a string or does not fit `T`.
pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct DecimalVisitor<T>(PhantomData<T>);

    impl<T: FromStr> Visitor<'_> for DecimalVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an unsigned integer as a decimal string without sign or leading zeros")
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
            parse_decimal(value).map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
        }
    }

    deserializer.deserialize_str(DecimalVisitor(PhantomData))
}
