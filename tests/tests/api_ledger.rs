//! What the operator keeps of its ledger in the API: policy and keys in a `ConfigMap`, signing keys in Secrets, one
//! anchor for each generation. Through rotations of the keys and an archive, on a real API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt as _};
use penin_api::v1alpha1::LedgerAnchor;
use penin_ledger::{
    Digest, Draft, Head, Keys, Kind, Policy, Source, StateUpdate, Subject, Verdict, VerifyOptions, generations, verify,
};
use penin_operator::runtime::clock::SystemClock;
use penin_operator::runtime::lease::{Claim, ClaimReader};
use penin_operator::runtime::metrics::Metrics;
use penin_operator::services::keys::KeySource;
use penin_operator::services::ledger::{LedgerService, LedgerSettings};
use penin_operator::services::policy;
use penin_tests::cluster::{Cluster, TestNamespace, mount_secrets, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
const ORIGIN: &str = "penin.ai/ledger/test/operator";
const STATE: &str = "cycle/one";

async fn cluster() -> Cluster {
    let cluster = Cluster::private_control_plane().await.unwrap();
    let api = Api::<CustomResourceDefinition>::all(cluster.client());
    for definition in penin_api::crds().unwrap() {
        let params = PatchParams::apply("api-ledger").force();
        let name = definition.name_any();
        api.patch(&name, &params, &Patch::Apply(&definition)).await.unwrap();
        let served = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap();
    }
    cluster
}

/// One operator's ledger, opened again and again with other settings.
struct Operator<'a> {
    namespace: &'a TestNamespace,
    client: Client,
    folder: TempDir,
    epoch: u64,
}

/// The ledger while a process has it open.
struct Running {
    service: LedgerService,
    stop: CancellationToken,
    opening: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn append(&self, n: u8) -> u64 {
        let subject = Subject {
            name: format!("model:{n}"),
            sha256: Digest::of(&[n]),
        };
        let mut draft = Draft::new(Kind::PromoteAttest, subject, jiff::Timestamp::now().as_millisecond());
        draft.state = vec![StateUpdate {
            key: STATE.to_owned(),
            value: vec![n],
        }];
        self.service.append(draft, PATIENCE).await.unwrap().sequence
    }

    async fn state(&self) -> Option<Vec<u8>> {
        self.service.state(STATE).await.unwrap()
    }

    /// Ends the process in good order.
    async fn end(self) {
        self.stop.cancel();
        self.opening.await.unwrap();
    }
}

impl<'a> Operator<'a> {
    fn new(namespace: &'a TestNamespace, client: Client) -> Self {
        Self {
            namespace,
            client,
            folder: tempfile::tempdir().unwrap(),
            epoch: 0,
        }
    }

    fn directory(&self, generation: u32) -> PathBuf {
        let name = match generation {
            1 => "ledger".to_owned(),
            later => format!("ledger-{later}"),
        };
        self.folder.path().join(name)
    }

    fn mounts(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// Mounts Secrets as they are now, as for a new pod.
    async fn mount(&self) {
        mount_secrets(&self.namespace.api(), &self.mounts()).await.unwrap();
    }

    /// Starts a process; it may not be able to open the ledger.
    fn start(&mut self, generation: u32, secret: &str, former: Option<&str>) -> Running {
        self.epoch += 1;
        let mounts = self.mounts();
        let keys = |name: &str| KeySource::new(&mounts, name);
        let settings = LedgerSettings {
            directory: self.directory(1),
            origin: ORIGIN.to_owned(),
            namespace: self.namespace.name().to_owned(),
            anchor: "operator".to_owned(),
            generation,
            signing_keys: keys(secret),
            former_signing_keys: former.map(keys),
            holder: format!("process {}", self.epoch),
            any_filesystem: true,
        };
        let clock = Arc::new(SystemClock);
        let service = LedgerService::new(
            self.directory(generation),
            ORIGIN.to_owned(),
            Metrics::new().unwrap(),
            clock.clone(),
        );
        let stop = CancellationToken::new();
        let (keeping, client, stopped) = (service.clone(), self.client.clone(), stop.clone());
        let claim = Claim {
            epoch: self.epoch,
            valid_until: Instant::now() + Duration::from_hours(24),
        };
        // Who reads a claim needs nobody to renew it.
        let claim = ClaimReader::new(watch::channel(Some(claim)).1, clock.clone());
        let opening = tokio::spawn(async move {
            Box::pin(keeping.keep_open(settings, client, claim, clock, stopped)).await;
        });
        Running { service, stop, opening }
    }

    /// Starts a process that opens the ledger.
    async fn open(&mut self, generation: u32, secret: &str, former: Option<&str>) -> Running {
        self.mount().await;
        let running = self.start(generation, secret, former);
        wait_until("the ledger to open", PATIENCE, || async {
            running.service.problem().map_or(Ok(()), Err)
        })
        .await
        .unwrap();
        running
    }

    /// Why a process does not open the ledger; it is ended.
    async fn refusal(&mut self, generation: u32, secret: &str, former: Option<&str>) -> String {
        self.mount().await;
        let running = self.start(generation, secret, former);
        let problem = wait_until("a refusal", PATIENCE, || async {
            let problem = running.service.problem();
            problem.filter(|text| text != "it is being opened").ok_or("not yet")
        });
        let problem = problem.await.unwrap();
        running.end().await;
        problem
    }

    async fn config(&self, name: &str) -> BTreeMap<String, String> {
        let found: Option<ConfigMap> = self.namespace.api().get_opt(name).await.unwrap();
        found.and_then(|map| map.data).unwrap_or_default()
    }

    /// Waits until as many keys are published.
    async fn published(&self, name: &str, keys: usize) -> BTreeMap<String, String> {
        wait_until("the keys to be published", PATIENCE, || async {
            let data = self.config(name).await;
            let history: Value = data
                .get("keys.json")
                .map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
            let count = history.as_array().map_or(0, Vec::len);
            (count == keys).then_some(data).ok_or(format!("{history}"))
        })
        .await
        .unwrap()
    }

    async fn anchored(&self, name: &str) -> Option<Head> {
        let anchor: Option<LedgerAnchor> = self.namespace.api().get_opt(name).await.unwrap();
        serde_json::from_value(serde_json::to_value(anchor?.status?).unwrap()).ok()
    }

    async fn delete_secret(&self, name: &str) {
        let secrets = self.namespace.api::<Secret>();
        secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Makes a Secret as a person does who wants other keys.
    async fn make_secret(&self, name: &str, seed: u8) {
        let (log, attestation) = Keys::generate([seed; 64]).to_pkcs8_pem().unwrap();
        let files = [("log.pem", log.as_bytes()), ("attestation.pem", attestation.as_bytes())];
        self.make_secret_of(name, &files).await;
    }

    async fn make_secret_of(&self, name: &str, files: &[(&str, &[u8])]) {
        let data = files
            .iter()
            .map(|(key, bytes)| ((*key).to_owned(), ByteString(bytes.to_vec())));
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(data.collect()),
            ..Secret::default()
        };
        let secrets = self.namespace.api::<Secret>();
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }

    /// What an auditor finds in a generation who has its policy, or the one that was handed down, and the anchor.
    async fn verdict(&self, generation: u32, policy: &Policy, anchor: &str) -> Verdict {
        let anchor = self.anchored(anchor).await;
        let options = VerifyOptions {
            policy: Some(policy),
            anchor: anchor.as_ref(),
            ..VerifyOptions::default()
        };
        let report = verify(&self.directory(generation), &options).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        report.verdict
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_a_generation_is_archived() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("ledger").await.unwrap();
    let mut operator = Operator::new(&namespace, cluster.client());

    // A new ledger makes its keys and publishes what verifiers need.
    let running = operator.open(1, "first", None).await;
    assert!(!operator.mounts().join("first").exists(), "no kubelet was there yet");
    let secret: Secret = namespace.api().get("first").await.unwrap();
    assert_eq!((secret.immutable, secret.data.unwrap().len()), (Some(true), 2));
    assert_eq!(running.append(1).await, 1);
    let before = operator.published("operator-policy", 1).await;
    let policy = Policy::from_json(&before["policy.json"]).unwrap();
    assert_eq!(policy.origin, ORIGIN);
    running.end().await;
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);

    // Keys that are not there yet: the former ones go on signing.
    let running = operator.open(1, "second", Some("first")).await;
    running.append(2).await;
    assert_eq!(operator.published("operator-policy", 1).await, before);
    running.end().await;

    // Half a pair is none either.
    operator.make_secret_of("half", &[("log.pem", b"no key")]).await;
    let running = operator.open(1, "half", Some("first")).await;
    let entry = running.append(2).await;
    running.end().await;
    let refusal = operator.refusal(1, "half", None).await;
    assert!(refusal.contains("attestation.pem is missing"), "{refusal}");

    // They are there: rotated by the start, and published beside the policy, which stays.
    operator.make_secret("second", 2).await;
    let running = operator.open(1, "second", Some("first")).await;
    let after = operator.published("operator-policy", 2).await;
    assert_eq!(after["policy.json"], before["policy.json"]);
    assert_ne!(after["log.vkey"], before["log.vkey"]);
    let second = Keys::generate([2; 64]).verifiers();
    assert_eq!(after["attestation.pub.pem"], second.attestation.to_pem().unwrap());
    // LEADER and KEY_ROTATE stand between.
    assert_eq!(running.append(3).await, entry + 3);
    running.end().await;
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);

    // The former Secret is not needed any more, and alone it opens nothing.
    let refusal = operator.refusal(1, "first", None).await;
    assert!(refusal.contains("KeyMismatch"), "{refusal}");
    operator.delete_secret("first").await;
    let running = operator.open(1, "second", Some("first")).await;
    assert_eq!(running.state().await, Some(vec![3]));
    running.end().await;
    let refusal = operator.refusal(1, "first", None).await;
    assert!(refusal.contains("Secret first is gone"), "{refusal}");

    // A generation begins after the one before it, and no other.
    let refusal = operator.refusal(3, "second", None).await;
    assert!(refusal.contains("there is none before it"), "{refusal}");
    assert_eq!(operator.anchored("operator-3").await, None);
    let last = operator.anchored("operator").await.unwrap();
    assert!(!operator.directory(3).exists());

    // The next one: the first is sealed, the second goes on from its state. Keys change with it.
    operator.make_secret("third", 3).await;
    let running = operator.open(2, "third", Some("second")).await;
    assert_eq!(running.state().await, Some(vec![3]));
    // GENESIS, CARRY.
    assert_eq!(running.append(4).await, 2);
    operator.published("operator-2-policy", 1).await;
    running.end().await;
    let sealed = operator.anchored("operator").await.unwrap();
    // LEADER and ARCHIVE.
    assert_eq!(sealed.size, last.size + 2);
    let refusal = operator.refusal(1, "second", None).await;
    assert!(refusal.contains("archived") && refusal.contains("to 2"), "{refusal}");

    // Found again after a restart, without the first one's keys.
    let running = operator.open(2, "third", None).await;
    assert_eq!(running.state().await, Some(vec![4]));
    running.end().await;

    // An auditor who has the very first policy needs no other.
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);
    let open = |generation| Source::open(&operator.directory(generation)).unwrap();
    assert_eq!(generations::broken_link(&open(1), &open(2)).unwrap(), None);
    let next = generations::end(&open(1)).unwrap().next.unwrap();
    let handed_down = Policy {
        origin: next.origin,
        keys: next.keys,
    };
    assert_eq!(operator.verdict(2, &handed_down, "operator-2").await, Verdict::Ok);
    let published = operator.config("operator-2-policy").await;
    assert_eq!(Policy::from_json(&published["policy.json"]).unwrap(), handed_down);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_kept_in_step_and_never_exchanged() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("policy").await.unwrap();
    let maps = namespace.api::<ConfigMap>();
    let [first, second] = [1, 2].map(|seed| Keys::generate([seed; 64]).verifiers());
    let publish = async |origin: &str, keys: &[(u64, penin_ledger::keys::Verifiers)]| {
        let data = policy::data(origin, keys).unwrap();
        policy::publish(&cluster.client(), namespace.name(), "policy", data).await
    };
    publish(ORIGIN, &[(0, first)]).await.unwrap();
    let made = maps.get("policy").await.unwrap();

    // Nothing changed: nothing is written.
    publish(ORIGIN, &[(0, first)]).await.unwrap();
    assert_eq!(
        maps.get("policy").await.unwrap().resource_version(),
        made.resource_version()
    );

    // What others added stays, what is ours is set right.
    let theirs = json!({
        "metadata": {"labels": {"team": "audit"}},
        "data": {"note": "pinned on Monday", "log.vkey": "wrong"},
    });
    maps.patch("policy", &PatchParams::default(), &Patch::Merge(theirs))
        .await
        .unwrap();
    publish(ORIGIN, &[(0, first), (7, second)]).await.unwrap();
    let map = maps.get("policy").await.unwrap();
    assert_eq!(map.labels()["team"], "audit");
    let data = map.data.unwrap();
    assert_eq!(data["note"], "pinned on Monday");
    assert_eq!(data["log.vkey"].trim_end(), second.log.to_vkey(ORIGIN));
    assert_eq!(data["policy.json"], made.data.clone().unwrap()["policy.json"]);

    // Another ledger's policy, or other first keys, are left alone.
    for (origin, keys) in [("else.example/log", first), (ORIGIN, second)] {
        let refusal = publish(origin, &[(0, keys)]).await.unwrap_err();
        assert!(refusal.contains("another ledger"), "{refusal}");
    }
    assert_eq!(maps.get("policy").await.unwrap().data.unwrap(), data);

    // A deleted one is made again, and an API server that refuses is quoted.
    maps.delete("policy", &DeleteParams::default()).await.unwrap();
    publish(ORIGIN, &[(0, first)]).await.unwrap();
    assert_eq!(maps.get("policy").await.unwrap().data, made.data);
    let data = policy::data(ORIGIN, &[(0, first)]).unwrap();
    let refusal = policy::publish(&cluster.client(), "no-such-namespace", "policy", data).await;
    assert!(refusal.unwrap_err().contains("no-such-namespace"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_exist_and_are_not_mounted_are_waited_for() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("keys").await.unwrap();
    let mut operator = Operator::new(&namespace, cluster.client());
    // As after a process that died once it had made the Secret, in a pod that does not have it yet.
    operator.make_secret("keys", 7).await;
    let running = operator.start(1, "keys", None);
    let refused = wait_until("a refusal", PATIENCE, || async {
        let problem = running.service.problem();
        problem
            .filter(|text| text.contains("Secret keys exists and is not mounted"))
            .ok_or("not yet")
    });
    refused.await.unwrap();
    assert!(!operator.directory(1).exists(), "no ledger begins with other keys");
    operator.mount().await;
    let opened = wait_until("the ledger to open", PATIENCE, || async {
        running.service.problem().map_or(Ok(()), Err)
    });
    opened.await.unwrap();
    assert_eq!(running.append(1).await, 1);
    let published = operator.published("operator-policy", 1).await;
    let expected = Keys::generate([7; 64]).verifiers();
    assert_eq!(published["attestation.pub.pem"], expected.attestation.to_pem().unwrap());
    running.end().await;
}
