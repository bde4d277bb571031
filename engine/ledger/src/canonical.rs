//! RFC 8785 canonical JSON, with an admission check for what the standard would silently change.

use serde::Serialize;
use serde_json::{Number, Value};

/// Integers beyond ±2⁵³ lose digits in RFC 8785 (numbers are IEEE 754 doubles there), so they must be strings.
const SAFE_INTEGER: u64 = 1 << 53;
/// Deeper documents are refused: readers in other languages have stacks of their own.
const DEPTH: usize = 64;

/// A document that has no faithful canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// An integer that a double cannot hold.
    #[error("{path}: integer {value} is beyond ±2^53; write it as a string")]
    UnsafeInteger {
        /// JSON pointer (RFC 6901) of the number.
        path: String,
        /// The number as given.
        value: String,
    },
    /// Nested deeper than 64 levels.
    #[error("{path}: nested deeper than 64 levels")]
    TooDeep {
        /// JSON pointer (RFC 6901) of the first value that is too deep.
        path: String,
    },
    /// The value cannot be written as JSON at all.
    #[error("not representable as JSON: {0}")]
    NotJson(String),
}

/// Canonical bytes of `value` (RFC 8785).
///
/// # Errors
/// See [`CanonicalError`].
pub fn to_vec(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    admit(value, &mut Vec::new())?;
    write(value)
}

/// Canonical bytes of a type of this crate, whose integers are strings or small by construction.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(|e| CanonicalError::NotJson(e.to_string()))
}

fn admit<'a>(value: &'a Value, path: &mut Vec<PathPart<'a>>) -> Result<(), CanonicalError> {
    if path.len() > DEPTH {
        return Err(CanonicalError::TooDeep { path: pointer(path) });
    }
    match value {
        Value::Number(number) if !is_safe(number) => Err(CanonicalError::UnsafeInteger {
            path: pointer(path),
            value: number.to_string(),
        }),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            path.push(PathPart::Index(index));
            let result = admit(item, path);
            path.pop();
            result
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(key, item)| {
            path.push(PathPart::Key(key));
            let result = admit(item, path);
            path.pop();
            result
        }),
        _ => Ok(()),
    }
}

enum PathPart<'a> {
    Key(&'a str),
    Index(usize),
}

fn pointer(path: &[PathPart<'_>]) -> String {
    let mut text = String::new();
    for part in path {
        text.push('/');
        match part {
            PathPart::Key(key) => text.push_str(&key.replace('~', "~0").replace('/', "~1")),
            PathPart::Index(index) => text.push_str(&index.to_string()),
        }
    }
    if text.is_empty() { "/".into() } else { text }
}

fn is_safe(number: &Number) -> bool {
    match (number.as_u64(), number.as_i64()) {
        (Some(positive), _) => positive <= SAFE_INTEGER,
        (None, Some(negative)) => negative.unsigned_abs() <= SAFE_INTEGER,
        (None, None) => number.as_f64().is_some_and(f64::is_finite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_numbers_shortest() {
        let value = json!({"b": 1.0, "a": [1e21, 0.1, -0.0, 9_007_199_254_740_992_u64], "é": "\n"});
        assert_eq!(
            String::from_utf8(to_vec(&value).unwrap()).unwrap(),
            r#"{"a":[1e+21,0.1,0,9007199254740992],"b":1,"é":"\n"}"#
        );
    }

    #[test]
    fn integers_that_would_change_are_refused_by_path() {
        let error = to_vec(&json!({"rng": {"a/b": [0, u64::MAX]}})).unwrap_err();
        assert_eq!(
            error,
            CanonicalError::UnsafeInteger {
                path: "/rng/a~1b/1".into(),
                value: "18446744073709551615".into()
            }
        );
        assert!(to_vec(&json!(i64::MIN)).is_err());
    }

    #[test]
    fn bottomless_documents_are_refused() {
        let mut value = json!(1);
        for _ in 0..70 {
            value = json!([value]);
        }
        assert!(matches!(to_vec(&value), Err(CanonicalError::TooDeep { .. })));
    }
}
