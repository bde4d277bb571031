//! One cycle as a tree, and one challenger gate by gate: pure text.

use std::fmt::Write as _;

use kube::ResourceExt as _;
use penin_api::v1alpha1::{Challenger, ChallengerPhase, Comparison, GateMode, GateResult, GateStatus, PeninCycle};

use crate::table::{Tone, columns, cut};

/// Widest line.
const WIDTH: usize = 100;

/// How a phase stands.
#[must_use]
pub const fn tone(phase: Option<ChallengerPhase>) -> Tone {
    match phase {
        Some(ChallengerPhase::Promoted) => Tone::Good,
        Some(ChallengerPhase::Rejected | ChallengerPhase::RolledBack | ChallengerPhase::Aborted) => Tone::Bad,
        _ => Tone::Open,
    }
}

/// A cycle with its champion, its challengers and their gates.
#[must_use]
pub fn cycle(cycle: &PeninCycle, challengers: &[Challenger], colour: bool) -> String {
    let status = cycle.status.clone().unwrap_or_default();
    let ready = condition(&status.conditions, "Ready");
    let mut text = format!(
        "PeninCycle {}/{}  {ready}\n",
        cycle.namespace().unwrap_or_default(),
        cycle.name_any()
    );
    if let Some(champion) = &status.champion {
        let _ = writeln!(
            text,
            "├─ champion    {}  {} ready, since {}",
            champion.revision, champion.ready_endpoints, champion.since.0
        );
    }
    if let Some(active) = &status.challenger {
        let weight = &active.weight;
        let measured = weight.measured.as_ref().map_or("-", |measured| measured.as_str());
        let _ = writeln!(
            text,
            "├─ challenger  {}  {:?}  weight wanted {} % written {} % measured {measured} %",
            active.name,
            active.stage,
            weight.wanted.get(),
            weight.written.get()
        );
    }
    if let Some(ledger) = &status.ledger {
        let _ = writeln!(
            text,
            "├─ ledger      {} entries, root {}…",
            ledger.size.get(),
            cut(&ledger.root, 13)
        );
    }
    for (index, challenger) in challengers.iter().enumerate() {
        let last = index + 1 == challengers.len();
        text.push_str(&branch(challenger, last, colour));
    }
    text
}

fn branch(challenger: &Challenger, last: bool, colour: bool) -> String {
    let status = challenger.status.clone().unwrap_or_default();
    let tone = tone(status.phase);
    let phase = status
        .phase
        .map_or_else(|| "Pending".to_owned(), |phase| format!("{phase:?}"));
    let (corner, stem) = if last { ("└─", "   ") } else { ("├─", "│  ") };
    let head = tone.paint(&format!("{} {phase}", tone.sign()), colour);
    let mut text = format!("{corner} {}  {head}\n", challenger.name_any());
    if !status.message.is_empty() {
        let _ = writeln!(text, "{stem}   {}", cut(&status.message, WIDTH - 6));
    }
    let decided = status.decision.iter().map(|decision| {
        let entry = decision
            .entry
            .map(|entry| format!(", entry {}", entry.get()))
            .unwrap_or_default();
        format!("{:?} {}{entry}", decision.decision, decision.reason)
    });
    for line in decided {
        let _ = writeln!(text, "{stem}   decision: {line}");
    }
    for gate in status.gates.iter().filter(|gate| gate.mode == GateMode::Required) {
        let tone = gate_tone(gate);
        let line = format!("{} {:<13} {}", tone.sign(), gate.name, bound(gate));
        let _ = writeln!(text, "{stem}   {}", tone.paint(&line, colour));
    }
    text
}

/// Every gate and check of a challenger, with value, bound and verdict.
#[must_use]
pub fn explain(challenger: &Challenger, colour: bool) -> String {
    let status = challenger.status.clone().unwrap_or_default();
    let phase = status
        .phase
        .map_or_else(|| "Pending".to_owned(), |phase| format!("{phase:?}"));
    let mut text = format!("Challenger {}: {phase}\n{}\n", challenger.name_any(), status.message);
    for (title, gates) in [("GATE", &status.gates), ("CHECK", &status.checks)] {
        if gates.is_empty() {
            continue;
        }
        let rows: Vec<Vec<String>> = gates.iter().map(row).collect();
        let _ = writeln!(
            text,
            "\n{}",
            columns(&["", title, "VALUE", "BOUND", "VERDICT", "REASON", "MODE"], &rows)
        );
    }
    let unknown: Vec<Vec<String>> = status
        .evidence
        .iter()
        .filter(|evidence| !evidence.reason.is_empty())
        .map(|evidence| {
            vec![
                evidence.name.clone(),
                evidence.reason.clone(),
                cut(&evidence.message, 60),
            ]
        })
        .collect();
    if !unknown.is_empty() {
        let _ = writeln!(text, "\n{}", columns(&["EVIDENCE", "UNKNOWN BECAUSE", ""], &unknown));
    }
    let blocking: Vec<&str> = status
        .gates
        .iter()
        .filter(|gate| gate.mode == GateMode::Required && gate.status != GateStatus::Pass)
        .map(|gate| gate.name.as_str())
        .collect();
    if !blocking.is_empty() {
        let line = format!("Not promoted because of: {}", blocking.join(", "));
        let _ = writeln!(text, "\n{}", Tone::Bad.paint(&line, colour));
    }
    text
}

fn row(gate: &GateResult) -> Vec<String> {
    let number =
        |value: Option<&penin_api::values::DecimalString>| value.map_or("-".to_owned(), |v| cut(v.as_str(), 12));
    let mode = match gate.mode {
        GateMode::Required => "required",
        GateMode::Advisory => "advisory",
    };
    vec![
        gate_tone(gate).sign().to_owned(),
        gate.name.clone(),
        number(gate.value.as_ref()),
        gate.threshold.as_ref().map_or_else(
            || "-".to_owned(),
            |t| format!("{} {}", sign(gate.comparison), t.as_str()),
        ),
        format!("{:?}", gate.status),
        gate.reason.clone(),
        mode.to_owned(),
    ]
}

fn bound(gate: &GateResult) -> String {
    let value = gate
        .value
        .as_ref()
        .map_or_else(|| "-".to_owned(), |value| cut(value.as_str(), 12));
    match &gate.threshold {
        Some(threshold) => format!(
            "{value:<13} {} {:<8} {}",
            sign(gate.comparison),
            threshold.as_str(),
            gate.reason
        ),
        None => gate.reason.clone(),
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::LessThan => "<",
        Comparison::AtMost => "≤",
        Comparison::AtLeast => "≥",
        Comparison::GreaterThan => ">",
        Comparison::Equal => "=",
    }
}

const fn gate_tone(gate: &GateResult) -> Tone {
    match gate.status {
        GateStatus::Pass => Tone::Good,
        GateStatus::Fail => Tone::Bad,
        GateStatus::Unknown => Tone::Open,
    }
}

fn condition(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition], type_: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == type_);
    found.map_or_else(
        || "not seen by an operator yet".to_owned(),
        |condition| {
            format!(
                "{type_}={} ({}) {}",
                condition.status,
                condition.reason,
                cut(&condition.message, 50)
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused() -> Challenger {
        serde_json::from_value(json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "Challenger", "metadata": {"name": "unfair", "namespace": "demo"},
            "spec": {"cycleRef": {"name": "income"}, "containers": [{"name": "server", "image": "x"}]},
            "status": {
                "phase": "Rejected", "message": "Reject SIGMA_GUARD",
                "gates": [
                    {"name": "rho_bias", "value": "3.2", "threshold": "1.25", "comparison": "AtMost", "status": "Fail", "reason": "above_maximum", "mode": "Required"},
                    {"name": "ece", "value": "0.01", "threshold": "0.03", "comparison": "AtMost", "status": "Pass", "reason": "ok", "mode": "Required"},
                    {"name": "agape", "comparison": "AtLeast", "status": "Unknown", "reason": "missing", "mode": "Advisory"},
                ],
            },
        }))
        .unwrap()
    }

    #[test]
    fn an_explanation_names_what_blocks_and_nothing_else() {
        let text = explain(&refused(), false);
        assert!(text.contains("Not promoted because of: rho_bias\n"), "{text}");
        assert!(text.contains("✖  rho_bias  3.2    ≤ 1.25  Fail"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn lines_of_the_tree_fit_a_terminal() {
        let cycle_object: PeninCycle = serde_json::from_value(json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle", "metadata": {"name": "income", "namespace": "demo"},
            "spec": {
                "targetRef": {"kind": "Deployment", "name": "income"}, "service": {"port": 80, "targetPort": 8080},
                "traffic": {"gateway": {"parentRefs": [{"name": "edge"}]}},
                "evidence": [{"name": "e", "prometheus": {"address": "http://prometheus:9090"}, "preset": "EnvoyGateway"}],
                "scores": {"linf": {"metrics": [{"name": "success", "weight": "1", "preset": "SuccessRatio"}]}},
            },
        }))
        .unwrap();
        let mut long = refused();
        if let Some(status) = &mut long.status {
            status.message = "m".repeat(500);
        }
        let text = cycle(&cycle_object, &[long], false);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("✖ Rejected"), "{text}");
    }
}
