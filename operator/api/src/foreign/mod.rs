//! Minimal mirrors of kinds that others define.
//!
//! Only fields that the operator reads or writes are typed. All others are kept as they came, so
//! that reading an object and writing it back loses nothing.

mod gateway;
mod httproute;

use std::collections::BTreeMap;

use serde_json::Value;

pub use gateway::{
    Gateway, GatewayClass, GatewayClassSpec, GatewayClassStatus, GatewaySpec, GatewayStatus, Listener, ListenerStatus,
    SupportedFeature,
};
pub use httproute::{
    BackendRef, Fraction, HeaderMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, HttpRouteStatus,
    MirrorBackendRef, ParentReference, PathValue, RequestMirror, RouteFilter, RouteParentStatus,
};

/// Fields that are not typed here.
pub type Unknown = BTreeMap<String, Value>;

/// API group of the Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn route() -> Value {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": { "name": "r", "namespace": "n", "labels": { "a": "b" } },
            "spec": {
                "parentRefs": [{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g", "newInParent": 1 }],
                "hostnames": ["a.example"],
                "newInSpec": { "deep": [1, 2] },
                "rules": [{
                    "name": "main",
                    "matches": [{
                        "path": { "type": "PathPrefix", "value": "/", "newInPath": true },
                        "headers": [{ "type": "Exact", "name": "x", "value": "y", "newInHeader": 0 }],
                        "queryParams": [{ "name": "q", "value": "v" }],
                    }],
                    "filters": [
                        { "type": "RequestMirror", "requestMirror": {
                            "backendRef": { "name": "m", "port": 80, "newInMirrorBackend": 1 },
                            "percent": 20, "newInMirror": "x",
                        } },
                        { "type": "URLRewrite", "urlRewrite": { "hostname": "h" } },
                    ],
                    "backendRefs": [
                        { "group": "", "kind": "Service", "name": "one", "port": 80, "weight": 0, "filters": [{ "type": "X" }] },
                        { "name": "two", "port": 80, "weight": 100 },
                    ],
                    "timeouts": { "request": "10s" },
                }],
            },
            "status": { "newInStatus": 1, "parents": [{
                "parentRef": { "name": "g", "sectionName": "http" },
                "controllerName": "example/controller",
                "newInParentStatus": 1,
                "conditions": [{
                    "type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                    "observedGeneration": 3, "lastTransitionTime": "2026-01-02T03:04:05Z",
                }],
            }] },
        })
    }

    #[test]
    fn reading_and_writing_a_route_loses_nothing() {
        let read: HttpRoute = serde_json::from_value(route()).unwrap();
        assert_eq!(read.spec.rules[0].backend_refs[0].weight, 0);
        assert_eq!(serde_json::to_value(read).unwrap(), route());
    }

    #[test]
    fn a_weight_is_always_written() {
        let mut read: HttpRoute = serde_json::from_value(route()).unwrap();
        for weight in [0, 1, 100] {
            read.spec.rules[0].backend_refs[1].weight = weight;
            let written = serde_json::to_value(&read).unwrap();
            assert_eq!(
                written.pointer("/spec/rules/0/backendRefs/1/weight"),
                Some(&json!(weight))
            );
        }
        let left_out: BackendRef = serde_json::from_value(json!({ "name": "s" })).unwrap();
        assert_eq!(left_out.weight, 1, "the Gateway API's default");
    }

    #[test]
    fn parents_are_compared_with_their_defaults() {
        let parent = |value: Value| serde_json::from_value::<ParentReference>(value).unwrap();
        let short = parent(json!({ "name": "g" }));
        let long = parent(json!({ "group": GATEWAY_GROUP, "kind": "Gateway", "namespace": "n", "name": "g" }));
        assert!(short.same_parent(&long, "n") && long.same_parent(&short, "n"));
        for other in [
            json!({ "name": "h" }),
            json!({ "name": "g", "namespace": "m" }),
            json!({ "name": "g", "sectionName": "http" }),
            json!({ "name": "g", "port": 80 }),
            json!({ "name": "g", "kind": "Service", "group": "" }),
        ] {
            assert!(!short.same_parent(&parent(other.clone()), "n"), "{other}");
        }
    }

    #[test]
    fn reading_and_writing_a_gateway_and_its_class_loses_nothing() {
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "g" },
            "spec": { "gatewayClassName": "c", "addresses": [], "listeners": [{
                "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": { "namespaces": { "from": "All" } },
            }] },
            "status": { "addresses": [{ "value": "10.0.0.1" }], "listeners": [{
                "name": "http", "attachedRoutes": 1, "supportedKinds": [], "conditions": [],
            }] },
        });
        let read: Gateway = serde_json::from_value(gateway.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), gateway);

        let class = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": { "name": "c" },
            "spec": { "controllerName": "example/controller", "parametersRef": { "name": "p" } },
            "status": { "supportedFeatures": [{ "name": "HTTPRouteRequestMirror" }], "x": 1 },
        });
        let read: GatewayClass = serde_json::from_value(class.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), class);
    }
}
