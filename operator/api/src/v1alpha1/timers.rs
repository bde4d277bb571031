//! Timers of what is under way: the part of a position that is measured rather than decided.
//!
//! Losing them raises no weight. A timer that is unset starts again, so a window can only become longer and a weight can
//! only be raised later; without [`Timers::disturbed_until`] a window may reach back into a disturbance.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{DecimalString, UnsignedString};

/// Timers and running sums of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timers {
    /// The state of the route that was seen to be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenRoute>,
    /// When the window of evidence was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_start: Option<MicroTime>,
    /// Evaluations since the window was opened, for their mean.
    #[serde(default)]
    pub evaluations: Evaluations,
    /// The last entry about evidence that does not prove anything yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<Noted>,
    /// The last pass in which a Service of somebody else reached the pods past the route: evidence counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed_until: Option<MicroTime>,
}

/// A state of the route that every parent has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeenRoute {
    /// What the route says, such as `mirror 100%` or `live 5%`.
    #[schemars(length(max = 253))]
    pub split: String,
    /// `metadata.generation` of the route.
    pub generation: i64,
    /// When it was first seen accepted.
    pub at: MicroTime,
}

/// Differences of L∞, challenger minus champion, summed up in the order of their evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evaluations {
    /// How many.
    #[serde(default)]
    pub count: UnsignedString,
    /// Their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<DecimalString>,
}

/// An entry of the ledger about evidence that was unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Noted {
    /// When it was written.
    pub at: MicroTime,
    /// Gates and checks that were unknown, in the order of the trace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub causes: Vec<String>,
}
