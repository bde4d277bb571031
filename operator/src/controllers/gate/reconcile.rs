//! Streams and passes of the gate controller: whether a gate can be used, why not, and by whom it is used.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use penin_api::conditions::{self, Activity, ConditionStatus, ConditionType, Finding, Reason};
use penin_api::names::FIELD_MANAGER;
use penin_api::v1alpha1::{NameRef, PeninCycle, PromotionGate, PromotionGateStatus};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::decide::{self, MOST_USERS};
use crate::controllers::Shared;

/// How often a gate is looked at without an event.
const SAFETY_RECHECK: Duration = Duration::from_mins(10);

/// Runs the controller until `stop`.
pub async fn run(shared: Arc<Shared>, namespace: Option<String>, stop: CancellationToken) {
    let client = shared.client.clone();
    let gates: Api<PromotionGate> = match namespace.as_deref() {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    Controller::new(gates, watcher::Config::default())
        .with_config(Config::default().debounce(Duration::from_millis(200)).concurrency(4))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shared)
        .for_each(|_| async {})
        .await;
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that Controller::run wants")]
fn on_error(gate: Arc<PromotionGate>, error: &kube::Error, shared: Arc<Shared>) -> Action {
    let key = format!("gate/{}/{}", gate.namespace().unwrap_or_default(), gate.name_any());
    let pause = shared.backoff.failed(&key);
    tracing::warn!(%error, gate = key, "A pass failed");
    Action::requeue(pause)
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that Controller::run wants")]
async fn reconcile(gate: Arc<PromotionGate>, shared: Arc<Shared>) -> Result<Action, kube::Error> {
    if shared.claim.epoch().is_none() {
        return Ok(Action::requeue(Duration::from_secs(2)));
    }
    let started = shared.clock.monotonic();
    let result = pass(&gate, &shared).await;
    let seconds = shared.clock.monotonic().duration_since(started).as_secs_f64();
    shared
        .metrics
        .pass("PromotionGate", if result.is_ok() { "ok" } else { "error" }, seconds);
    result.map(|()| Action::requeue(SAFETY_RECHECK))
}

async fn pass(gate: &PromotionGate, shared: &Shared) -> Result<(), kube::Error> {
    let namespace = gate.namespace().unwrap_or_default();
    let cycles: Api<PeninCycle> = Api::namespaced(shared.client.clone(), &namespace);
    let cycles = cycles.list(&ListParams::default().limit(500)).await?;
    let before = gate.status.clone().unwrap_or_default();
    let after = status(&before, gate, &cycles.items, shared.clock.now());
    if after == before {
        return Ok(());
    }
    let api: Api<PromotionGate> = Api::namespaced(shared.client.clone(), &namespace);
    let body = json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "PromotionGate",
        "metadata": {"name": gate.name_any(), "namespace": namespace}, "status": after,
    });
    api.patch_status(
        &gate.name_any(),
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(body),
    )
    .await?;
    Ok(())
}

fn status(
    before: &PromotionGateStatus,
    gate: &PromotionGate,
    cycles: &[PeninCycle],
    now: jiff::Timestamp,
) -> PromotionGateStatus {
    let mut status = before.clone();
    let generation = gate.metadata.generation.unwrap_or(0);
    status.observed_generation = Some(generation);
    let mut users: Vec<String> = cycles
        .iter()
        .filter(|cycle| decide::binds(gate, cycle))
        .map(ResourceExt::name_any)
        .collect();
    users.sort();
    users.truncate(MOST_USERS);
    status.used_by = users.into_iter().map(|name| NameRef { name }).collect();
    let (accepted, reason, message) = match decide::accepted(gate) {
        Ok(()) => (true, Reason::Accepted, "The gate can be used".to_owned()),
        Err(problem) => (false, Reason::InvalidSpec, problem),
    };
    let finding = Finding::new(ConditionType::Accepted, accepted, reason, &message);
    conditions::set(&mut status.conditions, finding, generation, now);
    let activity = if accepted { Activity::Settled } else { Activity::Stalled };
    let ready = ConditionStatus::from(accepted);
    conditions::set_summary(
        &mut status.conditions,
        ready,
        activity,
        reason,
        &message,
        generation,
        now,
    );
    status
}
