//! Two revisions behind one route of a real gateway, and a client that plays requests and counts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service},
    discovery::v1::EndpointSlice,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ListParams, PostParams};
use penin_api::foreign::HttpRoute;
use penin_api::values::Percent;
use penin_operator::adapters::traffic::{
    Acceptance, LeaderEpoch, RouteIntent, ShareCounts, ShareVerdict, Split, WriteError, acceptance, assess, desired,
    write,
};
use penin_operator::workload::{self, Home, Revision, Rollout};
use penin_tests::cluster::{Cluster, TestNamespace, product_image, wait_until};
use penin_workload::adult::test_split;
use penin_workload::player::{Plan, Recorder, Report, play};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

/// Requests a second.
const RATE: u32 = 500;
/// What a cluster beside other work may take for pods and routes.
pub const PATIENCE: Duration = Duration::from_mins(4);
/// Time after acceptance in which old weights may still be served.
const SETTLE: Duration = Duration::from_millis(250);
/// Unlike a real token it is known: the test proves that others do not open the warm rule.
const TOKEN: &str = "5d2f0c9e7b6a41838d1e90f3a4c7b256";

/// The route, its revisions and the client.
pub struct Lab {
    cluster: Cluster,
    namespace: TestNamespace,
    intent: RouteIntent,
    /// Whether the route has its warm rule.
    warm: bool,
    /// Name of the first revision.
    pub old: String,
    /// Name of the second revision.
    pub new: String,
    players: u32,
}

/// A client at work.
pub struct Player {
    pub recorder: Arc<Recorder>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Player {
    /// Ends the run and gives its final counts.
    pub async fn stop(self) -> Report {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        self.recorder.report()
    }
}

impl Lab {
    /// Both revisions with two ready pods each, and all traffic at the old one.
    pub async fn new(prefix: &str, warm: bool) -> Self {
        let cluster = Cluster::node().await.unwrap();
        let namespace = cluster.namespace(prefix).await.unwrap();
        let owner = owner(&namespace).await;
        let home = Home {
            namespace: namespace.name().to_owned(),
            cycle: "shop".to_owned(),
            owner: owner.clone(),
        };
        let (old, new) = revisions(&namespace).await;
        for revision in [&old, &new] {
            start(&namespace, &home, revision).await;
        }
        let host = format!("{}.example", namespace.name());
        let gateway = json!({ "parentRefs": [{ "name": "edge", "namespace": "gateway" }], "hostnames": [host] });
        let intent = RouteIntent {
            namespace: namespace.name().to_owned(),
            name: "shop".to_owned(),
            cycle: "shop".to_owned(),
            owner,
            gateway: serde_json::from_value(gateway).unwrap(),
            port: 80,
            champion: old.name.clone(),
            split: Split::ChampionOnly,
            warm_token: TOKEN.parse().unwrap(),
        };
        let mut lab = Self {
            cluster,
            namespace,
            intent,
            warm,
            old: old.name,
            new: new.name,
            players: 0,
        };
        lab.move_to_champion(&lab.old.clone(), Split::ChampionOnly).await;
        lab.until_served().await;
        lab
    }

    /// Waits until a new host is served: that its route is accepted does not say that the proxy has it already. What
    /// tests count begins here.
    async fn until_served(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let player = self.play(&[], &[]).await;
            sleep(Duration::from_secs(1)).await;
            let report = player.stop().await;
            if report.failed == 0 && report.succeeded > 0 {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "not served: {:?}",
                report.failures
            );
        }
    }

    /// Writes a split with the old revision as champion, and waits until it is accepted and settled.
    pub async fn to(&mut self, split: Split) {
        self.move_to_champion(&self.old.clone(), split).await;
    }

    /// The same with `champion` as champion.
    pub async fn move_to_champion(&mut self, champion: &str, split: Split) {
        champion.clone_into(&mut self.intent.champion);
        self.intent.split = split;
        let mut route = desired(&self.intent);
        if !self.warm {
            route.spec.rules.truncate(1);
        }
        let api = self.namespace.api::<HttpRoute>();
        let client = self.cluster.client();
        // A gateway that writes its status in between makes the reading stale.
        let written = wait_until("the route to be written", PATIENCE, || async {
            let current = api.get_opt("shop").await.unwrap();
            match write(&client, current.as_ref(), &route, LeaderEpoch::Claimed(1)).await {
                Err(WriteError::Conflict) => Err("it was changed in between"),
                written => Ok(written.unwrap()),
            }
        });
        let generation = written.await.unwrap().generation;
        let accepted = wait_until("the route to be accepted", PATIENCE, || async {
            match acceptance(&api.get("shop").await.unwrap(), generation) {
                Acceptance::Accepted => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        accepted.await.unwrap();
        sleep(SETTLE).await;
    }

    /// Starts a client that sends `hosts` in turn (the route's own when there is none) and `headers`.
    pub async fn play(&mut self, hosts: &[&str], headers: &[(&'static str, &str)]) -> Player {
        let address = self
            .cluster
            .service_address("envoy-gateway-system", "edge")
            .await
            .unwrap();
        let own = self.intent.gateway.hostnames.clone();
        let hosts = if hosts.is_empty() {
            own
        } else {
            hosts.iter().map(|&host| host.to_owned()).collect()
        };
        self.players += 1;
        let plan = Plan {
            target: format!("http://{address}/predict").parse().unwrap(),
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
            run: format!("traffic-{}", self.players),
            rate: RATE,
            requests: 10_000_000,
            duration: Duration::from_hours(1),
            in_flight: 256,
            timeout: Duration::from_secs(30),
            label_delay: Duration::from_secs(1),
            labels: None,
            report: None,
            report_every: Duration::from_secs(1),
        };
        let recorder = Arc::new(Recorder::new(&plan));
        let (stop, stopped) = watch::channel(false);
        let rows = test_split().unwrap().into();
        let theirs = Arc::clone(&recorder);
        let task = tokio::spawn(async move { play(&plan, rows, &theirs, stopped).await });
        Player { recorder, stop, task }
    }

    /// Counts answers of both revisions until `enough`, and compares the new one's share with `weight`.
    pub async fn share(&self, player: &Player, weight: u8, enough: u64) -> ShareVerdict {
        let before = self.answers(player);
        let counted = wait_until("enough answers", PATIENCE, || async {
            let now = self.answers(player);
            let (old, new) = (now.0 - before.0, now.1 - before.1);
            if old + new >= enough {
                Ok((old, new))
            } else {
                Err(format!("{}", old + new))
            }
        });
        let (old, new) = counted.await.unwrap();
        assess(
            Percent::try_from(weight).unwrap(),
            ShareCounts::new(new, old + new).unwrap(),
            enough,
        )
    }

    fn answers(&self, player: &Player) -> (u64, u64) {
        let revisions = player.recorder.report().revisions;
        let of = |name: &str| {
            revisions
                .get(name)
                .map_or(0, |answered| answered.succeeded + answered.failed)
        };
        (of(&self.old), of(&self.new))
    }

    /// Predictions that the pods of a revision have counted themselves, mirrored ones included.
    pub async fn served(&self, revision: &str) -> u64 {
        self.namespace.predictions(revision).await.unwrap()
    }
}

/// The garbage collector deletes what an owner that does not exist owns.
async fn owner(namespace: &TestNamespace) -> OwnerReference {
    let map = json!({ "metadata": { "name": "shop" } });
    let map: ConfigMap = namespace
        .api()
        .create(&PostParams::default(), &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "shop".to_owned(),
        uid: map.metadata.uid.unwrap(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// A target without pods, and two revisions of it.
async fn revisions(namespace: &TestNamespace) -> (Revision, Revision) {
    let container = json!({
        "name": "model",
        "image": product_image("model-server").unwrap(),
        "args": ["--weights=/models/champion.json"],
        "env": [{ "name": "PENIN_REVISION", "valueFrom": { "fieldRef": { "fieldPath": "metadata.labels['penin.ai/revision']" } } }],
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": 9090 }, "periodSeconds": 1 },
        "resources": { "requests": { "cpu": "20m", "memory": "64Mi" } },
    });
    let target = json!({
        "metadata": { "name": "shop" },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": { "app": "shop" } },
                "spec": { "containers": [container], "terminationGracePeriodSeconds": 1 },
            },
        },
    });
    let stored: Deployment = namespace
        .api()
        .create(&PostParams::default(), &serde_json::from_value(target).unwrap())
        .await
        .unwrap();
    let target = workload::parse_target(serde_json::to_value(stored).unwrap()).unwrap();
    let better: Value = json!([{
        "name": "model",
        "args": ["--weights=/models/better.json"],
        // As nobody would write them, and as the server does not give them back.
        "env": [{ "name": "EMPTY", "value": "" }],
        "resources": { "requests": { "cpu": "0.020", "memory": "65536Ki" }, "limits": { "memory": "0.5Gi" } },
    }]);
    let resolve =
        |overrides| workload::resolve(&target, "shop", &serde_json::from_value::<Vec<_>>(overrides).unwrap()).unwrap();
    (resolve(json!([])), resolve(better))
}

/// Creates a revision's objects and waits for its endpoints.
async fn start(namespace: &TestNamespace, home: &Home, revision: &Revision) {
    let rollout = Rollout::new(&Deployment::default(), PATIENCE);
    let deployment = workload::deployment(home, revision, 2, rollout);
    let stored: Deployment = namespace
        .api()
        .create(&PostParams::default(), &deployment)
        .await
        .unwrap();
    let live = workload::live_digest(&stored.spec.unwrap().template, &revision.name).unwrap();
    assert_eq!(
        live, revision.digest,
        "the server gives the template back as it was hashed"
    );

    let ports = serde_json::from_value(json!({ "port": 80, "targetPort": 8080 })).unwrap();
    let service = workload::service(home, &revision.name, &ports);
    let service: Service = namespace.api().create(&PostParams::default(), &service).await.unwrap();
    let labels: BTreeMap<_, _> = revision.template.metadata.clone().unwrap().labels.unwrap();
    assert!(workload::selector_conflicts([&service], &labels, &home.owner.uid).is_empty());

    let slices = namespace.api::<EndpointSlice>();
    let list = ListParams::default().labels(&format!("kubernetes.io/service-name={}", revision.name));
    let ready = wait_until("two ready endpoints", PATIENCE, || async {
        let slices = slices.list(&list).await.map_err(|error| error.to_string())?;
        match workload::ready_endpoints(&slices.items) {
            2 => Ok(()),
            count => Err(format!("{count} are ready")),
        }
    });
    ready.await.unwrap();
}
