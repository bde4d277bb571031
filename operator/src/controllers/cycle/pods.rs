//! Pods, Services and capacity of revisions: what has to exist before traffic, and what goes when it has ended.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::book::RevisionRef;
use super::life::{Context, End, Pass};
use super::plan::{Plan, Step, Write};
use super::position::Position;
use super::records;
use super::settings::Settings;
use super::snapshot::Snapshot;
use crate::workload::{self, Revision};

/// How often missing endpoints are looked at without an event.
const GLANCE: Duration = Duration::from_secs(2);

/// The next write that brings a revision's objects into being, if one is missing. A `template` is needed only while the
/// Deployment is missing: once it exists it holds the frozen template itself.
///
/// # Errors
/// When an object of the name is not ours, or has to be made and there is no template to make it from. Pods of a
/// Deployment that this cycle does not own are never served from.
pub fn missing(
    snapshot: &Snapshot,
    settings: &Settings,
    name: &str,
    template: Result<&Revision, String>,
    replicas: i32,
) -> Result<Option<Write>, String> {
    let view = snapshot.revision(name);
    match &view.deployment {
        None => {
            let target = snapshot.target.as_ref().map_err(ToString::to_string)?;
            let deployment = workload::deployment(&snapshot.key.home, template?, replicas, target.rollout);
            return Ok(Some(Write::CreateDeployment(deployment)));
        }
        Some(deployment) if !deployment.ours => {
            return Err(format!(
                "Deployment {name} exists and is not owned by this cycle: rename or delete it"
            ));
        }
        Some(_) => {}
    }
    if view.service_uid.is_none() {
        let service = workload::service(&snapshot.key.home, name, &settings.ports);
        return Ok(Some(Write::CreateService(service)));
    }
    Ok(None)
}

/// Makes a challenger's objects and waits for its endpoints; ends the life at `ready_by`.
pub fn ensure(
    context: &Context<'_>,
    revision: &RevisionRef,
    replicas: i32,
    step: Step,
    ready_by: Timestamp,
    position: Position,
) -> Pass<Position> {
    let template = match context.candidate.map(|candidate| &candidate.revision) {
        Some(Ok(template)) if template.digest.to_string() == revision.digest => Ok(template),
        Some(Ok(_)) => Err(format!(
            "The target changed before revision {} was started",
            revision.name
        )),
        Some(Err(problem)) => Err(problem.clone()),
        None => Err("The Challenger is gone".to_owned()),
    };
    match missing(context.snapshot, context.settings, &revision.name, template, replicas) {
        Err(problem) => return give_up(context, End::by_operator(Reason::NameConflict, problem), position),
        Ok(Some(write)) => {
            let message = format!("Objects of revision {} are being created", revision.name);
            return ControlFlow::Break(Plan::write(step, message, write, position));
        }
        Ok(None) => {}
    }
    enough_endpoints(context, &revision.name, replicas, step, ready_by, position)
}

/// Waits until a revision has `replicas` ready endpoints; ends the life at `ready_by`.
pub fn enough_endpoints(
    context: &Context<'_>,
    revision: &str,
    replicas: i32,
    step: Step,
    ready_by: Timestamp,
    position: Position,
) -> Pass<Position> {
    let view = context.snapshot.revision(revision);
    let wanted = u32::try_from(replicas).unwrap_or(u32::MAX);
    if view.ready_endpoints >= wanted {
        return ControlFlow::Continue(position);
    }
    if let Some(deployment) = &view.deployment
        && deployment.replicas < replicas
    {
        let message = format!("Revision {revision} is being scaled to {replicas}");
        let write = Write::ScaleDeployment {
            name: revision.to_owned(),
            replicas,
        };
        return ControlFlow::Break(Plan::write(step, message, write, position));
    }
    let why = view
        .deployment
        .and_then(|deployment| deployment.problem)
        .map(|problem| format!(": {problem}"))
        .unwrap_or_default();
    let message = format!(
        "{} of {wanted} endpoints of revision {revision} are ready{why}",
        view.ready_endpoints
    );
    if context.now >= ready_by {
        return give_up(context, End::by_operator(Reason::NotReady, message), position);
    }
    ControlFlow::Break(Plan::wait(step, Reason::NotReady, message, GLANCE, position))
}

/// Scales a revision that serves nobody to zero and waits until its endpoints are gone from the Service.
pub fn scaled_down(context: &Context<'_>, revision: &str, position: Position) -> Pass<Position> {
    let view = context.snapshot.revision(revision);
    match view.deployment {
        // Whatever a life says, the champion's pods stay.
        Some(deployment) if deployment.ours && deployment.replicas > 0 && revision != context.book.champion.name => {
            let message = format!("Revision {revision} has no traffic and is being scaled to 0");
            let write = Write::ScaleDeployment {
                name: revision.to_owned(),
                replicas: 0,
            };
            ControlFlow::Break(Plan::write(Step::CleaningUp, message, write, position))
        }
        _ => ControlFlow::Continue(position),
    }
}

fn give_up<T>(context: &Context<'_>, end: End, position: Position) -> Pass<T> {
    let record = records::withdrawal(context, &end);
    ControlFlow::Break(Plan::record(
        Step::Withdrawing,
        end.reason,
        end.message,
        record,
        position,
    ))
}
