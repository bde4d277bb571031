//! From a target Deployment and a Challenger's overrides to a frozen pod template.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use penin_api::names::{LABEL_CYCLE, LABEL_REVISION};
use penin_api::v1alpha1::challenger::{ContainerOverride, EnvOverride};
use penin_engine::event::{Digest, content_hash};
use serde_json::Value;

use super::{QuantityError, canonical_quantity, revision_labels, revision_name};

/// Label that the Deployment controller puts on pods; never part of a template.
const LABEL_TEMPLATE_HASH: &str = "pod-template-hash";
/// Most paths that [`TemplateError::UnknownFields`] names.
const MAX_UNKNOWN: usize = 8;

/// A resolved pod template with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// `<cycle>-<10 hex>`, name of the Deployment and the Service.
    pub name: String,
    /// SHA-256 of the canonical JSON (RFC 8785) of the template without the labels that tell revisions apart.
    pub digest: Digest,
    /// The template as the pods carry it.
    pub template: PodTemplateSpec,
}

/// Why a target, or a target and its overrides, make no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The object that was read is no Deployment.
    #[error("the target cannot be read as a Deployment: {0}")]
    Unreadable(String),
    /// The template has fields that this operator does not know, and would lose.
    #[error(
        "the target uses fields that this operator does not know and would drop from its copy: {}; upgrade the operator or remove them",
        paths.join(", ")
    )]
    UnknownFields {
        /// Paths of the fields, eight at most.
        paths: Vec<String>,
    },
    /// The target has no containers.
    #[error("the target's `spec.template.spec.containers` is empty")]
    NoContainers,
    /// The target is one of our own revisions.
    #[error(
        "the target carries the label `{LABEL_REVISION}`: it is a revision made by this operator; name the Deployment that you deploy"
    )]
    IsRevision,
    /// The pods would belong to the target as well.
    #[error(
        "the target's `spec.selector` would also select revision pods: it needs `matchLabels` with a key of its own, or an expression with operator In"
    )]
    SelectorTooWide,
    /// An override for a container that the target does not have.
    #[error("`spec.containers[{index}].name`: the target has no container `{name}`; it has {}", known.join(", "))]
    UnknownContainer {
        /// Position in the list of overrides.
        index: usize,
        /// The name.
        name: String,
        /// The names of the target's containers.
        known: Vec<String>,
    },
    /// Two overrides for one container.
    #[error("`spec.containers[{index}].name`: container `{name}` is named twice")]
    DuplicateContainer {
        /// Position of the second.
        index: usize,
        /// The name.
        name: String,
    },
    /// A malformed quantity.
    #[error("`spec.containers[{index}].resources.{list}[{resource}]` {error}")]
    Quantity {
        /// Position in the list of overrides.
        index: usize,
        /// `requests` or `limits`.
        list: &'static str,
        /// Resource name.
        resource: String,
        /// What is wrong.
        error: QuantityError,
    },
    /// The template has no canonical form.
    #[error("the target's template cannot be hashed: {0}")]
    NotCanonical(String),
}

/// Reads a target from the API server's own JSON, and refuses one whose template would lose a field.
///
/// A newer API server may know fields that the types of this program do not. A copy without, say, a new
/// security setting would run with fewer restrictions than the target.
///
/// # Errors
/// [`TemplateError::Unreadable`] or [`TemplateError::UnknownFields`].
pub fn parse_target(raw: Value) -> Result<Deployment, TemplateError> {
    let template = raw.pointer("/spec/template").cloned().unwrap_or(Value::Null);
    let target: Deployment =
        serde_json::from_value(raw).map_err(|error| TemplateError::Unreadable(error.to_string()))?;
    let known = serde_json::to_value(target.spec.as_ref().map(|spec| &spec.template))
        .map_err(|error| TemplateError::Unreadable(error.to_string()))?;
    let mut paths = Vec::new();
    lost_fields(&template, &known, "spec.template", &mut paths);
    if paths.is_empty() {
        Ok(target)
    } else {
        Err(TemplateError::UnknownFields { paths })
    }
}

/// Collects the paths of members of `raw` that `known` lacks. Null members say nothing and may be lost.
fn lost_fields(raw: &Value, known: &Value, path: &str, paths: &mut Vec<String>) {
    match (raw, known) {
        (Value::Object(raw), Value::Object(known)) => {
            for (key, value) in raw.iter().filter(|(_, value)| !value.is_null()) {
                let path = format!("{path}.{key}");
                match known.get(key) {
                    Some(known) => lost_fields(value, known, &path, paths),
                    None if paths.len() < MAX_UNKNOWN => paths.push(path),
                    None => {}
                }
            }
        }
        (Value::Array(raw), Value::Array(known)) => {
            for (index, (value, known)) in raw.iter().zip(known).enumerate() {
                lost_fields(value, known, &format!("{path}[{index}]"), paths);
            }
        }
        _ => {}
    }
}

/// Resolves a revision of `cycle`: the target's template with the overrides, under labels of its own.
///
/// # Errors
/// [`TemplateError`], with the field that is at fault.
pub fn resolve(target: &Deployment, cycle: &str, overrides: &[ContainerOverride]) -> Result<Revision, TemplateError> {
    let spec = target.spec.as_ref().ok_or(TemplateError::NoContainers)?;
    let mut template = spec.template.clone();
    let containers = template
        .spec
        .as_mut()
        .map(|pod| &mut pod.containers)
        .filter(|containers| !containers.is_empty());
    apply_overrides(containers.ok_or(TemplateError::NoContainers)?, overrides)?;

    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    if labels.contains_key(LABEL_REVISION) {
        return Err(TemplateError::IsRevision);
    }
    let replaced = keys_to_replace(&spec.selector);
    labels.retain(|key, _| !replaced.contains_key(key) && key != LABEL_CYCLE && key != LABEL_TEMPLATE_HASH);
    let digest = digest_without_labels(&template, |_, _| true)?;

    let name = revision_name(cycle, &digest);
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.extend(
        replaced
            .into_iter()
            .filter(|(_, rewrite)| *rewrite)
            .map(|(key, _)| (key, name.clone())),
    );
    labels.extend(revision_labels(cycle, &name));
    refuse_selected(&spec.selector, labels)?;
    Ok(Revision { name, digest, template })
}

/// The digest of a revision's template as it stands in the cluster. Equal to [`Revision::digest`] while nobody
/// has changed it.
///
/// # Errors
/// [`TemplateError::NotCanonical`].
pub fn live_digest(template: &PodTemplateSpec, revision: &str) -> Result<Digest, TemplateError> {
    // Every label that we replaced has the revision's name as its value, which no other label can have.
    digest_without_labels(template, |key, value| key != LABEL_CYCLE && value != revision)
}

fn digest_without_labels(
    template: &PodTemplateSpec,
    keep: impl Fn(&str, &str) -> bool,
) -> Result<Digest, TemplateError> {
    let mut template = template.clone();
    if let Some(metadata) = &mut template.metadata {
        let labels = metadata.labels.take().unwrap_or_default();
        let labels: BTreeMap<_, _> = labels.into_iter().filter(|(key, value)| keep(key, value)).collect();
        metadata.labels = (!labels.is_empty()).then_some(labels);
    }
    content_hash(&template).map_err(|error| TemplateError::NotCanonical(error.to_string()))
}

/// Keys of the target's selector that revision pods may not carry as they are, and whether the key stays with
/// another value. A key that has only to exist is removed: any value would match.
fn keys_to_replace(selector: &LabelSelector) -> BTreeMap<String, bool> {
    let expressions = selector.match_expressions.iter().flatten();
    let of = |operator: &'static str| {
        let expressions = expressions.clone().filter(move |e| e.operator == operator);
        expressions.map(move |e| (e.key.clone(), operator == "In"))
    };
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(key, _)| (key.clone(), true));
    // The last entry of a key counts: another value is enough where one value is asked for.
    of("Exists").chain(of("In")).chain(labels).collect()
}

fn refuse_selected(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Result<(), TemplateError> {
    let selector =
        Selector::try_from(selector.clone()).map_err(|error| TemplateError::Unreadable(error.to_string()))?;
    if selector.matches(labels) {
        Err(TemplateError::SelectorTooWide)
    } else {
        Ok(())
    }
}

fn apply_overrides(containers: &mut [Container], overrides: &[ContainerOverride]) -> Result<(), TemplateError> {
    for (index, wanted) in overrides.iter().enumerate() {
        if overrides.iter().take(index).any(|earlier| earlier.name == wanted.name) {
            return Err(TemplateError::DuplicateContainer {
                index,
                name: wanted.name.clone(),
            });
        }
        let Some(container) = containers.iter_mut().find(|container| container.name == wanted.name) else {
            let known = containers.iter().map(|container| container.name.clone()).collect();
            return Err(TemplateError::UnknownContainer {
                index,
                name: wanted.name.clone(),
                known,
            });
        };
        apply_override(container, wanted, index)?;
    }
    Ok(())
}

fn apply_override(container: &mut Container, wanted: &ContainerOverride, index: usize) -> Result<(), TemplateError> {
    if let Some(image) = &wanted.image {
        container.image = Some(image.clone());
    }
    if let Some(args) = &wanted.args {
        container.args = (!args.is_empty()).then(|| args.clone());
    }
    for variable in wanted.env.iter().flatten() {
        merge_env(container, variable);
    }
    if let Some(wanted) = &wanted.resources {
        let resources = container.resources.get_or_insert_default();
        merge_quantities(&mut resources.requests, wanted.requests.as_ref(), index, "requests")?;
        merge_quantities(&mut resources.limits, wanted.limits.as_ref(), index, "limits")?;
    }
    Ok(())
}

fn merge_env(container: &mut Container, wanted: &EnvOverride) {
    // The server stores an empty value as an absent one.
    let value = (!wanted.value.is_empty()).then(|| wanted.value.clone());
    let variable = EnvVar {
        name: wanted.name.clone(),
        value,
        value_from: None,
    };
    let variables = container.env.get_or_insert_default();
    match variables.iter_mut().find(|present| present.name == wanted.name) {
        Some(present) => *present = variable,
        None => variables.push(variable),
    }
}

fn merge_quantities(
    present: &mut Option<BTreeMap<String, Quantity>>,
    wanted: Option<&BTreeMap<String, Quantity>>,
    index: usize,
    list: &'static str,
) -> Result<(), TemplateError> {
    for (resource, quantity) in wanted.into_iter().flatten() {
        let quantity = canonical_quantity(quantity).map_err(|error| TemplateError::Quantity {
            index,
            list,
            resource: resource.clone(),
            error,
        })?;
        present.get_or_insert_default().insert(resource.clone(), quantity);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
