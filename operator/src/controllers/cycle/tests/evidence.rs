//! A data plane and a source of evidence: 500 requests a second, split as the accepted route says, answered by the
//! models that the training wrote down.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of a test are small and never negative"
)]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use penin_api::foreign::HttpRoute;
use serde_json::Value;

use crate::controllers::cycle::plan::Measure;
use crate::scoring::{
    Bin, BucketRecord, Evidence, Group, Latency, Measured, ModelCounts, Reading, ResourceUse, TrafficCounts, Unknown,
    UnknownReason, Window,
};

/// Requests a second.
const RATE: f64 = 500.0;
/// Requests from which a revision's quality counters are full.
const ENOUGH: u64 = 6_000;
/// Rows of the test split that the counters were made from.
const ROWS: u64 = 16_281;

/// What the data plane served from a moment on.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub from: Timestamp,
    pub weights: BTreeMap<String, i32>,
    pub mirror: Option<(String, i32)>,
}

impl Segment {
    pub fn of(route: &HttpRoute, from: Timestamp) -> Self {
        let rule = &route.spec.rules[0];
        let backends = rule.backend_refs.iter();
        let mirror = rule.filters.iter().find_map(|filter| filter.request_mirror.as_ref());
        Self {
            from,
            weights: backends.map(|backend| (backend.name.clone(), backend.weight)).collect(),
            mirror: mirror.map(|mirror| (mirror.backend_ref.name.clone(), mirror.percent.unwrap_or(100))),
        }
    }

    pub fn weight(&self, service: &str) -> i32 {
        self.weights.get(service).copied().unwrap_or(0)
    }
}

/// Everything that was ever served.
#[derive(Clone, Debug, Default)]
pub struct DataPlane {
    pub segments: Vec<Segment>,
}

impl DataPlane {
    /// The route is served from now on.
    pub fn serve(&mut self, route: &HttpRoute, now: Timestamp) {
        let next = Segment::of(route, now);
        let same = self
            .segments
            .last()
            .is_some_and(|last| last.weights == next.weights && last.mirror == next.mirror);
        if !same {
            self.segments.push(next);
        }
    }

    pub fn now(&self) -> Option<&Segment> {
        self.segments.last()
    }

    fn count(&self, since: Timestamp, until: Timestamp, share: impl Fn(&Segment) -> f64) -> u64 {
        let mut total = 0.0;
        for (index, segment) in self.segments.iter().enumerate() {
            let end = self.segments.get(index + 1).map_or(until, |next| next.from).min(until);
            let start = segment.from.max(since);
            if end > start {
                total += share(segment) * RATE * end.duration_since(start).as_secs_f64();
            }
        }
        total.floor() as u64
    }

    pub fn live(&self, service: &str, since: Timestamp, until: Timestamp) -> u64 {
        let part = |segment: &Segment| {
            let all: i32 = segment.weights.values().sum();
            f64::from(segment.weight(service)) / f64::from(all.max(1))
        };
        self.count(since, until, part)
    }

    pub fn mirrored(&self, service: &str, since: Timestamp, until: Timestamp) -> u64 {
        let part = |segment: &Segment| match &segment.mirror {
            Some((mirrored, percent)) if mirrored == service => f64::from(*percent) / 100.0,
            _ => 0.0,
        };
        self.count(since, until, part)
    }
}

/// What the evidence source does.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// It does not answer.
    pub down: bool,
    /// Models of which a tenth of the requests fail from a moment on.
    pub failing_since: BTreeMap<String, Timestamp>,
    /// Share of the live requests that really reaches the candidate, of what the route says.
    pub skew: Option<f64>,
    /// Copies that the gateway makes for each one that it was asked for.
    pub copies: Option<f64>,
    /// It was not read when the window of mirrored requests opened.
    pub unread_at_start: bool,
    /// The mirror that was taken off still delivers.
    pub stuck_mirror: bool,
}

pub fn unknown<T>(reason: UnknownReason) -> Reading<T> {
    Reading::Unknown(Unknown::new(reason, "the test's source says so"))
}

/// What the source answers to a question; `model_of` names the model of a revision.
pub fn measure(source: &Source, plane: &DataPlane, measure: &Measure, model_of: impl Fn(&str) -> String) -> Evidence {
    let milliseconds = |time: Timestamp| u64::try_from(time.as_millisecond()).unwrap();
    let window = |since| Window {
        start_ms: milliseconds(since),
        end_ms: milliseconds(measure.until),
    };
    let side = |revision: &str, mirrored: bool| {
        if source.down {
            return Measured {
                traffic: unknown(UnknownReason::Unreachable),
                model: unknown(UnknownReason::Unreachable),
                resources: unknown(UnknownReason::Unreachable),
                ..Measured::nothing(revision)
            };
        }
        let model = model_of(revision);
        let seen = plane.live(revision, measure.quality_since, measure.until)
            + plane.mirrored(revision, measure.quality_since, measure.until);
        Measured {
            revision: revision.to_owned(),
            traffic: traffic(source, plane, measure, revision, &model, mirrored),
            model: match seen {
                ENOUGH.. => Reading::Known(counters(&model)),
                _ => unknown(UnknownReason::NotYetSampled),
            },
            ratios: BTreeMap::new(),
            resources: Reading::Known(ResourceUse {
                cpu: 0.2,
                mem: 0.3,
                age_seconds: 2.0,
            }),
        }
    };
    Evidence {
        traffic_window: window(measure.traffic_since),
        quality_window: window(measure.quality_since),
        candidate: side(&measure.candidate, measure.mirrored),
        reference: measure.reference.as_deref().map(|reference| side(reference, false)),
        records: Vec::new(),
    }
}

fn traffic(
    source: &Source,
    plane: &DataPlane,
    measure: &Measure,
    revision: &str,
    model: &str,
    mirrored: bool,
) -> Reading<TrafficCounts> {
    let (since, until) = (measure.traffic_since, measure.until);
    if until <= since {
        return unknown(UnknownReason::InvalidQuery);
    }
    if mirrored && source.unread_at_start {
        return unknown(UnknownReason::StaleStart);
    }
    let count = |since| {
        if mirrored {
            plane.mirrored(revision, since, until)
        } else {
            plane.live(revision, since, until)
        }
    };
    let mut requests = count(since);
    if mirrored && requests == 0 && !source.stuck_mirror {
        // The proxy drops the counters of a mirror that it no longer has.
        return unknown(UnknownReason::Missing);
    }
    if let Some(copies) = source.copies.filter(|_| mirrored) {
        requests = (requests as f64 * copies) as u64;
    }
    if mirrored && source.stuck_mirror {
        requests = requests.max(7);
    }
    if let Some(skew) = source.skew.filter(|_| revision == measure.candidate && !mirrored) {
        requests = (requests as f64 * skew) as u64;
    }
    let failing = source.failing_since.get(model);
    let failures = failing.map_or(0, |from| count(since.max(*from)) / 10).min(requests);
    let latency = Latency {
        buckets: vec![BucketRecord {
            upper: 8.0,
            count: requests,
        }],
        unbounded: 0,
    };
    Reading::Known(TrafficCounts {
        requests,
        sent: requests,
        failures,
        aborts_at_least: 0,
        aborts_at_most: 0,
        latency: Reading::Known(latency),
    })
}

fn manifest() -> &'static Value {
    static MANIFEST: OnceLock<Value> = OnceLock::new();
    MANIFEST.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/workload/models/manifest.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    })
}

/// Counters of a model over the test split, from the manifest that its training wrote. An unknown name is a copy of
/// the better model, so that a test can have many candidates.
fn counters(model: &str) -> ModelCounts {
    let models = &manifest()["models"];
    let counters = &models.get(model).unwrap_or(&models["better"])["counters"];
    let list = |name: &str| -> Vec<u64> { serde_json::from_value(counters[name].clone()).unwrap() };
    let (samples, positives) = (list("calibration_samples"), list("calibration_positives"));
    let (probability, selections) = (list("calibration_probability_q20"), list("selections"));
    let bin = |index: usize| Bin {
        predictions: samples[index],
        selections: selections[index],
        samples: samples[index],
        positives: positives[index],
        probability_q20: probability[index],
    };
    let group = |group: &Value| Group {
        tp: group["tp"].as_u64().unwrap(),
        fp: group["fp"].as_u64().unwrap(),
        tn: group["tn"].as_u64().unwrap(),
        fn_: group["fn"].as_u64().unwrap(),
    };
    let groups = counters["group_outcomes"].as_object().unwrap();
    ModelCounts {
        predictions: ROWS,
        labelled: ROWS,
        bins: (0..samples.len()).map(bin).collect(),
        squared_error_q20: counters["squared_error_q20"].as_u64(),
        groups: groups
            .iter()
            .map(|(name, counts)| (name.clone(), group(counts)))
            .collect(),
    }
}
