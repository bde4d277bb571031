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
use crate::adapters::traffic::{self, Acceptance, LiveWeight, RouteIntent, RouteState, Split};

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
    says(context.snapshot, &intent)
}

/// Whether the route's object already says what `intent` says (accepted or not).
#[must_use]
pub fn says(snapshot: &Snapshot, intent: &RouteIntent) -> bool {
    let state = traffic::observe(intent, snapshot.route.as_ref());
    matches!(state, RouteState::Written { .. })
}

/// Brings a route back to the champion that somebody has deleted or changed; it never waits.
pub fn champion_stays(context: &Context<'_>, step: Step, position: Position) -> Pass<Position> {
    let champion = &context.book.champion.name;
    let intent = intent(context.snapshot, context.settings, champion, &Split::ChampionOnly);
    let repaired = match traffic::observe(&intent, context.snapshot.route.as_ref()) {
        RouteState::Written { .. } | RouteState::Foreign { .. } => return ControlFlow::Continue(position),
        RouteState::Absent => "deleted".to_owned(),
        RouteState::Drifted { what } => what.to_string(),
    };
    let message = "The route is being set back to the champion";
    let write = write(context.snapshot, &intent, Some(repaired));
    ControlFlow::Break(Plan::write(step, message, write, position))
}

/// Whether the route exists and is owned by this cycle.
#[must_use]
pub fn is_ours(context: &Context<'_>) -> bool {
    let intent = intent(
        context.snapshot,
        context.settings,
        &context.book.champion.name,
        &Split::ChampionOnly,
    );
    matches!(
        traffic::observe(&intent, context.snapshot.route.as_ref()),
        RouteState::Written { .. } | RouteState::Drifted { .. }
    )
}

/// Whether every parent has accepted the route as it stands, whatever it says.
#[must_use]
pub fn is_accepted(snapshot: &Snapshot) -> bool {
    let Some(route) = &snapshot.route else { return false };
    traffic::acceptance(route, route.metadata.generation.unwrap_or(0)) == Acceptance::Accepted
}

/// Whether every parent has accepted a route that gives `challenger` live requests and copies none. Such a route is
/// written only after the mirror was seen to be gone.
#[must_use]
pub fn is_live(snapshot: &Snapshot, challenger: &str) -> bool {
    let mirrors = snapshot.route.as_ref().is_some_and(traffic::is_mirroring);
    let live = live_weights(snapshot).any(|(service, weight)| service == challenger && weight > 0);
    live && !mirrors && is_accepted(snapshot)
}

/// Notes when the gateway was first seen to have accepted a route that says what `intent` says.
#[must_use]
pub fn noted(snapshot: &Snapshot, intent: &RouteIntent, position: Position, now: Timestamp) -> Position {
    match traffic::observe(intent, snapshot.route.as_ref()) {
        RouteState::Written {
            generation,
            acceptance: Acceptance::Accepted,
        } => position.with_seen(&intent.split.to_string(), generation, now),
        _ => position,
    }
}

/// Whether the route says what `intent` says, and its settle time has passed.
#[must_use]
pub fn is_settled(
    snapshot: &Snapshot,
    settings: &Settings,
    intent: &RouteIntent,
    position: &Position,
    now: Timestamp,
) -> bool {
    let state = traffic::observe(intent, snapshot.route.as_ref());
    let RouteState::Written { generation, .. } = state else {
        return false;
    };
    let seen = position.seen_since(&intent.split.to_string(), generation);
    seen.is_some_and(|seen| now >= seen + span(settings.settle))
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

/// What is said when a route follows its specification while nothing can be raised.
pub const REFITTED: &str = "The route follows the specification; who gets which share of it stays as it is";

/// The write that brings parents, host names and matches to what the specification says, and leaves every share as it
/// is; None when they say so already, or when the route is not ours.
#[must_use]
pub fn refit(snapshot: &Snapshot, settings: &Settings) -> Option<Write> {
    let current = snapshot.route.as_ref()?;
    // Whose shares they are makes no difference here.
    let intent = intent(snapshot, settings, "", &Split::ChampionOnly);
    let desired = traffic::refitted(&intent, current)?;
    Some(Write::Route {
        desired,
        current: Some(current.clone()),
        repaired: None,
    })
}

/// The write that leaves the champion alone in the route as it is, for when the specification cannot be read; None when
/// it is alone already, or when the route is not ours.
#[must_use]
pub fn reduced(snapshot: &Snapshot, champion: &str) -> Option<Write> {
    let current = snapshot.route.as_ref()?;
    let desired = traffic::reduced(&snapshot.key.uid, champion, current)?;
    Some(Write::Route {
        desired,
        current: Some(current.clone()),
        repaired: None,
    })
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
        state @ (RouteState::Absent | RouteState::Drifted { .. }) => {
            if direction == Direction::Up {
                in_time(context, split, &position)?;
                if let Some((reason, why)) = held(context) {
                    return hold(context, &intent, step, reason, &why, position);
                }
            }
            let message = format!("The route is being set to {split}");
            // What was seen accepted and says something else now was changed by somebody else.
            let was_there = position
                .seen
                .as_ref()
                .is_some_and(|seen| seen.split == split.to_string());
            let repaired = was_there.then(|| match state {
                RouteState::Drifted { what } => what.to_string(),
                _ => "deleted".to_owned(),
            });
            ControlFlow::Break(Plan::write(
                step,
                message,
                write(context.snapshot, &intent, repaired),
                position,
            ))
        }
        RouteState::Written { generation, acceptance } => {
            accepted(context, split, generation, acceptance, direction, step, position)
        }
    }
}

/// Ends a life whose live grant was not put into effect by the time its route had to be accepted, whatever kept it: the
/// ledger was away, nobody ran, the cycle was suspended. Its evidence is older than what a gateway is allowed to take. A
/// share that was served already is only set back, and nobody's evidence is asked for it.
fn in_time(context: &Context<'_>, split: &Split, position: &Position) -> Pass<()> {
    let life = context.life;
    let label = split.to_string();
    let was_served = life.effect_recorded || position.seen.as_ref().is_some_and(|seen| seen.split == label);
    if was_served || !life.grant.is_live() {
        return ControlFlow::Continue(());
    }
    let (reason, why) = match held(context) {
        Some((reason, why)) => (reason, format!("; it {why}")),
        None => (Reason::DeadlineExceeded, String::new()),
    };
    let limit = context.settings.route_deadline(&life.grant);
    let waiting = format!("\"{label}\" was not written in time, and the evidence for it is no longer fresh{why}");
    overdue(context, limit, reason, &waiting, position)
}

/// What keeps the route from being raised: a grant may be durable and not anchored, requests may reach pods past the
/// route, or the cycle is suspended.
fn held(context: &Context<'_>) -> Option<(Reason, String)> {
    if let Some(problem) = &context.snapshot.ledger.problem {
        return Some((Reason::LedgerUnavailable, format!("waits for the ledger: {problem}")));
    }
    if let Some(conflict) = &context.snapshot.selector_conflict {
        return Some((Reason::SelectorConflict, format!("waits: {conflict}")));
    }
    context
        .settings
        .suspend
        .then(|| (Reason::Suspended, "waits: the cycle is suspended".to_owned()))
}

/// Waits, up to the stage's deadline, and takes away what somebody else has added meanwhile.
fn hold<T>(
    context: &Context<'_>,
    intent: &RouteIntent,
    step: Step,
    reason: Reason,
    why: &str,
    position: Position,
) -> Pass<T> {
    let message = format!("{} {why}", intent.split);
    let limit = context.settings.stage_deadline(&context.life.grant);
    overdue(context, limit, reason, &message, &position)?;
    let safe = kept(context, intent);
    let added = is_above(context, &safe, intent);
    let said = traffic::observe(&safe, context.snapshot.route.as_ref());
    // Without a route nobody is served.
    if (added || context.snapshot.route.is_none()) && !matches!(said, RouteState::Written { .. }) {
        let repaired = if added {
            "a weight above the written one"
        } else {
            "deleted"
        };
        let message = "What somebody else has changed is set back as far as is possible now";
        let write = write(context.snapshot, &safe, Some(repaired.to_owned()));
        return ControlFlow::Break(Plan::write(step, message, write, position));
    }
    if let Some(write) = refit(context.snapshot, context.settings) {
        return ControlFlow::Break(Plan::write(step, REFITTED, write, position));
    }
    ControlFlow::Break(Plan::wait(step, reason, message, GLANCE * 4, position))
}

/// What a route that cannot be raised is set back to: a promotion whose effect was never seen is not begun here.
fn kept(context: &Context<'_>, intent: &RouteIntent) -> RouteIntent {
    let life = context.life;
    let unseen = life.former_champion.as_ref().filter(|_| !life.effect_recorded);
    RouteIntent {
        champion: unseen.map_or_else(|| intent.champion.clone(), |former| former.name.clone()),
        split: Split::Staged {
            challenger: life.revision.name.clone(),
        },
        ..intent.clone()
    }
}

/// Whether somebody else has given anybody but who serves in `safe` more than was granted, and `safe` can answer. A
/// challenger whose promotion is held has its last step, or the whole of it already.
fn is_above(context: &Context<'_>, safe: &RouteIntent, granted: &RouteIntent) -> bool {
    let weights = granted.weights();
    let is_allowed = |service: &str, weight: i32| {
        let given = weights.iter().find(|(name, _)| *name == service);
        let given = given.map_or(0, |(_, weight)| i32::from(weight.get()));
        if service == granted.champion {
            return weight == given || weight <= i32::from(LiveWeight::MAX);
        }
        weight <= given
    };
    let mut others = live_weights(context.snapshot).filter(|(service, _)| *service != safe.champion);
    let ready = |name: &str| context.snapshot.revision(name).ready_endpoints;
    let answers = safe.champion == granted.champion || ready(&safe.champion) > 0 || ready(&granted.champion) == 0;
    answers && others.any(|(service, weight)| !is_allowed(service, weight))
}

/// Live weights as they stand in the route.
pub fn live_weights(snapshot: &Snapshot) -> impl Iterator<Item = (&str, i32)> {
    let rules = snapshot.route.iter().flat_map(|route| route.spec.rules.iter().take(1));
    rules
        .flat_map(|rule| &rule.backend_refs)
        .map(|backend| (backend.name.as_str(), backend.weight))
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
