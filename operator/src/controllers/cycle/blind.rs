//! The ledger cannot be read, so nobody knows what was granted: nothing is raised, and what takes traffic away goes on,
//! from what the statuses remember.
//!
//! This is also what the first seconds of every process look like, until its ledger is open. A healthy challenger
//! therefore keeps what it has until its stage's deadline.

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_api::v1alpha1::ChallengerPhase;
use penin_api::v1alpha1::challenger::LifeState;

use super::book::{BookError, Grant, Verdict};
use super::life::span;
use super::plan::{Plan, Step};
use super::position::Position;
use super::settings::Settings;
use super::snapshot::{Candidate, Snapshot};
use super::{deletion, route, takeover};
use crate::adapters::traffic::{self, Exposure, LiveWeight, RouteState, Split, Target, rollback_target};

/// How often it is tried again.
const GLANCE: std::time::Duration = std::time::Duration::from_secs(2);

/// The plan of this pass for a cycle whose book cannot be read.
#[must_use]
pub fn advance(
    snapshot: &Snapshot,
    settings: &Settings,
    problem: &BookError,
    position: Position,
    now: Timestamp,
) -> Plan {
    let living = living(snapshot);
    if snapshot.deleting {
        let champion = champion_after(snapshot, living).or_else(|| takeover::heir(snapshot));
        return deletion::advance(snapshot, Some(settings), None, champion, position, now);
    }
    let position = seen_staged(snapshot, settings, living, position, now);
    let end = living.and_then(|candidate| end(snapshot, settings, candidate, now));
    let stray = living.is_none() && others(snapshot, None).is_some();
    if (end.is_some() || stray || is_above_written(snapshot, living))
        && let Some(plan) = take_away(snapshot, settings, living, &position, now)
    {
        return match end {
            Some(verdict) => plan.withdrawing(verdict),
            None => plan,
        };
    }
    if end.is_none()
        && let Some(write) = route::refit(snapshot, settings)
    {
        return Plan::write(Step::Blocked, route::REFITTED, write, position);
    }
    let reason = match &snapshot.ledger.problem {
        Some(_) => Reason::LedgerUnavailable,
        None => Reason::StateMismatch,
    };
    let plan = Plan::wait(Step::Blocked, reason, problem.to_string(), GLANCE, position);
    match end {
        Some(verdict) => plan.withdrawing(verdict),
        None => plan,
    }
}

/// The Challenger whose life is under way, by its own status.
#[must_use]
pub fn living(snapshot: &Snapshot) -> Option<&Candidate> {
    snapshot.candidates.iter().find(|candidate| {
        let begun = candidate
            .status
            .position
            .as_ref()
            .is_some_and(|position| !matches!(position.state, LifeState::Queued | LifeState::Done));
        begun && !candidate.phase.is_some_and(ChallengerPhase::is_final)
    })
}

/// Why the life ends now, as the verdict that it gets; nothing here needs evidence.
fn end(snapshot: &Snapshot, settings: &Settings, candidate: &Candidate, now: Timestamp) -> Option<Verdict> {
    let by_itself = Verdict::of_end(candidate.status.had_live_traffic);
    match candidate.pending_withdrawal {
        Some(ChallengerPhase::Aborted) => return Some(Verdict::Aborted),
        Some(_) => return Some(by_itself),
        None => {}
    }
    if candidate.deleting || candidate.abort.is_some() || candidate.cycle_abort.is_some() {
        return Some(Verdict::Aborted);
    }
    let position = candidate.status.position.as_ref()?;
    let grant = match position.state {
        LifeState::Preparing | LifeState::Entering | LifeState::Mirroring => Grant::Shadow,
        LifeState::Promoting | LifeState::Watching => Grant::Promotion,
        _ => Grant::Step { index: 0, weight: 1 },
    };
    let late = now >= position.since.0 + span(settings.stage_deadline(&grant));
    let revision = candidate.status.revision.as_deref()?;
    let live = route::live_weights(snapshot).any(|(service, weight)| service == revision && weight > 0);
    let lost = live && snapshot.revision(revision).ready_endpoints == 0;
    (late || lost).then_some(by_itself)
}

/// Who serves when the life is over: the champion that the status names, or its predecessor when that is the
/// challenger itself, under watch.
fn champion_after<'a>(snapshot: &'a Snapshot, living: Option<&Candidate>) -> Option<&'a str> {
    let champion = snapshot.remembered.champion.as_deref()?;
    let promoted = living.is_some_and(|candidate| candidate.status.revision.as_deref() == Some(champion));
    if promoted {
        return snapshot.remembered.former.as_deref();
    }
    Some(champion)
}

/// A service with live weight that is neither the champion nor `living`.
fn others<'a>(snapshot: &'a Snapshot, living: Option<&str>) -> Option<&'a str> {
    let champion = snapshot.remembered.champion.as_deref()?;
    route::live_weights(snapshot)
        .find(|(service, weight)| *weight > 0 && *service != champion && Some(*service) != living)
        .map(|(service, _)| service)
}

/// Whether the challenger has more than the status remembers as written or granted, or than any step may give.
fn is_above_written(snapshot: &Snapshot, living: Option<&Candidate>) -> bool {
    let Some(candidate) = living else { return false };
    let Some(revision) = candidate.status.revision.as_deref() else {
        return false;
    };
    if snapshot.remembered.champion.as_deref() == Some(revision) {
        return false;
    }
    let written = candidate
        .status
        .position
        .as_ref()
        .map_or(0, |position| position.written_weight.get());
    // A process that was killed right after it wrote a weight has not said so; that it was granted was said before.
    let allowed = i32::from(written.max(snapshot.remembered.wanted).min(LiveWeight::MAX));
    route::live_weights(snapshot).any(|(service, weight)| service == revision && weight > allowed)
}

/// Notes when the gateway was first seen to have accepted the route at weight 0.
fn seen_staged(
    snapshot: &Snapshot,
    settings: &Settings,
    living: Option<&Candidate>,
    position: Position,
    now: Timestamp,
) -> Position {
    let challenger = living.and_then(|candidate| candidate.status.revision.as_deref());
    match (champion_after(snapshot, living), challenger) {
        (Some(champion), Some(challenger)) => {
            let staged = Split::Staged {
                challenger: challenger.to_owned(),
            };
            let intent = route::intent(snapshot, settings, champion, &staged);
            route::noted(snapshot, &intent, position, now)
        }
        _ => position,
    }
}

/// Who is in the route while a challenger that has a Service is taken back; None without one. A challenger answers in
/// place of a champion that cannot, if it had live traffic and the mirror is known to be gone.
fn who_answers(
    snapshot: &Snapshot,
    settings: &Settings,
    candidate: &Candidate,
    champion: &str,
    position: &Position,
    now: Timestamp,
) -> Option<Split> {
    let challenger = candidate.status.revision.clone()?;
    snapshot.revision(&challenger).service_uid.as_ref()?;
    let exposure = if candidate.status.had_live_traffic {
        Exposure::HadLive
    } else {
        Exposure::NeverLive
    };
    let ready = |name: &str| snapshot.revision(name).ready_endpoints;
    let staged = Split::Staged {
        challenger: challenger.clone(),
    };
    let Target::Challenger(because) = rollback_target(ready(champion), ready(&challenger), exposure) else {
        return Some(staged);
    };
    let failed_over = Split::FailedOver {
        challenger: challenger.clone(),
        because,
    };
    let intent = |split: &Split| route::intent(snapshot, settings, champion, split);
    let unmirrored = route::is_live(snapshot, &challenger)
        || route::says(snapshot, &intent(&failed_over))
        || route::is_settled(snapshot, settings, &intent(&staged), position, now);
    Some(if unmirrored { failed_over } else { staged })
}

/// Weight 0 for everybody but the champion; None when the route says so already, or when nobody else can answer.
fn take_away(
    snapshot: &Snapshot,
    settings: &Settings,
    living: Option<&Candidate>,
    position: &Position,
    now: Timestamp,
) -> Option<Plan> {
    let champion = champion_after(snapshot, living)?;
    let split = living
        .and_then(|candidate| who_answers(snapshot, settings, candidate, champion, position, now))
        .unwrap_or(Split::ChampionOnly);
    let intent = route::intent(snapshot, settings, champion, &split);
    let alone = route::intent(snapshot, settings, champion, &Split::ChampionOnly);
    let says = |intent| route::says(snapshot, intent);
    let ours = matches!(
        traffic::observe(&intent, snapshot.route.as_ref()),
        RouteState::Drifted { .. }
    );
    if says(&intent) || (says(&alone) && !matches!(split, Split::FailedOver { .. })) || !ours {
        return None;
    }
    let message = format!("The ledger cannot be read; the route is being set to {split}");
    let write = route::write(snapshot, &intent, None);
    Some(Plan::write(Step::Withdrawing, message, write, position.clone()))
}
