//! Reading a stored state field by field, so that the first problem has a name.

use serde_json::Value;

use super::node::{Node, Problem};
use super::state::{Counters, Evolving, State};
use super::vector::StateVector;
use crate::caos::Tracker;
use crate::config::Config;
use crate::error::EngineError;
use crate::num::{Code, Num, check, nonneg, unit};
use crate::rng::{CYCLE_STREAM, RngRecord, RngState};

const EVOLVING: [&str; 5] = ["linf", "vector", "alpha", "trustRadius", "tracker"];
const REST: [&str; 5] = ["cycle", "rng", "holdStreak", "counters", "fallback"];

/// Reads and checks a stored state.
pub(super) fn read_state(config: &Config, document: &Value) -> Result<State, EngineError> {
    read(config, &Node::root(document)).map_err(|(field, code)| EngineError::State { field, code })
}

fn read(config: &Config, root: &Node<'_>) -> Result<State, Problem> {
    let cycle = root.get("cycle").decimal()?;
    let evolving = read_evolving(config, root)?;
    let rng = read_rng(config, &root.get("rng"))?;
    let hold_streak = root.get("holdStreak").parse(Code::InvalidInteger)?;
    let counters = read_counters(&root.get("counters"))?;
    let fallback = root.get("fallback");
    let fallback = fallback
        .optional(|node| {
            let evolving = read_evolving(config, node)?;
            node.record(&EVOLVING)?;
            Ok(evolving)
        })
        // A fallback is named as a whole, like every other field of a state.
        .map_err(|(_, code)| fallback.problem(code))?;
    root.record(&[EVOLVING, REST].concat())?;
    Ok(State {
        cycle,
        evolving,
        hold_streak,
        counters,
        rng,
        fallback,
    })
}

fn read_evolving(config: &Config, node: &Node<'_>) -> Result<Evolving, Problem> {
    let number = |key: &str, admit: &dyn Fn(Num) -> Result<f64, Code>| {
        let field = node.get(key);
        admit(field.num()?).map_err(|code| field.problem(code))
    };
    let linf = node.get("linf").optional(|_| number("linf", &unit))?;
    let vector = node.get("vector");
    let entries = vector.map(Node::num)?;
    let vector = StateVector::from_entries(&entries.iter().map(|(name, x)| (name.as_str(), *x)))
        .map_err(|code| vector.problem(code))?;
    let alpha = number("alpha", &unit)?;
    let trust = &config.fibonacci;
    let trust_radius = number("trustRadius", &|x| check(x, trust.trust_min, trust.trust_max, 0.0))?;
    let tracker = read_tracker(&node.get("tracker"))?;
    Ok(Evolving {
        alpha,
        linf,
        tracker,
        trust_radius,
        vector,
    })
}

fn read_tracker(node: &Node<'_>) -> Result<Tracker, Problem> {
    let read = || {
        node.record(&["samples", "mean", "variance"])?;
        let number = |key: &str, admit: fn(Num) -> Result<f64, Code>| {
            admit(node.get(key).num()?).map_err(|code| node.problem(code))
        };
        Ok(Tracker {
            samples: node.get("samples").decimal()?,
            mean: number("mean", unit)?,
            variance: number("variance", nonneg)?,
        })
    };
    read().map_err(|(_, code): Problem| node.problem(code))
}

fn read_rng(config: &Config, node: &Node<'_>) -> Result<RngState, Problem> {
    let record: RngRecord = node.parse(Code::WrongType)?;
    let state = RngState::from_record(&record).map_err(|code| node.problem(code))?;
    if state.seed() == config.seed && state.stream() == CYCLE_STREAM {
        Ok(state)
    } else {
        Err(node.problem(Code::SeedMismatch))
    }
}

fn read_counters(node: &Node<'_>) -> Result<Counters, Problem> {
    node.record(&[
        "cycles",
        "promotions",
        "canaries",
        "holds",
        "rejections",
        "rollbacks",
        "aborts",
        "fallbacks",
    ])?;
    let count = |key: &str| node.get(key).decimal();
    Ok(Counters {
        cycles: count("cycles")?,
        promotions: count("promotions")?,
        canaries: count("canaries")?,
        holds: count("holds")?,
        rejections: count("rejections")?,
        rollbacks: count("rollbacks")?,
        aborts: count("aborts")?,
        fallbacks: count("fallbacks")?,
    })
}
