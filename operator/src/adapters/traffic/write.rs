//! The one call that changes traffic: create or replace, never blindly.
//!
//! Two guards stand before each write. The resource version lets the API server refuse a write that is based on an older
//! reading; a refusal is returned, to be decided anew on a new reading. The leader's epoch, kept in an
//! annotation, lets a process that has lost the lease without noticing see that a later leader has written.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::PostParams;
use kube::{Api, Client};
use penin_api::foreign::HttpRoute;
use penin_api::names::FIELD_MANAGER;

/// Annotation of our route: the epoch of the leader that wrote it last, as a decimal number.
pub const ANNOTATION_EPOCH: &str = "penin.ai/epoch";

/// The epoch of a writer, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaderEpoch {
    /// From a claim that holds by our own clock. A route with a higher epoch was written by a later leader.
    Claimed(u64),
    /// From the lease itself, read *after* the route: it names this process at this epoch. A higher epoch in
    /// the route can then only be forged or damaged, and must not keep a rollback from being written.
    Reread(u64),
}

impl LeaderEpoch {
    /// The epoch: the lease's number of transitions.
    #[must_use]
    pub const fn get(self) -> u64 {
        match self {
            Self::Claimed(epoch) | Self::Reread(epoch) => epoch,
        }
    }
}

/// What the API server confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// `metadata.generation` of the written route: what a gateway has to have observed.
    pub generation: i64,
    /// `metadata.resourceVersion`: a cache that has not reached it is stale.
    pub resource_version: String,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The route changed, appeared or vanished since it was read. Read again and decide again.
    #[error("the route was changed by somebody else since it was read")]
    Conflict,
    /// A later leader has written the route. Stop acting.
    #[error("the route was written by a leader of epoch {found}; this process has epoch {own}")]
    Fenced {
        /// Epoch in the route.
        found: u64,
        /// Our epoch.
        own: u64,
    },
    /// The route is controlled by something else than the cycle of the desired one.
    #[error("the route is not controlled by this cycle: rename the route or the cycle")]
    NotOurs,
    /// The desired route has no name or no namespace.
    #[error("the route to write has no name or no namespace")]
    Nameless,
    /// The API server refused, or did not answer; whether the write happened is then unknown until it is read again.
    #[error("the route was not written: {0}")]
    Api(#[source] Box<kube::Error>),
}

/// Writes `desired` in place of `current`, or creates it when there is none. `client` bounds the time of the call.
///
/// Labels, annotations, finalizers and owners that others put on the route are kept.
///
/// # Errors
/// [`WriteError`]; nothing is ever retried here.
pub async fn write(
    client: &Client,
    current: Option<&HttpRoute>,
    desired: &HttpRoute,
    epoch: LeaderEpoch,
) -> Result<Written, WriteError> {
    let route = prepare(current, desired, epoch)?;
    let (Some(name), Some(namespace)) = (&route.metadata.name, &route.metadata.namespace) else {
        return Err(WriteError::Nameless);
    };
    let api: Api<HttpRoute> = Api::namespaced(client.clone(), namespace);
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let written = match current {
        None => api.create(&params, &route).await,
        Some(_) => api.replace(name, &params, &route).await,
    };
    written
        .map_err(|error| refused(error, current.is_some()))
        .map(|written| Written {
            generation: written.metadata.generation.unwrap_or(0),
            resource_version: written.metadata.resource_version.unwrap_or_default(),
        })
}

/// 409 for a create means that it exists, for a replace that it changed; 404 for a replace that it is gone. A 404
/// for a create is something else: the cluster does not know the kind.
fn refused(error: kube::Error, replacing: bool) -> WriteError {
    match error {
        kube::Error::Api(status) if status.code == 409 || (replacing && status.code == 404) => WriteError::Conflict,
        error => WriteError::Api(Box::new(error)),
    }
}

/// The object to send.
fn prepare(current: Option<&HttpRoute>, desired: &HttpRoute, epoch: LeaderEpoch) -> Result<HttpRoute, WriteError> {
    let mut route = HttpRoute {
        status: None,
        ..desired.clone()
    };
    if let Some(current) = current {
        fence(&current.metadata, epoch)?;
        adopt_metadata(&mut route.metadata, &current.metadata)?;
    }
    let annotations = route.metadata.annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_EPOCH.to_owned(), epoch.get().to_string());
    Ok(route)
}

/// An epoch that cannot be read binds nobody: somebody has damaged it, and the resource version still guards.
fn fence(current: &ObjectMeta, epoch: LeaderEpoch) -> Result<(), WriteError> {
    let LeaderEpoch::Claimed(own) = epoch else {
        return Ok(());
    };
    let found = current
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(ANNOTATION_EPOCH));
    match found.and_then(|text| text.parse::<u64>().ok()) {
        Some(found) if found > own => Err(WriteError::Fenced { found, own }),
        _ => Ok(()),
    }
}

/// Puts what others own on the route under what we own.
fn adopt_metadata(own: &mut ObjectMeta, current: &ObjectMeta) -> Result<(), WriteError> {
    let owner = controller(own).ok_or(WriteError::NotOurs)?.clone();
    if controller(current).is_none_or(|controller| controller.uid != owner.uid) {
        return Err(WriteError::NotOurs);
    }
    let others = current
        .owner_references
        .iter()
        .flatten()
        .filter(|other| other.uid != owner.uid);
    let others: Vec<_> = others.cloned().collect();
    own.owner_references.get_or_insert_default().extend(others);
    own.labels = merged(current.labels.as_ref(), own.labels.take());
    own.annotations = merged(current.annotations.as_ref(), own.annotations.take());
    own.finalizers.clone_from(&current.finalizers);
    // Preconditions: the object that was read, at the version that was read.
    own.resource_version.clone_from(&current.resource_version);
    own.uid.clone_from(&current.uid);
    Ok(())
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))
}

fn merged(
    theirs: Option<&BTreeMap<String, String>>,
    ours: Option<BTreeMap<String, String>>,
) -> Option<BTreeMap<String, String>> {
    let mut merged = theirs.cloned().unwrap_or_default();
    merged.extend(ours.unwrap_or_default());
    (!merged.is_empty()).then_some(merged)
}

#[cfg(test)]
mod tests;
