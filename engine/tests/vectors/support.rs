//! Reading vector inputs.

use penin_engine::config::Config;
use penin_engine::num::Num;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// `value[key]` as `T`; an absent key reads as null.
pub fn field<T: DeserializeOwned>(value: &Value, key: &str) -> T {
    read(&value[key])
}

/// `value` as `T`.
pub fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error} in {value}"))
}

/// `value[key]` as evidence; an absent key is a missing value.
pub fn num(value: &Value, key: &str) -> Num {
    field(value, key)
}

/// `value[key]` as evidence, with a default for an absent key.
pub fn num_or(value: &Value, key: &str, default: f64) -> Num {
    value.get(key).map_or(Num::new(default), read)
}

/// A decimal string as u64.
pub fn integer(value: &Value, key: &str) -> u64 {
    value[key].as_str().unwrap().parse().unwrap()
}

/// The configuration of a partial document; absent means the defaults.
pub fn config(document: &Value) -> Config {
    let document = if document.is_null() { &json!({}) } else { document };
    Config::from_json(document).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Any serialisable output as JSON.
pub fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// `input` without these keys.
pub fn without(input: &Value, keys: &[&str]) -> Value {
    let mut map = input.as_object().unwrap().clone();
    map.retain(|key, _| !keys.contains(&key.as_str()));
    Value::Object(map)
}
