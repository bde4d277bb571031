//! Who else has a claim on the target or on our requests.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use penin_api::foreign::HttpRoute;
use penin_api::v1alpha1::PeninCycle;

use super::{MOST, ObserveError};
use crate::adapters::traffic::{self, Split};
use crate::controllers::cycle::route;
use crate::controllers::cycle::snapshot::Snapshot;

/// Who else has a claim on the target or on our requests. It decides about adoption only; afterwards ours is the older one.
pub(super) async fn conflicts(
    client: &Client,
    cycle: &PeninCycle,
    snapshot: &mut Snapshot,
) -> Result<(), ObserveError> {
    let (Ok(settings), Ok(None), Ok(target)) = (&snapshot.settings, &snapshot.book, &snapshot.target) else {
        return Ok(());
    };
    let all = ListParams::default().limit(MOST);
    let cycles = Api::<PeninCycle>::namespaced(client.clone(), &snapshot.key.namespace);
    let routes = Api::<HttpRoute>::namespaced(client.clone(), &snapshot.key.namespace);
    let rival = rival(cycle, &cycles.list(&all).await?.items);
    let others = other_routes(client, &routes, &all).await?;
    let intent = route::intent(snapshot, settings, &target.revision.name, &Split::ChampionOnly);
    snapshot.conflict = traffic::conflicts(&intent, snapshot.route.as_ref(), &others);
    snapshot.rival = rival;
    Ok(())
}

/// Another cycle of the namespace that manages the same target: one that has adopted it, else one that is older. Traffic
/// that is served stays where it is, so an adopted one wins whatever its age.
#[must_use]
pub fn rival(cycle: &PeninCycle, all: &[PeninCycle]) -> Option<String> {
    let age = |cycle: &PeninCycle| (cycle.creation_timestamp().map(|time| time.0), cycle.name_any());
    let adopted = |other: &PeninCycle| other.status.as_ref().is_some_and(|status| status.champion.is_some());
    let same =
        |other: &&PeninCycle| other.uid() != cycle.uid() && other.spec.target_ref.name == cycle.spec.target_ref.name;
    let stronger = |other: &&PeninCycle| adopted(other) || age(other) < age(cycle);
    let rivals = all.iter().filter(same).filter(stronger);
    rivals.min_by_key(|other| age(other)).map(kube::ResourceExt::name_any)
}

/// Routes of all namespaces; of the cycle's own alone where the operator may read no others.
async fn other_routes(
    client: &Client,
    own: &Api<HttpRoute>,
    parameters: &ListParams,
) -> Result<Vec<HttpRoute>, ObserveError> {
    match Api::<HttpRoute>::all(client.clone()).list(parameters).await {
        Ok(routes) => Ok(routes.items),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(own.list(parameters).await?.items),
        Err(error) => Err(error.into()),
    }
}
