use serde_json::{Value, json};

use super::super::fixtures::{live, stored};
use super::*;

fn condition(type_: &str, status: &str, generation: i64) -> Value {
    json!({
        "type": type_, "status": status, "observedGeneration": generation, "reason": "Because",
        "message": "in the gateway's words", "lastTransitionTime": "2026-11-24T10:00:00Z",
    })
}

fn accepted(generation: i64) -> Vec<Value> {
    vec![
        condition("Accepted", "True", generation),
        condition("ResolvedRefs", "True", generation),
    ]
}

/// An entry for the route's only parent, as its controller spells it.
fn entry(conditions: &[Value]) -> Value {
    json!({
        "parentRef": { "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "edge", "name": "gw", "sectionName": "http" },
        "controllerName": "example.com/gateway",
        "conditions": conditions,
    })
}

fn of(parents: &[Value]) -> Acceptance {
    let mut route = stored(live(5));
    route.status = Some(serde_json::from_value(json!({ "parents": parents })).unwrap());
    acceptance(&route, 7)
}

fn is_pending(parents: &[Value]) -> bool {
    matches!(of(parents), Acceptance::Pending { .. })
}

#[test]
fn both_conditions_at_this_generation_are_acceptance() {
    assert_eq!(of(&[entry(&accepted(7))]), Acceptance::Accepted);
    assert_eq!(of(&[entry(&accepted(8))]), Acceptance::Accepted);
    let with_more = [accepted(7), vec![condition("PartiallyInvalid", "False", 7)]].concat();
    assert_eq!(of(&[entry(&with_more)]), Acceptance::Accepted);
}

#[test]
fn what_is_missing_stale_or_unknown_is_waited_for() {
    let pending_reason = |mut condition: Value| {
        condition["reason"] = json!("Pending");
        condition
    };
    let table: [(&str, Vec<Value>); 8] = [
        ("no entry", vec![]),
        ("no condition", vec![entry(&[])]),
        ("one condition", vec![entry(&[condition("Accepted", "True", 7)])]),
        (
            "the other condition",
            vec![entry(&[condition("ResolvedRefs", "True", 7)])],
        ),
        ("an older generation", vec![entry(&accepted(6))]),
        (
            "one older",
            vec![entry(&[
                condition("Accepted", "True", 7),
                condition("ResolvedRefs", "True", 6),
            ])],
        ),
        (
            "unknown",
            vec![entry(&[
                condition("Accepted", "Unknown", 7),
                condition("ResolvedRefs", "True", 7),
            ])],
        ),
        (
            "pending",
            vec![entry(&[
                pending_reason(condition("Accepted", "False", 7)),
                condition("ResolvedRefs", "True", 7),
            ])],
        ),
    ];
    for (name, parents) in table {
        assert!(is_pending(&parents), "{name}");
    }
    let mut no_generation = accepted(7);
    no_generation[0].as_object_mut().unwrap().remove("observedGeneration");
    assert!(is_pending(&[entry(&no_generation)]));
    assert_eq!(
        acceptance(&stored(live(5)), 7),
        Acceptance::Pending {
            waiting_for: "no controller has answered for Gateway edge/gw, listener http".to_owned()
        }
    );
}

#[test]
fn a_refusal_names_who_what_and_why() {
    let refused = of(&[entry(&[
        condition("Accepted", "True", 7),
        condition("ResolvedRefs", "False", 7),
    ])]);
    assert_eq!(
        refused,
        Acceptance::Refused {
            parent: "Gateway edge/gw, listener http".to_owned(),
            condition: "ResolvedRefs".to_owned(),
            reason: "Because".to_owned(),
            message:
                "Gateway edge/gw, listener http refuses the route: ResolvedRefs=False, Because: in the gateway's words"
                    .to_owned(),
        }
    );
    let stale = of(&[entry(&[
        condition("Accepted", "False", 6),
        condition("ResolvedRefs", "True", 7),
    ])]);
    assert!(
        matches!(stale, Acceptance::Pending { .. }),
        "an old refusal is about an old route"
    );
}

#[test]
fn what_was_dropped_is_refused_whatever_its_generation() {
    for generation in [5, 7] {
        let conditions = [accepted(7), vec![condition("PartiallyInvalid", "True", generation)]].concat();
        assert!(
            matches!(of(&[entry(&conditions)]), Acceptance::Refused { condition, .. } if condition == "PartiallyInvalid")
        );
    }
}

#[test]
fn entries_of_others_say_nothing() {
    let mut other = entry(&[condition("Accepted", "False", 7)]);
    other["parentRef"]["name"] = json!("other");
    assert_eq!(of(&[other.clone(), entry(&accepted(7))]), Acceptance::Accepted);
    assert!(is_pending(&[other]));
    let mut section = entry(&accepted(7));
    section["parentRef"]["sectionName"] = json!("https");
    assert!(is_pending(&[section]), "another listener is another parent");
    let mut namespace = entry(&accepted(7));
    namespace["parentRef"].as_object_mut().unwrap().remove("namespace");
    assert!(
        is_pending(&[namespace]),
        "without a namespace the Gateway is in the route's"
    );
}

#[test]
fn defaults_spelled_out_or_left_out_are_the_same_parent() {
    let mut short = entry(&accepted(7));
    for key in ["group", "kind"] {
        short["parentRef"].as_object_mut().unwrap().remove(key);
    }
    assert_eq!(of(&[short]), Acceptance::Accepted);
}

#[test]
fn every_controller_and_every_parent_has_to_accept() {
    let mut second = entry(&accepted(6));
    second["controllerName"] = json!("example.com/another");
    assert!(
        is_pending(&[entry(&accepted(7)), second.clone()]),
        "a second controller of the same parent"
    );
    second["conditions"] = json!([condition("Accepted", "False", 7)]);
    assert!(matches!(of(&[entry(&accepted(7)), second]), Acceptance::Refused { .. }));

    let mut route = stored(live(5));
    let mut parent = route.spec.parent_refs[0].clone();
    parent.name = "second".to_owned();
    route.spec.parent_refs.insert(0, parent);
    let mut refused = entry(&[condition("Accepted", "False", 7)]);
    route.status = Some(serde_json::from_value(json!({ "parents": [entry(&accepted(7))] })).unwrap());
    assert!(matches!(acceptance(&route, 7), Acceptance::Pending { .. }));
    // The first parent is silent, the second refuses: the refusal is the answer.
    refused["parentRef"]["name"] = json!("gw");
    route.status = Some(serde_json::from_value(json!({ "parents": [refused] })).unwrap());
    assert!(matches!(acceptance(&route, 7), Acceptance::Refused { .. }));

    route.spec.parent_refs.clear();
    assert!(matches!(acceptance(&route, 7), Acceptance::Pending { .. }));
}

#[test]
fn missing_endpoints_are_told_apart_from_refusal() {
    let mut route = stored(live(5));
    let conditions = [accepted(7), vec![condition("BackendsAvailable", "False", 7)]].concat();
    route.status = Some(serde_json::from_value(json!({ "parents": [entry(&conditions)] })).unwrap());
    assert_eq!(acceptance(&route, 7), Acceptance::Accepted);
    assert_eq!(missing_backends(&route).as_deref(), Some("in the gateway's words"));
    route.status = Some(serde_json::from_value(json!({ "parents": [entry(&accepted(7))] })).unwrap());
    assert_eq!(missing_backends(&route), None);
    assert_eq!(missing_backends(&stored(live(5))), None);
}

#[test]
fn a_gateways_words_are_cut() {
    let mut long = condition("Accepted", "False", 7);
    long["message"] = json!("ä".repeat(10_000));
    let Acceptance::Refused { message, .. } = of(&[entry(&[long])]) else {
        panic!("accepted")
    };
    assert!(message.chars().count() < MAX_WORDS + 100);
}
