//! What a team would write: a Deployment, a gate and a cycle, in a namespace of the test's own.

use std::net::SocketAddr;

use penin_tests::cluster::product_image;

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

/// The Deployment, the gate and the cycle of the demonstration, in `namespace`, with shorter deadlines and evidence
/// from `prometheus`.
pub fn model(namespace: &str, prometheus: SocketAddr, options: &Options) -> String {
    let demo = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| std::fs::read_to_string(format!("{demo}/{path}")).unwrap();
    let image = product_image("model-server").unwrap();
    let target = read("workload/manifests/target.yaml");
    // The namespace exists already.
    let target = target.split_once("---\n").unwrap().1.to_owned();
    let cycle = read("demo/manifests/cycle.yaml");
    let cycle = cycle
        .replace("income.example", &host(namespace))
        .replace("http://prometheus.monitoring.svc:9090", &format!("http://{prometheus}"))
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
    assert!(all.contains(&prometheus.to_string()));
    assert!(all.contains(options.canary_deadline) && all.contains(options.progress_deadline));
    all
}
