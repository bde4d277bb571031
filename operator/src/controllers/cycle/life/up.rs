//! The way up: what each grant allows, one observed step after the other.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::down::withdraw;
use super::{Context, End, GLANCE, Pass, measure, overdue, span};
use crate::adapters::traffic::{LiveWeight, MirrorPercent, ShareVerdict, Split};
use crate::controllers::cycle::judge::{self, Stage};
use crate::controllers::cycle::plan::{Measure, Plan, Step};
use crate::controllers::cycle::position::Position;
use crate::controllers::cycle::route::{self, Direction};
use crate::controllers::cycle::{pods, records};

/// Grant [`Grant::Shadow`].
pub(super) fn shadow(context: &Context<'_>, position: Position) -> Pass<std::convert::Infallible> {
    let life = context.life;
    let deadline = context.settings.progress_deadline;
    let ready_by = life.granted_at + span(deadline);
    let replicas = context.settings.challenger_replicas;
    let has_entered = route::live_weights(context.snapshot).any(|(service, _)| service == life.revision.name);
    let mut position = position;
    if !has_entered {
        position = route::champion_stays(context, Step::StartingPods, position)?;
        position = reached_by_the_route_alone(context, replicas, ready_by, position)?;
        position = pods::ensure(
            context,
            &life.revision,
            replicas,
            Step::StartingPods,
            ready_by,
            position,
        )?;
    }
    let challenger = life.revision.name.clone();
    let Some(percent) = MirrorPercent::new(context.settings.shadow_percent) else {
        let end = End::by_operator(Reason::InvalidSpec, "spec.shadow.percent: must be from 1 to 100");
        return ControlFlow::Break(withdraw(context, end, position));
    };
    let mirroring = Split::Mirroring {
        challenger: challenger.clone(),
        percent,
    };
    if !route::is_written(context, &mirroring) {
        let staged = Split::Staged { challenger };
        (_, position) = route::settle(context, &staged, Direction::Up, Step::EnteringRoute, position)?;
    }
    let (settled, position) = route::settle(context, &mirroring, Direction::Up, Step::StartingMirror, position)?;
    judge::judge(context, Stage::Shadow, settled, position)
}

/// Pods are not started, nor waited for, while a Service would give them requests past the route.
fn reached_by_the_route_alone(
    context: &Context<'_>,
    replicas: i32,
    ready_by: Timestamp,
    position: Position,
) -> Pass<Position> {
    let ready = context.snapshot.revision(&context.life.revision.name).ready_endpoints;
    let Some(conflict) = &context.snapshot.selector_conflict else {
        return ControlFlow::Continue(position);
    };
    if ready >= u32::try_from(replicas).unwrap_or(u32::MAX) {
        return ControlFlow::Continue(position);
    }
    let message = conflict.to_string();
    if context.now >= ready_by {
        let end = End::by_operator(Reason::SelectorConflict, message);
        return ControlFlow::Break(withdraw(context, end, position));
    }
    ControlFlow::Break(Plan::wait(
        Step::StartingPods,
        Reason::SelectorConflict,
        message,
        GLANCE * 2,
        position,
    ))
}

/// Grant [`Grant::Step`].
pub(super) fn canary(
    context: &Context<'_>,
    index: usize,
    weight: u8,
    position: Position,
) -> Pass<std::convert::Infallible> {
    let challenger = context.life.revision.name.clone();
    let Some(live_weight) = LiveWeight::new(weight) else {
        let end = End::by_operator(
            Reason::InvalidSpec,
            format!("A live weight of {weight} % is outside 1 to 5"),
        );
        return ControlFlow::Break(withdraw(context, end, position));
    };
    let live = Split::Live {
        challenger: challenger.clone(),
        weight: live_weight,
    };
    let mut position = position;
    if index == 0 && !route::is_written(context, &live) {
        let staged = Split::Staged { challenger };
        let (settled, seen) = route::settle(context, &staged, Direction::Up, Step::StoppingMirror, position)?;
        position = mirror_seen_off(context, settled, seen)?;
    }
    let (settled, position) = route::settle(context, &live, Direction::Up, Step::Shifting, position)?;
    let position = measured_share(context, weight, settled, position)?;
    judge::judge(context, Stage::Canary { index }, settled, position)
}

/// Waits until the challenger's request counter stands still: an accepted route says that a controller has read the
/// change, not that the proxy has. Only then may the same counters be read as live traffic.
fn mirror_seen_off(context: &Context<'_>, settled: Timestamp, position: Position) -> Pass<Position> {
    let quiet_since = settled + span(context.settings.settle);
    // The mirror has counters of its own in the proxy, which go when it goes.
    let measure = Measure {
        mirrored: true,
        ..measure(context, &position, quiet_since)
    };
    let Some(evidence) = &context.snapshot.evidence else {
        return ControlFlow::Break(Plan::measure(Step::StoppingMirror, measure, position));
    };
    match evidence.mirrored_requests() {
        Ok(0) => ControlFlow::Continue(position),
        seen => {
            let message = match seen {
                Ok(count) => format!("The mirror was removed, and {count} requests still arrived at the challenger"),
                Err(unknown) => format!("The mirror was removed; whether requests still arrive is unknown: {unknown}"),
            };
            overdue(
                context,
                context.settings.mirror_deadline(),
                Reason::EvidenceUnknown,
                &message,
                &position,
            )?;
            ControlFlow::Break(Plan::wait(
                Step::StoppingMirror,
                Reason::Progressing,
                message,
                GLANCE,
                position,
            ))
        }
    }
}

/// Waits until the measured share agrees with the written weight, and records that it does.
fn measured_share(context: &Context<'_>, weight: u8, settled: Timestamp, position: Position) -> Pass<Position> {
    if context.life.effect_recorded {
        return ControlFlow::Continue(position);
    }
    let Some(evidence) = &context.snapshot.evidence else {
        let measure = measure(context, &position, settled);
        return ControlFlow::Break(Plan::measure(Step::MeasuringShare, measure, position));
    };
    let waiting = match evidence.share(weight, context.settings.share_min_requests) {
        Ok(ShareVerdict::Inside(share)) => {
            recorded_in_time(context, &position)?;
            let record = records::outcome(context, &format!("{share}"));
            let message = format!("Weight {weight} % is served: {share}");
            return ControlFlow::Break(Plan::record(
                Step::Observing,
                Reason::Progressing,
                message,
                record,
                position.fresh_stage(),
            ));
        }
        Ok(ShareVerdict::Outside(share)) => format!("weight {weight} % is written but not served: {share}"),
        Ok(ShareVerdict::Thin { have, need }) => {
            format!("{have} of {need} requests counted since weight {weight} % was written")
        }
        Err(unknown) => format!("the served share is unknown: {unknown}"),
    };
    overdue(
        context,
        context.settings.stage_deadline(&context.life.grant),
        Reason::ShareMismatch,
        &waiting,
        &position,
    )?;
    let plan = Plan::wait(
        Step::MeasuringShare,
        Reason::Progressing,
        waiting,
        context.settings.interval.min(Duration::from_secs(5)),
        position,
    );
    ControlFlow::Break(plan)
}

/// What was observed has to be recorded before the stage's deadline: a ledger that takes nothing is no reason to keep
/// traffic that nobody judges.
fn recorded_in_time(context: &Context<'_>, position: &Position) -> Pass<()> {
    overdue(
        context,
        context.settings.stage_deadline(&context.life.grant),
        Reason::LedgerUnavailable,
        "the effect was observed and could not be recorded",
        position,
    )
}

/// Grant [`Grant::Promotion`].
pub(super) fn promotion(context: &Context<'_>, position: Position) -> Pass<std::convert::Infallible> {
    let Some(former) = context.life.former_champion.as_ref() else {
        let end = End::by_operator(
            Reason::StateMismatch,
            "The record of the promotion does not name the former champion",
        );
        return ControlFlow::Break(withdraw(context, end, position));
    };
    let watching = Split::Watching {
        previous: former.name.clone(),
    };
    let (settled, position) = route::settle(context, &watching, Direction::Up, Step::Shifting, position)?;
    if !context.life.effect_recorded {
        recorded_in_time(context, &position)?;
        let record = records::outcome(context, "all traffic goes to the new champion");
        let message = "All traffic goes to the new champion";
        return ControlFlow::Break(Plan::record(
            Step::Watching,
            Reason::Progressing,
            message,
            record,
            position.fresh_stage(),
        ));
    }
    judge::judge(context, Stage::Watch, settled, position)
}
