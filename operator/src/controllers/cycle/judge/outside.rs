//! What is checked outside the evidence: ledger, gates, engine, route, and the sizes of pods.

use std::collections::BTreeMap;

use crate::controllers::cycle::book::Book;
use crate::controllers::cycle::route;
use crate::controllers::cycle::snapshot::Snapshot;
use crate::scoring::{Checks, OutsideChecks, Unknown};
use crate::workload::PodRequests;

pub(super) fn size_of(snapshot: &Snapshot, revision: &str) -> Option<PodRequests> {
    snapshot.revision(revision).deployment?.requests
}

/// Checks of the ledger, the gates, the engine and the route, as "satisfied of declared".
pub(super) fn outside_checks(snapshot: &Snapshot, book: &Book) -> OutsideChecks {
    let hash = book.state_hash().ok();
    // A status that was not written before a restart is behind, which is no disagreement.
    let behind = snapshot.remembered.cycle.is_some_and(|cycle| cycle < book.engine.cycle);
    let remembered = snapshot.remembered.state_hash.is_none() || behind || snapshot.remembered.state_hash == hash;
    let route_accepted = route::is_accepted(snapshot);
    OutsideChecks {
        memory: [hash.is_some(), remembered].into_iter().collect(),
        policy: snapshot.gates.answered,
        meta: [hash.is_some(), snapshot.ledger.problem.is_none()]
            .into_iter()
            .collect::<Checks>(),
        router: [route_accepted].into_iter().collect(),
    }
}

/// Why evidence is missing, by input, as it stands in entries.
#[must_use]
pub fn reasons(unknown: &BTreeMap<&'static str, Unknown>) -> BTreeMap<String, String> {
    unknown
        .iter()
        .map(|(input, unknown)| ((*input).to_owned(), unknown.to_string()))
        .collect()
}
