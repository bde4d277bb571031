//! Keeps secrets out: an entry can never be removed, so a secret in it would stay for good.

use serde_json::{Map, Value};

/// What a redacted value becomes.
pub const REDACTED: &str = "[REDACTED]";

/// Words that make a field name secret. Compared with whole words of the name (`apiKey` is `api` and `key`), so
/// that `author` and `monkey` stay readable evidence.
const SECRET_WORDS: [&str; 16] = [
    "password",
    "passwords",
    "passwd",
    "pwd",
    "token",
    "tokens",
    "key",
    "secret",
    "secrets",
    "auth",
    "authorization",
    "credential",
    "credentials",
    "bearer",
    "cookie",
    "jwt",
];
/// Names that are secret as a whole, with separators removed.
const SECRET_NAMES: [&str; 4] = ["sessionid", "oauth", "apikey", "setcookie"];

/// Replaces the values of secret fields, at any depth and inside strings that hold JSON, and strings that are
/// secret by their form.
pub(crate) fn body(fields: &mut Map<String, Value>) {
    for (name, value) in fields.iter_mut() {
        if is_secret_name(name) && !value.is_null() && !value.is_boolean() {
            *value = REDACTED.into();
        } else {
            redact(value);
        }
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => body(fields),
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) => {
            if is_secret_text(text) {
                *value = REDACTED.into();
            } else if let Some(mut inner) = embedded(text) {
                let before = inner.clone();
                redact(&mut inner);
                // Only then: an untouched text keeps its bytes.
                if inner != before {
                    *value = inner.to_string().into();
                }
            }
        }
        _ => {}
    }
}

/// Whether a document would be changed by redaction.
pub(crate) fn has_secret(document: &Value) -> bool {
    let mut redacted = document.clone();
    redact(&mut redacted);
    redacted != *document
}

fn embedded(text: &str) -> Option<Value> {
    let trimmed = text.trim_start();
    (trimmed.starts_with('{') || trimmed.starts_with('['))
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

fn is_secret_text(text: &str) -> bool {
    text.contains("PRIVATE KEY-----") || text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
}

fn is_secret_name(name: &str) -> bool {
    let joined: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| joined.contains(secret))
        || words(name).any(|word| SECRET_WORDS.contains(&word.as_str()))
}

/// Words of a name in camelCase, `snake_case`, kebab-case or with dots.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::with_capacity(name.len() + 8);
    let mut lower_before = false;
    for c in name.chars() {
        if c.is_uppercase() && lower_before {
            spaced.push(' ');
        }
        lower_before = c.is_lowercase() || c.is_ascii_digit();
        spaced.push(if c.is_alphanumeric() { c } else { ' ' });
    }
    let lower = spaced.to_lowercase();
    lower
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn redacted(value: Value) -> Value {
        let mut value = value;
        redact(&mut value);
        value
    }

    #[test]
    fn secret_fields_are_redacted_in_every_spelling() {
        for name in [
            "password",
            "dbPasswd",
            "PWD",
            "access_token",
            "api-key",
            "apikey",
            "clientSecret",
            "auth",
            "Authorization",
            "credentials",
            "bearer",
            "sessionId",
            "session_id",
            "Set-Cookie",
            "jwt",
            "oauth2",
            "X.Api.Key",
        ] {
            let found = redacted(json!({ name: "hunter2", "deep": [{ name: ["hunter2"] }] }));
            assert!(!found.to_string().contains("hunter2"), "{name}: {found}");
        }
    }

    #[test]
    fn evidence_with_similar_names_stays() {
        let evidence = json!({
            "author": "risk team", "monkey": 1, "keyboard": "x", "tokenized": "yes", "authority": "ca",
            "secretary": "s", "hasToken": true, "note": "{not json", "list": "[1, 2]",
        });
        assert_eq!(redacted(evidence.clone()), evidence);
    }

    #[test]
    fn secrets_inside_text_are_found() {
        for text in [
            r#"{"token":"hunter2"}"#,
            "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
            "Bearer hunter2",
        ] {
            let found = redacted(json!({ "log": text }));
            assert!(!found.to_string().contains("hunter2"), "{text}");
        }
    }
}
