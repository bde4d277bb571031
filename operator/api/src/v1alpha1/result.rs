//! What the engine found, as status shows it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{DecimalString, UnsignedString};

/// Decision of the engine's master cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// A risk or guard gate failed.
    Abort,
    /// The evidence was stand-in data.
    Fallback,
    /// Nothing changes.
    Hold,
    /// A candidate with live traffic goes back to none.
    Rollback,
    /// A candidate without live traffic is refused.
    Reject,
    /// The candidate may have its first live traffic.
    Canary,
    /// The candidate becomes the champion.
    Promote,
}

/// Verdict of a gate or check. Anything but `Pass` blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GateStatus {
    /// Proved by evidence.
    Pass,
    /// Refuted by evidence.
    Fail,
    /// Neither: evidence is missing, stale, thin or unusable.
    Unknown,
}

/// How a gate compares its value with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    /// value < threshold
    LessThan,
    /// value ≤ threshold
    AtMost,
    /// value ≥ threshold
    AtLeast,
    /// value > threshold
    GreaterThan,
    /// value = threshold
    Equal,
}

/// Weight of a gate in the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GateMode {
    /// Must pass.
    Required,
    /// Shown, does not block.
    Advisory,
}

/// One gate of the engine's trace, or one check of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateResult {
    /// Name of the gate, such as `ece` or `delta_linf`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What was measured; absent when it is not known or not a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<DecimalString>,
    /// The bound; absent for gates without a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<DecimalString>,
    /// How value and bound are compared.
    pub comparison: Comparison,
    /// The verdict.
    pub status: GateStatus,
    /// Why, as the engine names it, such as `ok`, `above_maximum` or `insufficient_data`.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Whether the gate must pass.
    pub mode: GateMode,
}

/// A decision and where it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// What was decided.
    pub decision: Decision,
    /// Why, as the engine names it, such as `ALL_GATES_PASSED`.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Names of the gates that caused it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub causes: Vec<String>,
    /// Number of the engine's cycle.
    pub cycle: UnsignedString,
    /// Sequence number of the ledger entry that attests it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<UnsignedString>,
    /// When it was decided.
    pub time: MicroTime,
}
