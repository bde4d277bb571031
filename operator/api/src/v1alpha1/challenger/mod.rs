//! `Challenger`: one candidate of a cycle.

mod schema;
mod status;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::NameRef;
use crate::{rules::closed, values::DecimalString};

pub use status::{
    ChallengerPhase, ChallengerStatus, EvidenceState, EvidenceStatus, LifePosition, LifeState, ShareStatus,
};

/// What the candidate is. It cannot be changed: another candidate is another object.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "penin.ai",
    version = "v1alpha1",
    kind = "Challenger",
    plural = "challengers",
    shortname = "chlr",
    category = "penin",
    namespaced,
    status = "ChallengerStatus",
    derive = "PartialEq",
    selectable = ".spec.cycleRef.name",
    doc = "A Challenger is one candidate of a PeninCycle: the target's pod template with a few container fields replaced. Challengers of a cycle are tried one at a time, in the order of their creation. Its status says how far it came and why.",
    printcolumn(
        name = "Cycle",
        type_ = "string",
        json_path = ".spec.cycleRef.name",
        description = "Cycle that it belongs to."
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Where its traffic is."
    ),
    printcolumn(
        name = "Weight",
        type_ = "integer",
        json_path = ".status.share.written",
        description = "Its live share in the route, in per cent."
    ),
    printcolumn(
        name = "Decision",
        type_ = "string",
        json_path = ".status.decision.decision",
        description = "The engine's last decision."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is where it is."
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.revision",
        description = "Name of its revision.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        description = "What a person should know.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = crate::rules::must("spec", "self == oldSelf", "must not change; create another Challenger"))]
#[serde(rename_all = "camelCase")]
pub struct ChallengerSpec {
    /// The cycle that the candidate belongs to, in the same namespace.
    pub cycle_ref: NameRef,
    /// Containers of the target's template with fields to replace. Everything else of the pod, such
    /// as service account, volumes, security context and secrets, comes from the target alone, so
    /// that the right to create a Challenger gives no other right.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub containers: Vec<ContainerOverride>,
    /// What the candidate's author expects of it. Recorded in the ledger, never part of a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}

/// Fields of one container to replace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::must("spec.containers[]", "has(self.image) || has(self.args) || has(self.env) || has(self.resources)", "must replace at least one of `image`, `args`, `env` and `resources`"))]
#[serde(rename_all = "camelCase")]
pub struct ContainerOverride {
    /// Name of a container in the target's template.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Image to run instead; best with a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
    /// Arguments to pass instead of the template's; the whole list is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 2_048)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub args: Option<Vec<String>>,
    /// Environment variables to set or replace by name. Values are plain text: references to
    /// `Secrets` and `ConfigMaps` come from the target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Option<Vec<EnvOverride>>,
    /// Compute resources to ask for; replaced by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceOverride>,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvOverride {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"))]
    pub name: String,
    /// Its value.
    #[serde(default)]
    #[schemars(length(max = 4_096))]
    pub value: String,
}

/// Compute resources to replace. Only `cpu`, `memory` and `ephemeral-storage` can be named: other
/// resources may stand for devices of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::must("spec.containers[].resources", "has(self.requests) || has(self.limits)", "must have at least one of `requests` and `limits`"))]
#[serde(rename_all = "camelCase")]
pub struct ResourceOverride {
    /// Amounts that the scheduler reserves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantities")]
    #[x_kube(
        validation = crate::rules::must("spec.containers[].resources.requests", schema::KNOWN_RESOURCES, "must name only cpu, memory and ephemeral-storage"),
        validation = crate::rules::must("spec.containers[].resources.requests", schema::VALID_QUANTITIES, "must have quantities such as 500m or 2Gi, not below zero")
    )]
    pub requests: Option<BTreeMap<String, Quantity>>,
    /// Amounts that the container may not exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantities")]
    #[x_kube(
        validation = crate::rules::must("spec.containers[].resources.limits", schema::KNOWN_RESOURCES, "must name only cpu, memory and ephemeral-storage"),
        validation = crate::rules::must("spec.containers[].resources.limits", schema::VALID_QUANTITIES, "must have quantities such as 500m or 2Gi, not below zero")
    )]
    pub limits: Option<BTreeMap<String, Quantity>>,
}

/// What the author of a candidate expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Kind of change, in the author's words, such as `Weights` or `Prompt`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z][A-Za-z0-9]*$"))]
    pub kind: String,
    /// Who or what made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub plugin: Option<String>,
    /// Expected change of L∞.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.proposal.expectedGain", &closed("-1.0", "1.0")))]
    pub expected_gain: Option<DecimalString>,
    /// Expected cost as a multiple of the champion's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.proposal.cost", &closed("0.0", "1000.0")))]
    pub cost: Option<DecimalString>,
}
