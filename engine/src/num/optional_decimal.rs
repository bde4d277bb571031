//! Serde form of an optional unsigned integer: a decimal string or null.

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
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<U64String>::deserialize(deserializer)?.map(|value| value.0))
}
