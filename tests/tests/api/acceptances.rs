//! The table of values that must be accepted.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Edit, table};

/// A place and the values that may stand there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: String,
    to: Vec<Value>,
}

/// Name of an example and a change that leaves it valid.
pub fn acceptances() -> Vec<(String, Edit)> {
    let table: BTreeMap<String, Vec<Line>> = table("acceptances");
    let mut cases = Vec::new();
    for (base, lines) in table {
        for Line { at, to } in lines {
            cases.extend(to.into_iter().map(|value| (base.clone(), Edit::set(&at, value))));
        }
    }
    cases
}
