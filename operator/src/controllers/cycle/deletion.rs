//! A cycle that is being deleted. `Orphan` leaves the champion serving and lets go of it; `Delete` lets the garbage
//! collector take everything. Both always finish: neither needs evidence, a healthy challenger or a healthy ledger.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_api::v1alpha1::cycle::DeletionPolicy;

use super::book::Book;
use super::life::Pass;
use super::plan::{Plan, ReleasedKind, Step, Write};
use super::position::Position;
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::{records, route};
use crate::adapters::traffic::{self, RouteState, Split};

/// The plan of this pass for a cycle under deletion, after any life in it has been withdrawn. `champion` is who goes on
/// serving; `book` is None when there is none, or when it cannot be read.
#[must_use]
pub fn advance(
    snapshot: &Snapshot,
    settings: Option<&Settings>,
    book: Option<&Book>,
    champion: Option<&str>,
    position: Position,
    now: Timestamp,
) -> Plan {
    match steps(snapshot, settings, book, champion, &position, now) {
        ControlFlow::Break(plan) => plan,
        ControlFlow::Continue(()) => Plan::write(
            Step::Releasing,
            "The cycle is released",
            Write::RemoveCycleFinalizer,
            position,
        ),
    }
}

fn steps(
    snapshot: &Snapshot,
    settings: Option<&Settings>,
    book: Option<&Book>,
    champion: Option<&str>,
    position: &Position,
    now: Timestamp,
) -> Pass<()> {
    if !snapshot.has_finalizer {
        let message = "The cycle is gone as soon as others release it";
        return ControlFlow::Break(Plan::wait(
            Step::Releasing,
            Reason::Deleting,
            message,
            Duration::from_mins(1),
            position.clone(),
        ));
    }
    if let Some(candidate) = snapshot.candidates.iter().find(|candidate| candidate.has_finalizer) {
        let write = Write::RemoveChallengerFinalizer {
            name: candidate.name.clone(),
        };
        return ControlFlow::Break(Plan::write(
            Step::Releasing,
            "A Challenger is being released",
            write,
            position.clone(),
        ));
    }
    let orphan = settings.is_none_or(|settings| settings.deletion_policy == DeletionPolicy::Orphan);
    if orphan && let Some(champion) = champion {
        champion_alone(snapshot, settings, champion, position)?;
        release(snapshot, champion, position)?;
    }
    if let Some(book) = book
        && snapshot.ledger.problem.is_none()
    {
        let record = records::released(snapshot, book, orphan, now);
        return ControlFlow::Break(Plan::record(
            Step::Releasing,
            Reason::Deleting,
            "The end of the cycle is recorded",
            record,
            position.clone(),
        ));
    }
    ControlFlow::Continue(())
}

fn champion_alone(snapshot: &Snapshot, settings: Option<&Settings>, champion: &str, position: &Position) -> Pass<()> {
    let message = "The champion gets all traffic";
    let Some(settings) = settings else {
        return match route::reduced(snapshot, champion) {
            Some(write) => ControlFlow::Break(Plan::write(Step::Releasing, message, write, position.clone())),
            None => ControlFlow::Continue(()),
        };
    };
    let intent = route::intent(snapshot, settings, champion, &Split::ChampionOnly);
    match traffic::observe(&intent, snapshot.route.as_ref()) {
        // Somebody else's route, or none at all, is not made anew for an object that is going.
        RouteState::Foreign { .. } | RouteState::Absent | RouteState::Written { .. } => ControlFlow::Continue(()),
        RouteState::Drifted { .. } => {
            let write = route::write(snapshot, &intent, None);
            ControlFlow::Break(Plan::write(Step::Releasing, message, write, position.clone()))
        }
    }
}

fn release(snapshot: &Snapshot, champion: &str, position: &Position) -> Pass<()> {
    if let Some((kind, name)) = still_owned(snapshot, champion) {
        let write = Write::Release {
            kind,
            name: name.clone(),
            owner_uid: snapshot.key.uid.clone(),
        };
        return ControlFlow::Break(Plan::write(
            Step::Releasing,
            format!("{kind:?} {name} outlives the cycle"),
            write,
            position.clone(),
        ));
    }
    ControlFlow::Continue(())
}

/// The next object of the champion that would be deleted with the cycle.
fn still_owned(snapshot: &Snapshot, champion: &str) -> Option<(ReleasedKind, String)> {
    let view = snapshot.revision(champion);
    let owns = |references: Option<&Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>>| {
        references.is_some_and(|references| references.iter().any(|owner| owner.uid == snapshot.key.uid))
    };
    let route = snapshot
        .route
        .as_ref()
        .is_some_and(|route| owns(route.metadata.owner_references.as_ref()));
    if route {
        return Some((ReleasedKind::Route, snapshot.key.name.clone()));
    }
    if view.service_uid.is_some() {
        return Some((ReleasedKind::Service, champion.to_owned()));
    }
    view.deployment
        .is_some_and(|deployment| deployment.ours)
        .then(|| (ReleasedKind::Deployment, champion.to_owned()))
}
