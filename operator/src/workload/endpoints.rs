//! How many pods of a revision can be given requests.

use std::collections::BTreeSet;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// Endpoints that are ready and not terminating, in the slices of one Service.
///
/// A pod counts once: it may stand in an IPv4 and an IPv6 slice, and for a moment in two slices while the
/// controller moves it. Only a stated readiness counts: the API lets consumers read an absent
/// condition as ready, but here it would raise traffic without evidence.
#[must_use]
pub fn ready_endpoints<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>) -> u32 {
    let endpoints = slices.into_iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let pods: BTreeSet<_> = endpoints
        .filter(|endpoint| is_ready(endpoint))
        .filter_map(identity)
        .collect();
    u32::try_from(pods.len()).unwrap_or(u32::MAX)
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_some_and(|conditions| conditions.ready == Some(true) && conditions.terminating != Some(true))
}

/// The pod behind an endpoint, or its first address when no pod is named.
fn identity(endpoint: &Endpoint) -> Option<&str> {
    let target = endpoint.target_ref.as_ref();
    target
        .and_then(|target| target.uid.as_deref().or(target.name.as_deref()))
        .or_else(|| endpoint.addresses.first().map(String::as_str))
}

#[cfg(test)]
mod tests;
