//! From cycles and gates to the engine's configuration.

use penin_api::v1alpha1::{PeninCycleSpec, PromotionGateSpec};
use penin_engine::config::{Config, EvidencePolicy, SequentialMode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Declared, ScoreSettings, ScoreSource, engine_config, step_config};

fn cycle(changes: Value) -> PeninCycleSpec {
    let mut spec = json!({
        "targetRef": {"kind": "Deployment", "name": "a"},
        "service": {"port": 80, "targetPort": 8080},
        "traffic": {"gateway": {"parentRefs": [{"name": "edge"}]}},
        "evidence": [{"name": "x", "preset": "ModelCounters", "prometheus": {"address": "http://p:9090"}}],
        "scores": {"linf": {"metrics": [{"name": "accuracy", "weight": "1", "preset": "Accuracy"}]}},
    });
    for (name, value) in changes.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn gate(spec: Value) -> PromotionGateSpec {
    serde_json::from_value(spec).unwrap()
}

fn named(gates: &[Value]) -> Vec<(String, PromotionGateSpec)> {
    gates
        .iter()
        .enumerate()
        .map(|(index, spec)| (format!("g{index}"), gate(spec.clone())))
        .collect()
}

fn config(gates: &[Value]) -> Config {
    engine_config(&cycle(json!({})), &named(gates)).unwrap()
}

#[test]
fn stages_objective_and_engine_are_the_cycles() {
    let spec = cycle(json!({
        "shadow": {"duration": "90s", "minSamples": 200, "deadline": "10m"},
        "canary": {"steps": [{"weight": 1, "duration": "60s", "minSamples": 60}, {"weight": 5, "duration": "1m1s500ms", "minSamples": 700}], "deadline": "20m"},
        "promotion": {"watch": "2m", "minSamples": 50, "deadline": "30m"},
        "scores": {"linf": {"costPenalty": "0.2", "metrics": [
            {"name": "a", "weight": "3", "preset": "Accuracy"},
            {"name": "l", "weight": "1.5", "evidence": "slow", "normalize": {"kind": "RatioToBaseline", "baseline": "120", "better": "Lower"}},
        ]}, "risks": [{"name": "r", "evidence": "refusals"}]},
        "engine": {"seed": "7", "alpha0": "0.05", "caos": {"kappa": "25"}, "lpsi": {"rho": "0.8", "maxPasses": 5}, "fibonacci": {"enabled": true, "trustRadius": "0.2"}},
    }));
    let config = engine_config(&spec, &[]).unwrap();
    let league = &config.league;
    assert_eq!(
        (
            league.shadow_seconds,
            league.shadow_min_samples,
            league.shadow_deadline_seconds
        ),
        (90, 200, 600)
    );
    assert_eq!(
        (
            league.canary_seconds,
            league.canary_min_samples,
            league.canary_basis_points
        ),
        (62, 700, 500)
    );
    assert_eq!(
        (
            league.watch_seconds,
            league.watch_min_samples,
            league.watch_deadline_seconds
        ),
        (120, 50, 1_800)
    );
    assert_eq!(config.seed, 7);
    assert_eq!(
        [
            config.alpha0,
            config.caos.kappa,
            config.lpsi.rho,
            config.linf.cost_penalty
        ],
        [0.05, 25.0, 0.8, 0.2]
    );
    assert_eq!(
        (
            config.lpsi.max_passes,
            config.fibonacci.enabled,
            config.fibonacci.trust_radius
        ),
        (5, true, 0.2)
    );
    let weights: Vec<_> = config
        .linf
        .metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.weight))
        .collect();
    assert_eq!(weights, [("a", 3.0), ("l", 1.5)]);
    let first = step_config(&spec, &config, &spec.canary.steps[0]).unwrap();
    assert_eq!(
        (
            first.league.canary_seconds,
            first.league.canary_min_samples,
            first.league.canary_basis_points
        ),
        (60, 60, 100)
    );
    let last = step_config(&spec, &config, &spec.canary.steps[1]).unwrap();
    assert_eq!(last.hash(), config.hash(), "the master cycle judges the last step");
    let scores = ScoreSettings::of(&spec.scores);
    assert_eq!(scores.metrics["l"], ScoreSource::Ratio("slow".to_owned()));
    assert_eq!(scores.risks, ["refusals"]);
}

#[test]
fn one_more_gate_only_tightens() {
    let loose = json!({"guard": {"ece": {"max": "0.05", "minSamples": 10}, "rhoBias": {"max": "2"}}, "league": {"errorRateMax": "0.1"}});
    let strict = json!({
        "require": {"caosPlusMin": "1.5", "srMin": "0.9", "deltaLinfMin": "0.02"},
        "league": {"errorRateMax": "0.01", "p95LatencyMax": "200ms", "meanDeltaLinfMin": "0.03", "sequential": {"mode": "NonInferior", "alpha": "0.01", "margin": "0.005"}},
        "guard": {"rhoMax": "0.9", "ece": {"max": "0.02", "minSamples": 5000}, "rhoBias": {"max": "1.1", "minGroupSamples": 50}, "fairness": {"min": "0.9"}},
    });
    let alone = config(std::slice::from_ref(&loose));
    assert_eq!(
        [
            alone.guard.ece_max,
            alone.guard.rho_bias_max,
            alone.league.error_rate_max
        ],
        [0.05, 2.0, 0.1]
    );
    let both = config(&[loose.clone(), strict.clone()]);
    assert_eq!(
        [both.guard.ece_max, both.guard.rho_bias_max, both.guard.rho_max],
        [0.02, 1.1, 0.9]
    );
    assert_eq!(
        [both.gates.caos_min, both.gates.sr_min, both.gates.delta_linf_min],
        [1.5, 0.9, 0.02]
    );
    assert_eq!(
        [
            both.league.error_rate_max,
            both.league.delta_linf_min,
            both.league.sequential.margin
        ],
        [0.01, 0.03, 0.005]
    );
    assert_eq!(
        (both.league.p95_latency_max_ms, both.league.sequential.mode),
        (Some(200.0), SequentialMode::NonInferior)
    );
    assert_eq!(
        (
            both.ethics.min_samples,
            both.ethics.group_min_samples,
            both.guard.fairness_min
        ),
        (5_000, 50, Some(0.9))
    );
    // A gate that says nothing asks for the defaults, so a looser one beside it has no effect.
    let silent = config(&[loose, json!({"enforcement": "Namespace"})]);
    assert_eq!(
        [
            silent.guard.ece_max,
            silent.guard.rho_bias_max,
            silent.league.error_rate_max
        ],
        [0.01, 1.05, 0.05]
    );
}

#[test]
fn a_criterion_is_waived_only_by_all() {
    let waiver = json!({"guard": {"ece": {"notApplicable": {"reason": "text"}}, "rhoBias": {"notApplicable": {"reason": "no people"}}}});
    let all = config(&[waiver.clone(), waiver.clone()]);
    assert_eq!(all.ethics.calibration_policy, EvidencePolicy::NotApplicable);
    assert_eq!(all.ethics.group_policy, EvidencePolicy::NotApplicable);
    let one = config(&[waiver.clone(), json!({})]);
    assert_eq!(one.ethics.calibration_policy, EvidencePolicy::Required);
    assert_eq!(one.ethics.group_policy, EvidencePolicy::Required);
    assert_eq!(
        config(&[]).ethics.calibration_policy,
        EvidencePolicy::Required,
        "no gate waives nothing"
    );
    assert_eq!(Declared::of(&named(&[waiver])).calibration_waivers[0].statement, "text");
}

#[test]
fn what_is_measured_must_be_agreed() {
    let gates = named(&[
        json!({"guard": {"ece": {"bins": 15}, "rhoBias": {"form": "ToOverall"}}}),
        json!({}),
        json!({"guard": {"ece": {"bins": 10}, "rhoBias": {"form": "BetweenGroups"}, "fairness": {"metric": "EqualizedOdds"}}}),
    ]);
    let errors = engine_config(&cycle(json!({})), &gates).unwrap_err();
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "PromotionGate g2 spec.guard.ece.bins",
            "PromotionGate g2 spec.guard.rhoBias.form"
        ]
    );
    assert!(errors[0].bound.contains("PromotionGate g0"), "{}", errors[0]);
}

#[test]
fn errors_name_the_field_of_the_resource() {
    let cases = [
        (
            json!({"engine": {"alpha0": "2"}}),
            json!({}),
            "PeninCycle spec.engine.alpha0",
        ),
        (
            json!({"engine": {"caos": {"kappa": "10"}}}),
            json!({}),
            "PeninCycle spec.engine.caos.kappa",
        ),
        (
            json!({"shadow": {"duration": "2h", "deadline": "3h"}}),
            json!({}),
            "PeninCycle spec.shadow.duration",
        ),
        (
            json!({}),
            json!({"guard": {"ece": {"max": "1.5"}}}),
            "PromotionGate spec.guard.ece.max",
        ),
        (
            json!({}),
            json!({"guard": {"rhoMax": "0"}}),
            "PromotionGate spec.guard.rhoMax",
        ),
        (
            json!({}),
            json!({"require": {"caosPlusMin": "500"}}),
            "PromotionGate spec.require.caosPlusMin",
        ),
        (
            json!({}),
            json!({"require": {"srMin": "1.5"}}),
            "PromotionGate spec.require.srMin",
        ),
        (
            json!({}),
            json!({"league": {"sequential": {"mode": "Harm", "alpha": "0.9"}}}),
            "PromotionGate spec.league.sequential.alpha",
        ),
    ];
    for (changes, spec, field) in cases {
        let errors = engine_config(&cycle(changes), &named(&[spec])).unwrap_err();
        assert_eq!(errors[0].field, field, "{errors:?}");
    }
}

#[test]
fn facts_hold_when_one_states_them_and_none_denies() {
    let fact = |granted| json!({"guard": {"consent": {"granted": granted, "statement": "s", "author": "a"}, "eco": {"ok": granted, "statement": "s", "author": "a"}}});
    let consent = |gates: &[Value]| {
        let declared = Declared::of(&named(gates));
        assert_eq!(declared.consent(), declared.eco());
        declared.consent()
    };
    assert_eq!(consent(&[]), None);
    assert_eq!(consent(&[json!({})]), None);
    assert_eq!(consent(&[json!({}), fact(true)]), Some(true));
    assert_eq!(consent(&[fact(true), fact(false)]), Some(false));
}

fn some_gate() -> impl Strategy<Value = Value> {
    let ece = prop::option::of((1_u32..100).prop_map(|n| format!("0.{n:03}")));
    let rate = prop::option::of((1_u32..200).prop_map(|n| format!("0.{n:03}")));
    let sr = prop::option::of((1_u32..1000).prop_map(|n| format!("0.{n:03}")));
    let mode = prop::option::of(prop::sample::select(vec!["Off", "Harm", "NonInferior"]));
    (ece, rate, sr, mode).prop_map(|(ece, rate, sr, mode)| {
        let mut gate = json!({"guard": {"ece": {}}, "league": {"sequential": {}}, "require": {}});
        for (path, value) in [
            ("/guard/ece", ("max", ece)),
            ("/league", ("errorRateMax", rate)),
            ("/require", ("srMin", sr)),
        ] {
            if let Some(text) = value
                .1
                .filter(|text| text.parse::<f64>().is_ok_and(|number| number > 0.0))
            {
                gate.pointer_mut(path).unwrap()[value.0] = json!(text);
            }
        }
        if let Some(mode) = mode {
            gate["league"]["sequential"]["mode"] = json!(mode);
        }
        gate
    })
}

proptest! {
    #[test]
    fn the_combination_is_monotone_and_has_no_order(gates in prop::collection::vec(some_gate(), 1..4), more in some_gate()) {
        let before = config(&gates);
        let mut all = gates.clone();
        all.push(more);
        let after = config(&all);
        prop_assert!(after.guard.ece_max <= before.guard.ece_max);
        prop_assert!(after.league.error_rate_max <= before.league.error_rate_max);
        prop_assert!(after.gates.sr_min >= before.gates.sr_min);
        let rank = |mode| [SequentialMode::Off, SequentialMode::Harm, SequentialMode::NonInferior].iter().position(|m| *m == mode);
        prop_assert!(rank(after.league.sequential.mode) >= rank(before.league.sequential.mode));
        all.reverse();
        prop_assert_eq!(config(&all).hash(), after.hash());
    }
}
