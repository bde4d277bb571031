//! `PeninCycle`: the league of one workload.

mod defaults;
mod engine;
mod evidence;
mod scores;
mod stages;
mod status;
mod traffic;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::NameRef;
use crate::values::Duration;

pub use engine::{CaosSpec, EngineSpec, FibonacciSpec, LpsiSpec};
pub use evidence::{EvidencePreset, EvidenceSource, PrometheusSource, RatioEvidence};
pub use scores::{Better, LinfMetric, LinfPreset, LinfSpec, Normalize, NormalizeKind, RiskSource, ScoresSpec};
pub use stages::{CanarySpec, CanaryStep, PromotionSpec, ShadowSpec};
pub use status::{
    ActiveChallenger, ChampionStatus, CommandAcknowledgement, CommandResult, LedgerHead, PeninCycleStatus,
    RevisionRole, RevisionStatus, WeightStatus,
};
pub use traffic::{
    GatewayParentRef, GatewayTraffic, HttpMethod, PathMatch, PathMatchType, RouteHeaderMatch, RouteMatch, TrafficSpec,
};

/// How the league of one workload is run.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "penin.ai",
    version = "v1alpha1",
    kind = "PeninCycle",
    plural = "penincycles",
    shortname = "pcyc",
    category = "penin",
    namespaced,
    status = "PeninCycleStatus",
    derive = "PartialEq",
    doc = "A PeninCycle runs the league of one served workload: it keeps a champion in service and lets challengers replace it one at a time, first on mirrored traffic, then on a small live share, then for good, and only when every gate passed on evidence.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status", description = "Whether the champion serves and the cycle can run."),
    printcolumn(name = "Champion", type_ = "string", json_path = ".status.champion.revision", description = "Revision that serves live traffic."),
    printcolumn(name = "Challenger", type_ = "string", json_path = ".status.challenger.name", description = "Challenger in flight."),
    printcolumn(name = "Stage", type_ = "string", json_path = ".status.challenger.stage", description = "Where the challenger is."),
    printcolumn(name = "Weight", type_ = "integer", json_path = ".status.challenger.weight.written", description = "Live share of the challenger in the route, in per cent."),
    printcolumn(name = "Measured", type_ = "string", json_path = ".status.challenger.weight.measured", description = "Live share of the challenger as measured, in per cent.", priority = 1),
    printcolumn(name = "Cycle", type_ = "string", json_path = ".status.cycle", description = "Number of engine cycles so far.", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", description = "Why the cycle is ready or not.", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // Objects made from the cycle carry its name in a label, whose value has at most 63 characters;
    // a revision adds eleven characters and must still be a DNS label for its Service.
    validation = crate::rules::must("metadata.name", "size(self.metadata.name) <= 52 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "must be at most 52 lowercase letters, digits and dashes, starting with a letter")
)]
#[x_kube(
    validation = crate::rules::field_must("spec.engine.seed", "engine", "(has(self.engine) && has(self.engine.seed) ? self.engine.seed : '') == (has(oldSelf.engine) && has(oldSelf.engine.seed) ? oldSelf.engine.seed : '')", "must not change"),
    validation = crate::rules::field_must("spec.scores.linf.metrics[].evidence", "scores", "self.scores.linf.metrics.all(m, !has(m.evidence) || self.evidence.exists(e, e.name == m.evidence && has(e.ratio)))", "must name an entry of `spec.evidence` that has `ratio`"),
    validation = crate::rules::field_must("spec.scores.risks[].evidence", "scores", "!has(self.scores.risks) || self.scores.risks.all(r, self.evidence.exists(e, e.name == r.evidence && has(e.ratio)))", "must name an entry of `spec.evidence` that has `ratio`")
)]
#[serde(rename_all = "camelCase")]
pub struct PeninCycleSpec {
    /// The workload whose pod template is the first champion. It is read, never changed.
    /// Cannot be changed: another target is another league.
    #[x_kube(validation = crate::rules::must("spec.targetRef", "self == oldSelf", "must not change"))]
    pub target_ref: TargetRef,

    /// Ports of the Services that the operator makes for each revision. Cannot be changed.
    #[x_kube(validation = crate::rules::must("spec.service", "self == oldSelf", "must not change"))]
    pub service: ServicePorts,

    /// Size and history of the revisions that the operator runs.
    #[serde(default)]
    pub revisions: RevisionsSpec,

    /// How live and mirrored traffic reaches the revisions. Exactly one way must be set.
    pub traffic: TrafficSpec,

    /// The stage on mirrored traffic: no user sees an answer of the challenger.
    #[serde(default)]
    pub shadow: ShadowSpec,

    /// The stage on live traffic, in steps of one to five per cent.
    #[serde(default)]
    pub canary: CanarySpec,

    /// The time after a promotion in which a regression still takes the new champion back.
    #[serde(default)]
    pub promotion: PromotionSpec,

    /// Gates of this namespace that a challenger must pass. Gates with `enforcement: Namespace` bind
    /// the cycle whether they are listed or not; several gates combine to the strictest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub gate_refs: Vec<NameRef>,

    /// Where measurements come from. An input of a decision without a source is unknown, and unknown
    /// never raises traffic.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = crate::rules::must("spec.evidence[].preset", "self.filter(e, has(e.preset) && e.preset == 'EnvoyGateway').size() <= 1 && self.filter(e, has(e.preset) && e.preset == 'ModelCounters').size() <= 1", "must not be used twice")
    )]
    pub evidence: Vec<EvidenceSource>,

    /// How measurements become scores.
    pub scores: ScoresSpec,

    /// Settings of the decision engine. What is left out has the engine's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineSpec>,

    /// How often evidence is read and progress assessed.
    #[serde(default = "defaults::interval")]
    #[x_kube(validation = crate::rules::duration_within("spec.interval", "1s", "5m"))]
    pub interval: Duration,

    /// Holds every step up. Steps down, rollbacks and deadlines go on.
    #[serde(default)]
    pub suspend: bool,

    /// What happens to route, Services and Deployments when the cycle is deleted. `Orphan`: the
    /// champion gets all traffic, and everything stays and keeps serving. `Delete`: all of it is
    /// deleted, and the route stops serving.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// The workload of a cycle, in the cycle's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// Kind of the workload.
    pub kind: TargetKind,
    /// Name of the workload.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// Kinds of workload that can be evolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetKind {
    /// `apps/v1` Deployment.
    Deployment,
}

/// Ports of a revision's Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePorts {
    /// Port of the Service.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
    /// Port of the container that serves requests.
    #[schemars(range(min = 1, max = 65_535))]
    pub target_port: u16,
}

/// Size and history of revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionsSpec {
    /// The revision that serves live traffic.
    #[serde(default)]
    pub champion: RevisionSize,
    /// The revision under test. Before a promotion it is scaled up to the champion's size.
    #[serde(default)]
    pub challenger: RevisionSize,
    /// How many past revisions are kept, scaled to zero, besides champion and challenger.
    #[serde(default = "defaults::history_limit")]
    #[schemars(range(min = 0, max = 10))]
    pub history_limit: u8,
    /// How long the pods of a revision may take to become ready.
    #[serde(default = "defaults::progress_deadline")]
    #[x_kube(validation = crate::rules::duration_within("spec.revisions.progressDeadline", "10s", "2h"))]
    pub progress_deadline: Duration,
}

impl Default for RevisionsSpec {
    fn default() -> Self {
        Self {
            champion: RevisionSize::default(),
            challenger: RevisionSize::default(),
            history_limit: defaults::history_limit(),
            progress_deadline: defaults::progress_deadline(),
        }
    }
}

/// Size of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionSize {
    /// Number of pods.
    #[serde(default = "defaults::replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: u16,
}

impl Default for RevisionSize {
    fn default() -> Self {
        Self {
            replicas: defaults::replicas(),
        }
    }
}

/// What happens to the objects of a deleted cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The champion gets all traffic; route, Service and Deployment stay and keep serving.
    #[default]
    Orphan,
    /// Everything that the operator made is deleted; the route stops serving.
    Delete,
}
