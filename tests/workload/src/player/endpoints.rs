//! Where labels are delivered: the pods of all revisions.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

/// Most endpoints that labels go to.
const LIMIT: usize = 256;
/// Time for one look.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A source of endpoint addresses `host:port`.
#[derive(Clone, Debug)]
pub enum EndpointSource {
    /// A list that never changes.
    Fixed(Vec<String>),
    /// A file with one address a line, read again every second. Empty lines and lines that begin with `#`
    /// say nothing.
    File(PathBuf),
    /// The pods that carry a cycle's label, from the Kubernetes API.
    Pods {
        /// Access to the pods of one namespace.
        pods: Box<Api<Pod>>,
        /// Label selector.
        selector: String,
        /// Port for labels.
        port: u16,
    },
}

/// Why the endpoints could not be learnt.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    File {
        /// Path as given.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An address is not of the form `host:port`.
    #[error("{0:?} is not of the form host:port")]
    Address(String),
    /// There are more endpoints than labels are delivered to.
    #[error("more than {LIMIT} endpoints")]
    TooMany,
    /// The Kubernetes API did not answer in time.
    #[error("pods: no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The Kubernetes API refused or failed.
    #[error("pods: {0}")]
    Api(#[from] Box<kube::Error>),
}

impl EndpointSource {
    /// A source for the pods of a cycle: those with the label `penin.ai/cycle`.
    #[must_use]
    pub fn of_cycle(client: kube::Client, namespace: &str, cycle: &str, port: u16) -> Self {
        Self::Pods {
            pods: Box::new(Api::namespaced(client, namespace)),
            selector: format!("penin.ai/cycle={cycle}"),
            port,
        }
    }

    /// The endpoints as of now.
    ///
    /// # Errors
    /// [`EndpointError`] when they cannot be learnt, are too many or malformed.
    pub async fn list(&self) -> Result<Vec<String>, EndpointError> {
        match self {
            Self::Fixed(addresses) => checked(addresses.iter().map(String::as_str)),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|source| EndpointError::File {
                        path: path.clone(),
                        source,
                    })?;
                let lines = text.lines().map(str::trim);
                checked(lines.filter(|line| !line.is_empty() && !line.starts_with('#')))
            }
            Self::Pods { pods, selector, port } => {
                // Version 0 is answered from the API server's cache: a second of age does no harm here.
                let query = ListParams::default().labels(selector).match_any();
                let list = tokio::time::timeout(TIMEOUT, pods.list(&query))
                    .await
                    .map_err(|_| EndpointError::Timeout)?
                    .map_err(Box::new)?;
                let addresses: Vec<String> = list.items.iter().filter_map(|pod| address(pod, *port)).collect();
                checked(addresses.iter().map(String::as_str))
            }
        }
    }
}

/// Address of a pod that runs; one that is ending still takes labels.
fn address(pod: &Pod, port: u16) -> Option<String> {
    let status = pod.status.as_ref()?;
    if status.phase.as_deref() != Some("Running") {
        return None;
    }
    let ip = status.pod_ip.as_deref()?;
    Some(if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    })
}

fn checked<'a>(addresses: impl Iterator<Item = &'a str>) -> Result<Vec<String>, EndpointError> {
    let mut list: Vec<String> = Vec::new();
    for address in addresses {
        let is_valid = address
            .parse::<axum::http::uri::Authority>()
            .is_ok_and(|authority| authority.port_u16().is_some() && !authority.as_str().contains('@'));
        if !is_valid {
            return Err(EndpointError::Address(address.to_owned()));
        }
        if list.iter().any(|known| known == address) {
            continue;
        }
        if list.len() >= LIMIT {
            return Err(EndpointError::TooMany);
        }
        list.push(address.to_owned());
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endpoints");
        let source = EndpointSource::File(path.clone());
        let missing = source.list().await.unwrap_err().to_string();
        assert!(missing.contains("endpoints: No such file"), "{missing}");
        std::fs::write(&path, "# pods\n10.0.0.1:9090\n\n 10.0.0.2:9090 \n10.0.0.1:9090\n").unwrap();
        assert_eq!(source.list().await.unwrap(), ["10.0.0.1:9090", "10.0.0.2:9090"]);
        std::fs::write(&path, "").unwrap();
        assert!(source.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn addresses_are_checked_and_bounded() {
        for wrong in ["10.0.0.1", "http://10.0.0.1:9090", "a b:1", "user@host:1", ""] {
            let error = EndpointSource::Fixed(vec![wrong.into()]).list().await.unwrap_err();
            assert!(matches!(error, EndpointError::Address(_)), "{wrong}");
        }
        let many = (0..=LIMIT).map(|i| format!("host-{i}:9090")).collect();
        assert!(matches!(
            EndpointSource::Fixed(many).list().await.unwrap_err(),
            EndpointError::TooMany
        ));
    }

    #[test]
    fn only_running_pods_have_an_address() {
        let pod = |phase: &str, ip: Option<&str>| -> Pod {
            serde_json::from_value(serde_json::json!({"status": {"phase": phase, "podIP": ip}})).unwrap()
        };
        assert_eq!(
            address(&pod("Running", Some("10.0.0.7")), 9090).as_deref(),
            Some("10.0.0.7:9090")
        );
        assert_eq!(
            address(&pod("Running", Some("fd00::7")), 9090).as_deref(),
            Some("[fd00::7]:9090")
        );
        assert_eq!(address(&pod("Pending", Some("10.0.0.7")), 9090), None);
        assert_eq!(address(&pod("Running", None), 9090), None);
        assert_eq!(address(&Pod::default(), 9090), None);
    }
}
