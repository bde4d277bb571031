//! A world that one cycle's controller acts on: API objects, pods, a gateway, a ledger, a source of evidence, a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource as _, ResourceExt as _};
use penin_api::foreign::HttpRoute;
use penin_api::names::{ANNOTATION_ABORT, FINALIZER_CHALLENGER, FINALIZER_CYCLE};
use penin_api::v1alpha1::{Challenger, ChallengerPhase, PeninCycle, PromotionGate};
use penin_ledger::entry::{Draft, Kind};
use serde_json::{Value, json};

use super::evidence::{self, DataPlane, Segment, Source};
use super::objects;
use crate::adapters::traffic::{self, Split};
use crate::controllers::cycle::apply::Outcome;
use crate::controllers::cycle::book::{Book, BookError, Grant};
use crate::controllers::cycle::plan::{Action, Measure, Plan, Record, Write};
use crate::controllers::cycle::settings::Settings;
use crate::controllers::cycle::snapshot::{LedgerView, Snapshot};
use crate::controllers::cycle::{decide, observe, reconcile, route, status};
use crate::controllers::gate;

/// Most passes of one wait: far more than any life needs.
const MOST_PASSES: usize = 4_000;

/// What becomes of a revision's pods.
#[derive(Clone, Debug, PartialEq)]
pub enum Pods {
    /// Ready some seconds after they were asked for.
    Healthy,
    /// Never ready; the Deployment says why.
    Broken(&'static str),
}

/// What the gateway's controller does with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    Accepts,
    Refuses,
    Silent,
}

/// What the ledger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerMode {
    Up,
    /// It can be read and takes nothing.
    Broken,
    /// It is not open: it cannot be read either.
    Closed,
    /// It takes entries and answers too late.
    Slow,
}

/// Where a pass is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Nowhere,
    BeforeAction,
    BeforeStatus,
}

#[derive(Clone, Debug)]
pub struct World {
    pub now: Timestamp,
    pub cycle: Option<PeninCycle>,
    pub gates: Vec<PromotionGate>,
    pub target: Option<Deployment>,
    pub challengers: BTreeMap<String, Challenger>,
    pub deployments: BTreeMap<String, Deployment>,
    pub services: BTreeMap<String, Service>,
    pub foreign_services: Vec<Service>,
    pub route: Option<HttpRoute>,
    /// By model; what is not named is healthy.
    pub pods: BTreeMap<String, Pods>,
    sized: BTreeMap<String, (i32, Timestamp, u32)>,
    pub gateway: Gateway,
    pub ledger: LedgerMode,
    book: Option<Vec<u8>>,
    queue: Vec<Draft>,
    /// Kinds of all entries, in order, with their bodies.
    pub entries: Vec<(Kind, Value)>,
    pub source: Source,
    pub plane: DataPlane,
    pub trail: Vec<String>,
    numbers: usize,
}

impl World {
    /// A target, a gate and a cycle that nobody has looked at yet.
    pub fn new() -> Self {
        Self::with_spec(&objects::cycle_spec())
    }

    pub fn with_spec(spec: &Value) -> Self {
        let now: Timestamp = "2026-11-24T10:00:00.123Z".parse().unwrap();
        Self {
            now,
            cycle: Some(objects::cycle(spec, now)),
            gates: vec![objects::gate()],
            target: Some(objects::target("champion")),
            challengers: BTreeMap::new(),
            deployments: BTreeMap::new(),
            services: BTreeMap::new(),
            foreign_services: Vec::new(),
            route: None,
            pods: BTreeMap::new(),
            sized: BTreeMap::new(),
            gateway: Gateway::Accepts,
            ledger: LedgerMode::Up,
            book: None,
            queue: Vec::new(),
            entries: Vec::new(),
            source: Source::default(),
            plane: DataPlane::default(),
            trail: Vec::new(),
            numbers: 0,
        }
    }

    /// Adopted, with a recorded baseline.
    pub fn adopted() -> Self {
        Self::adopted_with(&objects::cycle_spec())
    }

    pub fn adopted_with(spec: &Value) -> Self {
        let mut world = Self::with_spec(spec);
        world.run_until("the baseline", |world| {
            world.book().is_some_and(|book| book.engine.evolving.linf.is_some())
        });
        world
    }

    pub fn challenge(&mut self, name: &str, model: &str) {
        self.numbers += 1;
        let object = objects::challenger(name, model, self.numbers, self.now);
        self.challengers.insert(name.to_owned(), object);
    }

    pub fn edit_spec(&mut self, edit: impl FnOnce(&mut Value)) {
        let cycle = self.cycle.as_mut().unwrap();
        let mut spec = serde_json::to_value(&cycle.spec).unwrap();
        edit(&mut spec);
        cycle.spec = serde_json::from_value(spec).unwrap();
        *cycle.metadata.generation.as_mut().unwrap() += 1;
    }

    pub fn abort_cycle(&mut self, id: &str) {
        let annotations = self.cycle.as_mut().unwrap().annotations_mut();
        annotations.insert(ANNOTATION_ABORT.to_owned(), id.to_owned());
    }

    pub fn abort(&mut self, name: &str, id: &str) {
        let annotations = self.challengers.get_mut(name).unwrap().annotations_mut();
        annotations.insert(ANNOTATION_ABORT.to_owned(), id.to_owned());
    }

    pub fn delete_cycle(&mut self) {
        let cycle = self.cycle.as_mut().unwrap();
        cycle.metadata.deletion_timestamp = Some(Time(self.now));
        self.collect();
    }

    pub fn delete_challenger(&mut self, name: &str) {
        let challenger = self.challengers.get_mut(name).unwrap();
        challenger.metadata.deletion_timestamp = Some(Time(self.now));
        self.collect();
    }

    pub fn book(&self) -> Option<Book> {
        self.book.as_ref().map(|bytes| Book::parse(bytes).unwrap())
    }

    pub fn grant(&self) -> Option<Grant> {
        self.book()?.life.map(|life| life.grant)
    }

    pub fn phase(&self, name: &str) -> Option<ChallengerPhase> {
        self.challengers.get(name)?.status.as_ref()?.phase
    }

    pub fn reason(&self, name: &str) -> String {
        let status = self.challengers[name].status.clone().unwrap();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        format!("{}: {}", ready.unwrap().reason, status.message)
    }

    pub fn champion(&self) -> String {
        self.book().unwrap().champion.name
    }

    /// The live weight of a revision in the route, in per cent.
    pub fn weight(&self, revision: &str) -> i32 {
        let route = self.route.as_ref().map(|route| Segment::of(route, self.now));
        route.map_or(0, |segment| segment.weight(revision))
    }

    /// Name of the revision that runs `model`.
    pub fn revision_of(&self, model: &str) -> String {
        let found = self
            .deployments
            .values()
            .find(|deployment| model_of(deployment) == model);
        found.unwrap_or_else(|| panic!("no revision runs {model}")).name_any()
    }

    pub fn kinds(&self) -> Vec<Kind> {
        self.entries.iter().map(|entry| entry.0).collect()
    }

    pub fn advance(&mut self, by: Duration) {
        self.now += SignedDuration::try_from(by).unwrap();
        self.live();
    }

    /// Passes until `done`; panics with the last steps when that does not happen.
    pub fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..MOST_PASSES {
            if done(self) {
                return;
            }
            self.pass();
        }
        let tail = self.trail.len().saturating_sub(25);
        panic!("{what} did not come; last passes:\n{}", self.trail[tail..].join("\n"));
    }

    pub fn run_to_end(&mut self, name: &str) -> ChallengerPhase {
        self.run_until("an end", |world| {
            let over = world.phase(name).is_some_and(ChallengerPhase::is_final);
            over && world.book().is_none_or(|book| book.life.is_none())
        });
        self.phase(name).unwrap()
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + SignedDuration::try_from(time).unwrap();
        while self.now < until {
            self.pass();
        }
    }

    /// One pass and the time until the next one.
    pub fn pass(&mut self) -> Option<Plan> {
        self.cut_pass(Cut::Nowhere)
    }

    /// One pass that is killed somewhere, and the time until the next one.
    pub fn cut_pass(&mut self, cut: Cut) -> Option<Plan> {
        self.live();
        let Some(cycle) = self.cycle.clone() else {
            self.advance(Duration::from_secs(1));
            return None;
        };
        let mut snapshot = self.snapshot(&cycle);
        let position = reconcile::remembered_position(&snapshot, &cycle);
        let mut plan = decide::decide(&snapshot, position.clone(), self.now);
        if let Action::Measure(measure) = &plan.action {
            snapshot.evidence = Some(self.measure(measure));
            plan = decide::decide(&snapshot, position, self.now);
            assert!(
                !matches!(plan.action, Action::Measure(_)),
                "evidence was asked for twice"
            );
        }
        self.trail.push(format!(
            "{} {:?} {} {}",
            self.now,
            plan.step,
            plan.reason.as_str(),
            plan.message
        ));
        let outcome = match cut {
            Cut::BeforeAction => Outcome::Nothing,
            _ => self.apply(&snapshot, &plan),
        };
        let gone = matches!(&plan.action, Action::Write(write) if **write == Write::RemoveCycleFinalizer);
        if cut == Cut::Nowhere && !gone {
            self.publish(&snapshot, &plan, &outcome);
        }
        self.collect();
        let pause = match outcome {
            Outcome::Written | Outcome::Recorded { .. } | Outcome::Queued { .. } => Duration::from_millis(20),
            Outcome::NotRecorded { .. } => Duration::from_secs(2),
            _ => plan.recheck.clamp(Duration::from_millis(10), Duration::from_secs(5)),
        };
        self.advance(pause);
        Some(plan)
    }

    fn measure(&self, measure: &Measure) -> crate::scoring::Evidence {
        evidence::measure(&self.source, &self.plane, measure, |revision| {
            self.deployments.get(revision).map(model_of).unwrap_or_default()
        })
    }

    pub fn snapshot(&self, cycle: &PeninCycle) -> Snapshot {
        let key = observe::key_of(cycle).unwrap();
        let deployments: Vec<_> = self.deployments.values().cloned().collect();
        let services: Vec<_> = self.services.values().chain(&self.foreign_services).cloned().collect();
        let slices: Vec<_> = self
            .services
            .keys()
            .map(|name| objects::slice(name, self.ready(name)))
            .collect();
        let challengers: Vec<_> = self.challengers.values().cloned().collect();
        let missing = "spec.targetRef.name: Deployment adult does not exist".to_owned();
        let target = self.target.as_ref().ok_or(missing);
        let book = match (self.ledger, &self.book) {
            (LedgerMode::Closed, _) => Err(BookError::Unreadable("the ledger is closed".to_owned())),
            (_, None) => Ok(None),
            (_, Some(bytes)) => Book::parse(bytes).map(Some),
        };
        let problem = match self.ledger {
            LedgerMode::Up | LedgerMode::Slow => None,
            LedgerMode::Broken | LedgerMode::Closed => Some("no space left on device".to_owned()),
        };
        let mut snapshot = Snapshot {
            deleting: cycle.metadata.deletion_timestamp.is_some(),
            has_finalizer: cycle.finalizers().iter().any(|name| name == FINALIZER_CYCLE),
            ledger: LedgerView { problem },
            gates: gate::combine(cycle, &self.gates),
            candidates: observe::candidates(&challengers, target.as_ref().copied(), &key, cycle),
            revisions: observe::revisions(&key, &deployments, &services, &slices),
            remembered: observe::remembered(cycle),
            fresh_token: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            conflict: None,
            selector_conflicts: Vec::new(),
            evidence: None,
            settings: Settings::parse(&key.name, &cycle.spec),
            book,
            target: target.and_then(|object| observe::resolve_target(object, &key, cycle)),
            route: self.route.clone(),
            key,
        };
        snapshot.selector_conflicts = observe::selector_conflicts(&snapshot, &services);
        snapshot
    }

    fn publish(&mut self, snapshot: &Snapshot, plan: &Plan, outcome: &Outcome) {
        let seen = status::Seen {
            snapshot,
            plan,
            outcome,
            head: Some((self.entries.len() as u64, "0".repeat(64))),
            now: self.now,
        };
        for (name, status) in status::challengers(&seen) {
            if let Some(challenger) = self.challengers.get_mut(&name) {
                challenger.status = Some(stored(&status));
            }
        }
        if let Some(cycle) = &mut self.cycle {
            let before = cycle.status.clone().unwrap_or_default();
            cycle.status = Some(stored(&status::cycle(&before, &seen)));
        }
    }

    fn apply(&mut self, snapshot: &Snapshot, plan: &Plan) -> Outcome {
        match &plan.action {
            Action::None | Action::Measure(_) => Outcome::Nothing,
            Action::Record(record) => self.append(snapshot, record),
            Action::Write(write) => {
                if let Write::Route { desired, .. } = &**write {
                    self.check_route(snapshot, desired);
                }
                self.write(write);
                Outcome::Written
            }
        }
    }

    fn append(&mut self, snapshot: &Snapshot, record: &Record) -> Outcome {
        let mut draft = record.draft.clone();
        draft.state = record.state(&snapshot.key.state_key()).unwrap();
        let why = "no space left on device".to_owned();
        match (self.ledger, record.withdrawal) {
            (LedgerMode::Up, _) => {
                self.take(draft);
                let sequence = self.entries.len() as u64;
                Outcome::Recorded { sequence }
            }
            (LedgerMode::Slow, Some(_)) => Outcome::Queued { why },
            (_, Some(_)) => {
                assert!(self.queue.len() < 8, "one withdrawal is queued again and again");
                self.queue.push(draft);
                Outcome::Queued { why }
            }
            (_, None) => Outcome::NotRecorded { why },
        }
    }

    fn take(&mut self, draft: Draft) {
        penin_ledger::entry::Prepared::new(draft.clone()).unwrap();
        let state = draft.state.last().unwrap();
        self.book = (!state.value.is_empty()).then(|| state.value.clone());
        self.entries.push((draft.kind, Value::Object(draft.body)));
    }

    /// The rules of traffic, asked of every write of the route.
    fn check_route(&self, snapshot: &Snapshot, desired: &HttpRoute) {
        let book = self.book();
        let book = book.as_ref();
        let next = Segment::of(desired, self.now);
        let life = book.and_then(|book| book.life.as_ref());
        let champion = book.map_or_else(
            || snapshot.target.as_ref().unwrap().revision.name.clone(),
            |book| book.champion.name.clone(),
        );
        for (service, weight) in next.weights.iter().filter(|(service, _)| **service != champion) {
            let granted = match life {
                Some(life) if life.revision.name == *service => match &life.grant {
                    Grant::Step { weight, .. } => i32::from(*weight),
                    _ => 0,
                },
                _ => 0,
            };
            let rescue = life.is_some_and(|life| life.had_live_traffic) && self.ready(&champion) == 0;
            let giving_back =
                life.is_some_and(|life| life.former_champion.as_ref().is_some_and(|f| f.name == *service));
            assert!(
                *weight <= granted || rescue || giving_back,
                "{service} gets {weight}, granted {granted}"
            );
            assert!(*weight == 0 || next.mirror.is_none(), "live while mirroring");
            assert!(self.services.contains_key(service), "{service} does not exist");
            let raised = self.plane.now().is_none_or(|served| *weight > served.weight(service));
            if *weight > 0 && raised {
                assert!(self.ready(service) > 0, "{service} has no ready endpoint");
                let mirrors = self.plane.now().is_some_and(|served| served.mirror.is_some());
                assert!(!mirrors, "the mirror is still on when {service} gets live traffic");
            }
        }
        if let Some((service, _)) = &next.mirror {
            let may = life.is_some_and(|life| life.grant == Grant::Shadow && life.revision.name == *service);
            assert!(may, "{service} is mirrored to without a grant");
        }
        let promoted = life.is_some_and(|life| life.grant == Grant::Promotion && life.revision.name == champion);
        let served = self.plane.now().map_or(0, |served| served.weight(&champion));
        if promoted && served < 100 && next.weight(&champion) == 100 {
            let former = life.and_then(|life| life.former_champion.as_ref()).unwrap();
            assert!(
                self.ready(&champion) >= self.ready(&former.name),
                "promoted without capacity"
            );
        }
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::CreateDeployment(deployment) => {
                let deployment = created(deployment, &mut self.numbers, self.now);
                self.deployments.insert(deployment.name_any(), deployment);
            }
            Write::CreateService(service) => {
                let service = created(service, &mut self.numbers, self.now);
                self.services.insert(service.name_any(), service);
            }
            Write::ScaleDeployment { name, replicas } => {
                let deployment = self.deployments.get_mut(name).unwrap();
                deployment.spec.as_mut().unwrap().replicas = Some(*replicas);
            }
            Write::DeleteDeployment { name, .. } => drop(self.deployments.remove(name)),
            Write::DeleteService { name, .. } => drop(self.services.remove(name)),
            Write::Route { desired, .. } => self.put_route(desired),
            Write::Release { name, owner_uid, kind } => {
                use crate::controllers::cycle::plan::ReleasedKind as Kind;
                let metadata = match kind {
                    Kind::Route => self.route.as_mut().unwrap().meta_mut(),
                    Kind::Service => self.services.get_mut(name).unwrap().meta_mut(),
                    Kind::Deployment => self.deployments.get_mut(name).unwrap().meta_mut(),
                };
                metadata
                    .owner_references
                    .as_mut()
                    .unwrap()
                    .retain(|owner| owner.uid != *owner_uid);
            }
            Write::AddCycleFinalizer => self
                .cycle
                .as_mut()
                .unwrap()
                .finalizers_mut()
                .push(FINALIZER_CYCLE.to_owned()),
            Write::RemoveCycleFinalizer => self.cycle.as_mut().unwrap().finalizers_mut().clear(),
            Write::AddChallengerFinalizer { name } => {
                let finalizers = self.challengers.get_mut(name).unwrap().finalizers_mut();
                finalizers.push(FINALIZER_CHALLENGER.to_owned());
            }
            Write::RemoveChallengerFinalizer { name } => {
                self.challengers.get_mut(name).unwrap().finalizers_mut().clear();
            }
        }
    }

    /// Somebody, we or another, replaces the route's specification.
    pub fn put_route(&mut self, desired: &HttpRoute) {
        let generation = self
            .route
            .as_ref()
            .map_or(0, |route| route.metadata.generation.unwrap());
        let mut route = desired.clone();
        route.metadata.generation = Some(generation + 1);
        route.status = self.route.as_ref().and_then(|route| route.status.clone());
        self.route = Some(route);
    }

    /// Somebody else edits the route so that it says `split`.
    pub fn tamper(&mut self, champion: &str, split: &Split) {
        let cycle = self.cycle.clone().unwrap();
        let snapshot = self.snapshot(&cycle);
        let settings = snapshot.settings.clone().unwrap();
        let intent = route::intent(&snapshot, &settings, champion, split);
        self.put_route(&traffic::desired(&intent));
        self.live();
    }

    /// Somebody else gives a challenger a live weight.
    pub fn tamper_live(&mut self, challenger: &str, weight: u8) {
        let weight = traffic::LiveWeight::new(weight).unwrap();
        let challenger = challenger.to_owned();
        let champion = self.champion();
        self.tamper(&champion, &Split::Live { challenger, weight });
    }

    /// The queue on the volume is lost.
    pub fn forget_queue(&mut self) {
        self.queue.clear();
    }

    /// Pods follow what a test has just changed.
    pub fn live_again(&mut self) {
        self.live();
    }

    /// Ready endpoints of a revision.
    pub fn ready(&self, revision: &str) -> u32 {
        self.sized.get(revision).map_or(0, |sized| sized.2)
    }

    /// What happens without us: pods start and stop, the gateway reads routes, the ledger takes what waited.
    fn live(&mut self) {
        let wanted: BTreeMap<String, (String, i32)> = self
            .deployments
            .iter()
            .map(|(name, deployment)| (name.clone(), (model_of(deployment), replicas(deployment))))
            .collect();
        self.sized.retain(|name, _| wanted.contains_key(name));
        for (name, (model, replicas)) in wanted {
            let sized = self.sized.entry(name.clone()).or_insert((0, self.now, 0));
            if sized.0 != replicas {
                (sized.0, sized.1) = (replicas, self.now);
            }
            let state = self.pods.get(&model).unwrap_or(&Pods::Healthy).clone();
            let settled = self.now.duration_since(sized.1) >= SignedDuration::from_secs(3);
            let target = u32::try_from(replicas).unwrap();
            sized.2 = match state {
                Pods::Broken(_) => 0,
                Pods::Healthy if settled => target,
                Pods::Healthy => sized.2.min(target),
            };
            if let (Pods::Broken(why), Some(deployment)) = (state, self.deployments.get_mut(&name)) {
                deployment.status = Some(
                    serde_json::from_value(json!({"conditions": [
                        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": why},
                    ]}))
                    .unwrap(),
                );
            }
        }
        if let Some(route) = &mut self.route {
            match self.gateway {
                Gateway::Accepts => {
                    objects::confirm(route, true);
                    self.plane.serve(route, self.now);
                }
                Gateway::Refuses => objects::confirm(route, false),
                Gateway::Silent => {}
            }
        }
        if self.ledger == LedgerMode::Up {
            for draft in std::mem::take(&mut self.queue) {
                self.take(draft);
            }
        }
    }

    /// Objects under deletion go when nobody holds them, and with the cycle all that it owns.
    fn collect(&mut self) {
        let gone = |metadata: &ObjectMeta| {
            metadata.deletion_timestamp.is_some() && metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        };
        self.challengers.retain(|_, challenger| !gone(&challenger.metadata));
        if self.cycle.as_ref().is_some_and(|cycle| gone(&cycle.metadata)) {
            self.cycle = None;
            let owned = |metadata: &ObjectMeta| {
                let mut owners = metadata.owner_references.iter().flatten();
                owners.any(|owner| owner.uid == objects::CYCLE_UID)
            };
            self.deployments.retain(|_, object| !owned(&object.metadata));
            self.services.retain(|_, object| !owned(&object.metadata));
            if self.route.as_ref().is_some_and(|route| owned(&route.metadata)) {
                self.route = None;
            }
        }
    }
}

fn created<K: kube::Resource + Clone>(object: &K, numbers: &mut usize, now: Timestamp) -> K {
    *numbers += 1;
    let mut object = object.clone();
    let metadata = object.meta_mut();
    metadata.uid = Some(format!("uid-{numbers}"));
    metadata.creation_timestamp = Some(Time(Timestamp::from_second(now.as_second()).unwrap()));
    object
}

pub fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().unwrap().replicas.unwrap()
}

fn model_of(deployment: &Deployment) -> String {
    let pod = deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let image = pod.containers[0].image.as_ref().unwrap();
    image.strip_prefix("model:").unwrap().to_owned()
}

/// A status as it comes back from the API server.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(status: &T) -> T {
    serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap()
}
