//! Errors of the engine.
//!
//! Bad *evidence* is never an error: it is a score with issues (see [`crate::num`]). An error here means that a document has the wrong
//! shape, that a stored state cannot be trusted, or that a commit lost a race.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::num::Code;

/// One violated bound of a configuration document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigError {
    /// Path of the offending value, such as `guard.eceMax` or `linf.metrics[0].weight`.
    pub field: String,
    /// What was expected, as text: `(0, 1]`, `one of fibonacci|golden`, `integer`, `known field`, …
    pub bound: String,
    /// The offending value as it stood in the document; for lists and maps its size, for sums the sum.
    pub value: Value,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.field, self.bound, self.value)
    }
}

/// Everything that can make an engine call fail.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineError {
    /// The configuration violates these bounds; an invalid configuration must refuse to start.
    Config(Vec<ConfigError>),
    /// A stored state is not usable.
    State {
        /// First offending field, such as `linf` or `rng`.
        field: String,
        /// What is wrong with it.
        code: Code,
    },
    /// An input has the wrong structure.
    Input {
        /// Path of the offending value.
        field: String,
        /// What is wrong with it.
        code: Code,
    },
    /// A random-stream record cannot be restored.
    Rng(Code),
    /// The current state is not the one the outcome was computed from.
    StateMismatch,
}

impl EngineError {
    /// An [`EngineError::Input`] for `field`.
    #[must_use]
    pub fn input(field: impl Into<String>, code: Code) -> Self {
        Self::Input {
            field: field.into(),
            code,
        }
    }

    /// An [`EngineError::State`] for `field`.
    #[must_use]
    pub fn state(field: impl Into<String>, code: Code) -> Self {
        Self::State {
            field: field.into(),
            code,
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => {
                f.write_str("invalid configuration")?;
                for (index, error) in errors.iter().enumerate() {
                    f.write_str(if index == 0 { ": " } else { "; " })?;
                    error.fmt(f)?;
                }
                Ok(())
            }
            Self::State { field, code } => write!(f, "unusable state: {field}: {code}"),
            Self::Input { field, code } => write!(f, "malformed input: {field}: {code}"),
            Self::Rng(code) => write!(f, "unusable random-stream record: {code}"),
            Self::StateMismatch => {
                f.write_str("the current state is not the one this outcome was computed from; run the cycle again")
            }
        }
    }
}

impl std::error::Error for EngineError {}
