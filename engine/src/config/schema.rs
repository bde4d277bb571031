//! Judges a configuration document against the table of fields, and completes it with defaults.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{FIELDS, Kind};
use super::lists;
use crate::error::ConfigError;
use crate::num::parse_decimal;
use Kind::{Boolean, Decimal, Integer, Metrics, Number, OneOf, OptionalNumber, Parameters, Weights};

/// Collects errors in the order in which they are found.
#[derive(Debug, Default)]
pub(super) struct Errors(pub(super) Vec<ConfigError>);

impl Errors {
    pub(super) fn push(&mut self, field: &str, bound: impl Into<String>, value: impl Into<Value>) {
        self.0.push(ConfigError {
            field: field.to_owned(),
            bound: bound.into(),
            value: value.into(),
        });
    }

    /// Reports a value that stands in the document.
    fn found(&mut self, field: &str, bound: &str, value: &Value) {
        self.push(field, bound, value.clone());
    }

    /// A number inside the interval that `bound` describes.
    pub(super) fn number(&mut self, field: &str, bound: &str, value: &Value) -> Option<f64> {
        let Some(x) = value.as_f64() else {
            self.found(field, "number", value);
            return None;
        };
        if contains(bound, x) {
            return Some(x);
        }
        self.found(field, bound, value);
        None
    }

    fn integer(&mut self, field: &str, bound: &str, value: &Value) {
        match value.as_f64() {
            Some(x) if x.fract() == 0.0 => {
                self.number(field, bound, value);
            }
            _ => self.found(field, "integer", value),
        }
    }

    fn decimal(&mut self, field: &str, min: u64, value: &Value) {
        match value.as_str().map(parse_decimal::<u64>) {
            Some(Ok(n)) if n >= min => {}
            Some(Ok(_)) => self.found(field, &format!(">= {min}"), value),
            _ => self.found(field, "decimal string, unsigned 64-bit", value),
        }
    }

    pub(super) fn one_of(&mut self, field: &str, words: &[&str], value: &Value) {
        if !value.as_str().is_some_and(|word| words.contains(&word)) {
            self.found(field, &format!("one of {}", words.join("|")), value);
        }
    }

    pub(super) fn object<'a>(&mut self, field: &str, value: &'a Value) -> Option<&'a Map<String, Value>> {
        if !value.is_object() {
            self.found(field, "object", value);
        }
        value.as_object()
    }

    /// Reports every key of `map` that is not known, in the order of their bytes.
    pub(super) fn unknown_keys(&mut self, field: &str, map: &Map<String, Value>, known: &[&str]) {
        let unknown: BTreeMap<&String, &Value> = map.iter().filter(|(key, _)| !known.contains(&key.as_str())).collect();
        for (key, value) in unknown {
            self.found(&format!("{field}.{key}"), "known field", value);
        }
    }

    fn field(&mut self, field: &str, kind: Kind, value: &Value) {
        match kind {
            Number(bound) => {
                self.number(field, bound, value);
            }
            OptionalNumber(bound) => {
                if !value.is_null() {
                    self.number(field, bound, value);
                }
            }
            Integer(bound) => self.integer(field, bound, value),
            Decimal(min) => self.decimal(field, min, value),
            Boolean => {
                if !value.is_boolean() {
                    self.found(field, "boolean", value);
                }
            }
            OneOf(words) => self.one_of(field, words, value),
            Weights(names) => lists::weights(self, field, names, value),
            Metrics => lists::metrics(self, field, value),
            Parameters => lists::parameters(self, field, value),
        }
    }
}

/// Whether `x` lies in the interval written as `(0, 1]`. Text that is not an interval contains nothing.
pub(super) fn contains(interval: &str, x: f64) -> bool {
    let Some((low, high)) = interval.split_once(", ") else {
        return false;
    };
    let above = match (low.strip_prefix('['), low.strip_prefix('(')) {
        (Some(low), _) => low.parse().is_ok_and(|low: f64| x >= low),
        (_, Some(low)) => low.parse().is_ok_and(|low: f64| x > low),
        _ => false,
    };
    let below = match (high.strip_suffix(']'), high.strip_suffix(')')) {
        (Some(high), _) => high.parse().is_ok_and(|high: f64| x <= high),
        (_, Some(high)) => high.parse().is_ok_and(|high: f64| x < high),
        _ => false,
    };
    above && below
}

/// Whether `path` is a number of the document.
pub(super) fn is_numeric_field(path: &str) -> bool {
    FIELDS
        .iter()
        .any(|(field, kind)| *field == path && matches!(kind, Number(_) | OptionalNumber(_) | Integer(_)))
}

/// Judges every field of the table, then the fields that the table does not have.
pub(super) fn errors(document: &Value) -> Errors {
    let mut errors = Errors::default();
    let Some(root) = errors.object("", document) else {
        return errors;
    };
    let mut reported = BTreeSet::new();
    for (path, kind) in FIELDS {
        match find(document, path) {
            Found::Value(value) => errors.field(path, *kind, value),
            Found::NotAnObject(section, value) => {
                if reported.insert(section) {
                    errors.found(section, "object", value);
                }
            }
            Found::Absent => {}
        }
    }
    let mut unknown = BTreeMap::new();
    collect_unknown(root, "", &mut unknown);
    for (path, value) in unknown {
        errors.found(&path, "known field", value);
    }
    errors
}

enum Found<'a> {
    Value(&'a Value),
    NotAnObject(&'a str, &'a Value),
    Absent,
}

/// Looks `path` up; a section of another type than object is named with its path.
fn find<'a>(document: &'a Value, path: &'a str) -> Found<'a> {
    let mut value = document;
    let mut end = 0;
    for key in path.split('.') {
        let Some(map) = value.as_object() else {
            // `end` is the byte just after the dot that follows the section's path.
            let section = path.get(..usize::saturating_sub(end, 1)).unwrap_or(path);
            return Found::NotAnObject(section, value);
        };
        match map.get(key) {
            Some(next) => value = next,
            None => return Found::Absent,
        }
        end += key.len() + 1;
    }
    Found::Value(value)
}

fn collect_unknown<'a>(map: &'a Map<String, Value>, prefix: &str, unknown: &mut BTreeMap<String, &'a Value>) {
    for (key, value) in map {
        let path = format!("{prefix}{key}");
        if FIELDS.iter().any(|(field, _)| *field == path) {
            continue;
        }
        let section = format!("{path}.");
        match value.as_object() {
            Some(inner) if is_section(&section) => collect_unknown(inner, &section, unknown),
            None if is_section(&section) => {}
            _ => {
                unknown.insert(path, value);
            }
        }
    }
}

fn is_section(prefix: &str) -> bool {
    FIELDS.iter().any(|(field, _)| field.starts_with(prefix))
}

/// `defaults` with every field of the document written over it.
///
/// The document must have passed [`errors`]. Whole numbers lose a fraction of `.0`, so that they parse into integers.
pub(super) fn overlay(mut defaults: Value, document: &Value) -> Value {
    for (path, kind) in FIELDS {
        if let (Found::Value(value), Some(target)) = (find(document, path), slot(&mut defaults, path)) {
            *target = match kind {
                Integer(_) => value.as_f64().map_or_else(|| value.clone(), whole),
                _ => value.clone(),
            };
        }
    }
    defaults
}

/// The integral value `x` as a JSON integer. The schema's integers are at most 1e9.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value was checked to be integral and in range"
)]
fn whole(x: f64) -> Value {
    Value::from(x as u64)
}

/// The place of `path` inside a complete document.
pub(super) fn slot<'a>(document: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.')
        .try_fold(document, |value, key| value.as_object_mut()?.get_mut(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interval_of_the_table_contains_something() {
        for (path, kind) in FIELDS {
            if let Number(bound) | OptionalNumber(bound) | Integer(bound) = kind {
                let hit = [0.0, 0.005, 0.05, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 100.0, 500.0]
                    .into_iter()
                    .any(|x| contains(bound, x));
                assert!(
                    hit && !contains(bound, -1.0) && !contains(bound, 1e10),
                    "{path}: {bound}"
                );
            }
        }
    }

    #[test]
    fn intervals_respect_open_and_closed_ends() {
        assert!(contains("[0, 1]", 0.0) && contains("[0, 1]", 1.0));
        assert!(!contains("(0, 1)", 0.0) && !contains("(0, 1)", 1.0) && contains("(0, 1)", 0.5));
        assert!(!contains("0, 1", 0.5) && !contains("[0 1]", 0.5) && !contains("[a, b]", 0.5));
    }
}
