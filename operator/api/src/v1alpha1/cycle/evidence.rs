use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::values::Duration;

/// A PromQL vector selector: a metric name and label matchers, nothing else. The pattern follows
/// the grammar of Prometheus; functions, ranges and operators are refused because the operator
/// reads raw counters at two pinned times and takes the difference itself.
const SELECTOR: &str = r#"^[a-zA-Z_:][a-zA-Z0-9_:]*\{\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*"([^"\\]|\\.)*"(\s*,\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*"([^"\\]|\\.)*")*\s*,?\s*\}$"#;

/// A named source of measurements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::must("spec.evidence[]", "has(self.preset) != has(self.ratio)", "must have exactly one of `preset` and `ratio`"))]
#[serde(rename_all = "camelCase")]
pub struct EvidenceSource {
    /// Name by which scores refer to the source.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Prometheus server that is asked.
    pub prometheus: PrometheusSource,
    /// A set of queries that comes with the operator. `EnvoyGateway`: requests, errors and latency
    /// of each revision's Service as Envoy Gateway counts them; needs clusters by backend
    /// (`mergeBackends`), or else the numbers of the two sides cannot be told apart.
    /// `ModelCounters`: calibration and group counters that the workload's pods export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<EvidencePreset>,
    /// A ratio of two counters of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioEvidence>,
}

/// A Prometheus server, or anything that speaks its HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSource {
    /// Base address, without credentials, query or fragment.
    #[schemars(length(min = 8, max = 2_048), regex(pattern = r"^https?://[^@?#\s]+$"))]
    #[x_kube(validation = crate::rules::must("spec.evidence[].prometheus.address", "isURL(self) && url(self).getHostname() != ''", "must be an http or https URL with a host"))]
    pub address: String,
    /// Longest time of one query; then its values are unknown.
    #[serde(default = "defaults::query_timeout")]
    #[x_kube(validation = crate::rules::duration_within("spec.evidence[].prometheus.timeout", "1s", "30s"))]
    pub timeout: Duration,
    /// Oldest sample that is still evidence. Must exceed the scrape interval.
    #[serde(default = "defaults::max_age")]
    #[x_kube(validation = crate::rules::duration_within("spec.evidence[].prometheus.maxAge", "1s", "10m"))]
    pub max_age: Duration,
}

/// Sets of queries that come with the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EvidencePreset {
    /// Requests, errors and latency of each revision's Service as Envoy Gateway counts them. Needs
    /// clusters by backend (`mergeBackends`), or else the numbers of the two sides cannot be told apart.
    EnvoyGateway,
    /// Calibration and group counters that the workload's pods export.
    ModelCounters,
}

/// The ratio of two counters over a window, both read at the same two times.
///
/// In both selectors `{{ namespace }}`, `{{ service }}` and `{{ revision }}` stand for the
/// namespace, the Service and the name of the revision that is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatioEvidence {
    /// Counters of the events that the ratio is about, such as
    /// `answers_total{service="{{ service }}",correct="true"}`.
    #[schemars(length(min = 1, max = 1_024), regex(pattern = SELECTOR))]
    #[x_kube(validation = crate::rules::must("spec.evidence[].ratio.good", "self.contains('{{ service }}') || self.contains('{{ revision }}')", "must contain `{{ service }}` or `{{ revision }}`, or champion and challenger would share one number"))]
    pub good: String,
    /// Counters of all events; those of `good` must be part of them.
    #[schemars(length(min = 1, max = 1_024), regex(pattern = SELECTOR))]
    #[x_kube(validation = crate::rules::must("spec.evidence[].ratio.total", "self.contains('{{ service }}') || self.contains('{{ revision }}')", "must contain `{{ service }}` or `{{ revision }}`, or champion and challenger would share one number"))]
    pub total: String,
}
