//! One namespace with a cycle, everything that a cluster would do for it, and an operator of its own that is a real
//! process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use penin_api::foreign::HttpRoute;
use penin_api::v1alpha1::{Challenger, ChallengerPhase, LedgerAnchor, PeninCycle};
use penin_ledger::{Head, Reader, Verdict, VerifyOptions, verify};
use penin_tests::cluster::{Cluster, TestNamespace, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::clock::FastClock;
use super::objects::{self, CYCLE};
use super::plane::Segment;
use super::proxy::{Proxy, kill};
use super::world::World;
use super::{ENVIRONMENT, prometheus};

/// Far more than any life takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// Where Secrets are mounted, in a shop's folder.
const KEYS: &str = "keys";

/// A running operator.
pub struct Operator {
    child: Child,
    pub proxy: Proxy,
}

impl Operator {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn kill(mut self) {
        kill(self.child.id());
        self.child.wait().unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Shop {
    pub namespace: TestNamespace,
    pub world: World,
    clock: FastClock,
    client: kube::Client,
    folder: TempDir,
    evidence: SocketAddr,
}

impl Shop {
    /// A namespace with target, gate and cycle; no operator yet.
    pub async fn open(cluster: &Cluster, name: &str) -> Self {
        let namespace = cluster.namespace(name).await.unwrap();
        let clock = FastClock::starting_now();
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(
            cluster.client(),
            namespace.name(),
            CYCLE,
            clock,
            folder.path().join(KEYS),
        );
        let evidence = prometheus::start(Arc::clone(&world.plane)).await;
        let shop = Self {
            namespace,
            world,
            clock,
            client: cluster.client(),
            folder,
            evidence,
        };
        shop.apply(&objects::target("champion")).await;
        shop.apply(&objects::gate()).await;
        shop.apply(&objects::cycle(&format!("http://{}", shop.evidence))).await;
        shop
    }

    pub async fn apply(&self, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap();
        let (group, version) = text("/apiVersion").split_once('/').unwrap();
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace.name(), &kind);
        let params = PatchParams::apply("team").force();
        api.patch(text("/metadata/name"), &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    pub fn evidence_address(&self) -> String {
        format!("http://{}", self.evidence)
    }

    pub async fn challenger(&self, name: &str) -> Challenger {
        self.namespace.api::<Challenger>().get(name).await.unwrap()
    }

    /// Starts a process on a proxy of its own.
    pub async fn operator(&self, name: &str) -> Operator {
        let proxy = Proxy::start(self.client.clone()).await;
        self.operator_on(name, proxy)
    }

    /// Starts a process on a proxy that another one had.
    pub fn operator_on(&self, name: &str, proxy: Proxy) -> Operator {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let namespace = self.namespace.name();
        let arguments = json!({
            "server": format!("http://{}", proxy.address),
            "epoch": self.clock.epoch.to_string(),
            "arguments": [
                "penin-operator", "--watch-namespace", namespace, "--namespace", namespace,
                "--pod-name", name, "--pod-uid", "1", "--ledger-dir", self.ledger(), "--ledger-any-filesystem",
                "--signing-key-dir", self.folder.path().join(KEYS), "--ledger-origin", format!("penin.ai/ledger/{namespace}/test"),
                "--listen", "127.0.0.1:0", "--ledger-listen", "127.0.0.1:0", "--log", "info",
            ],
        });
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "operator_process", "--nocapture"])
            .env(ENVIRONMENT, arguments.to_string())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        proxy.victim(child.id());
        Operator { child, proxy }
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The end of the operators' logs.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    pub async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, mut look: impl FnMut() -> F) -> T {
        let found = wait_until(what, PATIENCE, || {
            let look = look();
            async move { look.await.ok_or("not yet") }
        });
        match found.await {
            Ok(found) => found,
            Err(error) => panic!("{error}\n{}", self.said()),
        }
    }

    pub async fn cycle(&self) -> Option<PeninCycle> {
        self.namespace.api::<PeninCycle>().get_opt(CYCLE).await.unwrap()
    }

    pub async fn route(&self) -> Option<HttpRoute> {
        self.namespace.api::<HttpRoute>().get_opt(CYCLE).await.unwrap()
    }

    pub async fn deployment(&self, name: &str) -> Option<Deployment> {
        self.namespace.api::<Deployment>().get_opt(name).await.unwrap()
    }

    pub async fn phase(&self, name: &str) -> Option<ChallengerPhase> {
        let challenger = self.namespace.api::<Challenger>().get_opt(name).await.unwrap()?;
        challenger.status?.phase
    }

    /// Waits for the baseline.
    pub async fn adopted(&self) -> String {
        self.until("the baseline", || async {
            let status = self.cycle().await?.status?;
            let decision = status.last_decision?;
            (decision.reason == "BASELINE_RECORDED").then_some(status.champion?.revision)
        })
        .await
    }

    /// Waits until a Challenger's life is over and cleaned up.
    pub async fn end_of(&self, name: &str) -> ChallengerPhase {
        self.until(&format!("the end of {name}"), || async {
            let phase = self.phase(name).await.filter(|phase| phase.is_final())?;
            let status = self.cycle().await?.status?;
            status.challenger.is_none().then_some(phase)
        })
        .await
    }

    /// Waits until a model's revision is served with `weight` per cent, and returns its name.
    pub async fn served(&self, model: &str, weight: i64) -> String {
        self.until(&format!("{model} at {weight} %"), || async {
            let plane = self.world.plane.lock().unwrap();
            let found = plane.models.iter().find(|known| known.1 == model)?;
            let live = plane.segments.last()?.weight(found.0) == weight;
            live.then(|| found.0.clone())
        })
        .await
    }

    pub fn segments(&self) -> Vec<Segment> {
        self.world.plane.lock().unwrap().segments.clone()
    }

    /// Every weight that a revision was ever served with, in order, without repetitions.
    pub fn weights(&self, revision: &str) -> Vec<i64> {
        let mut weights: Vec<i64> = self.segments().iter().map(|segment| segment.weight(revision)).collect();
        weights.dedup();
        weights
    }

    /// Name of the revision that runs `model`.
    pub fn revision(&self, model: &str) -> Option<String> {
        let plane = self.world.plane.lock().unwrap();
        plane
            .models
            .iter()
            .find(|known| known.1 == model)
            .map(|known| known.0.clone())
    }

    /// Ends the operator in good order, then asks route, Deployments and ledger whether they agree that `champion`
    /// serves alone. Returns the kinds of the ledger's entries.
    pub async fn agreement(&self, operator: Operator, champion: &str) -> Vec<String> {
        self.until("the pods of others gone", || async {
            let all = self
                .namespace
                .api::<Deployment>()
                .list(&kube::api::ListParams::default())
                .await
                .unwrap();
            let others = all
                .iter()
                .filter(|deployment| ![champion, CYCLE].contains(&deployment.name_any().as_str()));
            others
                .map(|deployment| deployment.spec.as_ref().unwrap().replicas)
                .all(|replicas| replicas == Some(0))
                .then_some(())
        })
        .await;
        let route = self.route().await.unwrap();
        assert_eq!(route.spec.rules.len(), 1, "{route:?}");
        let backends: Vec<_> = route.spec.rules[0]
            .backend_refs
            .iter()
            .map(|b| (b.name.as_str(), b.weight))
            .collect();
        assert_eq!(backends, [(champion, 100)]);
        let serving = self.deployment(champion).await.unwrap();
        assert_eq!(serving.spec.unwrap().replicas, Some(2));
        let status = self.cycle().await.unwrap().status.unwrap();
        assert_eq!(status.champion.unwrap().revision, champion);
        self.close(operator).await;
        self.entries().await
    }

    async fn close(&self, mut operator: Operator) {
        let ended = Command::new("kill")
            .args(["-TERM", &operator.id().to_string()])
            .status();
        assert!(ended.unwrap().success());
        let limit = tokio::time::Instant::now() + Duration::from_mins(2);
        while !operator.has_ended() {
            assert!(
                tokio::time::Instant::now() < limit,
                "the operator does not end\n{}",
                self.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Verifies the ledger against its anchor, offline, and returns the kinds of its entries.
    async fn entries(&self) -> Vec<String> {
        let anchor = self
            .namespace
            .api::<LedgerAnchor>()
            .get("penin-operator")
            .await
            .unwrap();
        let status = anchor.status.unwrap();
        let head = Head {
            origin: status.origin.unwrap(),
            size: status.size.unwrap().get(),
            root: status.root.unwrap().parse().unwrap(),
            epoch: status.epoch.unwrap().get(),
        };
        let options = VerifyOptions {
            anchor: Some(&head),
            ..VerifyOptions::default()
        };
        let report = verify(&self.ledger(), &options).unwrap();
        assert_eq!(report.verdict, Verdict::Ok, "{:?}", report.findings);
        assert_eq!((report.size, report.root), (head.size, head.root));
        kinds(&self.ledger(), head.size)
    }
}

fn kinds(directory: &std::path::Path, size: u64) -> Vec<String> {
    let reader = Reader::open_read_only(directory).unwrap();
    (0..size)
        .map(|number| reader.entry(number).unwrap().unwrap().kind.to_string())
        .collect()
}
