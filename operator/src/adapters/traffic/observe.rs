//! What the route in the cluster says, compared with what it is to say.

use penin_api::foreign::HttpRoute;

use super::acceptance::{Acceptance, acceptance};
use super::drift::{Drift, drift};
use super::intent::RouteIntent;

/// State of the route in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// There is no object of its name.
    Absent,
    /// The object of its name is not owned by this cycle.
    Foreign {
        /// Kind and name of its owner.
        owner: String,
    },
    /// It is ours and says something else.
    Drifted {
        /// The gravest difference.
        what: Drift,
    },
    /// It says what the intent says.
    Written {
        /// `metadata.generation`; what a controller accepted is accepted at a generation.
        generation: i64,
        /// Whether every parent has accepted it.
        acceptance: Acceptance,
    },
}

/// Compares the route that was read with the intent.
///
/// A route that is being deleted is judged like any other: as long as it exists the gateway serves it.
#[must_use]
pub fn observe(intent: &RouteIntent, current: Option<&HttpRoute>) -> RouteState {
    let Some(route) = current else {
        return RouteState::Absent;
    };
    if !is_ours(&intent.owner.uid, route) {
        return RouteState::Foreign { owner: owner_of(route) };
    }
    if let Some(what) = drift(intent, route) {
        return RouteState::Drifted { what };
    }
    let generation = route.metadata.generation.unwrap_or(0);
    RouteState::Written {
        generation,
        acceptance: acceptance(route, generation),
    }
}

/// Ours is the route that this very cycle controls; a label could be put on by anyone.
pub(super) fn is_ours(owner_uid: &str, route: &HttpRoute) -> bool {
    let mut owners = route.metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.controller == Some(true) && owner.uid == owner_uid)
}

fn owner_of(route: &HttpRoute) -> String {
    let owners = || route.metadata.owner_references.iter().flatten();
    let controller = owners().find(|owner| owner.controller == Some(true));
    controller.or_else(|| owners().next()).map_or_else(
        || "nobody".to_owned(),
        |owner| format!("{} {} (uid {})", owner.kind, owner.name, owner.uid),
    )
}

#[cfg(test)]
mod tests;
