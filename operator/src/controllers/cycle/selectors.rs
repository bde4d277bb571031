//! Services that reach revision pods past the route. Pure.
//!
//! What such a Service sends is no share that any evidence allowed, and nothing that the route says takes it away again.
//! It is asked in every pass: anybody may make one after the adoption, and give ours another selector.
//!
//! Selectors of workloads are another matter. A controller of Kubernetes adopts pods that have no controller, and those
//! of a revision have one; the target's own selector is kept from fitting them when its template is resolved.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PodTemplateSpec, Service};
use kube::ResourceExt as _;

use super::book::Book;
use super::snapshot::{Candidate, Snapshot};
use crate::workload;

/// Why it is not known that requests reach revision pods through the route alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorConflict {
    /// These Services select revision pods: alphabetical, [`workload::MAX_CONFLICTS`] at most, never empty.
    Services(Vec<String>),
    /// The namespace has more Services than a pass reads, and what was read holds no conflict.
    Unread {
        /// How many were read.
        read: usize,
    },
}

impl fmt::Display for SelectorConflict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Services(names) => {
                let (noun, verb) = match names.as_slice() {
                    [_] => ("Service", "selects"),
                    _ => ("Services", "select"),
                };
                write!(
                    out,
                    "{noun} {} {verb} revision pods past the route: a selector must name what only its own pods carry",
                    names.join(", ")
                )
            }
            Self::Unread { read } => write!(
                out,
                "The namespace has more than {read} Services, so it is not known whether one of them selects revision \
                 pods: move what does not belong to the cycle to another namespace"
            ),
        }
    }
}

/// The conflict that the Services of a pass make, if any. `complete` says whether they are all that the namespace has.
#[must_use]
pub fn conflict(
    snapshot: &Snapshot,
    deployments: &[Deployment],
    services: &[Service],
    complete: bool,
) -> Option<SelectorConflict> {
    // What is about to be taken over with its Deployment.
    let left = |service: &&Service| {
        let ports = snapshot.settings.as_ref().map(|settings| &settings.ports);
        ports.is_ok_and(|ports| workload::left_service(service, &snapshot.key.name, ports))
    };
    let others: Vec<&Service> = services.iter().filter(|service| !left(service)).collect();
    let mut names: Vec<String> = about_to_run(snapshot)
        .chain(running(snapshot, deployments))
        .filter_map(|template| template.metadata.as_ref()?.labels.as_ref())
        .flat_map(|labels: &BTreeMap<_, _>| {
            workload::selector_conflicts(others.iter().copied(), labels, &snapshot.key.uid)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(workload::MAX_CONFLICTS);
    if !names.is_empty() {
        return Some(SelectorConflict::Services(names));
    }
    (!complete).then_some(SelectorConflict::Unread { read: services.len() })
}

/// Templates that a later pass may start pods from: the target's before the adoption, and those of Challengers whose
/// lives have not ended.
fn about_to_run(snapshot: &Snapshot) -> impl Iterator<Item = &PodTemplateSpec> {
    let book: Option<&Book> = snapshot.book.as_ref().ok().and_then(Option::as_ref);
    let target = snapshot.target.as_ref().ok().filter(|_| book.is_none());
    let waits = move |candidate: &&Candidate| book.is_none_or(|book| !candidate.is_over(book));
    let candidates = snapshot.candidates.iter().filter(waits);
    let candidates = candidates.filter_map(|candidate| candidate.revision.as_ref().ok());
    let revisions = target.map(|target| &target.revision).into_iter().chain(candidates);
    revisions.map(|revision| &revision.template)
}

/// Templates of our Deployments that have pods, as they stand in the API: those of the champion and of whoever lives
/// are older than what the target says now.
fn running<'a>(snapshot: &'a Snapshot, deployments: &'a [Deployment]) -> impl Iterator<Item = &'a PodTemplateSpec> {
    deployments
        .iter()
        .filter(|deployment| {
            let view = snapshot.revision(&deployment.name_any());
            view.deployment.is_some_and(|view| view.ours && view.replicas > 0)
        })
        .filter_map(|deployment| Some(&deployment.spec.as_ref()?.template))
}
