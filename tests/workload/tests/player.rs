//! The player against real servers: what it counts is what they counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use common::{Server, content, defective, rows, value};
use penin_workload::player::{EndpointSource, Plan, Recorder, Report, keep_report, play};
use tokio::net::TcpListener;
use tokio::sync::watch;

fn plan(target: &str, requests: u64) -> Plan {
    Plan {
        target: format!("http://{target}/predict").parse().unwrap(),
        hosts: Vec::new(),
        headers: Vec::new(),
        run: "test".into(),
        rate: 500,
        requests,
        duration: Duration::from_mins(1),
        // No test with exact counts has more requests, and the server takes as many at once: a stalled
        // machine leaves none of them out.
        in_flight: 256,
        timeout: Duration::from_mins(1),
        label_delay: Duration::from_millis(100),
        labels: None,
        report: None,
        report_every: Duration::from_millis(20),
    }
}

async fn run(plan: &Plan) -> Report {
    let recorder = Arc::new(Recorder::new(plan));
    let (_stop, stopped) = watch::channel(false);
    play(plan, rows().into(), &recorder, stopped).await;
    let report = recorder.report();
    assert!(report.finished);
    assert_eq!(report.in_flight, 0);
    assert_eq!(report.sent, report.succeeded + report.failed);
    report
}

/// A server that answers whatever the function says.
async fn stub(answer: fn(HeaderMap) -> (StatusCode, String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().route(
        "/predict",
        post(move |headers: HeaderMap| async move { answer(headers) }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn counts_of_player_and_server_agree() {
    let server = Server::start_with("failing", 10_000, defective(0, 100)).await;
    // A second pod, which answers nothing but gets every label.
    let bystander = Server::start_named("better", 10_000, content("better"), "pod-1", "rev-1").await;
    let endpoints = [server.management, bystander.management].map(|address| address.to_string());
    let mut plan = plan(&server.predictions.to_string(), 250);
    plan.labels = Some(EndpointSource::Fixed(endpoints.to_vec()));
    let report = run(&plan).await;

    assert_eq!(
        (report.sent, report.succeeded, report.failed, report.not_sent),
        (250, 225, 25, 0)
    );
    assert_eq!(report.statuses["200"], 225);
    assert_eq!(report.statuses["503"], 25);
    for answered in [
        &report.revisions["rev-0"],
        &report.pods["pod-0"],
        &report.models[&server.digest],
    ] {
        assert_eq!((answered.succeeded, answered.failed), (225, 25));
        assert!(answered.first < answered.last);
    }
    assert_eq!(report.failures.kinds["status_503"], 25);
    assert_eq!(report.failures.examples.len(), 25);
    assert!(report.failures.examples[0].detail.contains("feature cache"));
    assert_eq!(report.failures.examples[0].revision.as_deref(), Some("rev-0"));
    assert_eq!(report.latency.count, 225);

    let page = server.metrics().await;
    assert_eq!(value(&page, "penin_model_predictions_total"), 225);
    assert_eq!(value(&page, "penin_model_labelled_total"), 225);
    // No prediction was made for the requests that failed.
    assert_eq!(value(&page, "penin_model_labels_unknown_total"), 25);
    assert_eq!(report.labels.due, 250);
    let delivered = report.labels.endpoints[&endpoints[0]];
    assert_eq!(
        (delivered.delivered, delivered.accepted, delivered.unknown),
        (250, 225, 25)
    );
    assert_eq!(
        (delivered.duplicate, delivered.failed_attempts, delivered.lost),
        (0, 0, 0)
    );
    let page = bystander.metrics().await;
    assert_eq!(value(&page, "penin_model_labels_unknown_total"), 250);
}

#[tokio::test]
async fn hosts_take_turns_and_further_headers_are_sent() {
    let address = stub(|headers| {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match (text("host"), text("x-probe"), text("x-prediction-id")) {
            (Some("a.example"), Some("1"), Some(id)) if id.starts_with("test-") => (StatusCode::OK, String::new()),
            _ => (StatusCode::NOT_FOUND, "no route".into()),
        }
    })
    .await;
    let mut plan = plan(&address, 20);
    plan.hosts = vec!["a.example".parse().unwrap(), "b.example".parse().unwrap()];
    plan.headers = vec![("x-probe".parse().unwrap(), "1".parse().unwrap())];
    let report = run(&plan).await;
    assert_eq!(
        (report.hosts["a.example"].succeeded, report.hosts["a.example"].failed),
        (10, 0)
    );
    assert_eq!(
        (report.hosts["b.example"].succeeded, report.hosts["b.example"].failed),
        (0, 10)
    );
    assert_eq!(report.revisions["(none)"].failed, 10);
    assert_eq!(report.failures.kinds["status_404"], 10);
    assert_eq!(report.failures.examples[0].detail, "no route");
}

#[tokio::test]
async fn requests_without_an_answer_are_failures_of_their_kind() {
    // A port on which nobody listens any more.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let report = run(&plan(&free, 5)).await;
    assert_eq!((report.failed, report.failures.kinds["connect"]), (5, 5));
    assert!(report.failures.first.is_some() && report.failures.last.is_some());
    assert!(report.statuses.is_empty());

    // A listener that accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plan = plan(&silent.local_addr().unwrap().to_string(), 50);
    plan.timeout = Duration::from_millis(300);
    plan.in_flight = 5;
    let report = run(&plan).await;
    assert_eq!(report.failures.kinds["timeout"], report.sent);
    assert!(report.sent >= 5);
    assert_eq!(
        report.sent + report.not_sent,
        50,
        "what exceeds the bound is not sent, and counted"
    );
}

/// Waits until the report shows something.
async fn until(recorder: &Recorder, shows: impl Fn(&Report) -> bool) {
    while !shows(&recorder.report()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_list_of_endpoints_is_followed_while_it_changes() {
    let server = Server::start("better").await;
    let address = server.management.to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints");
    let mut plan = plan(&server.predictions.to_string(), u64::MAX);
    plan.labels = Some(EndpointSource::File(file.clone()));
    let recorder = Arc::new(Recorder::new(&plan));
    let (stop, stopped) = watch::channel(false);
    let changes = async {
        until(&recorder, |report| report.labels.lookup_failures > 0).await;
        std::fs::write(&file, &address).unwrap();
        until(&recorder, |report| {
            report
                .labels
                .endpoints
                .get(&address)
                .is_some_and(|labels| labels.accepted > 0)
        })
        .await;
        stop.send_replace(true);
    };
    tokio::join!(play(&plan, rows().into(), &recorder, stopped), changes);
    let labels = recorder.report().labels;
    assert!(labels.lookup_error.unwrap().contains("endpoints"));
    let delivered = labels.endpoints[&address];
    // An attempt that timed out may have been heard: then its repetition meets duplicates.
    assert_eq!(
        delivered.accepted + delivered.duplicate,
        value(&server.metrics().await, "penin_model_labelled_total")
    );
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_costs_the_others_nothing() {
    let server = Server::start("better").await;
    let dead = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let mut plan = plan(&server.predictions.to_string(), 250);
    plan.labels = Some(EndpointSource::Fixed(vec![dead.clone(), server.management.to_string()]));
    let report = run(&plan).await;
    assert_eq!(report.labels.endpoints[&server.management.to_string()].accepted, 250);
    let lost = report.labels.endpoints[&dead];
    assert_eq!(lost.delivered, 0);
    assert!(lost.lost > 0);
    assert!(lost.failed_attempts >= 3);
}

#[tokio::test]
async fn a_run_stops_when_asked_and_its_report_can_be_read_at_any_time() {
    let server = Server::start("champion").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let plan = plan(&server.predictions.to_string(), u64::MAX);
    let recorder = Arc::new(Recorder::new(&plan));
    let (stop, stopped) = watch::channel(false);
    let (_ask, asked) = watch::channel(0);
    let (end, ended) = watch::channel(false);
    let reading = async {
        let mut last = 0;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let Ok(report) = Report::read(&file) else {
                continue;
            };
            assert_eq!(report.sent, report.succeeded + report.failed + report.in_flight);
            assert!(report.sent >= last && !report.finished);
            last = report.sent;
        }
        stop.send_replace(true);
        assert!(last > 0);
    };
    let playing = async {
        play(&plan, rows().into(), &recorder, stopped).await;
        end.send_replace(true);
    };
    tokio::join!(
        keep_report(&file, plan.report_every, &recorder, asked, ended),
        playing,
        reading
    );
    let report = recorder.report();
    assert!(report.finished);
    assert_eq!(
        value(&server.metrics().await, "penin_model_predictions_total"),
        report.succeeded
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no half-written file is left"
    );
}
