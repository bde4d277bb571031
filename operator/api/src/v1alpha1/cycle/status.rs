use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    v1alpha1::{challenger::ChallengerPhase, result::DecisionRecord, timers::Timers},
    values::{DecimalString, Percent, UnsignedString},
};

/// What the operator observed and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeninCycleStatus {
    /// Generation of the spec that this status is about; -1 before the operator saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions; see the documentation for their types and reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The revision that serves live traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<ChampionStatus>,
    /// The challenger in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<ActiveChallenger>,
    /// Revision name of the target's template as it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub target_revision: Option<String>,
    /// Number of engine cycles so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<UnsignedString>,
    /// Hash of the engine's state in the ledger; a mismatch stops every step up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub state_hash: Option<String>,
    /// Revisions that were refused or taken back, newest last. A Challenger of the same template is
    /// not tried until its annotation `penin.ai/retry` asks for it with an id that was not used yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub failed_revisions: Vec<String>,
    /// The engine's last decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decision: Option<DecisionRecord>,
    /// Revisions that exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub revisions: Vec<RevisionStatus>,
    /// Head of the ledger after the last entry about this cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerHead>,
    /// The last command that was taken from an annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandAcknowledgement>,
    /// Timers of adoption and baseline; those of a challenger stand in its own status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timers: Option<Timers>,
}

/// The revision that serves live traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChampionStatus {
    /// Name of the revision.
    #[schemars(length(min = 1, max = 63))]
    pub revision: String,
    /// SHA-256 of the canonical JSON of its pod template.
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub digest: String,
    /// Name of its Deployment.
    #[schemars(length(min = 1, max = 253))]
    pub deployment: String,
    /// Name of its Service.
    #[schemars(length(min = 1, max = 63))]
    pub service: String,
    /// Since when it is the champion.
    pub since: Time,
    /// Number of its endpoints that are ready.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000))]
    pub ready_endpoints: u32,
}

/// The challenger in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveChallenger {
    /// Name of the Challenger.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Name of its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub revision: Option<String>,
    /// Where it is.
    pub stage: ChallengerPhase,
    /// Its share of live traffic.
    #[serde(default)]
    pub weight: WeightStatus,
}

/// A share of live traffic: asked for, written and measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightStatus {
    /// Weight that the current step wants, in per cent.
    #[serde(default)]
    pub wanted: Percent,
    /// Weight in the route as it was last read, in per cent.
    #[serde(default)]
    pub written: Percent,
    /// Share of requests that reached the challenger, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<DecimalString>,
    /// Number of requests behind the measured share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<UnsignedString>,
}

/// A revision that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// Name of the revision.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What it is to the cycle. `Champion`: serves live traffic. `Challenger`: is under test.
    /// `Previous`: the champion before the last promotion, kept ready during the watch. `Retained`:
    /// kept for history, without pods.
    pub role: RevisionRole,
    /// Number of pods asked for.
    #[schemars(range(min = 0, max = 10_000))]
    pub desired: u32,
    /// Number of pods ready.
    #[schemars(range(min = 0, max = 10_000))]
    pub ready: u32,
}

/// What a revision is to its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RevisionRole {
    /// Serves live traffic.
    Champion,
    /// Under test.
    Challenger,
    /// Champion before the last promotion, kept ready during the watch.
    Previous,
    /// Kept for history, without pods.
    Retained,
}

/// Head of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerHead {
    /// Which ledger: its origin line, and with it the operator that wrote this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub origin: Option<String>,
    /// Number of entries.
    pub size: UnsignedString,
    /// RFC 6962 root hash over all entries.
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub root: String,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandAcknowledgement {
    /// Id that the annotation carried; cut to 63 characters.
    #[schemars(length(max = 63))]
    pub id: String,
    /// What was asked: `abort` or `retry`.
    #[schemars(length(min = 1, max = 63))]
    pub verb: String,
    /// What became of it.
    pub result: CommandResult,
    /// More about the result.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1_024))]
    pub message: String,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CommandResult {
    /// It is being carried out.
    Accepted,
    /// It was carried out.
    Completed,
    /// It cannot be carried out; the message says why.
    Refused,
}
