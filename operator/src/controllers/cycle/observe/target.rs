//! The Deployment that the cycle was made for.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Client, Resource as _};
use penin_api::conditions::Reason;
use penin_api::v1alpha1::PeninCycle;

use super::ObserveError;
use crate::controllers::cycle::snapshot::{CycleKey, Target, TargetProblem};
use crate::workload::{self, Rollout};

/// The target as the API server's own JSON, so that a field that this program does not know is noticed.
pub(super) async fn target_of(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Result<Deployment, TargetProblem>, ObserveError> {
    let request = kube::core::Request::new(Deployment::url_path(&(), Some(namespace)))
        .get(name, &kube::api::GetParams::default())
        .map_err(|error| ObserveError::from(kube::Error::BuildRequest(error)))?;
    match client.request::<serde_json::Value>(request).await {
        Ok(raw) => Ok(workload::parse_target(raw).map_err(|error| unfit(&error))),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Err(missing_target(name))),
        Err(error) => Err(error.into()),
    }
}

/// There is no Deployment of that name.
#[must_use]
pub fn missing_target(name: &str) -> TargetProblem {
    TargetProblem {
        reason: Reason::TargetNotFound,
        message: format!("spec.targetRef.name: Deployment {name} does not exist"),
    }
}

fn unfit(error: &workload::TemplateError) -> TargetProblem {
    TargetProblem {
        reason: Reason::TargetInvalid,
        message: error.to_string(),
    }
}

/// The revision that the target stands for now.
///
/// # Errors
/// When it cannot be copied, and why.
pub fn resolve_target(object: &Deployment, key: &CycleKey, cycle: &PeninCycle) -> Result<Target, TargetProblem> {
    let revision = workload::resolve(object, &key.name, &[]).map_err(|error| unfit(&error))?;
    Ok(Target {
        revision,
        rollout: Rollout::new(object, cycle.spec.revisions.progress_deadline.to_std()),
    })
}
