//! Configuration: round trip, totality, the order of errors, and every bound from both sides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod effort;

use effort::effort;
use penin_engine::config::{Config, Settings, from_classic};
use penin_engine::event::{canonical, content_hash};
use penin_engine::{ConfigError, EngineError};
use proptest::prelude::*;
use serde_json::{Value, json};

fn defaults() -> Value {
    serde_json::to_value(Settings::default()).unwrap()
}

fn errors(document: &Value) -> Vec<ConfigError> {
    Config::from_json(document).err().unwrap_or_default()
}

/// `field: bound` of every error.
fn told(document: &Value) -> Vec<String> {
    errors(document)
        .iter()
        .map(|error| format!("{}: {}", error.field, error.bound))
        .collect()
}

/// JSON pointers of every value that is not a section.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if !path.ends_with("weights") => {
            map.iter()
                .for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

fn all_leaves() -> Vec<String> {
    let mut found = Vec::new();
    leaves(&defaults(), "", &mut found);
    found
}

fn with(pointer: &str, value: Value) -> Value {
    let mut document = defaults();
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

fn dotted(pointer: &str) -> String {
    pointer[1..].replace('/', ".")
}

fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(|bits| Value::from(f64::from_bits(bits))),
        any::<i64>().prop_map(Value::from),
        (0.0..=1.0_f64).prop_map(Value::from),
        (0..700_i32).prop_map(Value::from),
        any::<u64>().prop_map(|n| Value::from(n.to_string())),
        ".{0,4}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"name": "x", "weight": 1, "normalize": {"kind": "identity"}}])),
    ]
}

proptest! {
    #![proptest_config(effort(512))]

    #[test]
    fn any_document_is_judged_and_valid_ones_round_trip(changes in prop::collection::vec((prop::sample::select(all_leaves()), junk()), 0..4)) {
        let mut document = defaults();
        for (pointer, value) in changes {
            *document.pointer_mut(&pointer).unwrap() = value;
        }
        match Config::from_json(&document) {
            Err(errors) => prop_assert!(!errors.is_empty()),
            Ok(config) => {
                let text = canonical(&config).unwrap();
                let again: Config = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&again, &config);
                prop_assert_eq!(config.hash(), content_hash(config.settings()).unwrap());
                prop_assert_eq!(&Config::new(config.settings()).unwrap(), &config);
            }
        }
    }

    #[test]
    fn a_partial_document_means_the_same_as_its_completion(pointer in prop::sample::select(all_leaves()), value in junk()) {
        // Only the one leaf, inside otherwise empty sections.
        let keys: Vec<&str> = pointer[1..].split('/').collect();
        let partial = keys.iter().rev().fold(value.clone(), |inner, key| json!({*key: inner}));
        prop_assert_eq!(Config::from_json(&partial), Config::from_json(&with(&pointer, value)));
    }

    #[test]
    fn classic_documents_are_never_lost(keys in prop::collection::btree_map(prop::sample::select(vec![
        "evolution", "fibonacci", "caos_plus", "shadow_duration_s", "canary_traffic_pct", "delta_threshold", "seed", "league", "typo",
    ]), junk(), 0..6)) {
        let document = Value::Object(keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
        let converted = from_classic(&document);
        prop_assert!(converted.is_object());
        let _ = errors(&converted);
    }
}

#[test]
fn every_leaf_refuses_a_value_of_another_type_under_its_name() {
    for pointer in all_leaves() {
        // No field admits this text: not a number, not a decimal string, not a known word.
        let errors = errors(&with(&pointer, json!("\u{0}")));
        assert_eq!(errors.len(), 1, "{pointer}");
        assert_eq!(errors[0].field, dotted(&pointer));
        assert_eq!(errors[0].value, json!("\u{0}"));
    }
}

#[test]
fn every_section_must_be_an_object() {
    for section in [
        "caos",
        "sr",
        "gates.oci",
        "ethics.bootstrap",
        "league.latencyTest",
        "tuner",
    ] {
        let mut document = defaults();
        *document
            .pointer_mut(&format!("/{}", section.replace('.', "/")))
            .unwrap() = Value::Null;
        assert_eq!(told(&document), [format!("{section}: object")]);
    }
    assert_eq!(told(&json!([])), [": object"]);
}

#[test]
fn bounds_are_inclusive_where_they_say_so() {
    for (path, inside, outside) in [
        ("alpha0", json!(0.01), json!(0.009_99)),
        ("maxNorm", json!(1e-300), json!(0)),
        ("caos.minStabilityCycles", json!(20.0), json!(21)),
        ("lpsi.rho", json!(0.999_999), json!(1)),
        ("guard.rhoBiasMax", json!(9.999), json!(10)),
        ("guard.kappaMin", json!(1), json!(0.5)),
        ("resources.cpuMax", json!(0.99), json!(0.990_000_1)),
        ("ethics.minSamples", json!(1_000_000_000), json!(1_000_000_001)),
        ("ethics.ecoBudgetKg", json!(1e6), json!(-0.1)),
        ("league.canaryBasisPoints", json!(100), json!(99)),
        ("league.p95LatencyMaxMs", json!(600_000), json!(600_001)),
        ("router.costReferenceMicroUsd", json!("1"), json!("0")),
        ("router.budgetDailyMicroUsd", json!("18446744073709551615"), json!("-1")),
        ("tuner.gradientClip", json!(100), json!(100.5)),
    ] {
        let pointer = format!("/{}", path.replace('.', "/"));
        assert_eq!(told(&with(&pointer, inside)), Vec::<String>::new(), "{path}");
        assert_eq!(errors(&with(&pointer, outside))[0].field, path);
    }
}

#[test]
fn errors_come_in_the_order_of_the_schema_then_unknown_fields_by_path() {
    let document = json!({
        "zzz": 1, "aaa": {"b": 2}, "tuner": {"eta0": 0, "speed": 1}, "caos": {"gamma": 9, "kappa": 0, "extra": null},
        "linf": {"metrics": [{"name": "", "weight": -1, "color": "red", "normalize": {"kind": "linear", "min": 1, "max": 0, "better": "up", "x": 1}}, 7]},
    });
    assert_eq!(
        told(&document),
        [
            "caos.kappa: [1, 100]",
            "caos.gamma: [0.1, 2]",
            "linf.metrics[0].name: unique non-empty",
            "linf.metrics[0].weight: (0, 1000]",
            "linf.metrics[0].color: known field",
            "linf.metrics[0].normalize.better: one of higher|lower",
            "linf.metrics[0].normalize.x: known field",
            "linf.metrics[0].normalize: min < max",
            "linf.metrics[1]: object",
            "tuner.eta0: (0, 1]",
            "aaa: known field",
            "caos.extra: known field",
            "tuner.speed: known field",
            "zzz: known field",
        ]
    );
}

#[test]
fn normalizers_are_checked_one_by_one() {
    let judge = |normalize: Value| {
        told(&json!({"linf": {"metrics": [{"name": "m", "weight": 1, "normalize": normalize}]}}))
            .iter()
            .map(|error| error.replace("linf.metrics[0].normalize", "n"))
            .collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(
        judge(json!({"kind": "ratioToBaseline", "baseline": 3, "better": "lower"})),
        none
    );
    assert_eq!(
        judge(json!({"kind": "linear", "min": -1e308, "max": 1e308, "better": "lower"})),
        ["n: min < max"]
    );
    assert_eq!(
        judge(json!({"kind": "square"})),
        ["n.kind: one of identity|oneMinus|linear|ratioToBaseline"]
    );
    assert_eq!(judge(json!(null)), ["n: object"]);
    assert_eq!(judge(json!({"kind": "identity", "min": 0})), ["n.min: known field"]);
    assert_eq!(
        judge(json!({"kind": "ratioToBaseline", "baseline": 0, "better": 1, "atParity": 2, "y": 0})),
        [
            "n.baseline: > 0",
            "n.better: one of higher|lower",
            "n.atParity: (0, 1]",
            "n.y: known field"
        ]
    );
    assert_eq!(
        judge(json!({"kind": "linear"})),
        ["n.min: number", "n.max: number", "n.better: one of higher|lower"]
    );
}

#[test]
fn lists_and_maps_are_bounded() {
    let metric = |i: usize| json!({"name": format!("m{i}"), "weight": 1, "normalize": {"kind": "identity"}});
    let metrics = |n: usize| json!({"linf": {"metrics": (0..n).map(metric).collect::<Vec<_>>()}});
    assert!(told(&metrics(64)).is_empty());
    assert_eq!(errors(&metrics(65))[0].value, json!(65));
    let parameter = |name: &str| json!({"name": name, "min": 0.1, "max": 0.2});
    let tuned =
        |names: &[&str]| json!({"tuner": {"parameters": names.iter().map(|name| parameter(name)).collect::<Vec<_>>()}});
    assert!(told(&tuned(&[])).is_empty() && told(&tuned(&["alpha0", "caos.focus"])).is_empty());
    assert_eq!(told(&tuned(&["alpha0", "alpha0"])), ["tuner.parameters: unique names"]);
    assert_eq!(errors(&tuned(&["alpha0", "alpha0"]))[0].value, json!(2));
    assert_eq!(told(&tuned(&["sr.weights"])), ["tuner.parameters[0].name: known field"]);
    assert_eq!(
        told(&json!({"tuner": {"parameters": [{"name": "alpha0", "min": 2, "max": 1, "step": 0}, 1]}})),
        [
            "tuner.parameters[0].step: known field",
            "tuner.parameters[0]: min < max",
            "tuner.parameters[1]: object"
        ]
    );
    let weights =
        json!({"sr": {"weights": {"calibration": 0, "ethics": "x", "autocorrection": 0.5, "metacognition": 0.5}}});
    assert_eq!(
        told(&weights),
        ["sr.weights.calibration: (0, 1]", "sr.weights.ethics: number"]
    );
}

#[test]
fn rules_between_fields_come_last_and_in_order() {
    let document = json!({
        "league": {"shadowSeconds": 600, "shadowDeadlineSeconds": 60, "canaryDeadlineSeconds": 60, "watchDeadlineSeconds": 60, "latencyTest": {"enabled": true}},
        "router": {"qualityWeight": 1}, "fibonacci": {"trustMin": 0.2}, "caos": {"kappa": 1},
        "ethics": {"bootstrap": {"replicates": 49}},
    });
    let rules = [
        "league.shadowDeadlineSeconds: >= league.shadowSeconds",
        "league.canaryDeadlineSeconds: >= league.canarySeconds",
        "league.watchDeadlineSeconds: >= league.watchSeconds",
        "league.latencyTest.enabled: requires league.p95LatencyMaxMs",
        "router: weights sum 1 within 1e-9",
        "fibonacci.trustRadius: trustMin <= trustRadius <= trustMax",
        "caos.kappa: >= guard.kappaMin",
        "ethics.bootstrap.replicates: 0 or >= 50",
    ];
    assert_eq!(told(&document), rules);
    let mut broken = document.clone();
    broken["alpha0"] = json!(7);
    assert_eq!(told(&broken), ["alpha0: [0.01, 1]"]);
    assert_eq!(
        told(&json!({"ethics": {"bootstrap": {"gateOnBound": true}}})),
        ["ethics.bootstrap.gateOnBound: requires replicates > 0"]
    );
}

#[test]
fn a_configuration_reads_numbers_by_path() {
    let settings = Settings::default();
    assert_eq!(settings.number("caos.kappa"), Some(20.0));
    assert_eq!(settings.number("alpha0"), Some(0.1));
    for path in ["seed", "guard.coherenceMin", "caos", "caos.none", ""] {
        assert_eq!(settings.number(path), None, "{path}");
    }
}

#[test]
fn a_non_finite_setting_is_refused() {
    let settings = Settings {
        alpha0: f64::NAN,
        ..Settings::default()
    };
    let errors = Config::new(&settings).unwrap_err();
    assert_eq!(
        (errors[0].field.as_str(), errors[0].bound.as_str()),
        ("alpha0", "number")
    );
    let text = EngineError::Config(errors).to_string();
    assert_eq!(text, "invalid configuration: alpha0: expected number, found null");
    assert!(
        serde_json::from_value::<Config>(json!({"alpha0": 9}))
            .unwrap_err()
            .to_string()
            .contains("alpha0")
    );
}

#[test]
fn a_classic_key_does_not_silently_lose_to_a_current_one() {
    let document = json!({"shadow_duration_s": 120, "league": {"shadowSeconds": 600}});
    assert_eq!(told(&from_classic(&document)), ["shadow_duration_s: known field"]);
    assert_eq!(
        from_classic(&json!({"canary_traffic_pct": 0.035})),
        json!({"league": {"canaryBasisPoints": 350.0}})
    );
    assert_eq!(
        told(&from_classic(&json!({"canary_traffic_pct": 0.010_05}))),
        ["league.canaryBasisPoints: integer"]
    );
    assert_eq!(
        told(&from_classic(&json!({"evolution": {"seed": 1, "speed": 2}}))),
        ["evolution: known field"]
    );
    assert_eq!(from_classic(&json!(7)), json!(7));
}
