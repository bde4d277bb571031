//! How a route of ours differs from its intent, the gravest difference first.

use std::fmt;

use penin_api::foreign::{
    BackendRef, GATEWAY_GROUP, HeaderMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, MirrorBackendRef,
    ParentReference, PathValue, RouteFilter,
};

use super::desired::{EXACT, GATEWAY, PATH_PREFIX, REQUEST_MIRROR, SERVICE, desired, labels, path, warm_match};
use super::intent::RouteIntent;
use super::observe::is_ours;

/// A difference between the route and its intent. The order is that of gravity: the first that is found is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Some Service other than the champion's gets more live requests than the intent gives it.
    WeightAboveWritten {
        /// The Service.
        service: String,
        /// The share that it gets where its share is largest, in per cent, rounded up.
        found: u32,
        /// The share of the intent, in per cent.
        written: u8,
    },
    /// A mirror is missing, or copies another share, or to another Service.
    Mirror,
    /// Other Services, ports or kinds.
    Backends,
    /// The weights differ, and nobody gets more than the intent gives, the champion apart.
    Weight,
    /// The warm rule is missing or differs.
    WarmRule,
    /// A rule too many.
    ExtraRule,
    /// The main rule takes other requests.
    Matches,
    /// Filters besides the mirror.
    Filters,
    /// Other parents.
    Parents,
    /// Other host names.
    Hostnames,
    /// Fields that the operator does not set, such as time-outs or session persistence.
    OtherFields,
    /// A label of ours is missing or differs.
    Labels,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::WeightAboveWritten {
                service,
                found,
                written,
            } => {
                return write!(
                    f,
                    "{service} gets {found} % of the live requests instead of {written} %"
                );
            }
            Self::Mirror => "the mirror differs",
            Self::Backends => "the backends differ",
            Self::Weight => "the weights differ",
            Self::WarmRule => "the warm rule differs",
            Self::ExtraRule => "there is a rule too many",
            Self::Matches => "the matches differ",
            Self::Filters => "there are other filters",
            Self::Parents => "the parents differ",
            Self::Hostnames => "the host names differ",
            Self::OtherFields => "there are fields that the operator does not set",
            Self::Labels => "the labels differ",
        };
        f.write_str(text)
    }
}

/// The gravest difference, if there is one.
pub(super) fn drift(intent: &RouteIntent, route: &HttpRoute) -> Option<Drift> {
    let wanted = normal(desired(intent).spec, &intent.namespace);
    let found = normal(route.spec.clone(), &intent.namespace);
    if let Some(above) = weight_above_written(intent, &found) {
        return Some(above);
    }
    if wanted != found {
        return Some(first_difference(&wanted, &found));
    }
    let present = route.metadata.labels.as_ref();
    let kept = |(key, value): (&String, &String)| present.and_then(|p| p.get(key)) == Some(value);
    (!labels(intent).iter().all(kept)).then_some(Drift::Labels)
}

/// The route with the intent's parents, host names and matches, and everybody's share as it is; None when they are the
/// intent's already, or when the route is not ours.
#[must_use]
pub fn refitted(intent: &RouteIntent, current: &HttpRoute) -> Option<HttpRoute> {
    let wanted = desired(intent).spec;
    let same = |one: &HttpRouteSpec, other: &HttpRouteSpec| {
        let matches = |spec: &HttpRouteSpec| spec.rules.first().map(|rule| rule.matches.clone());
        one.parent_refs == other.parent_refs && one.hostnames == other.hostnames && matches(one) == matches(other)
    };
    let normal_wanted = normal(wanted.clone(), &intent.namespace);
    if !is_ours(&intent.owner.uid, current) || same(&normal_wanted, &normal(current.spec.clone(), &intent.namespace)) {
        return None;
    }
    let mut route = current.clone();
    route.spec.parent_refs = wanted.parent_refs;
    route.spec.hostnames = wanted.hostnames;
    let main = route.spec.rules.first_mut().zip(wanted.rules.into_iter().next())?;
    main.0.matches = main.1.matches;
    Some(route)
}

/// The route with its first rule for the champion alone, without a mirror, and no other rule; None when it says so
/// already, or is not controlled by `owner`.
#[must_use]
pub fn reduced(owner: &str, champion: &str, current: &HttpRoute) -> Option<HttpRoute> {
    if !is_ours(owner, current) {
        return None;
    }
    let mut route = current.clone();
    route.spec.rules.truncate(1);
    let rule = route.spec.rules.first_mut()?;
    let mut backend = rule.backend_refs.first()?.clone();
    champion.clone_into(&mut backend.name);
    backend.weight = 100;
    rule.backend_refs = vec![backend];
    rule.filters.retain(|filter| filter.type_ != REQUEST_MIRROR);
    (route.spec != current.spec).then_some(route)
}

/// The Service, the champion apart, that has the largest surplus of live requests in any rule that a client can hit.
fn weight_above_written(intent: &RouteIntent, found: &HttpRouteSpec) -> Option<Drift> {
    let warm = normal_match(warm_match(&intent.warm_token));
    let reachable = found.rules.iter().filter(|rule| rule.matches != [warm.clone()]);
    let written = |service: &str| {
        intent
            .other()
            .filter(|(other, _)| *other == service)
            .map_or(0, |(_, weight)| weight.get())
    };
    let surplus = reachable
        .flat_map(shares)
        .filter(|share| share.service != intent.champion);
    let surplus = surplus.filter(|share| share.found > u32::from(written(&share.service)));
    let worst = surplus.max_by_key(|share| share.found)?;
    let written = written(&worst.service);
    Some(Drift::WeightAboveWritten {
        service: worst.service,
        found: worst.found,
        written,
    })
}

struct Share {
    service: String,
    /// Per cent, rounded up, so that 5.1 is above 5.
    found: u32,
}

/// The live shares in one rule. A Service that is named twice gets the sum; one of another kind or namespace is
/// another Service, whatever its name.
fn shares(rule: &HttpRouteRule) -> Vec<Share> {
    let weight = |backend: &BackendRef| i64::from(backend.weight.max(0));
    let sum: i64 = rule.backend_refs.iter().map(weight).sum();
    let share = |backend: &BackendRef| {
        let same = rule
            .backend_refs
            .iter()
            .filter(|other| identity(other) == identity(backend));
        let own: i64 = same.map(weight).sum();
        let found = if sum == 0 { 0 } else { (own * 100 + sum - 1) / sum };
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        Share {
            service: display_name(backend),
            found,
        }
    };
    rule.backend_refs.iter().map(share).collect()
}

fn identity(backend: &BackendRef) -> (Option<&str>, Option<&str>, Option<&str>, &str, Option<i32>) {
    let BackendRef {
        group,
        kind,
        namespace,
        name,
        port,
        ..
    } = backend;
    (group.as_deref(), kind.as_deref(), namespace.as_deref(), name, *port)
}

/// The bare name for a Service of the route's own namespace, which [`normal`] leaves without a namespace.
fn display_name(backend: &BackendRef) -> String {
    let BackendRef {
        group,
        kind,
        namespace,
        name,
        ..
    } = backend;
    if let (Some(""), Some(SERVICE), None) = (group.as_deref(), kind.as_deref(), namespace) {
        return name.clone();
    }
    let kind = kind.as_deref().unwrap_or_default();
    let namespace = namespace.as_deref().map(|n| format!("{n}/")).unwrap_or_default();
    format!("{kind} {namespace}{name}")
}

/// Which part of the specification differs. Both are in normal form and not equal.
fn first_difference(wanted: &HttpRouteSpec, found: &HttpRouteSpec) -> Drift {
    let (Some(main), Some(other)) = (wanted.rules.first(), found.rules.first()) else {
        return Drift::Backends;
    };
    let warm = wanted.rules.get(1);
    let checks = [
        (mirrors(main, true) != mirrors(other, true), Drift::Mirror),
        (unweighted(main) != unweighted(other), Drift::Backends),
        (main.backend_refs != other.backend_refs, Drift::Weight),
        (warm.is_some() && warm != found.rules.get(1), Drift::WarmRule),
        (found.rules.len() > wanted.rules.len(), Drift::ExtraRule),
        (main.matches != other.matches, Drift::Matches),
        (mirrors(main, false) != mirrors(other, false), Drift::Filters),
        (wanted.parent_refs != found.parent_refs, Drift::Parents),
        (wanted.hostnames != found.hostnames, Drift::Hostnames),
    ];
    let first = checks.into_iter().find(|(differs, _)| *differs);
    first.map_or(Drift::OtherFields, |(_, drift)| drift)
}

/// Whether any rule of the route copies requests.
#[must_use]
pub fn is_mirroring(route: &HttpRoute) -> bool {
    route.spec.rules.iter().any(|rule| !mirrors(rule, true).is_empty())
}

/// The rule's mirrors, or its other filters.
fn mirrors(rule: &HttpRouteRule, wanted: bool) -> Vec<&RouteFilter> {
    let filters = rule.filters.iter();
    filters
        .filter(|filter| (filter.type_ == REQUEST_MIRROR) == wanted)
        .collect()
}

/// The rule's backends without regard to their weights.
fn unweighted(rule: &HttpRouteRule) -> Vec<BackendRef> {
    let mut backends = rule.backend_refs.clone();
    for backend in &mut backends {
        backend.weight = 0;
    }
    backends
}

/// The specification with the API server's defaults filled in and the route's own namespace left out.
fn normal(mut spec: HttpRouteSpec, namespace: &str) -> HttpRouteSpec {
    for parent in &mut spec.parent_refs {
        normalise_parent(parent, namespace);
    }
    for rule in &mut spec.rules {
        if rule.matches.is_empty() {
            rule.matches.push(HttpRouteMatch::default());
        }
        rule.matches = std::mem::take(&mut rule.matches)
            .into_iter()
            .map(normal_match)
            .collect();
        for backend in &mut rule.backend_refs {
            let BackendRef {
                group,
                kind,
                namespace: of,
                ..
            } = backend;
            normalise_backend(group, kind, of, namespace);
        }
        for filter in &mut rule.filters {
            if let Some(mirror) = &mut filter.request_mirror {
                let MirrorBackendRef {
                    group,
                    kind,
                    namespace: of,
                    ..
                } = &mut mirror.backend_ref;
                normalise_backend(group, kind, of, namespace);
            }
        }
    }
    spec
}

fn normalise_parent(parent: &mut ParentReference, namespace: &str) {
    parent.group.get_or_insert_with(|| GATEWAY_GROUP.to_owned());
    parent.kind.get_or_insert_with(|| GATEWAY.to_owned());
    parent.namespace = parent.namespace.take().filter(|own| own != namespace);
}

fn normalise_backend(group: &mut Option<String>, kind: &mut Option<String>, of: &mut Option<String>, namespace: &str) {
    group.get_or_insert_default();
    kind.get_or_insert_with(|| SERVICE.to_owned());
    *of = of.take().filter(|own| own != namespace);
}

fn normal_match(mut matched: HttpRouteMatch) -> HttpRouteMatch {
    let PathValue { type_, value, unknown } = matched.path.take().unwrap_or_default();
    let type_ = type_.as_deref().unwrap_or(PATH_PREFIX);
    let mut found = path(type_, value.as_deref().unwrap_or("/"));
    found.unknown = unknown;
    matched.path = Some(found);
    for HeaderMatch { type_, .. } in &mut matched.headers {
        type_.get_or_insert_with(|| EXACT.to_owned());
    }
    matched
}

#[cfg(test)]
mod tests;
