//! Carrying out a plan: at most one append or one write, each guarded, each bounded in time.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource};
use penin_api::foreign::HttpRoute;
use penin_api::names::{FIELD_MANAGER, FINALIZER_CHALLENGER, FINALIZER_CYCLE};
use penin_api::v1alpha1::{Challenger, PeninCycle};
use penin_ledger::AppendError as LedgerAppendError;
use serde_json::json;

use super::plan::{Action, Plan, Record, ReleasedKind, Write};
use super::snapshot::{CycleKey, Snapshot};
use crate::adapters::traffic::{self, LeaderEpoch, WriteError};
use crate::runtime::lease::ClaimReader;
use crate::services::ledger::{AppendError, LedgerService};

/// How long a withdrawal waits for its entry before it goes on without it.
const WITHDRAWAL_PATIENCE: Duration = Duration::from_secs(2);
/// How long any other entry is waited for. The append goes on; a later pass finds it in the book.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// The entry is durable and anchored.
    Recorded {
        /// Its number in the ledger.
        sequence: u64,
    },
    /// The ledger could not take a withdrawal; it is queued, and the withdrawal goes on.
    Queued {
        /// Why it was queued.
        why: String,
    },
    /// The ledger could not take the entry; nothing follows from it.
    NotRecorded {
        /// Why not.
        why: String,
    },
    /// The ledger takes this entry at no time, as it is. Nothing follows from it, but a withdrawal goes on without it.
    Refused {
        /// What is wrong with it.
        why: String,
    },
    /// The object was written.
    Written,
    /// Somebody else wrote first; the next pass reads again.
    Conflict,
    /// This process no longer leads; nothing was written.
    NotLeader,
}

/// What applying needs.
pub struct Hands<'a> {
    /// Client with timeouts.
    pub client: &'a Client,
    /// The ledger.
    pub ledger: &'a LedgerService,
    /// Whether this process leads, and its epoch.
    pub claim: &'a ClaimReader,
    /// The time of the pass; entries carry it.
    pub now: Timestamp,
}

/// Carries the plan out.
///
/// # Errors
/// What the API server refused, other than conflicts; the caller retries with backoff.
pub async fn apply(hands: &Hands<'_>, snapshot: &Snapshot, plan: &Plan) -> Result<Outcome, WriteError> {
    let Some(epoch) = hands.claim.epoch() else {
        return Ok(Outcome::NotLeader);
    };
    match &plan.action {
        Action::None | Action::Measure(_) => Ok(Outcome::Nothing),
        Action::Record(record) => Ok(append(hands, snapshot, record).await),
        Action::Write(change) => match write(hands.client, &snapshot.key, change, epoch).await {
            Ok(()) => Ok(Outcome::Written),
            Err(WriteError::Conflict) => Ok(Outcome::Conflict),
            Err(WriteError::Fenced { .. }) => Ok(Outcome::NotLeader),
            Err(error) => Err(error),
        },
    }
}

async fn append(hands: &Hands<'_>, snapshot: &Snapshot, record: &Record) -> Outcome {
    let draft = match record.complete(&snapshot.key.state_key(), snapshot.book_digest) {
        Ok(draft) => draft,
        Err(error) => return Outcome::NotRecorded { why: error.to_string() },
    };
    let patience = if record.withdrawal.is_some() {
        WITHDRAWAL_PATIENCE
    } else {
        PATIENCE
    };
    match hands.ledger.append(draft.clone(), patience).await {
        Ok(receipt) => Outcome::Recorded {
            sequence: receipt.sequence,
        },
        // An entry whose answer came too late for an earlier pass: the next one decides on what it left.
        Err(AppendError::Refused(LedgerAppendError::StateMoved { .. })) => Outcome::Conflict,
        // Waiting does not help, and neither does queuing: the queue asks the same of its drafts.
        Err(AppendError::Refused(LedgerAppendError::Invalid(error))) => Outcome::Refused { why: error.to_string() },
        // The entry was accepted and may still become durable: queuing it as well could record it twice.
        Err(error @ AppendError::Timeout) => match record.withdrawal {
            Some(_) => Outcome::Queued { why: error.to_string() },
            None => Outcome::NotRecorded { why: error.to_string() },
        },
        Err(error) if record.withdrawal.is_some() => {
            hands.ledger.queue_withdrawal(draft);
            Outcome::Queued { why: error.to_string() }
        }
        Err(error) => Outcome::NotRecorded { why: error.to_string() },
    }
}

async fn write(client: &Client, key: &CycleKey, change: &Write, epoch: u64) -> Result<(), WriteError> {
    if let Write::Route { desired, current, .. } = change {
        return traffic::write(client, current.as_ref(), desired, LeaderEpoch::Claimed(epoch))
            .await
            .map(drop);
    }
    match write_object(client, key, change).await {
        Ok(()) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Err(WriteError::Conflict)
        }
        // What is gone needs no change; the next pass sees it.
        Err(kube::Error::Api(status)) if status.is_not_found() => Err(WriteError::Conflict),
        Err(error) => Err(WriteError::Api(Box::new(error))),
    }
}

async fn write_object(client: &Client, key: &CycleKey, change: &Write) -> Result<(), kube::Error> {
    let (namespace, cycle) = (key.namespace.as_str(), key.name.as_str());
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let cycles: Api<PeninCycle> = Api::namespaced(client.clone(), namespace);
    let challengers: Api<Challenger> = Api::namespaced(client.clone(), namespace);
    let create = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    match change {
        Write::CreateDeployment(deployment) => deployments.create(&create, deployment).await.map(drop),
        Write::CreateService(service) => services.create(&create, service).await.map(drop),
        Write::ScaleDeployment { name, replicas } => {
            let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
            deployments.patch(name, &patch_params(), &patch).await.map(drop)
        }
        Write::DeleteDeployment { name, uid } => deployments.delete(name, &exactly(uid)).await.map(drop),
        Write::DeleteService { name, uid } => services.delete(name, &exactly(uid)).await.map(drop),
        Write::Release { kind, name, owner_uid } => match kind {
            ReleasedKind::Route => {
                release(
                    &Api::<HttpRoute>::namespaced(client.clone(), namespace),
                    name,
                    owner_uid,
                )
                .await
            }
            ReleasedKind::Service => release(&services, name, owner_uid).await,
            ReleasedKind::Deployment => release(&deployments, name, owner_uid).await,
        },
        Write::Claim { kind, name, uid } => {
            let owner = &key.home.owner;
            match kind {
                ReleasedKind::Route => {
                    let routes = Api::<HttpRoute>::namespaced(client.clone(), namespace);
                    claim(&routes, name, uid, owner).await
                }
                ReleasedKind::Service => claim(&services, name, uid, owner).await,
                ReleasedKind::Deployment => claim(&deployments, name, uid, owner).await,
            }
        }
        Write::AddCycleFinalizer => add_finalizer(&cycles, cycle, FINALIZER_CYCLE).await,
        Write::RemoveCycleFinalizer => remove_finalizer(&cycles, cycle, FINALIZER_CYCLE).await,
        Write::AddChallengerFinalizer { name } => add_finalizer(&challengers, name, FINALIZER_CHALLENGER).await,
        Write::RemoveChallengerFinalizer { name } => remove_finalizer(&challengers, name, FINALIZER_CHALLENGER).await,
        // Written by the traffic adapter, with its own guards.
        Write::Route { .. } => Ok(()),
    }
}

fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn exactly(uid: &str) -> DeleteParams {
    let preconditions = Preconditions {
        uid: Some(uid.to_owned()),
        ..Preconditions::default()
    };
    DeleteParams {
        preconditions: Some(preconditions),
        ..DeleteParams::background()
    }
}

/// Sets the finalizers of an object, on the version that was read.
async fn set_finalizers<K>(api: &Api<K>, name: &str, change: impl FnOnce(&mut Vec<String>)) -> Result<(), kube::Error>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let mut meta = api.get_metadata(name).await?.metadata;
    let before = meta.finalizers.take().unwrap_or_default();
    let mut after = before.clone();
    change(&mut after);
    if after == before {
        return Ok(());
    }
    let patch = json!({"metadata": {"finalizers": after, "resourceVersion": meta.resource_version}});
    api.patch_metadata(name, &patch_params(), &Patch::Merge(patch))
        .await
        .map(drop)
}

/// Adds a finalizer.
///
/// # Errors
/// What the API server answers.
pub async fn add_finalizer<K>(api: &Api<K>, name: &str, finalizer: &str) -> Result<(), kube::Error>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let add = |finalizers: &mut Vec<String>| {
        if !finalizers.iter().any(|known| known == finalizer) {
            finalizers.push(finalizer.to_owned());
        }
    };
    set_finalizers(api, name, add).await
}

/// Removes a finalizer.
///
/// # Errors
/// What the API server answers.
pub async fn remove_finalizer<K>(api: &Api<K>, name: &str, finalizer: &str) -> Result<(), kube::Error>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    set_finalizers(api, name, |finalizers| finalizers.retain(|known| known != finalizer)).await
}

/// Makes an object that belongs to nobody ours, on the version that was read.
async fn claim<K>(api: &Api<K>, name: &str, uid: &str, owner: &OwnerReference) -> Result<(), kube::Error>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let meta = api.get_metadata(name).await?.metadata;
    if meta.owner_references.as_ref().is_some_and(|owners| !owners.is_empty()) {
        // Somebody was faster; the next pass sees who.
        return Ok(());
    }
    let patch = json!({"metadata": {
        "ownerReferences": [owner], "uid": uid, "resourceVersion": meta.resource_version,
    }});
    api.patch_metadata(name, &patch_params(), &Patch::Merge(patch))
        .await
        .map(drop)
}

/// Drops the references of one owner.
async fn release<K>(api: &Api<K>, name: &str, owner_uid: &str) -> Result<(), kube::Error>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let meta = api.get_metadata(name).await?.metadata;
    let owners: Vec<_> = meta
        .owner_references
        .unwrap_or_default()
        .into_iter()
        .filter(|owner| owner.uid != owner_uid)
        .collect();
    let patch = json!({"metadata": {"ownerReferences": owners, "resourceVersion": meta.resource_version}});
    api.patch_metadata(name, &patch_params(), &Patch::Merge(patch))
        .await
        .map(drop)
}
