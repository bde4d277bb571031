//! Writing to standard output. A reader that went away is no panic.

use std::io::Write as _;

use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};

use crate::CommandError;
use crate::arguments::Format;
use crate::what::Kind;

/// Writes bytes as they are.
///
/// # Errors
/// When standard output is closed.
pub fn bytes(bytes: &[u8]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes text and a line's end.
///
/// # Errors
/// When standard output is closed.
pub fn line(text: &str) -> Result<(), CommandError> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes a value in a format for machines.
///
/// # Errors
/// When the value cannot be serialised, or standard output is closed.
pub fn value<T: Serialize>(value: &T, output: Format) -> Result<(), CommandError> {
    let text = match output {
        Format::Yaml => serde_saphyr::to_string(value).map_err(|error| CommandError::Output(error.to_string()))?,
        _ => serde_json::to_string_pretty(value).map_err(|error| CommandError::Output(error.to_string()))?,
    };
    line(text.trim_end())
}

/// Objects as kubectl writes them: without the fields' managers.
///
/// # Errors
/// When an object cannot be serialised.
pub fn document<K: Resource + Serialize + Clone>(object: &K) -> Result<Value, CommandError> {
    let mut object = object.clone();
    object.meta_mut().managed_fields = None;
    serde_json::to_value(&object).map_err(|error| CommandError::Output(error.to_string()))
}

/// A list as kubectl writes it.
///
/// # Errors
/// When an object cannot be serialised.
pub fn list<K: Resource + Serialize + Clone>(objects: &[K]) -> Result<Value, CommandError> {
    let items: Result<Vec<Value>, CommandError> = objects.iter().map(document).collect();
    Ok(json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items?}))
}

/// `kind.group/name` of each object.
pub fn names<K: Resource>(kind: Kind, objects: &[K]) -> String {
    let name = |object: &K| format!("{}/{}", kind.qualified(), object.name_any());
    objects.iter().map(name).collect::<Vec<_>>().join("\n")
}
