//! A challenger in the tree of its cycle.

use std::fmt::Write as _;

use jiff::Timestamp;
use kube::ResourceExt as _;
use penin_api::v1alpha1::challenger::{ChallengerStatus, EvidenceState, LifePosition, LifeState, ShareStatus};
use penin_api::v1alpha1::cycle::ActiveChallenger;
use penin_api::v1alpha1::{Challenger, ChallengerPhase, GateResult, PeninCycleSpec};
use penin_api::values::Duration;

use super::{Node, View, clock};
use crate::gates;
use crate::rows::ago;
use crate::table::{Tone, columns, plain};

/// The phase of a challenger; one that nobody has looked at is pending.
#[must_use]
pub fn phase(challenger: &Challenger) -> ChallengerPhase {
    let status = challenger.status.as_ref();
    status
        .and_then(|status| status.phase)
        .unwrap_or(ChallengerPhase::Pending)
}

/// How a phase stands.
#[must_use]
pub const fn tone(phase: ChallengerPhase) -> Tone {
    match phase {
        ChallengerPhase::Promoted => Tone::Good,
        ChallengerPhase::Rejected | ChallengerPhase::RolledBack | ChallengerPhase::Aborted => Tone::Bad,
        _ => Tone::Open,
    }
}

/// When a challenger's life ended: since when it has been ready, or has not been.
pub fn ended_at(challenger: &Challenger) -> Option<Timestamp> {
    let conditions = &challenger.status.as_ref()?.conditions;
    let times = conditions
        .iter()
        .filter(|condition| condition.type_ == "Stalled" || condition.type_ == "Ready");
    times.map(|condition| condition.last_transition_time.0).max()
}

/// The one in flight, with its traffic, its gates and what it waits for.
pub fn active(view: &View<'_>, active: &ActiveChallenger, object: Option<&Challenger>) -> Node {
    let status = object
        .and_then(|challenger| challenger.status.clone())
        .unwrap_or_default();
    let position = status.position.as_ref();
    let mut head = format!("{}: {}", active.name, stage(active.stage, position, &view.cycle.spec));
    if let Some(position) = position {
        head = format!(
            "{head}, {} since {} ({})",
            doing(position.state),
            clock(position.since.0),
            ago(position.since.0, view.now)
        );
    }
    let mut node = Node::labelled("challenger", &head);
    if let Some(revision) = &active.revision {
        node.push(Node::labelled("revision", revision));
    }
    node.push(traffic(active, status.share.as_ref()));
    node.extend(window(view, active.stage, position));
    if !status.message.is_empty() {
        node.push(Node::labelled("now", &status.message));
    }
    node.extend(unread(&status));
    node.extend([table("gates", "not evaluated yet", &status.gates)]);
    node.extend([table("checks", "not evaluated yet", &status.checks)]);
    node
}

fn stage(phase: ChallengerPhase, position: Option<&LifePosition>, spec: &PeninCycleSpec) -> String {
    match (phase, position.and_then(|position| position.step_index)) {
        (ChallengerPhase::Canary, Some(index)) => {
            format!("Canary, step {} of {}", u32::from(index) + 1, spec.canary.steps.len())
        }
        _ => format!("{phase:?}"),
    }
}

const fn doing(state: LifeState) -> &'static str {
    match state {
        LifeState::Queued => "waiting for its turn",
        LifeState::Preparing => "starting pods",
        LifeState::Entering => "entering the route",
        LifeState::Mirroring => "judged on mirrored requests",
        LifeState::Unmirroring => "leaving the mirror",
        LifeState::Shifting => "changing its weight",
        LifeState::Observing => "judged on live requests",
        LifeState::ScalingUp => "scaling up",
        LifeState::Promoting => "taking over",
        LifeState::Watching => "watched as the new champion",
        LifeState::Withdrawing => "leaving traffic",
        LifeState::Draining => "finishing open requests",
        LifeState::ScalingDown => "scaling down",
        LifeState::Done => "done",
    }
}

fn traffic(active: &ActiveChallenger, share: Option<&ShareStatus>) -> Node {
    let weight = &active.weight;
    let measured = weight
        .measured
        .as_ref()
        .or(share.and_then(|share| share.measured.as_ref()));
    let samples = weight.samples.or(share.and_then(|share| share.samples));
    let mut text = format!(
        "weight wanted {}%, written {}%, measured ",
        weight.wanted.get(),
        weight.written.get()
    );
    text.push_str(&measured.map_or_else(|| "-".to_owned(), |measured| format!("{measured}%")));
    if let Some(samples) = samples.filter(|_| measured.is_some()) {
        let _ = write!(text, " of {samples} requests");
    }
    if let Some((low, high)) = share.and_then(|share| Some((share.low.as_ref()?, share.high.as_ref()?))) {
        let _ = write!(text, " (must be {low}% to {high}%)");
    }
    let node = Node::labelled("traffic", &text);
    // More than is wanted is more than there should be, even while it is being taken away.
    if weight.written > weight.wanted {
        node.with_tone(Tone::Bad)
    } else {
        node
    }
}

/// How long evidence has been gathered, and how long it has to be.
fn window(view: &View<'_>, phase: ChallengerPhase, position: Option<&LifePosition>) -> Option<Node> {
    let position = position?;
    let start = position.timers.window_start.as_ref()?.0;
    let spec = &view.cycle.spec;
    let (least, deadline): (&Duration, &Duration) = match phase {
        ChallengerPhase::Shadow => (&spec.shadow.duration, &spec.shadow.deadline),
        ChallengerPhase::Canary | ChallengerPhase::Promoting => {
            let step = spec.canary.steps.get(usize::from(position.step_index.unwrap_or(0)))?;
            (&step.duration, &spec.canary.deadline)
        }
        ChallengerPhase::Watching => (&spec.promotion.watch, &spec.promotion.deadline),
        _ => return None,
    };
    let text = format!(
        "gathered for {} of at least {least}; given up after {deadline}",
        ago(start, view.now)
    );
    Some(Node::labelled("evidence", &text))
}

/// Evidence that cannot be used, and why.
fn unread(status: &ChallengerStatus) -> Vec<Node> {
    let unknown = status
        .evidence
        .iter()
        .filter(|evidence| evidence.state == EvidenceState::Unknown);
    unknown
        .map(|evidence| {
            let text = format!(
                "? {} evidence unknown ({}): {}",
                evidence.name, evidence.reason, evidence.message
            );
            Node::toned(Tone::Open, text.trim_end_matches(": ").to_owned())
        })
        .collect()
}

/// Gates in columns, those that block first and in their colour.
fn table(label: &str, none: &str, results: &[GateResult]) -> Node {
    if results.is_empty() {
        return Node::labelled(label, none);
    }
    let mut listed = Node::labelled(label, &gates::count(results));
    listed.extend(lines(&gates::by_urgency(results)));
    listed
}

fn lines(sorted: &[&GateResult]) -> Vec<Node> {
    let rows: Vec<Vec<String>> = sorted.iter().map(|gate| gates::cells(gate).to_vec()).collect();
    let text = columns(&["", "", "", "", ""], &rows);
    let nodes = text.lines().zip(sorted).map(|(line, gate)| {
        let node = Node::text(line);
        if gates::blocks(gate) {
            node.with_tone(gates::tone(gate))
        } else {
            node
        }
    });
    nodes.collect()
}

/// One whose life is over: how, and the gates that it did not pass.
pub fn ended(view: &View<'_>, challenger: &Challenger) -> Node {
    let status = challenger.status.clone().unwrap_or_default();
    let phase = phase(challenger);
    let tone = tone(phase);
    let mut head = format!("{} {}: {phase:?}", tone.sign(), challenger.name_any());
    if let Some(time) = ended_at(challenger) {
        head = format!("{head} {} ({} ago)", clock(time), ago(time, view.now));
    }
    let mut node = Node::toned(tone, head);
    if let Some(record) = &status.decision {
        let entry = record
            .entry
            .map(|entry| format!(", entry #{entry}"))
            .unwrap_or_default();
        node.push(Node::labelled(
            "decision",
            &format!("{:?} {}{entry}", record.decision, record.reason),
        ));
    }
    if !status.message.is_empty() {
        node.push(Node::labelled("message", &plain(&status.message)));
    }
    if phase != ChallengerPhase::Promoted {
        let all = gates::of(&status);
        let blocking: Vec<&GateResult> = gates::by_urgency(&all)
            .into_iter()
            .filter(|gate| gates::blocks(gate))
            .collect();
        node.extend(lines(&blocking));
    }
    node
}
