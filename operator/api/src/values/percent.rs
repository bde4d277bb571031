use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A whole share of traffic from 0 to 100 per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

/// The number is above 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is more than 100 per cent")]
pub struct PercentError(u8);

impl Percent {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(100);

    /// A share that is known when the program is compiled; values above 100 become 100.
    #[must_use]
    pub const fn saturating(value: u8) -> Self {
        Self(if value > 100 { 100 } else { value })
    }

    /// The share as a whole number from 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// What is left of 100 per cent: the weight of the other side.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(100 - self.0)
    }

    /// The share as a fraction from 0 to 1.
    #[must_use]
    pub fn to_fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// The share in basis points, the unit of the engine: 5 per cent is 500.
    #[must_use]
    pub const fn to_basis_points(self) -> u32 {
        // Lossless: at most 100 fits any integer type.
        self.0 as u32 * 100
    }
}

impl TryFrom<u8> for Percent {
    type Error = PercentError;

    fn try_from(value: u8) -> Result<Self, Self::Error> {
        if value > 100 {
            Err(PercentError(value))
        } else {
            Ok(Self(value))
        }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

impl From<Percent> for i32 {
    fn from(percent: Percent) -> Self {
        percent.0.into()
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "int32", "minimum": 0, "maximum": 100 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_shares_up_to_a_hundred_exist() {
        for value in 0..=u8::MAX {
            let read = serde_json::from_str::<Percent>(&value.to_string());
            assert_eq!(read.is_ok(), value <= 100, "{value}");
            if let Ok(percent) = read {
                assert_eq!(u32::from(percent.get()) + u32::from(percent.rest().get()), 100);
                assert_eq!(percent.to_basis_points(), u32::from(value) * 100);
            }
        }
        assert!(serde_json::from_str::<Percent>("1.5").is_err());
        assert!(serde_json::from_str::<Percent>("-1").is_err());
        assert_eq!(Percent::saturating(200), Percent::FULL);
    }
}
