use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use super::super::fixtures::{intent, live, staged, stored};
use super::super::{Split, desired};
use super::*;

const OURS: LeaderEpoch = LeaderEpoch::Claimed(4);

type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A client of an API server that gives one answer and remembers what it was asked.
fn server(code: u16, answer: Value) -> (Client, Seen) {
    let seen = Seen::default();
    let memory = seen.clone();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (memory, answer) = (memory.clone(), answer.to_string());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            memory
                .lock()
                .unwrap()
                .push((parts.method.to_string(), parts.uri.to_string(), body));
            let response = http::Response::builder()
                .status(code)
                .body(Body::from(answer.into_bytes()));
            Ok::<_, tower::BoxError>(response?)
        }
    });
    (Client::new(service, "prod"), seen)
}

fn failure(code: u16, reason: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "m" })
}

fn confirmed() -> Value {
    let mut route = stored(live(5));
    route.metadata.generation = Some(8);
    route.metadata.resource_version = Some("42".to_owned());
    serde_json::to_value(route).unwrap()
}

#[tokio::test]
async fn a_missing_route_is_created() {
    let (client, seen) = server(201, confirmed());
    let written = write(&client, None, &desired(&intent(live(5))), OURS).await.unwrap();
    assert_eq!(
        written,
        Written {
            generation: 8,
            resource_version: "42".to_owned()
        }
    );
    let seen = seen.lock().unwrap();
    let [(method, uri, body)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(method, "POST");
    assert_eq!(
        uri,
        "/apis/gateway.networking.k8s.io/v1/namespaces/prod/httproutes?&fieldManager=penin-operator"
    );
    assert_eq!(body["metadata"]["annotations"], json!({ "penin.ai/epoch": "4" }));
    assert_eq!(body["metadata"].get("resourceVersion"), None);
    assert_eq!(body["spec"]["rules"][0]["backendRefs"][1]["weight"], 5);
}

#[tokio::test]
async fn a_read_route_is_replaced_at_the_version_that_was_read() {
    let mut current = stored(staged());
    current.metadata.annotations = Some(
        [
            ("theirs".to_owned(), "a".to_owned()),
            (ANNOTATION_EPOCH.to_owned(), "3".to_owned()),
        ]
        .into(),
    );
    current
        .metadata
        .labels
        .as_mut()
        .unwrap()
        .insert("theirs".to_owned(), "l".to_owned());
    current
        .metadata
        .labels
        .as_mut()
        .unwrap()
        .insert("penin.ai/cycle".to_owned(), "forged".to_owned());
    current.metadata.finalizers = Some(vec!["theirs/f".to_owned()]);
    let owner = json!({ "apiVersion": "v1", "kind": "App", "name": "web", "uid": "u" });
    current
        .metadata
        .owner_references
        .as_mut()
        .unwrap()
        .push(serde_json::from_value(owner.clone()).unwrap());
    current.status = Some(serde_json::from_value(json!({ "parents": [] })).unwrap());

    let (client, seen) = server(200, confirmed());
    write(&client, Some(&current), &desired(&intent(live(5))), OURS)
        .await
        .unwrap();
    let seen = seen.lock().unwrap();
    let [(method, uri, body)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(method, "PUT");
    assert!(
        uri.starts_with("/apis/gateway.networking.k8s.io/v1/namespaces/prod/httproutes/shop?"),
        "{uri}"
    );
    let metadata = &body["metadata"];
    assert_eq!(
        (&metadata["resourceVersion"], &metadata["uid"]),
        (&json!("41"), &json!("route-uid"))
    );
    assert_eq!(metadata["annotations"], json!({ "theirs": "a", "penin.ai/epoch": "4" }));
    assert_eq!(metadata["labels"]["theirs"], "l");
    assert_eq!(metadata["labels"]["penin.ai/cycle"], "shop");
    assert_eq!(metadata["finalizers"], json!(["theirs/f"]));
    assert_eq!(metadata["ownerReferences"][0]["uid"], "cycle-uid");
    assert_eq!(metadata["ownerReferences"][1], owner);
    assert_eq!(metadata["ownerReferences"].as_array().unwrap().len(), 2);
    assert_eq!(body.get("status"), None);
}

#[tokio::test]
async fn who_was_faster_is_not_overwritten_and_nothing_is_tried_again() {
    let current = stored(staged());
    let table = [
        (Some(&current), 409, "Conflict", true),
        (Some(&current), 404, "NotFound", true),
        (None, 409, "AlreadyExists", true),
        (None, 404, "NotFound", false),
        (Some(&current), 403, "Forbidden", false),
        (Some(&current), 422, "Invalid", false),
        (Some(&current), 500, "InternalError", false),
        (Some(&current), 503, "ServiceUnavailable", false),
    ];
    for (current, code, reason, conflict) in table {
        let (client, seen) = server(code, failure(code, reason));
        let refused = write(&client, current, &desired(&intent(live(5))), OURS)
            .await
            .unwrap_err();
        assert_eq!(matches!(refused, WriteError::Conflict), conflict, "{code} {refused}");
        assert_eq!(matches!(refused, WriteError::Api(_)), !conflict, "{code} {refused}");
        assert_eq!(seen.lock().unwrap().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_later_leader_is_not_overwritten() {
    let with_epoch = |text: &str| {
        let mut route = stored(staged());
        route.metadata.annotations = Some([(ANNOTATION_EPOCH.to_owned(), text.to_owned())].into());
        route
    };
    let table = [
        ("3", OURS, true),
        ("4", OURS, true),
        ("5", OURS, false),
        ("18446744073709551615", OURS, false),
        ("99999999999999999999999", OURS, true),
        ("-1", OURS, true),
        ("", OURS, true),
        ("5", LeaderEpoch::Reread(4), true),
    ];
    for (text, epoch, allowed) in table {
        let (client, seen) = server(200, confirmed());
        let result = write(&client, Some(&with_epoch(text)), &desired(&intent(live(5))), epoch).await;
        assert_eq!(result.is_ok(), allowed, "{text} {epoch:?}");
        assert_eq!(
            seen.lock().unwrap().len(),
            usize::from(allowed),
            "a fenced write is not even sent"
        );
        if let Err(refused) = result {
            assert!(matches!(refused, WriteError::Fenced { own: 4, .. }), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_route_of_another_owner_is_not_overwritten() {
    let (client, seen) = server(200, confirmed());
    for owners in [
        json!(null),
        json!([{ "apiVersion": "v1", "kind": "App", "name": "web", "uid": "u", "controller": true }]),
    ] {
        let mut current = stored(staged());
        current.metadata.owner_references = serde_json::from_value(owners).unwrap();
        let refused = write(&client, Some(&current), &desired(&intent(Split::ChampionOnly)), OURS).await;
        assert!(matches!(refused, Err(WriteError::NotOurs)));
    }
    let mut ownerless = desired(&intent(Split::ChampionOnly));
    ownerless.metadata.owner_references = None;
    assert!(matches!(
        write(&client, Some(&stored(staged())), &ownerless, OURS).await,
        Err(WriteError::NotOurs)
    ));
    let mut nameless = desired(&intent(Split::ChampionOnly));
    nameless.metadata.name = None;
    assert!(matches!(
        write(&client, None, &nameless, OURS).await,
        Err(WriteError::Nameless)
    ));
    assert!(seen.lock().unwrap().is_empty());
}
