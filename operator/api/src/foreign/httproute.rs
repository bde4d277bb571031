use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::Unknown;

/// Desired state of an [`HttpRoute`] (Gateway API `v1`, kind `HTTPRoute`).
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "HTTPRoute",
    root = "HttpRoute",
    plural = "httproutes",
    namespaced,
    schema = "disabled",
    status = "HttpRouteStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteSpec {
    /// Gateways that the route attaches to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent_refs: Vec<ParentReference>,
    /// Host names; none means all of the listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// Rules; an atomic list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<HttpRouteRule>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A parent of a route. Two references mean the same parent when their defaults are filled in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// API group; that of the Gateway API when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind; `Gateway` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace; the route's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Port of the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl ParentReference {
    /// Whether both mean the same parent for a route of namespace `route_namespace`, with the
    /// defaults of the Gateway API filled in.
    #[must_use]
    pub fn same_parent(&self, other: &Self, route_namespace: &str) -> bool {
        fn key<'a>(parent: &'a ParentReference, route_namespace: &'a str) -> [&'a str; 5] {
            [
                parent.group.as_deref().unwrap_or(super::GATEWAY_GROUP),
                parent.kind.as_deref().unwrap_or("Gateway"),
                parent.namespace.as_deref().unwrap_or(route_namespace),
                &parent.name,
                parent.section_name.as_deref().unwrap_or_default(),
            ]
        }
        key(self, route_namespace) == key(other, route_namespace) && self.port == other.port
    }
}

/// One rule of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteRule {
    /// Name of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Requests that the rule takes; any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpRouteMatch>,
    /// What is done to each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<RouteFilter>,
    /// Where requests go, by weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backend_refs: Vec<BackendRef>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What a request must have; all parts that are set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteMatch {
    /// Path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathValue>,
    /// Headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// Method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How a path is compared. Kinds that only the Gateway API knows are kept as text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathValue {
    /// `PathPrefix` when left out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// `/` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How a header is compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// `Exact` when left out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendRef {
    /// API group; the core group when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind; `Service` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace; the route's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Port of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Share of requests, as a proportion of the sum. Always written, because a weight that is left
    /// out means 1: leaving out 0 would send traffic.
    #[serde(default = "weight_when_left_out")]
    pub weight: i32,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

const fn weight_when_left_out() -> i32 {
    1
}

/// A filter of a rule. Only mirroring is typed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteFilter {
    /// Which filter it is.
    #[serde(rename = "type")]
    pub type_: String,
    /// Settings of `RequestMirror`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_mirror: Option<RequestMirror>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Copies requests to another backend, whose answers are thrown away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestMirror {
    /// Where copies go; has no weight.
    pub backend_ref: MirrorBackendRef,
    /// Share of requests that is copied, in per cent; all when neither this nor `fraction` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
    /// Share of requests that is copied, as a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Fraction>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Where copies of requests go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorBackendRef {
    /// API group; the core group when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind; `Service` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace; the route's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Port of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A fraction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fraction {
    /// Above the line.
    pub numerator: i32,
    /// Below the line; 100 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<i32>,
}

/// Observed state of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteStatus {
    /// One entry a parent and controller.
    #[serde(default)]
    pub parents: Vec<RouteParentStatus>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What one controller says about the route at one parent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteParentStatus {
    /// The parent.
    pub parent_ref: ParentReference,
    /// The controller.
    pub controller_name: String,
    /// `Accepted`, `ResolvedRefs`, `PartiallyInvalid` and others.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}
