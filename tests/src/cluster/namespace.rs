//! One namespace for each test.

use std::{env, fmt, thread, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use penin_api::v1alpha1::{Challenger, PeninCycle};
use serde_json::json;
use tokio::{runtime, time::timeout};

use super::{diagnostics, error::ClusterError, manifests, wait::wait_until};

/// Namespaces stay, for a look at them after the test, when this variable is set.
const KEEP: &str = "PENIN_KEEP_NAMESPACES";
/// What printing and deleting may take when the value is dropped.
const FAREWELL: Duration = Duration::from_secs(30);
/// Time for an operator to let go of its objects.
const RELEASE: Duration = Duration::from_secs(10);

/// A namespace that is deleted with this value. If the test panics, the state of its pods, the end
/// of their logs and its events are printed first.
pub struct TestNamespace {
    name: String,
    client: Client,
    config: Config,
}

impl fmt::Debug for TestNamespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TestNamespace")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl TestNamespace {
    /// Predictions that the pods of a revision have counted themselves, mirrored ones included. A pod that does not
    /// answer, because it is starting or ending, counts nothing.
    ///
    /// # Errors
    /// When the pods cannot be listed, or a pod answers without the counter.
    pub async fn predictions(&self, revision: &str) -> Result<u64, ClusterError> {
        const COUNTER: &str = "penin_model_predictions_total ";
        let mut sum = 0;
        for pod in self.pods(revision).await? {
            let Ok(request) = http::Request::get(self.management(&pod, "metrics")).body(Vec::new()) else {
                continue;
            };
            let Ok(metrics) = self.client.request_text(request).await else {
                continue;
            };
            let value = metrics
                .lines()
                .find_map(|line| line.strip_prefix(COUNTER))
                .map(str::parse::<u64>);
            match value {
                Some(Ok(count)) => sum += count,
                _ => return Err(ClusterError::NoCounter(pod)),
            }
        }
        Ok(sum)
    }

    /// Lets the defect set in that the model of a revision declares, in all of its pods.
    ///
    /// # Errors
    /// When there is no pod, or one declares no defect.
    pub async fn begin_defect(&self, revision: &str) -> Result<(), ClusterError> {
        let pods = self.pods(revision).await?;
        if pods.is_empty() {
            return Err(ClusterError::NoPod(revision.to_owned()));
        }
        for pod in pods {
            let request = http::Request::post(self.management(&pod, "defect")).body(Vec::new());
            let request = request.map_err(kube::Error::HttpError)?;
            self.client.request_text(request).await?;
        }
        Ok(())
    }

    /// Names of a revision's pods.
    async fn pods(&self, revision: &str) -> Result<Vec<String>, ClusterError> {
        let list = ListParams::default().labels(&format!("penin.ai/revision={revision}"));
        let pods = self.api::<Pod>().list(&list).await?;
        Ok(pods.iter().map(kube::ResourceExt::name_any).collect())
    }

    /// A path of a model server's management port, by way of the API server.
    fn management(&self, pod: &str, path: &str) -> String {
        format!("/api/v1/namespaces/{}/pods/{pod}:9090/proxy/{path}", self.name)
    }

    pub(super) async fn create(client: Client, config: Config, prefix: &str) -> Result<Self, ClusterError> {
        let metadata = ObjectMeta {
            generate_name: Some(format!("{prefix}-")),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        let created = Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        let name = created.metadata.name.unwrap_or_default();
        // From here on the namespace goes with the value, whatever fails.
        let this = Self { name, client, config };
        // A pod made before its service account exists is refused.
        let accounts = Api::<ServiceAccount>::namespaced(this.client.clone(), &this.name);
        let what = format!("the default service account of namespace {}", this.name);
        wait_until(&what, Duration::from_secs(30), || accounts.get("default")).await?;
        Ok(this)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The objects of one kind in it.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Applies a stream of YAML documents on the server, in their order. Objects without a namespace
    /// of their own come here.
    ///
    /// # Errors
    /// Names the document that is not an object, or that the API server refuses.
    pub async fn apply(&self, yaml: &str) -> Result<Vec<DynamicObject>, ClusterError> {
        manifests::apply(&self.client, yaml, Some(&self.name)).await
    }

    /// The state of its pods, the end of their logs and its events, as text.
    pub async fn diagnostics(&self) -> String {
        diagnostics::collect(&self.client, &self.name).await
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let config = self.config.clone();
        let failed = thread::panicking();
        // The test's runtime cannot be waited for here, and may be ending: a thread brings its own,
        // with a client that belongs to it.
        let farewell = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let client = Client::try_from(config).map_err(std::io::Error::other)?;
                timeout(FAREWELL, leave(client, &name, failed))
                    .await
                    .map_err(std::io::Error::other)?
            })
        });
        match farewell.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the namespace of a test may be left behind: {error}"),
            Err(_) => eprintln!("the namespace of a test is left behind"),
        }
    }
}

async fn leave(client: Client, name: &str, failed: bool) -> std::io::Result<()> {
    if failed {
        eprintln!("{}", diagnostics::collect(&client, name).await);
    }
    if env::var_os(KEEP).is_some() {
        eprintln!("namespace {name} is kept");
        return Ok(());
    }
    release(&client, name).await;
    let namespaces = Api::<Namespace>::all(client);
    namespaces
        .delete(name, &DeleteParams::background())
        .await
        .map(drop)
        .map_err(std::io::Error::other)
}

/// Lets go of our own objects. An operator of the namespace's own goes with it, and then nobody would remove their
/// finalizers. Errors are left to the deletion of the namespace.
async fn release(client: &Client, name: &str) {
    let cycles = Api::<PeninCycle>::namespaced(client.clone(), name);
    let challengers = Api::<Challenger>::namespaced(client.clone(), name);
    let all = ListParams::default();
    if cycles
        .delete_collection(&DeleteParams::background(), &all)
        .await
        .is_err()
    {
        return;
    }
    // An operator that runs does its own part first.
    let _ = wait_until("the cycles to be gone", RELEASE, || async {
        match cycles.list(&all).await {
            Ok(left) if left.items.is_empty() => Ok(()),
            Ok(left) => Err(format!("{} are left", left.items.len())),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    for cycle in cycles.list(&all).await.map(|list| list.items).unwrap_or_default() {
        let _ = cycles.patch(&cycle.name_any(), &PatchParams::default(), &patch).await;
    }
    for challenger in challengers.list(&all).await.map(|list| list.items).unwrap_or_default() {
        let _ = challengers
            .patch(&challenger.name_any(), &PatchParams::default(), &patch)
            .await;
    }
}
