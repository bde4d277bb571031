//! The objects of revisions, as they stand in the API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PodTemplateSpec, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use penin_api::names::LABEL_REVISION;
use penin_api::v1alpha1::cycle::ServicePorts;

use crate::controllers::cycle::snapshot::{CycleKey, DeploymentView, RevisionView};
use crate::workload;

/// What exists of each revision, by its name.
#[must_use]
pub fn revisions(
    key: &CycleKey,
    ports: &ServicePorts,
    deployments: &[Deployment],
    services: &[Service],
    slices: &[EndpointSlice],
) -> BTreeMap<String, RevisionView> {
    let mut views: BTreeMap<String, RevisionView> = BTreeMap::new();
    for deployment in deployments {
        views.entry(deployment.name_any()).or_default().deployment = Some(view_of(key, deployment));
    }
    for service in services
        .iter()
        .filter(|service| is_ours(key, service.owner_references()))
    {
        views.entry(service.name_any()).or_default().service_uid = service.uid();
    }
    for service in services {
        if let Some(view) = views.get_mut(&service.name_any())
            && workload::left_service(service, &key.name, ports)
        {
            view.left_service_uid = service.uid();
        }
    }
    for (name, view) in &mut views {
        view.ready_endpoints = workload::ready_endpoints(slices.iter().filter(|slice| {
            slice
                .labels()
                .get("kubernetes.io/service-name")
                .is_some_and(|service| service == name)
                && slice
                    .labels()
                    .get(LABEL_REVISION)
                    .is_none_or(|revision| revision == name)
        }));
    }
    views
}

fn view_of(key: &CycleKey, deployment: &Deployment) -> DeploymentView {
    let spec = deployment.spec.as_ref();
    let name = deployment.name_any();
    let conditions = deployment
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default();
    let problem = conditions
        .iter()
        .find(|condition| {
            (condition.type_ == "Progressing" && condition.status == "False")
                || (condition.type_ == "ReplicaFailure" && condition.status == "True")
        })
        .and_then(|condition| condition.message.clone());
    DeploymentView {
        uid: deployment.uid().unwrap_or_default(),
        replicas: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        created: deployment
            .creation_timestamp()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        ours: is_ours(key, deployment.owner_references()),
        left: workload::is_left_behind(&deployment.metadata, &key.name),
        digest: spec
            .and_then(|spec| workload::live_digest(&spec.template, &name).ok())
            .map(|digest| digest.to_string()),
        problem,
        limits: spec
            .map(|spec| (limit(&spec.template, "cpu"), limit(&spec.template, "memory")))
            .unwrap_or_default(),
        requests: spec.and_then(|spec| workload::pod_requests(&spec.template)),
    }
}

/// Limit of one pod; none when a container has none.
fn limit(template: &PodTemplateSpec, resource: &str) -> Option<f64> {
    let containers = &template.spec.as_ref()?.containers;
    containers
        .iter()
        .map(|container| workload::quantity_value(container.resources.as_ref()?.limits.as_ref()?.get(resource)?).ok())
        .sum()
}

fn is_ours(key: &CycleKey, owners: &[OwnerReference]) -> bool {
    owners.iter().any(|owner| owner.uid == key.uid)
}
