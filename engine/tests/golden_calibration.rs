//! The engine's calibration error beside what netcal and torchmetrics compute on the same samples.
//!
//! `data/golden-calibration.json` was written by `crosscheck/golden.py`, with the versions that it names; both libraries need torch, so
//! that they are not part of the test suite. All three compute in binary64 and add in another order, hence the tolerance.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use penin_engine::config::EthicsConfig;
use penin_engine::ethics::{Accumulator, Batch, Groups, Keys, evaluate};
use serde::Deserialize;

/// Agreement of two values of the same quantity.
const TOLERANCE: f64 = 1e-12;
/// A named difference that is smaller than this would show nothing.
const DISTINCT: f64 = 1e-3;

#[derive(Deserialize)]
struct Golden {
    versions: std::collections::BTreeMap<String, String>,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    case: String,
    probs: Vec<f64>,
    labels: Vec<u8>,
    results: Vec<Reference>,
}

/// What the libraries say; mirrored: with the classes swapped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    bins: usize,
    netcal: f64,
    torchmetrics: f64,
    netcal_mirrored: f64,
    torchmetrics_mirrored: f64,
}

impl Reference {
    const fn all(&self) -> [f64; 4] {
        [
            self.netcal,
            self.torchmetrics,
            self.netcal_mirrored,
            self.torchmetrics_mirrored,
        ]
    }
}

impl Set {
    fn samples(&self) -> Vec<(f64, bool)> {
        assert_eq!(self.probs.len(), self.labels.len(), "{}", self.name);
        let labels = self.labels.iter().map(|label| *label == 1);
        self.probs.iter().copied().zip(labels).collect()
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("data/golden-calibration.json")).unwrap()
}

/// The engine's ECE.
fn ece(samples: &[(f64, bool)], bins: usize) -> f64 {
    let (probs, labels): (Vec<f64>, Vec<bool>) = samples.iter().copied().unzip();
    let mut accumulator = Accumulator::new(bins);
    accumulator.add_batch(&Batch {
        probs: &probs,
        predictions: &labels,
        labels: &labels,
        groups: Groups::None,
        keys: Keys::From(0),
    });
    let config = EthicsConfig {
        bins: bins as u64,
        min_samples: 10,
        ..EthicsConfig::default()
    };
    let metric = evaluate(&config, &accumulator, 0, 0).unwrap().report.ece;
    assert!(metric.is_measured(), "{metric:?}");
    metric.value
}

/// ECE with the samples of p = `end` in a bin of their own.
#[allow(clippy::cast_precision_loss, clippy::float_cmp, reason = "small numbers; exact ends")]
fn ece_with_end_apart(samples: &[(f64, bool)], bins: usize, end: f64) -> f64 {
    let (apart, rest): (Vec<_>, Vec<_>) = samples.iter().copied().partition(|(p, _)| *p == end);
    let gap: f64 = apart.iter().map(|(p, label)| f64::from(u8::from(*label)) - p).sum();
    (gap.abs() + ece(&rest, bins) * rest.len() as f64) / samples.len() as f64
}

#[track_caller]
fn assert_same(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() <= TOLERANCE, "{what}: {ours} and {theirs}");
}

#[track_caller]
fn assert_differs(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() > DISTINCT, "{what}: {ours} and {theirs}");
}

/// Calls `check` for each result of the sets of a case; there must be some.
fn each(case: &str, check: impl Fn(&str, &[(f64, bool)], &Reference)) {
    let golden = golden();
    let mut seen = 0;
    for set in golden.sets.iter().filter(|set| set.case == case) {
        for reference in &set.results {
            let what = format!("{}, {} bins", set.name, reference.bins);
            check(&what, &set.samples(), reference);
            seen += 1;
        }
    }
    assert!(seen > 0, "no set of the case {case:?}");
}

#[test]
fn every_set_belongs_to_a_case_and_every_library_has_a_version() {
    let golden = golden();
    for set in &golden.sets {
        let known = ["plain", "left-closed", "a bin of its own"].contains(&set.case.as_str());
        assert!(known, "{}: {:?}", set.name, set.case);
    }
    for library in ["netcal", "torchmetrics", "torch"] {
        assert!(golden.versions.contains_key(library), "{library}");
    }
}

#[test]
fn both_libraries_agree_where_no_sample_lies_on_a_border() {
    each("plain", |what, samples, reference| {
        for theirs in reference.all() {
            assert_same(ece(samples, reference.bins), theirs, what);
        }
    });
}

/// Named case "left-closed": the libraries' bins hold their lower border, the engine's the upper one.
#[test]
fn on_borders_the_libraries_agree_with_the_classes_swapped() {
    each("left-closed", |what, samples, reference| {
        let ours = ece(samples, reference.bins);
        assert_same(ours, reference.netcal_mirrored, what);
        assert_same(ours, reference.torchmetrics_mirrored, what);
        assert_differs(ours, reference.netcal, what);
        assert_differs(ours, reference.torchmetrics, what);
    });
}

/// Named case "a bin of its own": torchmetrics counts p = 1 apart; netcal does not, and moves 0 and 1 inwards by less than the tolerance.
#[test]
fn certain_predictions_belong_to_the_outermost_bins() {
    each("a bin of its own", |what, samples, reference| {
        let ours = ece(samples, reference.bins);
        assert_same(ours, reference.netcal, what);
        assert_same(ours, reference.netcal_mirrored, what);
        assert_differs(ours, reference.torchmetrics, what);
        assert_same(
            ece_with_end_apart(samples, reference.bins, 1.0),
            reference.torchmetrics,
            what,
        );
        assert_same(
            ece_with_end_apart(samples, reference.bins, 0.0),
            reference.torchmetrics_mirrored,
            what,
        );
    });
}
