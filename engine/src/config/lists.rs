//! The parts of a document that are lists or named maps: weights, metrics, tuner parameters.

use serde_json::{Map, Value};

use super::schema::{Errors, is_numeric_field};

/// Distance from 1 that a sum of weights may have.
pub(super) const SUM_TOLERANCE: f64 = 1e-9;
const MAX_METRICS: usize = 64;

/// A map with exactly these names, each weight in (0, 1], sum 1.
pub(super) fn weights(errors: &mut Errors, field: &str, names: &[&str], value: &Value) {
    let Some(map) = errors.object(field, value) else {
        return;
    };
    if map.len() != names.len() || names.iter().any(|name| !map.contains_key(*name)) {
        errors.push(field, format!("exactly {}", names.join("|")), map.len());
        return;
    }
    let mut sum = Some(0.0);
    for name in names {
        let weight = errors.number(&format!("{field}.{name}"), "(0, 1]", member(map, name));
        sum = sum.zip(weight).map(|(sum, weight)| sum + weight);
    }
    if let Some(sum) = sum.filter(|sum| (sum - 1.0).abs() > SUM_TOLERANCE) {
        errors.push(field, "sum 1 within 1e-9", sum);
    }
}

/// The metrics of L∞, each judged in the order name, weight, unknown keys, normalizer.
pub(super) fn metrics(errors: &mut Errors, field: &str, value: &Value) {
    let items = value
        .as_array()
        .filter(|items| (1..=MAX_METRICS).contains(&items.len()));
    let Some(items) = items else {
        errors.push(
            field,
            "1 to 64 metrics",
            value
                .as_array()
                .map_or_else(|| value.clone(), |items| items.len().into()),
        );
        return;
    };
    let mut seen = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{field}[{index}]");
        let Some(map) = errors.object(&path, item) else {
            continue;
        };
        let name = member(map, "name");
        match name.as_str() {
            Some(text) if !text.is_empty() && !seen.contains(&text) => seen.push(text),
            _ => errors.push(&format!("{path}.name"), "unique non-empty", name.clone()),
        }
        errors.number(&format!("{path}.weight"), "(0, 1000]", member(map, "weight"));
        errors.unknown_keys(&path, map, &["name", "weight", "normalize"]);
        normalizer(errors, &format!("{path}.normalize"), member(map, "normalize"));
    }
}

const BETTER: &[&str] = &["higher", "lower"];

fn normalizer(errors: &mut Errors, field: &str, value: &Value) {
    let Some(map) = errors.object(field, value) else {
        return;
    };
    let kind = member(map, "kind");
    errors.one_of(
        &format!("{field}.kind"),
        &["identity", "oneMinus", "linear", "ratioToBaseline"],
        kind,
    );
    match kind.as_str() {
        Some("identity" | "oneMinus") => errors.unknown_keys(field, map, &["kind"]),
        Some("linear") => linear(errors, field, map),
        Some("ratioToBaseline") => {
            positive(errors, &format!("{field}.baseline"), member(map, "baseline"));
            errors.one_of(&format!("{field}.better"), BETTER, member(map, "better"));
            if let Some(at_parity) = map.get("atParity") {
                errors.number(&format!("{field}.atParity"), "(0, 1]", at_parity);
            }
            errors.unknown_keys(field, map, &["kind", "baseline", "better", "atParity"]);
        }
        _ => {}
    }
}

fn linear(errors: &mut Errors, field: &str, map: &Map<String, Value>) {
    let min = any_number(errors, &format!("{field}.min"), member(map, "min"));
    let max = any_number(errors, &format!("{field}.max"), member(map, "max"));
    errors.one_of(&format!("{field}.better"), BETTER, member(map, "better"));
    errors.unknown_keys(field, map, &["kind", "min", "max", "better"]);
    if let Some((min, max)) = min.zip(max) {
        ordered(errors, field, min, max, member(map, "min"));
    }
}

/// `min < max` with a finite difference, because the normalizer divides by it.
fn ordered(errors: &mut Errors, field: &str, min: f64, max: f64, value: &Value) {
    let width = max - min;
    if !(width.is_finite() && width > 0.0) {
        errors.push(field, "min < max", value.clone());
    }
}

/// The parameters of the tuner: unique names of numeric fields, each with bounds.
pub(super) fn parameters(errors: &mut Errors, field: &str, value: &Value) {
    let Some(items) = value.as_array() else {
        errors.push(field, "list", value.clone());
        return;
    };
    let mut names = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{field}[{index}]");
        let Some(map) = errors.object(&path, item) else {
            continue;
        };
        let name = member(map, "name");
        match name.as_str() {
            Some(text) if is_numeric_field(text) => names.push(text),
            _ => errors.push(&format!("{path}.name"), "known field", name.clone()),
        }
        let min = any_number(errors, &format!("{path}.min"), member(map, "min"));
        let max = any_number(errors, &format!("{path}.max"), member(map, "max"));
        errors.unknown_keys(&path, map, &["name", "min", "max"]);
        if let Some((min, max)) = min.zip(max) {
            ordered(errors, &path, min, max, member(map, "min"));
        }
    }
    names.sort_unstable();
    if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        errors.push(field, "unique names", items.len());
    }
}

fn any_number(errors: &mut Errors, field: &str, value: &Value) -> Option<f64> {
    if !value.is_number() {
        errors.push(field, "number", value.clone());
    }
    value.as_f64()
}

fn positive(errors: &mut Errors, field: &str, value: &Value) {
    if any_number(errors, field, value).is_some_and(|x| x <= 0.0) {
        errors.push(field, "> 0", value.clone());
    }
}

fn member<'a>(map: &'a Map<String, Value>, key: &str) -> &'a Value {
    map.get(key).unwrap_or(&Value::Null)
}
