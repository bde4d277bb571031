//! The handle on a test cluster, on a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{Api, Client};
use penin_tests::cluster::{Cluster, ClusterError, wait_until};

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n";

async fn gone(client: &Client, name: &str) {
    let namespaces = Api::<Namespace>::all(client.clone());
    wait_until("the namespace to go", Duration::from_secs(60), || async {
        match namespaces.get_opt(name).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err("it is there".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_namespace_holds_what_is_applied_and_goes_with_the_test() {
    let cluster = Cluster::control_plane().await.unwrap();
    let namespace = cluster.namespace("handle").await.unwrap();
    namespace.apply(SETTINGS).await.unwrap();
    namespace.apply(&SETTINGS.replace("blue", "red")).await.unwrap();
    let stored: ConfigMap = namespace.api().get("settings").await.unwrap();
    assert_eq!(stored.data.unwrap()["colour"], "red");

    let name = namespace.name().to_owned();
    drop(namespace);
    gone(&cluster.client(), &name).await;
}

#[tokio::test]
async fn a_failing_test_leaves_no_namespace() {
    let cluster = Cluster::control_plane().await.unwrap();
    let namespace = cluster.namespace("failing").await.unwrap();
    let name = namespace.name().to_owned();
    let outcome = AssertUnwindSafe(async move {
        let _namespace = namespace;
        panic!("on purpose");
    })
    .catch_unwind()
    .await;
    assert!(outcome.is_err());
    gone(&cluster.client(), &name).await;
}

#[tokio::test]
async fn a_refused_object_is_named() {
    let cluster = Cluster::control_plane().await.unwrap();
    let namespace = cluster.namespace("refused").await.unwrap();
    let error = namespace.apply(&SETTINGS.replace("blue", "[1]")).await.unwrap_err();
    assert!(matches!(error, ClusterError::Refused { .. }), "{error}");
    assert!(
        error.to_string().starts_with("ConfigMap settings was refused"),
        "{error}"
    );
}

#[tokio::test]
async fn a_private_control_plane_is_another_one_and_ends() {
    let shared = Cluster::control_plane().await.unwrap();
    let private = Cluster::private_control_plane().await.unwrap();
    let kubeconfig = private.kubeconfig().to_owned();
    assert_ne!(kubeconfig, shared.kubeconfig());
    private.namespace("own").await.unwrap();
    private.stop().await.unwrap();
    assert!(!kubeconfig.exists(), "what it wrote is removed");
}
