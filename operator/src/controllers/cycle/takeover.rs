//! What an earlier cycle of the same name left behind (`deletionPolicy: Orphan`), or what this one served when its ledger was
//! lost: the revision that the route gives all live traffic to becomes the champion where it stands. Pure.
//!
//! Nothing but owners changes, so no request notices. An object is taken over only if it carries our labels, belongs to
//! nobody, and is what its name says: the name of a revision holds the digest of its pod template.

use penin_engine::event::Digest;

use super::book::RevisionRef;
use super::plan::{ReleasedKind, Write};
use super::route;
use super::snapshot::Snapshot;
use crate::workload;

/// Who serves before the adoption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// Nobody whom we made.
    Nobody,
    /// A revision that can be the champion as it is.
    Revision(RevisionRef),
    /// Something that was left behind and cannot be taken over: why.
    Unfit(String),
}

/// Who has all live traffic of a route that is ours, or that an earlier cycle left behind.
#[must_use]
pub fn serving(snapshot: &Snapshot) -> Serving {
    let Some(route) = &snapshot.route else {
        return Serving::Nobody;
    };
    let left = workload::is_left_behind(&route.metadata, &snapshot.key.name);
    let mut owners = route.metadata.owner_references.iter().flatten();
    if !left && !owners.any(|owner| owner.uid == snapshot.key.uid) {
        return Serving::Nobody;
    }
    let live: Vec<&str> = route::live_weights(snapshot)
        .filter(|(_, weight)| *weight > 0)
        .map(|(service, _)| service)
        .collect();
    let found = match live.as_slice() {
        [service] => whole(snapshot, service),
        _ => Err(format!("it gives traffic to {} Services instead of one", live.len())),
    };
    match found {
        Ok(revision) if left || served_before(snapshot, &revision.name) => Serving::Revision(revision),
        Err(why) if left => Serving::Unfit(why),
        Ok(_) | Err(_) => Serving::Nobody,
    }
}

/// A revision that is ours or left behind, unchanged since it was made.
fn whole(snapshot: &Snapshot, name: &str) -> Result<RevisionRef, String> {
    let view = snapshot.revision(name);
    let Some(deployment) = view.deployment.filter(|deployment| deployment.ours || deployment.left) else {
        return Err(format!("Deployment {name} is missing, or is not what was left behind"));
    };
    if view.service_uid.is_none() && view.left_service_uid.is_none() {
        return Err(format!(
            "Service {name} is missing, or its selector and ports are not those of spec.service"
        ));
    }
    let digest = deployment.digest.filter(|digest| {
        let parsed = digest.parse::<Digest>();
        parsed.is_ok_and(|digest| workload::revision_name(&snapshot.key.name, &digest) == name)
    });
    let name = name.to_owned();
    match digest {
        Some(digest) => Ok(RevisionRef { name, digest }),
        None => Err(format!("the pod template of Deployment {name} was changed")),
    }
}

/// Whether a revision of our own route served before this adoption began: it is older than the cycle, or the status
/// remembers it as the champion of a ledger that was lost. What this adoption made itself follows the target instead.
fn served_before(snapshot: &Snapshot, name: &str) -> bool {
    let made = snapshot.revision(name).deployment.map(|deployment| deployment.created);
    made.is_some_and(|made| made < snapshot.key.created) || snapshot.remembered.champion.as_deref() == Some(name)
}

/// The next object of a revision that was left behind, to be made ours. `digest` is that of its template.
#[must_use]
pub fn claim(snapshot: &Snapshot, revision: &str, digest: &str) -> Option<Write> {
    let view = snapshot.revision(revision);
    let deployment = view.deployment?;
    let name = revision.to_owned();
    if deployment.left && deployment.digest.as_deref() == Some(digest) {
        return Some(Write::Claim {
            kind: ReleasedKind::Deployment,
            name,
            uid: deployment.uid,
        });
    }
    // A Service alone proves nothing: it is taken over with its Deployment.
    let uid = view
        .left_service_uid
        .filter(|_| deployment.ours && view.service_uid.is_none())?;
    Some(Write::Claim {
        kind: ReleasedKind::Service,
        name,
        uid,
    })
}

/// The route, if it was left behind, to be made ours.
#[must_use]
pub fn claim_route(snapshot: &Snapshot) -> Option<Write> {
    let metadata = &snapshot.route.as_ref()?.metadata;
    workload::is_left_behind(metadata, &snapshot.key.name).then(|| Write::Claim {
        kind: ReleasedKind::Route,
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
    })
}

/// Who would go on serving if the cycle were deleted before it has a book: whoever has the largest live weight of the
/// route among the revisions that exist.
#[must_use]
pub fn heir(snapshot: &Snapshot) -> Option<&str> {
    let known = |service: &str| {
        snapshot
            .revisions
            .get(service)
            .is_some_and(|view| view.deployment.is_some())
    };
    route::live_weights(snapshot)
        .filter(|(service, weight)| *weight > 0 && known(service))
        .max_by_key(|(_, weight)| *weight)
        .map(|(service, _)| service)
}
