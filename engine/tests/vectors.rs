//! Runs the specification's test vectors against the engine.
//!
//! Without arguments the vectors of `tests/data/engine-vectors.json` run; the environment variable `PENIN_VECTORS` names another file of
//! the same format to use instead. Every vector says that `function(input)` equals `expect`: numbers within a tolerance, everything
//! else exactly. The last line is `N passed, N failed`, and any failure, an unknown function included, makes the exit status 1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "vectors/advisory.rs"]
mod advisory;
#[path = "vectors/base.rs"]
mod base;
#[path = "vectors/compare.rs"]
mod compare;
#[path = "vectors/config.rs"]
mod config;
#[path = "vectors/decisions.rs"]
mod decisions;
#[path = "vectors/ethics.rs"]
mod ethics;
#[path = "vectors/master.rs"]
mod master;
#[path = "vectors/scores.rs"]
mod scores;
#[path = "vectors/support.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use serde_json::Value;

/// Computes the output of one function from the input of a vector.
type Function = fn(&Value) -> Value;

/// Every group of functions. Each module names its own in `FUNCTIONS`.
const GROUPS: &[&[(&str, Function)]] = &[
    base::FUNCTIONS,
    scores::FUNCTIONS,
    advisory::FUNCTIONS,
    config::FUNCTIONS,
    ethics::FUNCTIONS,
    decisions::FUNCTIONS,
    master::FUNCTIONS,
];

fn find(name: &str) -> Option<Function> {
    let mut all = GROUPS.iter().flat_map(|group| group.iter());
    all.find(|(known, _)| *known == name).map(|(_, function)| *function)
}

/// `None` when the vector holds, otherwise what differs.
fn run(vector: &Value, default_tolerance: f64) -> Option<String> {
    let name = vector["function"].as_str().unwrap_or("");
    let Some(function) = find(name) else {
        return Some(format!("unknown function {name:?}"));
    };
    let tolerance = vector["tolerance"].as_f64().unwrap_or(default_tolerance);
    match catch_unwind(AssertUnwindSafe(|| function(&vector["input"]))) {
        Ok(actual) => compare::difference(&vector["expect"], &actual, tolerance),
        Err(_) => Some("panicked".to_owned()),
    }
}

fn main() -> ExitCode {
    let path = std::env::var("PENIN_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/engine-vectors.json").to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path} is not JSON: {error}"));
    assert_eq!(file["schema"], "penin.vectors/1", "{path}: unknown schema");
    let tolerance = file["tolerance"].as_f64().expect("a file tolerance");
    let vectors = file["vectors"].as_array().expect("a list of vectors");

    let mut failed = 0;
    for vector in vectors {
        if let Some(difference) = run(vector, tolerance) {
            failed += 1;
            println!("FAILED {}: {difference}", vector["id"].as_str().unwrap_or("?"));
        }
    }
    println!("{} passed, {failed} failed", vectors.len() - failed);
    // A file without vectors proves nothing.
    if failed == 0 && !vectors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
