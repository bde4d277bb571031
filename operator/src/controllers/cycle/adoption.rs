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
use super::snapshot::{SAFETY_RECHECK, Snapshot, Target};
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
    let target = usable(snapshot, &position)?;
    let (revision, template) = first_champion(snapshot, settings, target, &position)?;
    objects(snapshot, settings, &revision, template, &position)?;
    ready(snapshot, settings, &revision, &position)?;
    if let Some(conflict) = &snapshot.conflict {
        return blocked(Reason::RouteConflict, conflict.to_string(), 10, &position);
    }
    let position = served(snapshot, settings, &revision.name, position, now)?;
    ControlFlow::Break(recorded(snapshot, settings, target, revision, position, now))
}

/// Somebody has to change something first; it is looked at again after some seconds.
fn blocked<T>(reason: Reason, message: String, seconds: u64, position: &Position) -> Pass<T> {
    let recheck = Duration::from_secs(seconds);
    ControlFlow::Break(Plan::wait(Step::Blocked, reason, message, recheck, position.clone()))
}

/// The target, if it can be copied, is nobody else's, and nobody's Service would reach the copy.
fn usable<'a>(snapshot: &'a Snapshot, position: &Position) -> Pass<&'a Target> {
    let target = match &snapshot.target {
        Ok(target) => target,
        Err(problem) => return blocked(problem.reason, problem.message.clone(), 30, position),
    };
    if let Some(other) = &snapshot.rival {
        let message = format!(
            "spec.targetRef.name: PeninCycle {other} manages this Deployment already; delete one of the two cycles"
        );
        return blocked(Reason::TargetConflict, message, 30, position);
    }
    match &snapshot.selector_conflict {
        Some(conflict) => blocked(Reason::SelectorConflict, conflict.to_string(), 30, position),
        None => ControlFlow::Continue(target),
    }
}

/// Who is to serve: a copy of the target, or whoever was left behind serving, with the template to make it from.
fn first_champion<'a>(
    snapshot: &Snapshot,
    settings: &Settings,
    target: &'a Target,
    position: &Position,
) -> Pass<(RevisionRef, Result<&'a Revision, String>)> {
    match takeover::serving(snapshot) {
        Serving::Nobody => ControlFlow::Continue((RevisionRef::of(&target.revision), Ok(&target.revision))),
        Serving::Revision(revision) => {
            let gone = format!("Deployment {} disappeared while it was taken over", revision.name);
            ControlFlow::Continue((revision, Err(gone)))
        }
        Serving::Unfit(why) => {
            let message = format!(
                "HTTPRoute {} was left behind by an earlier cycle of this name and cannot be taken over: {why}. \
                 Delete the route to cut over",
                settings.route_name
            );
            blocked(Reason::RouteConflict, message, 10, position)
        }
    }
}

/// Waits until the champion has as many ready endpoints as its size asks for.
fn ready(snapshot: &Snapshot, settings: &Settings, revision: &RevisionRef, position: &Position) -> Pass<()> {
    let view = snapshot.revision(&revision.name);
    let wanted = u32::try_from(settings.champion_replicas).unwrap_or(u32::MAX);
    if view.ready_endpoints >= wanted {
        return ControlFlow::Continue(());
    }
    let why = view
        .deployment
        .and_then(|d| d.problem)
        .map(|problem| format!(": {problem}"))
        .unwrap_or_default();
    let message = format!(
        "{} of {wanted} endpoints of revision {} are ready{why}",
        view.ready_endpoints, revision.name
    );
    let recheck = Duration::from_secs(2);
    ControlFlow::Break(Plan::wait(
        Step::Adopting,
        Reason::NotReady,
        message,
        recheck,
        position.clone(),
    ))
}

/// The entry ADOPT, as soon as the ledger takes it.
fn recorded(
    snapshot: &Snapshot,
    settings: &Settings,
    target: &Target,
    revision: RevisionRef,
    position: Position,
    now: Timestamp,
) -> Plan {
    if let Some(problem) = &snapshot.ledger.problem {
        let message = format!("The adoption cannot be recorded: {problem}");
        let recheck = Duration::from_secs(5);
        return Plan::wait(Step::Adopting, Reason::LedgerUnavailable, message, recheck, position);
    }
    let message = format!("Revision {} serves all traffic", revision.name);
    match records::adoption(snapshot, settings, target, revision, now) {
        Ok(record) => Plan::record(Step::Idle, Reason::Adopted, message, record, position),
        Err(problem) => Plan::wait(Step::Blocked, Reason::InvalidSpec, problem, SAFETY_RECHECK, position),
    }
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
    if let Some(claim) = takeover::claim_route(snapshot) {
        let message = "The route that an earlier cycle left behind is taken over";
        return ControlFlow::Break(Plan::write(Step::Adopting, message, claim, position));
    }
    let (generation, acceptance) = match traffic::observe(&intent, snapshot.route.as_ref()) {
        RouteState::Foreign { owner } => {
            let message = format!("HTTPRoute {} belongs to {owner}: rename it or the cycle", intent.name);
            return blocked(Reason::RouteConflict, message, 30, &position);
        }
        RouteState::Absent | RouteState::Drifted { .. } => {
            let message = "The route to the champion is being written";
            let write = route::write(snapshot, &intent, None);
            return ControlFlow::Break(Plan::write(Step::Adopting, message, write, position));
        }
        RouteState::Written { generation, acceptance } => (generation, acceptance),
    };
    let wait = |reason, message: String, recheck, position| {
        ControlFlow::Break(Plan::wait(Step::Adopting, reason, message, recheck, position))
    };
    let second = Duration::from_secs(1);
    match acceptance {
        Acceptance::Pending { waiting_for } => {
            let message = format!("The route is written; {waiting_for}");
            wait(Reason::RouteNotAccepted, message, second, position)
        }
        Acceptance::Refused { message, .. } => wait(Reason::RouteNotAccepted, message, second, position),
        Acceptance::Accepted => {
            let label = Split::ChampionOnly.to_string();
            let position = position.with_seen(&label, generation, now);
            let settled = position.seen_since(&label, generation).unwrap_or(now) + span(settings.settle);
            if now >= settled {
                return ControlFlow::Continue(position);
            }
            let message = "The route is accepted and settles".to_owned();
            wait(Reason::Progressing, message, left(now, settled), position)
        }
    }
}
