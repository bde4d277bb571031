use serde_json::{Value, json};

use super::super::fixtures::{TOKEN, intent, live, mirroring, staged, stored, watching};
use super::super::intent::Split;
use super::*;

/// The drift of a route of `split` after `change` of its JSON.
fn after(split: &Split, change: impl FnOnce(&mut Value)) -> Option<Drift> {
    let mut json = serde_json::to_value(stored(split.clone())).unwrap();
    change(&mut json);
    drift(&intent(split.clone()), &serde_json::from_value(json).unwrap())
}

fn above(found: u32, written: u8) -> Drift {
    Drift::WeightAboveWritten {
        service: "shop-new".to_owned(),
        found,
        written,
    }
}

#[test]
fn defaults_that_the_server_fills_in_are_no_drift() {
    let filled = |json: &mut Value| {
        json["spec"]["rules"][0]["filters"][0]["requestMirror"]["backendRef"]["namespace"] = json!("prod");
        json["spec"]["rules"][0]["backendRefs"][0]["namespace"] = json!("prod");
        json["metadata"]["annotations"] = json!({ "theirs": "x", "penin.ai/epoch": "3" });
        json["metadata"]["labels"]["theirs"] = json!("x");
    };
    assert_eq!(after(&mirroring(20), filled), None);
    let left_out = |json: &mut Value| {
        for (at, keys) in [
            ("/spec/parentRefs/0", &["group", "kind"][..]),
            ("/spec/rules/1/backendRefs/0", &["group", "kind", "weight"]),
            ("/spec/rules/1/matches/0", &["path"]),
            ("/spec/rules/0/matches/0/headers/0", &["type"]),
        ] {
            for key in keys {
                json.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(*key);
            }
        }
    };
    assert_eq!(after(&live(5), left_out), None);
}

#[test]
fn more_live_requests_than_written_come_first() {
    let weights = |old: i32, new: i32| {
        move |json: &mut Value| {
            json["spec"]["rules"][0]["backendRefs"][0]["weight"] = json!(old);
            json["spec"]["rules"][0]["backendRefs"][1]["weight"] = json!(new);
        }
    };
    assert_eq!(after(&live(5), weights(60, 40)), Some(above(40, 5)));
    assert_eq!(
        after(&live(5), weights(94, 5)),
        Some(above(6, 5)),
        "5 of 99 are more than 5 %"
    );
    assert_eq!(after(&staged(), weights(1_000_000, 1)), Some(above(1, 0)));
    assert_eq!(after(&watching(), weights(0, 1)), Some(above(100, 0)));
    assert_eq!(
        after(&live(5), weights(950, 50)),
        Some(Drift::Weight),
        "the same share, not the same weights"
    );
    assert_eq!(after(&live(5), weights(96, 4)), Some(Drift::Weight));
    assert_eq!(after(&live(5), weights(0, 0)), Some(Drift::Weight));

    // Everything else is wrong as well, and the weight is still named.
    let all = |json: &mut Value| {
        weights(0, 100)(json);
        json["spec"]["hostnames"] = json!(["other.example.com"]);
        json["spec"]["rules"][0]["filters"] = json!([]);
        json["metadata"]["labels"] = json!({});
    };
    assert_eq!(after(&mirroring(20), all), Some(above(100, 0)));
}

#[test]
fn a_weight_left_out_is_a_weight_of_one() {
    let left_out = |json: &mut Value| {
        json["spec"]["rules"][0]["backendRefs"][1]
            .as_object_mut()
            .unwrap()
            .remove("weight");
    };
    assert_eq!(after(&staged(), left_out), Some(above(1, 0)));
}

#[test]
fn a_way_past_the_weights_is_found() {
    let open = |json: &mut Value| {
        json["spec"]["rules"][1]["matches"][0]
            .as_object_mut()
            .unwrap()
            .remove("headers");
    };
    assert_eq!(
        after(&staged(), open),
        Some(above(50, 0)),
        "the warm rule without its header"
    );
    let guessable = |json: &mut Value| {
        json["spec"]["rules"][1]["matches"][0]["headers"][0]["value"] = json!("warm");
    };
    assert_eq!(after(&staged(), guessable), Some(above(50, 0)));
    let second_match = |json: &mut Value| {
        json["spec"]["rules"][1]["matches"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "path": { "value": "/canary" } }));
    };
    assert_eq!(after(&live(5), second_match), Some(above(50, 5)));
    let extra = |json: &mut Value| {
        let rule = json!({ "backendRefs": [{ "name": "shop-new", "port": 80 }] });
        json["spec"]["rules"].as_array_mut().unwrap().push(rule);
    };
    assert_eq!(after(&live(5), extra), Some(above(100, 5)));
    let twice = |json: &mut Value| {
        let backend = json["spec"]["rules"][0]["backendRefs"][1].clone();
        json["spec"]["rules"][0]["backendRefs"]
            .as_array_mut()
            .unwrap()
            .push(backend);
    };
    assert_eq!(
        after(&live(5), twice),
        Some(above(10, 5)),
        "two entries of 5 in a sum of 105"
    );
    let third = |json: &mut Value| {
        let backend = json!({ "name": "shop-old", "namespace": "elsewhere", "port": 80, "weight": 3 });
        json["spec"]["rules"][0]["backendRefs"]
            .as_array_mut()
            .unwrap()
            .push(backend);
    };
    let service = "Service elsewhere/shop-old".to_owned();
    assert_eq!(
        after(&staged(), third),
        Some(Drift::WeightAboveWritten {
            service,
            found: 3,
            written: 0
        })
    );
}

/// Sets one member of the route's JSON; the last part of the path may be new.
fn set(json: &mut Value, path: &str, value: Value) {
    let (parent, key) = path.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Array(items) if key == "-" => items.push(value),
        parent => parent[key] = value,
    }
}

#[test]
fn every_other_difference_has_its_name() {
    let rewrite = json!([{ "type": "URLRewrite", "urlRewrite": { "hostname": "x" } }]);
    let query = json!([{ "name": "a", "value": "b" }]);
    let extra =
        json!({ "matches": [{ "path": { "value": "/x" } }], "backendRefs": [{ "name": "shop-old", "port": 80 }] });
    let alone = || Split::ChampionOnly;
    let table = [
        (
            mirroring(20),
            "/spec/rules/0/filters/0/requestMirror/percent",
            json!(21),
            Drift::Mirror,
        ),
        (mirroring(20), "/spec/rules/0/filters", json!([]), Drift::Mirror),
        (
            mirroring(20),
            "/spec/rules/0/filters/0/requestMirror/backendRef/name",
            json!("x"),
            Drift::Mirror,
        ),
        (live(5), "/spec/rules/0/backendRefs/0/port", json!(81), Drift::Backends),
        (alone(), "/spec/rules", json!([]), Drift::Backends),
        (
            staged(),
            "/spec/rules/1/backendRefs/1/weight",
            json!(0),
            Drift::WarmRule,
        ),
        (alone(), "/spec/rules/-", extra, Drift::ExtraRule),
        (live(5), "/spec/rules/0/matches/0/method", json!("GET"), Drift::Matches),
        (live(5), "/spec/rules/0/matches/0/queryParams", query, Drift::Matches),
        (live(5), "/spec/rules/0/filters", rewrite, Drift::Filters),
        (live(5), "/spec/parentRefs/0/name", json!("other"), Drift::Parents),
        (live(5), "/spec/hostnames", json!([]), Drift::Hostnames),
        (
            live(5),
            "/spec/rules/0/timeouts",
            json!({ "request": "1s" }),
            Drift::OtherFields,
        ),
        (live(5), "/spec/useDefaultGateways", json!("All"), Drift::OtherFields),
        (
            live(5),
            "/metadata/labels",
            json!({ "penin.ai/cycle": "shop" }),
            Drift::Labels,
        ),
    ];
    for (split, path, value, expected) in table {
        assert_eq!(
            after(&split, |json| set(json, path, value)),
            Some(expected.clone()),
            "{path}"
        );
        assert!(!expected.to_string().is_empty());
    }
    let without_warm_rule = after(&staged(), |json| {
        json["spec"]["rules"].as_array_mut().unwrap().pop();
    });
    assert_eq!(without_warm_rule, Some(Drift::WarmRule));
}

#[test]
fn a_backend_filter_is_a_difference() {
    // Session persistence and backend filters change who answers, whatever the weights.
    let persistent = |json: &mut Value| {
        json["spec"]["rules"][0]["sessionPersistence"] = json!({ "sessionName": "s" });
    };
    assert_eq!(after(&live(5), persistent), Some(Drift::OtherFields));
    let filtered = |json: &mut Value| {
        json["spec"]["rules"][0]["backendRefs"][1]["filters"] = json!([{ "type": "RequestHeaderModifier" }]);
    };
    assert_eq!(after(&live(5), filtered), Some(Drift::Backends));
}

#[test]
fn the_sentence_names_the_service_and_both_shares() {
    let text = above(40, 5).to_string();
    assert_eq!(text, "shop-new gets 40 % of the live requests instead of 5 %");
    assert_eq!(TOKEN.len(), 32);
}
