//! Vectors of `master` and `replay`.

use penin_engine::EngineError;
use penin_engine::config::Config;
use penin_engine::event::Digest;
use penin_engine::master::{self, CycleInput, CycleOutcome, State, StateVector};
use penin_engine::replay;
use serde_json::{Value, json};

use crate::Function;
use crate::support::{config, field, integer, json_of, num, read};

pub const FUNCTIONS: &[(&str, Function)] = &[
    ("master.alpha", |input| {
        json_of(&master::alpha(
            num(input, "alpha0"),
            num(input, "caosPlus"),
            num(input, "sr"),
            num(input, "coherence"),
            num(input, "oci"),
        ))
    }),
    ("master.project", |input| {
        let vector: StateVector = field(input, "vector");
        json!({"vector": vector.project(field(input, "step"), field(input, "maxNorm"))})
    }),
    (
        "master.newState",
        |input| json!({"state": State::new(&config(&input["config"])).to_json()}),
    ),
    ("master.validateState", |input| {
        let problem = match State::from_json(&config(&input["config"]), &input["state"]) {
            Ok(_) => Value::Null,
            Err(EngineError::State { field, code }) => json!({"field": field, "code": code}),
            Err(other) => panic!("{other}"),
        };
        json!({"problem": problem})
    }),
    ("master.commit", commit),
    ("master.cycle", cycle),
    ("replay.run", replay_run),
];

/// The state to start from: the given one, or a new one.
fn start(config: &Config, document: &Value) -> State {
    if document.is_null() {
        State::new(config)
    } else {
        State::from_json(config, document).unwrap()
    }
}

fn inputs(document: &Value) -> Vec<CycleInput> {
    let inputs = document.as_array().unwrap().iter();
    inputs.map(|input| CycleInput::from_json(input).unwrap()).collect()
}

fn commit(input: &Value) -> Value {
    let config = config(&input["config"]);
    let current = start(&config, &input["state"]);
    let minimal = CycleInput::from_json(&json!({"candidate": {"name": "x"}})).unwrap();
    let (mut outcome, next) = master::run_cycle(&config, &current, &minimal).unwrap();
    outcome.cycle = integer(&input["outcome"], "cycle");
    outcome.pre_state_hash = read(&input["outcome"]["preStateHash"]);
    let error = match master::commit(&current, &outcome, next) {
        Ok(_) => None,
        Err(EngineError::StateMismatch) => Some("state_mismatch"),
        Err(other) => panic!("{other}"),
    };
    json!({"error": error})
}

fn cycle(input: &Value) -> Value {
    let config = config(&input["config"]);
    let mut state = start(&config, &input["state"]);
    let mut outcomes: Vec<CycleOutcome> = Vec::new();
    for input in inputs(&input["inputs"]) {
        let (outcome, next) = match master::run_cycle(&config, &state, &input) {
            Ok(result) => result,
            Err(error) => return json!({"error": error.to_string()}),
        };
        state = master::commit(&state, &outcome, next).unwrap();
        outcomes.push(outcome);
    }
    let per_cycle = |pick: &dyn Fn(&CycleOutcome) -> Value| outcomes.iter().map(pick).collect::<Value>();
    let events = |outcome: &CycleOutcome, part: &dyn Fn(&penin_engine::event::Event) -> Value| {
        outcome.events.iter().map(part).collect::<Value>()
    };
    let mut result = json!({
        "summary": per_cycle(&summary),
        "contentHashes": per_cycle(&|o| events(o, &|event| json!(event.content_hash()))),
        "eventTypes": per_cycle(&|o| events(o, &|event| json!(event.kind()))),
        "state": state.to_json(),
    });
    if input["detail"] != "summary" {
        result["outcome"] = outcomes.last().map_or(Value::Null, json_of);
    }
    result
}

fn summary(outcome: &CycleOutcome) -> Value {
    json!({
        "cycle": outcome.cycle.to_string(),
        "decision": outcome.decision,
        "reason": outcome.reason,
        "causes": outcome.causes,
        "traffic": outcome.traffic,
        "preStateHash": outcome.pre_state_hash,
        "postStateHash": outcome.post_state_hash,
        "inputHash": outcome.input_hash,
        "nextIntervalSeconds": outcome.next_interval_seconds,
    })
}

fn replay_run(input: &Value) -> Value {
    let config = config(&input["config"]);
    let expected: Option<Vec<Vec<Digest>>> = field(input, "expected");
    let report = replay::run(
        &config,
        &start(&config, &input["state"]),
        &inputs(&input["inputs"]),
        expected.as_deref(),
    );
    json_of(&report.unwrap())
}
