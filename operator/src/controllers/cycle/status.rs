//! What people and tools see of a cycle and its challengers: pure.

mod challenger;
mod cycle_conditions;
mod evidence;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use penin_api::conditions::{self, Activity, ConditionStatus, Reason};
use penin_api::v1alpha1::cycle::{
    ActiveChallenger, ChampionStatus, CommandAcknowledgement, CommandResult, LedgerHead, RevisionRole, RevisionStatus,
    WeightStatus,
};
use penin_api::v1alpha1::{ChallengerPhase, DecisionRecord, PeninCycleStatus};
use penin_api::values::{Percent, UnsignedString};

pub use self::challenger::challengers;
use super::apply::Outcome;
use super::book::{Book, Grant, Life, RevisionRef, Verdict};
use super::plan::{Action, Plan, Step};
use super::snapshot::Snapshot;

/// Most revisions that a cycle's status lists.
const MOST_REVISIONS: usize = 16;
/// The verb of an abort in acknowledgements.
pub const VERB_ABORT: &str = "abort";
/// The verb of another try in acknowledgements.
pub const VERB_RETRY: &str = "retry";

/// What a pass found and did, from which both statuses are made.
pub struct Seen<'a> {
    /// The world before the pass.
    pub snapshot: &'a Snapshot,
    /// What was decided.
    pub plan: &'a Plan,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// Size and root of the ledger after it.
    pub head: Option<(u64, String)>,
    /// The time of the pass.
    pub now: Timestamp,
}

impl Seen<'_> {
    /// The book as it stands after the pass: a recorded entry moves it, a queued withdrawal does not.
    #[must_use]
    pub fn book(&self) -> Option<&Book> {
        let before = self.snapshot.book.as_ref().ok().and_then(Option::as_ref);
        match (&self.plan.action, self.outcome) {
            (Action::Record(record), Outcome::Recorded { .. }) => record.book.as_ref(),
            _ => before,
        }
    }

    /// Number of the entry that the pass wrote.
    fn entry(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Recorded { sequence } => Some(*sequence),
            _ => None,
        }
    }

    fn decision(&self) -> Option<DecisionRecord> {
        let judged = self.plan.judged.as_ref()?;
        let mut decision = judged.decision_record()?;
        decision.entry = self.entry().map(UnsignedString::from);
        decision.time = MicroTime(self.now);
        Some(decision)
    }
}

/// The cycle's status after a pass.
#[must_use]
pub fn cycle(before: &PeninCycleStatus, seen: &Seen<'_>) -> PeninCycleStatus {
    let mut status = before.clone();
    let snapshot = seen.snapshot;
    let book = seen.book();
    status.observed_generation = Some(snapshot.key.generation);
    if let Some(book) = book {
        status.champion = Some(champion(before, book, snapshot, seen.now));
        status.cycle = Some(UnsignedString::from(book.engine.cycle));
        status.state_hash = book.state_hash().ok();
        status.failed_revisions = book.failed.iter().map(|failed| failed.revision.name.clone()).collect();
    }
    // What cannot be read is no news: everything that a restarted process continues from stays as it is.
    let readable = snapshot.book.is_ok();
    if readable {
        status.challenger = book.and_then(|book| book.life.as_ref()).map(|life| active(life, seen));
        status.revisions = revisions(book, snapshot);
        let lives = book.is_some_and(|book| book.life.is_some());
        status.timers = (!lives).then(|| seen.plan.position.to_api());
        acknowledge(
            &mut status.last_command,
            snapshot.candidates.iter().find_map(|c| c.cycle_abort.as_ref()),
            book,
        );
    }
    status.target_revision = snapshot.target.as_ref().ok().map(|target| target.revision.name.clone());
    if let Some((size, root)) = &seen.head
        && (seen.entry().is_some() || status.ledger.is_none())
    {
        status.ledger = Some(LedgerHead {
            origin: Some(snapshot.ledger.origin.clone()).filter(|origin| !origin.is_empty()),
            size: UnsignedString::from(*size),
            root: root.clone(),
        });
    }
    if let Some(decision) = seen.decision() {
        status.last_decision = Some(decision);
    }
    for finding in cycle_conditions::findings(before, seen, book) {
        conditions::set(&mut status.conditions, finding, snapshot.key.generation, seen.now);
    }
    let (ready, activity) = summary(seen, book);
    let (reason, message) = (seen.plan.reason, seen.plan.message.as_str());
    conditions::set_summary(
        &mut status.conditions,
        ready,
        activity,
        reason,
        message,
        snapshot.key.generation,
        seen.now,
    );
    status
}

fn champion(before: &PeninCycleStatus, book: &Book, snapshot: &Snapshot, now: Timestamp) -> ChampionStatus {
    let RevisionRef { name, digest } = &book.champion;
    let since = before
        .champion
        .as_ref()
        .filter(|known| known.revision == *name)
        .map(|known| known.since.clone());
    ChampionStatus {
        revision: name.clone(),
        digest: digest.clone(),
        deployment: name.clone(),
        service: name.clone(),
        since: since.unwrap_or_else(|| Time(Timestamp::from_second(now.as_second()).unwrap_or(now))),
        ready_endpoints: snapshot.revision(name).ready_endpoints,
    }
}

fn active(life: &Life, seen: &Seen<'_>) -> ActiveChallenger {
    let share = seen.plan.judged.as_ref().and_then(|judged| judged.share.clone());
    ActiveChallenger {
        name: life.challenger.name.clone(),
        revision: Some(life.revision.name.clone()),
        stage: phase_of(life, seen.plan.step),
        weight: WeightStatus {
            wanted: Percent::saturating(wanted_weight(life)),
            written: Percent::saturating(written_weight(seen.snapshot, &life.revision.name)),
            measured: share.as_ref().and_then(|share| share.measured.clone()),
            samples: share.and_then(|share| share.samples),
        },
    }
}

fn wanted_weight(life: &Life) -> u8 {
    match &life.grant {
        Grant::Step { weight, .. } => *weight,
        Grant::Promotion | Grant::Settled => 100,
        Grant::Shadow | Grant::Withdrawn { .. } => 0,
    }
}

/// The live weight that the route gives to a Service, as it was read; 0 without a route.
fn written_weight(snapshot: &Snapshot, service: &str) -> u8 {
    let rule = snapshot.route.as_ref().and_then(|route| route.spec.rules.first());
    let weight = rule
        .and_then(|rule| rule.backend_refs.iter().find(|backend| backend.name == service))
        .map(|b| b.weight);
    u8::try_from(weight.unwrap_or(0)).unwrap_or(u8::MAX).min(100)
}

/// The phase follows traffic.
#[must_use]
pub fn phase_of(life: &Life, step: Step) -> ChallengerPhase {
    match (&life.grant, step) {
        (Grant::Shadow, Step::StartingPods | Step::EnteringRoute | Step::Idle) => ChallengerPhase::Pending,
        (Grant::Shadow, _) => ChallengerPhase::Shadow,
        (Grant::Step { .. }, Step::AddingCapacity) | (Grant::Promotion, Step::Shifting) => ChallengerPhase::Promoting,
        (Grant::Step { .. }, _) => ChallengerPhase::Canary,
        (Grant::Promotion, _) => ChallengerPhase::Watching,
        (Grant::Settled, _) => ChallengerPhase::Promoted,
        (Grant::Withdrawn { verdict }, _) => final_phase(*verdict),
    }
}

/// The phase of a verdict.
#[must_use]
pub const fn final_phase(verdict: Verdict) -> ChallengerPhase {
    match verdict {
        Verdict::Rejected => ChallengerPhase::Rejected,
        Verdict::RolledBack => ChallengerPhase::RolledBack,
        Verdict::Aborted => ChallengerPhase::Aborted,
        Verdict::Promoted => ChallengerPhase::Promoted,
    }
}

fn revisions(book: Option<&Book>, snapshot: &Snapshot) -> Vec<RevisionStatus> {
    let life = book.and_then(|book| book.life.as_ref());
    let role = |name: &str| {
        let is = |revision: Option<&RevisionRef>| revision.is_some_and(|revision| revision.name == name);
        if is(book.map(|book| &book.champion)) {
            RevisionRole::Champion
        } else if is(life.and_then(|life| life.former_champion.as_ref())) {
            RevisionRole::Previous
        } else if is(life.map(|life| &life.revision)) {
            RevisionRole::Challenger
        } else {
            RevisionRole::Retained
        }
    };
    let with_pods = snapshot
        .revisions
        .iter()
        .filter_map(|(name, view)| Some((name, view, view.deployment.as_ref()?)));
    with_pods
        .take(MOST_REVISIONS)
        .map(|(name, view, deployment)| RevisionStatus {
            name: name.clone(),
            role: role(name),
            desired: u32::try_from(deployment.replicas).unwrap_or(0),
            ready: view.ready_endpoints,
        })
        .collect()
}

fn summary(seen: &Seen<'_>, book: Option<&Book>) -> (ConditionStatus, Activity) {
    let plan = seen.plan;
    if matches!(plan.reason, Reason::NoHealthyBackend) {
        return (ConditionStatus::False, Activity::Stalled);
    }
    match (plan.step, book) {
        (Step::Blocked, _) => (ConditionStatus::False, Activity::Stalled),
        (Step::Adopting | Step::Releasing, _) | (_, None) => (ConditionStatus::False, Activity::Reconciling),
        (Step::Idle, Some(_)) => (ConditionStatus::True, Activity::Settled),
        (_, Some(_)) => (ConditionStatus::True, Activity::Reconciling),
    }
}

fn acknowledge(last: &mut Option<CommandAcknowledgement>, id: Option<&String>, book: Option<&Book>) {
    let Some(id) = id else { return };
    let withdrawn = book
        .and_then(|book| book.life.as_ref())
        .is_none_or(|life| matches!(life.grant, Grant::Withdrawn { .. }));
    if withdrawn {
        *last = Some(CommandAcknowledgement {
            id: id.chars().take(63).collect(),
            verb: VERB_ABORT.to_owned(),
            result: CommandResult::Completed,
            message: "No challenger is in flight any more".to_owned(),
        });
    }
}
