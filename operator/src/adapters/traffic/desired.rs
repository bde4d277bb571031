//! From an intent to the whole route, with every default written out.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use penin_api::foreign::{
    BackendRef, GATEWAY_GROUP, HeaderMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, MirrorBackendRef,
    ParentReference, PathValue, RequestMirror, RouteFilter, Unknown,
};
use penin_api::names::{FIELD_MANAGER, LABEL_CYCLE};
use penin_api::v1alpha1::cycle::{GatewayParentRef, HttpMethod, PathMatchType, RouteMatch};

use super::intent::{RouteIntent, WarmToken};
use crate::workload::{LABEL_MANAGED_BY, cycle_label};

/// Request header that the warm rule demands.
pub const WARM_HEADER: &str = "x-penin-warm";

/// Name of the mirror filter.
pub(super) const REQUEST_MIRROR: &str = "RequestMirror";
/// Kind that routes attach to.
pub(super) const GATEWAY: &str = "Gateway";
/// Kind of our backends.
pub(super) const SERVICE: &str = "Service";
/// Path comparison when none is named.
pub(super) const PATH_PREFIX: &str = "PathPrefix";
/// Header comparison when none is named.
pub(super) const EXACT: &str = "Exact";

/// The route that `intent` stands for.
///
/// Group, kind and weight are always written, 0 too: a weight that is left out means 1. Rules have no names,
/// because a name needs a feature that some gateways lack.
#[must_use]
pub fn desired(intent: &RouteIntent) -> HttpRoute {
    let mut rules = vec![main_rule(intent)];
    rules.extend(warm_rule(intent));
    let spec = HttpRouteSpec {
        parent_refs: intent.gateway.parent_refs.iter().map(parent).collect(),
        hostnames: intent.gateway.hostnames.clone(),
        rules,
        unknown: Unknown::new(),
    };
    let metadata = ObjectMeta {
        name: Some(intent.name.clone()),
        namespace: Some(intent.namespace.clone()),
        labels: Some(labels(intent)),
        owner_references: Some(vec![intent.owner.clone()]),
        ..ObjectMeta::default()
    };
    HttpRoute {
        metadata,
        spec,
        status: None,
    }
}

/// The labels that our route carries.
pub(super) fn labels(intent: &RouteIntent) -> BTreeMap<String, String> {
    BTreeMap::from([
        (LABEL_MANAGED_BY.to_owned(), FIELD_MANAGER.to_owned()),
        (LABEL_CYCLE.to_owned(), cycle_label(&intent.cycle)),
    ])
}

/// The token of a route's warm rule. A route that keeps its token keeps its clusters.
#[must_use]
pub fn warm_token(route: &HttpRoute) -> Option<WarmToken> {
    // The first rule has the user's matches.
    let headers = route
        .spec
        .rules
        .iter()
        .skip(1)
        .flat_map(|rule| &rule.matches)
        .flat_map(|matched| &matched.headers);
    headers
        .filter(|header| header.name.eq_ignore_ascii_case(WARM_HEADER))
        .find_map(|header| header.value.parse().ok())
}

/// The rule with the user's matches: the only one that a client can hit.
fn main_rule(intent: &RouteIntent) -> HttpRouteRule {
    let weights = intent.weights();
    HttpRouteRule {
        name: None,
        matches: intent.gateway.matches.iter().map(route_match).collect(),
        filters: mirror_filter(intent).into_iter().collect(),
        backend_refs: weights
            .into_iter()
            .map(|(service, weight)| backend(service, intent.port, weight.get().into()))
            .collect(),
        unknown: Unknown::new(),
    }
}

/// A rule that names both backends with equal weight and that no request hits.
///
/// Envoy Gateway leaves a backend of weight 0 out of the data plane. Where each backend has a cluster of its own, giving
/// it weight again makes that cluster anew, and the first requests to it fail. This rule keeps it.
fn warm_rule(intent: &RouteIntent) -> Option<HttpRouteRule> {
    let (other, _) = intent.other()?;
    Some(HttpRouteRule {
        name: None,
        matches: vec![warm_match(&intent.warm_token)],
        filters: Vec::new(),
        backend_refs: vec![
            backend(&intent.champion, intent.port, 1),
            backend(other, intent.port, 1),
        ],
        unknown: Unknown::new(),
    })
}

pub(super) fn warm_match(token: &WarmToken) -> HttpRouteMatch {
    HttpRouteMatch {
        path: Some(path(PATH_PREFIX, "/")),
        headers: vec![header(WARM_HEADER, token.as_str())],
        method: None,
        unknown: Unknown::new(),
    }
}

/// At the rule: a mirror at a backend is refused by some gateways.
fn mirror_filter(intent: &RouteIntent) -> Option<RouteFilter> {
    let (service, percent) = intent.mirror()?;
    let mirror = RequestMirror {
        backend_ref: MirrorBackendRef {
            group: Some(String::new()),
            kind: Some(SERVICE.to_owned()),
            namespace: None,
            name: service.to_owned(),
            port: Some(intent.port.into()),
            unknown: Unknown::new(),
        },
        percent: Some(percent.get().into()),
        fraction: None,
        unknown: Unknown::new(),
    };
    Some(RouteFilter {
        type_: REQUEST_MIRROR.to_owned(),
        request_mirror: Some(mirror),
        unknown: Unknown::new(),
    })
}

fn backend(service: &str, port: u16, weight: i32) -> BackendRef {
    BackendRef {
        group: Some(String::new()),
        kind: Some(SERVICE.to_owned()),
        namespace: None,
        name: service.to_owned(),
        port: Some(port.into()),
        weight,
        unknown: Unknown::new(),
    }
}

fn parent(parent: &GatewayParentRef) -> ParentReference {
    ParentReference {
        group: Some(GATEWAY_GROUP.to_owned()),
        kind: Some(GATEWAY.to_owned()),
        namespace: parent.namespace.clone(),
        name: parent.name.clone(),
        section_name: parent.section_name.clone(),
        port: parent.port.map(Into::into),
        unknown: Unknown::new(),
    }
}

fn route_match(matched: &RouteMatch) -> HttpRouteMatch {
    let path_type = match matched.path.type_ {
        PathMatchType::PathPrefix => PATH_PREFIX,
        PathMatchType::Exact => EXACT,
    };
    HttpRouteMatch {
        path: Some(path(path_type, &matched.path.value)),
        headers: matched.headers.iter().map(|h| header(&h.name, &h.value)).collect(),
        method: matched.method.map(|method| method_name(method).to_owned()),
        unknown: Unknown::new(),
    }
}

pub(super) fn path(type_: &str, value: &str) -> PathValue {
    PathValue {
        type_: Some(type_.to_owned()),
        value: Some(value.to_owned()),
        unknown: Unknown::new(),
    }
}

fn header(name: &str, value: &str) -> HeaderMatch {
    HeaderMatch {
        type_: Some(EXACT.to_owned()),
        name: name.to_owned(),
        value: value.to_owned(),
        unknown: Unknown::new(),
    }
}

const fn method_name(method: HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Head => "HEAD",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Connect => "CONNECT",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Trace => "TRACE",
        HttpMethod::Patch => "PATCH",
    }
}

#[cfg(test)]
mod tests;
