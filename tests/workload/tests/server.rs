//! The server over real connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use common::{Server, defective, row, value};
use penin_workload::{LABELS_PER_POST, Label, LabelAnswer};
use serde_json::{Value, json};

fn labels(ids: &[&str]) -> String {
    let labels: Vec<_> = ids
        .iter()
        .map(|id| Label {
            id: (*id).into(),
            label: true,
        })
        .collect();
    serde_json::to_string(&labels).unwrap()
}

#[tokio::test]
async fn a_prediction_is_answered_signed_and_judged_with_its_label() {
    let server = Server::start("champion").await;
    let answer = server.predict(Some("run-1"), &row(0)).await;
    assert_eq!(answer.status, 200);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["id"], "run-1");
    assert_eq!(body["model"], server.digest);
    assert_eq!(body["prediction"], json!(false));
    let probability = body["probability"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&probability));
    assert_eq!(answer.header("x-penin-model"), server.digest);
    assert_eq!(answer.header("x-penin-pod"), "pod-0");
    assert_eq!(answer.header("x-penin-revision"), "rev-0");

    let before = server.metrics().await;
    assert_eq!(value(&before, "penin_model_predictions_total"), 1);
    assert_eq!(value(&before, "penin_model_predictions_waiting"), 1);
    assert_eq!(value(&before, "penin_model_labelled_total"), 0);

    let taken = server.label(&labels(&["run-1", "run-1", "other"])).await;
    let taken: LabelAnswer = serde_json::from_str(&taken.body).unwrap();
    assert_eq!(
        taken,
        LabelAnswer {
            accepted: 1,
            duplicate: 1,
            unknown: 1
        }
    );
    let after = server.metrics().await;
    assert_eq!(value(&after, "penin_model_labelled_total"), 1);
    assert_eq!(value(&after, "penin_model_labels_duplicate_total"), 1);
    assert_eq!(value(&after, "penin_model_labels_unknown_total"), 1);
    assert_eq!(
        value(&after, r#"penin_model_group_outcomes_total{group="Male",outcome="fn"}"#),
        1
    );
    assert_eq!(value(&after, "penin_model_predictions_waiting"), 0);
    assert_eq!(value(&after, r#"penin_model_answers_total{code="200"}"#), 1);
}

#[tokio::test]
async fn every_series_exists_before_the_first_request() {
    let names = |page: &str| -> Vec<String> {
        let series = page.lines().filter(|line| !line.starts_with('#'));
        series.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let server = Server::start("better").await;
    let first = server.metrics().await;
    for line in first
        .lines()
        .filter(|line| line.starts_with("penin_model") && line.contains("_total"))
    {
        assert!(line.ends_with(" 0"), "{line}");
    }
    let (mut ids, mut status) = (Vec::new(), Vec::new());
    for index in 0..300 {
        ids.push(format!("r-{index}"));
        status.push(server.predict(ids.last().map(String::as_str), &row(index)).await.status);
    }
    assert!(status.iter().all(|&status| status == 200));
    assert_eq!(server.predict(None, "{}").await.status, 400);
    server
        .label(&labels(&ids.iter().map(String::as_str).collect::<Vec<_>>()))
        .await;
    let second = server.metrics().await;
    assert_eq!(names(&first), names(&second));
    assert_eq!(value(&second, "penin_model_labelled_total"), 300);
}

#[tokio::test]
async fn a_page_of_metrics_is_documented() {
    let server = Server::start("champion").await;
    let page = server.metrics().await;
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/workload-metrics.md")).unwrap();
    let mut families = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split_whitespace().next().unwrap();
        assert!(
            document.contains(&format!("`{name}`")),
            "{name} is missing in docs/workload-metrics.md"
        );
        families += 1;
    }
    assert!(families >= 17, "{families} families");
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_reason_and_counted() {
    let server = Server::start("champion").await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut person: Value = serde_json::from_str(&row(0)).unwrap();
        change(&mut person);
        person.to_string()
    };
    for (id, body, status, reason) in [
        (Some("a b"), row(0), 400, "x-prediction-id"),
        (Some(&*"x".repeat(65)), row(0), 400, "x-prediction-id"),
        (None, "{".into(), 400, "features: EOF"),
        (
            None,
            with(&|person| person["age"] = json!("old")),
            400,
            "features: invalid type",
        ),
        (
            None,
            with(&|person| person["shoe_size"] = json!(42)),
            400,
            "unknown field `shoe_size`",
        ),
        (
            None,
            with(&|person| drop(person.as_object_mut().unwrap().remove("age"))),
            400,
            "missing field `age`",
        ),
        (
            None,
            with(&|person| person["sex"] = json!("x")),
            422,
            "known are Female, Male",
        ),
        (None, "x".repeat(5_000), 413, "length limit"),
    ] {
        let answer = server.predict(id, &body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body.contains(reason), "{}", answer.body);
        assert_eq!(answer.header("x-penin-model"), server.digest, "refusals are signed too");
    }
    let page = server.metrics().await;
    assert_eq!(value(&page, "penin_model_predictions_total"), 0);
    assert_eq!(value(&page, r#"penin_model_answers_total{code="400"}"#), 6);
    assert_eq!(value(&page, r#"penin_model_answers_total{code="413"}"#), 1);
    assert_eq!(value(&page, r#"penin_model_answers_total{code="422"}"#), 1);
}

#[tokio::test]
async fn labels_come_in_bounded_deliveries_and_never_through_the_prediction_port() {
    let server = Server::start("champion").await;
    let most = vec!["x"; LABELS_PER_POST];
    assert_eq!(server.label(&labels(&most)).await.status, 200);
    let refused = server.label(&labels(&vec!["x"; LABELS_PER_POST + 1])).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("at most 1000"), "{}", refused.body);
    assert_eq!(server.label(r#"[{"id":"x"}]"#).await.status, 400);
    assert_eq!(
        value(&server.metrics().await, "penin_model_labels_unknown_total"),
        1_000
    );
    for path in ["/labels", "/metrics", "/readyz"] {
        assert_eq!(
            server.post_prediction_port(path, &labels(&["x"])).await.status,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_join_table_gives_up_its_oldest_prediction() {
    let server = Server::start_with("champion", 3, common::content("champion")).await;
    for index in 0..5 {
        server.predict(Some(&format!("r-{index}")), &row(index)).await;
    }
    let answer = server.label(&labels(&["r-0", "r-1", "r-2", "r-3", "r-4"])).await;
    let answer: LabelAnswer = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        answer,
        LabelAnswer {
            accepted: 3,
            duplicate: 0,
            unknown: 2
        }
    );
    assert_eq!(value(&server.metrics().await, "penin_model_labels_lost_total"), 2);
}

#[tokio::test]
async fn a_defect_turns_its_share_of_requests_into_failures_that_are_no_predictions() {
    let server = Server::start_with("failing", 1_000, defective(0, 100)).await;
    let mut failures = 0;
    for index in 0..100 {
        let answer = server.predict(Some(&format!("r-{index}")), &row(index)).await;
        if answer.status != 200 {
            assert_eq!(answer.status, 503);
            assert!(answer.body.contains("feature cache"), "{}", answer.body);
            failures += 1;
        }
    }
    assert_eq!(failures, 10);
    let page = server.metrics().await;
    assert_eq!(value(&page, "penin_model_predictions_total"), 90);
    assert_eq!(value(&page, r#"penin_model_answers_total{code="503"}"#), 10);
    // The committed file's defect has not set in yet.
    let server = Server::start("failing").await;
    let failed = async || {
        let mut failed = 0;
        for index in 0..100 {
            failed += u32::from(server.predict(None, &row(index)).await.status == 503);
        }
        failed
    };
    assert_eq!(failed().await, 0);
    assert_eq!(server.post_management_port("/defect", "").await.status, 204);
    assert_eq!(failed().await, 10);
    let sound = Server::start("champion").await;
    assert_eq!(sound.post_management_port("/defect", "").await.status, 404);
}

#[tokio::test]
async fn draining_goes_on_answering_but_asks_clients_to_leave() {
    let server = Server::start("champion").await;
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.get("/readyz").await.status, 200);
    assert!(server.predict(None, &row(0)).await.headers.get("connection").is_none());
    server.state.start_draining();
    assert_eq!(server.get("/readyz").await.status, 503);
    assert_eq!(server.get("/healthz").await.status, 200);
    let answer = server.predict(None, &row(0)).await;
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    server.stop().await;
}

/// A scrape in the middle of traffic never shows a bin's samples without the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_sees_all_counters_of_one_moment() {
    let server = std::sync::Arc::new(Server::start("better").await);
    let playing = std::sync::Arc::clone(&server);
    let traffic = tokio::spawn(async move {
        for index in 0..400 {
            let id = format!("r-{index}");
            playing.predict(Some(&id), &row(index)).await;
            playing.label(&labels(&[&id])).await;
        }
    });
    let sum = |page: &str, name: &str| -> u64 {
        let series = page.lines().filter(|line| line.starts_with(name));
        series
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum()
    };
    while !traffic.is_finished() {
        let page = server.metrics().await;
        let labelled = value(&page, "penin_model_labelled_total");
        assert_eq!(sum(&page, "penin_model_calibration_samples_total{"), labelled);
        assert_eq!(sum(&page, "penin_model_group_outcomes_total{"), labelled);
        let predictions = value(&page, "penin_model_predictions_total");
        assert_eq!(sum(&page, "penin_model_score_predictions_total{"), predictions);
        assert_eq!(predictions, labelled + value(&page, "penin_model_predictions_waiting"));
    }
    traffic.await.unwrap();
}
