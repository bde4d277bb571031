//! The server's counters, after the whole test split, against what the training script counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use penin_engine::config::{BiasForm, EthicsConfig};
use penin_engine::ethics::{BinCounts, Counts, GroupCounts, from_counts};
use penin_workload::adult::{Row, test_split};
use penin_workload::model::{Model, digest_of};
use penin_workload::tally::{Counters, Tally};
use serde::Deserialize;

const FIXED_POINT: f64 = 1_048_576.0;

#[derive(Deserialize)]
struct Manifest {
    test_rows: usize,
    test_split_sha256: String,
    models: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    sha256: String,
    figures: Figures,
    counters: Counted,
}

#[derive(Deserialize)]
struct Figures {
    accuracy: f64,
    ece: f64,
    brier: f64,
    rho_bias_between_groups: f64,
}

#[derive(Deserialize)]
struct Counted {
    calibration_samples: Vec<u64>,
    calibration_positives: Vec<u64>,
    calibration_probability_q20: Vec<u64>,
    selections: Vec<u64>,
    squared_error_q20: u64,
    group_outcomes: BTreeMap<String, BTreeMap<String, u64>>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn manifest() -> Manifest {
    serde_json::from_slice(&std::fs::read(folder("models/manifest.json")).unwrap()).unwrap()
}

fn models() -> Vec<(Entry, Model)> {
    let load = |entry: Entry| {
        let model = Model::load(&folder("models").join(&entry.file)).unwrap();
        (entry, model)
    };
    manifest().models.into_values().map(load).collect()
}

/// Every row predicted once and labelled once.
fn play(model: &Model, rows: &[Row]) -> Counters {
    let mut tally = Tally::new(model.groups().len(), NonZeroUsize::new(rows.len()).unwrap());
    for (index, row) in rows.iter().enumerate() {
        tally.predicted(Some(&index.to_string()), model.predict(&row.features).unwrap());
    }
    for (index, row) in rows.iter().enumerate() {
        tally.labelled(&index.to_string(), row.label);
    }
    tally.counters()
}

#[test]
fn the_manifest_names_every_committed_file_and_its_digest() {
    let manifest = manifest();
    let split = std::fs::read(folder("data/adult-test.csv")).unwrap();
    assert_eq!(digest_of(&split), format!("sha256:{}", manifest.test_split_sha256));
    let mut listed: Vec<String> = manifest.models.values().map(|entry| entry.file.clone()).collect();
    listed.push("manifest.json".into());
    let mut present: Vec<String> = std::fs::read_dir(folder("models"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    listed.sort();
    present.sort();
    assert_eq!(present, listed);
    for (entry, model) in models() {
        assert_eq!(model.digest(), format!("sha256:{}", entry.sha256));
        assert_eq!(entry.file, format!("{}.json", model.name()));
    }
}

#[test]
fn no_two_models_have_the_same_digest() {
    let mut digests: Vec<_> = models().iter().map(|(_, model)| model.digest().to_owned()).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 4);
}

#[test]
fn only_the_failing_model_declares_a_defect() {
    for (entry, model) in models() {
        assert_eq!(model.defect().is_some(), entry.file == "failing.json", "{}", entry.file);
    }
}

#[test]
fn every_counter_agrees_with_the_training_scripts() {
    let rows = test_split().unwrap();
    assert_eq!(rows.len(), manifest().test_rows);
    for (entry, model) in models() {
        let counters = play(&model, &rows);
        let wanted = &entry.counters;
        let calibration = counters.calibration;
        assert_eq!(calibration.map(|bin| bin.samples).to_vec(), wanted.calibration_samples);
        assert_eq!(
            calibration.map(|bin| bin.positives).to_vec(),
            wanted.calibration_positives
        );
        assert_eq!(
            calibration.map(|bin| bin.probability_q20).to_vec(),
            wanted.calibration_probability_q20
        );
        assert_eq!(counters.selections.to_vec(), wanted.selections);
        assert_eq!(
            counters.scores.to_vec(),
            wanted.calibration_samples,
            "every prediction has its label"
        );
        assert_eq!(counters.squared_error_q20, wanted.squared_error_q20);
        assert_eq!(counters.predictions, rows.len() as u64);
        assert_eq!(counters.labelled, counters.predictions);
        for (group, outcomes) in model.groups().iter().zip(&counters.groups) {
            let wanted = &wanted.group_outcomes[group];
            let counted = [outcomes.tp, outcomes.fp, outcomes.tn, outcomes.fn_];
            assert_eq!(counted, ["tp", "fp", "tn", "fn"].map(|key| wanted[key]), "{group}");
        }
    }
}

/// The same figures without any counter: from the rows, in floating point.
#[test]
fn figures_from_the_counters_agree_with_those_from_the_rows() {
    let rows = test_split().unwrap();
    for (entry, model) in models() {
        let mut gap = [0.0; 15];
        let (mut correct, mut squared) = (0.0, 0.0);
        let mut groups = BTreeMap::<&str, (f64, f64)>::new();
        for row in &rows {
            let prediction = model.predict(&row.features).unwrap();
            let target = f64::from(u8::from(row.label));
            let bin = (0..15)
                .rfind(|&k| prediction.probability > f64::from(k) / 15.0)
                .unwrap_or(0);
            gap[usize::try_from(bin).unwrap()] += prediction.probability - target;
            squared += (prediction.probability - target).powi(2);
            correct += f64::from(u8::from(prediction.selected == row.label));
            let group = groups.entry(&row.features.sex).or_default();
            group.0 += f64::from(u8::from(prediction.selected));
            group.1 += 1.0;
        }
        let total = f64::from(u32::try_from(rows.len()).unwrap());
        let rates: Vec<f64> = groups.values().map(|(selected, all)| selected / all).collect();
        let rho = (rates[0] / rates[1]).max(rates[1] / rates[0]);
        let ece = gap.iter().map(|gap: &f64| gap.abs()).sum::<f64>() / total;
        let figures = &entry.figures;
        let near = |name: &str, counted: f64, direct: f64, tolerance: f64| {
            assert!(
                (counted - direct).abs() <= tolerance,
                "{} {name}: {counted} and {direct}",
                entry.file
            );
        };
        near("accuracy", figures.accuracy, correct / total, 1e-9);
        near("rho", figures.rho_bias_between_groups, rho, 1e-9);
        // What rounding to multiples of 2^-20 can cost at most; on average it cancels out.
        near("ece", figures.ece, ece, 0.5 / FIXED_POINT);
        near("brier", figures.brier, squared / total, 0.5 / FIXED_POINT);
    }
}

/// What the demonstration tells about its models.
#[test]
fn the_models_play_their_parts() {
    let figures: BTreeMap<String, Figures> = manifest()
        .models
        .into_iter()
        .map(|(name, entry)| (name, entry.figures))
        .collect();
    let (champion, better, unfair) = (&figures["champion"], &figures["better"], &figures["unfair"]);
    let failing = &figures["failing"];
    for (name, model) in &figures {
        assert!(
            model.ece < 0.03,
            "{name}: calibrated well enough for the demonstration's gate"
        );
        let is_fair = model.rho_bias_between_groups < 1.25;
        assert_eq!(is_fair, name != "unfair", "{name}: four-fifths rule");
    }
    assert!(champion.accuracy + 0.05 < better.accuracy, "better is clearly better");
    assert!(
        better.accuracy < unfair.accuracy,
        "the unfair model is the most accurate"
    );
    assert!(unfair.rho_bias_between_groups > 3.0);
    assert!(
        (failing.accuracy - better.accuracy).abs() < 1e-12,
        "failing predicts as better does"
    );
}

/// The engine's own report, from the exported counters alone.
#[test]
fn the_engine_reads_the_same_figures_from_the_counters() {
    let rows = test_split().unwrap();
    let config = EthicsConfig {
        bias_form: BiasForm::BetweenGroups,
        ..EthicsConfig::default()
    };
    for (entry, model) in models() {
        let counters = play(&model, &rows);
        let bins = counters.calibration.map(|bin| BinCounts {
            samples: bin.samples,
            positives: bin.positives,
            sum_prob: bin.probability_q20,
        });
        let groups = model
            .groups()
            .iter()
            .zip(&counters.groups)
            .map(|(name, outcomes)| GroupCounts {
                name: name.clone(),
                true_positives: outcomes.tp,
                false_positives: outcomes.fp,
                true_negatives: outcomes.tn,
                false_negatives: outcomes.fn_,
            });
        let counts = Counts {
            bins: bins.to_vec(),
            sum_squared_error: Some(counters.squared_error_q20),
            groups: groups.collect(),
        };
        let report = from_counts(&config, &counts).unwrap().report;
        assert_eq!(report.samples, counters.labelled);
        for (name, metric, wanted) in [
            ("ece", report.ece, entry.figures.ece),
            ("brier", report.brier, entry.figures.brier),
            ("rho", report.rho_bias, entry.figures.rho_bias_between_groups),
        ] {
            assert!(metric.is_measured(), "{} {name}", entry.file);
            assert!(
                (metric.value - wanted).abs() <= 1e-9,
                "{} {name}: {} and {wanted}",
                entry.file,
                metric.value
            );
        }
    }
}
