use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fixtures::{any_split, gateway, intent, stored};
use super::super::intent::Split;
use super::*;

const OLD: &str = "2026-11-24T09:00:00Z";
const NEW: &str = "2026-11-24T11:00:00Z";

/// A route of somebody else at our Gateway.
fn other(name: &str, created: &str, hostnames: &Value, matches: &Value) -> HttpRoute {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": "prod", "creationTimestamp": created },
        "spec": {
            "parentRefs": [{ "name": "gw", "namespace": "edge" }],
            "hostnames": hostnames,
            "rules": [{ "matches": matches, "backendRefs": [{ "name": "legacy", "port": 80 }] }],
        },
    }))
    .unwrap()
}

/// Our intent with host name `shop.example.com` and path `/v1`, nothing else.
fn ours() -> RouteIntent {
    let mut intent = intent(Split::ChampionOnly);
    intent.gateway = gateway(&json!({
        "parentRefs": [{ "name": "gw", "namespace": "edge" }],
        "hostnames": ["shop.example.com"],
        "matches": [{ "path": { "value": "/v1" } }],
    }));
    intent
}

fn conflict(route: &HttpRoute) -> Option<Conflict> {
    conflicts(&ours(), None, [route])
}

#[test]
fn an_equally_specific_older_route_is_named() {
    let found = conflict(&other(
        "legacy",
        OLD,
        &json!(["shop.example.com"]),
        &json!([{ "path": { "value": "/v1" } }]),
    ));
    assert_eq!(
        found.unwrap().to_string(),
        "HTTPRoute prod/legacy is older and takes the requests for shop.example.com /v1 at Gateway edge/gw: delete it, or that match, to cut over"
    );
}

#[test]
fn only_a_tie_is_a_conflict() {
    let path = |value: &str| json!([{ "path": { "value": value } }]);
    let table = [
        ("the same", json!(["shop.example.com"]), path("/v1"), true),
        ("a trailing slash", json!(["shop.example.com"]), path("/v1/"), true),
        (
            "one of several hosts",
            json!(["a.io", "shop.example.com"]),
            path("/v1"),
            true,
        ),
        (
            "one of several matches",
            json!(["shop.example.com"]),
            json!([{ "path": { "value": "/x" } }, { "path": { "value": "/v1" } }]),
            true,
        ),
        (
            "less specific path: ours wins",
            json!(["shop.example.com"]),
            path("/"),
            false,
        ),
        (
            "no match, which is every path: ours wins",
            json!(["shop.example.com"]),
            json!([]),
            false,
        ),
        (
            "more specific path: a part by wish",
            json!(["shop.example.com"]),
            path("/v1/embed"),
            false,
        ),
        (
            "more specific by a header: a part by wish",
            json!(["shop.example.com"]),
            json!([{ "path": { "value": "/v1" }, "headers": [{ "name": "h", "value": "1" }] }]),
            false,
        ),
        (
            "wildcard: ours is more specific",
            json!(["*.example.com"]),
            path("/v1"),
            false,
        ),
        ("all hosts: ours is more specific", json!([]), path("/v1"), false),
        ("another host", json!(["other.example.com"]), path("/v1"), false),
        (
            "another path of the same length",
            json!(["shop.example.com"]),
            path("/v2"),
            false,
        ),
    ];
    for (name, hostnames, matches, expected) in table {
        assert_eq!(
            conflict(&other("legacy", OLD, &hostnames, &matches)).is_some(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn wildcards_tie_with_wildcards_and_silence_with_silence() {
    let mut wild = ours();
    wild.gateway.hostnames = vec!["*.example.com".to_owned()];
    let route = |hostnames: Value| other("legacy", OLD, &hostnames, &json!([{ "path": { "value": "/v1" } }]));
    assert!(conflicts(&wild, None, [&route(json!(["*.example.com"]))]).is_some());
    assert!(conflicts(&wild, None, [&route(json!(["*.b.example.com"]))]).is_none());
    assert!(
        conflicts(&wild, None, [&route(json!(["shop.example.com"]))]).is_none(),
        "one host of many, by wish"
    );
    wild.gateway.hostnames.clear();
    assert!(conflicts(&wild, None, [&route(json!([]))]).is_some());
}

#[test]
fn a_default_match_ties_with_none() {
    let mut all = ours();
    all.gateway.matches = gateway(&json!({ "parentRefs": [{ "name": "gw" }] })).matches;
    let silent = other("legacy", OLD, &json!(["shop.example.com"]), &json!([]));
    assert_eq!(
        conflicts(&all, None, [&silent]).map(|conflict| conflict.path),
        Some("/".to_owned())
    );
}

#[test]
fn age_decides_and_then_the_name() {
    let tie = |name: &str, created| {
        other(
            name,
            created,
            &json!(["shop.example.com"]),
            &json!([{ "path": { "value": "/v1" } }]),
        )
    };
    // Our own route was created at 10:00 as prod/shop.
    let current = stored(Split::ChampionOnly);
    let found = |route: HttpRoute| conflicts(&ours(), Some(&current), [&route]).is_some();
    assert!(found(tie("legacy", OLD)));
    assert!(!found(tie("legacy", NEW)));
    assert!(found(tie("a", "2026-11-24T10:00:00Z")), "prod/a comes before prod/shop");
    assert!(!found(tie("z", "2026-11-24T10:00:00Z")));
    assert!(
        conflict(&tie("z", NEW)).is_some(),
        "a route that does not exist yet is younger than all"
    );

    let two = [tie("newer", "2026-11-24T09:30:00Z"), tie("older", OLD)];
    assert_eq!(conflicts(&ours(), Some(&current), &two).unwrap().name, "older");
}

#[test]
fn routes_without_a_common_listener_do_not_meet() {
    let tie = other(
        "legacy",
        OLD,
        &json!(["shop.example.com"]),
        &json!([{ "path": { "value": "/v1" } }]),
    );
    let with = |own: Value, theirs: Value| {
        let mut intent = ours();
        intent.gateway.parent_refs = serde_json::from_value(json!([own])).unwrap();
        let mut route = tie.clone();
        route.spec.parent_refs = serde_json::from_value(json!([theirs])).unwrap();
        conflicts(&intent, None, [&route]).is_some()
    };
    let gw = || json!({ "name": "gw", "namespace": "edge" });
    let part = |key: &str, value: Value| {
        let mut parent = gw();
        parent[key] = value;
        parent
    };
    assert!(with(gw(), gw()));
    assert!(
        with(gw(), part("sectionName", json!("http"))),
        "all listeners include this one"
    );
    assert!(with(part("sectionName", json!("http")), gw()));
    assert!(!with(
        part("sectionName", json!("http")),
        part("sectionName", json!("https"))
    ));
    assert!(!with(part("port", json!(80)), part("port", json!(81))));
    assert!(with(part("port", json!(80)), gw()));
    assert!(!with(gw(), json!({ "name": "other", "namespace": "edge" })));
    assert!(
        !with(gw(), json!({ "name": "gw" })),
        "a Gateway of the route's own namespace"
    );
    assert!(with(
        json!({ "name": "gw" }),
        json!({ "name": "gw", "namespace": "prod" })
    ));
    assert!(!with(
        json!({ "name": "gw" }),
        json!({ "name": "gw", "kind": "Service", "group": "" })
    ));
}

proptest! {
    /// We are never our own conflict, in whatever split.
    #[test]
    fn our_own_route_is_no_conflict(split in any_split(), other_split in any_split()) {
        let route = stored(split);
        prop_assert_eq!(conflicts(&intent(other_split.clone()), Some(&route), [&route]), None);
        prop_assert_eq!(conflicts(&intent(other_split), None, [&route]), None);
    }
}
