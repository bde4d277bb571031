//! A served model under an operator of its own, on real pods behind the real gateway, and a client that counts.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod forwarder;
mod manifests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{Patch, PatchParams};
use penin_api::foreign::HttpRoute;
use penin_api::v1alpha1::{Challenger, ChallengerPhase, ChallengerStatus, PeninCycle};
use penin_tests::cluster::{Cluster, TestNamespace, wait_until};
use penin_workload::adult::test_split;
use penin_workload::player::{Answered, EndpointSource, Plan, Recorder, Report, play};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use forwarder::Forwarder;
pub use manifests::{BrokenModel, Options};

/// Name of the cycle and of its target.
pub const CYCLE: &str = "income";
/// What a cluster beside other work may take to start pods, or to gather the champion's evidence.
pub const STARTING: Duration = Duration::from_mins(6);
/// What a stage of a minute may take.
pub const STAGE: Duration = Duration::from_mins(10);

/// The model, its operator and its client.
pub struct Served {
    pub cluster: Cluster,
    pub namespace: TestNamespace,
    evidence: Forwarder,
    player: Option<Player>,
}

struct Player {
    recorder: Arc<Recorder>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Served {
    /// Adopted, with traffic, and with the champion's scores recorded.
    pub async fn new(prefix: &str, options: &Options) -> Self {
        let cluster = Cluster::node().await.unwrap();
        let namespace = cluster.namespace(prefix).await.unwrap();
        cluster.install_operator(namespace.name(), &[]).await.unwrap();
        let evidence = Forwarder::to_prometheus(&cluster).await;
        namespace
            .apply(&manifests::model(namespace.name(), evidence.address, options))
            .await
            .unwrap();
        let mut served = Self {
            cluster,
            namespace,
            evidence,
            player: None,
        };
        let cycles = served.namespace.api::<PeninCycle>();
        let adopted = wait_until("the adoption", STARTING, || async {
            let status = cycles.get(CYCLE).await.unwrap().status.unwrap_or_default();
            let adopted = status.conditions.iter().find(|condition| condition.type_ == "Adopted");
            match adopted {
                Some(condition) if condition.status == "True" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        adopted.await.unwrap();
        served.play(options.rate).await;
        let recorded = wait_until("the baseline", STARTING, || async {
            let status = cycles.get(CYCLE).await.unwrap().status.unwrap_or_default();
            match status.last_decision {
                Some(decision) if decision.reason == "BASELINE_RECORDED" => Ok(()),
                other => Err(format!("{other:?} {:?}", status.conditions)),
            }
        });
        recorded.await.unwrap();
        served
    }

    /// Starts the client; labels go to every pod of the cycle.
    async fn play(&mut self, rate: u32) {
        let address = self
            .cluster
            .service_address("envoy-gateway-system", "edge")
            .await
            .unwrap();
        let plan = Plan {
            target: format!("http://{address}/predict").parse().unwrap(),
            hosts: vec![manifests::host(self.namespace.name()).parse().unwrap()],
            headers: Vec::new(),
            run: self.namespace.name().to_owned(),
            rate,
            requests: 10_000_000,
            duration: Duration::from_hours(1),
            in_flight: 256,
            timeout: Duration::from_secs(30),
            label_delay: Duration::from_secs(1),
            labels: Some(EndpointSource::of_cycle(
                self.cluster.client(),
                self.namespace.name(),
                CYCLE,
                9090,
            )),
            report: None,
            report_every: Duration::from_secs(1),
        };
        let recorder = Arc::new(Recorder::new(&plan));
        let (stop, stopped) = watch::channel(false);
        let rows = test_split().unwrap().into();
        let theirs = Arc::clone(&recorder);
        let task = tokio::spawn(async move { play(&plan, rows, &theirs, stopped).await });
        self.player = Some(Player { recorder, stop, task });
    }

    /// What the client has seen so far.
    pub fn report(&self) -> Report {
        self.player.as_ref().unwrap().recorder.report()
    }

    /// Ends the client and gives its final counts.
    pub async fn final_report(&mut self) -> Report {
        let player = self.player.take().unwrap();
        player.stop.send_replace(true);
        player.task.await.unwrap();
        player.recorder.report()
    }

    /// Answers of a revision that the client has seen.
    pub fn answers(&self, revision: &str) -> Answered {
        self.report().revisions.get(revision).cloned().unwrap_or_default()
    }

    /// Creates a Challenger that runs another weights file.
    pub async fn challenge(&self, name: &str, weights: &str) {
        let container = json!({ "name": "server", "args": ["--weights", format!("/models/{weights}.json")] });
        self.challenge_with(name, container).await;
    }

    /// Creates a Challenger that overrides the target's container.
    pub async fn challenge_with(&self, name: &str, container: serde_json::Value) {
        let challenger = json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "Challenger", "metadata": { "name": name },
            "spec": { "cycleRef": { "name": CYCLE }, "containers": [container] },
        });
        self.namespace.apply(&challenger.to_string()).await.unwrap();
    }

    pub async fn status(&self, challenger: &str) -> ChallengerStatus {
        let api: Api<Challenger> = self.namespace.api();
        api.get(challenger).await.unwrap().status.unwrap_or_default()
    }

    /// Waits until a Challenger is in one of `phases`; an end that is none of them ends the wait.
    pub async fn until(&self, challenger: &str, phases: &[ChallengerPhase], limit: Duration) -> ChallengerStatus {
        let what = format!("challenger {challenger} to be in {phases:?}");
        let found = wait_until(&what, limit, || async {
            let status = self.status(challenger).await;
            match status.phase {
                Some(phase) if phases.contains(&phase) => Ok(Ok(status)),
                Some(phase) if phase.is_final() => Ok(Err(status)),
                _ => Err(format!("{:?}: {}", status.phase, status.message)),
            }
        });
        match found.await {
            Ok(Ok(status)) => status,
            Ok(Err(status)) => panic!(
                "{what}: it ended as {:?}: {}\n{status:#?}",
                status.phase, status.message
            ),
            Err(error) => panic!("{error}\n{:#?}", self.status(challenger).await),
        }
    }

    /// The live weights of the route, by Service.
    pub async fn weights(&self) -> BTreeMap<String, i32> {
        let route: HttpRoute = self.namespace.api().get(CYCLE).await.unwrap();
        let rule = &route.spec.rules[0];
        rule.backend_refs
            .iter()
            .map(|backend| (backend.name.clone(), backend.weight))
            .collect()
    }

    /// The champion's revision by the cycle's status.
    pub async fn champion(&self) -> String {
        let cycle: PeninCycle = self.namespace.api().get(CYCLE).await.unwrap();
        cycle.status.unwrap().champion.unwrap().revision
    }

    /// Cuts off what the operator reads evidence from, as a stopped Prometheus does.
    pub fn cut_evidence(&self) {
        self.evidence.cut();
    }

    /// Changes the cycle.
    pub async fn patch_cycle(&self, patch: serde_json::Value) {
        let api: Api<PeninCycle> = self.namespace.api();
        api.patch(CYCLE, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Ends the operator's container at once, as a crash of its node does.
    pub async fn kill_operator(&self) {
        let namespace = self.namespace.name();
        self.cluster
            .kubectl(&[
                "delete",
                "pod",
                "penin-operator-0",
                "-n",
                namespace,
                "--grace-period=0",
                "--force",
            ])
            .await
            .unwrap();
    }

    /// The ledger, verified by the tool in the operator's image: what it printed.
    pub async fn verify_ledger(&self) -> String {
        let namespace = self.namespace.name();
        let verify = [
            "exec",
            "-n",
            namespace,
            "penin-operator-0",
            "--",
            "/peninctl",
            "ledger",
            "verify",
            "/var/lib/penin/ledger",
        ];
        let verified = wait_until("a ledger that verifies", STARTING, || self.cluster.kubectl(&verify));
        verified.await.unwrap()
    }

    /// Kinds of the entries about the cycle, oldest first.
    pub async fn entries(&self) -> String {
        let namespace = self.namespace.name();
        let show = [
            "exec",
            "-n",
            namespace,
            "penin-operator-0",
            "--",
            "/peninctl",
            "ledger",
            "show",
            "/var/lib/penin/ledger",
            "--last",
            "200",
        ];
        self.cluster.kubectl(&show).await.unwrap()
    }

    /// Predictions that the pods of a revision have counted themselves, mirrored ones included.
    pub async fn served(&self, revision: &str) -> u64 {
        self.namespace.predictions(revision).await.unwrap()
    }
}
