//! The controller of `Challenger`: only says when the cycle that a Challenger names does not exist. Everything else about
//! it is the cycle controller's business, so that one place writes traffic.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Api, ResourceExt as _};
use penin_api::conditions::{self, Activity, ConditionStatus, ConditionType, Finding, Reason};
use penin_api::names::{FIELD_MANAGER, FINALIZER_CHALLENGER};
use penin_api::v1alpha1::{Challenger, ChallengerPhase, ChallengerStatus, PeninCycle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::controllers::cycle::apply;

/// How often a Challenger without a cycle is looked at.
const RECHECK: Duration = Duration::from_secs(30);

/// Runs the controller until `stop`.
pub async fn run(shared: Arc<Shared>, namespace: Option<String>, stop: CancellationToken) {
    let client = shared.client.clone();
    let challengers: Api<Challenger> = match namespace.as_deref() {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    Controller::new(challengers, watcher::Config::default())
        .with_config(Config::default().debounce(Duration::from_millis(200)).concurrency(4))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shared)
        .for_each(|_| async {})
        .await;
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that Controller::run wants")]
fn on_error(challenger: Arc<Challenger>, error: &kube::Error, shared: Arc<Shared>) -> Action {
    let key = format!(
        "challenger/{}/{}",
        challenger.namespace().unwrap_or_default(),
        challenger.name_any()
    );
    tracing::warn!(%error, challenger = key, "A pass failed");
    Action::requeue(shared.backoff.failed(&key))
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that Controller::run wants")]
async fn reconcile(challenger: Arc<Challenger>, shared: Arc<Shared>) -> Result<Action, kube::Error> {
    if shared.claim.epoch().is_none() {
        return Ok(Action::requeue(Duration::from_secs(2)));
    }
    let started = shared.clock.monotonic();
    let result = pass(&challenger, &shared).await;
    let seconds = shared.clock.monotonic().duration_since(started).as_secs_f64();
    shared
        .metrics
        .pass("Challenger", if result.is_ok() { "ok" } else { "error" }, seconds);
    result
}

async fn pass(challenger: &Challenger, shared: &Shared) -> Result<Action, kube::Error> {
    let namespace = challenger.namespace().unwrap_or_default();
    let cycles: Api<PartialObjectMeta<PeninCycle>> = Api::namespaced(shared.client.clone(), &namespace);
    if cycles.get_opt(&challenger.spec.cycle_ref.name).await?.is_some() {
        return Ok(Action::await_change());
    }
    let api: Api<Challenger> = Api::namespaced(shared.client.clone(), &namespace);
    let name = challenger.name_any();
    if challenger.metadata.deletion_timestamp.is_some() {
        // Nobody else would let it go: its cycle, and with it every route, is gone.
        if challenger
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER_CHALLENGER)
        {
            apply::remove_finalizer(&api, &name, FINALIZER_CHALLENGER).await?;
        }
        return Ok(Action::await_change());
    }
    let before = challenger.status.clone().unwrap_or_default();
    if before.phase.is_some_and(ChallengerPhase::is_final) {
        return Ok(Action::await_change());
    }
    let after = without_cycle(&before, challenger, shared.clock.now());
    if after != before {
        let body = json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "Challenger",
            "metadata": {"name": name, "namespace": namespace}, "status": after,
        });
        api.patch_status(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(body))
            .await?;
    }
    Ok(Action::requeue(RECHECK))
}

fn without_cycle(before: &ChallengerStatus, challenger: &Challenger, now: jiff::Timestamp) -> ChallengerStatus {
    let mut status = before.clone();
    let generation = challenger.metadata.generation.unwrap_or(0);
    let message = format!(
        "spec.cycleRef.name: PeninCycle {} does not exist",
        challenger.spec.cycle_ref.name
    );
    status.observed_generation = Some(generation);
    status.phase = Some(ChallengerPhase::Pending);
    status.message.clone_from(&message);
    let finding = Finding::new(ConditionType::Accepted, false, Reason::CycleNotFound, &message);
    conditions::set(&mut status.conditions, finding, generation, now);
    conditions::set_summary(
        &mut status.conditions,
        ConditionStatus::False,
        Activity::Stalled,
        Reason::CycleNotFound,
        &message,
        generation,
        now,
    );
    status
}
