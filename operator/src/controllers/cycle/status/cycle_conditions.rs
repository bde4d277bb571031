//! The conditions of a cycle, one function each: pure.

use penin_api::conditions::{self, ConditionStatus, ConditionType, Finding, Reason};
use penin_api::v1alpha1::PeninCycleStatus;

use super::{Seen, evidence};
use crate::controllers::cycle::apply::Outcome;
use crate::controllers::cycle::book::Book;
use crate::controllers::cycle::plan::Step;

/// What a pass says about the conditions of its cycle.
pub fn findings(before: &PeninCycleStatus, seen: &Seen<'_>, book: Option<&Book>) -> Vec<Finding> {
    if seen.snapshot.book.is_err() {
        // Who serves and what was adopted is as it was; only the ledger is news.
        return vec![resolved(seen), ledger(before, seen), suspension(seen)];
    }
    let mut all = vec![
        accepted(seen),
        resolved(seen),
        adopted(seen, book),
        programmed(seen),
        ledger(before, seen),
        target_changed(seen, book),
        suspension(seen),
    ];
    all.extend(evidence::available(seen));
    all
}

fn accepted(seen: &Seen<'_>) -> Finding {
    let plan = seen.plan;
    let blocked = plan.step == Step::Blocked;
    let (reason, message) = match (&seen.snapshot.settings, blocked, &seen.snapshot.selector_conflict) {
        (Err(problems), ..) => (Reason::InvalidSpec, problems.join("; ")),
        (Ok(_), true, _) => (plan.reason, plan.message.clone()),
        (Ok(_), false, Some(conflict)) => (Reason::SelectorConflict, conflict.to_string()),
        (Ok(_), false, None) => {
            let message = "The specification can be carried out";
            return Finding::new(ConditionType::Accepted, true, Reason::Accepted, message);
        }
    };
    Finding::new(ConditionType::Accepted, false, reason, message)
}

fn resolved(seen: &Seen<'_>) -> Finding {
    let gates = &seen.snapshot.gates;
    let (reason, message) = match (&seen.snapshot.target, &gates.config) {
        (Err(problem), _) => (problem.reason, problem.message.clone()),
        (Ok(_), Err(problems)) => (gates.reason(), problems.join("; ")),
        (Ok(_), Ok(_)) => {
            let message = "The target and every gate were found";
            return Finding::new(ConditionType::ResolvedRefs, true, Reason::ResolvedRefs, message);
        }
    };
    Finding::new(ConditionType::ResolvedRefs, false, reason, message)
}

fn adopted(seen: &Seen<'_>, book: Option<&Book>) -> Finding {
    let plan = seen.plan;
    if let Some(book) = book {
        let message = format!("Revision {} serves", book.champion.name);
        return Finding::new(ConditionType::Adopted, true, Reason::Adopted, message);
    }
    let on_its_way = plan.step == Step::Adopting && plan.reason == Reason::Progressing;
    let reason = if on_its_way { Reason::Adopting } else { plan.reason };
    Finding::new(ConditionType::Adopted, false, reason, &plan.message)
}

fn ledger(before: &PeninCycleStatus, seen: &Seen<'_>) -> Finding {
    let ledger = &seen.snapshot.ledger;
    let Some(problem) = &ledger.problem else {
        if let Some(why) = refused(before, seen) {
            return Finding::new(ConditionType::LedgerAvailable, false, Reason::EntryRefused, why);
        }
        if let Some(behind) = &ledger.clock_behind {
            let message = format!("Nothing is promoted, and what takes traffic away is recorded: {behind}");
            return Finding::new(ConditionType::LedgerAvailable, false, Reason::ClockBehind, message);
        }
        let message = match &ledger.publication {
            Some(error) => format!("Decisions can be recorded; the published copy is behind: {error}"),
            None => "Decisions can be recorded".to_owned(),
        };
        return Finding::new(ConditionType::LedgerAvailable, true, Reason::LedgerAvailable, message);
    };
    let reason = if ledger.corrupt {
        Reason::LedgerCorrupt
    } else {
        Reason::LedgerUnavailable
    };
    Finding::new(ConditionType::LedgerAvailable, false, reason, problem)
}

/// Why the newest entry of this specification can never be recorded. It is said until another one is, or until the
/// specification changes: most passes record nothing, and they disprove nothing.
fn refused(before: &PeninCycleStatus, seen: &Seen<'_>) -> Option<String> {
    match seen.outcome {
        Outcome::Refused { why } => Some(format!("An entry cannot be recorded as it is: {why}")),
        Outcome::Recorded { .. } => None,
        _ => {
            let known = conditions::find(&before.conditions, ConditionType::LedgerAvailable)?;
            let same = known.observed_generation == Some(seen.snapshot.key.generation);
            (same && known.reason == Reason::EntryRefused.as_str()).then(|| known.message.clone())
        }
    }
}

fn programmed(seen: &Seen<'_>) -> Finding {
    let plan = seen.plan;
    let (status, reason, message) = match plan.reason {
        Reason::RouteNotAccepted | Reason::RouteConflict => {
            (ConditionStatus::False, plan.reason, plan.message.as_str())
        }
        _ if plan.position.seen.is_some() => (
            ConditionStatus::True,
            Reason::RouteAccepted,
            "Every parent has accepted the route",
        ),
        _ => (
            ConditionStatus::Unknown,
            Reason::Pending,
            "The route was not yet seen to be accepted",
        ),
    };
    Finding::new(ConditionType::TrafficProgrammed, status, reason, message)
}

/// Whether the target's template differs from the one that was adopted. A promotion of another Challenger is not a
/// change of the target.
fn target_changed(seen: &Seen<'_>, book: Option<&Book>) -> Finding {
    let adopted = book.and_then(|book| book.adopted_target.as_deref());
    match (&seen.snapshot.target, adopted) {
        (Ok(target), Some(adopted)) if adopted != target.revision.name => Finding::new(
            ConditionType::TargetChanged,
            true,
            Reason::TargetChanged,
            format!(
                "The target's template is now {}; create a Challenger to try it",
                target.revision.name
            ),
        ),
        _ => Finding::new(
            ConditionType::TargetChanged,
            false,
            Reason::TargetUnchanged,
            "The target's template is the one that was adopted",
        ),
    }
}

fn suspension(seen: &Seen<'_>) -> Finding {
    let suspended = seen.snapshot.settings.as_ref().is_ok_and(|settings| settings.suspend);
    let (reason, message) = if suspended {
        (Reason::Suspended, "Nothing is raised; what takes traffic away goes on")
    } else {
        (Reason::NotSuspended, "Not suspended")
    };
    Finding::new(ConditionType::Suspended, suspended, reason, message)
}
