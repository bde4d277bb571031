//! Documents of inputs and states: what is read, what is refused and under which name, and that nothing is lost on the way.
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
use penin_engine::master::{CycleInput, State, run_cycle};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{cycle, default_config, disturbed, promotable, read, with_baseline};

proptest! {
    #![proptest_config(effort(512))]

    #[test]
    fn an_input_survives_its_canonical_form(document in disturbed()) {
        let input = read(&document);
        let text = serde_json::to_string(&input).unwrap();
        let again: CycleInput = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(again.hash().unwrap(), input.hash().unwrap());
        prop_assert_eq!(again, input);
    }
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
    let strayed = serde_json::to_value(penin_engine::rng::RngState::start(config.seed, 1)).unwrap();
    assert_eq!(refused("/rng", strayed), ("rng".to_owned(), "seed_mismatch"));
    let mut strayed = State::from_json(&config, &good).unwrap();
    strayed.rng = penin_engine::rng::RngState::start(config.seed, 1);
    assert_eq!(
        strayed.validate(&config).unwrap_err(),
        EngineError::state("rng", penin_engine::num::Code::SeedMismatch)
    );
    let mut typed = State::from_json(&config, &good).unwrap();
    typed.evolving.alpha = f64::NAN;
    assert!(typed.validate(&config).is_err());
    assert!(run_cycle(&config, &typed, &read(&promotable("direct"))).is_err());
}
