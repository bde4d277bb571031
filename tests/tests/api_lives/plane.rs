//! What the gateway served and when, and the counters that a Prometheus would have scraped of it: pure functions of time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

/// Requests a second.
const RATE: i64 = 20_000;
/// Rows of the test split: quality counters move in whole passes over it, so that they always agree with each other.
const ROWS: i64 = 16_281;
/// Milliseconds between two scrapes.
pub const SCRAPE: i64 = 500;

/// What was served from a moment on.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub from_ms: i64,
    /// Live weights in per cent.
    pub weights: BTreeMap<String, i64>,
    pub mirror: Option<(String, i64)>,
}

impl Segment {
    pub fn weight(&self, service: &str) -> i64 {
        self.weights.get(service).copied().unwrap_or(0)
    }
}

/// Everything about one namespace that its counters depend on.
#[derive(Clone, Debug, Default)]
pub struct Plane {
    pub namespace: String,
    pub route: String,
    pub segments: Vec<Segment>,
    /// Model of each revision.
    pub models: BTreeMap<String, String>,
    /// When each revision's pods were first ready.
    pub born: BTreeMap<String, i64>,
    /// Models of which a tenth of the live requests fail from their first live request on.
    pub failing: BTreeSet<String>,
    /// No answers.
    pub down: bool,
}

/// One counter or gauge.
pub struct Series {
    pub labels: BTreeMap<String, String>,
    /// Value at a scrape; None when the series does not exist then.
    pub value: Box<dyn Fn(i64) -> Option<String>>,
}

impl Plane {
    pub fn serve(&mut self, segment: Segment) {
        let same = self
            .segments
            .last()
            .is_some_and(|last| last.weights == segment.weights && last.mirror == segment.mirror);
        if !same {
            self.segments.push(segment);
        }
    }

    fn at(&self, time: i64) -> Option<&Segment> {
        self.segments.iter().rev().find(|segment| segment.from_ms <= time)
    }

    fn count(&self, until: i64, share: impl Fn(&Segment) -> i64) -> i64 {
        let ends = self.segments.iter().skip(1).map(|next| next.from_ms).chain([i64::MAX]);
        let spans = self.segments.iter().zip(ends);
        let parts = spans.map(|(segment, end)| (end.min(until) - segment.from_ms).max(0) * share(segment));
        parts.sum::<i64>() * RATE / 100_000
    }

    pub fn live(&self, service: &str, until: i64) -> i64 {
        self.count(until, |segment| segment.weight(service))
    }

    pub fn mirrored(&self, service: Option<&str>, until: i64) -> i64 {
        self.count(until, |segment| match &segment.mirror {
            Some((mirrored, percent)) if service.is_none_or(|service| service == mirrored) => *percent,
            _ => 0,
        })
    }

    /// All series of the namespace.
    pub fn series(&self) -> Vec<Series> {
        let mut all = Self::gateway();
        for (revision, model) in &self.models {
            all.extend(self.cluster(revision, model));
            all.extend(self.pod(revision, model));
        }
        all.extend(self.mirror_cluster());
        all
    }

    fn gateway() -> Vec<Series> {
        let names = [
            "envoy_http_no_cluster",
            "envoy_http_downstream_rq_rx_reset",
            "envoy_http_downstream_rq_tx_reset",
        ];
        let labels = [("pod", "edge-0"), ("envoy_http_conn_manager_prefix", "http-10080")];
        names.iter().map(|name| constant(name, &labels)).collect()
    }

    fn cluster(&self, revision: &str, model: &str) -> Vec<Series> {
        let cluster = format!("service/{}/{revision}/80/http", self.namespace);
        let known = {
            let (plane, revision) = (self.clone(), revision.to_owned());
            move |time| {
                plane
                    .at(time)
                    .is_some_and(|segment| segment.weights.contains_key(&revision))
            }
        };
        let count = {
            let (plane, revision) = (self.clone(), revision.to_owned());
            move |time| plane.live(&revision, time)
        };
        envoy(&cluster, self.failing.contains(model), known, count)
    }

    fn mirror_cluster(&self) -> Vec<Series> {
        let cluster = format!("httproute/{}/{}/rule/0-mirror-0", self.namespace, self.route);
        let (plane, twin) = (self.clone(), self.clone());
        let known = move |time| plane.at(time).is_some_and(|segment| segment.mirror.is_some());
        envoy(&cluster, false, known, move |time| twin.mirrored(None, time))
    }

    /// Counters that the pods of a revision export.
    fn pod(&self, revision: &str, model: &str) -> Vec<Series> {
        let Some(born) = self.born.get(revision).copied() else {
            return Vec::new();
        };
        let labels = [
            ("namespace", self.namespace.as_str()),
            ("penin_ai_revision", revision),
            ("pod", revision),
        ];
        let counters = counters(model);
        let mut all = Vec::new();
        let mut counter = |name: &str, more: &[(&str, &str)], each: i64| {
            let (plane, revision) = (self.clone(), revision.to_owned());
            let value = move |time: i64| {
                let seen = plane.live(&revision, time) + plane.mirrored(Some(&revision), time);
                (time >= born).then(|| (seen / ROWS * each).to_string())
            };
            all.push(Series {
                labels: labelled(name, &[&labels, more].concat()),
                value: Box::new(value),
            });
        };
        counter("penin_model_predictions_total", &[], ROWS);
        counter("penin_model_labelled_total", &[], ROWS);
        counter(
            "penin_model_squared_error_q20_total",
            &[],
            counters["squared_error_q20"].as_i64().unwrap(),
        );
        let bins = [
            ("penin_model_score_predictions_total", "calibration_samples"),
            ("penin_model_selections_total", "selections"),
            ("penin_model_calibration_samples_total", "calibration_samples"),
            ("penin_model_calibration_positives_total", "calibration_positives"),
            (
                "penin_model_calibration_probability_q20_total",
                "calibration_probability_q20",
            ),
        ];
        for (name, key) in bins {
            for (bin, each) in counters[key].as_array().unwrap().iter().enumerate() {
                counter(name, &[("bin", &bin.to_string())], each.as_i64().unwrap());
            }
        }
        for (group, outcomes) in counters["group_outcomes"].as_object().unwrap() {
            for (outcome, each) in outcomes.as_object().unwrap() {
                let labels = [("group", group.as_str()), ("outcome", outcome.as_str())];
                counter("penin_model_group_outcomes_total", &labels, each.as_i64().unwrap());
            }
        }
        // A tenth of a core, and as much memory as before.
        let alive = move |time: i64| (time >= born).then_some(time - born);
        all.push(Series {
            labels: labelled("process_cpu_seconds_total", &labels),
            value: Box::new(move |time| alive(time).map(|lived| format!("{}", lived as f64 / 10_000.0))),
        });
        all.push(Series {
            labels: labelled("process_resident_memory_bytes", &labels),
            value: Box::new(move |time| alive(time).map(|_| "20000000".to_owned())),
        });
        all
    }
}

fn envoy(
    cluster: &str,
    fails: bool,
    known: impl Fn(i64) -> bool + Clone + 'static,
    count: impl Fn(i64) -> i64 + Clone + 'static,
) -> Vec<Series> {
    let mut all = Vec::new();
    let mut series = |name: &str, more: &[(&str, &str)], part: Box<dyn Fn(i64) -> i64>| {
        let (known, count) = (known.clone(), count.clone());
        all.push(Series {
            labels: labelled(
                name,
                &[&[("envoy_cluster_name", cluster), ("pod", "edge-0")], more].concat(),
            ),
            value: Box::new(move |time| known(time).then(|| part(count(time)).to_string())),
        });
    };
    series("envoy_cluster_upstream_rq_completed", &[], Box::new(|n| n));
    series("envoy_cluster_upstream_rq_total", &[], Box::new(|n| n));
    let failures = move |n: i64| if fails { n / 10 } else { 0 };
    series(
        "envoy_cluster_upstream_rq_xx",
        &[("envoy_response_code_class", "2")],
        Box::new(move |n| n - failures(n)),
    );
    series(
        "envoy_cluster_upstream_rq_xx",
        &[("envoy_response_code_class", "5")],
        Box::new(failures),
    );
    for name in [
        "envoy_cluster_upstream_cx_destroy_with_active_rq",
        "envoy_cluster_upstream_rq_rx_reset",
        "envoy_cluster_upstream_rq_tx_reset",
        "envoy_cluster_upstream_rq_pending_failure_eject",
    ] {
        series(name, &[], Box::new(|_| 0));
    }
    all
}

fn constant(name: &str, labels: &[(&str, &str)]) -> Series {
    Series {
        labels: labelled(name, labels),
        value: Box::new(|_| Some("0".to_owned())),
    }
}

fn labelled(name: &str, labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    let name = ("__name__", name);
    let all = labels.iter().chain(std::iter::once(&name));
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Counters of a model over the test split, from the manifest that its training wrote.
fn counters(model: &str) -> &'static Value {
    static MANIFEST: OnceLock<Value> = OnceLock::new();
    let manifest = MANIFEST.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/workload/models/manifest.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    });
    &manifest["models"][model]["counters"]
}
