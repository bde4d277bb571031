//! A whole collection against answers that were recorded from Prometheus 3.16 with native histograms, Envoy 1.40 and two
//! model servers under load: 20 % of some 190 requests a second went to `shop-v2`, which had been started in the window.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use penin_api::v1alpha1::PeninCycleSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::{Answer, Form, Server};
use crate::adapters::evidence::collect::{Question, Servers, Sources};
use crate::adapters::evidence::resources::TemplateLimits;
use crate::adapters::traffic::ShareVerdict;
use crate::scoring::{Evidence, Measured, Reading, ResourceUse, UnknownReason};

const TRAFFIC_SINCE: u64 = 1_795_526_274_247;
const QUALITY_SINCE: u64 = 1_795_525_088_838;
const UNTIL: u64 = 1_795_526_314_263;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    expression: String,
    at_ms: String,
    #[serde(deserialize_with = "text")]
    answer: String,
}

/// The answer as the bytes that were played, so that it is not written anew for each request.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Value::deserialize(deserializer).map(|value| value.to_string())
}

fn recorded() -> &'static [Recorded] {
    static LIST: LazyLock<Vec<Recorded>> =
        LazyLock::new(|| serde_json::from_str(include_str!("recorded.json")).unwrap());
    &LIST
}

/// Answers of the recording, the one at `changed` put through `change`.
async fn played(changed: Option<usize>, change: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Evidence {
    let list = recorded();
    let server = Server::start(move |_, form: &Form| {
        let field = |name: &str| {
            form.iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let at = field("time").replace('.', "");
        let found = list
            .iter()
            .position(|entry| entry.expression == field("query") && entry.at_ms == at);
        match found {
            Some(index) if Some(index) == changed => change(&serde_json::from_str(&list[index].answer).unwrap()),
            Some(index) => Answer::new(200, list[index].answer.clone()),
            None => Answer::new(
                400,
                json!({"status": "error", "errorType": "not_recorded", "error": field("query")}).to_string(),
            ),
        }
    })
    .await;
    let spec = cycle(&server.url());
    let sources = Sources::of("shop", "shop", &spec, &Servers::default()).unwrap();
    let question = Question {
        candidate: "shop-v2",
        reference: Some("shop-v1"),
        mirrored: false,
        born_inside: true,
        limits: TemplateLimits {
            cpu_cores: Some(1.0),
            memory_bytes: Some(64e6),
        },
        traffic_since_ms: TRAFFIC_SINCE,
        quality_since_ms: QUALITY_SINCE,
        until_ms: UNTIL,
    };
    sources.collect(&question).await.unwrap()
}

fn cycle(address: &str) -> PeninCycleSpec {
    let prometheus = json!({"address": address, "maxAge": "10s"});
    let ratio = json!({
        "good": "penin_model_answers_total{penin_ai_revision=\"{{ revision }}\",code=\"200\"}",
        "total": "penin_model_answers_total{penin_ai_revision=\"{{ revision }}\"}",
    });
    serde_json::from_value(json!({
        "targetRef": {"kind": "Deployment", "name": "shop"},
        "service": {"port": 80, "targetPort": 8080},
        "traffic": {"gateway": {"parentRefs": [{"name": "edge", "namespace": "gateway"}]}},
        "evidence": [
            {"name": "envoy", "preset": "EnvoyGateway", "prometheus": prometheus},
            {"name": "model", "preset": "ModelCounters", "prometheus": prometheus},
            {"name": "answers", "ratio": ratio, "prometheus": prometheus},
        ],
        "scores": {"linf": {"metrics": [{"name": "accuracy", "weight": "1", "preset": "Accuracy"}]}},
    }))
    .unwrap()
}

#[tokio::test]
async fn real_answers_become_evidence() {
    let evidence = played(None, |_| unreachable!("nothing is changed")).await;
    let traffic = evidence.candidate.traffic.known().unwrap();
    assert_eq!(
        (traffic.requests, traffic.sent, traffic.failures, traffic.aborts_at_most),
        (1_487, 1_488, 0, 0)
    );
    let latency = traffic.latency.known().unwrap();
    assert!((latency.quantile_ms(500).unwrap() - 0.5).abs() < 1e-12);
    let p95 = latency.quantile_ms(950).unwrap();
    assert!((4.0..10.0).contains(&p95), "{p95}");
    let reference = evidence.reference.as_ref().unwrap();
    assert_eq!(reference.traffic.known().unwrap().requests, 6_113);
    let model = evidence.candidate.model.known().unwrap();
    assert_eq!(model.bins.len(), 15);
    assert_eq!(model.groups.keys().collect::<Vec<_>>(), ["Female", "Male"]);
    assert!(
        (0.80..0.84).contains(&model.accuracy().unwrap()),
        "{:?}",
        model.accuracy()
    );
    let ratio = evidence.candidate.ratio("answers").unwrap();
    assert_eq!(ratio.good, ratio.total);
    let ResourceUse { cpu, mem, age_seconds } = *evidence.candidate.resources.known().unwrap();
    assert!(
        cpu > 0.0 && cpu < 0.2 && mem > 0.05 && mem < 0.5 && age_seconds < 3.0,
        "{cpu} {mem} {age_seconds}"
    );
    assert!(
        matches!(evidence.share(20, 1_000), Ok(ShareVerdict::Inside(_))),
        "{:?}",
        evidence.share(20, 1_000)
    );
    assert_eq!(evidence.candidate_requests_between_samples(), Ok(1_488));
}

#[tokio::test]
async fn a_snapshot_holds_every_question_and_survives_storage() {
    let evidence = played(None, |_| unreachable!("nothing is changed")).await;
    let asked: Vec<_> = evidence
        .records
        .iter()
        .flat_map(|record| &record.queries)
        .map(|query| &query.expression)
        .collect();
    assert!(recorded().iter().all(|entry| asked.contains(&&entry.expression)));
    let bytes = evidence.to_bytes().unwrap();
    let again: Evidence = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(again, evidence);
    assert_eq!(again.digest(), evidence.digest());
    // The counts follow from the raw samples of the record.
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for record in evidence
        .records
        .iter()
        .filter(|record| record.purpose == "traffic/candidate")
    {
        for series in &record.series {
            let value = |sample: &crate::scoring::RawSample| sample.value.parse::<u64>().unwrap();
            let start = series.start.as_ref().map_or(0, value);
            assert_eq!(value(&series.end) - start, series.increase, "{}", series.metric);
            *sums.entry(series.metric.as_str()).or_default() += series.increase;
        }
    }
    assert_eq!(sums["envoy_cluster_upstream_rq_completed"], 1_487);
}

/// All readings of a revision by name, as they stand in the snapshot.
fn readings(measured: &Measured) -> Vec<(String, Option<Value>)> {
    fn one<T: serde::Serialize>(name: &str, reading: &Reading<T>) -> (String, Option<Value>) {
        (
            name.to_owned(),
            reading.known().map(|value| serde_json::to_value(value).unwrap()),
        )
    }
    let mut list = vec![
        one("traffic", &measured.traffic),
        one("model", &measured.model),
        one("resources", &measured.resources),
    ];
    list.extend(measured.traffic.known().map(|traffic| one("latency", &traffic.latency)));
    list.extend(measured.ratios.iter().map(|(name, ratio)| one(name, ratio)));
    list
}

/// Sets the text of every sample to `text`.
fn overwrite(value: &mut Value, text: &str) {
    match value {
        Value::Array(list) if list.len() == 2 && list[0].is_number() && list[1].is_string() => list[1] = json!(text),
        Value::Array(list) => list.iter_mut().for_each(|value| overwrite(value, text)),
        Value::Object(map) => map
            .iter_mut()
            .filter(|(name, _)| *name != "metric")
            .for_each(|(_, value)| overwrite(value, text)),
        _ => {}
    }
}

/// Whatever happens to one answer, every value is as it was or Unknown: never another number.
#[tokio::test]
async fn no_damaged_answer_becomes_another_number() {
    let whole = played(None, |_| unreachable!("nothing is changed")).await;
    let expected: BTreeMap<_, _> = readings(&whole.candidate)
        .into_iter()
        .chain(
            readings(whole.reference.as_ref().unwrap())
                .into_iter()
                .map(|(n, v)| (format!("κ {n}"), v)),
        )
        .collect();
    for index in 0..recorded().len() {
        for damage in ["500", "empty", "NaN", "0.5", "warning"] {
            let evidence = played(Some(index), move |answer| {
                let mut answer = answer.clone();
                match damage {
                    "500" => return Answer::new(500, ""),
                    "empty" => answer["data"]["result"] = json!([]),
                    "warning" => answer["warnings"] = json!(["partial"]),
                    text => overwrite(&mut answer["data"], text),
                }
                Answer::new(200, answer.to_string())
            })
            .await;
            let reference = readings(evidence.reference.as_ref().unwrap())
                .into_iter()
                .map(|(n, v)| (format!("κ {n}"), v));
            for (name, value) in readings(&evidence.candidate).into_iter().chain(reference) {
                let query = &recorded()[index].expression;
                // An unknown latency stands inside the traffic; it is compared by itself.
                let (mut value, mut wanted) = (value, expected[&name].clone());
                for side in [&mut value, &mut wanted].into_iter().flatten() {
                    if name.ends_with("traffic") {
                        side["latency"] = Value::Null;
                    }
                }
                if name == "resources" && damage == "0.5" {
                    // Memory and processor time are real numbers, so another one is not damage that can be seen.
                    continue;
                }
                assert!(value.is_none() || value == wanted, "{damage} for {query}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn requests_of_another_route_that_reached_nobody_are_not_ours() {
    let list = recorded();
    let end = list.iter().position(|entry| {
        entry.expression.contains("envoy_http_no_cluster") && entry.expression.ends_with("[10000ms]")
    });
    let evidence = played(end, |answer| {
        let mut answer = answer.clone();
        for series in answer["data"]["result"].as_array_mut().unwrap() {
            if series["metric"]["__name__"] == "envoy_http_no_cluster" {
                overwrite(&mut series["values"], "214");
            }
        }
        Answer::new(200, answer.to_string())
    })
    .await;
    let known = |measured: &Measured| measured.traffic.known().is_some();
    assert!(known(&evidence.candidate) && known(evidence.reference.as_ref().unwrap()));
}

#[tokio::test]
async fn a_window_without_time_is_not_yet_sampled() {
    let server = Server::start(|_, _| Answer::new(500, "")).await;
    let sources = Sources::of("shop", "shop", &cycle(&server.url()), &Servers::default()).unwrap();
    let question = Question {
        candidate: "shop-v2",
        reference: None,
        mirrored: true,
        born_inside: true,
        limits: TemplateLimits::default(),
        traffic_since_ms: UNTIL - 500,
        quality_since_ms: QUALITY_SINCE,
        until_ms: UNTIL,
    };
    assert_eq!(
        sources.collect(&question).await.unwrap_err().reason,
        UnknownReason::NotYetSampled
    );
    assert_eq!(server.requests(), 0);
}

#[test]
fn sources_that_cannot_be_used_are_named() {
    let mut spec = cycle("http://prometheus:9090");
    spec.evidence[1].prometheus.address = "prometheus".to_owned();
    spec.evidence[2].ratio.as_mut().unwrap().good = "sum(x)".to_owned();
    let problems = Sources::of("shop", "shop", &spec, &Servers::default()).unwrap_err();
    assert!(
        problems[0].starts_with("spec.evidence[1].prometheus.address: "),
        "{problems:?}"
    );
    assert!(problems[1].starts_with("spec.evidence[2].ratio.good: "), "{problems:?}");
}
