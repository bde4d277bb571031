//! The comparison rule of the vector file: numbers within a tolerance, everything else exactly.

use std::collections::BTreeSet;

use serde_json::Value;

/// Path of the first difference with both values, or `None` when `actual` equals `expected`.
pub fn difference(expected: &Value, actual: &Value, tolerance: f64) -> Option<String> {
    at("$", expected, actual, tolerance)
}

fn at(path: &str, expected: &Value, actual: &Value, tolerance: f64) -> Option<String> {
    match (expected, actual) {
        (Value::Number(e), Value::Number(a)) => {
            let (e, a) = (e.as_f64()?, a.as_f64()?);
            // Written so that an undefined difference counts as one.
            let close = (e - a).abs() <= tolerance;
            (!close).then(|| format!("{path}: expected {e:?}, got {a:?}"))
        }
        (Value::Array(e), Value::Array(a)) if e.len() == a.len() => e
            .iter()
            .zip(a)
            .enumerate()
            .find_map(|(i, (e, a))| at(&format!("{path}[{i}]"), e, a, tolerance)),
        (Value::Array(e), Value::Array(a)) => {
            Some(format!("{path}: expected {} items, got {}: {actual}", e.len(), a.len()))
        }
        (Value::Object(e), Value::Object(a)) => {
            let keys: BTreeSet<_> = e.keys().chain(a.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = format!("{path}.{key}");
                match (e.get(key), a.get(key)) {
                    (Some(e), Some(a)) => at(&path, e, a, tolerance),
                    (Some(e), None) => Some(format!("{path}: missing, expected {e}")),
                    (None, a) => Some(format!("{path}: unexpected {}", a.unwrap_or(&Value::Null))),
                }
            })
        }
        (e, a) => (e != a).then(|| format!("{path}: expected {e}, got {a}")),
    }
}
