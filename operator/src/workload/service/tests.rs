use serde_json::{Value, json};

use super::super::fixtures::{home, target};
use super::super::resolve;
use super::*;

const PORTS: ServicePorts = ServicePorts {
    port: 80,
    target_port: 8080,
};

fn other(name: &str, selector: &Value) -> Service {
    serde_json::from_value(json!({ "metadata": { "name": name }, "spec": { "selector": selector } })).unwrap()
}

#[test]
fn the_service_selects_by_our_labels_alone() {
    let built = serde_json::to_value(service(&home(), "shop-0123456789", &PORTS)).unwrap();
    assert_eq!(
        built["spec"],
        json!({
            "type": "ClusterIP",
            "selector": { "penin.ai/cycle": "shop", "penin.ai/revision": "shop-0123456789" },
            "ports": [{ "name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080 }],
        })
    );
    assert_eq!(built["metadata"]["name"], "shop-0123456789");
    assert_eq!(built["metadata"]["ownerReferences"][0]["uid"], "cycle-uid");
}

#[test]
fn a_service_conflicts_when_all_of_its_selector_fits() {
    let revision = resolve(&target(), "shop", &[]).unwrap();
    let labels = revision.template.metadata.unwrap().labels.unwrap();
    let table = [
        (json!({ "app": "shop" }), false),
        (json!({ "app": "shop", "tier": "web" }), false),
        (json!({ "tier": "web" }), true),
        (json!({ "tier": "web", "zone": "a" }), false),
        (json!({ "penin.ai/cycle": "shop" }), true),
        (json!({}), false),
        (Value::Null, false),
    ];
    for (selector, conflict) in table {
        let found = selector_conflicts(&[other("theirs", &selector)], &labels, "cycle-uid");
        assert_eq!(!found.is_empty(), conflict, "{selector}");
    }
}

#[test]
fn only_the_revisions_own_service_is_excepted() {
    let revision = resolve(&target(), "shop", &[]).unwrap();
    let labels = revision.template.metadata.unwrap().labels.unwrap();
    let ours = service(&home(), &revision.name, &PORTS);
    let conflicts = |service: Service| selector_conflicts(&[service], &labels, "cycle-uid");
    assert!(conflicts(ours.clone()).is_empty());

    let mut orphaned = ours.clone();
    orphaned.metadata.owner_references = None;
    assert_eq!(conflicts(orphaned), [revision.name.as_str()]);

    let mut renamed = ours.clone();
    renamed.metadata.name = Some("copy".to_owned());
    assert_eq!(conflicts(renamed), ["copy"]);

    let mut of_another_cycle = ours;
    of_another_cycle.metadata.owner_references.as_mut().unwrap()[0].uid = "other-uid".to_owned();
    assert_eq!(conflicts(of_another_cycle), [revision.name.as_str()]);
}

#[test]
fn the_list_is_sorted_and_bounded() {
    let labels = BTreeMap::from([("tier".to_owned(), "web".to_owned())]);
    let many: Vec<_> = (0..40)
        .rev()
        .map(|i| other(&format!("s{i:02}"), &json!({ "tier": "web" })))
        .collect();
    let found = selector_conflicts(&many, &labels, "cycle-uid");
    assert_eq!(found.len(), MAX_CONFLICTS);
    assert_eq!(found.first().map(String::as_str), Some("s00"));
    assert!(found.is_sorted());
}
