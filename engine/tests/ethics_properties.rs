//! Properties of the ethics accumulator and its reports over arbitrary samples.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "tests count small numbers and compare exact results"
)]

mod support;

use penin_engine::config::EthicsConfig;
use penin_engine::ethics::{
    Accumulator, Batch, BinCounts, Counts, EthicsReason, Evaluation, GroupCounts, Groups, Keys, MetricStatus, NO_GROUP,
    Sample, bin_index, evaluate, from_counts,
};
use penin_engine::num::Num;
use proptest::prelude::*;
use serde_json::json;
use support::any_f64;

const NAMES: [&str; 4] = ["north", "south", "ost", "süd"];

#[derive(Debug, Clone, Copy)]
struct Row {
    p: f64,
    prediction: bool,
    label: bool,
    /// Index into the names; the number of names stands for no group.
    group: usize,
    key: u64,
}

impl Row {
    fn sample<'a>(&self, names: &[&'a str]) -> Sample<'a> {
        Sample {
            prob: Num::new(self.p),
            prediction: self.prediction,
            label: self.label,
            group: names.get(self.group).copied(),
            key: self.key,
        }
    }
}

fn rows(p: impl Strategy<Value = f64>, groups: usize, count: usize) -> impl Strategy<Value = Vec<Row>> {
    let row = (p, any::<bool>(), any::<bool>(), 0..groups, any::<u64>());
    let row = row.prop_map(|(p, prediction, label, group, key)| Row {
        p,
        prediction,
        label,
        group,
        key,
    });
    prop::collection::vec(row, 0..count)
}

fn usable() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..=1.0_f64, 1 => (0_u32..=1000).prop_map(|k| f64::from(k) / 1000.0)]
}

fn one_by_one(rows: &[Row], names: &[&str], bins: usize) -> Accumulator {
    let mut accumulator = Accumulator::new(bins);
    for row in rows {
        accumulator.add(&row.sample(names));
    }
    accumulator
}

fn as_batch(rows: &[Row], names: &[&str], bins: usize) -> Accumulator {
    let probs: Vec<f64> = rows.iter().map(|row| row.p).collect();
    let predictions: Vec<bool> = rows.iter().map(|row| row.prediction).collect();
    let labels: Vec<bool> = rows.iter().map(|row| row.label).collect();
    let keys: Vec<u64> = rows.iter().map(|row| row.key).collect();
    let code = |row: &Row| {
        names
            .get(row.group)
            .map_or(NO_GROUP, |_| u16::try_from(row.group).unwrap())
    };
    let codes: Vec<u16> = rows.iter().map(code).collect();
    let mut accumulator = Accumulator::new(bins);
    accumulator.add_batch(&Batch {
        probs: &probs,
        predictions: &predictions,
        labels: &labels,
        groups: Groups::Interned { names, codes: &codes },
        keys: Keys::Each(&keys),
    });
    accumulator
}

fn lenient() -> EthicsConfig {
    EthicsConfig {
        min_samples: 10,
        group_min_samples: 1,
        ..EthicsConfig::default()
    }
}

fn judged(accumulator: &Accumulator) -> Evaluation {
    evaluate(
        &EthicsConfig {
            bins: accumulator.bins() as u64,
            ..lenient()
        },
        accumulator,
        1,
        2,
    )
    .unwrap()
}

/// The counters that a pod would export for the rows.
fn exported(rows: &[Row], names: &[&str], bins: usize) -> Counts {
    let fixed = |x: f64| (x * f64::from(1 << 20)).round_ties_even() as u64;
    let mut counts = Counts {
        bins: vec![BinCounts::default(); bins],
        sum_squared_error: Some(0),
        groups: names
            .iter()
            .map(|name| GroupCounts {
                name: (*name).to_owned(),
                ..GroupCounts::default()
            })
            .collect(),
    };
    for row in rows {
        let bin = &mut counts.bins[bin_index(row.p, bins)];
        bin.samples += 1;
        bin.positives += u64::from(row.label);
        bin.sum_prob += fixed(row.p);
        let error = row.p - f64::from(u8::from(row.label));
        counts.sum_squared_error = counts.sum_squared_error.map(|sum| sum + fixed(error * error));
        if let Some(group) = counts.groups.get_mut(row.group) {
            *match (row.prediction, row.label) {
                (true, true) => &mut group.true_positives,
                (true, false) => &mut group.false_positives,
                (false, false) => &mut group.true_negatives,
                (false, true) => &mut group.false_negatives,
            } += 1;
        }
    }
    counts
}

proptest! {
    #[test]
    fn any_split_and_any_order_give_the_same_bits(
        rows in rows(any_f64(), 5, 200), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4), seed: u64,
    ) {
        let whole = one_by_one(&rows, &NAMES, 15);
        prop_assert_eq!(&as_batch(&rows, &NAMES, 15), &whole);

        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
        ends.push(rows.len());
        ends.sort_unstable();
        let mut start = 0;
        let mut shards: Vec<Accumulator> = Vec::new();
        for (i, end) in ends.into_iter().enumerate() {
            let shard = if i % 2 == 0 { one_by_one } else { as_batch };
            shards.push(shard(&rows[start..end], &NAMES, 15));
            start = end;
        }
        penin_engine::rng::Stream::new(seed, 0).shuffle(&mut shards);

        let merge = |parts: &[Accumulator]| {
            let mut merged = Accumulator::new(15);
            for part in parts {
                merged.merge(part).unwrap();
            }
            merged
        };
        prop_assert_eq!(&merge(&shards), &whole);
        // Grouped the other way round: ((a b) c) equals (a (b c)).
        let (left, right) = shards.split_at(shards.len() / 2);
        prop_assert_eq!(&merge(&[merge(left), merge(right)]), &whole);
        prop_assert_eq!(judged(&merge(&shards)), judged(&whole));
    }

    #[test]
    fn the_order_of_samples_does_not_matter(mut rows in rows(any_f64(), 5, 100), seed: u64) {
        let before = one_by_one(&rows, &NAMES, 10);
        penin_engine::rng::Stream::new(seed, 0).shuffle(&mut rows);
        prop_assert_eq!(one_by_one(&rows, &NAMES, 10), before);
    }

    #[test]
    fn metrics_stay_in_their_ranges(rows in rows(any_f64(), 5, 150), bins in 2_usize..40) {
        let Evaluation { report, gate } = judged(&one_by_one(&rows, &NAMES, bins));
        for metric in [report.ece, report.mce, report.adaptive_ece, report.brier, report.fairness] {
            prop_assert!((0.0..=1.0).contains(&metric.value));
        }
        prop_assert!((1.0..=10.0).contains(&report.rho_bias.value));
        if report.ece.is_measured() {
            prop_assert!(report.ece.value <= report.mce.value + 1e-12);
        }
        if let (Some(overall), Some(between)) = (report.rho_bias_forms.to_overall, report.rho_bias_forms.between_groups) {
            prop_assert!(between >= overall - 1e-12);
        }
        for (metric, gated, worst) in [(report.ece, gate.ece, 1.0), (report.rho_bias, gate.rho_bias, 10.0), (report.fairness, gate.fairness, 0.0)] {
            if metric.status == MetricStatus::Unknown {
                prop_assert_eq!(metric.value, worst);
                prop_assert_eq!((gated.value, gated.unknown), (None, metric.reason));
            } else {
                prop_assert_eq!((gated.value, gated.unknown), (Some(metric.value), None));
            }
        }
    }

    #[test]
    fn one_bad_probability_spoils_every_metric(mut rows in rows(usable(), 2, 60), bad in prop::sample::select(vec![f64::NAN, f64::INFINITY, -1e-9, 1.000_000_1, 85.0])) {
        rows.push(Row { p: bad, prediction: true, label: true, group: 0, key: 1 });
        let Evaluation { report, gate } = judged(&one_by_one(&rows, &NAMES, 15));
        let expected = if bad.is_finite() { EthicsReason::OutOfRange } else { EthicsReason::NonFinite };
        for metric in [report.ece, report.mce, report.adaptive_ece, report.brier, report.rho_bias, report.fairness] {
            prop_assert_eq!(metric.reason, Some(expected));
        }
        prop_assert_eq!([gate.ece.value, gate.rho_bias.value, gate.fairness.value], [None; 3]);
    }

    #[test]
    fn names_of_groups_do_not_matter(rows in rows(usable(), 3, 100)) {
        let mut report = judged(&one_by_one(&rows, &NAMES, 15)).report;
        let mut renamed = judged(&one_by_one(&rows, &["z", "y", "x"], 15)).report;
        for report in [&mut report, &mut renamed] {
            report.groups.clear();
            report.evidence_digest = penin_engine::event::Digest::ZERO;
        }
        prop_assert_eq!(report, renamed);
    }

    #[test]
    fn exported_counters_give_the_same_report(rows in rows(usable(), 3, 200)) {
        let samples = judged(&one_by_one(&rows, &NAMES, 15)).report;
        let counters = from_counts(&lenient(), &exported(&rows, &NAMES, 15)).unwrap().report;
        let resolution = 0.5 / f64::from(1 << 20) + 1e-12;
        for (exact, counted) in [(samples.ece, counters.ece), (samples.mce, counters.mce), (samples.brier, counters.brier)] {
            prop_assert_eq!(exact.reason, counted.reason);
            prop_assert!((exact.value - counted.value).abs() <= resolution);
        }
        prop_assert_eq!(samples.rho_bias, counters.rho_bias);
        prop_assert_eq!(samples.fairness, counters.fairness);
        prop_assert_eq!(samples.equalized_odds, counters.equalized_odds);
        prop_assert_eq!(samples.groups, counters.groups);
        prop_assert_eq!(samples.samples, counters.samples);
        prop_assert!(!counters.adaptive_ece.is_measured());
        prop_assert_eq!(counters.intervals, None);
    }

    #[test]
    fn intervals_contain_the_estimate(rows in rows(usable(), 2, 300), seed: u64, cycle: u64) {
        let config = EthicsConfig {
            bootstrap: penin_engine::config::BootstrapConfig { replicates: 50, confidence_permille: 900, gate_on_bound: true },
            ..lenient()
        };
        let accumulator = one_by_one(&rows, &NAMES, 15);
        let Evaluation { report, gate } = evaluate(&config, &accumulator, seed, cycle).unwrap();
        prop_assert_eq!(evaluate(&config, &accumulator, seed, cycle).unwrap().report, report.clone());
        prop_assert_eq!(report.intervals.is_some(), report.ece.is_measured());
        let Some(intervals) = report.intervals else { return Ok(()) };
        let pairs = [
            (report.ece, Some(intervals.ece), gate.ece, 1),
            (report.rho_bias, intervals.rho_bias, gate.rho_bias, 1),
            (report.fairness, intervals.fairness, gate.fairness, 0),
        ];
        for (metric, interval, gated, unfavourable) in pairs {
            prop_assert_eq!(interval.is_some(), metric.is_measured());
            if let Some(interval) = interval {
                prop_assert!(interval[0] <= metric.value && metric.value <= interval[1]);
                prop_assert_eq!(gated.value, Some(interval[unfavourable]));
            }
        }
    }
}

#[test]
fn unused_names_of_a_dictionary_are_no_groups() {
    let row = Row {
        p: 0.5,
        prediction: true,
        label: true,
        group: 0,
        key: 0,
    };
    let many: Vec<String> = (0..1000).map(|i| format!("g{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(as_batch(&[row], &many, 15), one_by_one(&[row], &["g0"], 15));
}

#[test]
fn the_same_name_at_several_codes_is_one_group() {
    let rows = [0, 1, 0].map(|group| Row {
        p: 0.5,
        prediction: true,
        label: true,
        group,
        key: 0,
    });
    let merged = rows.map(|row| Row { group: 0, ..row });
    assert_eq!(as_batch(&rows, &["a", "a"], 15), one_by_one(&merged, &["a"], 15));
}

#[test]
fn too_many_groups_overflow_however_they_come() {
    let names: Vec<String> = (0..257).map(|i| format!("g{i:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows: Vec<Row> = (0..257_u64)
        .map(|i| Row {
            p: 0.5,
            prediction: true,
            label: true,
            group: usize::try_from(i).unwrap(),
            key: i,
        })
        .collect();
    let whole = one_by_one(&rows, &names, 15);
    assert_eq!(as_batch(&rows, &names, 15), whole);
    let mut merged = as_batch(&rows[..200], &names, 15);
    merged.merge(&one_by_one(&rows[200..], &names, 15)).unwrap();
    assert_eq!(merged, whole);
    // An accumulator that overflowed stays so, and counts samples without a group all the same.
    let late = [Row { group: 300, ..rows[0] }, rows[1]];
    let mut after = merged.clone();
    for row in late {
        after.add(&row.sample(&names));
    }
    merged.merge(&as_batch(&late, &names, 15)).unwrap();
    assert_eq!(merged, after);
    let report = judged(&merged).report;
    assert_eq!(report.fairness.reason, Some(EthicsReason::TooManyGroups));
    assert!(report.ece.is_measured() && report.groups.is_empty());
    assert_eq!(judged(&one_by_one(&rows[..256], &names, 15)).report.groups.len(), 256);
}

#[test]
fn other_bins_do_not_merge() {
    let mut accumulator = Accumulator::new(15);
    assert!(accumulator.merge(&Accumulator::new(10)).is_err());
    assert!(evaluate(&EthicsConfig::default(), &Accumulator::new(10), 0, 0).is_err());
    assert_eq!(Accumulator::new(0).bins(), 2);
    assert_eq!(Accumulator::new(5000).bins(), 1000);
}

#[test]
fn columns_of_different_length_are_bad_for_good() {
    let mut accumulator = Accumulator::new(15);
    let batch = Batch {
        probs: &[0.5; 20],
        predictions: &[true; 20],
        labels: &[true; 19],
        groups: Groups::None,
        keys: Keys::From(0),
    };
    accumulator.add_batch(&batch);
    let whole = Batch {
        labels: &[true; 20],
        ..batch
    };
    accumulator.add_batch(&whole);
    assert_eq!(accumulator.samples(), 20);
    let mut other = Accumulator::new(15);
    other.merge(&accumulator).unwrap();
    assert_eq!(judged(&other).report.ece.reason, Some(EthicsReason::LengthMismatch));
    for broken in [
        Batch {
            predictions: &[true; 1],
            ..whole
        },
        Batch {
            groups: Groups::Interned {
                names: &["a"],
                codes: &[0],
            },
            ..whole
        },
        Batch {
            keys: Keys::Each(&[1]),
            ..whole
        },
        Batch { probs: &[], ..whole },
    ] {
        assert!(!broken.is_consistent());
    }
}

#[test]
fn counters_that_no_samples_can_produce_are_bad_evidence() {
    let good = {
        let mut counts = exported(&[], &["a", "b"], 15);
        counts.bins[3] = BinCounts {
            samples: 200,
            positives: 50,
            sum_prob: 45 << 20,
        };
        counts.sum_squared_error = Some(30 << 20);
        for group in &mut counts.groups {
            *group = GroupCounts {
                true_positives: 15,
                false_negatives: 10,
                false_positives: 15,
                true_negatives: 60,
                ..group.clone()
            };
        }
        counts
    };
    let reason = |change: &dyn Fn(&mut Counts)| {
        let mut counts = good.clone();
        change(&mut counts);
        let report = from_counts(&EthicsConfig::default(), &counts).unwrap().report;
        (report.ece.reason, report.rho_bias.reason)
    };
    let both = |reason| (Some(reason), Some(reason));
    assert_eq!(reason(&|_| {}), (None, None));
    assert_eq!(reason(&|c| c.bins[3].positives = 201), both(EthicsReason::OutOfRange));
    assert_eq!(
        reason(&|c| c.bins[3].sum_prob = (200 << 20) + 1),
        both(EthicsReason::OutOfRange)
    );
    assert_eq!(
        reason(&|c| c.bins[0].samples = u64::MAX),
        both(EthicsReason::OutOfRange)
    );
    assert_eq!(
        reason(&|c| c.groups[0].true_negatives = 1 << 60),
        both(EthicsReason::OutOfRange)
    );
    assert_eq!(
        reason(&|c| c.sum_squared_error = Some(201 << 20)),
        both(EthicsReason::OutOfRange)
    );
    assert_eq!(
        reason(&|c| c.groups[1].name = "a".to_owned()),
        both(EthicsReason::OutOfRange)
    );
    assert_eq!(
        reason(&|c| c.groups[0].true_negatives = 61),
        both(EthicsReason::LengthMismatch)
    );
    assert_eq!(
        reason(&|c| c.groups[0].true_negatives = 59),
        (None, Some(EthicsReason::MissingGroup))
    );
    assert_eq!(reason(&|c| c.groups.clear()), (None, Some(EthicsReason::NoGroups)));
    assert!(
        from_counts(
            &EthicsConfig {
                bins: 10,
                ..EthicsConfig::default()
            },
            &good
        )
        .is_err()
    );
}

#[test]
fn what_counters_do_not_contain_is_said() {
    let config = support::config(&json!({"ethics": {"bootstrap": {"replicates": 50, "gateOnBound": true}}}));
    let rows: Vec<Row> = (0..200_u32)
        .map(|i| Row {
            p: f64::from(i) / 200.0,
            prediction: i % 2 == 0,
            label: i % 3 == 0,
            group: (i % 2) as usize ^ (i / 7 % 2) as usize,
            key: 0,
        })
        .collect();
    let mut counts = exported(&rows, &["a", "b"], 15);
    counts.sum_squared_error = None;
    let Evaluation { report, gate } = from_counts(&config.ethics, &counts).unwrap();
    assert_eq!(report.brier.reason, Some(EthicsReason::NotExported));
    assert_eq!(report.adaptive_ece.reason, Some(EthicsReason::NotExported));
    assert!(report.ece.is_measured());
    for gated in [gate.ece, gate.rho_bias, gate.fairness] {
        assert_eq!(gated.unknown, Some(EthicsReason::MissingInterval));
    }
    assert_ne!(
        report.evidence_digest,
        from_counts(&config.ethics, &exported(&rows, &["a", "b"], 15))
            .unwrap()
            .report
            .evidence_digest
    );
    let waived = support::config(&json!({"ethics": {"calibrationPolicy": "notApplicable"}}));
    counts.bins.clear();
    let report = from_counts(&waived.ethics, &counts).unwrap().report;
    assert_eq!((report.samples, report.ece.status), (200, MetricStatus::NotApplicable));
    assert!(report.rho_bias.is_measured());
    assert!(from_counts(&config.ethics, &counts).is_err());
    let text = serde_json::to_string(&counts).unwrap();
    assert_eq!(serde_json::from_str::<Counts>(&text).unwrap(), counts);
}

#[test]
fn evidence_of_an_evaluation_reaches_the_guard_unchanged() {
    use penin_engine::master::{EthicsEvidence, EthicsMetric};
    let few = judged(&one_by_one(&[], &[], 15));
    let evidence = EthicsEvidence::new(&few, Some(true), None);
    assert_eq!(evidence.unknown.len(), 3);
    assert_eq!(evidence.unknown[&EthicsMetric::Ece], "insufficient_data");
    assert_eq!((evidence.consent, evidence.eco_ok), (Some(true), None));
    assert_eq!(evidence.evidence_digest, Some(few.report.evidence_digest.to_string()));
    let rows: Vec<Row> = (0..200_u32)
        .map(|i| Row {
            p: 0.25,
            prediction: i % 2 == 0,
            label: i % 4 == 0,
            group: (i / 2 % 2) as usize,
            key: 0,
        })
        .collect();
    let enough = judged(&one_by_one(&rows, &NAMES, 15));
    let evidence = EthicsEvidence::new(&enough, None, None);
    assert!(evidence.unknown.is_empty());
    assert_eq!(evidence.ece, Num::new(0.0));
    assert_eq!(evidence.rho_bias, Num::new(enough.report.rho_bias.value));
    assert_eq!(evidence.fairness, Num::new(enough.report.fairness.value));
}
