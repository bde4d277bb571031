//! The generated definitions, with what the derive cannot express.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::v1alpha1::{Challenger, LedgerAnchor, PeninCycle, PromotionGate};

/// Where the repository keeps the generated definitions, from its root: for kubectl, and for Helm, which can only read
/// what is inside the chart.
pub const CRD_FOLDERS: [&str; 2] = ["crds", "charts/penin-operator/files/crds"];

/// A definition cannot be generated or written down: a mistake in the types of this crate.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The definition does not survive a round trip through JSON.
    #[error("definition {name}: {source}")]
    Json {
        /// Name of the definition.
        name: String,
        /// What went wrong.
        source: serde_json::Error,
    },
    /// The definition cannot be written as YAML.
    #[error("definition {name}: {source}")]
    Yaml {
        /// Name of the definition.
        name: String,
        /// What went wrong.
        source: serde_saphyr::ser::Error,
    },
}

/// The definitions of all kinds, as they are to be installed. `CustomResourceExt::crd` of the types
/// alone lacks the default of `status` and the limits of conditions.
///
/// # Errors
/// [`CrdError::Json`] when a type of this crate has no valid schema.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    [
        PeninCycle::crd(),
        Challenger::crd(),
        PromotionGate::crd(),
        LedgerAnchor::crd(),
    ]
    .into_iter()
    .map(finish)
    .collect()
}

/// File name and text of every definition.
///
/// # Errors
/// [`CrdError`] when a definition cannot be generated or written.
pub fn crd_files() -> Result<Vec<(String, String)>, CrdError> {
    crds()?.iter().map(file).collect()
}

fn file(crd: &CustomResourceDefinition) -> Result<(String, String), CrdError> {
    let name = crd
        .spec
        .names
        .singular
        .clone()
        .unwrap_or_else(|| crd.spec.names.kind.to_lowercase());
    let yaml = serde_saphyr::to_string(crd).map_err(|source| CrdError::Yaml {
        name: name.clone(),
        source,
    })?;
    Ok((
        format!("{name}.yaml"),
        format!("# Generated from operator/api by `cargo run -p penin-api --bin crdgen`; do not edit.\n{yaml}"),
    ))
}

fn finish(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, CrdError> {
    let name = crd.spec.names.kind.clone();
    let adjust = || {
        let mut value = serde_json::to_value(crd)?;
        if let Some(versions) = value.pointer_mut("/spec/versions").and_then(Value::as_array_mut) {
            for version in versions {
                if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
                    finish_schema(schema);
                }
            }
        }
        serde_json::from_value(value)
    };
    adjust().map_err(|source| CrdError::Json { name, source })
}

fn finish_schema(schema: &mut Value) {
    walk(schema);
    if let Some(spec) = schema.pointer_mut("/properties/spec") {
        walk_with(spec, &explain);
    }
    if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
        // kstatus calls an object without status current; the default says that nobody looked yet.
        if status
            .get("properties")
            .is_some_and(|properties| properties.get("observedGeneration").is_some())
        {
            status.insert("default".into(), json!({ "observedGeneration": -1 }));
        }
    }
    if let Some(items) = schema.pointer_mut("/properties/status/properties/conditions/items/properties") {
        limit_condition(items);
    }
}

fn walk(schema: &mut Value) {
    walk_with(schema, &simplify);
}

/// Calls `visit` for every schema.
fn walk_with(schema: &mut Value, visit: &dyn Fn(&mut Map<String, Value>)) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("type") || object.contains_key("x-kubernetes-int-or-string") {
                visit(object);
            }
            object.values_mut().for_each(|value| walk_with(value, visit));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| walk_with(value, visit)),
        _ => {}
    }
}

/// Adds range and default to a description: `kubectl explain` shows neither.
fn explain(schema: &mut Map<String, Value>) {
    if schema
        .get("type")
        .is_some_and(|kind| kind == "object" || kind == "array")
    {
        // Its rules are about what is in it.
        return;
    }
    let mut more: Vec<String> = schema
        .get("x-kubernetes-validations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|rule| rule.get("message")?.as_str()?.split_once("` must be "))
        .filter_map(|(_, requirement)| {
            let range = requirement.strip_prefix("from ").map(|range| format!("From {range}."));
            range.or_else(|| Some(format!("In {}.", requirement.strip_prefix("in ")?)))
        })
        .collect();
    if let (Some(min), Some(max)) = (schema.get("minimum"), schema.get("maximum")) {
        more.push(format!("From {min} to {max}."));
    }
    match schema.get("default") {
        Some(Value::String(text)) => more.push(format!("Default: {text}.")),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => more.push(format!("Default: {value}.")),
        _ => {}
    }
    if let Some(Value::String(description)) = schema.get_mut("description")
        && !more.is_empty()
    {
        *description = format!("{description} {}", more.join(" "));
    }
}

/// Turns what Rust's types imply into what Kubernetes expects.
fn simplify(schema: &mut Map<String, Value>) {
    // Line ends of a doc comment are no line ends of the text.
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect::<Vec<_>>()
            .join("\n\n");
    }
    // A null is dropped by the API server and the default filled in, instead of being kept as a
    // third state beside absent and present.
    schema.remove("nullable");
    // The name of the Rust type says nothing that the kind does not.
    schema.remove("title");
    // The formats of unsigned integers are unknown to Kubernetes; all of ours are bounded far below 2³¹.
    if schema
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.starts_with("uint"))
    {
        schema.insert("format".into(), "int32".into());
    }
    // schemars writes bounds of integers as floats.
    for bound in ["minimum", "maximum"] {
        if let Some(integer) = schema
            .get(bound)
            .and_then(Value::as_f64)
            .filter(|number| number.fract() == 0.0)
        {
            #[allow(clippy::cast_possible_truncation)]
            // Bounds of 32-bit and 64-bit fields written in this crate.
            schema.insert(bound.into(), json!(integer as i64));
        }
    }
}

/// The limits of `metav1.Condition`, which the Rust type does not carry.
fn limit_condition(properties: &mut Value) {
    let limits = [
        (
            "type",
            json!({ "maxLength": 316, "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$" }),
        ),
        ("status", json!({ "enum": ["True", "False", "Unknown"] })),
        (
            "reason",
            json!({ "minLength": 1, "maxLength": 1_024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" }),
        ),
        ("message", json!({ "maxLength": 32_768 })),
        ("observedGeneration", json!({ "minimum": 0 })),
    ];
    for (field, limit) in limits {
        let property = properties.get_mut(field).and_then(Value::as_object_mut);
        if let (Some(property), Value::Object(limit)) = (property, limit) {
            property.extend(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn crds_are_current() {
        let files = crd_files().unwrap();
        let mut expected: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        expected.sort_unstable();
        for folder in CRD_FOLDERS {
            let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
            for (name, text) in &files {
                let written = fs::read_to_string(place.join(name)).unwrap_or_default();
                assert!(
                    &written == text,
                    "{folder}/{name} is not current: run `cargo run -p penin-api --bin crdgen`"
                );
            }
            let mut found: Vec<String> = fs::read_dir(&place)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            assert_eq!(found, expected, "{folder} holds exactly the generated files");
        }
    }

    #[test]
    fn the_written_yaml_says_what_the_types_say() {
        for (crd, (name, text)) in crds().unwrap().iter().zip(crd_files().unwrap()) {
            let read: Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(read, serde_json::to_value(crd).unwrap(), "{name}");
        }
    }

    /// Calls `visit` for every schema with its path.
    fn each_schema(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
        let Some(object) = schema.as_object() else {
            return;
        };
        visit(path, object);
        for (name, property) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            each_schema(&format!("{path}.{name}"), property, visit);
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(schema) = object.get(inner) {
                each_schema(&format!("{path}[]"), schema, visit);
            }
        }
    }

    fn each_field(mut visit: impl FnMut(&str, &Map<String, Value>)) {
        for crd in crds().unwrap() {
            for version in &crd.spec.versions {
                let schema =
                    serde_json::to_value(version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap())
                        .unwrap();
                each_schema(&crd.spec.names.kind, &schema, &mut visit);
            }
        }
    }

    #[test]
    fn every_value_is_bounded() {
        let mut unbounded = Vec::new();
        each_field(|path, schema| {
            let has = |key: &str| schema.contains_key(key);
            let bounded = match schema.get("type").and_then(Value::as_str) {
                Some("string") => has("maxLength") || has("enum") || schema.get("format") == Some(&json!("date-time")),
                Some("integer") => has("minimum") && has("maximum") || path.ends_with("eneration"),
                Some("array") => has("maxItems") && has("x-kubernetes-list-type"),
                Some("object") => has("properties") != has("maxProperties") || path == "LedgerAnchor",
                Some("boolean") => true,
                None => has("x-kubernetes-int-or-string") && has("maxLength"),
                Some(_) => false,
            };
            if !bounded {
                unbounded.push(path.to_owned());
            }
            assert!(!has("nullable") && !has("title"), "{path}");
        });
        assert_eq!(unbounded, Vec::<String>::new());
    }

    #[test]
    fn every_field_is_documented_and_says_so_in_full_sentences() {
        let mut bare = Vec::new();
        each_field(|path, schema| {
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let is_item = path.ends_with("[]");
            let is_well_known = ["apiVersion", "kind", "metadata"]
                .iter()
                .any(|name| path.split('.').nth(1) == Some(name));
            if !is_item
                && !is_well_known
                && (description.len() < 8 || !description.ends_with('.') || description.contains("[`"))
            {
                bare.push((path.to_owned(), description.to_owned()));
            }
        });
        // The description of metav1.Condition's own fields and of a kind is Kubernetes' or the derive's.
        bare.retain(|(path, _)| !path.contains(".conditions[]"));
        assert_eq!(bare, Vec::new());
    }

    #[test]
    fn every_rule_has_a_message_that_names_its_field() {
        let mut rules = 0;
        each_field(|path, schema| {
            for rule in schema
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                rules += 1;
                let message = rule.get("message").and_then(Value::as_str).unwrap_or_default();
                let named = message
                    .strip_prefix('`')
                    .and_then(|rest| rest.split_once('`'))
                    .map(|(field, _)| field);
                let (_, attached) = path.split_once('.').unwrap_or_default();
                assert!(
                    named.is_some_and(|named| named.starts_with(attached) && !named.is_empty()),
                    "{path}: {message}"
                );
                // Where the error points elsewhere than the rule, it points at what the message names.
                if let (Some(field), Some(named)) = (rule.get("fieldPath").and_then(Value::as_str), named) {
                    assert!(
                        format!("{named}.").contains(&format!("{field}.")),
                        "{path}: {message} points at {field}"
                    );
                }
            }
        });
        assert!(rules > 50, "only {rules} rules found");
    }

    #[test]
    fn descriptions_name_range_and_default() {
        let mut found = std::collections::BTreeMap::new();
        each_field(|path, schema| {
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            found.insert(path.to_owned(), description.to_owned());
        });
        for (path, end) in [
            ("PeninCycle.spec.interval", " From 1s to 5m. Default: 10s."),
            ("PeninCycle.spec.suspend", " Default: false."),
            ("PeninCycle.spec.canary.steps[].weight", " From 1 to 5."),
            ("PromotionGate.spec.guard.ece.max", " In (0, 1]."),
            ("Challenger.spec.proposal.cost", " In [0, 1000]."),
        ] {
            assert!(found[path].ends_with(end), "{path}: {}", found[path]);
        }
        assert!(!found["PeninCycle.spec.engine.lpsi"].contains("In ("));
        assert!(!found["PeninCycle.status.champion.readyEndpoints"].contains("From 0"));
    }

    #[test]
    fn a_new_object_is_not_current_before_the_operator_saw_it() {
        for crd in crds().unwrap() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            let default = schema.pointer("/openAPIV3Schema/properties/status/default");
            let expected = (crd.spec.names.kind != "LedgerAnchor").then(|| json!({ "observedGeneration": -1 }));
            assert_eq!(default, expected.as_ref(), "{}", crd.spec.names.kind);
        }
    }
}
