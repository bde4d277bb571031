//! What people and tools see of a challenger: pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use penin_api::conditions::{self, Activity, ConditionStatus, ConditionType, Finding, Reason};
use penin_api::names::ANNOTATION_RETRY;
use penin_api::v1alpha1::challenger::{LifePosition, LifeState, ShareStatus};
use penin_api::v1alpha1::cycle::{CommandAcknowledgement, CommandResult};
use penin_api::v1alpha1::{ChallengerPhase, ChallengerStatus};
use penin_api::values::Percent;

use super::{Seen, VERB_ABORT, VERB_RETRY, final_phase, phase_of, written_weight};
use crate::controllers::cycle::apply::Outcome;
use crate::controllers::cycle::blind;
use crate::controllers::cycle::book::{Book, Grant, Life, Verdict};
use crate::controllers::cycle::idle;
use crate::controllers::cycle::plan::{Action, Plan, Step};
use crate::controllers::cycle::records::reason_of;
use crate::controllers::cycle::snapshot::Candidate;

/// The statuses of the challengers that this pass says something about, by name.
#[must_use]
pub fn challengers(seen: &Seen<'_>) -> Vec<(String, ChallengerStatus)> {
    if seen.snapshot.book.is_err() {
        return unreadable(seen);
    }
    let book = seen.book();
    let life = book.and_then(|book| book.life.as_ref());
    let mut behind = 0_usize;
    let mut statuses = Vec::new();
    for candidate in &seen.snapshot.candidates {
        let status = if let Some(life) = life.filter(|life| life.challenger.uid == candidate.uid) {
            Some(living(candidate, life, seen))
        } else if let Some(verdict) = book.and_then(|book| book.ended(&candidate.uid)) {
            Some(ended(candidate, verdict, seen))
        } else if candidate.phase.is_some_and(ChallengerPhase::is_final) {
            None
        } else if candidate.abort.is_some() {
            Some(ended(candidate, Verdict::Aborted, seen))
        } else {
            behind += usize::from(refusal(candidate, book).is_none());
            Some(queued(candidate, behind, seen))
        };
        if let Some(status) = status.filter(|status| *status != candidate.status) {
            statuses.push((candidate.name.clone(), status));
        }
    }
    statuses
}

/// Without a book nothing new is known of any life, except that one of them has just ended.
fn unreadable(seen: &Seen<'_>) -> Vec<(String, ChallengerStatus)> {
    let (Some(verdict), Some(candidate)) = (seen.plan.withdrawn, blind::living(seen.snapshot)) else {
        return Vec::new();
    };
    let mut status = candidate.status.clone();
    status.message.clone_from(&seen.plan.message);
    if let Some(position) = &mut status.position {
        position.outcome = Some(final_phase(verdict));
    }
    if status == candidate.status {
        return Vec::new();
    }
    vec![(candidate.name.clone(), status)]
}

fn living(candidate: &Candidate, life: &Life, seen: &Seen<'_>) -> ChallengerStatus {
    let plan = seen.plan;
    let mut status = candidate.status.clone();
    status.observed_generation = Some(candidate.generation);
    // The phase follows traffic: a life is over for its user when the last live request is, not when that was decided.
    let phase = phase_of(life, plan.step);
    let served = written_weight(seen.snapshot, &life.revision.name) > 0;
    status.phase = match (&life.grant, candidate.phase) {
        (Grant::Withdrawn { .. }, Some(before)) if served => Some(before),
        _ => Some(phase),
    };
    // What ended a life stays to be read; what is done afterwards is the cycle's business.
    if !was_over(seen) {
        status.message.clone_from(&plan.message);
    }
    status.revision = Some(life.revision.name.clone());
    status.digest = Some(life.revision.digest.clone());
    status.had_live_traffic = life.had_live_traffic;
    if let Some(decision) = seen.decision() {
        status.decision = Some(decision);
    }
    if let Some(judged) = &plan.judged {
        if !judged.gates.is_empty() {
            status.gates.clone_from(&judged.gates);
        }
        status.checks.clone_from(&judged.checks);
        status.evidence.clone_from(&judged.evidence);
    }
    let share = plan.judged.as_ref().and_then(|judged| judged.share.clone());
    status.share = Some(ShareStatus {
        written: Percent::saturating(written_weight(seen.snapshot, &life.revision.name)),
        ..share.or(candidate.status.share.clone()).unwrap_or_default()
    });
    status.position = Some(position(candidate, life, seen));
    if status.last_command.is_none() {
        status.last_command = seen.book().and_then(|book| retried(candidate, life, book));
    }
    if let Some(id) = &candidate.abort
        && matches!(life.grant, Grant::Withdrawn { .. })
    {
        status.last_command = Some(completed_abort(id));
    }
    set_challenger_conditions(&mut status, candidate.generation, plan, life, seen.now);
    status
}

/// Whether the life had ended before this pass.
fn was_over(seen: &Seen<'_>) -> bool {
    let book = seen.snapshot.book.as_ref().ok().and_then(Option::as_ref);
    book.and_then(|book| book.life.as_ref())
        .is_some_and(|life| life.grant.is_over())
}

/// The acknowledgement of another try: this life was begun by it.
fn retried(candidate: &Candidate, life: &Life, book: &Book) -> Option<CommandAcknowledgement> {
    let id = candidate.retry.as_ref()?;
    let failed = book.failure(&life.revision.digest)?;
    (failed.retry.as_ref() == Some(id)).then(|| CommandAcknowledgement {
        id: id.clone(),
        verb: VERB_RETRY.to_owned(),
        result: CommandResult::Completed,
        message: "The template failed before and is tried once more".to_owned(),
    })
}

fn completed_abort(id: &str) -> CommandAcknowledgement {
    CommandAcknowledgement {
        id: id.chars().take(63).collect(),
        verb: VERB_ABORT.to_owned(),
        result: CommandResult::Completed,
        message: String::new(),
    }
}

fn position(candidate: &Candidate, life: &Life, seen: &Seen<'_>) -> LifePosition {
    let state = state_of(seen.plan.step);
    let known = candidate
        .status
        .position
        .as_ref()
        .filter(|position| position.state == state);
    // A withdrawal that the ledger could not take must survive a restart: the book does not know of it.
    let pending = match (&seen.plan.action, seen.outcome) {
        (Action::Record(record), Outcome::Queued { .. } | Outcome::Refused { .. }) => {
            record.withdrawal.map(final_phase).or(candidate.pending_withdrawal)
        }
        _ => candidate.pending_withdrawal,
    };
    LifePosition {
        state,
        since: known.map_or(MicroTime(seen.now), |position| position.since.clone()),
        step_index: match &life.grant {
            Grant::Step { index, .. } => u8::try_from(*index).ok(),
            _ => None,
        },
        written_weight: Percent::saturating(written_weight(seen.snapshot, &life.revision.name)),
        timers: seen.plan.position.to_api(),
        outcome: match &life.grant {
            Grant::Withdrawn { verdict } => Some(final_phase(*verdict)),
            _ => pending,
        },
    }
}

const fn state_of(step: Step) -> LifeState {
    match step {
        Step::Blocked | Step::Adopting | Step::Idle => LifeState::Queued,
        Step::StartingPods => LifeState::Preparing,
        Step::EnteringRoute | Step::StartingMirror => LifeState::Entering,
        Step::Shadowing => LifeState::Mirroring,
        Step::StoppingMirror => LifeState::Unmirroring,
        Step::Shifting | Step::MeasuringShare => LifeState::Shifting,
        Step::Observing => LifeState::Observing,
        Step::AddingCapacity => LifeState::ScalingUp,
        Step::Watching => LifeState::Watching,
        Step::Withdrawing | Step::Releasing => LifeState::Withdrawing,
        Step::Draining => LifeState::Draining,
        Step::CleaningUp => LifeState::ScalingDown,
    }
}

fn set_challenger_conditions(status: &mut ChallengerStatus, generation: i64, plan: &Plan, life: &Life, now: Timestamp) {
    let message = status.message.clone();
    for finding in findings(&message, plan, life) {
        conditions::set(&mut status.conditions, finding, generation, now);
    }
    let (ready, activity, reason) = match &life.grant {
        Grant::Settled => (ConditionStatus::True, Activity::Settled, Reason::Promoted),
        Grant::Withdrawn { verdict } => (ConditionStatus::False, Activity::Stalled, reason_of(*verdict)),
        _ => (ConditionStatus::False, Activity::Reconciling, plan.reason),
    };
    conditions::set_summary(
        &mut status.conditions,
        ready,
        activity,
        reason,
        &message,
        generation,
        now,
    );
}

/// How far a life came, from what its grant says.
fn findings(message: &str, plan: &Plan, life: &Life) -> Vec<Finding> {
    use ConditionType::{Accepted, CanaryCompleted, GatesPassed, Promoted, RolledBack, ShadowCompleted};
    let over = matches!(life.grant, Grant::Withdrawn { .. });
    let rolled_back = over && life.had_live_traffic;
    let beyond_shadow = matches!(life.grant, Grant::Step { .. } | Grant::Promotion | Grant::Settled) || rolled_back;
    let promoted = matches!(life.grant, Grant::Promotion | Grant::Settled);
    let reached = |type_, holds: bool, reason, message: &str| {
        let reason = if holds { reason } else { Reason::Pending };
        Finding::new(type_, holds, reason, message)
    };
    let mut findings = vec![
        Finding::new(Accepted, true, Reason::Accepted, "The candidate can run"),
        reached(ShadowCompleted, beyond_shadow, Reason::StagePassed, ""),
        reached(CanaryCompleted, promoted, Reason::StagePassed, ""),
        reached(Promoted, promoted, Reason::Promoted, ""),
        reached(
            RolledBack,
            rolled_back,
            Reason::RolledBack,
            if over { message } else { "" },
        ),
    ];
    if let Some(judged) = plan.judged.as_ref().filter(|judged| judged.outcome.is_some()) {
        let holds = judged.all_required_passed();
        let reason = if holds { Reason::GatesPassed } else { Reason::GateFailed };
        findings.push(Finding::new(GatesPassed, holds, reason, judged.causes.join(", ")));
    }
    findings
}

fn ended(candidate: &Candidate, verdict: Verdict, seen: &Seen<'_>) -> ChallengerStatus {
    let mut status = candidate.status.clone();
    status.observed_generation = Some(candidate.generation);
    status.phase = Some(final_phase(verdict));
    if let Some(share) = &mut status.share {
        share.written = Percent::ZERO;
    }
    if let Some(position) = &mut status.position {
        position.state = LifeState::Done;
        position.written_weight = Percent::ZERO;
    }
    if let Some(id) = &candidate.abort {
        status.last_command = Some(completed_abort(id));
    }
    let (ready, activity) = match verdict {
        Verdict::Promoted => (ConditionStatus::True, Activity::Settled),
        _ => (ConditionStatus::False, Activity::Stalled),
    };
    let message = if status.message.is_empty() {
        format!("{verdict:?}")
    } else {
        status.message.clone()
    };
    let reason = reason_of(verdict);
    conditions::set_summary(
        &mut status.conditions,
        ready,
        activity,
        reason,
        &message,
        candidate.generation,
        seen.now,
    );
    status
}

fn queued(candidate: &Candidate, behind: usize, seen: &Seen<'_>) -> ChallengerStatus {
    let mut status = candidate.status.clone();
    let generation = candidate.generation;
    status.observed_generation = Some(generation);
    status.phase = Some(ChallengerPhase::Pending);
    let finding = if let Some((reason, why)) = refusal(candidate, seen.book()) {
        status.message = why;
        Finding::new(ConditionType::Accepted, false, reason, &status.message)
    } else {
        status.revision = candidate.revision.as_ref().ok().map(|revision| revision.name.clone());
        status.message = match seen.plan.reason {
            Reason::Suspended => "The cycle is suspended".to_owned(),
            Reason::SelectorConflict => seen.plan.message.clone(),
            _ => format!("Number {behind} in the queue"),
        };
        Finding::new(ConditionType::Accepted, true, Reason::Accepted, "The candidate can run")
    };
    let accepted = finding.reason == Reason::Accepted;
    let reason = if accepted { Reason::Queued } else { finding.reason };
    conditions::set(&mut status.conditions, finding, generation, seen.now);
    let activity = if accepted {
        Activity::Reconciling
    } else {
        Activity::Stalled
    };
    let message = status.message.clone();
    conditions::set_summary(
        &mut status.conditions,
        ConditionStatus::False,
        activity,
        reason,
        &message,
        generation,
        seen.now,
    );
    status
}

/// Why a candidate is not in the queue: it has no template, or one that is served or was refused already.
fn refusal(candidate: &Candidate, book: Option<&Book>) -> Option<(Reason, String)> {
    let revision = match &candidate.revision {
        Ok(revision) => revision,
        Err(problem) => return Some((Reason::InvalidSpec, problem.clone())),
    };
    let book = book?;
    if book.champion.name == revision.name {
        let message = format!("The champion already runs revision {}", revision.name);
        return Some((Reason::InvalidSpec, message));
    }
    idle::failed_before(book, candidate, revision)
        .then(|| (Reason::FailedBefore, refused_before(candidate, &revision.name)))
}

/// Why a template that failed before is not tried, and what would make it so.
fn refused_before(candidate: &Candidate, revision: &str) -> String {
    let used = match &candidate.retry {
        Some(id) => format!(" It was tried again for {id} already: choose another id."),
        None => String::new(),
    };
    format!(
        "Revision {revision} was refused or taken back before and is not tried again. Change its template, or ask for \
         another try: kubectl annotate challenger {} {ANNOTATION_RETRY}=ID --overwrite.{used}",
        candidate.name
    )
}
