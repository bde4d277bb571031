//! Inputs shared by the integration tests.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use penin_engine::config::Config;
use penin_engine::master::{CycleInput, CycleOutcome, State, run_cycle};
use penin_engine::num::Num;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The default configuration.
pub fn default_config() -> Config {
    config(&json!({}))
}

/// A partial configuration document.
pub fn config(document: &Value) -> Config {
    Config::from_json(document).expect("a valid configuration")
}

/// A document of evidence under which the default configuration promotes, after [`baseline`].
pub fn promotable(stage: &str) -> Value {
    json!({
        "candidate": {"name": "v2", "digest": null, "stub": false},
        "stage": stage,
        "cost": 0.1,
        "metrics": {"rsi": 0.84, "synergy": 0.82, "novelty": 0.76, "stability": 0.88, "viability": 0.87, "cost": 0.18},
        "caos": {"c": 0.9, "a": 0.6, "o": 0.5, "s": 0.8},
        "sr": {"calibration": 0.95, "ethics": 1, "autocorrection": 0.85, "metacognition": 0.8},
        "modules": {"ethics": 1, "contractivity": 0.95, "league": 1, "caos": 0.9, "sr": 0.95, "meta": 0.9, "tuning": 1, "router": 0.95},
        "oci": {"memory": 1, "flow": 0.98, "policy": 1, "feedback": 0.95},
        "ethics": {
            "ece": 0.006, "rhoBias": 1.02, "fairness": 0.97, "consent": true, "ecoOk": true,
            "evidenceDigest": "1111111111111111111111111111111111111111111111111111111111111111", "unknown": {}
        },
        "risk": {"rho": 0.9, "uncertainty": 0.2, "series": []},
        "resources": {"cpu": 0.4, "mem": 0.5, "ageSeconds": 5},
        "league": {"status": "Pass", "reason": "STAGE_PASSED"},
    })
}

/// The evidence of the champion that becomes the baseline.
pub fn baseline() -> Value {
    let mut input = promotable("direct");
    input["candidate"]["name"] = json!("v1");
    input["metrics"] = json!({
        "rsi": 0.8, "synergy": 0.78, "novelty": 0.72, "stability": 0.86, "viability": 0.84, "cost": 0.2
    });
    input
}

/// Reads an input document.
pub fn read(document: &Value) -> CycleInput {
    CycleInput::from_json(document).expect("a well-formed input")
}

/// Runs one cycle.
pub fn cycle(config: &Config, state: &State, document: &Value) -> (CycleOutcome, State) {
    run_cycle(config, state, &read(document)).expect("a cycle")
}

/// A state with a recorded baseline.
pub fn with_baseline(config: &Config) -> State {
    cycle(config, &State::new(config), &baseline()).1
}

/// Any 64-bit pattern as a number, ordinary values more often than the rest.
pub fn any_f64() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..=1.0_f64,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, -1.0, 85.0, 0.95, 1.0 + 5e-10, 1.0 + 2e-9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY,
            f64::MIN_POSITIVE, f64::MAX, f64::MIN, f64::EPSILON, 5e-324,
        ]),
        2 => any::<u64>().prop_map(f64::from_bits),
    ]
}

/// Any evidence.
pub fn evidence() -> impl Strategy<Value = Num> {
    prop_oneof![9 => any_f64().prop_map(Num::new), 1 => Just(Num::MISSING)]
}

/// Any evidence, as it stands in a document.
pub fn any_num() -> impl Strategy<Value = Value> {
    prop_oneof![9 => any_f64().prop_map(number), 1 => Just(Value::Null)]
}

/// A number in the form of evidence.
pub fn number(x: f64) -> Value {
    if x.is_nan() {
        json!("NaN")
    } else if x == f64::INFINITY {
        json!("Infinity")
    } else if x == f64::NEG_INFINITY {
        json!("-Infinity")
    } else {
        json!(x)
    }
}

/// JSON pointers of every leaf of `document`.
pub fn leaves(document: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, member) in members {
                    walk(member, &format!("{path}/{key}"), found);
                }
            }
            _ => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(document, "", &mut found);
    found
}

/// A promotable document with some leaves replaced by arbitrary evidence.
pub fn disturbed() -> impl Strategy<Value = Value> {
    let stage = prop::sample::select(vec!["direct", "shadow", "canary", "watch"]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any_num()), 0..4);
    (stage, changes, any::<bool>()).prop_map(|(stage, changes, stub)| {
        let mut document = promotable(stage);
        document["candidate"]["stub"] = json!(stub && changes.len() > 2);
        for (index, value) in changes {
            let numeric: Vec<String> = leaves(&document)
                .into_iter()
                .filter(|leaf| document.pointer(leaf).unwrap().is_number())
                .collect();
            let leaf: &String = index.get(&numeric);
            *document.pointer_mut(leaf).unwrap() = value;
        }
        document
    })
}
