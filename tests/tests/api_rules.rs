//! What the API server accepts and refuses, asked of a real one.
//!
//! The table of refusals changes one field of an example that is accepted as it stands, so every
//! refusal is the work of the rule it is listed for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod api;

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use api::{
    Edit, Server,
    acceptances::acceptances,
    anchors, edited, example, examples,
    refusals::{Refusal, refusals},
};

const AT_ONCE: usize = 16;

#[tokio::test]
async fn examples_are_accepted_and_get_their_defaults() {
    let server = Server::start().await;
    for (name, object) in examples() {
        let stored = server
            .create(&object)
            .await
            .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let status = stored.pointer("/status/observedGeneration");
        assert_eq!(status, Some(&json!(-1)), "{name}: nobody has seen it yet");
        let spec: Value = stored["spec"].clone();
        assert!(
            contains(&spec, &object["spec"]),
            "{name}: a given value was changed: {spec}"
        );
    }
    let stored = server.create(&example("cycle-minimal")).await.unwrap();
    let defaults = json!({
        "interval": "10s",
        "suspend": false,
        "deletionPolicy": "Orphan",
        "shadow": { "percent": 100, "duration": "5m", "minSamples": 100, "deadline": "30m" },
        "canary": { "steps": [{ "weight": 5, "duration": "10m", "minSamples": 500 }], "deadline": "1h" },
        "promotion": { "watch": "5m", "minSamples": 100, "deadline": "30m", "drain": "30s" },
        "revisions": {
            "champion": { "replicas": 1 }, "challenger": { "replicas": 1 }, "historyLimit": 2, "progressDeadline": "5m",
        },
    });
    assert!(contains(&stored["spec"], &defaults), "{}", stored["spec"]);
}

#[tokio::test]
async fn bad_values_are_refused_with_a_message_that_names_the_field() {
    let server = Server::start().await;
    let table = refusals();
    let distinct: BTreeSet<_> = table
        .iter()
        .map(|case| (case.field.as_str(), case.says.as_str()))
        .collect();
    assert!(
        distinct.len() >= 40,
        "only {} distinct pairs of field and rule",
        distinct.len()
    );
    let failures: Vec<String> = stream::iter(&table)
        .map(|case| {
            let server = &server;
            async move { judge(server, case).await.err() }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failure| failure)
        .collect()
        .await;
    assert!(
        failures.is_empty(),
        "{} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

async fn judge(server: &Server, case: &Refusal) -> Result<(), String> {
    let Refusal {
        base,
        edit,
        field,
        says,
    } = case;
    match server.create(&edited(&example(base), std::slice::from_ref(edit))).await {
        Ok(_) => Err(format!("{field}: {edit:?} was accepted")),
        Err(message) if message.contains(field) && message.contains(says) => Ok(()),
        Err(message) => Err(format!("{field} / {says}: refused, but with: {message}")),
    }
}

#[tokio::test]
async fn values_at_the_ends_of_their_ranges_are_accepted() {
    let server = Server::start().await;
    let failures: Vec<String> = stream::iter(acceptances())
        .map(|(base, edit)| {
            let server = &server;
            async move {
                let object = edited(&example(&base), std::slice::from_ref(&edit));
                let refused = server.create(&object).await.err()?;
                Some(format!("{base}: {edit:?}: {refused}"))
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failure| failure)
        .collect()
        .await;
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn what_identifies_an_object_cannot_be_changed() {
    let server = Server::start().await;
    let cases: &[(&str, Edit, &str)] = &[
        (
            "cycle-full",
            Edit::set("/spec/targetRef/name", json!("other")),
            "`spec.targetRef` must not change",
        ),
        (
            "cycle-full",
            Edit::set("/spec/service/targetPort", json!(9000)),
            "`spec.service` must not change",
        ),
        (
            "cycle-full",
            Edit::set("/spec/engine/seed", json!("7")),
            "`spec.engine.seed` must not change",
        ),
        (
            "cycle-full",
            Edit::remove("/spec/engine/seed"),
            "`spec.engine.seed` must not change",
        ),
        (
            "challenger",
            Edit::set("/spec/containers/0/image", json!("other")),
            "`spec` must not change",
        ),
        ("challenger", Edit::remove("/spec/proposal"), "`spec` must not change"),
    ];
    for base in ["cycle-full", "cycle-minimal", "challenger"] {
        let object = example(base);
        let api = server.api(&object);
        let stored = api
            .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .unwrap();
        let stored = serde_json::to_value(stored).unwrap();
        let name = stored["metadata"]["name"].as_str().unwrap();
        for (_, edit, says) in cases.iter().filter(|(of, ..)| *of == base) {
            let changed = serde_json::from_value(edited(&stored, std::slice::from_ref(edit))).unwrap();
            let refused = api
                .replace(
                    name,
                    &PostParams {
                        dry_run: true,
                        ..PostParams::default()
                    },
                    &changed,
                )
                .await;
            let message = refused
                .err()
                .unwrap_or_else(|| panic!("{edit:?} was accepted"))
                .to_string();
            assert!(message.contains(says), "{edit:?}: {message}");
        }
        // A change of nothing but labels is no change of the object.
        let labelled = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
        api.patch(name, &PatchParams::default(), &labelled).await.unwrap();
    }
}

#[tokio::test]
async fn an_anchor_never_shrinks() {
    let server = Server::start().await;
    let api = server.api(&anchors::empty());
    let created = api
        .create(
            &PostParams::default(),
            &serde_json::from_value(anchors::empty()).unwrap(),
        )
        .await
        .unwrap();
    let mut stored = serde_json::to_value(created).unwrap();
    for head in anchors::growth() {
        stored["status"] = head;
        let next = serde_json::from_value(stored.clone()).unwrap();
        let written = api
            .replace_status("ledger", &PostParams::default(), &next)
            .await
            .unwrap();
        stored = serde_json::to_value(written).unwrap();
    }
    for (status, says) in anchors::shrinks() {
        let mut next = stored.clone();
        match status.clone() {
            Value::Null => drop(next.as_object_mut().unwrap().remove("status")),
            status => next["status"] = status,
        }
        let next = serde_json::from_value(next).unwrap();
        let message = match api.replace_status("ledger", &PostParams::default(), &next).await {
            Ok(_) => panic!("{status} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(says), "{status}: {message}");
    }
    // The main resource cannot touch the head at all.
    let mut next = stored.clone();
    next["status"]["size"] = json!("0");
    let kept = api
        .replace("ledger", &PostParams::default(), &serde_json::from_value(next).unwrap())
        .await
        .unwrap();
    assert_eq!(serde_json::to_value(kept).unwrap()["status"], stored["status"]);
}

/// Whether `whole` has everything that `part` has; lists must be equal in length and order.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}
