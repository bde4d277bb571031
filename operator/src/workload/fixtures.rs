//! Objects that the tests of this module share.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use super::Home;

pub(super) fn home() -> Home {
    let owner = OwnerReference {
        api_version: "penin.ai/v1alpha1".to_owned(),
        kind: "PeninCycle".to_owned(),
        name: "shop".to_owned(),
        uid: "cycle-uid".to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    Home {
        namespace: "prod".to_owned(),
        cycle: "shop".to_owned(),
        owner,
    }
}

/// A target as the API server returns it, with two containers and a secret.
pub(super) fn target_json() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "shop", "namespace": "prod" },
        "spec": {
            "replicas": 3,
            "minReadySeconds": 5,
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": {
                    "creationTimestamp": null,
                    "labels": { "app": "shop", "tier": "web" },
                    "annotations": { "prometheus.io/scrape": "true" }
                },
                "spec": {
                    "serviceAccountName": "shop",
                    "securityContext": { "runAsNonRoot": true },
                    "containers": [
                        {
                            "name": "model",
                            "image": "shop:1",
                            "args": ["--weights=/w/1"],
                            "env": [
                                { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
                                { "name": "MODE", "value": "fast" }
                            ],
                            "resources": { "requests": { "cpu": "500m", "memory": "1Gi" }, "limits": { "memory": "1Gi" } },
                            "securityContext": { "readOnlyRootFilesystem": true }
                        },
                        { "name": "proxy", "image": "proxy:1" }
                    ],
                    "volumes": [{ "name": "w", "emptyDir": {} }]
                }
            }
        }
    })
}

pub(super) fn target() -> Deployment {
    serde_json::from_value(target_json()).unwrap()
}
