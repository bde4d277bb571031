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

mod down;
mod up;

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_api::v1alpha1::ChallengerPhase;

use super::book::{Book, Grant, Life, Verdict};
use super::plan::{Measure, Plan};
use super::position::Position;
use super::settings::Settings;
use super::snapshot::{Candidate, Snapshot};

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
    let position = disturbed(context, position);
    let flow = match (end, &context.life.grant) {
        (Some(end), _) if down::goes_first(context) => ControlFlow::Break(down::traffic_first(context, end, position)),
        (Some(end), _) => ControlFlow::Break(down::withdraw(context, end, position)),
        (None, Grant::Shadow) => up::shadow(context, position),
        (None, Grant::Step { index, weight }) => up::canary(context, *index, *weight, position),
        (None, Grant::Promotion) => up::promotion(context, position),
        (None, Grant::Settled) => down::succession(context, position),
        (None, Grant::Withdrawn { verdict }) => down::withdrawal(context, *verdict, position),
    };
    match flow {
        ControlFlow::Break(plan) => plan,
        ControlFlow::Continue(never) => match never {},
    }
}

/// Remembers that requests may have reached the revision's pods past the route: what its counters say until then is no
/// evidence. Pods that were never ready have counted nothing.
fn disturbed(context: &Context<'_>, position: Position) -> Position {
    let ready = context.snapshot.revision(&context.life.revision.name).ready_endpoints;
    if context.snapshot.selector_conflict.is_none() || ready == 0 {
        return position;
    }
    Position {
        disturbed_until: Some(context.now),
        ..position
    }
}

/// From when on requests reached the pods through the route alone; None when they always did. While a conflict stands,
/// everything counts: what is bad in it still ends the life, and nothing in it raises anything.
#[must_use]
pub fn undisturbed_since(context: &Context<'_>, position: &Position) -> Option<Timestamp> {
    match context.snapshot.selector_conflict {
        Some(_) => None,
        None => position.disturbed_until,
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
        let message = format!(
            "The status remembers engine cycle {cycle}, the ledger holds cycle {own} with another state{}",
            other_operator(context.snapshot)
        );
        End::by_operator(Reason::StateMismatch, message)
    })
}

/// Whose status it is, when another ledger's operator wrote it.
fn other_operator(snapshot: &Snapshot) -> String {
    let own = &snapshot.ledger.origin;
    let other = snapshot.remembered.origin.as_ref().filter(|origin| *origin != own);
    other.map_or_else(String::new, |origin| {
        format!(
            ". The status was written by the operator of ledger {origin}, and this one's is {own}: let one of them watch \
             this namespace"
        )
    })
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
    ControlFlow::Break(down::withdraw(
        context,
        End::by_operator(reason, message),
        position.clone(),
    ))
}

/// The evidence that the life's present stage needs.
#[must_use]
pub fn measure(context: &Context<'_>, position: &Position, traffic_since: Timestamp) -> Measure {
    let life = context.life;
    let undisturbed = undisturbed_since(context, position);
    Measure {
        candidate: life.revision.name.clone(),
        // A former champion has no traffic to measure: its evidence was frozen.
        reference: life
            .former_champion
            .is_none()
            .then(|| context.book.champion.name.clone()),
        born_inside: undisturbed.is_none(),
        mirrored: matches!(life.grant, Grant::Shadow),
        traffic_since,
        quality_since: undisturbed.map_or(life.began_at, |since| since.max(life.began_at)),
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
