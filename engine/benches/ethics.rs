//! Calibration and group counts over ten million samples in one pass, and the report from them.
//!
//! The samples come from the engine's own random stream, so that every run sees the same ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark that cannot prepare its data must stop"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use penin_engine::config::{BootstrapConfig, EthicsConfig};
use penin_engine::ethics::{Accumulator, Batch, Groups, Keys, Sample, evaluate};
use penin_engine::num::Num;
use penin_engine::rng::Stream;

const SAMPLES: usize = 10_000_000;
const NAMES: [&str; 8] = ["g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7"];

struct Columns {
    probs: Vec<f64>,
    predictions: Vec<bool>,
    labels: Vec<bool>,
    codes: Vec<u16>,
    keys: Vec<u64>,
}

impl Columns {
    fn new() -> Self {
        let mut stream = Stream::new(1, 0);
        let mut columns = Self {
            probs: Vec::with_capacity(SAMPLES),
            predictions: Vec::with_capacity(SAMPLES),
            labels: Vec::with_capacity(SAMPLES),
            codes: Vec::with_capacity(SAMPLES),
            keys: Vec::with_capacity(SAMPLES),
        };
        for _ in 0..SAMPLES {
            let p = stream.unit();
            columns.probs.push(p);
            columns.predictions.push(p >= 0.5);
            columns.labels.push(stream.unit() < p);
            let random = stream.next_u64();
            columns.codes.push(u16::try_from(random % NAMES.len() as u64).unwrap());
            columns.keys.push(random >> 3);
        }
        columns
    }

    fn batch(&self, keys: bool) -> Batch<'_> {
        Batch {
            probs: &self.probs,
            predictions: &self.predictions,
            labels: &self.labels,
            groups: Groups::Interned {
                names: &NAMES,
                codes: &self.codes,
            },
            keys: if keys { Keys::Each(&self.keys) } else { Keys::From(0) },
        }
    }
}

fn accumulate(c: &mut Criterion) {
    let columns = Columns::new();
    let mut group = c.benchmark_group("ethics.accumulate");
    group
        .throughput(Throughput::Elements(SAMPLES as u64))
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    for (name, keys) in [("columns with keys", true), ("columns with ordinals", false)] {
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || Accumulator::new(15),
                |accumulator| accumulator.add_batch(black_box(&columns.batch(keys))),
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("one by one", |b| {
        b.iter_batched_ref(
            || Accumulator::new(15),
            |accumulator| {
                for i in 0..SAMPLES {
                    accumulator.add(&Sample {
                        prob: Num::new(columns.probs.get(i).copied().unwrap()),
                        prediction: columns.predictions.get(i).copied().unwrap(),
                        label: columns.labels.get(i).copied().unwrap(),
                        group: columns
                            .codes
                            .get(i)
                            .and_then(|code| NAMES.get(usize::from(*code)))
                            .copied(),
                        key: columns.keys.get(i).copied().unwrap(),
                    });
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn report(c: &mut Criterion) {
    let mut accumulator = Accumulator::new(15);
    accumulator.add_batch(&Columns::new().batch(true));
    let plain = EthicsConfig::default();
    let bootstrap = EthicsConfig {
        bootstrap: BootstrapConfig {
            replicates: 1000,
            confidence_permille: 950,
            gate_on_bound: true,
        },
        ..EthicsConfig::default()
    };
    let mut group = c.benchmark_group("ethics.evaluate");
    group.bench_function("report", |b| {
        b.iter(|| evaluate(&plain, black_box(&accumulator), 1, 1).unwrap());
    });
    group.bench_function("report with 1000 replicates", |b| {
        b.iter(|| evaluate(&bootstrap, black_box(&accumulator), 1, 1).unwrap());
    });
    group.bench_function("merge", |b| {
        b.iter_batched_ref(
            || accumulator.clone(),
            |mine| mine.merge(black_box(&accumulator)).unwrap(),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, accumulate, report);
criterion_main!(benches);
