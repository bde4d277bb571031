use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::values::{Duration, Percent};

/// The stage on mirrored traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::field_must("spec.shadow.deadline", "deadline", "duration(self.deadline) >= duration(self.duration)", "must not be shorter than `spec.shadow.duration`"))]
#[serde(rename_all = "camelCase")]
pub struct ShadowSpec {
    /// Share of live requests that is mirrored to the challenger, in per cent. Mirrored requests are
    /// real work for the challenger, side effects included; their answers are thrown away.
    #[serde(default = "defaults::shadow_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub percent: Percent,
    /// Shortest time on mirrored traffic.
    #[serde(default = "defaults::shadow_duration")]
    #[x_kube(validation = crate::rules::duration_within("spec.shadow.duration", "1m", "1h"))]
    pub duration: Duration,
    /// Fewest requests from which the stage is judged.
    #[serde(default = "defaults::shadow_min_samples")]
    #[schemars(range(min = 10, max = 1_000_000_000))]
    pub min_samples: u32,
    /// Longest time of the stage; then the challenger is rejected.
    #[serde(default = "defaults::shadow_deadline")]
    #[x_kube(validation = crate::rules::duration_within("spec.shadow.deadline", "1m", "24h"))]
    pub deadline: Duration,
}

impl Default for ShadowSpec {
    fn default() -> Self {
        Self {
            percent: defaults::shadow_percent(),
            duration: defaults::shadow_duration(),
            min_samples: defaults::shadow_min_samples(),
            deadline: defaults::shadow_deadline(),
        }
    }
}

/// The stage on live traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::field_must("spec.canary.deadline", "deadline", "self.steps.all(s, duration(self.deadline) >= duration(s.duration))", "must not be shorter than the `duration` of a step"))]
#[serde(rename_all = "camelCase")]
pub struct CanarySpec {
    /// Steps in their order; the weight never falls from one to the next.
    #[serde(default = "defaults::canary_steps")]
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = crate::rules::must("spec.canary.steps[].weight", "self.map(s, s.weight).isSorted()", "must not fall from one step to the next")
    )]
    pub steps: Vec<CanaryStep>,
    /// Longest time of one step; then the challenger is rolled back.
    #[serde(default = "defaults::canary_deadline")]
    #[x_kube(validation = crate::rules::duration_within("spec.canary.deadline", "1m", "24h"))]
    pub deadline: Duration,
}

impl Default for CanarySpec {
    fn default() -> Self {
        Self {
            steps: defaults::canary_steps(),
            deadline: defaults::canary_deadline(),
        }
    }
}

/// One step on live traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// Share of live requests that goes to the challenger, in per cent.
    #[schemars(range(min = 1, max = 5))]
    pub weight: Percent,
    /// Shortest time of the step, counted from the moment the share was verified.
    #[serde(default = "defaults::step_duration")]
    #[x_kube(validation = crate::rules::duration_within("spec.canary.steps[].duration", "1m", "2h"))]
    pub duration: Duration,
    /// Fewest requests to the challenger from which the step is judged.
    #[serde(default = "defaults::step_min_samples")]
    #[schemars(range(min = 50, max = 1_000_000_000))]
    pub min_samples: u32,
}

/// The time after a promotion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = crate::rules::field_must("spec.promotion.deadline", "deadline", "duration(self.deadline) >= duration(self.watch)", "must not be shorter than `spec.promotion.watch`"))]
#[serde(rename_all = "camelCase")]
pub struct PromotionSpec {
    /// Shortest time that the old champion stays ready beside the new one. A regression in this time
    /// gives all traffic back to it.
    #[serde(default = "defaults::watch")]
    #[x_kube(validation = crate::rules::duration_within("spec.promotion.watch", "1m", "24h"))]
    pub watch: Duration,
    /// Fewest requests to the new champion from which the watch is judged.
    #[serde(default = "defaults::watch_min_samples")]
    #[schemars(range(min = 10, max = 1_000_000_000))]
    pub min_samples: u32,
    /// Longest time of the watch; then the old champion gets its traffic back.
    #[serde(default = "defaults::watch_deadline")]
    #[x_kube(validation = crate::rules::duration_within("spec.promotion.deadline", "1m", "24h"))]
    pub deadline: Duration,
    /// How long a revision without traffic keeps its pods, so that open requests can end.
    #[serde(default = "defaults::drain")]
    #[x_kube(validation = crate::rules::duration_within("spec.promotion.drain", "0s", "10m"))]
    pub drain: Duration,
}

impl Default for PromotionSpec {
    fn default() -> Self {
        Self {
            watch: defaults::watch(),
            min_samples: defaults::watch_min_samples(),
            deadline: defaults::watch_deadline(),
            drain: defaults::drain(),
        }
    }
}
