use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    v1alpha1::{
        cycle::CommandAcknowledgement,
        result::{DecisionRecord, GateResult},
        timers::Timers,
    },
    values::{DecimalString, Percent, UnsignedString},
};

/// What the operator observed and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChallengerStatus {
    /// Generation of the spec that this status is about; -1 before the operator saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions; see the documentation for their types and reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Where its traffic is. `Pending`: none yet. `Shadow`: mirrored. `Canary`: a small live share.
    /// `Promoting`: about to get all. `Watching`: all, the old champion still ready. Then, for good,
    /// `Promoted`, `Rejected` (never had live traffic), `RolledBack` (had it) or `Aborted` (by a
    /// person).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<ChallengerPhase>,
    /// What a person should know, in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2_048))]
    pub message: String,
    /// Name of its revision: the cycle's name and ten hex digits of the template's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub revision: Option<String>,
    /// SHA-256 of the canonical JSON of the pod template, frozen when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// Step of its life, from which a restarted operator continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<LifePosition>,
    /// The engine's last decision about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionRecord>,
    /// The engine's gates at the last evaluation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub gates: Vec<GateResult>,
    /// The checks of the stage at the last assessment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub checks: Vec<GateResult>,
    /// What the evidence sources answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub evidence: Vec<EvidenceStatus>,
    /// Its share of live traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareStatus>,
    /// Whether a weight above zero was ever written for it.
    #[serde(default)]
    pub had_live_traffic: bool,
    /// The last command that was taken from an annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandAcknowledgement>,
}

/// Where a challenger's traffic is. The last five are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ChallengerPhase {
    /// It has no traffic yet: it waits for its turn or its pods.
    Pending,
    /// It gets mirrored traffic.
    Shadow,
    /// It gets a small live share.
    Canary,
    /// It is about to get all live traffic.
    Promoting,
    /// It has all live traffic; the old champion is still ready.
    Watching,
    /// It is the champion.
    Promoted,
    /// It was refused before it had live traffic.
    Rejected,
    /// It had live traffic, and was taken back.
    RolledBack,
    /// A person ended it.
    Aborted,
}

impl ChallengerPhase {
    /// Whether nothing more happens to the challenger.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Promoted | Self::Rejected | Self::RolledBack | Self::Aborted)
    }
}

/// Step of a challenger's life. Each state waits for one observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum LifeState {
    /// Waits behind another challenger or for the cycle's adoption.
    Queued,
    /// Deployment and Service are made; waits for ready endpoints.
    Preparing,
    /// Entered into the route at weight 0; waits for every parent to confirm.
    Entering,
    /// The mirror is on; collects evidence on mirrored traffic.
    Mirroring,
    /// The mirror is taken off; waits until mirrored requests have ceased.
    Unmirroring,
    /// A step's weight is written; waits for confirmation, settling and the measured share.
    Shifting,
    /// The share is verified; collects evidence on live traffic.
    Observing,
    /// Waits for as many ready endpoints as the champion has.
    ScalingUp,
    /// All traffic is written to it; waits for confirmation and the measured share.
    Promoting,
    /// Champion under watch; collects evidence.
    Watching,
    /// Weight 0 is written, or all traffic given back; waits until no request arrives.
    Withdrawing,
    /// Out of traffic; lets open requests end.
    Draining,
    /// Its pods are removed.
    ScalingDown,
    /// Nothing is left to do.
    Done,
}

/// From where a life continues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifePosition {
    /// Step of the life.
    pub state: LifeState,
    /// When this state began.
    pub since: MicroTime,
    /// Index of the canary step, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9))]
    pub step_index: Option<u8>,
    /// Weight that was written last, in per cent.
    #[serde(default)]
    pub written_weight: Percent,
    /// Timers of the state, which a restarted operator goes on with.
    #[serde(default)]
    pub timers: Timers,
    /// The phase that the challenger ends in once it is out of traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ChallengerPhase>,
}

/// What an evidence source answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceStatus {
    /// Name of the source.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Whether its values can be used.
    pub state: EvidenceState,
    /// Why not, such as `MetricStale`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub reason: String,
    /// More about the reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1_024))]
    pub message: String,
}

/// Whether evidence can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EvidenceState {
    /// Complete and fresh.
    Available,
    /// Not usable; it counts as no evidence.
    Unknown,
}

/// A challenger's share of live traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareStatus {
    /// Weight in the route, in per cent.
    #[serde(default)]
    pub written: Percent,
    /// Measured share, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<DecimalString>,
    /// Lower end of the interval that the measured share must lie in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<DecimalString>,
    /// Upper end of the interval that the measured share must lie in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<DecimalString>,
    /// Number of requests that were counted on both sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<UnsignedString>,
}
