//! What a team would write: a Deployment, a gate and a cycle, in a namespace of the test's own.

use std::net::SocketAddr;

use penin_tests::cluster::product_image;

/// A model that answers as `better` does, until it breaks.
#[derive(Clone, Copy, Debug)]
pub struct BrokenModel {
    /// Seconds after the start of a pod.
    pub after_seconds: u32,
    /// Requests of a thousand that are then answered with 503.
    pub failing_permille: u16,
}

/// What differs between tests.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Requests a second. Lives run side by side; the loss of requests is tested at 500 (`e2e_traffic`).
    pub rate: u32,
    /// Pods of the champion; a challenger has one.
    pub champion_replicas: u16,
    /// Longest time until pods are ready, as the cycle has it.
    pub progress_deadline: &'static str,
    /// Longest time of a canary step.
    pub canary_deadline: &'static str,
    /// Whether pods find the model `/broken/broken.json`, and how it breaks.
    pub broken_model: Option<BrokenModel>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate: 150,
            champion_replicas: 1,
            progress_deadline: "3m",
            canary_deadline: "10m",
            broken_model: None,
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
    let mut target = target.split_once("---\n").unwrap().1.to_owned();
    if let Some(broken) = options.broken_model {
        target = with_broken_model(&target, &read("workload/models/failing.json"), broken);
    }
    let mut cycle = read("demo/manifests/cycle.yaml");
    for (short, long) in [
        // A busy machine scrapes late.
        ("maxAge: 10s", "maxAge: 30s"),
        ("duration: 1m, deadline: 5m", "duration: 1m, deadline: 10m"),
        ("watch: 1m, deadline: 5m", "watch: 1m, deadline: 10m"),
    ] {
        assert!(cycle.contains(short), "no {short} in the demonstration's cycle");
        cycle = cycle.replace(short, long);
    }
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

/// Adds a model to the pods that breaks.
fn with_broken_model(target: &str, failing: &str, broken: BrokenModel) -> String {
    let mut model: serde_json::Value = serde_json::from_str(failing).unwrap();
    model["name"] = "broken".into();
    model["defect"]["after_seconds"] = broken.after_seconds.into();
    model["defect"]["failing_permille"] = broken.failing_permille.into();
    let last_of_container = "capabilities: {drop: [ALL]}\n";
    let volume = "        volumeMounts: [{name: broken, mountPath: /broken, readOnly: true}]\n      volumes: [{name: broken, configMap: {name: broken}}]\n";
    assert!(target.contains(last_of_container));
    let target = target.replace(last_of_container, &format!("{last_of_container}{volume}"));
    let map = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "broken" },
        "data": { "broken.json": model.to_string() },
    });
    format!("{map}\n---\n{target}")
}
