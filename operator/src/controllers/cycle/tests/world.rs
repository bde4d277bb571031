//! A world that one cycle's controller acts on: API objects, pods, a gateway, a ledger, a source of evidence, a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource as _, ResourceExt as _};
use penin_api::foreign::HttpRoute;
use penin_api::names::{ANNOTATION_ABORT, ANNOTATION_RETRY, FINALIZER_CHALLENGER, FINALIZER_CYCLE};
use penin_api::v1alpha1::{Challenger, ChallengerPhase, PeninCycle, PromotionGate};
use penin_ledger::entry::{Draft, Kind};
use serde_json::{Value, json};

mod cluster;
mod pass;
mod rules;

use super::evidence::{self, DataPlane, Segment, Source};
use super::objects;
use crate::adapters::traffic::{self, Split};
use crate::controllers::cycle::apply::Outcome;
use crate::controllers::cycle::book::{Book, BookError, Grant};
use crate::controllers::cycle::plan::{Action, Measure, Plan, Record, Write};
use crate::controllers::cycle::settings::Settings;
use crate::controllers::cycle::snapshot::{LedgerView, Snapshot};
use crate::controllers::cycle::{decide, observe, reconcile, route, selectors, status};
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
    /// It answers too late, and the entries are lost.
    Slow,
    /// It answers too late, and the entries become durable a while later.
    Late,
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
    /// Other cycles of the namespace.
    pub rivals: Vec<PeninCycle>,
    pub gates: Vec<PromotionGate>,
    pub target: Option<Deployment>,
    pub challengers: BTreeMap<String, Challenger>,
    pub deployments: BTreeMap<String, Deployment>,
    pub services: BTreeMap<String, Service>,
    pub foreign_services: Vec<Service>,
    /// Use of resources is never read a second time.
    pub unread_pods: bool,
    /// The namespace has more Services than a pass reads.
    pub crowded: bool,
    pub route: Option<HttpRoute>,
    /// By model; what is not named is healthy.
    pub pods: BTreeMap<String, Pods>,
    sized: BTreeMap<String, (i32, Timestamp, u32)>,
    pub gateway: Gateway,
    pub ledger: LedgerMode,
    /// What the ledger's service says of itself, where that is not only what the mode is.
    pub ledger_says: Option<LedgerView>,
    book: Option<Vec<u8>>,
    queue: Vec<Draft>,
    /// Entries on their way, and when they become durable.
    late: Vec<(Timestamp, Draft)>,
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
            rivals: Vec::new(),
            gates: vec![objects::gate()],
            target: Some(objects::target("champion")),
            challengers: BTreeMap::new(),
            deployments: BTreeMap::new(),
            services: BTreeMap::new(),
            foreign_services: Vec::new(),
            unread_pods: false,
            crowded: false,
            route: None,
            pods: BTreeMap::new(),
            sized: BTreeMap::new(),
            gateway: Gateway::Accepts,
            ledger: LedgerMode::Up,
            ledger_says: None,
            book: None,
            queue: Vec::new(),
            late: Vec::new(),
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

    /// With a Challenger `better` that answers the first per cent of live requests.
    pub fn in_canary() -> Self {
        let mut world = Self::adopted();
        world.challenge("better", "better");
        world.run_until("live traffic", |world| {
            world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
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

    pub fn retry(&mut self, name: &str, id: &str) {
        let annotations = self.challengers.get_mut(name).unwrap().annotations_mut();
        annotations.insert(ANNOTATION_RETRY.to_owned(), id.to_owned());
    }

    /// Status and reason of a condition of the cycle.
    pub fn condition(&self, type_: &str) -> (String, String) {
        let status = self.cycle.as_ref().unwrap().status.as_ref().unwrap();
        let mut conditions = status.conditions.iter();
        let found = conditions.find(|condition| condition.type_ == type_).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    pub fn delete_cycle(&mut self) {
        let cycle = self.cycle.as_mut().unwrap();
        cycle.metadata.deletion_timestamp = Some(Time(self.now));
        self.collect();
    }

    /// Somebody applies the cycle again under its old name.
    pub fn apply_again(&mut self) {
        self.advance(Duration::from_secs(5));
        let mut cycle = objects::cycle(&objects::cycle_spec(), self.now);
        cycle.metadata.uid = Some("7d1f0c4e-0000-4000-8000-000000000002".to_owned());
        self.cycle = Some(cycle);
    }

    /// The ledger's volume and anchor are lost.
    pub fn lose_ledger(&mut self) {
        self.book = None;
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
            Outcome::Refused { .. } => Duration::from_millis(500),
            _ => plan.recheck.clamp(Duration::from_millis(10), Duration::from_secs(5)),
        };
        self.advance(pause);
        Some(plan)
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

    /// Somebody makes a Service of this name and selector.
    pub fn make_service(&mut self, name: &str, selector: &Value) {
        let service = json!({
            "metadata": {"name": name, "namespace": objects::NAMESPACE, "uid": name},
            "spec": {"selector": selector},
        });
        self.foreign_services.push(serde_json::from_value(service).unwrap());
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
}

pub fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().unwrap().replicas.unwrap()
}

fn model_of(deployment: &Deployment) -> String {
    let pod = deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let image = pod.containers[0].image.as_ref().unwrap();
    image.strip_prefix("model:").unwrap().to_owned()
}
