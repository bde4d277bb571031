//! One operator's ledger on a real API server, opened again and again: what the tests of the ledger share.
#![allow(dead_code, reason = "each test binary uses its part")]

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
use penin_ledger::{Digest, Draft, Head, Keys, Kind, Policy, StateUpdate, Subject, Verdict, VerifyOptions, verify};
use penin_operator::runtime::clock::SystemClock;
use penin_operator::runtime::lease::{Claim, ClaimReader};
use penin_operator::runtime::metrics::Metrics;
use penin_operator::services::keys::KeySource;
use penin_operator::services::ledger::{LedgerService, LedgerSettings};
use penin_tests::cluster::{Cluster, TestNamespace, mount_secrets, wait_until};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const ORIGIN: &str = "penin.ai/ledger/test/operator";
const STATE: &str = "cycle/one";

pub async fn cluster() -> Cluster {
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

/// A promotion that sets the state to `n`.
pub fn promotion(n: u8) -> Draft {
    let subject = Subject {
        name: format!("model:{n}"),
        sha256: Digest::of(&[n]),
    };
    let mut draft = Draft::new(Kind::PromoteAttest, subject, jiff::Timestamp::now().as_millisecond());
    draft.state = vec![StateUpdate {
        key: STATE.to_owned(),
        value: vec![n],
    }];
    draft
}

/// One operator's ledger, opened again and again with other settings.
pub struct Operator<'a> {
    namespace: &'a TestNamespace,
    client: Client,
    pub folder: TempDir,
    pub epoch: u64,
}

/// The ledger while a process has it open.
pub struct Running {
    pub service: LedgerService,
    stop: CancellationToken,
    opening: tokio::task::JoinHandle<()>,
}

impl Running {
    pub async fn append(&self, n: u8) -> u64 {
        self.service.append(promotion(n), PATIENCE).await.unwrap().sequence
    }

    pub async fn state(&self) -> Option<Vec<u8>> {
        self.service.state(STATE).await.unwrap()
    }

    /// Ends the process in good order.
    pub async fn end(self) {
        self.stop.cancel();
        self.opening.await.unwrap();
    }
}

impl<'a> Operator<'a> {
    pub fn new(namespace: &'a TestNamespace, client: Client) -> Self {
        Self {
            namespace,
            client,
            folder: tempfile::tempdir().unwrap(),
            epoch: 0,
        }
    }

    pub fn directory(&self, generation: u32) -> PathBuf {
        let name = match generation {
            1 => "ledger".to_owned(),
            later => format!("ledger-{later}"),
        };
        self.folder.path().join(name)
    }

    pub fn mounts(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// Mounts Secrets as they are now, as for a new pod.
    pub async fn mount(&self) {
        mount_secrets(&self.namespace.api(), &self.mounts()).await.unwrap();
    }

    /// Starts a process; it may not be able to open the ledger.
    pub fn start(&mut self, generation: u32, secret: &str, former: Option<&str>) -> Running {
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
    pub async fn open(&mut self, generation: u32, secret: &str, former: Option<&str>) -> Running {
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
    pub async fn refusal(&mut self, generation: u32, secret: &str, former: Option<&str>) -> String {
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

    pub async fn config(&self, name: &str) -> BTreeMap<String, String> {
        let found: Option<ConfigMap> = self.namespace.api().get_opt(name).await.unwrap();
        found.and_then(|map| map.data).unwrap_or_default()
    }

    /// Waits until as many keys are published.
    pub async fn published(&self, name: &str, keys: usize) -> BTreeMap<String, String> {
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

    pub async fn anchored(&self, name: &str) -> Option<Head> {
        let anchor: Option<LedgerAnchor> = self.namespace.api().get_opt(name).await.unwrap();
        serde_json::from_value(serde_json::to_value(anchor?.status?).unwrap()).ok()
    }

    pub async fn delete_secret(&self, name: &str) {
        let secrets = self.namespace.api::<Secret>();
        secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Makes a Secret as a person does who wants other keys.
    pub async fn make_secret(&self, name: &str, seed: u8) {
        let (log, attestation) = Keys::generate([seed; 64]).to_pkcs8_pem().unwrap();
        let files = [("log.pem", log.as_bytes()), ("attestation.pem", attestation.as_bytes())];
        self.make_secret_of(name, &files).await;
    }

    pub async fn make_secret_of(&self, name: &str, files: &[(&str, &[u8])]) {
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
    pub async fn verdict(&self, generation: u32, policy: &Policy, anchor: &str) -> Verdict {
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
