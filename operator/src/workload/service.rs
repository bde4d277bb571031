//! The Service of a revision, and Services of others that would reach its pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use penin_api::names::LABEL_REVISION;
use penin_api::v1alpha1::cycle::ServicePorts;

use super::{Home, is_left_behind, object_meta, revision_labels};

/// Most names that [`selector_conflicts`] returns.
pub const MAX_CONFLICTS: usize = 16;

/// The Service that selects the pods of `revision` and no others.
#[must_use]
pub fn service(home: &Home, revision: &str, ports: &ServicePorts) -> Service {
    let port = ServicePort {
        name: Some("http".to_owned()),
        protocol: Some("TCP".to_owned()),
        port: ports.port.into(),
        target_port: Some(IntOrString::Int(ports.target_port.into())),
        ..ServicePort::default()
    };
    Service {
        metadata: object_meta(home, revision),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(revision_labels(&home.cycle, revision)),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Whether `service` is what an earlier cycle left behind for the pods of the revision that it is named after: then it
/// reaches no others.
#[must_use]
pub fn left_service(service: &Service, cycle: &str, ports: &ServicePorts) -> bool {
    let Some(name) = service.metadata.name.as_deref() else {
        return false;
    };
    let Some(spec) = &service.spec else { return false };
    let port = spec.ports.as_ref().and_then(|ports| ports.first());
    let leads = port.is_some_and(|port| {
        port.port == i32::from(ports.port) && port.target_port == Some(IntOrString::Int(ports.target_port.into()))
    });
    is_left_behind(&service.metadata, cycle) && leads && spec.selector == Some(revision_labels(cycle, name))
}

/// Names of the Services that would select pods with `pod_labels` and that we did not create, in
/// alphabetical order, [`MAX_CONFLICTS`] at most. Such a Service would give a challenger live traffic past the route.
///
/// `services` are those of the pods' namespace. Ours is the one that carries the revision's name and the cycle's
/// controller reference; a label alone could be put on by anyone.
#[must_use]
pub fn selector_conflicts<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    pod_labels: &BTreeMap<String, String>,
    cycle_uid: &str,
) -> Vec<String> {
    let others = services.into_iter().filter(|service| selects(service, pod_labels));
    let others = others.filter(|service| !is_ours(service, pod_labels, cycle_uid));
    let mut names: Vec<_> = others.filter_map(|service| service.metadata.name.clone()).collect();
    names.sort_unstable();
    names.truncate(MAX_CONFLICTS);
    names
}

/// A Service without a selector selects nothing; its endpoints are made by hand.
fn selects(service: &Service, pod_labels: &BTreeMap<String, String>) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| pod_labels.get(key) == Some(value))
    })
}

fn is_ours(service: &Service, pod_labels: &BTreeMap<String, String>, cycle_uid: &str) -> bool {
    let owners = service.metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    service.metadata.name.as_ref() == pod_labels.get(LABEL_REVISION) && controllers.any(|owner| owner.uid == cycle_uid)
}

#[cfg(test)]
mod tests;
