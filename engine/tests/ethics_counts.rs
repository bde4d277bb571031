//! Reports from exported counters, beside those from the samples themselves.
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

mod effort;
mod samples;
mod support;

use effort::effort;
use penin_engine::config::EthicsConfig;
use penin_engine::ethics::{
    BinCounts, Counts, EthicsReason, Evaluation, GroupCounts, MetricStatus, bin_index, from_counts,
};
use proptest::prelude::*;
use samples::{NAMES, Row, judged, lenient, one_by_one, rows, usable};
use serde_json::json;

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
    #![proptest_config(effort(256))]

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
