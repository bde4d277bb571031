//! A set of twenty gates from parsed inputs: risk, guard and promotion gates with everything that can be switched on.
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
use penin_engine::decision::Stage;
use penin_engine::gates::{self, GateStatus, LeagueVerdict, PromotionValues};
use penin_engine::guard::{self, GuardMetrics};
use penin_engine::num::Num;
use penin_engine::resources::{self, ResourceReadings, Risk};
use serde_json::json;

fn twenty(c: &mut Criterion) {
    let config = support::config(&json!({
        "guard": {"coherenceMin": 0.85, "costIncreaseMax": 0.1},
        "gates": {"agape": {"mode": "Required"}},
    }));
    let readings = ResourceReadings {
        cpu: Num::new(0.4),
        mem: Num::new(0.5),
        age_seconds: Num::new(5.0),
    };
    let risk = Risk {
        rho: Num::new(0.9),
        uncertainty: Num::new(0.2),
        series: Vec::new(),
    };
    let metrics = GuardMetrics {
        rho: Num::new(0.9),
        ece: Num::new(0.006),
        rho_bias: Num::new(1.02),
        consent: Some(true),
        eco_ok: Some(true),
        fairness: Num::new(0.97),
        coherence: Num::new(0.95),
        cost_increase: Num::new(0.05),
        kappa: Num::new(20.0),
        ..GuardMetrics::default()
    };
    let values = PromotionValues {
        caos_plus: Num::new(2.1),
        sr: Num::new(0.9),
        delta_linf: Num::new(0.03),
        guard: Some(GateStatus::Pass),
        coherence: Num::new(0.95),
        oci: Num::new(0.95),
        agape: Num::new(0.9),
        stage: Stage::Canary,
        league: Some(LeagueVerdict {
            status: Some(GateStatus::Pass),
            reason: None,
        }),
        ..PromotionValues::default()
    };
    let all = || {
        let risk = resources::evaluate(&config.resources, Some(black_box(&readings)), black_box(&risk));
        let guard = guard::evaluate(&config, black_box(&metrics));
        let promotion = gates::evaluate(&config.gates, black_box(&values));
        (
            gates::combine([risk.status, guard.status, promotion.status]),
            risk,
            guard,
            promotion,
        )
    };
    let (status, risk_report, guard_report, promotion) = all();
    assert_eq!(status, GateStatus::Pass);
    let gates = risk_report.gates.len() + guard_report.gates.len() + promotion.gates.len();
    let mut group = c.benchmark_group("gates");
    group.throughput(Throughput::Elements(gates as u64));
    group.bench_function(format!("set of {gates}"), |b| b.iter(all));
    group.finish();
}

criterion_group!(benches, twenty);
criterion_main!(benches);
