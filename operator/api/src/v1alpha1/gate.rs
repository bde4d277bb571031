//! `PromotionGate`: criteria for promotion, owned by a risk team.

// The bounds of a gate end in Min or Max throughout, as in the engine.
#![allow(clippy::struct_field_names)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::NameRef;
use crate::{
    rules::{above, below, closed},
    values::{DecimalString, Duration},
};

/// The criteria. Fields that are left out have the engine's defaults; of several gates that bind a
/// cycle, the strictest value of each field counts.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "penin.ai",
    version = "v1alpha1",
    kind = "PromotionGate",
    plural = "promotiongates",
    shortname = "pgate",
    category = "penin",
    namespaced,
    status = "PromotionGateStatus",
    derive = "PartialEq",
    doc = "A PromotionGate holds the criteria that a challenger must meet before it may replace a champion. It belongs to those who answer for the risk: workload teams can refer to it, but neither loosen it nor, with enforcement Namespace, leave it out.",
    printcolumn(
        name = "Enforcement",
        type_ = "string",
        json_path = ".spec.enforcement",
        description = "Whom the gate binds."
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status",
        description = "Whether the gate can be used."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].reason",
        description = "Why it can be used or not.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PromotionGateSpec {
    /// Whom the gate binds. `Referenced`: cycles that name it in `gateRefs`. `Namespace`: every
    /// cycle of the namespace.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// Floors of the engine's scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<RequireSpec>,
    /// Bounds of the checks of each stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub league: Option<LeagueSpec>,
    /// Bounds of Σ-Guard: risk, calibration, fairness, consent and ecology.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardSpec>,
}

/// Whom a gate binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Enforcement {
    /// Cycles that name it in `gateRefs`.
    #[default]
    Referenced,
    /// Every cycle of the namespace.
    Namespace,
}

/// Floors of the engine's scores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequireSpec {
    /// Least CAOS⁺; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.require.caosPlusMin", &closed("1.0", "100.0")))]
    pub caos_plus_min: Option<DecimalString>,
    /// Least reflexive score SR-Ω∞; 0.8 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.require.srMin", &above("0.0", "1.0")))]
    pub sr_min: Option<DecimalString>,
    /// Least gain of L∞ over the champion; 0.01 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.require.deltaLinfMin", &closed("0.001", "0.1")))]
    pub delta_linf_min: Option<DecimalString>,
}

/// Bounds of the checks of each stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeagueSpec {
    /// Largest share of failed requests; 0.05 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.league.errorRateMax", &closed("0.001", "0.2")))]
    pub error_rate_max: Option<DecimalString>,
    /// Largest 95th percentile of latency; not checked when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::duration_within("spec.league.p95LatencyMax", "1ms", "10m"))]
    pub p95_latency_max: Option<Duration>,
    /// Least mean gain of L∞ over the champion during the canary; 0.02 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.league.meanDeltaLinfMin", &closed("0.001", "0.5")))]
    pub mean_delta_linf_min: Option<DecimalString>,
    /// The test of the error rate that is valid at any time and under any number of looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<SequentialSpec>,
}

/// The sequential test of the error rate, by Robbins' confidence sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SequentialSpec {
    /// What must be proved; `Harm` when left out. `Harm`: a proof of harm fails the challenger at
    /// once. `NonInferior`: in addition, it must be proved not to be worse than the margin. `Off`:
    /// nothing. Of several gates, `NonInferior` outweighs `Harm`, and `Harm` outweighs `Off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SequentialMode>,
    /// Probability of a wrong verdict, both sides together; 0.05 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.league.sequential.alpha", &closed("0.0001", "0.2")))]
    pub alpha: Option<DecimalString>,
    /// Difference of error rates that is tolerated; 0.01 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.league.sequential.margin", &closed("0.0", "0.2")))]
    pub margin: Option<DecimalString>,
}

/// What the sequential test must prove, from loose to strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum SequentialMode {
    /// Nothing: no sequential test.
    Off,
    /// A proof of harm fails the challenger at once.
    Harm,
    /// In addition, the challenger must be proved not to be worse than the margin.
    NonInferior,
}

/// Bounds of Σ-Guard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::field_must("spec.guard.fairness", "fairness", "!has(self.fairness) || !has(self.rhoBias) || !has(self.rhoBias.notApplicable)", "must not be set when `spec.guard.rhoBias.notApplicable` waives the comparison of groups"))]
#[serde(rename_all = "camelCase")]
pub struct GuardSpec {
    /// Bound of the risk ratio ρ, challenger to champion, which must stay below it; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.guard.rhoMax", &above("0.0", "1.0")))]
    pub rho_max: Option<DecimalString>,
    /// Expected calibration error of the predicted probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ece: Option<EceSpec>,
    /// Ratio of selection rates of groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rho_bias: Option<RhoBiasSpec>,
    /// Fairness between groups: one minus the largest difference of a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairness: Option<FairnessSpec>,
    /// Whether those whose data is used agreed. Without it nothing is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentSpec>,
    /// Whether the ecological cost is acceptable. Without it nothing is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eco: Option<EcoSpec>,
}

/// Bound of the expected calibration error, or a waiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::must("spec.guard.ece", "!has(self.notApplicable) || (!has(self.max) && !has(self.bins) && !has(self.minSamples))", "must not have `max`, `bins` or `minSamples` beside `notApplicable`"))]
#[serde(rename_all = "camelCase")]
pub struct EceSpec {
    /// Largest error; 0.01 when left out. Even a perfectly calibrated model has an error of about
    /// √(bins ÷ samples), so a small bound needs many samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.guard.ece.max", &above("0.0", "1.0")))]
    pub max: Option<DecimalString>,
    /// Number of equally wide bins of probability; 15 when left out. Must be that of the counters
    /// which the workload exports. Gates that bind the same cycle must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_000))]
    pub bins: Option<u16>,
    /// Fewest labelled predictions from which the error is judged; 100 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 1_000_000_000))]
    pub min_samples: Option<u32>,
    /// Waives the criterion for models that predict no probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<Waiver>,
}

/// A criterion that does not apply. It stands in every attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    /// Why it does not apply.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"\S"))]
    pub reason: String,
}

/// Bound of the ratio of selection rates, or a waiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::must("spec.guard.rhoBias", "!has(self.notApplicable) || (!has(self.form) && !has(self.max) && !has(self.minGroupSamples))", "must not have `form`, `max` or `minGroupSamples` beside `notApplicable`"))]
#[serde(rename_all = "camelCase")]
pub struct RhoBiasSpec {
    /// What is compared; `ToOverall` when left out. `ToOverall`: each group with all together.
    /// `BetweenGroups`: the group selected most often with the one selected least often. Gates that bind the same cycle must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<RhoBiasForm>,
    /// Largest ratio; 1.05 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.guard.rhoBias.max", &below("1.0", "10.0")))]
    pub max: Option<DecimalString>,
    /// Fewest labelled predictions of each group from which it is judged; 10 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_group_samples: Option<u32>,
    /// Waives all criteria of groups, `fairness` too, for workloads without groups of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<Waiver>,
}

/// What the ratio of selection rates compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RhoBiasForm {
    /// Each group with all together.
    ToOverall,
    /// The group selected most often with the one selected least often.
    BetweenGroups,
}

/// Floor of fairness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FairnessSpec {
    /// Rate that is compared; `DemographicParity` when left out. `DemographicParity`: how often
    /// people are selected. `EqualOpportunity`: how often those who should be selected are.
    /// `EqualizedOdds`: the same, and how often those who should not be selected are. Gates that
    /// bind the same cycle must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<FairnessMetric>,
    /// Least fairness, from 0 to 1; 0.8 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.guard.fairness.min", &closed("0.0", "1.0")))]
    pub min: Option<DecimalString>,
}

/// Rates that fairness compares between groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FairnessMetric {
    /// How often people are selected.
    DemographicParity,
    /// How often those who should be selected are.
    EqualOpportunity,
    /// The same, and how often those who should not be selected are.
    EqualizedOdds,
}

/// A declared fact about consent. The ledger records it with each decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentSpec {
    /// Whether consent was given; `false` forbids every promotion.
    pub granted: bool,
    /// What exactly was agreed, and where that is written down.
    #[schemars(length(min = 1, max = 1_024), regex(pattern = r"\S"))]
    pub statement: String,
    /// Who declares it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"\S"))]
    pub author: String,
}

/// A declared fact about ecology. The ledger records it with each decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EcoSpec {
    /// Whether the cost is acceptable; `false` forbids every promotion.
    pub ok: bool,
    /// What was weighed, and where that is written down.
    #[schemars(length(min = 1, max = 1_024), regex(pattern = r"\S"))]
    pub statement: String,
    /// Who declares it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"\S"))]
    pub author: String,
}

/// What the operator observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionGateStatus {
    /// Generation of the spec that this status is about; -1 before the operator saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions; see the documentation for their types and reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Cycles that the gate binds, at most the first hundred by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub used_by: Vec<NameRef>,
}
