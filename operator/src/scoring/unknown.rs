//! Why a piece of evidence proves nothing.
//!
//! Evidence that was asked for and did not come, or came in a form that cannot be trusted, is never replaced by a
//! number. It travels as an [`Unknown`] up to the gate, which blocks like a failed one and names this reason.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest detail in bytes: it stands in statuses, events and ledger entries.
const DETAIL_LIMIT: usize = 240;

/// The closed set of reasons. The spelling in JSON is the one that gates and ledger entries show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The source could not be reached.
    Unreachable,
    /// The source did not answer in time.
    TimedOut,
    /// The source answered with a status outside 200 to 299.
    HttpStatus,
    /// The source sent the request elsewhere; it is not followed.
    Redirected,
    /// The answer, or what would have to be recorded of it, is above a size limit.
    TooLarge,
    /// The answer is not what the protocol says.
    Malformed,
    /// The source refused the query.
    QueryFailed,
    /// The source warned that its answer is partial or doubtful.
    Warnings,
    /// The answer has another type than the query must give.
    WrongType,
    /// A value is NaN or infinite.
    NonFinite,
    /// A counter is negative, fractional or above 2^53 - 1, where integers stop being exact.
    NotAnInteger,
    /// The answer has more series than are read.
    TooManySeries,
    /// Nothing was found.
    Missing,
    /// More than one value where one was asked for.
    Ambiguous,
    /// The newest sample is too old.
    Stale,
    /// A series existed before the window opened and has no sample from which to count.
    StaleStart,
    /// No two samples of the window exist yet.
    NotYetSampled,
    /// A counter went back inside the window: what was counted before is lost.
    CounterReset,
    /// A series of the window ended before the window did: what was counted after its last sample is lost.
    SeriesVanished,
    /// The source holds no native histogram of that name.
    HistogramAbsent,
    /// The buckets of a histogram at the two ends of the window do not fit together.
    HistogramIncoherent,
    /// The quantile lies in a bucket without a finite upper bound.
    HistogramUnbounded,
    /// Requests failed that cannot be told to belong to one revision.
    UnattributedFailures,
    /// Counts contradict each other.
    Inconsistent,
    /// The value is not defined for these counts, such as 0 / 0.
    Undefined,
    /// No source is named for this input.
    NoSource,
    /// A name, selector or window that was asked for is invalid.
    InvalidQuery,
}

impl UnknownReason {
    /// Whether a window that has seen this stays Unknown however long it grows: something inside it is lost.
    #[must_use]
    pub const fn spoils_window(self) -> bool {
        matches!(
            self,
            Self::StaleStart | Self::CounterReset | Self::SeriesVanished | Self::UnattributedFailures
        )
    }

    /// The reason as gates and ledger entries spell it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::HttpStatus => "http_status",
            Self::Redirected => "redirected",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::QueryFailed => "query_failed",
            Self::Warnings => "warnings",
            Self::WrongType => "wrong_type",
            Self::NonFinite => "non_finite",
            Self::NotAnInteger => "not_an_integer",
            Self::TooManySeries => "too_many_series",
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::Stale => "stale",
            Self::StaleStart => "stale_start",
            Self::NotYetSampled => "not_yet_sampled",
            Self::CounterReset => "counter_reset",
            Self::SeriesVanished => "series_vanished",
            Self::HistogramAbsent => "histogram_absent",
            Self::HistogramIncoherent => "histogram_incoherent",
            Self::HistogramUnbounded => "histogram_unbounded",
            Self::UnattributedFailures => "unattributed_failures",
            Self::Inconsistent => "inconsistent",
            Self::Undefined => "undefined",
            Self::NoSource => "no_source",
            Self::InvalidQuery => "invalid_query",
        }
    }
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Evidence that proves nothing: the reason, and one sentence of detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[error("{reason}: {detail}")]
pub struct Unknown {
    /// The reason.
    pub reason: UnknownReason,
    /// What was found, where, and what would help; at most 240 bytes.
    pub detail: String,
}

impl Unknown {
    /// A reason with its detail, which is cut at 240 bytes and stripped of control characters: parts of it come from
    /// the other side.
    #[must_use]
    pub fn new(reason: UnknownReason, detail: impl fmt::Display) -> Self {
        let mut text: String = detail
            .to_string()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if text.len() > DETAIL_LIMIT {
            let end = text
                .char_indices()
                .map(|(i, _)| i)
                .take_while(|&i| i <= DETAIL_LIMIT - 3)
                .last()
                .unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        Self { reason, detail: text }
    }

    /// The same reason with the name of what was read put in front of the detail.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        Self::new(self.reason, format_args!("{what}: {}", self.detail))
    }
}

/// A value, or the reason why there is none. In JSON `{"known": …}` or `{"unknown": {reason, detail}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading<T> {
    /// The value.
    Known(T),
    /// Why there is none.
    Unknown(Unknown),
}

impl<T> Reading<T> {
    /// No source is named for `what`.
    #[must_use]
    pub fn no_source(what: &str) -> Self {
        Self::Unknown(Unknown::new(
            UnknownReason::NoSource,
            format_args!("no source is named for {what}"),
        ))
    }

    /// The value, or a copy of the reason.
    ///
    /// # Errors
    /// The reason, when there is no value.
    pub fn get(&self) -> Result<&T, Unknown> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Unknown(unknown) => Err(unknown.clone()),
        }
    }

    /// The value, if there is one.
    #[must_use]
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The reason, if there is no value.
    #[must_use]
    pub const fn unknown(&self) -> Option<&Unknown> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(unknown) => Some(unknown),
        }
    }
}

impl<T> From<Result<T, Unknown>> for Reading<T> {
    fn from(result: Result<T, Unknown>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(unknown) => Self::Unknown(unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_spelling_in_json() {
        for reason in [
            UnknownReason::Unreachable,
            UnknownReason::NotAnInteger,
            UnknownReason::HistogramUnbounded,
            UnknownReason::InvalidQuery,
            UnknownReason::StaleStart,
        ] {
            assert_eq!(
                serde_json::to_string(&reason).unwrap(),
                format!("\"{}\"", reason.code())
            );
        }
    }

    #[test]
    fn details_are_bounded_and_printable() {
        let unknown = Unknown::new(UnknownReason::QueryFailed, "é\n\u{1b}[31m".repeat(200));
        assert!(unknown.detail.len() <= DETAIL_LIMIT, "{}", unknown.detail.len());
        assert!(unknown.detail.ends_with('…'));
        assert!(!unknown.detail.chars().any(char::is_control));
        assert_eq!(Unknown::new(UnknownReason::Stale, "short").detail, "short");
    }

    #[test]
    fn a_reading_survives_json() {
        for reading in [Reading::Known(7_u64), Reading::no_source("x")] {
            let text = serde_json::to_string(&reading).unwrap();
            assert_eq!(serde_json::from_str::<Reading<u64>>(&text).unwrap(), reading, "{text}");
        }
    }
}
