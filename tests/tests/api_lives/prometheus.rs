//! A Prometheus whose samples are computed: it answers the operator's four forms of query.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::{Value, json};

use super::plane::{Plane, SCRAPE, Series};

pub type Shared = Arc<Mutex<Plane>>;

/// Serves `plane` on a loopback port until the test's runtime ends.
pub async fn start(plane: Shared) -> SocketAddr {
    let router = Router::new().fallback(any(answer)).with_state(plane);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn answer(State(plane): State<Shared>, body: String) -> (StatusCode, String) {
    let form: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let plane = plane.lock().unwrap().clone();
    if plane.down {
        return (StatusCode::SERVICE_UNAVAILABLE, "down".to_owned());
    }
    let at = (form["time"].parse::<f64>().unwrap() * 1_000.0).round() as i64;
    let data = evaluate(&plane.series(), &form["query"], at);
    (StatusCode::OK, json!({"status": "success", "data": data}).to_string())
}

/// One selector with its range.
struct Term {
    matchers: Vec<(String, String, String)>,
    range: i64,
}

impl Term {
    /// Reads `{a="b",c=~"d"}[90ms]` at the start of a text.
    fn parse(text: &str) -> Self {
        let (inside, rest) = text.strip_prefix('{').unwrap().split_once('}').unwrap();
        let range = rest.strip_prefix('[').unwrap().split_once("ms]").unwrap().0;
        let matchers = inside.split("\",").map(|matcher| {
            let (name, value) = matcher.trim_end_matches('"').split_once('=').unwrap();
            let (operator, value) = match value.strip_prefix('~') {
                Some(value) => ("=~", value),
                None => ("=", value),
            };
            (
                name.to_owned(),
                operator.to_owned(),
                value.trim_start_matches('"').to_owned(),
            )
        });
        Self {
            matchers: matchers.collect(),
            range: range.parse().unwrap(),
        }
    }

    fn matches(&self, series: &Series) -> bool {
        self.matchers.iter().all(|(name, operator, value)| {
            let label = series.labels.get(name);
            match operator.as_str() {
                // Patterns for anything but names are about the gateway's pods, of which there is one.
                "=~" if name == "__name__" => value.split('|').any(|one| Some(one) == label.map(String::as_str)),
                "=~" => label.is_some(),
                _ => label == Some(value),
            }
        })
    }

    /// Samples of a series in `(at − range, at]`.
    fn samples(&self, series: &Series, at: i64) -> Vec<(i64, String)> {
        let first = (at - self.range).div_euclid(SCRAPE) + 1;
        let last = at.div_euclid(SCRAPE);
        let first = first.max(last - 100_000);
        let times = (first..=last).map(|index| index * SCRAPE);
        times.filter_map(|time| Some((time, (series.value)(time)?))).collect()
    }

    /// Whether a series has a sample in the range; looks at the ends first, for ranges can be long.
    fn present(&self, series: &Series, at: i64) -> bool {
        let last = at.div_euclid(SCRAPE) * SCRAPE;
        if last > at - self.range && (series.value)(last).is_some() {
            return true;
        }
        let near = Self {
            matchers: Vec::new(),
            range: self.range.min(600_000),
        };
        !near.samples(series, at).is_empty()
    }
}

fn seconds(time: i64) -> f64 {
    time as f64 / 1_000.0
}

fn evaluate(all: &[Series], query: &str, at: i64) -> Value {
    if query.starts_with("label_replace(") {
        let terms = query.split(" or ").flat_map(|text| {
            let term = Term::parse(text.strip_prefix("label_replace(resets(").unwrap());
            let found: Vec<Value> = all
                .iter()
                .filter(|series| term.matches(series) && term.present(series, at))
                .map(|series| {
                    let mut labels = series.labels.clone();
                    let name = labels.remove("__name__").unwrap();
                    labels.insert("penin_counter".to_owned(), name);
                    json!({"metric": labels, "value": [seconds(at), "0"]})
                })
                .collect();
            found
        });
        return json!({"resultType": "vector", "result": terms.collect::<Vec<_>>()});
    }
    if let Some(inside) = query.strip_prefix("last_over_time(") {
        let term = Term::parse(inside);
        let found = all
            .iter()
            .filter(|series| term.matches(series) && term.present(series, at));
        let result: Vec<Value> = found
            .map(|series| json!({"metric": series.labels, "value": [seconds(at), "0"]}))
            .collect();
        return json!({"resultType": "vector", "result": result});
    }
    let term = Term::parse(query);
    let mut result = Vec::new();
    for series in all.iter().filter(|series| term.matches(series)) {
        let values: Vec<Value> = term
            .samples(series, at)
            .into_iter()
            .map(|(time, value)| json!([seconds(time), value]))
            .collect();
        if !values.is_empty() {
            result.push(json!({"metric": series.labels, "values": values}));
        }
    }
    json!({"resultType": "matrix", "result": result})
}
