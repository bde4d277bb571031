//! Reading the world: every call bounded, everything live. Triggers come from watches; decisions never do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PodTemplateSpec, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use penin_api::conditions::Reason;
use penin_api::foreign::HttpRoute;
use penin_api::names::{
    ANNOTATION_ABORT, ANNOTATION_ABORT_ACTOR, ANNOTATION_RETRY, COMMAND_ID_MAX_LENGTH, FINALIZER_CHALLENGER,
    FINALIZER_CYCLE, LABEL_CYCLE, LABEL_REVISION,
};
use penin_api::v1alpha1::cycle::{RevisionRole, ServicePorts};
use penin_api::v1alpha1::{Challenger, PeninCycle, PromotionGate};

use super::book::Book;
use super::position::Position;
use super::selectors;
use super::settings::Settings;
use super::snapshot::{Candidate, CycleKey, DeploymentView, Remembered, RevisionView, Snapshot, Target, TargetProblem};
use super::status::VERB_ABORT;
use crate::adapters::traffic::{self, Split};
use crate::controllers::gate;
use crate::runtime::random;
use crate::services::ledger::LedgerService;
use crate::workload::{self, Home, Revision, Rollout};

/// Most objects of one kind that a pass reads. More than these are a sign of trouble, not of load.
const MOST: u32 = 500;
/// Most characters of a user's name that enter the ledger.
const ACTOR_MAX_LENGTH: usize = 253;

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
    let namespace = key.namespace.as_str();
    let of_cycle = ListParams::default()
        .labels(&format!("{LABEL_CYCLE}={}", workload::cycle_label(&key.name)))
        .limit(MOST);
    let all = ListParams::default().limit(MOST);
    let named = ListParams::default()
        .fields(&format!("spec.cycleRef.name={}", key.name))
        .limit(MOST);
    let challengers_api = Api::<Challenger>::namespaced(client.clone(), namespace);
    let gates_api = Api::<PromotionGate>::namespaced(client.clone(), namespace);
    let deployments_api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let services_api = Api::<Service>::namespaced(client.clone(), namespace);
    let slices_api = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let routes_api = Api::<HttpRoute>::namespaced(client.clone(), namespace);
    let (challengers, gates, deployments, services, slices, route) = tokio::try_join!(
        challengers_api.list(&named),
        gates_api.list(&all),
        deployments_api.list(&of_cycle),
        services_api.list(&all),
        slices_api.list(&of_cycle),
        routes_api.get_opt(&key.name),
    )?;
    let target_object = target_of(client, namespace, &cycle.spec.target_ref.name).await?;
    let settings = Settings::parse(&key.name, &cycle.spec);
    let target = target_object
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|object| resolve_target(object, &key, cycle));
    let book = stored_book(ledger, &key).await;
    let mut snapshot = Snapshot {
        deleting: cycle.meta().deletion_timestamp.is_some(),
        has_finalizer: cycle.finalizers().iter().any(|name| name == FINALIZER_CYCLE),
        ledger: ledger.view(),
        gates: gate::combine(cycle, &gates.items),
        candidates: candidates(&challengers.items, target_object.as_ref(), &key, cycle),
        revisions: revisions(
            &key,
            &cycle.spec.service,
            &deployments.items,
            &services.items,
            &slices.items,
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
        target,
        route,
        key,
    };
    let complete = services.metadata.continue_.as_deref().is_none_or(str::is_empty);
    snapshot.selector_conflict = selectors::conflict(&snapshot, &deployments.items, &services.items, complete);
    Box::pin(conflicts(client, cycle, &mut snapshot)).await?;
    Ok(snapshot)
}

/// Who else has a claim on the target or on our requests. It decides about adoption only; afterwards ours is the older one.
async fn conflicts(client: &Client, cycle: &PeninCycle, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
    let (Ok(settings), Ok(None), Ok(target)) = (&snapshot.settings, &snapshot.book, &snapshot.target) else {
        return Ok(());
    };
    let all = ListParams::default().limit(MOST);
    let cycles = Api::<PeninCycle>::namespaced(client.clone(), &snapshot.key.namespace);
    let routes = Api::<HttpRoute>::namespaced(client.clone(), &snapshot.key.namespace);
    let rival = rival(cycle, &cycles.list(&all).await?.items);
    let others = other_routes(client, &routes, &all).await?;
    let intent = super::route::intent(snapshot, settings, &target.revision.name, &Split::ChampionOnly);
    snapshot.conflict = traffic::conflicts(&intent, snapshot.route.as_ref(), &others);
    snapshot.rival = rival;
    Ok(())
}

/// Another cycle of the namespace that manages the same target: one that has adopted it, else one that is older. Traffic
/// that is served stays where it is, so an adopted one wins whatever its age.
pub(super) fn rival(cycle: &PeninCycle, all: &[PeninCycle]) -> Option<String> {
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

/// The target as the API server's own JSON, so that a field that this program does not know is noticed.
async fn target_of(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Result<Deployment, TargetProblem>, ObserveError> {
    let request = kube::core::Request::new(Deployment::url_path(&(), Some(namespace)))
        .get(name, &kube::api::GetParams::default())
        .map_err(|error| ObserveError::from(kube::Error::BuildRequest(error)))?;
    match client.request::<serde_json::Value>(request).await {
        Ok(raw) => Ok(workload::parse_target(raw).map_err(|error| unfit(&error))),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Err(missing_target(name))),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn missing_target(name: &str) -> TargetProblem {
    TargetProblem {
        reason: Reason::TargetNotFound,
        message: format!("spec.targetRef.name: Deployment {name} does not exist"),
    }
}

fn unfit(error: &workload::TemplateError) -> TargetProblem {
    TargetProblem {
        reason: Reason::TargetInvalid,
        message: error.to_string(),
    }
}

pub(super) fn resolve_target(object: &Deployment, key: &CycleKey, cycle: &PeninCycle) -> Result<Target, TargetProblem> {
    let revision = workload::resolve(object, &key.name, &[]).map_err(|error| unfit(&error))?;
    Ok(Target {
        revision,
        rollout: Rollout::new(object, cycle.spec.revisions.progress_deadline.to_std()),
    })
}

async fn stored_book(ledger: &LedgerService, key: &CycleKey) -> Result<Option<Book>, super::book::BookError> {
    match ledger.state(&key.state_key()).await {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => Book::parse(&bytes).map(Some),
        Err(problem) => Err(super::book::BookError::Unreadable(problem)),
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

pub(super) fn candidates(
    challengers: &[Challenger],
    target: Result<&Deployment, &TargetProblem>,
    key: &CycleKey,
    cycle: &PeninCycle,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = challengers
        .iter()
        .filter_map(|challenger| candidate(challenger, target, key, cycle))
        .collect();
    candidates.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    candidates
}

/// The id by which another try is asked for, as far as a status can hold it.
fn retry_of(challenger: &Challenger) -> Option<String> {
    let id = challenger.annotations().get(ANNOTATION_RETRY)?;
    let id: String = id.chars().take(COMMAND_ID_MAX_LENGTH).collect();
    (!id.is_empty()).then_some(id)
}

fn candidate(
    challenger: &Challenger,
    target: Result<&Deployment, &TargetProblem>,
    key: &CycleKey,
    cycle: &PeninCycle,
) -> Option<Candidate> {
    let status = challenger.status.clone().unwrap_or_default();
    let revision: Result<Revision, String> = target.map_err(|problem| problem.message.clone()).and_then(|target| {
        workload::resolve(target, &key.name, &challenger.spec.containers).map_err(|error| error.to_string())
    });
    let acknowledged = |last: Option<&penin_api::v1alpha1::cycle::CommandAcknowledgement>, id: &str| {
        // The status holds no more of an id than this.
        let same = |known: &str| known.chars().eq(id.chars().take(COMMAND_ID_MAX_LENGTH));
        last.is_some_and(|command| command.verb == VERB_ABORT && same(&command.id))
    };
    let own = challenger
        .annotations()
        .get(ANNOTATION_ABORT)
        .filter(|id| !acknowledged(status.last_command.as_ref(), id));
    let cycles = cycle.annotations().get(ANNOTATION_ABORT).filter(|id| {
        !acknowledged(
            cycle.status.as_ref().and_then(|status| status.last_command.as_ref()),
            id,
        )
    });
    // Whoever asks on the Challenger itself comes first; without any command there is nobody to name.
    let asked_on = own
        .map(|_| challenger.annotations())
        .or(cycles.map(|_| cycle.annotations()));
    let actor = asked_on.and_then(|annotations| annotations.get(ANNOTATION_ABORT_ACTOR));
    let position = status.position.as_ref();
    Some(Candidate {
        name: challenger.name_any(),
        uid: challenger.uid()?,
        generation: challenger.metadata.generation.unwrap_or(0),
        created: challenger
            .creation_timestamp()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleting: challenger.meta().deletion_timestamp.is_some(),
        has_finalizer: challenger.finalizers().iter().any(|name| name == FINALIZER_CHALLENGER),
        phase: status.phase,
        pending_withdrawal: position.and_then(|position| position.outcome),
        abort: own.cloned(),
        cycle_abort: cycles.cloned(),
        retry: retry_of(challenger),
        abort_actor: actor.map(|actor| actor.chars().take(ACTOR_MAX_LENGTH).collect()),
        proposal: challenger.spec.proposal.clone(),
        revision,
        position: position
            .map(|position| Position::from_api(&position.timers))
            .unwrap_or_default(),
        status,
    })
}

pub(super) fn revisions(
    key: &CycleKey,
    ports: &ServicePorts,
    deployments: &[Deployment],
    services: &[Service],
    slices: &[EndpointSlice],
) -> BTreeMap<String, RevisionView> {
    let mut views: BTreeMap<String, RevisionView> = BTreeMap::new();
    for deployment in deployments {
        views.entry(deployment.name_any()).or_default().deployment = Some(view_of(key, deployment));
    }
    for service in services
        .iter()
        .filter(|service| is_ours(key, service.owner_references()))
    {
        views.entry(service.name_any()).or_default().service_uid = service.uid();
    }
    for service in services {
        if let Some(view) = views.get_mut(&service.name_any())
            && workload::left_service(service, &key.name, ports)
        {
            view.left_service_uid = service.uid();
        }
    }
    for (name, view) in &mut views {
        view.ready_endpoints = workload::ready_endpoints(slices.iter().filter(|slice| {
            slice
                .labels()
                .get("kubernetes.io/service-name")
                .is_some_and(|service| service == name)
                && slice
                    .labels()
                    .get(LABEL_REVISION)
                    .is_none_or(|revision| revision == name)
        }));
    }
    views
}

fn view_of(key: &CycleKey, deployment: &Deployment) -> DeploymentView {
    let spec = deployment.spec.as_ref();
    let name = deployment.name_any();
    let conditions = deployment
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default();
    let problem = conditions
        .iter()
        .find(|condition| {
            (condition.type_ == "Progressing" && condition.status == "False")
                || (condition.type_ == "ReplicaFailure" && condition.status == "True")
        })
        .and_then(|condition| condition.message.clone());
    DeploymentView {
        uid: deployment.uid().unwrap_or_default(),
        replicas: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        created: deployment
            .creation_timestamp()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        ours: is_ours(key, deployment.owner_references()),
        left: workload::is_left_behind(&deployment.metadata, &key.name),
        digest: spec
            .and_then(|spec| workload::live_digest(&spec.template, &name).ok())
            .map(|digest| digest.to_string()),
        problem,
        limits: spec
            .map(|spec| (limit(&spec.template, "cpu"), limit(&spec.template, "memory")))
            .unwrap_or_default(),
        requests: spec.and_then(|spec| workload::pod_requests(&spec.template)),
    }
}

/// Limit of one pod; none when a container has none.
fn limit(template: &PodTemplateSpec, resource: &str) -> Option<f64> {
    let containers = &template.spec.as_ref()?.containers;
    containers
        .iter()
        .map(|container| workload::quantity_value(container.resources.as_ref()?.limits.as_ref()?.get(resource)?).ok())
        .sum()
}

fn is_ours(key: &CycleKey, owners: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]) -> bool {
    owners.iter().any(|owner| owner.uid == key.uid)
}
