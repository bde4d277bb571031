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

mod effort;
mod samples;
mod support;

use effort::effort;
use penin_engine::config::EthicsConfig;
use penin_engine::ethics::{Accumulator, Batch, EthicsReason, Evaluation, Groups, Keys, MetricStatus, evaluate};
use penin_engine::num::Num;
use proptest::prelude::*;
use samples::{NAMES, Row, as_batch, judged, lenient, one_by_one, rows, usable};
use support::any_f64;

proptest! {
    #![proptest_config(effort(256))]

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
