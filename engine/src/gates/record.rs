//! Gate records: one comparison of evidence with a bound, and what came of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::{GateName, reason};
use crate::num::{Num, UNIT_TOLERANCE, check};

/// Why a gate stands as it does. Reasons of this crate are the constants in [`reason`]; evidence may hand in its own.
pub type Reason = Cow<'static, str>;

/// Verdict of one gate or of a set. `Unknown` blocks exactly like `Fail`; it only leads to Hold instead of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GateStatus {
    /// The evidence proves the condition.
    Pass,
    /// The evidence disproves the condition.
    Fail,
    /// The evidence decides nothing.
    Unknown,
}

impl GateStatus {
    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for GateStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How value and threshold are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// value < threshold
    Lt,
    /// value ≤ threshold
    Le,
    /// value ≥ threshold
    Ge,
    /// value > threshold
    Gt,
    /// value = threshold
    Eq,
}

impl Comparison {
    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Eq => "eq",
        }
    }

    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Lt => value < threshold,
            Self::Le => value <= threshold,
            Self::Ge => value >= threshold,
            Self::Gt => value > threshold,
            #[allow(clippy::float_cmp, reason = "gates compare exactly")]
            Self::Eq => value == threshold,
        }
    }

    const fn failure(self) -> &'static str {
        match self {
            Self::Lt | Self::Le => reason::ABOVE_MAXIMUM,
            Self::Ge | Self::Gt => reason::BELOW_MINIMUM,
            Self::Eq => reason::NOT_TRUE,
        }
    }
}

/// Weight of a gate in the decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Must pass.
    #[default]
    Required,
    /// Shown, never decisive.
    Advisory,
}

impl Mode {
    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "Required",
            Self::Advisory => "Advisory",
        }
    }
}

/// Value or threshold of a gate: a finite number, a boolean, or `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GateValue {
    /// Of a condition.
    Boolean(bool),
    /// Of a measured quantity; always finite.
    Number(f64),
    /// Not usable.
    Null,
}

impl GateValue {
    /// The number, if it is one.
    #[must_use]
    pub const fn number(self) -> Option<f64> {
        match self {
            Self::Number(x) => Some(x),
            Self::Boolean(_) | Self::Null => None,
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub const fn boolean(self) -> Option<bool> {
        match self {
            Self::Boolean(x) => Some(x),
            Self::Number(_) | Self::Null => None,
        }
    }
}

impl fmt::Display for GateValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(x) => x.fmt(f),
            Self::Number(x) => x.fmt(f),
            Self::Null => f.write_str("null"),
        }
    }
}

/// Record of one gate. All gates are always evaluated and recorded; there is no short circuit and no weighting.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Which gate.
    pub name: GateName,
    /// What was compared; `Null` when the evidence is unusable.
    pub value: GateValue,
    /// The bound.
    pub threshold: GateValue,
    /// How the two are compared.
    pub comparison: Comparison,
    /// Verdict.
    pub status: GateStatus,
    /// Why.
    pub reason: Reason,
    /// Weight in the decision.
    pub mode: Mode,
}

impl Gate {
    /// Whether the gate passed; written as `passed` in JSON.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.status == GateStatus::Pass
    }

    /// Whether the gate is decisive.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.mode == Mode::Required
    }

    /// A condition: true passes, false fails with `not_true`, a missing value or a handed-in reason is Unknown.
    #[must_use]
    pub fn boolean(name: GateName, value: Option<bool>, unknown: Option<&Reason>) -> Self {
        match (unknown, value) {
            (Some(reason), _) => Self::condition(name, None, reason.clone()),
            (None, None) => Self::condition(name, None, Reason::Borrowed(reason::MISSING)),
            (None, Some(true)) => Self::condition(name, Some(true), Reason::Borrowed(reason::OK)),
            (None, Some(false)) => Self::condition(name, Some(false), Reason::Borrowed(reason::NOT_TRUE)),
        }
    }

    /// The verdict of another evaluation. `because` is used when it did not pass; without it the reason is `denied` or `unknown`.
    #[must_use]
    pub fn verdict(name: GateName, status: Option<GateStatus>, because: Option<&Reason>) -> Self {
        let (value, plain) = match status {
            Some(GateStatus::Pass) => {
                return Self::condition(name, Some(true), Reason::Borrowed(reason::OK));
            }
            Some(GateStatus::Fail) => (Some(false), reason::DENIED),
            Some(GateStatus::Unknown) | None => (None, reason::UNKNOWN),
        };
        let because = because.cloned().unwrap_or(Reason::Borrowed(plain));
        Self::condition(name, value, because)
    }

    /// A condition that is decided already: `Some(true)` passes, `Some(false)` fails, `None` is Unknown.
    #[must_use]
    pub fn condition(name: GateName, value: Option<bool>, reason: Reason) -> Self {
        Self {
            name,
            value: value.map_or(GateValue::Null, GateValue::Boolean),
            threshold: GateValue::Boolean(true),
            comparison: Comparison::Eq,
            status: match value {
                Some(true) => GateStatus::Pass,
                Some(false) => GateStatus::Fail,
                None => GateStatus::Unknown,
            },
            reason,
            mode: Mode::Required,
        }
    }

    /// The same gate with another weight.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }
}

/// A bound on a measured quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Which gate.
    pub name: GateName,
    /// Smallest possible value of the quantity.
    pub lowest: f64,
    /// Largest possible value of the quantity; may be ∞.
    pub highest: f64,
    /// How value and threshold are compared.
    pub comparison: Comparison,
    /// The bound itself, finite.
    pub threshold: f64,
}

impl Bound {
    /// Judges `value`. A handed-in `unknown` reason, or a value that is missing, non-finite or outside the possible range, is Unknown.
    #[must_use]
    pub fn judge(&self, value: Num, unknown: Option<&Reason>) -> Gate {
        if let Some(reason) = unknown {
            return self.record(GateValue::Null, GateStatus::Unknown, reason.clone());
        }
        match check(value, self.lowest, self.highest, UNIT_TOLERANCE) {
            Err(code) => self.record(GateValue::Null, GateStatus::Unknown, Reason::Borrowed(code.as_str())),
            Ok(x) if self.comparison.holds(x, self.threshold) => self.pass(x, Reason::Borrowed(reason::OK)),
            Ok(x) => self.fail(x, Reason::Borrowed(self.comparison.failure())),
        }
    }

    /// A passed gate.
    #[must_use]
    pub fn pass(&self, value: f64, reason: Reason) -> Gate {
        self.record(GateValue::Number(value), GateStatus::Pass, reason)
    }

    /// A failed gate.
    #[must_use]
    pub fn fail(&self, value: f64, reason: Reason) -> Gate {
        self.record(GateValue::Number(value), GateStatus::Fail, reason)
    }

    /// A gate with any verdict.
    #[must_use]
    pub fn record(&self, value: GateValue, status: GateStatus, reason: Reason) -> Gate {
        Gate {
            name: self.name,
            value,
            threshold: GateValue::Number(self.threshold),
            comparison: self.comparison,
            status,
            reason,
            mode: Mode::Required,
        }
    }
}

impl Serialize for Gate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("Gate", 8)?;
        // In canonical order, so that the canonical writer has nothing to sort.
        record.serialize_field("comparison", &self.comparison)?;
        record.serialize_field("mode", &self.mode)?;
        record.serialize_field("name", &self.name)?;
        record.serialize_field("passed", &self.passed())?;
        record.serialize_field("reason", &self.reason)?;
        record.serialize_field("status", &self.status)?;
        record.serialize_field("threshold", &self.threshold)?;
        record.serialize_field("value", &self.value)?;
        record.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateDocument {
    name: GateName,
    value: GateValue,
    threshold: GateValue,
    comparison: Comparison,
    status: GateStatus,
    passed: bool,
    reason: String,
    mode: Mode,
}

impl<'de> Deserialize<'de> for Gate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = GateDocument::deserialize(deserializer)?;
        let gate = Self {
            name: document.name,
            value: document.value,
            threshold: document.threshold,
            comparison: document.comparison,
            status: document.status,
            reason: Reason::Owned(document.reason),
            mode: document.mode,
        };
        if gate.passed() == document.passed {
            Ok(gate)
        } else {
            Err(D::Error::custom("passed: must be true exactly when status is Pass"))
        }
    }
}
