//! Counts samples from raw columns and prints the report; the engine's side of `benches/compare.py`.
//!
//! Usage: `accumulate DIRECTORY REPEAT`. The directory holds `probs` (binary64), `predictions`, `labels` (one byte each), `codes` (16 bits)
//! and `keys` (64 bits), all little-endian and of one length; the groups are named `g0`, `g1`, … The pass is repeated REPEAT times over
//! the same columns, so that a caller can take the difference of two runs and leave start and reading out of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measuring tool that stops loudly at anything unexpected"
)]

use std::hint::black_box;
use std::path::PathBuf;

use penin_engine::config::EthicsConfig;
use penin_engine::ethics::{Accumulator, Batch, Groups, Keys, evaluate};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("a directory"));
    let repeat: u32 = arguments.next().expect("a repeat count").parse().expect("a number");
    let read = |name: &str| std::fs::read(directory.join(name)).expect("a readable column");

    let probs: Vec<f64> = read("probs")
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| f64::from_le_bytes(*b))
        .collect();
    let flags = |name: &str| read(name).iter().map(|byte| *byte != 0).collect::<Vec<bool>>();
    let (predictions, labels) = (flags("predictions"), flags("labels"));
    let codes: Vec<u16> = read("codes")
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| u16::from_le_bytes(*b))
        .collect();
    let keys: Vec<u64> = read("keys")
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| u64::from_le_bytes(*b))
        .collect();
    let groups = codes.iter().max().map_or(0, |code| u32::from(*code) + 1);
    let names: Vec<String> = (0..groups).map(|code| format!("g{code}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let batch = Batch {
        probs: &probs,
        predictions: &predictions,
        labels: &labels,
        groups: Groups::Interned {
            names: &names,
            codes: &codes,
        },
        keys: Keys::Each(&keys),
    };
    let mut accumulator = Accumulator::new(15);
    for _ in 0..repeat {
        accumulator = Accumulator::new(15);
        accumulator.add_batch(black_box(&batch));
    }
    let evaluation = evaluate(&EthicsConfig::default(), &accumulator, 0, 0).expect("the same bins");
    println!("{}", serde_json::to_string(&evaluation.report).expect("a document"));
}
