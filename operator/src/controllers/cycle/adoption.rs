//! Taking a workload over: from a Deployment that somebody else owns to a champion revision behind our route.
//!
//! The target is copied, never edited, and the route never points at it. The cycle is adopted when the copy is ready,
//! the route is accepted, and the entry ADOPT is in the ledger: an adoption is not a promotion and is never called one.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::book::RevisionRef;
use super::life::{Pass, left, span};
use super::plan::{Plan, Step, Write};
use super::position::Position;
use super::settings::Settings;
use super::snapshot::{SAFETY_RECHECK, Snapshot};
use super::takeover::{self, Serving};
use super::{pods, records, route};
use crate::adapters::traffic::{self, Acceptance, RouteState, Split};
use crate::workload::Revision;

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
    if let Some(conflict) = &snapshot.selector_conflict {
        return blocked(Reason::SelectorConflict, conflict.to_string(), Duration::from_secs(30));
    }
    let (revision, template) = match takeover::serving(snapshot) {
        Serving::Nobody => (RevisionRef::of(&target.revision), Ok(&target.revision)),
        Serving::Revision(revision) => {
            let gone = format!("Deployment {} disappeared while it was taken over", revision.name);
            (revision, Err(gone))
        }
        Serving::Unfit(why) => {
            let message = format!(
                "HTTPRoute {} was left behind by an earlier cycle of this name and cannot be taken over: {why}. \
                 Delete the route to cut over",
                settings.route_name
            );
            return blocked(Reason::RouteConflict, message, Duration::from_secs(10));
        }
    };
    objects(snapshot, settings, &revision, template, &position)?;
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
    let record = match records::adoption(snapshot, settings, target, revision.clone(), now) {
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

/// Makes the champion's objects, or takes over what is there already.
fn objects(
    snapshot: &Snapshot,
    settings: &Settings,
    revision: &RevisionRef,
    template: Result<&Revision, String>,
    position: &Position,
) -> Pass<()> {
    let write =
        |message: String, write| ControlFlow::Break(Plan::write(Step::Adopting, message, write, position.clone()));
    let name = &revision.name;
    if let Some(claim) = takeover::claim(snapshot, name, &revision.digest) {
        return write(
            format!("Revision {name}, which an earlier cycle left behind, is taken over"),
            claim,
        );
    }
    match pods::missing(snapshot, settings, name, template, settings.champion_replicas) {
        Err(problem) => {
            let recheck = Duration::from_secs(30);
            let plan = Plan::wait(Step::Blocked, Reason::NameConflict, problem, recheck, position.clone());
            return ControlFlow::Break(plan);
        }
        Ok(Some(missing)) => return write(format!("The target is being copied to revision {name}"), missing),
        Ok(None) => {}
    }
    let size = snapshot
        .revision(name)
        .deployment
        .map_or(0, |deployment| deployment.replicas);
    if size < settings.champion_replicas {
        let scale = Write::ScaleDeployment {
            name: name.clone(),
            replicas: settings.champion_replicas,
        };
        return write(format!("Revision {name} is being brought to its size"), scale);
    }
    ControlFlow::Continue(())
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
    if let Some(claim) = takeover::claim_route(snapshot) {
        let message = "The route that an earlier cycle left behind is taken over";
        return ControlFlow::Break(Plan::write(Step::Adopting, message, claim, position));
    }
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
