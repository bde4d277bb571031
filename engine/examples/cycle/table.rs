//! Renders a cycle as text that reads well in a terminal and is Markdown.

use std::fmt::Write as _;

use penin_engine::config::MetricConfig;
use penin_engine::gates::{Comparison, GateName, GateStatus, GateValue};
use penin_engine::linf::{self, Metric};
use penin_engine::master::{CycleOutcome, DIMENSIONS};
use penin_engine::num::{Num, logistic};

use super::scenario::Cycle;

/// Decision, reason and where the traffic goes.
pub fn summary(outcome: &CycleOutcome) -> String {
    let causes: Vec<&str> = outcome.causes.iter().map(|cause| cause.as_str()).collect();
    let because = if causes.is_empty() {
        String::new()
    } else {
        format!(" ({})", causes.join(", "))
    };
    format!(
        "Cycle {}: **{}**, {}{because}; traffic: {}. State {}… → {}….",
        outcome.cycle,
        outcome.decision,
        outcome.reason,
        text_of(&outcome.traffic),
        &outcome.pre_state_hash.to_string()[..8],
        &outcome.post_state_hash.to_string()[..8],
    )
}

/// Every gate of the trace.
pub fn gates(outcome: &CycleOutcome) -> String {
    let rows = outcome.gates.iter().map(|gate| {
        let symbol = match gate.comparison {
            Comparison::Lt => "<",
            Comparison::Le => "≤",
            Comparison::Ge => "≥",
            Comparison::Gt => ">",
            Comparison::Eq => "=",
        };
        [
            gate.name.as_str().to_owned(),
            value(gate.value),
            format!("{symbol} {}", bound(gate.threshold, gate.value)),
            gate.status.as_str().to_owned(),
            gate.reason.to_string(),
            gate.mode.as_str().to_owned(),
        ]
    });
    aligned(["gate", "value", "bound", "verdict", "reason", "mode"], rows)
}

/// The events in order with the beginning of their content hashes.
pub fn events(outcome: &CycleOutcome) -> String {
    let rows = outcome.events.iter().map(|event| {
        let bytes = event.canonical_text().len();
        [
            event.kind().as_str().to_owned(),
            format!("{bytes}"),
            format!("{}…", &event.content_hash().to_string()[..16]),
        ]
    });
    aligned(["event", "bytes", "content hash"], rows)
}

/// How the scores and the step come about, term by term.
pub fn arithmetic(cycle: &Cycle) -> String {
    let mut out = String::new();
    quality(&mut out, cycle);
    reflection(&mut out, cycle);
    step(&mut out, cycle);
    out
}

fn line(out: &mut String, name: &str, term: &str, result: f64) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{name:<6} = {term} = {}", number(result));
}

/// H and L∞.
fn quality(out: &mut String, cycle: &Cycle) {
    let (config, input, scores) = (&cycle.config, &cycle.input, &cycle.outcome.scores);
    let value_of = |metric: &MetricConfig| {
        metric
            .normalize
            .apply(input.metrics.get(&metric.name).copied().unwrap_or_default())
    };
    let metrics = config.linf.metrics.iter().map(|metric| Metric {
        name: metric.name.as_str().into(),
        weight: metric.weight,
        value: value_of(metric),
    });
    let metrics: Vec<Metric<'_>> = metrics.collect();
    let penalty = config.linf.cost_penalty;
    let harmonic = linf::aggregate(&metrics, input.cost, Num::new(penalty), None, None).harmonic;
    let terms = metrics.iter().map(|metric| {
        format!(
            "{}/{}",
            number(metric.weight),
            metric.value.map_or("?".to_owned(), number)
        )
    });
    line(
        out,
        "H",
        &format!("1 / ({})", terms.collect::<Vec<_>>().join(" + ")),
        harmonic,
    );
    if scores.linf > 0.0 {
        let discount = format!(
            "{} · e^(−{} · {})",
            number(harmonic),
            number(penalty),
            evidence(input.cost)
        );
        line(out, "L∞", &discount, scores.linf);
    } else {
        line(out, "L∞", "closed by the guard or by unusable evidence", scores.linf);
    }
    gain(out, cycle);
}

/// ΔL∞.
fn gain(out: &mut String, cycle: &Cycle) {
    let scores = &cycle.outcome.scores;
    let unknown = cycle
        .outcome
        .gates
        .iter()
        .any(|gate| gate.name == GateName::DeltaLinf && gate.status == GateStatus::Unknown);
    match scores.linf_reference {
        Some(reference) if !unknown => {
            line(
                out,
                "ΔL∞",
                &format!("{} − {}", number(scores.linf), number(reference)),
                scores.delta_linf,
            );
        }
        _ => line(out, "ΔL∞", "unknown", scores.delta_linf),
    }
}

/// CAOS⁺ and SR-Ω∞.
fn reflection(out: &mut String, cycle: &Cycle) {
    let (config, input, scores) = (&cycle.config, &cycle.input, &cycle.outcome.scores);
    let caos = input.caos.unwrap_or_default();
    let [c, a, o, s] = [caos.c, caos.a, caos.o, caos.s].map(evidence);
    let base = format!("(1 + {}·{c}·{a})^({o}·{s})", number(config.caos.kappa));
    line(
        out,
        "CAOS⁺",
        &format!("{base} · {}", number(scores.caos_boost)),
        scores.caos_plus,
    );
    let (sr, weights) = (input.sr.unwrap_or_default(), &config.sr.weights);
    let terms = [
        (weights.calibration, sr.calibration),
        (weights.ethics, sr.ethics),
        (weights.autocorrection, sr.autocorrection),
        (weights.metacognition, sr.metacognition),
    ];
    let terms = terms.map(|(weight, axis)| format!("{}/{}", number(weight), evidence(axis)));
    line(out, "SR", &format!("1 / ({})", terms.join(" + ")), scores.sr_harmonic);
}

/// α, the step, and what it moves.
fn step(out: &mut String, cycle: &Cycle) {
    let scores = &cycle.outcome.scores;
    let factors = [
        cycle.config.alpha0,
        logistic(2.0 * (scores.caos_plus - 1.0)),
        logistic(5.0 * (scores.sr_harmonic - 0.8)),
        logistic(5.0 * (scores.coherence - 0.7)),
        logistic(5.0 * (scores.oci - 0.9)),
    ];
    line(out, "α", &factors.map(number).join(" · "), scores.alpha);
    let factors = [scores.alpha, scores.delta_linf, scores.learning_rate];
    line(out, "step", &factors.map(number).join(" · "), scores.step);
    let radius = cycle.before.evolving.trust_radius;
    line(
        out,
        "taken",
        &format!("min({}, {})", number(scores.step), number(radius)),
        scores.step_applied,
    );
    line(
        out,
        "V′",
        &format!("(1 − {})²", number(scores.linf)),
        scores.lyapunov_next,
    );
    let pairs = cycle
        .before
        .evolving
        .vector
        .iter()
        .zip(cycle.after.evolving.vector.iter());
    let moved = pairs
        .filter(|((_, before), (_, after))| before.to_bits() != after.to_bits())
        .count();
    let _ = writeln!(
        out,
        "{moved} of {DIMENSIONS} coordinates of the state differ afterwards"
    );
}

fn evidence(x: Num) -> String {
    x.get().map_or_else(|| "?".to_owned(), number)
}

/// Up to six digits after the point, without trailing zeros; smaller numbers keep six significant digits.
fn number(x: f64) -> String {
    let places = if x != 0.0 && x.abs() < 0.001 { 9 } else { 6 };
    let text = format!("{x:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn value(value: GateValue) -> String {
    match value {
        GateValue::Number(x) => number(x),
        GateValue::Boolean(flag) => flag.to_string(),
        GateValue::Null => "—".to_owned(),
    }
}

/// A status gate has no bound of its own: it must be true.
fn bound(threshold: GateValue, compared: GateValue) -> String {
    match (threshold, compared) {
        (GateValue::Null, GateValue::Boolean(_) | GateValue::Null) => "true".to_owned(),
        (threshold, _) => value(threshold),
    }
}

fn text_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A Markdown table whose columns are padded to the same width.
fn aligned<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    let head = head.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let mut out = String::new();
    let mut write_row = |cells: &[String; N]| {
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(out, "| {cell}{} ", " ".repeat(width - cell.chars().count()));
        }
        out.push_str("|\n");
    };
    write_row(&head);
    write_row(&widths.map(|width| "-".repeat(width)));
    rows.iter().for_each(write_row);
    out
}
