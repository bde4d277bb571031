//! `explain challenger`: why it is not promoted, gate by gate.

use std::fmt::Write as _;

use kube::ResourceExt as _;
use penin_api::v1alpha1::challenger::{ChallengerStatus, EvidenceState};
use penin_api::v1alpha1::{Challenger, ChallengerPhase, GateResult, GateStatus};

use crate::arguments::{ClusterArguments, Format};
use crate::cluster::Cluster;
use crate::table::{Tone, coloured, columns, plain, wrap};
use crate::tree::{clock, phase, tone};
use crate::what::{Kind, What};
use crate::{CommandError, Exit, gates, output, watch};

/// Width of explanations.
const WIDTH: usize = crate::table::WIDTH;

/// Runs the verb.
///
/// # Errors
/// What the API server answers, or that it does not.
pub async fn run(
    arguments: &ClusterArguments,
    what: What,
    name: Option<String>,
    format: Option<Format>,
) -> Result<Exit, CommandError> {
    if what.kind != Kind::Challenger {
        let problem = "challengers can be explained; for a cycle use: get cycle NAME";
        return Err(CommandError::Usage(problem.to_owned()));
    }
    let name = one_name(what, name)?;
    let cluster = Cluster::connect(arguments).await?;
    let challenger: Challenger = cluster.call(cluster.here().get(&name)).await?;
    match format {
        Some(Format::Name) => output::line(&output::names(Kind::Challenger, std::slice::from_ref(&challenger)))?,
        Some(format @ (Format::Json | Format::Yaml)) => output::value(&challenger.status, format)?,
        None | Some(Format::Wide) => output::bytes(explanation(&challenger, coloured()).as_bytes())?,
    }
    Ok(watch::verdict(&challenger))
}

/// The one name that is needed, before or behind the space.
///
/// # Errors
/// When there is none, or two.
pub fn one_name(what: What, name: Option<String>) -> Result<String, CommandError> {
    match (what.name, name) {
        (Some(name), None) | (None, Some(name)) => Ok(name),
        (None, None) => Err(CommandError::Usage("a name is missing".to_owned())),
        (Some(_), Some(_)) => Err(CommandError::Usage(
            "KIND/NAME names one object: no further names".to_owned(),
        )),
    }
}

/// Every gate and check of a challenger, with value, bound and verdict.
#[must_use]
pub fn explanation(challenger: &Challenger, colour: bool) -> String {
    let status = challenger.status.clone().unwrap_or_default();
    let phase = phase(challenger);
    let tone = tone(phase);
    let mut text = String::new();
    let head = format!(
        "{} Challenger {}/{} of cycle {}: {phase:?}",
        tone.sign(),
        challenger.namespace().unwrap_or_default(),
        challenger.name_any(),
        challenger.spec.cycle_ref.name
    );
    let _ = writeln!(text, "{}", tone.paint(&plain(&head), colour));
    for line in facts(&status, phase)
        .iter()
        .flat_map(|fact| wrap(&plain(fact), WIDTH - 2))
    {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str(&blocking(&status, phase, colour));
    text.push_str(&unknown(&status, colour));
    for (title, results) in [("GATE", &status.gates), ("CHECK", &status.checks)] {
        text.push_str(&table(title, results));
    }
    text
}

/// What is known about it apart from gates.
fn facts(status: &ChallengerStatus, phase: ChallengerPhase) -> Vec<String> {
    let mut facts = Vec::new();
    if !phase.is_final() && !status.message.is_empty() {
        facts.push(status.message.clone());
    }
    if phase.is_final() && phase != ChallengerPhase::Promoted {
        let traffic = if status.had_live_traffic {
            "It had live traffic, and has none any more."
        } else {
            "No live request ever reached it."
        };
        facts.push(traffic.to_owned());
    }
    if let Some(record) = &status.decision {
        let entry = record.entry.map(|entry| format!(", entry #{entry} of the ledger"));
        facts.push(format!(
            "Last decision: {:?} {} at {}, engine cycle {}{}.",
            record.decision,
            record.reason,
            clock(record.time.0),
            record.cycle,
            entry.unwrap_or_default()
        ));
    }
    // Of a life that is over, the message is about cleaning up as often as about the end.
    if phase.is_final() && !status.message.is_empty() {
        facts.push(format!("Last message: {}", status.message));
    }
    facts
}

/// Each gate that keeps it from going on, in a sentence of its own.
fn blocking(status: &ChallengerStatus, phase: ChallengerPhase, colour: bool) -> String {
    let all = gates::of(status);
    let blocking: Vec<&GateResult> = gates::by_urgency(&all)
        .into_iter()
        .filter(|gate| gates::blocks(gate))
        .collect();
    let head = match (phase, blocking.is_empty()) {
        (ChallengerPhase::Promoted, true) => return String::new(),
        // Its last judgement is what it was promoted with, or a later one that found something.
        (ChallengerPhase::Promoted, false) => "Promoted; at the last look not passed:",
        (_, true) if all.is_empty() => {
            return "\nNo gate was evaluated: nothing could be proved, so nothing was raised.\n".to_owned();
        }
        (_, true) => return "\nNo gate stands against it; the message above says what else does.\n".to_owned(),
        (phase, false) if phase.is_final() => "Not promoted because of:",
        (_, false) => "Not promoted yet because of:",
    };
    let mut text = format!("\n{head}\n");
    for gate in blocking {
        let sentence = sentence(gate);
        let mut lines = wrap(&sentence, WIDTH - 4).into_iter();
        let first = format!("{} {}", gates::tone(gate).sign(), lines.next().unwrap_or_default());
        let _ = writeln!(text, "  {}", gates::tone(gate).paint(&first, colour));
        for line in lines {
            let _ = writeln!(text, "    {}", gates::tone(gate).paint(&line, colour));
        }
    }
    text
}

fn sentence(gate: &GateResult) -> String {
    let name = plain(&gate.name);
    let reason = plain(&gate.reason);
    let found = match (gate.status, &gate.value, &gate.threshold) {
        (GateStatus::Fail, Some(_), Some(_)) => {
            format!("is {}, must be {} ({reason})", gates::value(gate), gates::bound(gate))
        }
        (GateStatus::Unknown, _, Some(_)) => {
            format!("is not known ({reason}), must be {}", gates::bound(gate))
        }
        (GateStatus::Unknown, ..) => format!("is not known ({reason})"),
        _ => format!("does not hold ({reason})"),
    };
    let about = gates::about(&gate.name);
    if about.is_empty() {
        format!("{name} {found}")
    } else {
        format!("{name} {found}: {about}")
    }
}

/// Evidence that cannot be used: what an unknown gate waits for.
fn unknown(status: &ChallengerStatus, colour: bool) -> String {
    let mut text = String::new();
    let unusable = status
        .evidence
        .iter()
        .filter(|evidence| evidence.state == EvidenceState::Unknown);
    for evidence in unusable {
        if text.is_empty() {
            text.push_str("\nEvidence that cannot be used:\n");
        }
        let sentence = format!("? {} ({}): {}", evidence.name, evidence.reason, evidence.message);
        for (index, line) in wrap(plain(&sentence).trim_end_matches(": "), WIDTH - 4)
            .iter()
            .enumerate()
        {
            let set_in = if index == 0 { "  " } else { "    " };
            let _ = writeln!(text, "{set_in}{}", Tone::Open.paint(line, colour));
        }
    }
    text
}

fn table(title: &str, results: &[GateResult]) -> String {
    if results.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|gate| {
            let [name, value, bound, verdict, why] = gates::cells(gate);
            vec![name, value, bound, verdict, why]
        })
        .collect();
    let title = format!("  {title}");
    format!("\n{}\n", columns(&[&title, "VALUE", "BOUND", "VERDICT", "WHY"], &rows))
}
