//! The generated definitions, with what the derive cannot express.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::v1alpha1::{Challenger, LedgerAnchor, PeninCycle, PromotionGate};

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
    [PeninCycle::crd(), Challenger::crd(), PromotionGate::crd(), LedgerAnchor::crd()].into_iter().map(finish).collect()
}

/// File name and text of every definition.
///
/// # Errors
/// [`CrdError`] when a definition cannot be generated or written.
pub fn crd_files() -> Result<Vec<(String, String)>, CrdError> {
    crds()?.iter().map(file).collect()
}

fn file(crd: &CustomResourceDefinition) -> Result<(String, String), CrdError> {
    let name = crd.spec.names.singular.clone().unwrap_or_else(|| crd.spec.names.kind.to_lowercase());
    let yaml = serde_saphyr::to_string(crd).map_err(|source| CrdError::Yaml { name: name.clone(), source })?;
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
    if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
        // kstatus calls an object without status current; the default says that nobody looked yet.
        if status.get("properties").is_some_and(|properties| properties.get("observedGeneration").is_some()) {
            status.insert("default".into(), json!({ "observedGeneration": -1 }));
        }
    }
    if let Some(items) = schema.pointer_mut("/properties/status/properties/conditions/items/properties") {
        limit_condition(items);
    }
}

fn walk(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("type") || object.contains_key("x-kubernetes-int-or-string") {
                simplify(object);
            }
            object.values_mut().for_each(walk);
        }
        Value::Array(values) => values.iter_mut().for_each(walk),
        _ => {}
    }
}

/// Turns what Rust's types imply into what Kubernetes expects.
fn simplify(schema: &mut Map<String, Value>) {
    // A null is dropped by the API server and the default filled in, instead of being kept as a
    // third state beside absent and present.
    schema.remove("nullable");
    // The formats of unsigned integers are unknown to Kubernetes; all of ours are bounded far below 2³¹.
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        schema.insert("format".into(), "int32".into());
    }
    // schemars writes bounds of integers as floats.
    for bound in ["minimum", "maximum"] {
        if let Some(integer) = schema.get(bound).and_then(Value::as_f64).filter(|number| number.fract() == 0.0) {
            #[allow(clippy::cast_possible_truncation)] // Bounds of 32-bit and 64-bit fields written in this crate.
            schema.insert(bound.into(), json!(integer as i64));
        }
    }
}

/// The limits of `metav1.Condition`, which the Rust type does not carry.
fn limit_condition(properties: &mut Value) {
    let limits = [
        ("type", json!({ "maxLength": 316, "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$" })),
        ("status", json!({ "enum": ["True", "False", "Unknown"] })),
        ("reason", json!({ "minLength": 1, "maxLength": 1_024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" })),
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
