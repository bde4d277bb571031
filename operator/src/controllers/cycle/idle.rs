//! A cycle without a challenger: keep the champion serving, keep house, and begin the next life.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::book::Book;
use super::judge;
use super::life::Pass;
use super::plan::{Measure, Plan, Step, Write};
use super::position::Position;
use super::settings::Settings;
use super::snapshot::{Candidate, DeploymentView, SAFETY_RECHECK, Snapshot};
use super::{records, route};
use crate::adapters::traffic::{self, RouteState, Split};
use crate::workload::Revision;

/// The plan of this pass for an adopted cycle without a life.
#[must_use]
pub fn advance(snapshot: &Snapshot, settings: &Settings, book: &Book, position: Position, now: Timestamp) -> Plan {
    match steps(snapshot, settings, book, position, now) {
        ControlFlow::Break(plan) => plan,
        ControlFlow::Continue(never) => match never {},
    }
}

fn steps(
    snapshot: &Snapshot,
    settings: &Settings,
    book: &Book,
    position: Position,
    now: Timestamp,
) -> Pass<std::convert::Infallible> {
    champion_serves(snapshot, settings, book, &position)?;
    finalizers(snapshot, book, &position)?;
    if settings.suspend {
        let message = "Suspended: no challenger is started";
        return ControlFlow::Break(Plan::wait(
            Step::Idle,
            Reason::Suspended,
            message,
            SAFETY_RECHECK,
            position,
        ));
    }
    selectors(snapshot, settings, book, &position)?;
    if let Err(problems) = &snapshot.gates.config {
        let message = problems.join("; ");
        return ControlFlow::Break(Plan::wait(
            Step::Blocked,
            snapshot.gates.reason(),
            message,
            SAFETY_RECHECK,
            position,
        ));
    }
    if let Some(problem) = &snapshot.ledger.problem {
        let message = format!("No challenger is started: {problem}");
        return ControlFlow::Break(Plan::wait(
            Step::Idle,
            Reason::LedgerUnavailable,
            message,
            Duration::from_secs(10),
            position,
        ));
    }
    if let Some(next) = next(snapshot, book) {
        return ControlFlow::Break(begin(snapshot, book, next, position, now));
    }
    history(snapshot, settings, book, &position)?;
    baseline(snapshot, settings, book, position, now)
}

/// Nobody's pods are started while a Service would give them requests past the route. What serves nobody is put away all
/// the same: the Service may have been made for it.
fn selectors(snapshot: &Snapshot, settings: &Settings, book: &Book, position: &Position) -> Pass<()> {
    let Some(conflict) = &snapshot.selector_conflict else {
        return ControlFlow::Continue(());
    };
    history(snapshot, settings, book, position)?;
    let position = Position {
        // Requests past the route spoil the champion's first window as well.
        window_start: None,
        ..position.clone()
    };
    ControlFlow::Break(Plan::wait(
        Step::Blocked,
        Reason::SelectorConflict,
        format!("No challenger is started: {conflict}"),
        Duration::from_secs(30),
        position,
    ))
}

/// All traffic at the champion, whatever somebody else wrote; and the champion as it has to be for that.
fn champion_serves(snapshot: &Snapshot, settings: &Settings, book: &Book, position: &Position) -> Pass<()> {
    let intent = route::intent(snapshot, settings, &book.champion.name, &Split::ChampionOnly);
    let repaired = match traffic::observe(&intent, snapshot.route.as_ref()) {
        RouteState::Written { .. } => None,
        RouteState::Foreign { owner } => {
            let message = format!("HTTPRoute {} was taken over by {owner}", intent.name);
            return ControlFlow::Break(Plan::wait(
                Step::Blocked,
                Reason::RouteConflict,
                message,
                Duration::from_secs(30),
                position.clone(),
            ));
        }
        RouteState::Absent => Some("deleted".to_owned()),
        RouteState::Drifted { what } => Some(what.to_string()),
    };
    if repaired.is_some() {
        let write = route::write(snapshot, &intent, repaired);
        return ControlFlow::Break(Plan::write(
            Step::Idle,
            "The route is being set back to the champion",
            write,
            position.clone(),
        ));
    }
    champion_stands(snapshot, settings, book, position)
}

/// The champion at its size, with somebody to answer.
fn champion_stands(snapshot: &Snapshot, settings: &Settings, book: &Book, position: &Position) -> Pass<()> {
    let champion = snapshot.revision(&book.champion.name);
    if let Some(deployment) = champion.deployment
        && deployment.ours
        && deployment.replicas < settings.champion_replicas
    {
        let write = Write::ScaleDeployment {
            name: book.champion.name.clone(),
            replicas: settings.champion_replicas,
        };
        return ControlFlow::Break(Plan::write(
            Step::Idle,
            "The champion is being brought to its size",
            write,
            position.clone(),
        ));
    }
    if champion.ready_endpoints == 0 {
        let message = format!("Champion {} has no ready endpoint", book.champion.name);
        return ControlFlow::Break(Plan::wait(
            Step::Idle,
            Reason::NoHealthyBackend,
            message,
            Duration::from_secs(5),
            position.clone(),
        ));
    }
    ControlFlow::Continue(())
}

/// Challengers that ended, or never began, are free to go.
fn finalizers(snapshot: &Snapshot, book: &Book, position: &Position) -> Pass<()> {
    let done = snapshot
        .candidates
        .iter()
        .find(|candidate| candidate.has_finalizer && (candidate.deleting || candidate.is_over(book)));
    match done {
        Some(candidate) => {
            let write = Write::RemoveChallengerFinalizer {
                name: candidate.name.clone(),
            };
            ControlFlow::Break(Plan::write(
                Step::Idle,
                "A Challenger is being released",
                write,
                position.clone(),
            ))
        }
        None => ControlFlow::Continue(()),
    }
}

/// The oldest Challenger that has not ended.
#[must_use]
pub fn next<'a>(snapshot: &'a Snapshot, book: &Book) -> Option<&'a Candidate> {
    snapshot.candidates.iter().find(|candidate| {
        let stopped = candidate.deleting || candidate.abort.is_some();
        // What runs already has nothing to prove; as a challenger of itself it would only endanger the champion's pods.
        let new = |revision: &Revision| revision.name != book.champion.name;
        let may_try = |revision: &Revision| !failed_before(book, candidate, revision);
        let fit = |revision: &Revision| new(revision) && may_try(revision);
        !stopped && !candidate.is_over(book) && candidate.revision.as_ref().is_ok_and(fit)
    })
}

/// Whether a candidate's template failed before and nobody asks, with an id of its own, for another try.
#[must_use]
pub fn failed_before(book: &Book, candidate: &Candidate, revision: &Revision) -> bool {
    book.failure(&revision.digest.to_string())
        .is_some_and(|failed| candidate.retry.is_none() || candidate.retry == failed.retry)
}

/// Begins a life: the finalizer, so that a deletion is seen as an abort, and then the intent.
fn begin(snapshot: &Snapshot, book: &Book, candidate: &Candidate, position: Position, now: Timestamp) -> Plan {
    if !candidate.has_finalizer {
        let write = Write::AddChallengerFinalizer {
            name: candidate.name.clone(),
        };
        return Plan::write(
            Step::Idle,
            format!("Challenger {} is next", candidate.name),
            write,
            position,
        );
    }
    match records::intent(snapshot, book, candidate, now) {
        Ok(record) => {
            let message = format!("The life of Challenger {} begins", candidate.name);
            Plan::record(
                Step::StartingPods,
                Reason::Progressing,
                message,
                record,
                Position::default(),
            )
        }
        Err(problem) => Plan::wait(Step::Blocked, Reason::InvalidSpec, problem, SAFETY_RECHECK, position),
    }
}

/// Removes the oldest revision that serves nobody beyond the history limit.
fn history(snapshot: &Snapshot, settings: &Settings, book: &Book, position: &Position) -> Pass<()> {
    let mut retired: Vec<_> = snapshot
        .revisions
        .iter()
        .filter(|(name, view)| **name != book.champion.name && view.deployment.as_ref().is_some_and(|d| d.ours))
        .collect();
    retired.sort_by_key(|(name, view)| (view.deployment.as_ref().map(|d| d.created), (*name).clone()));
    let surplus = retired.len().saturating_sub(settings.history_limit);
    for (name, view) in retired {
        let Some(deployment) = &view.deployment else { continue };
        let write = if deployment.replicas > 0 {
            Write::ScaleDeployment {
                name: name.clone(),
                replicas: 0,
            }
        } else if surplus == 0 {
            continue;
        } else if let Some(uid) = &view.service_uid {
            Write::DeleteService {
                name: name.clone(),
                uid: uid.clone(),
            }
        } else {
            Write::DeleteDeployment {
                name: name.clone(),
                uid: deployment.uid.clone(),
            }
        };
        let message = format!("Revision {name} serves nobody and is being put away");
        return ControlFlow::Break(Plan::write(Step::CleaningUp, message, write, position.clone()));
    }
    ControlFlow::Continue(())
}

/// Cycle 0: the champion itself as the candidate, so that there is a reference.
fn baseline(
    snapshot: &Snapshot,
    settings: &Settings,
    book: &Book,
    position: Position,
    now: Timestamp,
) -> Pass<std::convert::Infallible> {
    if book.engine.evolving.linf.is_some() {
        let message = format!("Champion {} serves", book.champion.name);
        return ControlFlow::Break(Plan::wait(
            Step::Idle,
            Reason::Adopted,
            message,
            SAFETY_RECHECK,
            position,
        ));
    }
    let Some(since) = position.window_start else {
        let position = Position {
            window_start: Some(now),
            ..position
        };
        let message = "Evidence about the champion is being gathered";
        return ControlFlow::Break(Plan::wait(
            Step::Idle,
            Reason::Progressing,
            message,
            settings.interval,
            position,
        ));
    };
    let Some(evidence) = &snapshot.evidence else {
        let champion = snapshot.revision(&book.champion.name).deployment;
        // What was taken over has counted for longer than anybody may have kept.
        let made_here = |deployment: &DeploymentView| deployment.ours && deployment.created >= snapshot.key.created;
        let born = champion.filter(made_here).map(|deployment| deployment.created);
        let measure = Measure {
            candidate: book.champion.name.clone(),
            reference: None,
            mirrored: false,
            // The champion's pods are a copy that we started: their counters began with its Deployment.
            born_inside: born.is_some(),
            traffic_since: since,
            quality_since: born.unwrap_or(since),
            until: now,
        };
        return ControlFlow::Break(Plan::measure(Step::Idle, measure, position));
    };
    ControlFlow::Break(judge::baseline(snapshot, settings, book, evidence, position, now))
}
