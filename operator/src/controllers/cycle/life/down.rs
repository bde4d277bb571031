//! The way down, and what is put away when a life is over. Nothing here asks for evidence.

use std::ops::ControlFlow;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::{Context, End, GLANCE, Pass, left, span};
use crate::adapters::traffic::{Exposure, Split, Target, rollback_target};
use crate::controllers::cycle::book::Verdict;
use crate::controllers::cycle::plan::{Plan, Step};
use crate::controllers::cycle::position::Position;
use crate::controllers::cycle::route::{self, Direction};
use crate::controllers::cycle::{deletion, pods, records};

/// The plan that ends a life: the entry first. Everything that follows needs no more evidence.
pub(super) fn withdraw(context: &Context<'_>, end: End, position: Position) -> Plan {
    let record = records::withdrawal(context, &end);
    Plan::record(Step::Withdrawing, end.reason, end.message, record, position)
}

/// Whether a withdrawal cannot wait for its entry: the ledger has failed to take it once, or it takes nothing and
/// there is no Challenger whose status could remember that it was tried.
pub(super) fn goes_first(context: &Context<'_>) -> bool {
    match context.candidate {
        Some(candidate) => candidate.pending_withdrawal.is_some(),
        None => context.snapshot.ledger.problem.is_some(),
    }
}

/// Takes the traffic away and records it when the ledger is well. The decision itself is queued on the volume.
pub(super) fn traffic_first(context: &Context<'_>, end: End, position: Position) -> Plan {
    let mut book = context.book.clone();
    records::withdraw_life(
        &mut book,
        end.verdict(context.life.had_live_traffic),
        context.life.granted_at,
    );
    let Some(life) = book.life.clone() else {
        return withdraw(context, end, position);
    };
    let withdrawn = Context {
        snapshot: context.snapshot,
        settings: context.settings,
        book: &book,
        life: &life,
        candidate: context.candidate,
        now: context.now,
    };
    let position = match taken_down(&withdrawn, position.clone()) {
        // A deletion lets go of the route: then it says what it will say for ever.
        ControlFlow::Break(_) if context.snapshot.deleting && !route::is_ours(&withdrawn) => position,
        ControlFlow::Break(plan) => return plan,
        ControlFlow::Continue(position) => position,
    };
    match &context.snapshot.ledger.problem {
        None => withdraw(context, end, position),
        Some(_) if context.snapshot.deleting => {
            let champion = Some(book.champion.name.as_str());
            deletion::advance(
                context.snapshot,
                Some(context.settings),
                Some(&book),
                champion,
                position,
                context.now,
            )
        }
        Some(problem) => {
            let message = format!("The challenger has no traffic; its end waits for the ledger: {problem}");
            Plan::wait(
                Step::Withdrawing,
                Reason::LedgerUnavailable,
                message,
                GLANCE * 4,
                position,
            )
        }
    }
}

/// The challenger, or the former champion, is out of the route.
fn champion_only(context: &Context<'_>, position: Position) -> Pass<Position> {
    let (_, position) = route::settle(
        context,
        &Split::ChampionOnly,
        Direction::Down,
        Step::CleaningUp,
        position,
    )?;
    ControlFlow::Continue(position)
}

/// Grant [`Grant::Settled`]: the former champion may go.
pub(super) fn succession(context: &Context<'_>, position: Position) -> Pass<std::convert::Infallible> {
    let mut position = champion_only(context, position)?;
    if let Some(former) = &context.life.former_champion {
        position = pods::scaled_down(context, &former.name, position)?;
    }
    let record = records::closed(context);
    let message = format!("Promoted: revision {} is the champion", context.life.revision.name);
    ControlFlow::Break(Plan::record(Step::Idle, Reason::Promoted, message, record, position))
}

/// Grant [`Grant::Withdrawn`]: down, without a single condition that could keep traffic up.
pub(super) fn withdrawal(
    context: &Context<'_>,
    verdict: Verdict,
    position: Position,
) -> Pass<std::convert::Infallible> {
    let position = taken_down(context, position)?;
    let challenger = &context.life.revision.name;
    let record = records::closed(context);
    let message = format!("Revision {challenger} has no traffic and no pods");
    ControlFlow::Break(Plan::record(
        Step::Idle,
        records::reason_of(verdict),
        message,
        record,
        position,
    ))
}

/// Brings the route back to the champion alone and the challenger's pods to none, one observed step at a time.
fn taken_down(context: &Context<'_>, position: Position) -> Pass<Position> {
    let challenger = context.life.revision.name.clone();
    let mut position = position;
    let absent = context.snapshot.revision(&challenger).service_uid.is_none();
    if !absent && !route::is_written(context, &Split::ChampionOnly) {
        position = failed_over(context, &challenger, position)?;
        let staged = Split::Staged {
            challenger: challenger.clone(),
        };
        let settled;
        (settled, position) = route::settle(context, &staged, Direction::Down, Step::Withdrawing, position)?;
        if context.life.had_live_traffic {
            position = drained(context, settled, position)?;
        }
    }
    let position = champion_only(context, position)?;
    pods::scaled_down(context, &challenger, position)
}

/// A champion without a ready endpoint cannot take the traffic back: while that lasts, a challenger that had live
/// traffic and can answer does. Neither evidence nor the ledger is asked; but a grant is not yet traffic, so the mirror
/// is seen to be gone first.
fn failed_over(context: &Context<'_>, challenger: &str, position: Position) -> Pass<Position> {
    let ready = |name: &str| context.snapshot.revision(name).ready_endpoints;
    let exposure = if context.life.had_live_traffic {
        Exposure::HadLive
    } else {
        Exposure::NeverLive
    };
    let champion = &context.book.champion.name;
    let Target::Challenger(because) = rollback_target(ready(champion), ready(challenger), exposure) else {
        return ControlFlow::Continue(position);
    };
    let split = Split::FailedOver {
        challenger: challenger.to_owned(),
        because,
    };
    let mut position = position;
    if !route::is_written(context, &split) && !route::is_live(context.snapshot, challenger) {
        let staged = Split::Staged {
            challenger: challenger.to_owned(),
        };
        (_, position) = route::settle(context, &staged, Direction::Down, Step::Withdrawing, position)?;
    }
    let (_, position) = route::settle(context, &split, Direction::Down, Step::Withdrawing, position)?;
    let message = format!("Champion {champion} has no ready endpoint: {challenger} answers until it has one");
    ControlFlow::Break(Plan::wait(
        Step::Withdrawing,
        Reason::NoHealthyBackend,
        message,
        GLANCE,
        position,
    ))
}

/// Waits until requests that were under way have had time to finish.
fn drained(context: &Context<'_>, settled: Timestamp, position: Position) -> Pass<Position> {
    // Without a Challenger nothing remembers when the weight was seen at 0.
    let since = if context.candidate.is_some() {
        settled
    } else {
        context.life.granted_at
    };
    let until = since + span(context.settings.drain);
    if context.now >= until {
        return ControlFlow::Continue(position);
    }
    let message = "No new request reaches the challenger; the last ones are being finished";
    ControlFlow::Break(Plan::wait(
        Step::Draining,
        Reason::Progressing,
        message,
        left(context.now, until),
        position,
    ))
}
