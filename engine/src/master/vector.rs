//! The thirteen coordinates that a promotion moves.

use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::num::{Code, Num, clamp, unit};

/// Number of coordinates.
pub const DIMENSIONS: usize = 13;

/// Name, gain and initial value of each coordinate, in order.
const COORDINATES: [(&str, f64, f64); DIMENSIONS] = [
    ("rsi", 0.08, 0.6),
    ("synergy", 0.07, 0.6),
    ("novelty", 0.05, 0.5),
    ("stability", 0.06, 0.7),
    ("viability", 0.05, 0.8),
    ("cost", -0.03, 0.2),
    ("c", 0.04, 0.6),
    ("a", 0.05, 0.6),
    ("o", 0.03, 0.6),
    ("s", 0.02, 0.6),
    ("calibration", 0.03, 0.8),
    ("autocorrection", 0.04, 0.7),
    ("metacognition", 0.05, 0.6),
];

/// Names in canonical order, with their index.
const CANONICAL: [(&str, usize); DIMENSIONS] = [
    ("a", 7),
    ("autocorrection", 11),
    ("c", 6),
    ("calibration", 10),
    ("cost", 5),
    ("metacognition", 12),
    ("novelty", 2),
    ("o", 8),
    ("rsi", 0),
    ("s", 9),
    ("stability", 3),
    ("synergy", 1),
    ("viability", 4),
];

/// A point of the state space; every coordinate is a unit value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StateVector([f64; DIMENSIONS]);

impl Default for StateVector {
    fn default() -> Self {
        Self(COORDINATES.map(|(_, _, initial)| initial))
    }
}

impl StateVector {
    /// Names of the coordinates, in order.
    #[must_use]
    pub fn names() -> [&'static str; DIMENSIONS] {
        COORDINATES.map(|(name, _, _)| name)
    }

    /// A vector from values in the order of [`StateVector::names`].
    ///
    /// # Errors
    ///
    /// The code of [`unit()`] for the first coordinate that is no unit value.
    pub fn new(values: [f64; DIMENSIONS]) -> Result<Self, Code> {
        let mut vector = Self(values);
        for x in &mut vector.0 {
            *x = unit(Num::new(*x))?;
        }
        Ok(vector)
    }

    /// Coordinate of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, x)| x)
    }

    /// Coordinates with their names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        COORDINATES.iter().zip(self.0).map(|((name, _, _), x)| (*name, x))
    }

    /// The vector with the usable values of `measured` written over it; names that are no coordinates are passed over.
    #[must_use]
    pub fn overwritten<'a>(&self, measured: impl IntoIterator<Item = (&'a str, Num)>) -> Self {
        let mut vector = *self;
        for (name, value) in measured {
            let slot = COORDINATES
                .iter()
                .zip(&mut vector.0)
                .find(|((known, _, _), _)| *known == name);
            if let (Some((_, slot)), Ok(value)) = (slot, unit(value)) {
                *slot = value;
            }
        }
        vector
    }

    /// One step of the Master Equation: each coordinate moves by its gain times `step` inside [0, 1]; then the whole is scaled down to the
    /// Euclidean norm `max_norm` if it is longer. A step that is not finite moves nothing.
    #[must_use]
    #[allow(
        clippy::suboptimal_flops,
        reason = "fused multiply-add would change the last bit on some platforms"
    )]
    pub fn project(&self, step: f64, max_norm: f64) -> Self {
        if !step.is_finite() {
            return *self;
        }
        let mut vector = *self;
        for ((_, gain, _), x) in COORDINATES.iter().zip(&mut vector.0) {
            *x = clamp(*x + gain * step, 0.0, 1.0);
        }
        let norm = vector.0.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
        if norm > max_norm {
            let factor = f64::max(0.0, max_norm) / norm;
            for x in &mut vector.0 {
                *x *= factor;
            }
        }
        vector
    }
}

impl Serialize for StateVector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut vector = serializer.serialize_struct("StateVector", DIMENSIONS)?;
        for (name, index) in CANONICAL {
            vector.serialize_field(name, self.0.get(index).unwrap_or(&0.0))?;
        }
        vector.end()
    }
}

impl<'de> Deserialize<'de> for StateVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = std::collections::BTreeMap::<String, Num>::deserialize(deserializer)?;
        Self::from_entries(&entries.iter().map(|(name, x)| (name.as_str(), *x))).map_err(D::Error::custom)
    }
}

impl StateVector {
    /// A vector from exactly the thirteen named values.
    ///
    /// # Errors
    ///
    /// [`Code::UnknownCoordinate`] for other names than these, else the code of [`unit()`] for the first unusable coordinate.
    pub(super) fn from_entries<'a>(entries: &(impl Iterator<Item = (&'a str, Num)> + Clone)) -> Result<Self, Code> {
        let known = |name: &str| COORDINATES.iter().any(|(known, _, _)| *known == name);
        if entries.clone().count() != DIMENSIONS || !entries.clone().all(|(name, _)| known(name)) {
            return Err(Code::UnknownCoordinate);
        }
        let mut vector = Self::default();
        for ((name, _, _), x) in COORDINATES.iter().zip(&mut vector.0) {
            let value = entries.clone().find(|(known, _)| known == name);
            *x = unit(value.map_or(Num::MISSING, |(_, value)| value))?;
        }
        Ok(vector)
    }
}
