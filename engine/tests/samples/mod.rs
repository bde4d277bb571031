//! Judged predictions for the tests of ethics.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use penin_engine::config::EthicsConfig;
use penin_engine::ethics::{Accumulator, Batch, Evaluation, Groups, Keys, NO_GROUP, Sample, evaluate};
use penin_engine::num::Num;
use proptest::prelude::*;

pub const NAMES: [&str; 4] = ["north", "south", "ost", "süd"];

#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub p: f64,
    pub prediction: bool,
    pub label: bool,
    /// Index into the names; the number of names stands for no group.
    pub group: usize,
    pub key: u64,
}

impl Row {
    pub fn sample<'a>(&self, names: &[&'a str]) -> Sample<'a> {
        Sample {
            prob: Num::new(self.p),
            prediction: self.prediction,
            label: self.label,
            group: names.get(self.group).copied(),
            key: self.key,
        }
    }
}

pub fn rows(p: impl Strategy<Value = f64>, groups: usize, count: usize) -> impl Strategy<Value = Vec<Row>> {
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

pub fn usable() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..=1.0_f64, 1 => (0_u32..=1000).prop_map(|k| f64::from(k) / 1000.0)]
}

pub fn one_by_one(rows: &[Row], names: &[&str], bins: usize) -> Accumulator {
    let mut accumulator = Accumulator::new(bins);
    for row in rows {
        accumulator.add(&row.sample(names));
    }
    accumulator
}

pub fn as_batch(rows: &[Row], names: &[&str], bins: usize) -> Accumulator {
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

pub fn lenient() -> EthicsConfig {
    EthicsConfig {
        min_samples: 10,
        group_min_samples: 1,
        ..EthicsConfig::default()
    }
}

pub fn judged(accumulator: &Accumulator) -> Evaluation {
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
