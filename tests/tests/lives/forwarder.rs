//! A way to the cluster's Prometheus that a test can cut without touching anybody else's.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use penin_tests::cluster::Cluster;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Forwards connections until it is cut or dropped.
pub struct Forwarder {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forwarder {
    /// Listens on this machine's end of the link to the node, where pods can reach it.
    pub async fn to_prometheus(cluster: &Cluster) -> Self {
        let prometheus = cluster.service_address("monitoring", "prometheus").await.unwrap();
        let listener = TcpListener::bind((host_address(cluster).await, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            // Open connections end with the set.
            let mut connections = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut to) = TcpStream::connect((prometheus, 9090)).await {
                        let _ = copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        Self { address, task }
    }

    /// Closes every connection and accepts no other.
    pub fn cut(&self) {
        self.task.abort();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.cut();
    }
}

/// The node's link is a /24: this machine has its first address.
async fn host_address(cluster: &Cluster) -> IpAddr {
    let nodes: Api<Node> = Api::all(cluster.client());
    let nodes = nodes.list(&ListParams::default()).await.unwrap();
    let addresses = nodes.items[0].status.clone().unwrap().addresses.unwrap();
    let node = addresses.iter().find(|address| address.type_ == "InternalIP").unwrap();
    match node.address.parse().unwrap() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, 1])
        }
        IpAddr::V6(address) => panic!("{address}: the test cluster has IPv4 addresses"),
    }
}
