//! The objects of a revision: what runs, under which name, and who may select it.
//!
//! A revision is one resolved pod template: the target Deployment's template with the image, arguments,
//! environment and resources that a Challenger overrides. Everything else of the pod (service account, volumes,
//! security context, host settings, secrets) comes from the target alone, so that whoever may create a
//! Challenger gains no rights through the operator. Everything here is pure.

mod deployment;
mod endpoints;
mod names;
mod quantity;
mod service;
mod template;

pub use deployment::{Rollout, deployment};
pub use endpoints::ready_endpoints;
pub use names::{cycle_label, revision_name};
pub use quantity::{PodRequests, QuantityError, canonical_quantity, pod_requests, quantity_value};
pub use service::{MAX_CONFLICTS, left_service, selector_conflicts, service};
pub use template::{Revision, TemplateError, live_digest, parse_target, resolve};

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use penin_api::names::{FIELD_MANAGER, LABEL_CYCLE, LABEL_REVISION};

/// Recommended label that names the tool an object is managed by.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The cycle that a revision belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Home {
    /// Namespace of the cycle and of everything made for it.
    pub namespace: String,
    /// Name of the cycle.
    pub cycle: String,
    /// Controller reference to the cycle.
    pub owner: OwnerReference,
}

/// The two labels that a revision's pods carry and its Service selects.
fn revision_labels(cycle: &str, revision: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (LABEL_CYCLE.to_owned(), cycle_label(cycle)),
        (LABEL_REVISION.to_owned(), revision.to_owned()),
    ])
}

/// Whether an object was left behind by a cycle of this name that is gone: it carries the labels that we write, and
/// belongs to nobody.
#[must_use]
pub fn is_left_behind(metadata: &ObjectMeta, cycle: &str) -> bool {
    let has = |key: &str, value: &str| {
        let labels = metadata.labels.as_ref();
        labels
            .and_then(|labels| labels.get(key))
            .is_some_and(|found| found == value)
    };
    has(LABEL_MANAGED_BY, FIELD_MANAGER)
        && has(LABEL_CYCLE, &cycle_label(cycle))
        && metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
}

/// Metadata of a revision's Deployment and Service.
fn object_meta(home: &Home, revision: &str) -> ObjectMeta {
    let mut labels = revision_labels(&home.cycle, revision);
    labels.insert(LABEL_MANAGED_BY.to_owned(), FIELD_MANAGER.to_owned());
    ObjectMeta {
        name: Some(revision.to_owned()),
        namespace: Some(home.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![home.owner.clone()]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod fixtures;
