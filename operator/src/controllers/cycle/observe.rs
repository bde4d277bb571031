//! Reading the world: every call bounded, everything live. Triggers come from watches; decisions never do.

mod candidates;
mod others;
mod revisions;
mod target;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ListParams, ObjectList};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use penin_api::foreign::HttpRoute;
use penin_api::names::{FINALIZER_CYCLE, LABEL_CYCLE};
use penin_api::v1alpha1::cycle::RevisionRole;
use penin_api::v1alpha1::{Challenger, PeninCycle, PromotionGate};
use penin_ledger::Digest;

pub use self::candidates::candidates;
pub use self::others::rival;
pub use self::revisions::revisions;
pub use self::target::{missing_target, resolve_target};
use super::book::{Book, BookError};
use super::selectors;
use super::settings::Settings;
use super::snapshot::{CycleKey, Remembered, Snapshot};
use crate::controllers::gate;
use crate::runtime::random;
use crate::services::ledger::LedgerService;
use crate::workload::{self, Home};

/// Most objects of one kind that a pass reads. More than these are a sign of trouble, not of load.
const MOST: u32 = 500;

/// Why a pass could not read the world.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The API server.
    #[error(transparent)]
    Api(#[from] Box<kube::Error>),
    /// No entropy for a token.
    #[error(transparent)]
    Entropy(#[from] random::NoEntropy),
    /// An object without the fields that the API server always sets.
    #[error("{0} has no {1}")]
    Incomplete(&'static str, &'static str),
}

impl From<kube::Error> for ObserveError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Everything of one cycle, read at one time.
///
/// # Errors
/// [`ObserveError`]; a target or gate that is missing is no error but part of the snapshot.
pub async fn observe(client: &Client, ledger: &LedgerService, cycle: &PeninCycle) -> Result<Snapshot, ObserveError> {
    let key = key_of(cycle)?;
    let lists = lists(client, &key).await?;
    let target_object = target::target_of(client, &key.namespace, &cycle.spec.target_ref.name).await?;
    let settings = Settings::parse(&key.name, &cycle.spec);
    let target = target_object
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|object| resolve_target(object, &key, cycle));
    let (book, book_digest) = stored_book(ledger, &key).await;
    let mut snapshot = Snapshot {
        deleting: cycle.meta().deletion_timestamp.is_some(),
        has_finalizer: cycle.finalizers().iter().any(|name| name == FINALIZER_CYCLE),
        ledger: ledger.view(),
        gates: gate::combine(cycle, &lists.gates.items),
        candidates: candidates(&lists.challengers.items, target_object.as_ref(), &key, cycle),
        revisions: revisions(
            &key,
            &cycle.spec.service,
            &lists.deployments.items,
            &lists.services.items,
            &lists.slices.items,
        ),
        remembered: remembered(cycle),
        fresh_token: random::token()?
            .parse()
            .map_err(|_| ObserveError::Incomplete("a random token", "128 bits"))?,
        conflict: None,
        rival: None,
        selector_conflict: None,
        evidence: None,
        settings,
        book,
        book_digest,
        target,
        route: lists.route,
        key,
    };
    let complete = lists.services.metadata.continue_.as_deref().is_none_or(str::is_empty);
    snapshot.selector_conflict =
        selectors::conflict(&snapshot, &lists.deployments.items, &lists.services.items, complete);
    Box::pin(others::conflicts(client, cycle, &mut snapshot)).await?;
    Ok(snapshot)
}

/// Everything of a pass that is listed, and the route.
struct Lists {
    challengers: ObjectList<Challenger>,
    gates: ObjectList<PromotionGate>,
    deployments: ObjectList<Deployment>,
    /// Of the whole namespace: anybody's may select revision pods.
    services: ObjectList<Service>,
    slices: ObjectList<EndpointSlice>,
    route: Option<HttpRoute>,
}

async fn lists(client: &Client, key: &CycleKey) -> Result<Lists, ObserveError> {
    let namespace = key.namespace.as_str();
    let of_cycle = ListParams::default()
        .labels(&format!("{LABEL_CYCLE}={}", workload::cycle_label(&key.name)))
        .limit(MOST);
    let all = ListParams::default().limit(MOST);
    let named = ListParams::default()
        .fields(&format!("spec.cycleRef.name={}", key.name))
        .limit(MOST);
    let challengers = Api::<Challenger>::namespaced(client.clone(), namespace);
    let gates = Api::<PromotionGate>::namespaced(client.clone(), namespace);
    let deployments = Api::<Deployment>::namespaced(client.clone(), namespace);
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let routes = Api::<HttpRoute>::namespaced(client.clone(), namespace);
    let (challengers, gates, deployments, services, slices, route) = tokio::try_join!(
        challengers.list(&named),
        gates.list(&all),
        deployments.list(&of_cycle),
        services.list(&all),
        slices.list(&of_cycle),
        routes.get_opt(&key.name),
    )?;
    Ok(Lists {
        challengers,
        gates,
        deployments,
        services,
        slices,
        route,
    })
}

pub(super) fn key_of(cycle: &PeninCycle) -> Result<CycleKey, ObserveError> {
    let namespace = cycle
        .namespace()
        .ok_or(ObserveError::Incomplete("the PeninCycle", "namespace"))?;
    let uid = cycle.uid().ok_or(ObserveError::Incomplete("the PeninCycle", "uid"))?;
    let owner = cycle
        .controller_owner_ref(&())
        .ok_or(ObserveError::Incomplete("the PeninCycle", "name"))?;
    Ok(CycleKey {
        home: Home {
            namespace: namespace.clone(),
            cycle: cycle.name_any(),
            owner,
        },
        name: cycle.name_any(),
        generation: cycle.metadata.generation.unwrap_or(0),
        created: cycle.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        namespace,
        uid,
    })
}

/// The book, and the digest of what it was read from.
async fn stored_book(ledger: &LedgerService, key: &CycleKey) -> (Result<Option<Book>, BookError>, Option<Digest>) {
    match ledger.state(&key.state_key()).await {
        Ok(None) => (Ok(None), None),
        Ok(Some(bytes)) => (Book::parse(&bytes).map(Some), Some(Digest::of(&bytes))),
        Err(problem) => (Err(BookError::Unreadable(problem)), None),
    }
}

pub(super) fn remembered(cycle: &PeninCycle) -> Remembered {
    let status = cycle.status.as_ref();
    Remembered {
        cycle: status
            .and_then(|status| status.cycle)
            .map(penin_api::values::UnsignedString::get),
        state_hash: status.and_then(|status| status.state_hash.clone()),
        champion: status.and_then(|status| Some(status.champion.as_ref()?.revision.clone())),
        origin: status.and_then(|status| status.ledger.as_ref()?.origin.clone()),
        wanted: status
            .and_then(|status| Some(status.challenger.as_ref()?.weight.wanted.get()))
            .unwrap_or(0),
        former: status.and_then(|status| {
            let mut revisions = status.revisions.iter();
            let former = revisions.find(|revision| revision.role == RevisionRole::Previous)?;
            Some(former.name.clone())
        }),
    }
}
