//! Streams and passes of the cycle controller.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action as Requeue, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Predicate as _, WatchStreamExt as _, predicates, watcher};
use kube::{Api, Resource, ResourceExt as _};
use penin_api::foreign::HttpRoute;
use penin_api::names::{FIELD_MANAGER, LABEL_CYCLE};
use penin_api::v1alpha1::{Challenger, PeninCycle, PromotionGate};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::apply::{self, Hands, Outcome};
use super::book::{Grant, Life};
use super::observe::{self, ObserveError};
use super::plan::{Action, Plan, Write};
use super::position::Position;
use super::snapshot::Snapshot;
use super::{decide, status};
use crate::adapters::traffic::WriteError;
use crate::controllers::Shared;
use crate::runtime::events::Notice;
use crate::runtime::metrics::Scores;

/// Longest time of one pass.
const PASS: Duration = Duration::from_mins(1);
/// Changes that arrive within this time are one pass.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// Passes under way at once.
const CONCURRENT: u16 = 8;

/// A pass failed; the next one starts anew.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The world could not be read.
    #[error("reading failed: {0}")]
    Observe(#[from] ObserveError),
    /// The plan could not be carried out.
    #[error("writing failed: {0}")]
    Apply(#[source] WriteError),
    /// The status could not be written.
    #[error("writing the status failed: {0}")]
    Status(#[source] Box<kube::Error>),
    /// It took too long.
    #[error("the pass took longer than {PASS:?}")]
    TooLong,
}

/// Runs the controller until `stop`, in one namespace or in all.
pub async fn run(shared: Arc<Shared>, namespace: Option<String>, stop: CancellationToken) {
    let client = shared.client.clone();
    let cycles: Api<PeninCycle> = scoped(&client, namespace.as_deref());
    let labelled = watcher::Config::default().labels(LABEL_CYCLE);
    let (reader, writer) = kube::runtime::reflector::store();
    let changed = predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers);
    let stream = watcher(cycles, watcher::Config::default())
        .default_backoff()
        .modify(|cycle| cycle.managed_fields_mut().clear())
        .reflect(writer)
        .applied_objects()
        .predicate_filter(changed, kube::runtime::PredicateConfig::default());
    // Not its status: that is ours, and every pass of a stage writes it.
    let changed = predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers);
    let challengers = watcher(
        scoped::<Challenger>(&client, namespace.as_deref()),
        watcher::Config::default(),
    )
    .default_backoff()
    .modify(|challenger| challenger.managed_fields_mut().clear())
    .touched_objects()
    .predicate_filter(changed, kube::runtime::PredicateConfig::default());
    let of_gate = cycles_of_gates(reader.clone());
    Controller::for_stream(stream, reader)
        .with_config(Config::default().debounce(DEBOUNCE).concurrency(CONCURRENT))
        .watches_stream(challengers, |challenger| cycle_of_challenger(&challenger))
        .watches(
            scoped::<PartialObjectMeta<PromotionGate>>(&client, namespace.as_deref()),
            watcher::Config::default(),
            of_gate,
        )
        .owns(
            scoped::<PartialObjectMeta<Deployment>>(&client, namespace.as_deref()),
            labelled.clone(),
        )
        .owns(
            scoped::<PartialObjectMeta<HttpRoute>>(&client, namespace.as_deref()),
            labelled.clone(),
        )
        .watches(
            scoped::<PartialObjectMeta<EndpointSlice>>(&client, namespace.as_deref()),
            labelled,
            |slice| cycle_of_slice(&slice),
        )
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shared)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "A pass ended with an error");
            }
        })
        .await;
}

fn cycle_of_challenger(challenger: &Challenger) -> Option<ObjectRef<PeninCycle>> {
    let namespace = challenger.namespace()?;
    Some(ObjectRef::new(&challenger.spec.cycle_ref.name).within(&namespace))
}

fn cycle_of_slice(slice: &PartialObjectMeta<EndpointSlice>) -> Option<ObjectRef<PeninCycle>> {
    let namespace = slice.namespace()?;
    Some(ObjectRef::new(slice.labels().get(LABEL_CYCLE)?).within(&namespace))
}

/// Every cycle of a gate's namespace: which of them name it is for them to find out.
fn cycles_of_gates(
    cycles: Store<PeninCycle>,
) -> impl Fn(PartialObjectMeta<PromotionGate>) -> Vec<ObjectRef<PeninCycle>> {
    move |gate| {
        let here = gate.namespace();
        let cycles = cycles.state();
        let cycles = cycles.iter().filter(|cycle| cycle.namespace() == here);
        cycles.map(|cycle| ObjectRef::from_obj(cycle.as_ref())).collect()
    }
}

fn scoped<K>(client: &kube::Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that Controller::run wants")]
async fn reconcile(cycle: Arc<PeninCycle>, shared: Arc<Shared>) -> Result<Requeue, PassError> {
    let key = key(&cycle);
    let started = shared.clock.monotonic();
    let result = tokio::time::timeout(PASS, Box::pin(pass(&cycle, &shared)))
        .await
        .unwrap_or(Err(PassError::TooLong));
    let seconds = shared.clock.monotonic().duration_since(started).as_secs_f64();
    let label = match &result {
        Ok((_, Outcome::Conflict)) => "conflict",
        Ok((_, Outcome::NotLeader)) => "not_leader",
        Ok(_) => "ok",
        Err(_) => "error",
    };
    shared.metrics.pass("PeninCycle", label, seconds);
    let (requeue, _) = result?;
    shared.backoff.reset(&key);
    Ok(requeue)
}

#[allow(clippy::needless_pass_by_value, reason = "the signature that Controller::run wants")]
fn on_error(cycle: Arc<PeninCycle>, error: &PassError, shared: Arc<Shared>) -> Requeue {
    let pause = shared.backoff.failed(&key(&cycle));
    tracing::warn!(%error, cycle = key(&cycle), pause_ms = pause.as_millis(), "A pass failed");
    Requeue::requeue(pause)
}

fn key(cycle: &PeninCycle) -> String {
    format!("{}/{}", cycle.namespace().unwrap_or_default(), cycle.name_any())
}

/// One pass: read, decide, do at most one thing, say so.
async fn pass(cached: &PeninCycle, shared: &Shared) -> Result<(Requeue, Outcome), PassError> {
    if shared.claim.epoch().is_none() {
        return Ok((Requeue::requeue(Duration::from_secs(2)), Outcome::NotLeader));
    }
    let namespace = cached.namespace().unwrap_or_default();
    let api: Api<PeninCycle> = Api::namespaced(shared.client.clone(), &namespace);
    let read = api.get_opt(&cached.name_any()).await.map_err(ObserveError::from)?;
    let Some(cycle) = read.filter(|cycle| cycle.uid() == cached.uid()) else {
        shared.metrics.forget(&namespace, &cached.name_any());
        return Ok((Requeue::await_change(), Outcome::Nothing));
    };
    let mut snapshot = observe::observe(&shared.client, &shared.ledger, &cycle).await?;
    let now = shared.clock.now();
    let position = remembered_position(&snapshot, &cycle);
    let started = shared.clock.monotonic();
    let mut plan = decide::decide(&snapshot, position.clone(), now);
    if let Action::Measure(measure) = &plan.action {
        let evidence = Box::pin(shared.evidence.measure(&snapshot, &cycle, measure)).await;
        shared
            .metrics
            .evidence_read(evidence.candidate.traffic.known().is_some());
        snapshot.evidence = Some(evidence);
        plan = decide::decide(&snapshot, position, now);
    }
    let hands = Hands {
        client: &shared.client,
        ledger: &shared.ledger,
        claim: &shared.claim,
        now,
    };
    let outcome = apply::apply(&hands, &snapshot, &plan).await.map_err(PassError::Apply)?;
    report(shared, &snapshot, &plan, &outcome, started);
    let gone = matches!(&plan.action, Action::Write(write) if **write == Write::RemoveCycleFinalizer);
    if !gone && outcome != Outcome::NotLeader {
        publish(shared, &cycle, &snapshot, &plan, &outcome, now).await?;
    }
    Ok((requeue(&plan, &outcome), outcome))
}

/// Timers of the life under way, else of the cycle itself.
pub(super) fn remembered_position(snapshot: &Snapshot, cycle: &PeninCycle) -> Position {
    let lives = matches!(&snapshot.book, Ok(Some(book)) if book.life.is_some());
    if lives {
        return snapshot
            .living()
            .map(|candidate| candidate.position.clone())
            .unwrap_or_default();
    }
    let timers = cycle.status.as_ref().and_then(|status| status.timers.as_ref());
    timers.map(Position::from_api).unwrap_or_default()
}

fn requeue(plan: &Plan, outcome: &Outcome) -> Requeue {
    let pause = match outcome {
        // What was just written or recorded is read back at once.
        Outcome::Written | Outcome::Recorded { .. } | Outcome::Queued { .. } => Duration::from_millis(20),
        Outcome::Conflict => Duration::from_millis(50),
        Outcome::NotRecorded { .. } => Duration::from_secs(2),
        // Soon, for a withdrawal goes on without its entry; not at once, for the same entry is tried again.
        Outcome::Refused { .. } => Duration::from_millis(500),
        Outcome::NotLeader => Duration::from_secs(5),
        Outcome::Nothing => plan.recheck.max(Duration::from_millis(10)),
    };
    Requeue::requeue(pause)
}

/// Logs, metrics and events of a pass.
fn report(shared: &Shared, snapshot: &Snapshot, plan: &Plan, outcome: &Outcome, started: std::time::Instant) {
    let key = &snapshot.key;
    let life = snapshot
        .book
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .and_then(|book| book.life.as_ref());
    let trace_id = super::records::trace_id(life.map_or(&key.uid, |life| &life.challenger.uid));
    let acted = !matches!(plan.action, Action::None | Action::Measure(_));
    if acted {
        tracing::info!(
            trace_id, cycle = key.path(), step = ?plan.step, reason = plan.reason.as_str(), outcome = ?outcome,
            message = plan.message
        );
    } else {
        tracing::debug!(trace_id, cycle = key.path(), step = ?plan.step, message = plan.message);
    }
    if let Some(judged) = &plan.judged {
        let seconds = shared.clock.monotonic().duration_since(started).as_secs_f64();
        shared.metrics.judgement_took(seconds);
        if let Some(result) = &judged.outcome {
            let scores = &result.scores;
            let values = [
                scores.alpha,
                scores.delta_linf,
                scores.caos_plus,
                scores.sr_harmonic,
                scores.coherence,
                scores.oci,
                scores.linf,
                scores.cpu,
                scores.mem,
            ];
            let failed = judged.failed_gates();
            shared
                .metrics
                .judged(&key.namespace, &key.name, result.decision, failed, Scores { values });
        }
    }
    let share = plan.judged.as_ref().and_then(super::judged::Judged::share_ratio);
    shared
        .metrics
        .traffic(&key.namespace, &key.name, granted_weight(life), share);
    if acted && *outcome != Outcome::Conflict && *outcome != Outcome::NotLeader {
        shared.notifier.tell(notice(snapshot, plan));
    }
}

/// The live weight that a life is granted, in per cent.
fn granted_weight(life: Option<&Life>) -> f64 {
    life.map_or(0.0, |life| match &life.grant {
        Grant::Step { weight, .. } => f64::from(*weight),
        Grant::Promotion | Grant::Settled => 100.0,
        Grant::Shadow | Grant::Withdrawn { .. } => 0.0,
    })
}

fn notice(snapshot: &Snapshot, plan: &Plan) -> Notice {
    let key = &snapshot.key;
    let repaired = match &plan.action {
        Action::Write(write) => match &**write {
            Write::Route { repaired, .. } => repaired.clone(),
            _ => None,
        },
        _ => None,
    };
    let withdrawn = matches!(&plan.action, Action::Record(record) if record.withdrawal.is_some());
    // An entry that says what it is about says it better than the plan, which may be waiting for something else.
    let said = match &plan.action {
        Action::Record(record) => record.draft.body.get("message").and_then(serde_json::Value::as_str),
        _ => None,
    };
    Notice {
        about: ObjectReference {
            api_version: Some("penin.ai/v1alpha1".to_owned()),
            kind: Some("PeninCycle".to_owned()),
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: Some(key.uid.clone()),
            ..ObjectReference::default()
        },
        warning: repaired.is_some() || withdrawn,
        reason: plan.reason.as_str().to_owned(),
        action: format!("{:?}", plan.step),
        note: match repaired {
            Some(what) => format!("The route was changed by somebody else ({what}) and is set back"),
            None => said.unwrap_or(&plan.message).to_owned(),
        },
    }
}

/// Writes the statuses that changed, and only those.
async fn publish(
    shared: &Shared,
    cycle: &PeninCycle,
    snapshot: &Snapshot,
    plan: &Plan,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), PassError> {
    let seen = status::Seen {
        snapshot,
        plan,
        outcome,
        head: shared.ledger.head(),
        now,
    };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let namespace = &snapshot.key.namespace;
    let challengers: Api<Challenger> = Api::namespaced(shared.client.clone(), namespace);
    for (name, status) in status::challengers(&seen) {
        let body = json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "Challenger",
            "metadata": {"name": name, "namespace": namespace}, "status": status,
        });
        ignore_gone(challengers.patch_status(&name, &params, &Patch::Apply(body)).await)?;
    }
    let before = cycle.status.clone().unwrap_or_default();
    let after = status::cycle(&before, &seen);
    if after != before {
        let api: Api<PeninCycle> = Api::namespaced(shared.client.clone(), namespace);
        let body = json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle",
            "metadata": {"name": snapshot.key.name, "namespace": namespace}, "status": after,
        });
        ignore_gone(api.patch_status(&snapshot.key.name, &params, &Patch::Apply(body)).await)?;
    }
    Ok(())
}

/// An object that was deleted meanwhile needs no status.
fn ignore_gone<K>(result: Result<K, kube::Error>) -> Result<(), PassError> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(PassError::Status(Box::new(error))),
    }
}
