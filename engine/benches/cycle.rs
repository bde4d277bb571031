//! One full cycle with the default configuration, and the share of each of its phases.
//!
//! The phases are measured as calls of the same public functions on the same evidence; `events` is what a cycle takes beyond them:
//! serialising and hashing the events, deciding, and building the outcome.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark that cannot prepare its data must stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use penin_engine::config::Config;
use penin_engine::gates::{GateStatus, PromotionValues};
use penin_engine::guard::GuardMetrics;
use penin_engine::linf::Metric;
use penin_engine::master::{CycleInput, CycleOutcome, State, alpha, commit, run_cycle};
use penin_engine::num::Num;
use penin_engine::{anabolization, caos, coherence, gates, growth, guard, life, linf, lyapunov, oci, resources, sr};

fn prepared() -> (Config, State, CycleInput) {
    let config = support::default_config();
    let state = support::with_baseline(&config);
    let input = support::read(&support::promotable("canary"));
    (config, state, input)
}

fn whole(c: &mut Criterion) {
    let (config, state, input) = prepared();
    let mut group = c.benchmark_group("master.cycle");
    group.throughput(Throughput::Elements(1));
    group.bench_function("promote", |b| {
        b.iter(|| run_cycle(black_box(&config), black_box(&state), black_box(&input)).unwrap());
    });
    group.bench_function("promote and commit", |b| {
        b.iter(|| {
            let (outcome, next) = run_cycle(black_box(&config), black_box(&state), black_box(&input)).unwrap();
            commit(&state, &outcome, next).unwrap()
        });
    });
    let refused = support::read(&serde_json::json!({"candidate": {"name": "v2"}}));
    group.bench_function("abort without any evidence", |b| {
        b.iter(|| run_cycle(black_box(&config), black_box(&state), black_box(&refused)).unwrap());
    });
    group.finish();
}

fn guard_metrics(input: &CycleInput) -> GuardMetrics {
    GuardMetrics {
        rho: input.risk.rho,
        ece: input.ethics.ece,
        rho_bias: input.ethics.rho_bias,
        consent: input.ethics.consent,
        eco_ok: input.ethics.eco_ok,
        fairness: input.ethics.fairness,
        kappa: Num::new(20.0),
        ..GuardMetrics::default()
    }
}

fn promotion_values(input: &CycleInput, outcome: &CycleOutcome) -> PromotionValues {
    PromotionValues {
        caos_plus: Num::new(outcome.scores.caos_plus),
        sr: Num::new(outcome.scores.sr_harmonic),
        delta_linf: Num::new(outcome.scores.delta_linf),
        guard: Some(GateStatus::Pass),
        coherence: Num::new(outcome.scores.coherence),
        oci: Num::new(outcome.scores.oci),
        stage: input.stage,
        league: input.league.clone(),
        ..PromotionValues::default()
    }
}

fn phases(c: &mut Criterion) {
    let (config, state, input) = prepared();
    let (outcome, _) = run_cycle(&config, &state, &input).unwrap();
    let (guard_input, values) = (guard_metrics(&input), promotion_values(&input, &outcome));
    let (config, input) = (black_box(&config), black_box(&input));
    let mut group = c.benchmark_group("master.phases");
    group.bench_function("01 input hash", |b| b.iter(|| input.hash().unwrap()));
    group.bench_function("01 and 12 state hash, both", |b| {
        b.iter(|| (black_box(&state).hash().unwrap(), black_box(&state).hash().unwrap()));
    });
    group.bench_function("02 resources and risk", |b| {
        b.iter(|| resources::evaluate(&config.resources, input.resources.as_ref(), &input.risk));
    });
    group.bench_function("03 coherence", |b| {
        b.iter(|| coherence::score(&input.modules.unwrap(), &config.coherence.weights));
    });
    group.bench_function("04 guard", |b| {
        b.iter(|| guard::evaluate(config, black_box(&guard_input)));
    });
    group.bench_function("05 linf", |b| {
        b.iter(|| {
            let metrics: Vec<Metric<'_>> = config
                .linf
                .metrics
                .iter()
                .map(|metric| Metric {
                    name: metric.name.as_str().into(),
                    weight: metric.weight,
                    value: metric.normalize.apply(*input.metrics.get(&metric.name).unwrap()),
                })
                .collect();
            linf::aggregate(&metrics, input.cost, Num::new(0.1), Some(true), Some(true))
        });
    });
    group.bench_function("06 caos", |b| {
        b.iter(|| {
            let components = &input.caos.unwrap();
            (
                caos::exponential(components, Num::new(20.0)),
                caos::phi(components, Num::new(20.0), Num::new(0.7), Num::new(1.0)),
                caos::harmony(components),
                caos::pattern_strength(components),
            )
        });
    });
    group.bench_function("07 sr and oci", |b| {
        b.iter(|| {
            (
                sr::score(&input.sr.unwrap(), &config.sr.weights),
                oci::score(&input.oci.unwrap()),
            )
        });
    });
    group.bench_function("08 alpha", |b| {
        b.iter(|| {
            alpha(
                Num::new(0.1),
                black_box(values.caos_plus),
                values.sr,
                values.coherence,
                values.oci,
            )
        });
    });
    group.bench_function("09 promotion gates", |b| {
        b.iter(|| gates::evaluate(&config.gates, black_box(&values)));
    });
    group.bench_function("13 advisory scores", |b| {
        let (reference, next) = (Num::from(outcome.scores.linf_reference), Num::new(outcome.scores.linf));
        let conditions = life::Conditions {
            consent: Some(true),
            eco_ok: Some(true),
            ece: input.ethics.ece,
            rho_bias: input.ethics.rho_bias,
            rho: input.risk.rho,
            phi: Num::new(outcome.scores.caos_exploratory),
            sr: values.sr,
            delta_linf: values.delta_linf,
            coherence: values.coherence,
        };
        b.iter(|| {
            (
                lyapunov::evaluate(black_box(reference), next),
                growth::evaluate(reference, next, Num::new(0.01)),
                anabolization::factor(
                    Num::new(1.0),
                    values.delta_linf,
                    values.caos_plus,
                    values.sr,
                    values.oci,
                ),
                life::evaluate(&conditions, config),
            )
        });
    });
    group.finish();
}

criterion_group!(benches, whole, phases);
criterion_main!(benches);
