//! The table of refusals.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Edit, table};

/// A change that must be refused.
pub struct Refusal {
    /// Name of the example.
    pub base: String,
    /// What is changed.
    pub edit: Edit,
    /// The field that the message must name.
    pub field: String,
    /// What the message must say.
    pub says: String,
}

/// A line of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// JSON pointer to the place of the change.
    at: String,
    /// What is put there.
    to: Option<Value>,
    /// Nothing is put there, what is there is taken away.
    #[serde(default)]
    gone: bool,
    /// A list of so many is put there; `#` in their texts is the number of each.
    times: Option<usize>,
    /// A text so long is put there: the last character is repeated.
    length: Option<usize>,
    field: String,
    says: String,
}

impl Line {
    fn edit(&self) -> Edit {
        match (&self.to, self.gone, self.times, self.length) {
            (None, true, None, None) => Edit::remove(&self.at),
            (Some(value), false, None, None) => Edit::set(&self.at, value.clone()),
            (Some(item), false, Some(times), None) => {
                let items = (0..times).map(|index| numbered(item, index)).collect();
                Edit::set(&self.at, items)
            }
            (Some(Value::String(text)), false, None, Some(length)) => {
                let last = text.chars().last().unwrap().to_string();
                let text = format!("{text}{}", last.repeat(length - text.chars().count()));
                Edit::set(&self.at, text.into())
            }
            _ => panic!(
                "{}: one of `to` and `gone`, and at most one of `times` and `length`",
                self.at
            ),
        }
    }
}

fn numbered(item: &Value, index: usize) -> Value {
    let text = serde_json::to_string(item).unwrap();
    serde_json::from_str(&text.replace('#', &index.to_string())).unwrap()
}

/// Every refusal.
pub fn refusals() -> Vec<Refusal> {
    let table: BTreeMap<String, Vec<Line>> = table("refusals");
    let lines = table
        .into_iter()
        .flat_map(|(base, lines)| lines.into_iter().map(move |line| (base.clone(), line)));
    lines
        .map(|(base, line)| Refusal {
            base,
            edit: line.edit(),
            field: line.field,
            says: line.says,
        })
        .collect()
}
