//! What a team would write: a Deployment, a gate and a cycle, in a namespace of the test's own.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use penin_tests::cluster::{Cluster, product_image};

/// What differs between tests.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Pods of the champion; a challenger has one.
    pub champion_replicas: u16,
    /// Longest time until pods are ready, as the cycle has it.
    pub progress_deadline: &'static str,
    /// Longest time of a canary step.
    pub canary_deadline: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            champion_replicas: 1,
            progress_deadline: "3m",
            canary_deadline: "6m",
        }
    }
}

/// The host name of a namespace's model.
pub fn host(namespace: &str) -> String {
    format!("{namespace}.example")
}

/// A Service `prometheus` of the namespace's own, whose one endpoint is the cluster's Prometheus: a test can take it
/// away without touching anybody else's.
pub async fn evidence(cluster: &Cluster) -> String {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "monitoring");
    let pods = pods
        .list(&ListParams::default().labels("app=prometheus"))
        .await
        .unwrap();
    let address = pods.items[0].status.clone().unwrap().pod_ip.unwrap();
    format!(
        r"
apiVersion: v1
kind: Service
metadata: {{name: prometheus}}
spec:
  ports: [{{name: http, port: 9090}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: prometheus
  labels: {{kubernetes.io/service-name: prometheus}}
addressType: IPv4
ports: [{{name: http, port: 9090}}]
endpoints:
- addresses: ['{address}']
  conditions: {{ready: true}}
"
    )
}

/// The Deployment, the gate and the cycle of the demonstration, in `namespace`, with shorter deadlines.
pub fn model(namespace: &str, options: &Options) -> String {
    let demo = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| std::fs::read_to_string(format!("{demo}/{path}")).unwrap();
    let image = product_image("model-server").unwrap();
    let target = read("workload/manifests/target.yaml");
    // The namespace exists already.
    let target = target.split_once("---\n").unwrap().1.to_owned();
    let cycle = read("demo/manifests/cycle.yaml");
    let cycle = cycle
        .replace("income.example", &host(namespace))
        .replace(
            "http://prometheus.monitoring.svc:9090",
            &format!("http://prometheus.{namespace}.svc:9090"),
        )
        .replace(
            "steps: [{weight: 5, duration: 1m, minSamples: 500}]\n    deadline: 5m",
            &format!(
                "steps: [{{weight: 5, duration: 1m, minSamples: 300}}]\n    deadline: {}",
                options.canary_deadline
            ),
        )
        .replace(
            "  shadow:",
            &format!(
                "  revisions:\n    champion: {{replicas: {}}}\n    progressDeadline: {}\n  shadow:",
                options.champion_replicas, options.progress_deadline
            ),
        );
    let all = format!("{target}\n---\n{}\n---\n{cycle}", read("demo/manifests/gate.yaml"));
    let all = all
        .replace("namespace: demo", &format!("namespace: {namespace}"))
        .replace("penin.local/model-server:dev", &image);
    assert!(all.contains(options.canary_deadline) && all.contains(options.progress_deadline));
    all
}
