//! The Deployment of a revision.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Home, Revision, object_meta, revision_labels};

/// When pods of a revision count as available, and when their start counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollout {
    /// Seconds that a pod has to be ready before it is available; as the target has it.
    min_ready_seconds: i32,
    /// Seconds without progress after which the Deployment reports failure.
    progress_deadline_seconds: i32,
}

impl Rollout {
    /// The target's time to availability, and the cycle's deadline in whole seconds, rounded up.
    #[must_use]
    pub fn new(target: &Deployment, progress_deadline: Duration) -> Self {
        let min_ready_seconds = target
            .spec
            .as_ref()
            .and_then(|spec| spec.min_ready_seconds)
            .unwrap_or(0);
        let seconds = i32::try_from(progress_deadline.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX);
        // The API server demands a deadline after the time to availability.
        let progress_deadline_seconds = seconds.max(min_ready_seconds.saturating_add(1));
        Self {
            min_ready_seconds,
            progress_deadline_seconds,
        }
    }
}

/// The Deployment that runs `revision` with `replicas` pods to begin with.
#[must_use]
pub fn deployment(home: &Home, revision: &Revision, replicas: i32, rollout: Rollout) -> Deployment {
    // The template is frozen, so nothing is ever rolled; if someone changes it, the old pods stay until new ones serve.
    let rolling = RollingUpdateDeployment {
        max_surge: Some(IntOrString::Int(1)),
        max_unavailable: Some(IntOrString::Int(0)),
    };
    Deployment {
        metadata: object_meta(home, &revision.name),
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            min_ready_seconds: Some(rollout.min_ready_seconds),
            progress_deadline_seconds: Some(rollout.progress_deadline_seconds),
            // There is no earlier template to go back to.
            revision_history_limit: Some(0),
            selector: LabelSelector {
                match_labels: Some(revision_labels(&home.cycle, &revision.name)),
                match_expressions: None,
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(rolling),
            }),
            template: revision.template.clone(),
            paused: None,
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests;
