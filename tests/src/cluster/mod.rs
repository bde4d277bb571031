//! Test clusters as values: started or found by the scripts in `tests/cluster`, used through
//! [`kube::Client`], one namespace for each test.
//!
//! Two kinds exist. A *control plane* is etcd, an API server and the controllers that delete
//! namespaces and owned objects; it needs no root and holds no pods. A *node* is a real cluster with
//! pods, Envoy Gateway and Prometheus. Both are shared by all tests and left running at the end, so
//! that the next run finds them; `make cluster-down` and `make control-plane-down` end them.
//!
//! ```no_run
//! # async fn example() -> Result<(), penin_tests::cluster::ClusterError> {
//! use penin_tests::cluster::Cluster;
//!
//! let cluster = Cluster::control_plane().await?;
//! let namespace = cluster.namespace("adoption").await?;
//! namespace.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n").await?;
//! // The namespace goes with the value; while a test panics, what happened in it is printed first.
//! # Ok(())
//! # }
//! ```

mod diagnostics;
mod error;
mod manifests;
mod namespace;
mod scripts;
mod secrets;
mod wait;

use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::id,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, Client, Config,
    api::DynamicObject,
    config::{KubeConfigOptions, Kubeconfig},
};

pub use error::ClusterError;
pub use namespace::TestNamespace;
pub use secrets::mount_secrets;
pub use wait::{WaitError, wait_until};

/// A first start builds every binary from source: fifteen minutes on two cores, twice that beside
/// other work.
const FIRST_START: Duration = Duration::from_mins(45);
/// Stopping, loading an image, and the like.
const SHORT_TASK: Duration = Duration::from_mins(3);
/// Installing the operator, its pod's start included.
const OPERATOR: Duration = Duration::from_mins(5);
/// A request that an idle API server answers in milliseconds.
const REQUEST: Duration = Duration::from_secs(30);

/// Control planes of this process that are not shared.
static PRIVATE: AtomicU32 = AtomicU32::new(0);

/// A running cluster.
pub struct Cluster {
    kubeconfig: PathBuf,
    config: Config,
    client: Client,
    /// Name of a control plane that ends with this value.
    private: Option<String>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("kubeconfig", &self.kubeconfig)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// The API server without nodes that all tests share. Nothing runs a Deployment there: tests write
    /// the status that they want to see.
    ///
    /// # Errors
    /// When it neither runs nor can be started; the error holds what the script said.
    pub async fn control_plane() -> Result<Self, ClusterError> {
        Self::from_script("control-plane.sh", &["up"], None).await
    }

    /// A control plane of this caller's own, ended with the value: for tests that change
    /// cluster-scoped objects or stop the API server. It takes four seconds and 400 MiB.
    ///
    /// # Errors
    /// As [`Cluster::control_plane`].
    pub async fn private_control_plane() -> Result<Self, ClusterError> {
        let name = format!("test-{}-{}", id(), PRIVATE.fetch_add(1, Ordering::Relaxed));
        Self::from_script("control-plane.sh", &["up", &name], Some(name.clone())).await
    }

    /// The cluster with pods, a gateway and Prometheus that all tests share.
    ///
    /// # Errors
    /// As [`Cluster::control_plane`].
    pub async fn node() -> Result<Self, ClusterError> {
        Self::from_script("up.sh", &[], None).await
    }

    async fn from_script(script: &str, arguments: &[&str], private: Option<String>) -> Result<Self, ClusterError> {
        let output = scripts::run(script, arguments, FIRST_START).await?;
        let kubeconfig = output
            .lines()
            .filter_map(|line| line.strip_prefix("kubeconfig: "))
            .next_back()
            .map(PathBuf::from)
            .ok_or(ClusterError::NoKubeconfig {
                script: script.to_owned(),
                output: output.clone(),
            })?;
        let config = read_config(&kubeconfig).await?;
        let client = Client::try_from(config.clone())?;
        Ok(Self {
            kubeconfig,
            config,
            client,
            private,
        })
    }

    /// A client with full rights. It belongs to the calling runtime.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig file, for processes that a test starts (variable `KUBECONFIG`).
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A new namespace called `<prefix>-<random>`, deleted when the value is dropped.
    ///
    /// # Errors
    /// When the API server refuses it, or its service account does not appear in 30 seconds.
    pub async fn namespace(&self, prefix: &str) -> Result<TestNamespace, ClusterError> {
        TestNamespace::create(self.client.clone(), self.config.clone(), prefix).await
    }

    /// Applies a stream of YAML documents on the server, in their order; each object stays where its
    /// own `metadata.namespace` says.
    ///
    /// # Errors
    /// Names the document that is not an object, or that the API server refuses.
    pub async fn apply(&self, yaml: &str) -> Result<Vec<DynamicObject>, ClusterError> {
        manifests::apply(&self.client, yaml, None).await
    }

    /// Loads image archives (of `tests/cluster/mkimage`) into the node.
    ///
    /// # Errors
    /// When a file is missing or the node's container runtime refuses it.
    pub async fn load_images(&self, archives: &[&Path]) -> Result<(), ClusterError> {
        let paths: Vec<String> = archives.iter().map(|path| path.display().to_string()).collect();
        let arguments: Vec<&str> = paths.iter().map(String::as_str).collect();
        scripts::run("load-images.sh", &arguments, SHORT_TASK).await.map(drop)
    }

    /// Installs or upgrades an operator of one namespace there, with its Helm chart; `arguments` are Helm's.
    ///
    /// # Errors
    /// [`ClusterError::Script`] when it is not ready in time.
    pub async fn install_operator(&self, namespace: &str, arguments: &[&str]) -> Result<(), ClusterError> {
        scripts::run("operator.sh", &["crds"], SHORT_TASK).await?;
        let watch = format!("watchNamespace={namespace}");
        let mut all = vec!["install", namespace, "--set", &watch];
        all.extend(["--set", "crds.enabled=false", "--set", "rbac.aggregate=false"]);
        all.extend(arguments);
        scripts::run("operator.sh", &all, OPERATOR).await.map(drop)
    }

    /// Uninstalls the operator of a namespace.
    ///
    /// # Errors
    /// [`ClusterError::Script`] when Helm fails.
    pub async fn uninstall_operator(&self, namespace: &str) -> Result<(), ClusterError> {
        scripts::run("operator.sh", &["uninstall", namespace], SHORT_TASK)
            .await
            .map(drop)
    }

    /// Runs kubectl against the node and returns what it printed.
    ///
    /// # Errors
    /// [`ClusterError::Script`] when it exits with anything but 0.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String, ClusterError> {
        scripts::run("kubectl.sh", arguments, SHORT_TASK).await
    }

    /// A command that will run inside the node's network namespace, where names of Services resolve.
    /// It is killed when the child is dropped.
    #[must_use]
    pub fn in_node(&self, program: &str) -> tokio::process::Command {
        let mut command = scripts::command("in-node.sh");
        command.arg(program);
        command
    }

    /// The address of a Service, which the node cluster's own machine reaches as well.
    ///
    /// # Errors
    /// When the Service does not exist or has no address.
    pub async fn service_address(&self, namespace: &str, name: &str) -> Result<IpAddr, ClusterError> {
        let service = Api::<Service>::namespaced(self.client.clone(), namespace)
            .get(name)
            .await?;
        service
            .spec
            .and_then(|spec| spec.cluster_ip)
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| ClusterError::NoAddress {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
    }

    /// Ends a private control plane now; a shared cluster is left running.
    ///
    /// # Errors
    /// When the script fails.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        match self.private.take() {
            Some(name) => scripts::run("control-plane.sh", &["down", &name], SHORT_TASK)
                .await
                .map(drop),
            None => Ok(()),
        }
    }
}

/// The reference of one of our own images (`penin-operator`, `model-server`), as
/// `tests/cluster/product-images.sh` last built it.
///
/// # Errors
/// When it was never built.
pub fn product_image(name: &str) -> Result<String, ClusterError> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../target/images", &format!("{name}.ref")]
        .iter()
        .collect();
    match fs::read_to_string(&path) {
        Ok(reference) => Ok(reference.trim().to_owned()),
        Err(source) => Err(ClusterError::NoImage {
            name: name.to_owned(),
            source,
        }),
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(name) = self.private.take() {
            scripts::run_blocking("control-plane.sh", &["down", &name]);
        }
    }
}

/// Requests must not pass the proxy that the environment may name, and must not hang.
async fn read_config(kubeconfig: &Path) -> Result<Config, ClusterError> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    config.connect_timeout = Some(REQUEST);
    Ok(config)
}
