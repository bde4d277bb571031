//! Manifests, and definitions that a control plane without a gateway lacks.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

pub const CYCLE: &str = "adult";

/// `HTTPRoute` with any content: the operator alone writes it, and what a gateway would check is checked elsewhere.
fn routes() -> CustomResourceDefinition {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    serde_json::from_value(json!({
        "metadata": {
            "name": "httproutes.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": "gateway.networking.k8s.io", "scope": "Namespaced",
            "names": {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute", "listKind": "HTTPRouteList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
            }],
        },
    }))
    .unwrap()
}

/// Installs every definition that the operator needs.
pub async fn install(client: &Client) {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in penin_api::crds().unwrap().into_iter().chain([routes()]) {
        let name = definition.name_any();
        let params = PatchParams::apply("api-lives").force();
        api.patch(&name, &params, &Patch::Apply(&definition)).await.unwrap();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(Duration::from_secs(30), established)
            .await
            .unwrap()
            .unwrap();
    }
}

pub fn target(model: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": CYCLE},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": CYCLE}},
            "template": {
                "metadata": {"labels": {"app": CYCLE}},
                "spec": {"containers": [{
                    "name": "model", "image": format!("model:{model}"),
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
                }]},
            },
        },
    })
}

pub fn gate() -> Value {
    json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "PromotionGate", "metadata": {"name": "risk"},
        "spec": {
            "league": {"errorRateMax": "0.05"},
            "guard": {
                "ece": {"max": "0.03", "minSamples": 5000},
                "rhoBias": {"form": "BetweenGroups", "max": "1.25"},
                "fairness": {"min": "0.8"},
                "consent": {"granted": true, "statement": "public data", "author": "a"},
                "eco": {"ok": true, "statement": "small", "author": "a"},
            },
        },
    })
}

/// The shortest stages that the API allows; deadlines are far away, for a busy machine is no reason to refuse.
pub fn cycle(prometheus: &str) -> Value {
    let server = json!({"address": prometheus, "maxAge": "10s", "timeout": "10s"});
    json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle", "metadata": {"name": CYCLE},
        "spec": {
            "targetRef": {"kind": "Deployment", "name": CYCLE},
            "service": {"port": 80, "targetPort": 8080},
            "revisions": {"champion": {"replicas": 2}, "challenger": {"replicas": 1}, "progressDeadline": "1h"},
            "traffic": {"gateway": {
                "parentRefs": [{"name": "edge"}], "hostnames": ["shop.example.com"],
                "settle": "250ms", "acceptDeadline": "10m",
            }},
            "shadow": {"percent": 100, "duration": "1m", "minSamples": 1000, "deadline": "1h"},
            "canary": {"deadline": "1h", "steps": [{"weight": 5, "duration": "1m", "minSamples": 500}]},
            "promotion": {"watch": "1m", "minSamples": 1000, "deadline": "1h", "drain": "5s"},
            "gateRefs": [{"name": "risk"}],
            "evidence": [
                {"name": "gateway", "preset": "EnvoyGateway", "prometheus": server},
                {"name": "model", "preset": "ModelCounters", "prometheus": server},
            ],
            "scores": {"linf": {"costPenalty": "0.1", "metrics": [
                {"name": "accuracy", "weight": "3", "preset": "Accuracy"},
                {"name": "success", "weight": "1", "preset": "SuccessRatio"},
            ]}},
            "interval": "1s",
        },
    })
}

pub fn challenger(model: &str) -> Value {
    json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "Challenger", "metadata": {"name": model},
        "spec": {"cycleRef": {"name": CYCLE}, "containers": [{"name": "model", "image": format!("model:{model}")}]},
    })
}
