//! The condition `EvidenceAvailable` of a cycle: pure.

use penin_api::conditions::{ConditionStatus, ConditionType, Finding, Reason};

use super::Seen;
use crate::controllers::cycle::plan::Step;
use crate::scoring::UnknownReason;

/// Whether what was read in this pass can be used; none when the pass says nothing about it.
pub fn available(seen: &Seen<'_>) -> Option<Finding> {
    let step = seen.plan.step;
    // The counters of a mirror that was taken off are to be gone.
    if step == Step::StoppingMirror {
        return None;
    }
    let finding = |status: ConditionStatus, reason, message: String| {
        Some(Finding::new(ConditionType::EvidenceAvailable, status, reason, message))
    };
    let Some(evidence) = &seen.snapshot.evidence else {
        // Between two readings the last one stands; without a life there is no next one.
        let idle = step == Step::Idle && seen.book().is_none_or(|book| book.life.is_none());
        let message = "Nothing is judged at present, so no evidence is read".to_owned();
        return idle
            .then(|| finding(ConditionStatus::Unknown, Reason::Idle, message))
            .flatten();
    };
    match evidence.first_unknown() {
        None => finding(
            ConditionStatus::True,
            Reason::EvidenceAvailable,
            "Every source answers with usable values".to_owned(),
        ),
        Some((input, unknown)) => finding(
            ConditionStatus::False,
            reason_of(unknown.reason),
            format!("{input}: {unknown}"),
        ),
    }
}

/// What kind of trouble an unknown reading is, for people and alerts.
const fn reason_of(unknown: UnknownReason) -> Reason {
    use UnknownReason as Why;
    match unknown {
        Why::Unreachable
        | Why::TimedOut
        | Why::HttpStatus
        | Why::Redirected
        | Why::TooLarge
        | Why::Malformed
        | Why::QueryFailed
        | Why::Warnings
        | Why::WrongType
        | Why::TooManySeries
        | Why::InvalidQuery => Reason::SourceUnavailable,
        Why::Missing | Why::HistogramAbsent | Why::SeriesVanished => Reason::MetricMissing,
        Why::NonFinite | Why::NotAnInteger => Reason::MetricNotFinite,
        Why::Stale | Why::StaleStart => Reason::MetricStale,
        Why::NotYetSampled => Reason::InsufficientSamples,
        Why::Ambiguous
        | Why::CounterReset
        | Why::HistogramIncoherent
        | Why::HistogramUnbounded
        | Why::UnattributedFailures
        | Why::Inconsistent
        | Why::Undefined
        | Why::NoSource => Reason::EvidenceUnknown,
    }
}
