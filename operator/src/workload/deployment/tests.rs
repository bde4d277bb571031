use serde_json::json;

use super::super::fixtures::{home, target};
use super::super::resolve;
use super::*;

#[test]
fn the_deployment_runs_the_frozen_template_and_selects_by_our_labels_alone() {
    let revision = resolve(&target(), "shop", &[]).unwrap();
    let rollout = Rollout::new(&target(), Duration::from_mins(2));
    let built = serde_json::to_value(deployment(&home(), &revision, 3, rollout)).unwrap();
    let name = &revision.name;
    let labels = json!({ "penin.ai/cycle": "shop", "penin.ai/revision": name });
    assert_eq!(
        built["metadata"],
        json!({
            "name": name,
            "namespace": "prod",
            "labels": { "app.kubernetes.io/managed-by": "penin-operator", "penin.ai/cycle": "shop", "penin.ai/revision": name },
            "ownerReferences": [{
                "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle", "name": "shop", "uid": "cycle-uid",
                "controller": true, "blockOwnerDeletion": true,
            }],
        })
    );
    let mut spec = built["spec"].clone();
    assert_eq!(
        spec["template"].take(),
        serde_json::to_value(&revision.template).unwrap()
    );
    assert_eq!(
        spec,
        json!({
            "replicas": 3,
            "minReadySeconds": 5,
            "progressDeadlineSeconds": 120,
            "revisionHistoryLimit": 0,
            "selector": { "matchLabels": labels },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "template": null,
        })
    );
    let template_labels = revision.template.metadata.unwrap().labels.unwrap();
    for (key, value) in labels.as_object().unwrap() {
        assert_eq!(
            template_labels[key],
            value.as_str().unwrap(),
            "a Deployment must select its own pods"
        );
    }
}

#[test]
fn the_deadline_is_in_whole_seconds_and_after_the_time_to_availability() {
    let seconds = |deadline| Rollout::new(&target(), deadline).progress_deadline_seconds;
    assert_eq!(seconds(Duration::from_millis(10_001)), 11);
    assert_eq!(seconds(Duration::from_secs(5)), 6);
    assert_eq!(seconds(Duration::ZERO), 6);
    assert_eq!(seconds(Duration::MAX), i32::MAX);
}
