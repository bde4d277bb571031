use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::values::Duration;

/// How traffic reaches the revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::must("spec.traffic", "has(self.gateway)", "must have exactly one of `gateway`"))]
#[serde(rename_all = "camelCase")]
pub struct TrafficSpec {
    /// The operator creates and owns one Gateway API `HTTPRoute` of the cycle's name. It must not be
    /// kept in Git, and nobody else may change it: foreign changes are set back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayTraffic>,
}

/// The route that the operator owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayTraffic {
    /// Gateways that the route attaches to.
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = crate::rules::must("spec.traffic.gateway.parentRefs", "self.all(a, self.exists_one(b, a == b))", "must not list a parent twice")
    )]
    pub parent_refs: Vec<GatewayParentRef>,

    /// Host names of the route; none means all that the listener has. A leading `*.` label matches
    /// any name below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<String>,

    /// Requests that the route takes; any of the matches suffices.
    #[serde(default = "defaults::matches")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub matches: Vec<RouteMatch>,

    /// How long old weights may still be served after the gateway confirmed new ones. Nothing is
    /// counted during this time.
    #[serde(default = "defaults::settle")]
    #[x_kube(validation = crate::rules::duration_within("spec.traffic.gateway.settle", "100ms", "1m"))]
    pub settle: Duration,

    /// Fewest requests from which the measured share of live traffic is judged. The share must lie
    /// in the exact binomial interval around the written weight, with an error of 1e-6.
    #[serde(default = "defaults::share_min_requests")]
    #[schemars(range(min = 100, max = 1_000_000))]
    pub share_min_requests: u32,

    /// How long the gateway may take to confirm a change of the route.
    #[serde(default = "defaults::accept_deadline")]
    #[x_kube(validation = crate::rules::duration_within("spec.traffic.gateway.acceptDeadline", "1s", "10m"))]
    pub accept_deadline: Duration,
}

/// A Gateway, or one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayParentRef {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Namespace of the Gateway; the cycle's when left out. The Gateway decides whether it admits
    /// routes of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// Name of the listener; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub section_name: Option<String>,
    /// Port of the listener; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<u16>,
}

/// What a request must have; all parts that are set must fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteMatch {
    /// Path of the request.
    #[serde(default = "defaults::path")]
    pub path: PathMatch,
    /// Method of the request; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// Headers of the request; all must be present with exactly these values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<RouteHeaderMatch>,
}

/// How the path of a request is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathMatch {
    /// Way of comparison. `PathPrefix`: the path starts with the value, part by part: `/a` fits `/a`
    /// and `/a/b`, not `/ab`. `Exact`: the path is the value.
    #[serde(rename = "type", default)]
    pub type_: PathMatchType,
    /// Path to compare with: absolute, without empty, dot or encoded-slash parts.
    #[schemars(length(min = 1, max = 1_024), regex(pattern = r"^/"))]
    #[x_kube(validation = crate::rules::must(
        "spec.traffic.gateway.matches[].path.value",
        "!self.matches('//|/[.]{1,2}(/|$)|%2[fF]|[#?]|[^!-~]')",
        "must not contain //, /./, /../, %2f, #, ? or characters outside printable ASCII"
    ))]
    pub value: String,
}

/// Ways to compare a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// The path starts with the value, part by part: `/a` fits `/a` and `/a/b`, not `/ab`.
    #[default]
    PathPrefix,
    /// The path is the value.
    Exact,
}

/// Methods of HTTP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// PATCH
    Patch,
}

/// A header that a request must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteHeaderMatch {
    /// Name of the header; case does not matter to the gateway.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"))]
    pub name: String,
    /// Value of the header, compared exactly.
    #[schemars(length(min = 1, max = 4_096))]
    pub value: String,
}
