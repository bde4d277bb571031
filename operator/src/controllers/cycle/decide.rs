//! From a snapshot to a plan. Pure: no clock, no API, no randomness.
//!
//! The order of the questions is the order of their urgency. What takes traffic away is asked before what needs a
//! readable specification, and that before what gives traffic.

use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;

use super::book::{Book, Grant};
use super::life::{self, Context};
use super::plan::{Plan, Step};
use super::position::Position;
use super::settings::Settings;
use super::snapshot::{SAFETY_RECHECK, Snapshot};
use super::{adoption, blind, configuration, deletion, idle, route, suspension, takeover};

/// What to do now.
///
/// `position` are the timers remembered with whatever is under way: those of the living Challenger, else the cycle's.
#[must_use]
pub fn decide(snapshot: &Snapshot, position: Position, now: Timestamp) -> Plan {
    let plan = suspension::recorded(wanted(snapshot, position, now), snapshot, now);
    configuration::recorded(plan, snapshot, now)
}

fn wanted(snapshot: &Snapshot, position: Position, now: Timestamp) -> Plan {
    let settings = match &snapshot.settings {
        Ok(settings) => settings,
        Err(problems) => return unusable(snapshot, problems, position, now),
    };
    let book = match &snapshot.book {
        Ok(book) => book.as_ref(),
        Err(problem) => return blind::advance(snapshot, settings, problem, position, now),
    };
    if let Some(book) = book
        && let Some(life) = &book.life
    {
        let context = Context {
            snapshot,
            settings,
            book,
            life,
            candidate: snapshot.living(),
            now,
        };
        return life::advance(&context, position);
    }
    if snapshot.deleting {
        let champion = book.map(|book| book.champion.name.as_str());
        let champion = champion.or_else(|| takeover::heir(snapshot));
        return deletion::advance(snapshot, Some(settings), book, champion, position, now);
    }
    if !snapshot.has_finalizer {
        return Plan::write(
            Step::Adopting,
            "The cycle is being taken on",
            super::plan::Write::AddCycleFinalizer,
            position,
        );
    }
    match book {
        Some(book) => idle::advance(snapshot, settings, book, position, now),
        None if settings.suspend => Plan::wait(
            Step::Idle,
            Reason::Suspended,
            "Suspended before adoption",
            SAFETY_RECHECK,
            position,
        ),
        None => adoption::advance(snapshot, settings, position, now),
    }
}

/// A specification that cannot be parsed gives nothing, takes a challenger's traffic away, for nobody can judge it, and
/// keeps nothing from being deleted.
fn unusable(snapshot: &Snapshot, problems: &[String], position: Position, now: Timestamp) -> Plan {
    let book = snapshot.book.as_ref().ok().and_then(Option::as_ref);
    if snapshot.deleting {
        let champion = book.map(|book| serves_after(snapshot, book));
        let champion = champion.or_else(|| takeover::heir(snapshot));
        return deletion::advance(snapshot, None, book, champion, position, now);
    }
    if let Some(book) = book
        && snapshot.revision(&book.champion.name).ready_endpoints > 0
        && let Some(write) = route::reduced(snapshot, &book.champion.name)
    {
        let message = format!(
            "The champion gets all traffic, for nothing can be judged: {}",
            problems.join("; ")
        );
        return Plan::write(Step::Withdrawing, message, write, position);
    }
    Plan::wait(
        Step::Blocked,
        Reason::InvalidSpec,
        problems.join("; "),
        Duration::from_mins(5),
        position,
    )
}

/// Who serves when a cycle goes whose life cannot be ended in order: a promotion under watch was not proved to its end.
fn serves_after<'a>(snapshot: &Snapshot, book: &'a Book) -> &'a str {
    let life = book.life.as_ref().filter(|life| !life.grant.is_over());
    let former = life.and_then(|life| life.former_champion.as_ref());
    let former = former.filter(|former| snapshot.revision(&former.name).ready_endpoints > 0);
    former.map_or(&book.champion.name, |former| &former.name)
}

/// Whether a challenger of this book could be receiving live requests.
#[must_use]
pub fn has_live_challenger(book: &Book) -> bool {
    book.life
        .as_ref()
        .is_some_and(|life| life.had_live_traffic && life.grant != Grant::Settled)
}

/// The settings that a pass may still use when the gates cannot be read: everything but judging.
#[must_use]
pub fn can_judge(snapshot: &Snapshot, settings: &Settings) -> bool {
    snapshot.gates.config.is_ok() && !settings.suspend
}
