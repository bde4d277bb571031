//! The `snake_case` layout of earlier configuration files.

use serde_json::{Map, Value};

/// Keys of the classic layout and the fields they became, in the order in which they are moved.
const MOVES: &[(&str, &str)] = &[
    ("evolution.seed", "seed"),
    ("fibonacci.trust_region", "fibonacci.trustRegion"),
    ("fibonacci.search_method", "fibonacci.searchMethod"),
    ("fibonacci.max_interval_s", "fibonacci.maxIntervalSeconds"),
    ("caos_plus.max_boost", "caos.maxBoost"),
    ("caos_plus.kappa", "caos.kappa"),
    ("caos_plus.ewma_alpha", "caos.ewmaAlpha"),
    ("caos_plus.min_stability_cycles", "caos.minStabilityCycles"),
    ("shadow_duration_s", "league.shadowSeconds"),
    ("canary_duration_s", "league.canarySeconds"),
    ("canary_traffic_pct", "league.canaryBasisPoints"),
    ("delta_threshold", "league.deltaLinfMin"),
    ("error_rate_threshold", "league.errorRateMax"),
];

/// Rewrites a classic document into the current layout.
///
/// Every other key passes through and is then judged as usual. A classic key whose target is already taken stays where it is, so that
/// it is reported as an unknown field rather than silently losing to the other value.
#[must_use]
pub fn from_classic(document: &Value) -> Value {
    let Some(root) = document.as_object() else {
        return document.clone();
    };
    let mut root = root.clone();
    for (from, to) in MOVES {
        if can_write(&root, to)
            && let Some(value) = take(&mut root, from)
        {
            let value = match *from {
                "evolution.seed" => value.as_u64().map_or(value, |seed| seed.to_string().into()),
                "canary_traffic_pct" => value.as_f64().map_or(value, basis_points),
                _ => value,
            };
            write(&mut root, to, value);
        }
    }
    Value::Object(root)
}

/// A fraction in basis points. A product of decimal fractions carries rounding dust, which is removed.
fn basis_points(fraction: f64) -> Value {
    let points = fraction * 10_000.0;
    let nearest = points.round();
    if (points - nearest).abs() <= 1e-6 {
        nearest.into()
    } else {
        points.into()
    }
}

/// Whether `path` is free: its section is absent or an object without that key.
fn can_write(root: &Map<String, Value>, path: &str) -> bool {
    match path.split_once('.') {
        None => !root.contains_key(path),
        Some((section, key)) => root
            .get(section)
            .is_none_or(|value| value.as_object().is_some_and(|map| !map.contains_key(key))),
    }
}

/// Removes `path`, and its section when nothing else is left in it.
fn take(root: &mut Map<String, Value>, path: &str) -> Option<Value> {
    let Some((section, key)) = path.split_once('.') else {
        return root.remove(path);
    };
    let map = root.get_mut(section)?.as_object_mut()?;
    let value = map.remove(key)?;
    if map.is_empty() {
        root.remove(section);
    }
    Some(value)
}

fn write(root: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            root.insert(path.to_owned(), value);
        }
        Some((section, key)) => {
            let section = root.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if let Some(map) = section.as_object_mut() {
                map.insert(key.to_owned(), value);
            }
        }
    }
}
