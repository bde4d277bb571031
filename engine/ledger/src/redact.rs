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

/// Replaces the texts below secret fields, at any depth and inside strings that hold JSON, and strings that are secret
/// by their form. Numbers, booleans and null are no secrets: evidence may be called `token_f1`.
pub(crate) fn body(fields: &mut Map<String, Value>) {
    for (name, value) in fields.iter_mut() {
        if secret_word(name).is_some() {
            hide(value);
        } else {
            redact(value);
        }
    }
}

/// Replaces every text of a value that stands below a secret name, also one that reads like a number: what was written
/// as a text was no measurement.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(_) => *value = REDACTED.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
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

/// Where a document holds the first text that redaction would replace, as a path such as `.ratios.auth.good`; `None`
/// when there is none.
pub(crate) fn find_secret(document: &Value) -> Option<String> {
    let mut redacted = document.clone();
    redact(&mut redacted);
    difference(document, &redacted)
}

/// The path of the first difference between a document and its redacted form, which has the same shape.
fn difference(before: &Value, after: &Value) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before.iter().find_map(|(name, value)| {
            let inner = difference(value, after.get(name)?)?;
            Some(format!(".{name}{inner}"))
        }),
        (Value::Array(before), Value::Array(after)) => {
            let mut pairs = before.iter().zip(after).enumerate();
            pairs.find_map(|(index, (before, after))| Some(format!("[{index}]{}", difference(before, after)?)))
        }
        _ => (before != after).then(String::new),
    }
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

/// What makes a field name secret, as it is spelt in the list of such words; `None` for any other name. No text can be
/// recorded below such a name, so whoever makes names into fields asks here first.
#[must_use]
pub fn secret_word(name: &str) -> Option<&'static str> {
    let joined: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let whole = SECRET_NAMES.into_iter().find(|secret| joined.contains(secret));
    whole.or_else(|| words(name).find_map(|word| SECRET_WORDS.into_iter().find(|secret| *secret == word)))
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
    fn numbers_are_no_secrets_whatever_they_are_called() {
        let evidence = json!({
            "metrics": {"token_f1": 0.93, "tokens_per_second": 41, "key-recall": null},
            "auth": {"errors": [3, {"rate": 0.5, "known": true}]},
            "text": r#"{"tokens": 7}"#,
        });
        assert_eq!(redacted(evidence.clone()), evidence);
        assert_eq!(find_secret(&evidence), None);
    }

    #[test]
    fn texts_below_a_secret_name_are_redacted_at_any_depth_and_numbers_stay() {
        let found = redacted(json!({"auth": {"errors": [3, "hunter2", {"good": "12", "all": 40, "none": null}]}}));
        let wanted = json!({"auth": {"errors": [3, REDACTED, {"good": REDACTED, "all": 40, "none": null}]}});
        assert_eq!(found, wanted);
        // What was redacted before holds no secret any more.
        assert_eq!(find_secret(&wanted), None);
    }

    #[test]
    fn a_secret_is_found_by_its_path() {
        let document = json!({"candidate": {"ratios": {"auth-errors": {"known": {"good": "12", "total": "40"}}}}});
        assert_eq!(
            find_secret(&document).as_deref(),
            Some(".candidate.ratios.auth-errors.known.good")
        );
        assert_eq!(find_secret(&json!([1, {"a": "Bearer x"}])).as_deref(), Some("[1].a"));
        assert_eq!(find_secret(&json!("Bearer x")).as_deref(), Some(""));
    }

    #[test]
    fn the_word_that_makes_a_name_secret_is_named() {
        for (name, word) in [
            ("auth-errors", Some("auth")),
            ("token_f1", Some("token")),
            ("sessionIds", Some("sessionid")),
            ("authority", None),
            ("f1", None),
        ] {
            assert_eq!(secret_word(name), word, "{name}");
        }
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
