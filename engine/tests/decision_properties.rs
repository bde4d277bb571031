//! Properties of gates, guard, risk gates and cycles over arbitrary evidence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use penin_engine::EngineError;
use penin_engine::config::Config;
use penin_engine::decision::{CycleReason, Decision, Traffic};
use penin_engine::event::EventType;
use penin_engine::gates::{self, Gate, GateName, GateStatus, PromotionValues, combine};
use penin_engine::guard::{self, GuardMetrics};
use penin_engine::lyapunov;
use penin_engine::master::{CycleInput, State, StateVector, alpha, commit, run_cycle};
use penin_engine::num::Num;
use penin_engine::resources::{self, ResourceReadings, Risk};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{any_f64, any_num, config, cycle, default_config, promotable, read, with_baseline};

fn status() -> impl Strategy<Value = GateStatus> {
    prop::sample::select(vec![GateStatus::Pass, GateStatus::Fail, GateStatus::Unknown])
}

fn evidence() -> impl Strategy<Value = Num> {
    prop_oneof![9 => any_f64().prop_map(Num::new), 1 => Just(Num::MISSING)]
}

prop_compose! {
    fn guard_metrics()(
        numbers in prop::array::uniform7(evidence()),
        consent in any::<Option<bool>>(),
        eco_ok in any::<Option<bool>>(),
    ) -> GuardMetrics {
        let [rho, ece, rho_bias, fairness, coherence, cost_increase, kappa] = numbers;
        GuardMetrics { rho, ece, rho_bias, consent, eco_ok, fairness, coherence, cost_increase, kappa, ..GuardMetrics::default() }
    }
}

/// A guard with every gate switched on.
fn strict_guard() -> Config {
    config(&json!({"guard": {"coherenceMin": 0.85, "costIncreaseMax": 0.1}}))
}

fn perfect() -> GuardMetrics {
    GuardMetrics {
        rho: Num::new(0.0),
        ece: Num::new(0.0),
        rho_bias: Num::new(1.0),
        consent: Some(true),
        eco_ok: Some(true),
        fairness: Num::new(1.0),
        coherence: Num::new(1.0),
        cost_increase: Num::new(-1.0),
        kappa: Num::new(100.0),
        ..GuardMetrics::default()
    }
}

/// `to` with the one value that `name` judges taken from `from`.
fn with_one(mut to: GuardMetrics, name: GateName, from: &GuardMetrics) -> GuardMetrics {
    match name {
        GateName::Rho => to.rho = from.rho,
        GateName::Ece => to.ece = from.ece,
        GateName::RhoBias => to.rho_bias = from.rho_bias,
        GateName::Consent => to.consent = from.consent,
        GateName::EcoOk => to.eco_ok = from.eco_ok,
        GateName::Fairness => to.fairness = from.fairness,
        GateName::GuardCoherence => to.coherence = from.coherence,
        GateName::CostIncrease => to.cost_increase = from.cost_increase,
        GateName::Kappa => to.kappa = from.kappa,
        other => panic!("not a guard gate: {other}"),
    }
    to
}

fn names(gates: &[Gate]) -> Vec<GateName> {
    gates.iter().map(|gate| gate.name).collect()
}

proptest! {
    #[test]
    fn combination_is_and(statuses in prop::collection::vec(status(), 0..12), at in 0_usize..12) {
        let all = combine(statuses.iter().copied());
        let worst = |wanted| statuses.contains(&wanted);
        prop_assert_eq!(all == GateStatus::Fail, worst(GateStatus::Fail));
        prop_assert_eq!(all == GateStatus::Pass, statuses.iter().all(|s| *s == GateStatus::Pass));
        let (left, right) = statuses.split_at(at.min(statuses.len()));
        let parts = [combine(left.iter().copied()), combine(right.iter().copied())];
        prop_assert_eq!(combine(parts), all);
        prop_assert_eq!(combine(statuses.iter().rev().copied()), all);
    }

    #[test]
    fn no_perfect_value_pays_for_a_guard_gate_that_does_not_pass(metrics in guard_metrics()) {
        let config = strict_guard();
        let report = guard::evaluate(&config, &metrics);
        prop_assert_eq!(report.allow, report.gates.iter().all(Gate::passed));
        for gate in &report.gates {
            let rest_perfect = guard::evaluate(&config, &with_one(perfect(), gate.name, &metrics));
            prop_assert_eq!(rest_perfect.allow, gate.passed(), "{}", gate.name);
            prop_assert_eq!(rest_perfect.status, gate.status);
        }
    }

    #[test]
    fn guard_gates_depend_on_the_configuration_only(metrics in guard_metrics()) {
        for config in [default_config(), strict_guard()] {
            let expected = names(&guard::evaluate(&config, &GuardMetrics::default()).gates);
            prop_assert_eq!(names(&guard::evaluate(&config, &metrics).gates), expected);
        }
    }

    #[test]
    fn a_passing_guard_gate_stops_passing_without_its_value(metrics in guard_metrics(), bad in prop::sample::select(vec![
        Num::MISSING, Num::new(f64::NAN), Num::new(f64::INFINITY), Num::new(f64::NEG_INFINITY),
    ])) {
        let config = strict_guard();
        let broken = GuardMetrics {
            rho: bad, ece: bad, rho_bias: bad, consent: None, eco_ok: None, fairness: bad, coherence: bad,
            cost_increase: bad, kappa: bad, ..GuardMetrics::default()
        };
        for gate in guard::evaluate(&config, &metrics).gates.iter().filter(|gate| gate.passed()) {
            let report = guard::evaluate(&config, &with_one(metrics.clone(), gate.name, &broken));
            let after = report.gates.iter().find(|after| after.name == gate.name).unwrap();
            prop_assert_eq!(after.status, GateStatus::Unknown);
            prop_assert!(!report.allow);
        }
    }

    #[test]
    fn tightening_the_guard_never_helps(metrics in guard_metrics(), loose in 0.0..0.9_f64, tighter in 0.0..0.1_f64) {
        let tight = loose + tighter;
        let document = |min: f64| json!({"guard": {
            "rhoMax": 1.0 - min, "eceMax": 1.0 - min, "rhoBiasMax": 2.0 - min, "fairnessMin": min, "coherenceMin": min,
            "costIncreaseMax": 1.0 - min, "kappaMin": 1.0 + 10.0 * min,
        }});
        let loose = guard::evaluate(&config(&document(loose)), &metrics);
        let tight = guard::evaluate(&config(&document(tight)), &metrics);
        for (loose, tight) in loose.gates.iter().zip(&tight.gates) {
            prop_assert!(loose.passed() || !tight.passed(), "{}", loose.name);
        }
    }

    #[test]
    fn tightening_promotion_gates_never_helps(
        numbers in prop::array::uniform6(evidence()), guard in status(), loose in 0.01..0.9_f64, tighter in 0.0..0.1_f64,
    ) {
        let [caos_plus, sr, delta_linf, coherence, oci, agape] = numbers;
        let values = PromotionValues {
            caos_plus, sr, delta_linf, coherence, oci, agape, guard: Some(guard), ..PromotionValues::default()
        };
        let document = |min: f64| json!({"gates": {
            "caosMin": 1.0 + min, "srMin": min, "deltaLinfMin": 0.001 + min * 0.09, "coherence": {"min": min},
            "oci": {"min": min}, "agape": {"min": min, "mode": "Required"},
        }});
        let loose = gates::evaluate(&config(&document(loose)).gates, &values);
        let tight = gates::evaluate(&config(&document(loose_plus(&loose, tighter))).gates, &values);
        prop_assert_eq!(names(&loose.gates), names(&tight.gates));
        prop_assert!(loose.status == GateStatus::Pass || tight.status != GateStatus::Pass);
        for (loose, tight) in loose.gates.iter().zip(&tight.gates) {
            prop_assert!(loose.passed() || !tight.passed(), "{}", loose.name);
        }
    }

    #[test]
    fn an_unreadable_node_always_fails(
        cpu in evidence(), mem in evidence(), age in evidence(), rho in evidence(), uncertainty in evidence(),
        cpu_max in 0.01..=0.99_f64,
    ) {
        let config = config(&json!({"resources": {"cpuMax": cpu_max}}));
        let risk = Risk { rho, uncertainty, series: Vec::new() };
        let readings = ResourceReadings { cpu, mem, age_seconds: age };
        let report = resources::evaluate(&config.resources, Some(&readings), &risk);
        prop_assert_eq!(report.abort, report.status == GateStatus::Fail);
        prop_assert!(report.cpu.is_finite() && report.cpu >= 0.0 && report.mem.is_finite() && report.mem >= 0.0);
        let readable = cpu.finite().is_some_and(|x| x >= 0.0) && age.finite().is_some_and(|x| (0.0..=60.0).contains(&x));
        let gate = &report.gates[0];
        prop_assert_eq!(gate.name, GateName::Cpu);
        prop_assert_ne!(gate.status, GateStatus::Unknown);
        prop_assert_eq!(gate.passed(), readable && cpu.get().unwrap() < cpu_max);
        prop_assert!(resources::evaluate(&config.resources, None, &risk).abort);
    }

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
        let norm = moved.iter().map(|(_, x)| x * x).sum::<f64>().sqrt();
        prop_assert!(moved.iter().all(|(_, x)| (0.0..=1.0).contains(&x)));
        if step.is_finite() && max_norm.is_finite() && max_norm > 0.0 {
            prop_assert!(norm <= max_norm * (1.0 + 1e-12));
        }
    }
}

/// The tighter bound beside the one that `report` was made with.
fn loose_plus(report: &gates::GateReport, tighter: f64) -> f64 {
    let sr = report.gates.iter().find(|gate| gate.name == GateName::Sr).unwrap();
    sr.threshold.number().unwrap() + tighter
}

/// A promotable document with some leaves replaced by arbitrary evidence.
fn disturbed() -> impl Strategy<Value = Value> {
    let stage = prop::sample::select(vec!["direct", "shadow", "canary", "watch"]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any_num()), 0..4);
    (stage, changes, any::<bool>()).prop_map(|(stage, changes, stub)| {
        let mut document = promotable(stage);
        document["candidate"]["stub"] = json!(stub && changes.len() > 2);
        for (index, value) in changes {
            let numeric: Vec<String> = support::leaves(&document)
                .into_iter()
                .filter(|leaf| document.pointer(leaf).unwrap().is_number())
                .collect();
            let leaf: &String = index.get(&numeric);
            *document.pointer_mut(leaf).unwrap() = value;
        }
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

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

    #[test]
    fn an_input_survives_its_canonical_form(document in disturbed()) {
        let input = read(&document);
        let text = serde_json::to_string(&input).unwrap();
        let again: CycleInput = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(again.hash().unwrap(), input.hash().unwrap());
        prop_assert_eq!(again, input);
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
fn structural_errors_name_the_field() {
    for (change, field, code) in [
        (json!({"candidate": {"name": ""}}), "candidate.name", "empty"),
        (json!({"candidate": {}}), "candidate.name", "missing"),
        (json!({"candidate": null}), "candidate", "missing"),
        (json!({"candidate": {"name": 5}}), "candidate.name", "wrong_type"),
        (json!({"stage": "live"}), "stage", "unknown_stage"),
        (json!({"stage": 5}), "stage", "wrong_type"),
        (json!({"speed": 1}), "speed", "unknown_field"),
        (json!({"caos": {"x": 1}}), "caos.x", "unknown_field"),
        (json!({"caos": {"c": true}}), "caos.c", "wrong_type"),
        (json!({"caos": 1}), "caos", "wrong_type"),
        (json!({"metrics": {"rsi": "high"}}), "metrics.rsi", "wrong_type"),
        (json!({"risk": {"series": [0.5, "x"]}}), "risk.series[1]", "wrong_type"),
        (json!({"risk": {"series": 5}}), "risk.series", "wrong_type"),
        (
            json!({"ethics": {"unknown": {"rho": "x"}}}),
            "ethics.unknown.rho",
            "unknown_field",
        ),
        (json!({"ethics": {"consent": 1}}), "ethics.consent", "wrong_type"),
        (json!({"league": {"status": "Maybe"}}), "league.status", "wrong_type"),
        (json!({"champion": {"metric": {}}}), "champion.metric", "unknown_field"),
    ] {
        let mut document = promotable("direct");
        for (key, value) in change.as_object().unwrap() {
            document[key] = value.clone();
        }
        match CycleInput::from_json(&document) {
            Err(EngineError::Input {
                field: found,
                code: why,
            }) => {
                assert_eq!((found.as_str(), why.as_str()), (field, code), "{change}");
            }
            other => panic!("{change}: {other:?}"),
        }
    }
    let root = CycleInput::from_json(&json!([])).unwrap_err();
    assert_eq!(root, EngineError::input("", penin_engine::num::Code::WrongType));
    let nameless = CycleInput::default();
    let state = State::new(&default_config());
    assert!(run_cycle(&default_config(), &state, &nameless).is_err());
}

#[test]
fn absent_members_read_as_null() {
    let minimal = read(&json!({"candidate": {"name": "x"}}));
    let mut document = json!({"candidate": {"name": "x", "stub": null, "digest": null}});
    for key in [
        "stage",
        "cost",
        "costIncrease",
        "virtues",
        "champion",
        "metrics",
        "caos",
        "sr",
        "modules",
        "oci",
        "ethics",
        "risk",
        "resources",
        "league",
    ] {
        document[key] = Value::Null;
    }
    assert_eq!(read(&document), minimal);
    // A record that is there without members is another document than an absent record.
    document["caos"] = json!({});
    assert_ne!(read(&document).hash().unwrap(), minimal.hash().unwrap());
    document["caos"] = Value::Null;
    document["ethics"] = json!({});
    document["risk"] = json!({"series": null});
    assert_eq!(read(&document).hash().unwrap(), minimal.hash().unwrap());
}

#[test]
fn a_stored_state_is_refused_by_the_first_bad_field() {
    let config = default_config();
    let good = cycle(&config, &with_baseline(&config), &promotable("canary"))
        .1
        .to_json();
    let refused = |pointer: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        match State::from_json(&config, &document) {
            Err(EngineError::State { field, code }) => (field, code.as_str()),
            other => panic!("{pointer}: {other:?}"),
        }
    };
    assert!(State::from_json(&config, &good).is_ok());
    for (pointer, value, field, code) in [
        ("/cycle", json!(2), "cycle", "invalid_integer"),
        ("/cycle", json!("02"), "cycle", "invalid_integer"),
        ("/linf", json!("NaN"), "linf", "non_finite"),
        ("/linf", json!(true), "linf", "wrong_type"),
        ("/vector", json!({}), "vector", "unknown_coordinate"),
        ("/vector/rsi", json!(1.5), "vector", "out_of_range"),
        ("/vector/rsi", Value::Null, "vector", "missing"),
        ("/alpha", Value::Null, "alpha", "missing"),
        ("/trustRadius", json!(0.9), "trustRadius", "out_of_range"),
        ("/tracker/samples", json!("-1"), "tracker", "invalid_integer"),
        ("/tracker/variance", json!(-1), "tracker", "out_of_range"),
        ("/rng/wordPos", json!("1"), "rng", "odd_word_position"),
        ("/rng/algorithm", json!("pcg"), "rng", "unknown_algorithm"),
        ("/rng", json!({}), "rng", "wrong_type"),
        ("/holdStreak", json!(-1), "holdStreak", "invalid_integer"),
        ("/counters/holds", json!("x"), "counters.holds", "invalid_integer"),
        ("/fallback/alpha", json!(2), "fallback", "out_of_range"),
    ] {
        let found = refused(pointer, value.clone());
        assert_eq!((found.0.as_str(), found.1), (field, code), "{pointer} = {value}");
    }
    let mut extra = good.clone();
    extra["mood"] = json!(1);
    assert_eq!(
        State::from_json(&config, &extra).unwrap_err(),
        EngineError::state("mood", penin_engine::num::Code::UnknownField)
    );
    let other_seed = support::config(&json!({"seed": "1"}));
    assert_eq!(
        State::from_json(&other_seed, &good).unwrap_err(),
        EngineError::state("rng", penin_engine::num::Code::SeedMismatch)
    );
    let mut typed = State::from_json(&config, &good).unwrap();
    typed.evolving.alpha = f64::NAN;
    assert!(typed.validate(&config).is_err());
    assert!(run_cycle(&config, &typed, &read(&promotable("direct"))).is_err());
}
