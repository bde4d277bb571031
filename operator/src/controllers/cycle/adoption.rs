//! Taking a workload over: from a Deployment that somebody else owns to a champion revision behind our route.
//!
//! The target is copied, never edited, and the route never points at it. The cycle is adopted when the copy is ready,
//! the route is accepted, and the entry ADOPT is in the ledger: an adoption is not a promotion and is never called one.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::life::{Pass, left, span};
use super::plan::{Plan, Step};
use super::position::Position;
use super::settings::Settings;
use super::snapshot::{SAFETY_RECHECK, Snapshot};
use super::{pods, records, route};
use crate::adapters::traffic::{self, Acceptance, RouteState, Split};

/// The plan of this pass for a cycle without a book. `position` are the timers that the cycle's status keeps.
#[must_use]
pub fn advance(snapshot: &Snapshot, settings: &Settings, position: Position, now: Timestamp) -> Plan {
    match steps(snapshot, settings, position, now) {
        ControlFlow::Break(plan) => plan,
        ControlFlow::Continue(never) => match never {},
    }
}

fn steps(
    snapshot: &Snapshot,
    settings: &Settings,
    position: Position,
    now: Timestamp,
) -> Pass<std::convert::Infallible> {
    let blocked = |reason, message: String, recheck| {
        ControlFlow::Break(Plan::wait(Step::Blocked, reason, message, recheck, position.clone()))
    };
    let target = match &snapshot.target {
        Ok(target) => target,
        Err(problem) => return blocked(problem.reason, problem.message.clone(), Duration::from_secs(30)),
    };
    if let Some(other) = &snapshot.rival {
        let message = format!(
            "spec.targetRef.name: PeninCycle {other} manages this Deployment already; delete one of the two cycles"
        );
        return blocked(Reason::TargetConflict, message, Duration::from_secs(30));
    }
    if let Some(service) = snapshot.selector_conflicts.first() {
        let message = format!(
            "Service {service} would select revision pods; its selector must name what only its own pods carry"
        );
        return blocked(Reason::SelectorConflict, message, Duration::from_secs(30));
    }
    let revision = &target.revision;
    match pods::missing(
        snapshot,
        settings,
        &revision.name,
        Ok(revision),
        settings.champion_replicas,
    ) {
        Err(problem) => return blocked(Reason::NameConflict, problem, Duration::from_secs(30)),
        Ok(Some(write)) => {
            let message = format!("The target is being copied to revision {}", revision.name);
            return ControlFlow::Break(Plan::write(Step::Adopting, message, write, position));
        }
        Ok(None) => {}
    }
    let view = snapshot.revision(&revision.name);
    let wanted = u32::try_from(settings.champion_replicas).unwrap_or(u32::MAX);
    if view.ready_endpoints < wanted {
        let why = view
            .deployment
            .and_then(|d| d.problem)
            .map(|problem| format!(": {problem}"))
            .unwrap_or_default();
        let message = format!(
            "{} of {wanted} endpoints of revision {} are ready{why}",
            view.ready_endpoints, revision.name
        );
        return ControlFlow::Break(Plan::wait(
            Step::Adopting,
            Reason::NotReady,
            message,
            Duration::from_secs(2),
            position,
        ));
    }
    if let Some(conflict) = &snapshot.conflict {
        return blocked(Reason::RouteConflict, conflict.to_string(), Duration::from_secs(10));
    }
    let position = served(snapshot, settings, &revision.name, position, now)?;
    if let Some(problem) = &snapshot.ledger.problem {
        let message = format!("The adoption cannot be recorded: {problem}");
        return ControlFlow::Break(Plan::wait(
            Step::Adopting,
            Reason::LedgerUnavailable,
            message,
            Duration::from_secs(5),
            position,
        ));
    }
    let record = match records::adoption(snapshot, settings, target, now) {
        Ok(record) => record,
        Err(problem) => {
            return ControlFlow::Break(Plan::wait(
                Step::Blocked,
                Reason::InvalidSpec,
                problem,
                SAFETY_RECHECK,
                position,
            ));
        }
    };
    let message = format!("Revision {} serves all traffic", revision.name);
    ControlFlow::Break(Plan::record(Step::Idle, Reason::Adopted, message, record, position))
}

/// Writes the champion's route and waits until it is accepted and settled.
fn served(
    snapshot: &Snapshot,
    settings: &Settings,
    champion: &str,
    position: Position,
    now: Timestamp,
) -> Pass<Position> {
    let intent = route::intent(snapshot, settings, champion, &Split::ChampionOnly);
    let wait = |reason, message: String, position| {
        ControlFlow::Break(Plan::wait(
            Step::Adopting,
            reason,
            message,
            Duration::from_secs(1),
            position,
        ))
    };
    match traffic::observe(&intent, snapshot.route.as_ref()) {
        RouteState::Foreign { owner } => {
            let message = format!("HTTPRoute {} belongs to {owner}: rename it or the cycle", intent.name);
            ControlFlow::Break(Plan::wait(
                Step::Blocked,
                Reason::RouteConflict,
                message,
                Duration::from_secs(30),
                position,
            ))
        }
        RouteState::Absent | RouteState::Drifted { .. } => {
            let write = route::write(snapshot, &intent, None);
            ControlFlow::Break(Plan::write(
                Step::Adopting,
                "The route to the champion is being written",
                write,
                position,
            ))
        }
        RouteState::Written {
            acceptance: Acceptance::Pending { waiting_for },
            ..
        } => wait(
            Reason::RouteNotAccepted,
            format!("The route is written; {waiting_for}"),
            position,
        ),
        RouteState::Written {
            acceptance: Acceptance::Refused { message, .. },
            ..
        } => wait(Reason::RouteNotAccepted, message, position),
        RouteState::Written {
            generation,
            acceptance: Acceptance::Accepted,
        } => {
            let label = Split::ChampionOnly.to_string();
            let position = position.with_seen(&label, generation, now);
            let settled = position.seen_since(&label, generation).unwrap_or(now) + span(settings.settle);
            if now >= settled {
                return ControlFlow::Continue(position);
            }
            let message = "The route is accepted and settles";
            ControlFlow::Break(Plan::wait(
                Step::Adopting,
                Reason::Progressing,
                message,
                left(now, settled),
                position,
            ))
        }
    }
}
