//! The one route of a cycle: bringing it to a split and seeing it there.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::life::{Context, End, Pass, left, overdue, span};
use super::plan::{Plan, Step, Write};
use super::position::Position;
use super::records;
use super::settings::Settings;
use super::snapshot::Snapshot;
use crate::adapters::traffic::{self, Acceptance, RouteIntent, RouteState, Split};

/// Whether a split gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A gateway that does not confirm in time ends the life.
    Up,
    /// A gateway that does not confirm is waited for; nothing else can be done, and nothing is undone.
    Down,
}

/// Safety net beside the route's own watch.
const GLANCE: Duration = Duration::from_millis(500);

/// The route that `split` stands for.
#[must_use]
pub fn intent(snapshot: &Snapshot, settings: &Settings, champion: &str, split: &Split) -> RouteIntent {
    RouteIntent {
        namespace: snapshot.key.namespace.clone(),
        name: settings.route_name.clone(),
        cycle: snapshot.key.name.clone(),
        owner: snapshot.key.home.owner.clone(),
        gateway: settings.gateway.clone(),
        port: settings.ports.port,
        champion: champion.to_owned(),
        split: split.clone(),
        warm_token: snapshot
            .route
            .as_ref()
            .and_then(traffic::warm_token)
            .unwrap_or_else(|| snapshot.fresh_token.clone()),
    }
}

/// Whether the route's object already says `split` (accepted or not).
#[must_use]
pub fn is_written(context: &Context<'_>, split: &Split) -> bool {
    let intent = intent(context.snapshot, context.settings, &context.book.champion.name, split);
    matches!(
        traffic::observe(&intent, context.snapshot.route.as_ref()),
        RouteState::Written { .. }
    )
}

/// Whether every parent has accepted the route as it stands, whatever it says.
#[must_use]
pub fn is_accepted(snapshot: &Snapshot) -> bool {
    let Some(route) = &snapshot.route else { return false };
    traffic::acceptance(route, route.metadata.generation.unwrap_or(0)) == Acceptance::Accepted
}

/// The write that brings the route to `split`.
#[must_use]
pub fn write(snapshot: &Snapshot, intent: &RouteIntent, repaired: Option<String>) -> Write {
    Write::Route {
        desired: traffic::desired(intent),
        current: snapshot.route.clone(),
        repaired,
    }
}

/// Writes `split` if the route says anything else, then waits until every parent has accepted it and the settle time
/// has passed. Returns the moment from which the split counts as served.
pub fn settle(
    context: &Context<'_>,
    split: &Split,
    direction: Direction,
    step: Step,
    position: Position,
) -> Pass<(Timestamp, Position)> {
    let intent = intent(context.snapshot, context.settings, &context.book.champion.name, split);
    match traffic::observe(&intent, context.snapshot.route.as_ref()) {
        RouteState::Foreign { owner } => {
            let message = format!("HTTPRoute {} belongs to {owner}", intent.name);
            refused(context, direction, step, Reason::RouteConflict, message, position)
        }
        RouteState::Absent | RouteState::Drifted { .. } => {
            if direction == Direction::Up
                && let Some(problem) = &context.snapshot.ledger.problem
            {
                // A grant may be durable and not anchored: nothing is raised on it.
                overdue(
                    context,
                    context.settings.stage_deadline(&context.life.grant),
                    Reason::LedgerUnavailable,
                    problem,
                    &position,
                )?;
                let message = format!("{split} waits for the ledger: {problem}");
                return ControlFlow::Break(Plan::wait(
                    step,
                    Reason::LedgerUnavailable,
                    message,
                    GLANCE * 4,
                    position,
                ));
            }
            let message = format!("The route is being set to {split}");
            ControlFlow::Break(Plan::write(
                step,
                message,
                write(context.snapshot, &intent, None),
                position,
            ))
        }
        RouteState::Written { generation, acceptance } => {
            accepted(context, split, generation, acceptance, direction, step, position)
        }
    }
}

fn accepted(
    context: &Context<'_>,
    split: &Split,
    generation: i64,
    acceptance: Acceptance,
    direction: Direction,
    step: Step,
    position: Position,
) -> Pass<(Timestamp, Position)> {
    match acceptance {
        Acceptance::Refused { message, .. } => {
            refused(context, direction, step, Reason::RouteNotAccepted, message, position)
        }
        Acceptance::Pending { waiting_for } => {
            let message = format!("{split} is written; {waiting_for}");
            if direction == Direction::Up {
                overdue(
                    context,
                    context.settings.route_deadline(&context.life.grant),
                    Reason::RouteNotAccepted,
                    &message,
                    &position,
                )?;
            }
            ControlFlow::Break(Plan::wait(step, Reason::RouteNotAccepted, message, GLANCE, position))
        }
        Acceptance::Accepted => {
            let label = split.to_string();
            let position = position.with_seen(&label, generation, context.now);
            let seen = position.seen_since(&label, generation).unwrap_or(context.now);
            let settled = seen + span(context.settings.settle);
            // A Challenger that is gone has nowhere to keep the time; acceptance alone has to do, downwards only.
            let gone = context.candidate.is_none() && direction == Direction::Down;
            if context.now >= settled || gone {
                return ControlFlow::Continue((settled, position));
            }
            let message = format!("{split} is accepted and settles");
            ControlFlow::Break(Plan::wait(
                step,
                Reason::Progressing,
                message,
                left(context.now, settled),
                position,
            ))
        }
    }
}

fn refused<T>(
    context: &Context<'_>,
    direction: Direction,
    step: Step,
    reason: Reason,
    message: String,
    position: Position,
) -> Pass<T> {
    let plan = match direction {
        Direction::Up => {
            let end = End::by_operator(reason, message);
            let record = records::withdrawal(context, &end);
            Plan::record(Step::Withdrawing, end.reason, end.message, record, position)
        }
        Direction::Down => Plan::wait(step, reason, message, GLANCE, position),
    };
    ControlFlow::Break(plan)
}
