//! Scores with the list of their refused inputs.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Num, check, nonneg, unit};

/// Why a value, record or document was refused. A closed set; the text form is part of recorded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No value was reported.
    Missing,
    /// NaN or an infinity.
    NonFinite,
    /// Finite, but outside the admitted interval.
    OutOfRange,
    /// A list without elements.
    Empty,
    /// One of the points of a series is unusable.
    SeriesInvalid,
    /// Not a canonical decimal string of the admitted width.
    InvalidInteger,
    /// A vector has other coordinates than the thirteen named ones.
    UnknownCoordinate,
    /// A random-stream record of another generator.
    UnknownAlgorithm,
    /// A random-stream position in the middle of a draw.
    OddWordPosition,
    /// A record whose digest does not match its content.
    DigestMismatch,
    /// A stored stream that does not belong to this configuration.
    SeedMismatch,
    /// A field that the document type does not have.
    UnknownField,
    /// A value of another JSON type than the field's.
    WrongType,
    /// A stage name outside the closed set.
    UnknownStage,
    /// A value that has no canonical JSON form.
    NotCanonical,
    /// Counts with another number of calibration bins.
    BinMismatch,
    /// A league command that is only possible while no challenger is in a stage.
    StageNotIdle,
    /// An L∞ that is no unit value.
    InvalidLinf,
    /// A league without a registered champion.
    NoChampion,
    /// A decision that the league's stage does not admit.
    IllegalTransition,
    /// A rollback while no challenger is in a stage.
    NothingToRollBack,
    /// A time before the stage's start.
    ClockRegression,
}

impl Code {
    /// Text form, as it appears in recorded data.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NonFinite => "non_finite",
            Self::OutOfRange => "out_of_range",
            Self::Empty => "empty",
            Self::SeriesInvalid => "series_invalid",
            Self::InvalidInteger => "invalid_integer",
            Self::UnknownCoordinate => "unknown_coordinate",
            Self::UnknownAlgorithm => "unknown_algorithm",
            Self::OddWordPosition => "odd_word_position",
            Self::DigestMismatch => "digest_mismatch",
            Self::SeedMismatch => "seed_mismatch",
            Self::UnknownField => "unknown_field",
            Self::WrongType => "wrong_type",
            Self::UnknownStage => "unknown_stage",
            Self::NotCanonical => "not_canonical",
            Self::BinMismatch => "bin_mismatch",
            Self::StageNotIdle => "stage_not_idle",
            Self::InvalidLinf => "invalid_linf",
            Self::NoChampion => "no_champion",
            Self::IllegalTransition => "illegal_transition",
            Self::NothingToRollBack => "nothing_to_roll_back",
            Self::ClockRegression => "clock_regression",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refused input of a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Name of the input.
    pub field: Cow<'static, str>,
    /// Why it was refused.
    pub code: Code,
}

/// A score with the list of everything that was wrong with its inputs.
///
/// With any issue, `value` is the worst value of that score; the score's module says which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The score; always finite and inside its range.
    pub value: f64,
    /// Refused inputs in declared order; empty when the score is usable.
    pub issues: Vec<Issue>,
}

impl Scored {
    /// A score without issues.
    #[must_use]
    pub const fn ok(value: f64) -> Self {
        Self {
            value,
            issues: Vec::new(),
        }
    }

    /// Whether every input was usable.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.issues.is_empty()
    }
}

/// Collects the checks of one score: every problem is listed, not only the first.
///
/// A refused input yields 0.0, so that the caller can go on checking; [`Checks::score`] discards whatever was computed from it.
#[derive(Debug, Default)]
pub struct Checks {
    issues: Vec<Issue>,
}

impl Checks {
    /// No checks made yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { issues: Vec::new() }
    }

    /// Lists an issue found by other means.
    pub fn refuse(&mut self, field: impl Into<Cow<'static, str>>, code: Code) {
        self.issues.push(Issue {
            field: field.into(),
            code,
        });
    }

    /// Unwraps the result of a check, listing its code.
    pub fn take(&mut self, field: impl Into<Cow<'static, str>>, checked: Result<f64, Code>) -> f64 {
        match checked {
            Ok(value) => value,
            Err(code) => {
                self.refuse(field, code);
                0.0
            }
        }
    }

    /// [`unit()`] for the named input.
    pub fn unit(&mut self, field: impl Into<Cow<'static, str>>, x: Num) -> f64 {
        self.take(field, unit(x))
    }

    /// [`nonneg`] for the named input.
    pub fn nonneg(&mut self, field: impl Into<Cow<'static, str>>, x: Num) -> f64 {
        self.take(field, nonneg(x))
    }

    /// [`check`] without tolerance for the named input.
    pub fn within(&mut self, field: impl Into<Cow<'static, str>>, x: Num, lo: f64, hi: f64) -> f64 {
        self.take(field, check(x, lo, hi, 0.0))
    }

    /// Any finite value for the named input.
    pub fn finite(&mut self, field: impl Into<Cow<'static, str>>, x: Num) -> f64 {
        self.within(field, x, f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Whether nothing was refused so far.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.issues.is_empty()
    }

    /// The collected issues.
    #[must_use]
    pub fn into_issues(self) -> Vec<Issue> {
        self.issues
    }

    /// The score: `compute()` when nothing was refused, otherwise `worst` with the issues.
    pub fn score(self, worst: f64, compute: impl FnOnce() -> f64) -> Scored {
        let value = if self.issues.is_empty() { compute() } else { worst };
        Scored {
            value,
            issues: self.issues,
        }
    }
}
