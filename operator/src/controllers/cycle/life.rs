//! One challenger's life, step by step: pure.
//!
//! Each function is one grant of the book. It moves the world towards what the grant allows, one observed step at a
//! time, and returns as soon as something has to be written or waited for; the next pass starts at the top again and
//! finds that step done. Order and waiting are thus visible as the order of the lines.
//!
//! ```text
//! Shadow      pods ready → route at weight 0 → accepted → mirror on → accepted, settled → judge
//! Step i      mirror off → accepted, settled, seen off → weight → accepted, settled → share measured
//!             → OUTCOME → evidence window → judge; after the last step also: capacity → master cycle
//! Promotion   all traffic → accepted, settled → OUTCOME → watch → judge
//! Settled     former champion drained → out of the route → OUTCOME
//! Withdrawn   weight 0 → accepted → drained → out of the route → scaled down → OUTCOME
//! ```

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_api::v1alpha1::ChallengerPhase;

use super::book::{Book, Grant, Life, Verdict};
use super::judge::{self, Stage};
use super::plan::{Measure, Plan, Step};
use super::position::Position;
use super::route::{self, Direction};
use super::settings::Settings;
use super::snapshot::{Candidate, Snapshot};
use super::{deletion, pods, records};
use crate::adapters::traffic::{Exposure, LiveWeight, MirrorPercent, ShareVerdict, Split, Target, rollback_target};

/// What a step returns: the value that the next one needs, or the plan of this pass.
pub type Pass<T> = ControlFlow<Plan, T>;

/// Everything that the steps of one life read.
pub struct Context<'a> {
    /// The world.
    pub snapshot: &'a Snapshot,
    /// The cycle's settings.
    pub settings: &'a Settings,
    /// The record.
    pub book: &'a Book,
    /// The life in it.
    pub life: &'a Life,
    /// The Challenger, while it exists.
    pub candidate: Option<&'a Candidate>,
    /// The time of this pass.
    pub now: Timestamp,
}

/// How often something is looked at that usually announces itself by an event.
const GLANCE: Duration = Duration::from_secs(1);

/// The plan of this pass for the life in the book.
#[must_use]
pub fn advance(context: &Context<'_>, position: Position) -> Plan {
    let end = if context.life.grant.is_over() {
        None
    } else {
        reason_to_withdraw(context)
    };
    let flow = match (end, &context.life.grant) {
        (Some(end), _) if goes_first(context) => ControlFlow::Break(traffic_first(context, end, position)),
        (Some(end), _) => ControlFlow::Break(withdraw(context, end, position)),
        (None, Grant::Shadow) => shadow(context, position),
        (None, Grant::Step { index, weight }) => canary(context, *index, *weight, position),
        (None, Grant::Promotion) => promotion(context, position),
        (None, Grant::Settled) => succession(context, position),
        (None, Grant::Withdrawn { verdict }) => withdrawal(context, *verdict, position),
    };
    match flow {
        ControlFlow::Break(plan) => plan,
        ControlFlow::Continue(never) => match never {},
    }
}

/// A life that ends without promotion: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The reason for conditions.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// Set when a person ended it.
    pub aborted: bool,
}

impl End {
    /// An end decided by the operator.
    pub fn by_operator(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            aborted: false,
        }
    }

    /// An end decided by a person.
    pub fn by_person(message: impl Into<String>) -> Self {
        Self {
            reason: Reason::Aborted,
            message: message.into(),
            aborted: true,
        }
    }

    /// The verdict, given whether live traffic was ever granted.
    #[must_use]
    pub fn verdict(&self, had_live_traffic: bool) -> Verdict {
        if self.aborted {
            Verdict::Aborted
        } else {
            Verdict::of_end(had_live_traffic)
        }
    }
}

/// Reasons that end a life at any point, without evidence and before anything else is looked at.
fn reason_to_withdraw(context: &Context<'_>) -> Option<End> {
    let Some(candidate) = context.candidate else {
        return Some(End::by_person("The Challenger was deleted"));
    };
    if candidate.deleting {
        return Some(End::by_person("The Challenger is being deleted"));
    }
    if let Some(decided) = candidate.pending_withdrawal {
        let message = "A withdrawal was decided while the ledger could not record it";
        return Some(match decided {
            ChallengerPhase::Aborted => End::by_person(message),
            _ => End::by_operator(Reason::LedgerUnavailable, message),
        });
    }
    if let Some(id) = candidate.abort.as_ref().or(candidate.cycle_abort.as_ref()) {
        let actor = candidate.abort_actor.as_ref();
        let of = actor.map(|actor| format!(" of {actor}")).unwrap_or_default();
        return Some(End::by_person(format!("Aborted by command {id}{of}")));
    }
    if context.snapshot.deleting {
        return Some(End::by_person("The PeninCycle is being deleted"));
    }
    if let Some(end) = disagreement(context) {
        return Some(end);
    }
    if !context.life.grant.is_live() {
        return None;
    }
    let serving = context.snapshot.revision(&context.life.revision.name);
    if serving.ready_endpoints == 0 {
        return Some(End::by_operator(
            Reason::NoHealthyBackend,
            format!(
                "Revision {} has live traffic and no ready endpoint",
                context.life.revision.name
            ),
        ));
    }
    None
}

/// The status remembers a later engine state than the ledger holds: the volume was restored from an older copy, or
/// the status was edited. Neither can be trusted with traffic.
fn disagreement(context: &Context<'_>) -> Option<End> {
    let remembered = &context.snapshot.remembered;
    let (cycle, hash) = (remembered.cycle?, remembered.state_hash.as_deref()?);
    let own = context.book.engine.cycle;
    let contradicts = cycle > own || (cycle == own && context.book.state_hash().as_deref() != Ok(hash));
    contradicts.then(|| {
        End::by_operator(
            Reason::StateMismatch,
            format!("The status remembers engine cycle {cycle}, the ledger holds cycle {own} with another state"),
        )
    })
}

/// The plan that ends a life: the entry first. Everything that follows needs no more evidence.
fn withdraw(context: &Context<'_>, end: End, position: Position) -> Plan {
    let record = records::withdrawal(context, &end);
    Plan::record(Step::Withdrawing, end.reason, end.message, record, position)
}

/// Whether a withdrawal cannot wait for its entry: the ledger has failed to take it once, or it takes nothing and
/// there is no Challenger whose status could remember that it was tried.
fn goes_first(context: &Context<'_>) -> bool {
    match context.candidate {
        Some(candidate) => candidate.pending_withdrawal.is_some(),
        None => context.snapshot.ledger.problem.is_some(),
    }
}

/// Takes the traffic away and records it when the ledger is well. The decision itself is queued on the volume.
fn traffic_first(context: &Context<'_>, end: End, position: Position) -> Plan {
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

/// Grant [`Grant::Shadow`].
fn shadow(context: &Context<'_>, position: Position) -> Pass<std::convert::Infallible> {
    let life = context.life;
    let deadline = context.settings.progress_deadline;
    let ready_by = life.granted_at + span(deadline);
    let replicas = context.settings.challenger_replicas;
    let has_entered = route::live_weights(context.snapshot).any(|(service, _)| service == life.revision.name);
    let mut position = position;
    if !has_entered {
        position = route::champion_stays(context, Step::StartingPods, position)?;
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

/// Grant [`Grant::Step`].
fn canary(context: &Context<'_>, index: usize, weight: u8, position: Position) -> Pass<std::convert::Infallible> {
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
        ..measure(context, quiet_since)
    };
    let Some(evidence) = &context.snapshot.evidence else {
        return ControlFlow::Break(Plan::measure(Step::StoppingMirror, measure, position));
    };
    match evidence.mirrored_requests() {
        Ok(0) => ControlFlow::Continue(position),
        seen => {
            overdue(
                context,
                context.settings.mirror_deadline(),
                Reason::EvidenceUnknown,
                "the mirror was not seen to be off",
                &position,
            )?;
            let message = match seen {
                Ok(count) => format!("The mirror was removed, and {count} requests still arrived at the challenger"),
                Err(unknown) => format!("The mirror was removed; whether requests still arrive is unknown: {unknown}"),
            };
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
        return ControlFlow::Break(Plan::measure(Step::MeasuringShare, measure(context, settled), position));
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
fn promotion(context: &Context<'_>, position: Position) -> Pass<std::convert::Infallible> {
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

/// Grant [`Grant::Settled`]: the former champion may go.
fn succession(context: &Context<'_>, position: Position) -> Pass<std::convert::Infallible> {
    let (_, position) = route::settle(
        context,
        &Split::ChampionOnly,
        Direction::Down,
        Step::CleaningUp,
        position,
    )?;
    let mut position = position;
    if let Some(former) = &context.life.former_champion {
        position = pods::scaled_down(context, &former.name, position)?;
    }
    let record = records::closed(context);
    let message = format!("Promoted: revision {} is the champion", context.life.revision.name);
    ControlFlow::Break(Plan::record(Step::Idle, Reason::Promoted, message, record, position))
}

/// Grant [`Grant::Withdrawn`]: down, without a single condition that could keep traffic up.
fn withdrawal(context: &Context<'_>, verdict: Verdict, position: Position) -> Pass<std::convert::Infallible> {
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
    let (_, position) = route::settle(
        context,
        &Split::ChampionOnly,
        Direction::Down,
        Step::CleaningUp,
        position,
    )?;
    pods::scaled_down(context, &challenger, position)
}

/// A champion without a ready endpoint cannot take the traffic back: while that lasts, a challenger that had live
/// traffic and can answer does. Neither evidence nor the ledger is asked.
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

/// Ends the life when `limit` has passed since the grant.
///
/// Every wait of the way up goes through here: what does not happen in time counts as refused.
pub fn overdue(
    context: &Context<'_>,
    limit: Duration,
    reason: Reason,
    waiting_for: &str,
    position: &Position,
) -> Pass<()> {
    let until = context.life.granted_at + span(limit);
    if context.now < until {
        return ControlFlow::Continue(());
    }
    let message = format!("Deadline of {} s exceeded: {waiting_for}", limit.as_secs());
    ControlFlow::Break(withdraw(context, End::by_operator(reason, message), position.clone()))
}

/// The evidence that the life's present stage needs.
#[must_use]
pub fn measure(context: &Context<'_>, traffic_since: Timestamp) -> Measure {
    let life = context.life;
    Measure {
        candidate: life.revision.name.clone(),
        // A former champion has no traffic to measure: its evidence was frozen.
        reference: life
            .former_champion
            .is_none()
            .then(|| context.book.champion.name.clone()),
        born_inside: true,
        mirrored: matches!(life.grant, Grant::Shadow),
        traffic_since,
        quality_since: life.began_at,
        until: context.now,
    }
}

/// A non-negative duration as a span of time.
#[must_use]
pub fn span(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

/// Time left until `until`, at least one millisecond.
#[must_use]
pub fn left(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now))
        .unwrap_or(Duration::ZERO)
        .max(Duration::from_millis(1))
}
