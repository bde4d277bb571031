//! Gates and checks as lines of text: value, bound, verdict; and what each of them is about.

use penin_api::v1alpha1::{ChallengerStatus, Comparison, GateMode, GateResult, GateStatus};
use penin_api::values::DecimalString;

use crate::table::{Tone, cut, plain};

/// Significant digits that are shown of a number.
const DIGITS: usize = 6;

/// All gates of a challenger, and the checks that are not gates as well.
#[must_use]
pub fn of(status: &ChallengerStatus) -> Vec<GateResult> {
    let known = |name: &str| status.gates.iter().any(|gate| gate.name == name);
    let checks = status.checks.iter().filter(|check| !known(&check.name));
    status.gates.iter().chain(checks).cloned().collect()
}

/// Whether a gate keeps a challenger from going on.
#[must_use]
pub fn blocks(gate: &GateResult) -> bool {
    gate.mode == GateMode::Required && gate.status != GateStatus::Pass
}

/// How a gate went.
#[must_use]
pub const fn tone(gate: &GateResult) -> Tone {
    match gate.status {
        GateStatus::Pass => Tone::Good,
        GateStatus::Fail => Tone::Bad,
        GateStatus::Unknown => Tone::Open,
    }
}

/// The sign before a gate; one that only advises alarms nobody.
#[must_use]
pub const fn sign(gate: &GateResult) -> &'static str {
    match (gate.mode, gate.status) {
        (GateMode::Advisory, GateStatus::Fail | GateStatus::Unknown) => "·",
        _ => tone(gate).sign(),
    }
}

/// `3 pass, 1 fail, 2 unknown`: of the gates that must pass.
#[must_use]
pub fn count(gates: &[GateResult]) -> String {
    let of = |status| {
        let required = gates.iter().filter(|gate| gate.mode == GateMode::Required);
        required.filter(|gate| gate.status == status).count()
    };
    let (pass, fail, unknown) = (of(GateStatus::Pass), of(GateStatus::Fail), of(GateStatus::Unknown));
    let mut parts = vec![format!("{pass} pass")];
    if fail > 0 {
        parts.push(format!("{fail} fail"));
    }
    if unknown > 0 {
        parts.push(format!("{unknown} unknown"));
    }
    parts.join(", ")
}

/// Those that block first, then in the order of the trace.
#[must_use]
pub fn by_urgency(gates: &[GateResult]) -> Vec<&GateResult> {
    let mut sorted: Vec<&GateResult> = gates.iter().collect();
    sorted.sort_by_key(|gate| match (gate.mode, gate.status) {
        (GateMode::Required, GateStatus::Fail) => 0,
        (GateMode::Required, GateStatus::Unknown) => 1,
        (GateMode::Required, GateStatus::Pass) => 2,
        (GateMode::Advisory, _) => 3,
    });
    sorted
}

/// Cells of a gate: sign and name, value, bound, verdict, why.
#[must_use]
pub fn cells(gate: &GateResult) -> [String; 5] {
    let mut why = if gate.reason == "ok" {
        String::new()
    } else {
        plain(&gate.reason)
    };
    if gate.mode == GateMode::Advisory {
        why = if why.is_empty() {
            "(advisory)".to_owned()
        } else {
            format!("{why} (advisory)")
        };
    }
    [
        format!("{} {}", sign(gate), plain(&gate.name)),
        value(gate),
        bound(gate),
        format!("{:?}", gate.status),
        why,
    ]
}

/// The value, in as many digits as tell it from its bound.
#[must_use]
pub fn value(gate: &GateResult) -> String {
    let Some(value) = &gate.value else {
        return "-".to_owned();
    };
    let shown = short(value);
    let bound = gate.threshold.as_ref().map(short);
    let same_text = bound.as_ref() == Some(&shown);
    if same_text && gate.threshold.as_ref() != Some(value) {
        return cut(value.as_str(), 20);
    }
    shown
}

/// The bound with its direction.
#[must_use]
pub fn bound(gate: &GateResult) -> String {
    let sign = match gate.comparison {
        Comparison::LessThan => "<",
        Comparison::AtMost => "≤",
        Comparison::AtLeast => "≥",
        Comparison::GreaterThan => ">",
        Comparison::Equal => "=",
    };
    gate.threshold
        .as_ref()
        .map_or_else(|| "-".to_owned(), |threshold| format!("{sign} {}", short(threshold)))
}

/// A number in [`DIGITS`] significant digits.
fn short(number: &DecimalString) -> String {
    let text = number.as_str();
    if text.len() <= DIGITS + 2 {
        return text.to_owned();
    }
    let precision = DIGITS - 1;
    let rounded: f64 = format!("{:.precision$e}", number.to_f64())
        .parse()
        .unwrap_or_else(|_| number.to_f64());
    if rounded == 0.0 || (1e-4..1e9).contains(&rounded.abs()) {
        rounded.to_string()
    } else {
        format!("{rounded:e}")
    }
}

/// What a gate or check is about, in words.
#[must_use]
pub fn about(name: &str) -> &'static str {
    match name {
        "cpu" => "processor use of the busiest pod, of its limit",
        "mem" => "memory use of the fullest pod, of its limit",
        "risk_rho" | "rho" => "risk of the challenger, as a multiple of the champion's",
        "uncertainty" => "entropy of its predictions, in bits",
        "ece" => "expected calibration error of its probabilities",
        "rho_bias" => "ratio of selection rates of groups of people",
        "consent" => "declared consent to the use of the data",
        "eco_ok" => "declared ecological cost",
        "fairness" => "one minus the largest difference between groups",
        "guard_coherence" | "coherence" => "coherence of the eight modules",
        "cost_increase" => "cost beyond the champion's",
        "kappa" => "gain of CAOS⁺ in the configuration",
        "caos_plus" => "CAOS⁺",
        "sr" => "reflexive score SR-Ω∞",
        "delta_linf" => "gain of L∞ over the reference",
        "guard" => "all gates of the guard together",
        "oci" => "closure of the organisation: checks that hold, of all",
        "agape" => "Agápe index",
        "league" => "the checks of the stage together",
        "traffic" => "share of live traffic as it was written",
        "samples" => "requests in this stage",
        "error_rate" => "share of failed requests",
        "sequential" => "sequential test of the error rates",
        "p95_latency" => "95th percentile of latency, in milliseconds",
        "latency_shift" => "rank test of latency against the champion's",
        "mean_delta_linf" => "mean gain of L∞ in this stage",
        "linf_champion" => "L∞ above the champion's",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gate(value: &str, threshold: &str, status: &str) -> GateResult {
        serde_json::from_value(json!({
            "name": "ece", "value": value, "threshold": threshold, "comparison": "AtMost", "status": status,
            "reason": "ok", "mode": "Required",
        }))
        .unwrap()
    }

    #[test]
    fn numbers_have_six_digits_and_small_ones_an_exponent() {
        let cases = [
            ("1.25", "1.25"),
            ("0.821000001", "0.821"),
            ("0.021473684", "0.0214737"),
            ("123456.789012345", "123457"),
            ("-0.049123456", "-0.0491235"),
            ("0.000000123", "1.23e-7"),
            ("123456789.5", "123457000"),
            ("0.000000000", "0"),
        ];
        for (text, expected) in cases {
            assert_eq!(short(&text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_value_just_beyond_its_bound_does_not_look_like_the_bound() {
        let close = gate("0.030000001", "0.03", "Fail");
        assert_eq!(value(&close), "0.030000001");
        assert_eq!(value(&gate("0.03", "0.03", "Pass")), "0.03");
        assert_eq!(bound(&close), "≤ 0.03");
    }

    #[test]
    fn every_gate_of_the_engine_is_explained() {
        // The names of penin-engine's gates and league checks; the crate itself is not needed here.
        let names = [
            "cpu",
            "mem",
            "risk_rho",
            "uncertainty",
            "rho",
            "ece",
            "rho_bias",
            "consent",
            "eco_ok",
            "fairness",
            "guard_coherence",
            "cost_increase",
            "kappa",
            "caos_plus",
            "sr",
            "delta_linf",
            "guard",
            "coherence",
            "oci",
            "agape",
            "league",
            "traffic",
            "samples",
            "error_rate",
            "sequential",
            "p95_latency",
            "latency_shift",
            "mean_delta_linf",
            "linf_champion",
        ];
        for name in names {
            assert!(!about(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn what_blocks_comes_first() {
        let mut advisory = gate("1", "2", "Fail");
        advisory.mode = GateMode::Advisory;
        let gates = [
            advisory,
            gate("1", "2", "Pass"),
            gate("1", "2", "Unknown"),
            gate("3", "2", "Fail"),
        ];
        let order: Vec<_> = by_urgency(&gates).iter().map(|gate| (gate.mode, gate.status)).collect();
        assert_eq!(
            order,
            [
                (GateMode::Required, GateStatus::Fail),
                (GateMode::Required, GateStatus::Unknown),
                (GateMode::Required, GateStatus::Pass),
                (GateMode::Advisory, GateStatus::Fail),
            ]
        );
        assert_eq!(count(&gates), "1 pass, 1 fail, 1 unknown");
        assert_eq!(gates.iter().filter(|gate| blocks(gate)).count(), 2);
    }
}
