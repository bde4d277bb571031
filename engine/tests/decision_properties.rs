//! Properties of whole cycles and of the step over arbitrary evidence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod effort;
mod support;

use effort::effort;
use penin_engine::EngineError;
use penin_engine::decision::{CycleReason, Decision, Traffic};
use penin_engine::event::EventType;
use penin_engine::gates::{Gate, GateName};
use penin_engine::lyapunov::{self};
use penin_engine::master::{State, StateVector, alpha, commit};
use penin_engine::num::Num;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{any_f64, config, cycle, default_config, disturbed, evidence, promotable, with_baseline};

proptest! {
    #![proptest_config(effort(256))]

    #[test]
    fn alpha_is_a_unit_value(numbers in prop::array::uniform5(evidence())) {
        let [alpha0, caos_plus, sr, coherence, oci] = numbers;
        let scored = alpha(alpha0, caos_plus, sr, coherence, oci);
        prop_assert!((0.0..=1.0).contains(&scored.value));
        prop_assert!(scored.is_ok() || scored.value == 0.0);
    }

    #[test]
    fn projection_stays_inside(values in prop::array::uniform13(0.0..=1.0_f64), step in any_f64(), max_norm in any_f64()) {
        let vector = StateVector::new(values).unwrap();
        let moved = vector.project(step, max_norm);
        // Squares of numbers below 1e-150 are subnormal and lose their digits; hypot does not square. Below the smallest normal number
        // the coordinates themselves have none left to keep a relative bound.
        let norm = moved.iter().map(|(_, x)| x).fold(0.0, libm::hypot);
        prop_assert!(moved.iter().all(|(_, x)| (0.0..=1.0).contains(&x)));
        if step.is_finite() && max_norm.is_finite() && max_norm > 0.0 {
            prop_assert!(norm <= max_norm * (1.0 + 1e-12) + f64::MIN_POSITIVE);
        }
        if !step.is_finite() {
            prop_assert_eq!(moved, vector);
        }
        if step.is_finite() && max_norm <= 0.0 {
            prop_assert!(norm <= 0.0);
        }
    }
}

proptest! {
    #![proptest_config(effort(512))]

    #[test]
    fn a_cycle_keeps_its_promises_whatever_the_evidence(document in disturbed(), chaos in any::<bool>(), fibonacci in any::<bool>()) {
        let config = config(&json!({"caos": {"chaosProbability": if chaos { 0.1 } else { 0.0 }}, "fibonacci": {"enabled": fibonacci}}));
        let state = with_baseline(&config);
        let (outcome, next) = cycle(&config, &state, &document);

        let required = || outcome.gates.iter().filter(|gate| gate.is_required());
        let raising = matches!(outcome.decision, Decision::Promote | Decision::Canary);
        prop_assert_eq!(raising, matches!(outcome.traffic, Traffic::Challenger | Traffic::Canary));
        if raising {
            prop_assert!(required().all(Gate::passed));
            prop_assert!(outcome.scores.step_applied > 0.0);
            prop_assert!(outcome.chaos_factor.is_none());
            prop_assert!(document["candidate"]["stub"] == json!(false));
        }
        if outcome.decision == Decision::Promote {
            prop_assert!(outcome.scores.delta_linf >= config.gates.delta_linf_min);
            prop_assert!(outcome.scores.lyapunov_next < outcome.scores.lyapunov_previous);
            prop_assert!(lyapunov::evaluate(Num::from(outcome.scores.linf_reference), Num::new(outcome.scores.linf)).decreasing);
            prop_assert_eq!(next.fallback.as_ref(), Some(&state.evolving));
        }
        prop_assert!(outcome.scores.step_applied <= state.evolving.trust_radius);
        let withdrawn = matches!(outcome.decision, Decision::Abort | Decision::Rollback);
        if withdrawn {
            prop_assert_eq!(outcome.pre_state_hash, outcome.post_state_hash);
        }
        prop_assert_eq!(outcome.decision == Decision::Hold, next.hold_streak == state.hold_streak + 1);

        let promoted = outcome.events.iter().filter(|event| event.kind() == EventType::PromoteAttest).count();
        prop_assert_eq!(promoted, usize::from(outcome.decision == Decision::Promote));
        let failed = outcome.events.iter().filter(|event| event.kind() == EventType::GateFail).count();
        prop_assert_eq!(failed, required().filter(|gate| !gate.passed()).count());

        next.validate(&config).unwrap();
        prop_assert_eq!(State::from_json(&config, &next.to_json()).unwrap(), next.clone());
        let text = serde_json::to_string(&outcome).unwrap();
        prop_assert_eq!(serde_json::from_str::<penin_engine::master::CycleOutcome>(&text).unwrap(), outcome.clone());
        prop_assert_eq!(commit(&state, &outcome, next.clone()).unwrap(), next.clone());
        prop_assert_eq!(commit(&next, &outcome, next.clone()), Err(EngineError::StateMismatch));
        // One event's data, serialised again, has the hash it was given.
        for event in &outcome.events {
            let text = serde_json::to_string(event).unwrap();
            prop_assert_eq!(&serde_json::from_str::<penin_engine::event::Event>(&text).unwrap(), event);
        }
    }
}

/// Fields whose evidence may be absent without keeping a candidate from promotion.
const OPTIONAL: &[&str] = &[
    "/candidate/digest",
    "/candidate/name",
    "/candidate/stub",
    "/stage",
    "/ethics/evidenceDigest",
    "/ethics/unknown",
    "/risk/series",
    "/league/reason",
];

#[test]
fn the_example_promotes() {
    let config = default_config();
    let state = with_baseline(&config);
    for stage in ["direct", "canary"] {
        let (outcome, _) = cycle(&config, &state, &promotable(stage));
        assert_eq!(outcome.decision, Decision::Promote, "{stage}");
    }
    let (outcome, _) = cycle(&config, &state, &promotable("shadow"));
    assert_eq!(outcome.decision, Decision::Canary);
}

#[test]
fn without_any_one_required_field_nothing_is_promoted() {
    // Every gate that can be switched on is on, so that every field is required.
    let config = config(&json!({
        "guard": {"coherenceMin": 0.85, "costIncreaseMax": 0.1},
        "gates": {"agape": {"mode": "Required"}},
    }));
    let mut first = support::baseline();
    first["costIncrease"] = json!(0);
    let state = cycle(&config, &State::new(&config), &first).1;
    let bad = [
        Value::Null,
        json!("NaN"),
        json!("Infinity"),
        json!("-Infinity"),
        json!(-1),
        json!(85),
    ];
    let mut tried = 0;
    for stage in ["direct", "shadow", "canary"] {
        let mut document = promotable(stage);
        document["virtues"] = json!({"hope": 0.9, "truth": 0.95});
        document["costIncrease"] = json!(0.05);
        document["champion"] = json!({
            "metrics": {"rsi": 0.8, "synergy": 0.78, "novelty": 0.72, "stability": 0.86, "viability": 0.84, "cost": 0.2},
            "cost": 0.1,
        });
        let (outcome, _) = cycle(&config, &state, &document);
        assert!(matches!(outcome.decision, Decision::Promote | Decision::Canary));
        for leaf in support::leaves(&document) {
            let league_unused = stage == "direct" && leaf.starts_with("/league");
            if OPTIONAL.contains(&leaf.as_str()) || league_unused {
                continue;
            }
            for value in &bad {
                let boolean = document.pointer(&leaf).unwrap().is_boolean();
                let status = leaf == "/league/status";
                // A saving, and a champion that costs a lot, are good news and possible.
                let good_news = (leaf == "/costIncrease" && *value == json!(-1))
                    || (leaf == "/champion/cost" && *value == json!(85));
                if good_news || ((boolean || status) && !value.is_null()) {
                    continue;
                }
                let mut broken = document.clone();
                *broken.pointer_mut(&leaf).unwrap() = value.clone();
                let (outcome, _) = cycle(&config, &state, &broken);
                assert!(
                    !matches!(outcome.decision, Decision::Promote | Decision::Canary),
                    "{stage} {leaf} = {value}: {}",
                    outcome.decision
                );
                tried += 1;
            }
        }
        for record in [
            "metrics",
            "caos",
            "sr",
            "modules",
            "oci",
            "ethics",
            "risk",
            "resources",
            "virtues",
            "costIncrease",
            "cost",
        ] {
            let mut broken = document.clone();
            broken[record] = Value::Null;
            let (outcome, _) = cycle(&config, &state, &broken);
            assert!(
                matches!(outcome.traffic, Traffic::Keep | Traffic::Champion),
                "{stage} {record}"
            );
            tried += 1;
        }
    }
    assert!(tried > 600, "{tried}");
}

#[test]
fn evidence_declared_unknown_never_promotes() {
    let config = default_config();
    let state = with_baseline(&config);
    for metric in ["ece", "rhoBias", "fairness", "consent", "ecoOk"] {
        let mut document = promotable("direct");
        document["ethics"]["unknown"] = json!({metric: "not_collected"});
        let (outcome, _) = cycle(&config, &state, &document);
        assert_eq!(outcome.decision, Decision::Hold, "{metric}");
        assert_eq!(outcome.reason, CycleReason::EvidenceUnknown);
        assert!(
            outcome.gates.iter().any(|gate| gate.reason == "not_collected"),
            "{metric}"
        );
    }
}

#[test]
fn chaos_never_promotes_and_never_repairs_bad_components() {
    let config = config(&json!({"caos": {"chaosProbability": 0.1}}));
    let mut struck = 0;
    let mut state = with_baseline(&config);
    for i in 0..300 {
        let mut document = promotable("direct");
        if i % 2 == 0 {
            // 85 scaled and limited would be a perfect 1.
            document["caos"]["c"] = json!(85);
        }
        let (outcome, next) = cycle(&config, &state, &document);
        if outcome.chaos_factor.is_some() {
            struck += 1;
            assert_ne!(outcome.decision, Decision::Promote);
            assert!(i % 2 == 1 || outcome.scores.caos_plus == 0.0);
        }
        state.rng = next.rng;
    }
    assert!(struck > 10, "{struck}");
}

#[test]
fn unusable_modules_leave_the_guard_undecided_instead_of_failing_it() {
    let config = config(&json!({"guard": {"coherenceMin": 0.85}}));
    let mut document = promotable("direct");
    document["modules"]["meta"] = json!("NaN");
    let (outcome, _) = cycle(&config, &with_baseline(&config), &document);
    assert_eq!(
        (outcome.decision, outcome.reason),
        (Decision::Hold, CycleReason::EvidenceUnknown)
    );
    let gate = outcome.gates.iter().find(|gate| gate.name == GateName::GuardCoherence);
    assert_eq!(gate.unwrap().reason, "non_finite");
}

#[test]
fn advice_on_contraction_ends_with_the_configured_passes() {
    let config = config(&json!({"lpsi": {"rho": 0.99, "maxPasses": 3}}));
    let mut document = promotable("canary");
    document["risk"]["uncertainty"] = json!(0.99);
    let (outcome, _) = cycle(&config, &with_baseline(&config), &document);
    assert_eq!((outcome.decision, outcome.reason), (Decision::Abort, CycleReason::Risk));
    let advice = outcome.contraction.unwrap();
    assert_eq!((advice.passes, advice.reached), (3, false));
}
