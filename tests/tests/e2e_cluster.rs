//! The handle on a real cluster: pods, the node's network, and what is said when a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use penin_tests::cluster::{Cluster, product_image, wait_until};

const SERVER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  containers:
  - name: server
    image: IMAGE
    args: [--weights=/models/champion.json]
    readinessProbe: {httpGet: {path: /readyz, port: 9090}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec:
  selector: {app: server}
  ports: [{port: 80, targetPort: 9090}]
";

#[tokio::test]
async fn a_service_is_reached_by_name_from_the_nodes_network() {
    let cluster = Cluster::node().await.unwrap();
    let namespace = cluster.namespace("network").await.unwrap();
    let image = product_image("model-server").unwrap();
    namespace.apply(&SERVER.replace("IMAGE", &image)).await.unwrap();

    let by_name = format!("http://server.{}.svc/metrics", namespace.name());
    let address = cluster.service_address(namespace.name(), "server").await.unwrap();
    for url in [by_name, format!("http://{address}/metrics")] {
        let metrics = wait_until(&url, Duration::from_mins(1), || async {
            let output = cluster
                .in_node("curl")
                .args(["--silent", "--fail", "--max-time", "5", &url])
                .output();
            let output = output.await.map_err(|error| error.to_string())?;
            if output.status.success() {
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        });
        assert!(metrics.await.unwrap().contains("penin_model_predictions_total 0"));
    }
}

#[tokio::test]
async fn a_pod_that_cannot_start_is_explained() {
    let cluster = Cluster::node().await.unwrap();
    let namespace = cluster.namespace("explained").await.unwrap();
    let broken = SERVER.replace("IMAGE", "penin.local/no-such-image:1");
    namespace.apply(&broken).await.unwrap();
    let pods = namespace.api::<Pod>();
    wait_until(
        "the container to wait for its image",
        Duration::from_mins(1),
        || async {
            let pod = pods.get("server").await.map_err(|error| error.to_string())?;
            let reason = pod
                .status
                .and_then(|status| status.container_statuses?.into_iter().next()?.state?.waiting?.reason);
            match reason.as_deref() {
                Some("ErrImagePull" | "ImagePullBackOff") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        },
    )
    .await
    .unwrap();
    let text = namespace.diagnostics().await;
    for wanted in [
        "pod server: Pending",
        "container server: waiting",
        "no-such-image",
        "event Warning Pod/server",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is missing in:\n{text}");
    }
}
