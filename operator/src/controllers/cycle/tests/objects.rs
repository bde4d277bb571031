//! The objects of a small shop, as an API server returns them.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use penin_api::foreign::HttpRoute;
use penin_api::names::{LABEL_CYCLE, LABEL_REVISION};
use penin_api::v1alpha1::{Challenger, PeninCycle, PromotionGate};
use serde_json::{Value, json};

pub const NAMESPACE: &str = "shop";
pub const CYCLE: &str = "adult";
pub const CYCLE_UID: &str = "7d1f0c4e-0000-4000-8000-00000000c0de";

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub fn cycle_spec() -> Value {
    json!({
        "targetRef": {"kind": "Deployment", "name": CYCLE},
        "service": {"port": 80, "targetPort": 8080},
        "revisions": {"champion": {"replicas": 2}, "challenger": {"replicas": 1}, "historyLimit": 1, "progressDeadline": "2m"},
        "traffic": {"gateway": {
            "parentRefs": [{"name": "edge"}], "hostnames": ["shop.example.com"], "settle": "250ms", "acceptDeadline": "30s",
        }},
        "shadow": {"percent": 100, "duration": "1m", "minSamples": 1000, "deadline": "5m"},
        "canary": {"deadline": "5m", "steps": [
            {"weight": 1, "duration": "1m", "minSamples": 400},
            {"weight": 5, "duration": "1m", "minSamples": 400},
        ]},
        "promotion": {"watch": "1m", "minSamples": 1000, "deadline": "5m", "drain": "10s"},
        "gateRefs": [{"name": "risk"}],
        "evidence": [{"name": "x", "preset": "ModelCounters", "prometheus": {"address": "http://p:9090"}}],
        "scores": {"linf": {"costPenalty": "0.1", "metrics": [
            {"name": "accuracy", "weight": "3", "preset": "Accuracy"},
            {"name": "success", "weight": "1", "preset": "SuccessRatio"},
        ]}},
        "interval": "10s",
    })
}

pub fn cycle(spec: &Value, created: Timestamp) -> PeninCycle {
    read(json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle",
        "metadata": {
            "name": CYCLE, "namespace": NAMESPACE, "uid": CYCLE_UID, "generation": 1,
            "creationTimestamp": second(created),
        },
        "spec": spec,
    }))
}

pub fn gate() -> PromotionGate {
    read(json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "PromotionGate",
        "metadata": {"name": "risk", "namespace": NAMESPACE, "uid": "gate-uid", "generation": 1},
        "spec": {
            "league": {"p95LatencyMax": "100ms", "errorRateMax": "0.05"},
            "guard": {
                "ece": {"max": "0.03", "minSamples": 5000},
                "rhoBias": {"form": "BetweenGroups", "max": "1.25"},
                "fairness": {"min": "0.8"},
                "consent": {"granted": true, "statement": "public data", "author": "a"},
                "eco": {"ok": true, "statement": "small", "author": "a"},
            },
        },
    }))
}

pub fn target(model: &str) -> Deployment {
    read(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": CYCLE, "namespace": NAMESPACE, "uid": "target-uid"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": CYCLE}},
            "template": {
                "metadata": {"labels": {"app": CYCLE}},
                "spec": {"containers": [{
                    "name": "model", "image": format!("model:{model}"),
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
                }]},
            },
        },
    }))
}

/// A Challenger that runs `model`.
pub fn challenger(name: &str, model: &str, number: usize, created: Timestamp) -> Challenger {
    read(json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "Challenger",
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": format!("0c0ffee0-0000-4000-8000-{number:012}"), "generation": 1,
            "creationTimestamp": second(created),
        },
        "spec": {"cycleRef": {"name": CYCLE}, "containers": [{"name": "model", "image": format!("model:{model}")}]},
    }))
}

/// The slice of a revision's Service with `ready` ready pods.
pub fn slice(revision: &str, ready: u32) -> EndpointSlice {
    let endpoints: Vec<Value> = (0..ready)
        .map(|pod| json!({"addresses": [format!("10.0.0.{pod}")], "conditions": {"ready": true}}))
        .collect();
    read(json!({
        "addressType": "IPv4", "endpoints": endpoints,
        "metadata": {
            "name": format!("{revision}-x"), "namespace": NAMESPACE,
            "labels": {
                "kubernetes.io/service-name": revision, LABEL_CYCLE: CYCLE, LABEL_REVISION: revision,
            },
        },
    }))
}

/// What a gateway's controller says about a route at its present generation.
pub fn confirm(route: &mut HttpRoute, accepted: bool) {
    let generation = route.metadata.generation;
    let condition = |type_: &str, holds: bool| {
        json!({
            "type": type_, "status": if holds { "True" } else { "False" }, "observedGeneration": generation,
            "reason": if holds { "Accepted" } else { "NotAllowedByListeners" }, "message": "as the gateway says",
            "lastTransitionTime": "2026-11-24T10:00:00Z",
        })
    };
    let parent = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"});
    route.status = Some(read(json!({"parents": [{
        "parentRef": parent, "controllerName": "example.com/gateway",
        "conditions": [condition("Accepted", accepted), condition("ResolvedRefs", true)],
    }]})));
}

/// Kubernetes keeps creation times in whole seconds.
pub fn second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap().to_string()
}
