//! What must hold for any bytes at all. Shared by the fuzz targets and by the test that replays the seeds.

use penin_engine::EngineError;
use penin_engine::config::{Config, from_classic};
use penin_engine::decision::Decision;
use penin_engine::event::{Event, canonical};
use penin_engine::gates::GateStatus;
use penin_engine::master::{CycleInput, CycleOutcome, State, commit, run_cycle};
use serde_json::{Value, json};

fn default_config() -> Config {
    Config::from_json(&json!({})).expect("the defaults are valid")
}

/// A state that has a reference, so that a cycle can promote.
fn ready(config: &Config) -> State {
    let baseline: Value = serde_json::from_str(include_str!("seeds/input/baseline.json")).expect("a seed");
    let input = CycleInput::from_json(&baseline).expect("a well-formed seed");
    run_cycle(config, &State::new(config), &input).expect("a cycle").1
}

/// A configuration is valid or says why not; a valid one survives being written and read.
pub fn config(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    for document in [from_classic(&document), document] {
        match Config::from_json(&document) {
            Err(errors) => assert!(!errors.is_empty()),
            Ok(config) => {
                let text = canonical(&config).expect("a configuration has a canonical form");
                let again: Config = serde_json::from_str(&text).expect("its own text is valid");
                assert_eq!(again.hash(), config.hash());
            }
        }
    }
}

/// A well-formed input is judged without an error; a promotion rests on a full set of passing gates.
pub fn input(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    match CycleInput::from_json(&document) {
        Err(EngineError::Input { .. }) => {}
        Err(other) => panic!("an input has input errors only: {other}"),
        Ok(input) => {
            let text = canonical(&input).expect("an input has a canonical form");
            let again: CycleInput = serde_json::from_str(&text).expect("its own text is well-formed");
            assert_eq!(again.hash(), input.hash());
            let config = default_config();
            for state in [State::new(&config), ready(&config)] {
                let (outcome, next) = run_cycle(&config, &state, &input).expect("bad evidence is no error");
                judged(&config, &state, &outcome, next);
            }
        }
    }
}

fn judged(config: &Config, state: &State, outcome: &CycleOutcome, next: State) {
    if outcome.decision == Decision::Promote {
        assert!(state.evolving.linf.is_some());
        assert!(
            outcome
                .gates
                .iter()
                .all(|gate| !gate.is_required() || gate.status == GateStatus::Pass)
        );
        assert!(outcome.scores.lyapunov_next < outcome.scores.lyapunov_previous);
    }
    let scores = serde_json::to_value(&outcome.scores).expect("scores are finite");
    let null = |key: &str| matches!(key, "agape" | "linfReference");
    let scores = scores.as_object().expect("a record");
    assert!(
        scores.iter().all(|(key, value)| null(key) || !value.is_null()),
        "a score is not finite"
    );
    for event in &outcome.events {
        let text = event.canonical_text();
        assert_eq!(
            &serde_json::from_str::<Event>(&text).expect("an event reads back"),
            event
        );
    }
    next.validate(config).expect("the next state is valid");
    commit(state, outcome, next).expect("nothing came in between");
}

/// A stored state is refused with a reason, or is written back with the same content and continues.
pub fn state(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let config = default_config();
    match State::from_json(&config, &document) {
        Err(EngineError::State { .. }) => {}
        Err(other) => panic!("a state has state errors only: {other}"),
        Ok(state) => {
            let again = State::from_json(&config, &state.to_json()).expect("its own document is valid");
            assert_eq!(again, state);
            let promotable: Value = serde_json::from_str(include_str!("seeds/input/promotable.json")).expect("a seed");
            let input = CycleInput::from_json(&promotable).expect("a well-formed seed");
            let (outcome, next) = run_cycle(&config, &state, &input).expect("a valid state runs");
            judged(&config, &state, &outcome, next);
        }
    }
}
