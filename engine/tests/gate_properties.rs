//! Properties of gates, guard and risk gates over arbitrary evidence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod effort;
mod support;

use effort::effort;
use penin_engine::config::Config;
use penin_engine::gates::{self, Gate, GateName, GateStatus, PromotionValues, combine};
use penin_engine::guard::{self, GuardMetric, GuardMetrics};
use penin_engine::num::Num;
use penin_engine::resources::{self, ResourceReadings, Risk};
use proptest::prelude::*;
use serde_json::json;
use support::{config, default_config, evidence};

fn status() -> impl Strategy<Value = GateStatus> {
    prop::sample::select(vec![GateStatus::Pass, GateStatus::Fail, GateStatus::Unknown])
}

prop_compose! {
    fn guard_metrics()(
        numbers in prop::array::uniform7(evidence()),
        consent in any::<Option<bool>>(),
        eco_ok in any::<Option<bool>>(),
    ) -> GuardMetrics {
        let [rho, ece, rho_bias, fairness, coherence, cost_increase, kappa] = numbers;
        GuardMetrics { rho, ece, rho_bias, consent, eco_ok, fairness, coherence, cost_increase, kappa, ..GuardMetrics::default() }
    }
}

/// A guard with every gate switched on.
fn strict_guard() -> Config {
    config(&json!({"guard": {"coherenceMin": 0.85, "costIncreaseMax": 0.1}}))
}

fn perfect() -> GuardMetrics {
    GuardMetrics {
        rho: Num::new(0.0),
        ece: Num::new(0.0),
        rho_bias: Num::new(1.0),
        consent: Some(true),
        eco_ok: Some(true),
        fairness: Num::new(1.0),
        coherence: Num::new(1.0),
        cost_increase: Num::new(-1.0),
        kappa: Num::new(100.0),
        ..GuardMetrics::default()
    }
}

/// `to` with the one value that `name` judges taken from `from`.
fn with_one(mut to: GuardMetrics, name: GateName, from: &GuardMetrics) -> GuardMetrics {
    match name {
        GateName::Rho => to.rho = from.rho,
        GateName::Ece => to.ece = from.ece,
        GateName::RhoBias => to.rho_bias = from.rho_bias,
        GateName::Consent => to.consent = from.consent,
        GateName::EcoOk => to.eco_ok = from.eco_ok,
        GateName::Fairness => to.fairness = from.fairness,
        GateName::GuardCoherence => to.coherence = from.coherence,
        GateName::CostIncrease => to.cost_increase = from.cost_increase,
        GateName::Kappa => to.kappa = from.kappa,
        other => panic!("not a guard gate: {other}"),
    }
    to
}

fn names(gates: &[Gate]) -> Vec<GateName> {
    gates.iter().map(|gate| gate.name).collect()
}

proptest! {
    #![proptest_config(effort(256))]

    #[test]
    fn combination_is_and(statuses in prop::collection::vec(status(), 0..12), at in 0_usize..12) {
        let all = combine(statuses.iter().copied());
        let worst = |wanted| statuses.contains(&wanted);
        prop_assert_eq!(all == GateStatus::Fail, worst(GateStatus::Fail));
        prop_assert_eq!(all == GateStatus::Pass, statuses.iter().all(|s| *s == GateStatus::Pass));
        let (left, right) = statuses.split_at(at.min(statuses.len()));
        let parts = [combine(left.iter().copied()), combine(right.iter().copied())];
        prop_assert_eq!(combine(parts), all);
        prop_assert_eq!(combine(statuses.iter().rev().copied()), all);
    }

    #[test]
    fn no_perfect_value_pays_for_a_guard_gate_that_does_not_pass(metrics in guard_metrics()) {
        let config = strict_guard();
        let report = guard::evaluate(&config, &metrics);
        prop_assert_eq!(report.allow, report.gates.iter().all(Gate::passed));
        for gate in &report.gates {
            let rest_perfect = guard::evaluate(&config, &with_one(perfect(), gate.name, &metrics));
            prop_assert_eq!(rest_perfect.allow, gate.passed(), "{}", gate.name);
            prop_assert_eq!(rest_perfect.status, gate.status);
        }
    }

    #[test]
    fn guard_gates_depend_on_the_configuration_only(metrics in guard_metrics()) {
        for config in [default_config(), strict_guard()] {
            let expected = names(&guard::evaluate(&config, &GuardMetrics::default()).gates);
            prop_assert_eq!(names(&guard::evaluate(&config, &metrics).gates), expected);
        }
    }

    #[test]
    fn a_passing_guard_gate_stops_passing_without_its_value(metrics in guard_metrics(), bad in prop::sample::select(vec![
        Num::MISSING, Num::new(f64::NAN), Num::new(f64::INFINITY), Num::new(f64::NEG_INFINITY),
    ])) {
        let config = strict_guard();
        let broken = GuardMetrics {
            rho: bad, ece: bad, rho_bias: bad, consent: None, eco_ok: None, fairness: bad, coherence: bad,
            cost_increase: bad, kappa: bad, ..GuardMetrics::default()
        };
        for gate in guard::evaluate(&config, &metrics).gates.iter().filter(|gate| gate.passed()) {
            let report = guard::evaluate(&config, &with_one(metrics.clone(), gate.name, &broken));
            let after = report.gates.iter().find(|after| after.name == gate.name).unwrap();
            prop_assert_eq!(after.status, GateStatus::Unknown);
            prop_assert!(!report.allow);
        }
    }

    #[test]
    fn tightening_the_guard_never_helps(metrics in guard_metrics(), loose in 0.0..0.9_f64, tighter in 0.0..0.1_f64) {
        let tight = loose + tighter;
        let document = |min: f64| json!({"guard": {
            "rhoMax": 1.0 - min, "eceMax": 1.0 - min, "rhoBiasMax": 2.0 - min, "fairnessMin": min, "coherenceMin": min,
            "costIncreaseMax": 1.0 - min, "kappaMin": 1.0 + 10.0 * min,
        }});
        let loose = guard::evaluate(&config(&document(loose)), &metrics);
        let tight = guard::evaluate(&config(&document(tight)), &metrics);
        for (loose, tight) in loose.gates.iter().zip(&tight.gates) {
            prop_assert!(loose.passed() || !tight.passed(), "{}", loose.name);
        }
    }

    #[test]
    fn tightening_promotion_gates_never_helps(
        numbers in prop::array::uniform6(evidence()), guard in status(), loose in 0.01..0.9_f64, tighter in 0.0..0.1_f64,
    ) {
        let [caos_plus, sr, delta_linf, coherence, oci, agape] = numbers;
        let values = PromotionValues {
            caos_plus, sr, delta_linf, coherence, oci, agape, guard: Some(guard), ..PromotionValues::default()
        };
        let document = |min: f64| json!({"gates": {
            "caosMin": 1.0 + min, "srMin": min, "deltaLinfMin": 0.001 + min * 0.09, "coherence": {"min": min},
            "oci": {"min": min}, "agape": {"min": min, "mode": "Required"},
        }});
        let loose = gates::evaluate(&config(&document(loose)).gates, &values);
        let tight = gates::evaluate(&config(&document(loose_plus(&loose, tighter))).gates, &values);
        prop_assert_eq!(names(&loose.gates), names(&tight.gates));
        prop_assert!(loose.status == GateStatus::Pass || tight.status != GateStatus::Pass);
        for (loose, tight) in loose.gates.iter().zip(&tight.gates) {
            prop_assert!(loose.passed() || !tight.passed(), "{}", loose.name);
        }
    }

    #[test]
    fn an_unreadable_node_always_fails(
        cpu in evidence(), mem in evidence(), age in evidence(), rho in evidence(), uncertainty in evidence(),
        cpu_max in 0.01..=0.99_f64,
    ) {
        let config = config(&json!({"resources": {"cpuMax": cpu_max}}));
        let risk = Risk { rho, uncertainty, series: Vec::new() };
        let readings = ResourceReadings { cpu, mem, age_seconds: age };
        let report = resources::evaluate(&config.resources, Some(&readings), &risk);
        prop_assert_eq!(report.abort, report.status == GateStatus::Fail);
        prop_assert!(report.cpu.is_finite() && report.cpu >= 0.0 && report.mem.is_finite() && report.mem >= 0.0);
        let readable = cpu.finite().is_some_and(|x| x >= 0.0) && age.finite().is_some_and(|x| (0.0..=60.0).contains(&x));
        let gate = &report.gates[0];
        prop_assert_eq!(gate.name, GateName::Cpu);
        prop_assert_ne!(gate.status, GateStatus::Unknown);
        prop_assert_eq!(gate.passed(), readable && cpu.get().unwrap() < cpu_max);
        prop_assert!(resources::evaluate(&config.resources, None, &risk).abort);
    }
}

/// The tighter bound beside the one that `report` was made with.
fn loose_plus(report: &gates::GateReport, tighter: f64) -> f64 {
    let sr = report.gates.iter().find(|gate| gate.name == GateName::Sr).unwrap();
    sr.threshold.number().unwrap() + tighter
}

#[test]
fn a_record_says_passed_exactly_when_its_status_is_pass() {
    let gate = guard::evaluate(&default_config(), &perfect()).gates.remove(0);
    let mut document = serde_json::to_value(&gate).unwrap();
    assert_eq!(serde_json::from_value::<Gate>(document.clone()).unwrap(), gate);
    document["passed"] = json!(false);
    assert!(serde_json::from_value::<Gate>(document).is_err());
}

/// The guard gate of that name when its quantity has the value `x` and every other one is perfect.
fn guard_gate(name: GateName, x: f64) -> Gate {
    let x = Num::new(x);
    let same = GuardMetrics {
        rho: x,
        ece: x,
        rho_bias: x,
        fairness: x,
        coherence: x,
        cost_increase: x,
        kappa: x,
        ..GuardMetrics::default()
    };
    let report = guard::evaluate(&strict_guard(), &with_one(perfect(), name, &same));
    report.gates.into_iter().find(|gate| gate.name == name).unwrap()
}

#[test]
fn what_no_quantity_can_be_is_unknown_and_rounding_dust_is_not() {
    for (name, lowest, highest) in [
        (GateName::Rho, 0.0, None),
        (GateName::Ece, 0.0, Some(1.0)),
        (GateName::RhoBias, 1.0, None),
        (GateName::Fairness, 0.0, Some(1.0)),
        (GateName::GuardCoherence, 0.0, Some(1.0)),
        (GateName::Kappa, 1.0, Some(100.0)),
    ] {
        for (end, outwards) in [(Some(lowest), -1.0), (highest, 1.0)] {
            let Some(end) = end else { continue };
            let beyond = guard_gate(name, end + outwards * 1e-8);
            assert_eq!(
                (beyond.status, &*beyond.reason),
                (GateStatus::Unknown, "out_of_range"),
                "{name}"
            );
            let dust = guard_gate(name, end + outwards * 5e-10);
            assert_eq!(dust, guard_gate(name, end), "{name}");
            assert_ne!(dust.status, GateStatus::Unknown, "{name}");
        }
    }
    let value = |x| PromotionValues {
        caos_plus: Num::new(x),
        sr: Num::new(x),
        delta_linf: Num::new(x),
        coherence: Num::new(x),
        oci: Num::new(x),
        agape: Num::new(x),
        ..PromotionValues::default()
    };
    let config = config(&json!({"gates": {"agape": {"mode": "Required"}}}));
    let judged = |x, name| {
        let report = gates::evaluate(&config.gates, &value(x));
        report.gates.into_iter().find(|gate| gate.name == name).unwrap().status
    };
    for (name, lowest) in [
        (GateName::CaosPlus, 0.0),
        (GateName::Sr, 0.0),
        (GateName::DeltaLinf, -1.0),
        (GateName::Coherence, 0.0),
        (GateName::Oci, 0.0),
        (GateName::Agape, 0.0),
    ] {
        assert_eq!(judged(lowest - 1e-8, name), GateStatus::Unknown, "{name}");
        assert_eq!(judged(lowest - 5e-10, name), GateStatus::Fail, "{name}");
        let above = if name == GateName::CaosPlus {
            GateStatus::Pass
        } else {
            GateStatus::Unknown
        };
        assert_eq!(judged(1.0 + 1e-8, name), above, "{name}");
        assert_eq!(judged(1.0 + 5e-10, name), GateStatus::Pass, "{name}");
    }
}

#[test]
fn a_reason_that_is_handed_in_makes_any_guard_gate_unknown() {
    for (metric, name) in [
        (GuardMetric::Rho, GateName::Rho),
        (GuardMetric::Ece, GateName::Ece),
        (GuardMetric::RhoBias, GateName::RhoBias),
        (GuardMetric::Consent, GateName::Consent),
        (GuardMetric::EcoOk, GateName::EcoOk),
        (GuardMetric::Fairness, GateName::Fairness),
        (GuardMetric::Coherence, GateName::GuardCoherence),
        (GuardMetric::CostIncrease, GateName::CostIncrease),
        (GuardMetric::Kappa, GateName::Kappa),
    ] {
        let mut metrics = perfect();
        metrics.unknown.insert(metric, "stale".into());
        let report = guard::evaluate(&strict_guard(), &metrics);
        assert!(!report.allow, "{name}");
        for gate in &report.gates {
            let expected = if gate.name == name {
                (GateStatus::Unknown, "stale")
            } else {
                (GateStatus::Pass, "ok")
            };
            assert_eq!(
                (gate.status, &*gate.reason),
                expected,
                "{} with {name} unknown",
                gate.name
            );
        }
    }
}
