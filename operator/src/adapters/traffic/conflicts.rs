//! Older routes that take our requests.
//!
//! The Gateway API lets the more specific match win, whatever its age: a route for one path or one header of our
//! host is a wish, not a conflict. Only between equally specific matches the older route wins, and ties in age go to the
//! alphabetical order of `namespace/name`. Such a route would keep ours from ever getting a request, although every
//! gateway accepts ours.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use penin_api::foreign::{HttpRoute, HttpRouteMatch, ParentReference};

use super::acceptance::describe;
use super::desired::desired;
use super::intent::RouteIntent;
use super::precedence::{Host, Path, hosts, matches_overlap, rank};

/// A route that wins over ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The parent that both attach to.
    pub parent: String,
    /// Its host name.
    pub host: String,
    /// Its path.
    pub path: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            name,
            parent,
            host,
            path,
        } = self;
        write!(
            f,
            "HTTPRoute {namespace}/{name} is older and takes the requests for {host} {path} at {parent}: delete it, or that match, to cut over"
        )
    }
}

/// The oldest of `others` that wins over our route. `current` is our route if it exists already; one that does not is
/// younger than all.
///
/// Whether a gateway has accepted the other route is not asked: it may at any moment.
#[must_use]
pub fn conflicts<'a>(
    intent: &RouteIntent,
    current: Option<&HttpRoute>,
    others: impl IntoIterator<Item = &'a HttpRoute>,
) -> Option<Conflict> {
    let ours = desired(intent);
    let own_age = current.map(age);
    let is_ours = |other: &HttpRoute| {
        other.metadata.name == ours.metadata.name && other.metadata.namespace == ours.metadata.namespace
    };
    let older = others.into_iter().filter(|other| !is_ours(other));
    let older = older.filter(|other| own_age.as_ref().is_none_or(|own| age(other) < *own));
    let found = older.filter_map(|other| Some((age(other), overlap(&ours, other)?)));
    found
        .min_by(|(one, _), (two, _)| one.cmp(two))
        .map(|(_, conflict)| conflict)
}

/// The smaller, the older. A route without a creation time does not exist in a cluster; it counts as oldest.
fn age(route: &HttpRoute) -> (Option<Time>, String) {
    let metadata = &route.metadata;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let name = format!("{}/{}", part(&metadata.namespace), part(&metadata.name));
    (metadata.creation_timestamp.clone(), name)
}

/// The first place where `other` is exactly as specific as ours and takes some of the same requests.
fn overlap(ours: &HttpRoute, other: &HttpRoute) -> Option<Conflict> {
    let namespace = |route: &HttpRoute| route.metadata.namespace.clone().unwrap_or_default();
    let (own_namespace, other_namespace) = (namespace(ours), namespace(other));
    let mut pairs = ours
        .spec
        .parent_refs
        .iter()
        .flat_map(|own| other.spec.parent_refs.iter().map(move |o| (own, o)));
    let (_, parent) = pairs
        .find(|(own, parent)| share_listeners(&resolved(own, &own_namespace), &resolved(parent, &other_namespace)))?;
    // Our last rule may be the warm rule, which no request hits; only the first has the user's matches.
    let own_matches = &ours.spec.rules.first()?.matches;
    for own_host in hosts(ours) {
        for host in hosts(other).into_iter().filter(|host| own_host.overlaps(*host)) {
            for matched in own_matches {
                let Some(path) = taken(own_host, matched, host, other) else {
                    continue;
                };
                return Some(Conflict {
                    namespace: other_namespace,
                    name: other.metadata.name.clone().unwrap_or_default(),
                    parent: describe(&resolved(parent, &namespace(other))),
                    host: host.describe(),
                    path,
                });
            }
        }
    }
    None
}

/// The path of a match of `other` that ties with ours.
fn taken(own_host: Host<'_>, own: &HttpRouteMatch, host: Host<'_>, other: &HttpRoute) -> Option<String> {
    let everything = [HttpRouteMatch::default()];
    let own_rank = rank(own_host, own);
    other
        .spec
        .rules
        .iter()
        .flat_map(|rule| {
            if rule.matches.is_empty() {
                &everything[..]
            } else {
                &rule.matches
            }
        })
        .find(|matched| rank(host, matched) == own_rank && matches_overlap(own, matched))
        .map(|matched| Path::of(matched).describe())
}

/// A parent with its namespace, which depends on the route that refers to it.
fn resolved(parent: &ParentReference, namespace: &str) -> ParentReference {
    let mut parent = parent.clone();
    parent.namespace.get_or_insert_with(|| namespace.to_owned());
    parent
}

/// Whether two references have a listener in common: a reference without section or port means all of them.
fn share_listeners(one: &ParentReference, two: &ParentReference) -> bool {
    let either = |one: bool, two: bool, same: bool| one || two || same;
    let bare = |parent: &ParentReference| ParentReference {
        section_name: None,
        port: None,
        ..parent.clone()
    };
    bare(one).same_parent(&bare(two), "")
        && either(
            one.section_name.is_none(),
            two.section_name.is_none(),
            one.section_name == two.section_name,
        )
        && either(one.port.is_none(), two.port.is_none(), one.port == two.port)
}

#[cfg(test)]
mod tests;
