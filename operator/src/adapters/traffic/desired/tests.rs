use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fixtures::{TOKEN, any_split, failed_over, gateway, intent, live, mirroring, staged, watching};
use super::super::intent::Split;
use super::*;

fn spec(split: Split) -> Value {
    serde_json::to_value(desired(&intent(split)).spec).unwrap()
}

fn refs(old: i32, new: i32) -> Value {
    json!([
        { "group": "", "kind": "Service", "name": "shop-old", "port": 80, "weight": old },
        { "group": "", "kind": "Service", "name": "shop-new", "port": 80, "weight": new },
    ])
}

fn user_matches() -> Value {
    json!([{
        "path": { "type": "PathPrefix", "value": "/v1" },
        "headers": [{ "type": "Exact", "name": "X-Tenant", "value": "a" }],
        "method": "POST",
    }])
}

#[test]
fn the_champions_route_is_written_out() {
    let route = serde_json::to_value(desired(&intent(Split::ChampionOnly))).unwrap();
    let expected = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "shop",
            "namespace": "prod",
            "labels": { "app.kubernetes.io/managed-by": "penin-operator", "penin.ai/cycle": "shop" },
            "ownerReferences": [{
                "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle", "name": "shop", "uid": "cycle-uid",
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "parentRefs": [{
                "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "edge", "name": "gw", "sectionName": "http",
            }],
            "hostnames": ["shop.example.com"],
            "rules": [{
                "matches": user_matches(),
                "backendRefs": [{ "group": "", "kind": "Service", "name": "shop-old", "port": 80, "weight": 100 }],
            }],
        },
    });
    assert_eq!(route, expected);
}

#[test]
fn two_backends_have_a_main_rule_and_a_warm_rule() {
    for (split, old, new) in [
        (staged(), 100, 0),
        (live(1), 99, 1),
        (live(5), 95, 5),
        (watching(), 100, 0),
        (failed_over(), 0, 100),
    ] {
        let expected = json!([
            { "matches": user_matches(), "backendRefs": refs(old, new) },
            {
                "matches": [{
                    "path": { "type": "PathPrefix", "value": "/" },
                    "headers": [{ "type": "Exact", "name": "x-penin-warm", "value": TOKEN }],
                }],
                "backendRefs": refs(1, 1),
            },
        ]);
        assert_eq!(spec(split.clone())["rules"], expected, "{split}");
    }
}

#[test]
fn the_mirror_stands_at_the_rule_and_the_weight_at_zero() {
    let rules = &spec(mirroring(20))["rules"];
    let filter = json!([{
        "type": "RequestMirror",
        "requestMirror": { "backendRef": { "group": "", "kind": "Service", "name": "shop-new", "port": 80 }, "percent": 20 },
    }]);
    assert_eq!(rules[0]["filters"], filter);
    assert_eq!(rules[0]["backendRefs"], refs(100, 0));
    assert_eq!(rules[1].get("filters"), None);
}

#[test]
fn the_users_settings_reach_the_route() {
    let mut wide = intent(Split::ChampionOnly);
    wide.gateway = gateway(&json!({
        "parentRefs": [{ "name": "a" }, { "name": "b", "port": 8080 }],
        "matches": [{ "path": { "type": "Exact", "value": "/x" } }, { "path": { "value": "/y" } }],
    }));
    let spec = serde_json::to_value(desired(&wide).spec).unwrap();
    let parent = |extra: Value| {
        let mut parent = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway" });
        parent
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        parent
    };
    assert_eq!(
        spec["parentRefs"],
        json!([
            parent(json!({ "name": "a" })),
            parent(json!({ "name": "b", "port": 8080 }))
        ])
    );
    assert_eq!(spec.get("hostnames"), None);
    let paths =
        json!([{ "path": { "type": "Exact", "value": "/x" } }, { "path": { "type": "PathPrefix", "value": "/y" } }]);
    assert_eq!(spec["rules"][0]["matches"], paths);
}

#[test]
fn every_method_has_its_name() {
    for name in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ] {
        let method: HttpMethod = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(method_name(method), name);
    }
}

#[test]
fn the_token_is_found_in_the_warm_rule_alone() {
    let route = desired(&intent(staged()));
    assert_eq!(warm_token(&route), Some(TOKEN.parse().unwrap()));
    assert_eq!(warm_token(&desired(&intent(Split::ChampionOnly))), None);

    let mut users_own = intent(Split::ChampionOnly);
    users_own.gateway.matches[0].headers[0].name = WARM_HEADER.to_owned();
    users_own.gateway.matches[0].headers[0].value = TOKEN.to_owned();
    assert_eq!(warm_token(&desired(&users_own)), None);

    let mut guessable = route;
    guessable.spec.rules[1].matches[0].headers[0].value = "warm".to_owned();
    assert_eq!(warm_token(&guessable), None);
}

proptest! {
    /// No weight is ever left out: left out, 0 would mean 1.
    #[test]
    fn every_weight_is_written(split in any_split()) {
        let spec = spec(split);
        for rule in spec["rules"].as_array().unwrap() {
            for backend in rule["backendRefs"].as_array().unwrap() {
                prop_assert!(backend["weight"].is_i64(), "{}", backend);
                prop_assert!(backend["name"] == "shop-old" || backend["name"] == "shop-new");
                prop_assert_eq!(&backend["group"], "");
                prop_assert_eq!(&backend["kind"], "Service");
                prop_assert_eq!(backend.get("namespace"), None);
            }
        }
    }

    /// Whoever does not know the token reaches the second Service by its live weight alone.
    #[test]
    fn only_the_token_leads_past_the_weights(split in any_split()) {
        let intent = intent(split);
        let other = intent.other().map(|(_, weight)| i64::from(weight.get()));
        let spec = serde_json::to_value(desired(&intent).spec).unwrap();
        for rule in spec["rules"].as_array().unwrap() {
            let guarded = rule["matches"].as_array().unwrap().iter().all(|matched| {
                matched["headers"].as_array().unwrap().iter().any(|header| {
                    header["name"] == WARM_HEADER && header["value"] == TOKEN && header["type"] == "Exact"
                })
            });
            if !guarded {
                let found = rule["backendRefs"].as_array().unwrap().iter().find(|b| b["name"] == "shop-new");
                prop_assert_eq!(found.and_then(|backend| backend["weight"].as_i64()), other);
            }
        }
    }

    /// What is read back is what was written.
    #[test]
    fn the_route_survives_its_json(split in any_split()) {
        let route = desired(&intent(split));
        let text = serde_json::to_string(&route).unwrap();
        prop_assert_eq!(serde_json::from_str::<HttpRoute>(&text).unwrap(), route);
    }
}
