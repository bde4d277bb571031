use serde_json::{Value, json};

use super::*;

fn slice(endpoints: &[Value]) -> EndpointSlice {
    serde_json::from_value(json!({ "addressType": "IPv4", "metadata": {}, "endpoints": endpoints })).unwrap()
}

fn endpoint(address: &str, uid: Option<&str>, conditions: &Value) -> Value {
    let target = uid.map(|uid| json!({ "kind": "Pod", "uid": uid }));
    json!({ "addresses": [address], "targetRef": target, "conditions": conditions })
}

#[test]
fn only_stated_readiness_counts() {
    let table = [
        (json!({ "ready": true }), 1),
        (json!({ "ready": true, "serving": true, "terminating": false }), 1),
        (json!({ "ready": false }), 0),
        (json!({ "ready": false, "serving": true, "terminating": true }), 0),
        (json!({ "ready": true, "terminating": true }), 0),
        (json!({ "serving": true }), 0),
        (json!({}), 0),
        (Value::Null, 0),
    ];
    for (conditions, expected) in table {
        let slices = [slice(&[endpoint("10.0.0.1", Some("a"), &conditions)])];
        assert_eq!(ready_endpoints(&slices), expected, "{conditions}");
    }
    assert_eq!(ready_endpoints(&[]), 0);
}

#[test]
fn a_pod_counts_once_over_all_slices() {
    let ready = json!({ "ready": true });
    let four = slice(&[
        endpoint("10.0.0.1", Some("a"), &ready),
        endpoint("10.0.0.2", Some("b"), &ready),
    ]);
    let six = slice(&[endpoint("fd00::1", Some("a"), &ready)]);
    let nameless = slice(&[endpoint("10.0.0.9", None, &ready), endpoint("10.0.0.9", None, &ready)]);
    assert_eq!(ready_endpoints(&[four.clone(), six.clone()]), 2);
    assert_eq!(ready_endpoints(&[four, six, nameless]), 3);
}
