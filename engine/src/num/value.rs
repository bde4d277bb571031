//! Numbers of evidence.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

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
        deserializer.deserialize_any(NumVisitor)
    }
}

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
