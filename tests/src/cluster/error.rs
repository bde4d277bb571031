//! What can go wrong with a test cluster.

use std::path::PathBuf;
use std::time::Duration;

use super::wait::WaitError;

/// Why a cluster, a namespace or an object could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A pod of the model server without its counter.
    #[error("pod {0} answers without penin_model_predictions_total: is it a model server?")]
    NoCounter(String),
    /// A revision without pods.
    #[error("revision {0} has no pod")]
    NoPod(String),
    /// The script could not be started at all.
    #[error("{script} could not be run: {source}")]
    Spawn {
        /// File name in `tests/cluster`.
        script: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The script said no; it says itself why and what to do.
    #[error("{script} failed:\n{output}")]
    Script {
        /// File name in `tests/cluster`.
        script: String,
        /// The end of what it printed.
        output: String,
    },
    /// The script neither ended nor failed.
    #[error("{script} did not end within {} s", limit.as_secs())]
    Slow {
        /// File name in `tests/cluster`.
        script: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The script succeeded and did not say where the kubeconfig is.
    #[error("{script} printed no line 'kubeconfig: PATH':\n{output}")]
    NoKubeconfig {
        /// File name in `tests/cluster`.
        script: String,
        /// What it printed.
        output: String,
    },
    /// The kubeconfig cannot be read.
    #[error(transparent)]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The API server refused something, or did not answer.
    #[error(transparent)]
    Kube(Box<kube::Error>),
    /// Secrets could not be written to files.
    #[error("Secrets cannot be mounted at {}: {source}", directory.display())]
    Mount {
        /// Where.
        directory: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A document of a manifest is no object.
    #[error("document {position} of the manifest: {reason}")]
    Manifest {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The API server refused one object of a manifest.
    #[error("{object} was refused: {source}")]
    Refused {
        /// Kind and name.
        object: String,
        /// The API server's answer.
        source: Box<kube::Error>,
    },
    /// One of our images is not there.
    #[error("image {name} was not built ({source}); run: make images")]
    NoImage {
        /// Its name without registry and tag.
        name: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A Service without an address in the cluster.
    #[error("service {namespace}/{name} has no cluster address")]
    NoAddress {
        /// Where the Service is.
        namespace: String,
        /// What it is called.
        name: String,
    },
    /// Something did not happen in time.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        Self::Kube(Box::new(error))
    }
}
