//! The engine's statistics as a filter, for comparison with other libraries (`tests/crosscheck/crosscheck.py`).
//!
//! Each input line is a JSON document with the member `op`; each output line is the result.
//!
//! | op | members | result |
//! |---|---|---|
//! | `ethics` | `probs`, `predictions`, `labels`, `groups` (names), `bins`, `adaptiveBins` | the report |
//! | `mannWhitney` | `challenger`, `champion`: integers | U, z, effect size, p-value |
//! | `confidenceSequence` | `events`, `trials`, `alpha` | the interval |
//! | `quantile` | `microseconds`, `permille` | upper edge of the bucket |
//! | `bucketUpper` | `microseconds` | upper edge of each value's bucket |
//! | `lnFactorial` | `n` | ln n! |
//! | `linf` | `values`, `weights` | weighted harmonic mean |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a filter that stops loudly at anything unexpected"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use penin_engine::config::EthicsConfig;
use penin_engine::ethics::{Accumulator, Batch, Groups, Keys, evaluate};
use penin_engine::league::{Histogram, bucket, bucket_upper, confidence_sequence, mann_whitney};
use penin_engine::linf::{Metric, aggregate};
use penin_engine::num::{Num, ln_factorial};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn main() {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.expect("text")).expect("a JSON document");
        writeln!(output, "{}", answer(&request)).expect("an open output");
        output.flush().expect("an open output");
    }
}

fn field<T: DeserializeOwned>(request: &Value, name: &str) -> T {
    serde_json::from_value(request[name].clone()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn answer(request: &Value) -> Value {
    match request["op"].as_str().expect("an op") {
        "ethics" => ethics(request),
        "mannWhitney" => {
            let side = |name| {
                let values: Vec<u64> = field(request, name);
                values.into_iter().map(|v| (v, 1)).collect::<Vec<_>>()
            };
            json!(mann_whitney(&side("challenger"), &side("champion")))
        }
        "confidenceSequence" => json!(confidence_sequence(
            field(request, "events"),
            field(request, "trials"),
            field(request, "alpha")
        )),
        "quantile" => {
            let values: Vec<u64> = field(request, "microseconds");
            let mut histogram = Histogram::new();
            for v in &values {
                histogram.record(*v);
            }
            json!(histogram.quantile(field(request, "permille")))
        }
        "bucketUpper" => {
            let values: Vec<u64> = field(request, "microseconds");
            let edges: Vec<u64> = values.iter().map(|v| bucket_upper(bucket(*v))).collect();
            json!(edges)
        }
        "lnFactorial" => json!(ln_factorial(field(request, "n"))),
        "linf" => linf(request),
        other => panic!("unknown op {other:?}"),
    }
}

fn ethics(request: &Value) -> Value {
    let probs: Vec<f64> = field(request, "probs");
    let predictions: Vec<bool> = field(request, "predictions");
    let labels: Vec<bool> = field(request, "labels");
    let groups: Vec<String> = field(request, "groups");
    let mut codes_by_name = BTreeMap::new();
    let codes: Vec<u16> = groups
        .iter()
        .map(|name| {
            let next = u16::try_from(codes_by_name.len()).expect("few groups");
            *codes_by_name.entry(name.as_str()).or_insert(next)
        })
        .collect();
    let mut names = vec![""; codes_by_name.len()];
    for (name, code) in &codes_by_name {
        names[usize::from(*code)] = name;
    }
    let config = EthicsConfig {
        bins: field(request, "bins"),
        adaptive_bins: field(request, "adaptiveBins"),
        min_samples: 10,
        group_min_samples: 1,
        ..EthicsConfig::default()
    };
    let mut accumulator = Accumulator::new(field(request, "bins"));
    accumulator.add_batch(&Batch {
        probs: &probs,
        predictions: &predictions,
        labels: &labels,
        groups: Groups::Interned {
            names: &names,
            codes: &codes,
        },
        keys: Keys::From(0),
    });
    json!(evaluate(&config, &accumulator, 0, 0).expect("the same bins").report)
}

fn linf(request: &Value) -> Value {
    let values: Vec<f64> = field(request, "values");
    let weights: Vec<f64> = field(request, "weights");
    let metrics: Vec<Metric<'_>> = values
        .iter()
        .zip(weights)
        .map(|(value, weight)| Metric {
            name: "m".into(),
            weight,
            value: Ok(*value),
        })
        .collect();
    let zero = Num::new(0.0);
    json!(aggregate(&metrics, zero, zero, Some(true), Some(true)).harmonic)
}
