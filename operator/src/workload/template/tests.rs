use proptest::prelude::*;
use serde_json::json;

use super::super::fixtures::{target, target_json};
use super::super::selector_conflicts;
use super::*;

fn overrides(json: Value) -> Vec<ContainerOverride> {
    serde_json::from_value(json).unwrap()
}

fn with(json: Value) -> Revision {
    resolve(&target(), "shop", &overrides(json)).unwrap()
}

fn labels(revision: &Revision) -> BTreeMap<String, String> {
    revision.template.metadata.clone().unwrap().labels.unwrap()
}

#[test]
fn without_overrides_everything_but_the_selected_labels_is_the_targets() {
    let revision = with(json!([]));
    let mut expected = target_json()["spec"]["template"].clone();
    expected["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("creationTimestamp");
    expected["metadata"]["labels"] = json!({
        "app": revision.name, "tier": "web", "penin.ai/cycle": "shop", "penin.ai/revision": revision.name,
    });
    assert_eq!(serde_json::to_value(&revision.template).unwrap(), expected);
    assert!(revision.name.starts_with("shop-") && revision.name.len() == 15);
    assert!(revision.digest.to_string().starts_with(&revision.name[5..]));
}

#[test]
fn overrides_change_what_they_name_and_nothing_else() {
    let revision = with(json!([{
        "name": "model",
        "image": "shop@sha256:2",
        "args": ["--weights=/w/2"],
        "env": [{ "name": "TOKEN", "value": "t" }, { "name": "NEW", "value": "" }],
        "resources": { "requests": { "cpu": "1000m" }, "limits": { "cpu": 2 } },
    }]));
    let template = serde_json::to_value(&revision.template).unwrap();
    assert_eq!(
        template["spec"]["containers"][0],
        json!({
            "name": "model",
            "image": "shop@sha256:2",
            "args": ["--weights=/w/2"],
            "env": [{ "name": "TOKEN", "value": "t" }, { "name": "MODE", "value": "fast" }, { "name": "NEW" }],
            "resources": { "requests": { "cpu": "1", "memory": "1Gi" }, "limits": { "cpu": "2", "memory": "1Gi" } },
            "securityContext": { "readOnlyRootFilesystem": true },
        })
    );
    assert_eq!(
        template["spec"]["containers"][1],
        target_json()["spec"]["template"]["spec"]["containers"][1]
    );
    for field in ["serviceAccountName", "securityContext", "volumes"] {
        assert_eq!(
            template["spec"][field],
            target_json()["spec"]["template"]["spec"][field]
        );
    }
}

#[test]
fn an_empty_argument_list_leaves_the_images_own() {
    let revision = with(json!([{ "name": "model", "args": [] }]));
    assert_eq!(revision.template.spec.unwrap().containers[0].args, None);
}

#[test]
fn equal_content_has_one_name_however_it_is_spelled() {
    let milli = with(json!([{ "name": "model", "resources": { "requests": { "cpu": "2000m" } } }]));
    let whole = with(json!([{ "name": "model", "resources": { "requests": { "cpu": "2" } } }]));
    let same = with(json!([{ "name": "model", "image": "shop:1" }]));
    assert_eq!(milli, whole);
    assert_eq!(same, with(json!([])));
    assert_ne!(milli.name, same.name);
}

/// The digest was computed with sha256sum over the sorted compact JSON.
#[test]
fn the_digest_is_that_of_the_canonical_template() {
    let target = json!({
        "metadata": {},
        "spec": {
            "selector": { "matchLabels": { "app": "a" } },
            "template": {
                "metadata": { "labels": { "app": "a", "tier": "web" } },
                "spec": { "containers": [{ "name": "m", "image": "i" }] }
            }
        }
    });
    let revision = resolve(&serde_json::from_value(target).unwrap(), "shop", &[]).unwrap();
    let canonical = r#"{"metadata":{"labels":{"tier":"web"}},"spec":{"containers":[{"image":"i","name":"m"}]}}"#;
    assert_eq!(revision.digest, Digest::of(canonical.as_bytes()));
    assert_eq!(
        revision.digest.to_string(),
        "1ddf637ef02eeb616f7ee33cb8273372606044d0eca5376252f8b326a0a8ed0b"
    );
}

#[test]
fn what_cannot_be_resolved_is_refused_with_its_field() {
    let refused = |json: Value| resolve(&target(), "shop", &overrides(json)).unwrap_err().to_string();
    assert_eq!(
        refused(json!([{ "name": "model" }, { "name": "modle" }])),
        "`spec.containers[1].name`: the target has no container `modle`; it has model, proxy"
    );
    assert_eq!(
        refused(json!([{ "name": "proxy" }, { "name": "model" }, { "name": "proxy" }])),
        "`spec.containers[2].name`: container `proxy` is named twice"
    );
    let amount = refused(json!([{ "name": "model", "resources": { "limits": { "memory": "-1" } } }]));
    assert_eq!(
        amount,
        "`spec.containers[0].resources.limits[memory]` must not be negative"
    );
}

#[test]
fn a_target_that_makes_no_revision_is_refused() {
    let mut bare = target();
    bare.spec
        .as_mut()
        .unwrap()
        .template
        .spec
        .as_mut()
        .unwrap()
        .containers
        .clear();
    assert_eq!(resolve(&bare, "shop", &[]), Err(TemplateError::NoContainers));
    assert_eq!(
        resolve(&Deployment::default(), "shop", &[]),
        Err(TemplateError::NoContainers)
    );

    let mut of_ours = target();
    of_ours.spec.as_mut().unwrap().template = with(json!([])).template;
    assert_eq!(resolve(&of_ours, "shop", &[]), Err(TemplateError::IsRevision));
}

#[test]
fn no_form_of_selector_reaches_the_revision() {
    let table = [
        (json!({ "matchLabels": { "app": "shop" } }), None),
        (json!({ "matchLabels": { "app": "shop", "tier": "web" } }), None),
        (
            json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": ["shop", "store"] }] }),
            None,
        ),
        (
            json!({ "matchExpressions": [{ "key": "app", "operator": "Exists" }] }),
            None,
        ),
        (
            json!({ "matchLabels": { "app": "shop" }, "matchExpressions": [{ "key": "app", "operator": "Exists" }] }),
            None,
        ),
        (
            json!({ "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["db"] }] }),
            Some(TemplateError::SelectorTooWide),
        ),
        (
            json!({ "matchExpressions": [{ "key": "canary", "operator": "DoesNotExist" }] }),
            Some(TemplateError::SelectorTooWide),
        ),
    ];
    for (selector, refused) in table {
        let mut target = target();
        target.spec.as_mut().unwrap().selector = serde_json::from_value(selector.clone()).unwrap();
        match resolve(&target, "shop", &[]) {
            Ok(revision) => {
                let parsed = Selector::try_from(target.spec.unwrap().selector).unwrap();
                assert!(refused.is_none() && !parsed.matches(&labels(&revision)), "{selector}");
            }
            Err(error) => assert_eq!(Some(error), refused, "{selector}"),
        }
    }
}

#[test]
fn a_key_keeps_a_value_unless_it_has_only_to_exist() {
    let key_after = |selector: Value| {
        let mut target = target();
        target.spec.as_mut().unwrap().selector = serde_json::from_value(selector).unwrap();
        let revision = resolve(&target, "shop", &[]).unwrap();
        labels(&revision).remove("app").map(|value| value == revision.name)
    };
    let exists = || json!({ "key": "app", "operator": "Exists" });
    let within = json!({ "key": "app", "operator": "In", "values": ["shop"] });
    assert_eq!(key_after(json!({ "matchExpressions": [exists()] })), None);
    assert_eq!(key_after(json!({ "matchExpressions": [within, exists()] })), Some(true));
    let both = json!({ "matchLabels": { "app": "shop" }, "matchExpressions": [exists()] });
    assert_eq!(key_after(both), Some(true));
}

#[test]
fn the_targets_own_service_does_not_reach_the_revision() {
    let users = json!([
        { "metadata": { "name": "shop" }, "spec": { "selector": { "app": "shop" } } },
        { "metadata": { "name": "web" }, "spec": { "selector": { "tier": "web" } } },
    ]);
    let services: Vec<k8s_openapi::api::core::v1::Service> = serde_json::from_value(users).unwrap();
    assert_eq!(selector_conflicts(&services, &labels(&with(json!([]))), "uid"), ["web"]);
}

#[test]
fn a_live_template_has_the_digest_until_it_is_changed() {
    let revision = with(json!([{ "name": "model", "image": "shop:2" }]));
    let digest = |template: &PodTemplateSpec| live_digest(template, &revision.name).unwrap();
    assert_eq!(digest(&revision.template), revision.digest);

    let mut image = revision.template.clone();
    image.spec.as_mut().unwrap().containers[0].image = Some("shop:3".to_owned());
    assert_ne!(digest(&image), revision.digest);

    let mut label = revision.template.clone();
    label
        .metadata
        .as_mut()
        .unwrap()
        .labels
        .as_mut()
        .unwrap()
        .insert("app".to_owned(), "shop".to_owned());
    assert_ne!(digest(&label), revision.digest);
}

#[test]
fn a_field_that_would_be_lost_is_named() {
    assert_eq!(parse_target(target_json()).unwrap(), target());

    let mut newer = target_json();
    newer["spec"]["template"]["spec"]["securityContext"]["sealed"] = json!(true);
    newer["spec"]["template"]["spec"]["containers"][1]["isolation"] = json!({ "level": "high" });
    let Err(TemplateError::UnknownFields { paths }) = parse_target(newer.clone()) else {
        panic!("accepted")
    };
    assert_eq!(
        paths,
        [
            "spec.template.spec.containers[1].isolation",
            "spec.template.spec.securityContext.sealed"
        ]
    );

    for i in 0..40 {
        newer["spec"]["template"]["spec"][format!("x{i}")] = json!(1);
    }
    let Err(TemplateError::UnknownFields { paths }) = parse_target(newer) else {
        panic!("accepted")
    };
    assert_eq!(paths.len(), MAX_UNKNOWN);
    assert!(matches!(
        parse_target(json!({ "spec": 1 })),
        Err(TemplateError::Unreadable(_))
    ));
}

prop_compose! {
    fn any_labels()(labels in prop::collection::btree_map("[a-z]{1,3}(/[a-z]{1,2})?", "[a-z]{0,3}", 0..6)) -> BTreeMap<String, String> {
        labels
    }
}

proptest! {
    /// Whatever the labels and the selector, a revision is refused or out of the target's reach, and it
    /// is out of reach of every Service that selects by a selector key of the target.
    #[test]
    fn a_revision_is_never_in_the_targets_reach(pod in any_labels(), take in 1_usize..4, extra in any_labels()) {
        let selected: BTreeMap<_, _> = pod.clone().into_iter().take(take).collect();
        prop_assume!(!selected.is_empty());
        let mut target = target();
        let spec = target.spec.as_mut().unwrap();
        spec.template.metadata.as_mut().unwrap().labels = Some(pod.clone());
        spec.selector = LabelSelector { match_labels: Some(selected.clone()), match_expressions: None };
        let revision = resolve(&target, "shop", &[]).unwrap();
        let labels = labels(&revision);
        let reaches = |selector: &BTreeMap<String, String>| {
            !selector.is_empty() && selector.iter().all(|(k, v)| labels.get(k) == Some(v))
        };
        prop_assert!(!reaches(&selected));
        let mut wider = selected.clone();
        wider.extend(extra);
        for (key, value) in &selected {
            wider.insert(key.clone(), value.clone());
            prop_assert!(!reaches(&wider));
        }
        prop_assert_eq!(live_digest(&revision.template, &revision.name).unwrap(), revision.digest);
    }

    /// A Challenger cannot reach anything but the four fields of the containers that it names.
    #[test]
    fn overrides_stay_inside_their_containers(image in "[a-z]{1,8}", arg in ".{0,8}", name in "[A-Z]{1,5}", value in ".{0,8}") {
        let wanted = json!([{ "name": "proxy", "image": image, "args": [arg], "env": [{ "name": name, "value": value }] }]);
        let (plain, changed) = (with(json!([])), with(wanted));
        let strip = |revision: &Revision| {
            let mut template = revision.template.clone();
            template.metadata.as_mut().unwrap().labels = None;
            let proxy = &mut template.spec.as_mut().unwrap().containers[1];
            (proxy.image, proxy.args, proxy.env) = (None, None, None);
            template
        };
        prop_assert_eq!(strip(&plain), strip(&changed));
    }
}
