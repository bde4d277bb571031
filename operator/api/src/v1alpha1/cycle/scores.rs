use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::{
    rules::{above, closed},
    values::DecimalString,
};

/// How measurements become scores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoresSpec {
    /// The objective L∞: a weighted harmonic mean, so that no good metric can pay for a bad one.
    pub linf: LinfSpec,
    /// Further risks besides error ratio and Brier score. The mean risk of the challenger divided by
    /// that of the champion must stay below the guard's bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub risks: Vec<RiskSource>,
}

/// The objective L∞.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinfSpec {
    /// Weight λ of the relative cost in `L∞ = H·exp(−λ·cost)`, where the champion's cost is 1.
    #[serde(default = "defaults::cost_penalty")]
    #[x_kube(validation = crate::rules::decimal_within("spec.scores.linf.costPenalty", &closed("0.0", "2.0")))]
    pub cost_penalty: DecimalString,
    /// Metrics of the harmonic mean H.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub metrics: Vec<LinfMetric>,
}

/// One metric of L∞.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::must("spec.scores.linf.metrics[]", "has(self.preset) != has(self.evidence)", "must have exactly one of `preset` and `evidence`"))]
#[serde(rename_all = "camelCase")]
pub struct LinfMetric {
    /// Name of the metric in decisions and in the ledger.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-zA-Z][a-zA-Z0-9_.-]*$"))]
    pub name: String,
    /// Weight in the harmonic mean; only proportions matter.
    #[x_kube(validation = crate::rules::decimal_within("spec.scores.linf.metrics[].weight", &above("0.0", "1000.0")))]
    pub weight: DecimalString,
    /// A quantity that the presets of `spec.evidence` measure. `Accuracy`: share of labelled
    /// predictions that were right, from `ModelCounters`. `SuccessRatio`: share of requests that did
    /// not fail, from `EnvoyGateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<LinfPreset>,
    /// Name of a ratio in `spec.evidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub evidence: Option<String>,
    /// How the raw value becomes a number from 0 (worst) to 1 (best).
    #[serde(default)]
    pub normalize: Normalize,
}

/// Quantities that presets measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LinfPreset {
    /// Share of labelled predictions that were right; from `ModelCounters`.
    Accuracy,
    /// Share of requests that did not fail; from `EnvoyGateway`.
    SuccessRatio,
}

/// How a raw value becomes a number from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = crate::rules::must("spec.scores.linf.metrics[].normalize", "self.kind != 'Linear' || (has(self.min) && has(self.max) && has(self.better))", "must have `min`, `max` and `better` when `kind` is Linear"),
    validation = crate::rules::must("spec.scores.linf.metrics[].normalize", "self.kind != 'RatioToBaseline' || (has(self.baseline) && has(self.better))", "must have `baseline` and `better` when `kind` is RatioToBaseline"),
    validation = crate::rules::must("spec.scores.linf.metrics[].normalize", "self.kind == 'Linear' || (!has(self.min) && !has(self.max))", "must not have `min` or `max` unless `kind` is Linear"),
    validation = crate::rules::must("spec.scores.linf.metrics[].normalize", "self.kind == 'RatioToBaseline' || (!has(self.baseline) && !has(self.atParity))", "must not have `baseline` or `atParity` unless `kind` is RatioToBaseline"),
    validation = crate::rules::field_must("spec.scores.linf.metrics[].normalize.better", "better", "self.kind in ['Linear', 'RatioToBaseline'] || !has(self.better)", "must not be set unless `kind` is Linear or RatioToBaseline"),
    validation = crate::rules::field_must("spec.scores.linf.metrics[].normalize.max", "max", "!has(self.min) || !has(self.max) || double(self.min) < double(self.max)", "must be greater than `min`")
)]
#[serde(rename_all = "camelCase")]
pub struct Normalize {
    /// Formula for the raw value x. `Identity`: x. `OneMinus`: 1 − x. `Linear`: a straight line
    /// between `min` and `max`, held at the ends. `RatioToBaseline`: min(1, atParity · x ÷ baseline),
    /// or with baseline ÷ x when lower is better.
    #[serde(default)]
    pub kind: NormalizeKind,
    /// `Linear`: the raw value at one end of the scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<DecimalString>,
    /// `Linear`: the raw value at the other end of the scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<DecimalString>,
    /// Which direction is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
    /// `RatioToBaseline`: the raw value that counts as parity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.scores.linf.metrics[].normalize.baseline", &above("0.0", "999999999.0")))]
    pub baseline: Option<DecimalString>,
    /// `RatioToBaseline`: the number that parity becomes; 0.8 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::rules::decimal_within("spec.scores.linf.metrics[].normalize.atParity", &above("0.0", "1.0")))]
    pub at_parity: Option<DecimalString>,
}

/// Formulas of normalisation; x is the raw value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NormalizeKind {
    /// x
    #[default]
    Identity,
    /// 1 − x
    OneMinus,
    /// Straight line between `min` and `max`, held at the ends.
    Linear,
    /// min(1, atParity · x ÷ baseline), or with baseline ÷ x when lower is better.
    RatioToBaseline,
}

/// Which direction of a raw value is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// A named risk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RiskSource {
    /// Name of the risk in decisions and in the ledger.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-zA-Z][a-zA-Z0-9_.-]*$"))]
    pub name: String,
    /// Name of a ratio in `spec.evidence`; 0 is no risk.
    #[schemars(length(min = 1, max = 63))]
    pub evidence: String,
}
