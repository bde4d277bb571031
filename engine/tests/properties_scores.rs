//! Properties of the gated scores, over any evidence that a document can carry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    missing_docs
)]

mod effort;
mod strategies;

use std::borrow::Cow;

use effort::effort;
use penin_engine::caos::{self, Components, Tracker};
use penin_engine::coherence::{self, Modules};
use penin_engine::config::{CaosConfig, CoherenceWeights, GuardConfig, SrWeights};
use penin_engine::linf::{self, Better, Metric, Normalizer};
use penin_engine::num::{self, Num, Scored};
use penin_engine::sr::{self, Axes, Measurements};
use penin_engine::{agape, lpsi, oci};
use proptest::prelude::*;
use strategies::{any_num, not_unit, ordered, unit};

/// Slack for properties that hold over the reals.
const SLACK: f64 = 1e-12;
const FLOOR: f64 = num::HARMONIC_FLOOR;

/// A score is finite, inside its range, and at its worst value exactly when something was refused.
fn sound(scored: &Scored, lo: f64, hi: f64, worst: f64) -> bool {
    scored.value.is_finite() && scored.value >= lo && scored.value <= hi && (scored.is_ok() || scored.value == worst)
}

fn components() -> impl Strategy<Value = Components> {
    (any_num(), any_num(), any_num(), any_num()).prop_map(|(c, a, o, s)| Components { c, a, o, s })
}

fn good(values: [f64; 4]) -> Components {
    let [c, a, o, s] = values.map(Num::new);
    Components { c, a, o, s }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(effort(1024))]

    // --- num ---

    #[test]
    fn check_returns_a_value_of_the_interval_or_a_reason(x in any_num(), a in any_num(), b in any_num()) {
        let bound = |x: Num, default| x.get().filter(|x| !x.is_nan()).unwrap_or(default);
        let (lo, hi) = (bound(a, 0.0), bound(b, 1.0));
        match num::check(x, lo, hi, 0.0) {
            Ok(value) => {
                prop_assert!(value.is_finite() && value >= lo && value <= hi);
                prop_assert!(value != 0.0 || value.is_sign_positive());
            }
            Err(_) => prop_assert!(x.finite().is_none_or(|x| x < lo || x > hi)),
        }
    }

    #[test]
    fn unit_snaps_dust_and_refuses_everything_else(x in any_num()) {
        let near = x.finite().is_some_and(|x| (-1e-9..=1.0 + 1e-9).contains(&x));
        prop_assert_eq!(num::unit(x).is_ok(), near);
        prop_assert!(num::unit(x).is_ok_and(|x| (0.0..=1.0).contains(&x)) || !near);
    }

    #[test]
    fn logistic_is_a_rising_unit_function(x in any_num(), step in 0.0..100.0_f64) {
        let y = x.finite().unwrap_or(0.0);
        let value = num::logistic(y);
        prop_assert!((0.0..=1.0).contains(&value) && num::logistic(y + step) >= value);
    }

    #[test]
    fn ln_factorial_obeys_its_recurrence(n in 1..1_000_000_000_u64) {
        #[allow(clippy::cast_precision_loss)]
        let (difference, expected) = (num::ln_factorial(n) - num::ln_factorial(n - 1), libm::log(n as f64));
        // The two logarithms are large; their difference loses the digits they share.
        prop_assert!((difference - expected).abs() <= 2e-15 * num::ln_factorial(n) + 1e-12);
    }

    #[test]
    fn num_round_trips_through_json(x in any_num()) {
        let text = serde_json::to_string(&x).unwrap();
        let back: Num = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back, x);
        // The one bit pattern that canonical JSON does not keep is negative zero.
        let exact = |x: Num| x.get().filter(|x| !x.is_nan()).map(f64::to_bits);
        prop_assert_eq!(exact(back), exact(x));
    }

    // --- caos ---

    #[test]
    fn exponential_is_at_least_one_or_refused(c in components(), kappa in any_num()) {
        let scored = caos::exponential(&c, kappa);
        prop_assert!(sound(&scored, 0.0, 101.0, 0.0));
        prop_assert!(!scored.is_ok() || scored.value >= 1.0);
    }

    #[test]
    fn exponential_rises_with_every_input(base in prop::array::uniform4(unit()), (lo, hi) in ordered(), i in 0..5_usize, k in 1.0..=100.0_f64) {
        let at = |x: f64| {
            let mut values = base;
            let kappa = if i == 4 { 1.0 + 99.0 * x } else { values[i] = x; k };
            caos::exponential(&good(values), Num::new(kappa)).value
        };
        prop_assert!(at(hi) >= at(lo) - SLACK);
    }

    #[test]
    fn one_refused_component_makes_every_form_zero(base in prop::array::uniform4(unit()), bad in not_unit(), i in 0..4_usize) {
        let mut values = base.map(Num::new);
        values[i] = bad;
        let [c, a, o, s] = values;
        let components = Components { c, a, o, s };
        let kappa = Num::new(20.0);
        prop_assert_eq!(caos::exponential(&components, kappa).value, 0.0);
        prop_assert_eq!(caos::phi(&components, kappa, Num::new(0.7), Num::new(1.0)).value(), 0.0);
        prop_assert_eq!(caos::harmony(&components).value, 0.0);
        prop_assert_eq!(caos::pattern_strength(&components).value, 0.0);
    }

    #[test]
    fn exploratory_forms_stay_in_range(c in components(), kappa in any_num(), gamma in any_num(), focus in any_num()) {
        let phi = caos::phi(&c, kappa, gamma, focus);
        prop_assert!((0.0..1.0).contains(&phi.value()) && (phi.issues().is_empty() || phi.value() == 0.0));
        prop_assert!(sound(&caos::harmony(&c), 0.0, 2e9, 0.0));
        prop_assert!(sound(&caos::pattern_strength(&c), 0.0, 1.0, 0.0));
    }

    #[test]
    fn component_builders_stay_in_range(a in any_num(), b in any_num(), c in any_num()) {
        for scored in [caos::consistency(a, b, c), caos::auto_evolution(a, b), caos::unknown(a, b, c), caos::silence(a, b, c)] {
            prop_assert!(sound(&scored, 0.0, 1.0, 0.0));
        }
    }

    #[test]
    fn scaling_keeps_components_usable_or_as_bad_as_they_were(c in components(), factor in 0.9..1.1_f64) {
        let scaled = c.scaled(factor);
        for (before, after) in [(c.c, scaled.c), (c.a, scaled.a), (c.o, scaled.o), (c.s, scaled.s)] {
            prop_assert_eq!(num::unit(before).err(), num::unit(after).err());
        }
    }

    #[test]
    fn boost_needs_six_good_samples(series in prop::collection::vec(any_num(), 0..24), strength in unit(), enabled: bool) {
        let config = CaosConfig::default();
        let mut tracker = Tracker::default();
        let mut run = 0;
        for x in series {
            let before = tracker.is_stable(&config);
            tracker = tracker.updated(x, &config);
            run = if num::unit(x).is_ok() { run + 1 } else { 0 };
            let after = tracker.is_stable(&config);
            let boost = caos::boost(enabled, before, after, strength, &config);
            prop_assert_eq!(tracker.samples, run);
            prop_assert!((0.0..=1.0).contains(&tracker.mean) && (0.0..=1.0).contains(&tracker.variance));
            prop_assert!((1.0..=1.05).contains(&boost) && (boost == 1.0 || (enabled && run >= 6)));
        }
    }

    // --- sr ---

    #[test]
    fn sr_stays_in_range_for_any_evidence(c in any_num(), e in any_num(), a in any_num(), m in any_num()) {
        let score = sr::score(&Axes { calibration: c, ethics: e, autocorrection: a, metacognition: m }, &SrWeights::default());
        prop_assert!((0.0..=1.0).contains(&score.harmonic) && (0.0..=1.0).contains(&score.min));
        prop_assert!(score.issues.is_empty() || (score.harmonic == 0.0 && score.min == 0.0));
        let probed = sr::probe(&Measurements { ece: c, rho: e, risk: a, delta_linf_per_cost: m }, &GuardConfig::default());
        for axis in [probed.calibration, probed.ethics, probed.autocorrection, probed.metacognition] {
            prop_assert!((0.0..=1.0).contains(&axis));
        }
    }

    #[test]
    fn sr_lies_between_its_axes_and_rises_with_each(x in prop::array::uniform4(unit()), (lo, hi) in ordered(), i in 0..4_usize) {
        let score = |x: [f64; 4]| {
            let [calibration, ethics, autocorrection, metacognition] = x.map(Num::new);
            sr::score(&Axes { calibration, ethics, autocorrection, metacognition }, &SrWeights::default())
        };
        let here = score(x);
        prop_assert_eq!(here.min, smallest(&x));
        prop_assert!(here.min <= here.harmonic + SLACK && here.harmonic <= f64::max(FLOOR, largest(&x)) + SLACK);
        let at = |value: f64| { let mut x = x; x[i] = value; score(x).harmonic };
        prop_assert!(at(hi) >= at(lo) - SLACK);
        prop_assert!(at(0.0) < 1e-5 + SLACK);
        prop_assert!((score([hi; 4]).harmonic - f64::max(FLOOR, hi)).abs() <= SLACK);
    }

    // --- linf ---

    #[test]
    fn normalizers_give_unit_values_or_codes(raw in any_num(), a in any_num(), b in any_num(), lower: bool) {
        let better = if lower { Better::Lower } else { Better::Higher };
        let (a, b) = (a.get().unwrap_or(f64::NAN), b.get().unwrap_or(f64::NAN));
        for normalizer in [
            Normalizer::Identity,
            Normalizer::OneMinus,
            Normalizer::Linear { min: a, max: b, better },
            Normalizer::RatioToBaseline { baseline: a, better, at_parity: b },
            Normalizer::RatioToBaseline { baseline: a, better, at_parity: 0.8 },
        ] {
            if let Ok(value) = normalizer.apply(raw) {
                prop_assert!((0.0..=1.0).contains(&value) && raw.finite().is_some());
            }
        }
    }

    #[test]
    fn linf_is_a_unit_value_and_closed_by_any_doubt(
        values in prop::collection::vec((any_num(), any_num()), 0..6), cost in any_num(), penalty in any_num(),
        ethics in any::<Option<bool>>(), contractive in any::<Option<bool>>(),
    ) {
        let metrics: Vec<Metric<'_>> = values
            .iter()
            .map(|(weight, value)| Metric { name: Cow::Borrowed("m"), weight: weight.get().unwrap_or(f64::NAN), value: num::unit(*value) })
            .collect();
        let linf = linf::aggregate(&metrics, cost, penalty, ethics, contractive);
        prop_assert!((0.0..=1.0).contains(&linf.value) && (0.0..=1.0 + SLACK).contains(&linf.harmonic));
        if !linf.issues.is_empty() || ethics != Some(true) || contractive != Some(true) {
            prop_assert_eq!(linf.value, 0.0);
        }
    }

    #[test]
    fn linf_does_not_compensate(
        metrics in prop::collection::vec((1e-6..=1000.0_f64, unit()), 1..8), cost in 0.0..10.0_f64, more in 0.0..10.0_f64,
        (lo, hi) in ordered(), i in any::<prop::sample::Index>(),
    ) {
        let of = |metrics: &[(f64, f64)], cost: f64| {
            let metrics: Vec<_> = metrics.iter().map(|(weight, value)| Metric { name: "m".into(), weight: *weight, value: Ok(*value) }).collect();
            linf::aggregate(&metrics, Num::new(cost), Num::new(0.1), Some(true), Some(true))
        };
        let here = of(&metrics, cost);
        let values: Vec<f64> = metrics.iter().map(|(_, value)| *value).collect();
        let total: f64 = metrics.iter().map(|(weight, _)| weight).sum();
        prop_assert!(smallest(&values) <= here.harmonic + SLACK && here.harmonic <= f64::max(FLOOR, largest(&values)) + SLACK);
        for (weight, value) in &metrics {
            prop_assert!(here.harmonic <= total / weight * f64::max(FLOOR, *value) * (1.0 + SLACK));
        }
        prop_assert!(of(&metrics, cost + more).value <= here.value + SLACK);
        let at = |value: f64| { let mut metrics = metrics.clone(); let k = i.index(metrics.len()); metrics[k].1 = value; of(&metrics, cost).value };
        prop_assert!(at(hi) >= at(lo) - SLACK);
    }

    #[test]
    fn delta_linf_is_the_absolute_difference_or_the_worst(new in any_num(), reference in any_num()) {
        let delta = linf::delta(new, reference);
        prop_assert!((-1.0..=1.0).contains(&delta));
        if num::unit(new).is_err() || num::unit(reference).is_err() {
            prop_assert_eq!(delta, -1.0);
        }
    }

    // --- agape, oci, coherence ---

    #[test]
    fn agape_is_a_unit_value_that_rises_with_borne_cost(virtues in prop::collection::vec(any_num(), 0..8), cost in any_num(), a in unit(), more in unit()) {
        let index = |cost| agape::index(virtues.iter().map(|virtue| ("virtue", *virtue)), cost, a);
        let here = index(cost);
        prop_assert!(sound(&here, 0.0, 1.0 + SLACK, 0.0));
        if here.is_ok() {
            prop_assert!(index(Num::new(num::nonneg(cost).unwrap() + more)).value >= here.value - SLACK);
        }
    }

    #[test]
    fn oci_lies_between_its_parts(parts in prop::array::uniform4(any_num()), i in 0..4_usize, j in 0..4_usize, (lo, hi) in ordered()) {
        let of = |parts: [Num; 4]| {
            let [memory, flow, policy, feedback] = parts;
            oci::score(&oci::Parts { memory, flow, policy, feedback })
        };
        let here = of(parts);
        prop_assert!(sound(&here, 0.0, 1.0, 0.0));
        if here.is_ok() {
            let values = parts.map(|part| num::unit(part).unwrap());
            prop_assert!(smallest(&values) <= here.value + SLACK && here.value <= f64::max(FLOOR, largest(&values)) + SLACK);
            let mut swapped = parts;
            swapped.swap(i, j);
            prop_assert!((of(swapped).value - here.value).abs() <= SLACK);
            let at = |value| { let mut parts = parts; parts[i] = Num::new(value); of(parts).value };
            prop_assert!(at(hi) >= at(lo) - SLACK);
        }
    }

    #[test]
    fn one_weak_part_fails_the_closure_gate(x in 0.0..0.6923_f64, i in 0..4_usize) {
        let mut parts = [Num::new(1.0); 4];
        parts[i] = Num::new(x);
        let [memory, flow, policy, feedback] = parts;
        let score = oci::score(&oci::Parts { memory, flow, policy, feedback });
        prop_assert!(score.value < 0.9);
    }

    #[test]
    fn coherence_lies_between_its_modules(x in prop::array::uniform8(any_num()), i in 0..8_usize, j in 0..8_usize, (lo, hi) in ordered()) {
        let of = |x: [Num; 8]| {
            let [ethics, contractivity, league, caos, sr, meta, tuning, router] = x;
            coherence::score(&Modules { ethics, contractivity, league, caos, sr, meta, tuning, router }, &CoherenceWeights::default())
        };
        let here = of(x);
        prop_assert!((0.0..=1.0).contains(&here.value));
        prop_assert_eq!(here.bottleneck.is_none(), !here.issues.is_empty());
        if here.issues.is_empty() {
            let values = x.map(|x| num::unit(x).unwrap());
            let low = smallest(&values);
            prop_assert!((low <= here.value + SLACK || low == 0.0) && here.value <= largest(&values) + SLACK);
            let mut swapped = x;
            swapped.swap(i, j);
            prop_assert!((of(swapped).value - here.value).abs() <= SLACK);
            let at = |value| { let mut x = x; x[i] = Num::new(value); of(x).value };
            prop_assert!(at(hi) >= at(lo) - SLACK);
            prop_assert_eq!(at(0.0), 0.0);
        } else {
            prop_assert_eq!(here.value, 0.0);
        }
    }

    #[test]
    fn shares_of_checks_are_unit_or_missing(ok: u64, total: u64) {
        let share = oci::from_checks(ok, total);
        prop_assert_eq!(share.is_missing(), total == 0 || ok > total);
        prop_assert!(share.get().is_none_or(|x| (0.0..=1.0).contains(&x)));
    }

    // --- lpsi ---

    #[test]
    fn projection_contracts(risks in prop::collection::vec(1e-6..=1.0_f64, 1..12), rho in 0.01..0.999_f64, factor in 0.1..=1.0_f64) {
        let nums = |risks: &[f64]| risks.iter().map(|x| Num::new(*x)).collect::<Vec<_>>();
        let project = |risks: &[f64]| lpsi::project(&nums(risks), Num::new(rho));
        let before = risks.iter().sum::<f64>() / f64::from(u32::try_from(risks.len()).unwrap());
        let after = project(&risks);
        let projected = after.risks.clone().unwrap();
        prop_assert!(after.mean < before);
        prop_assert!(lpsi::is_contractive(&nums(&risks), &nums(&projected), Num::new(rho)));
        // Linear: scaling before equals scaling after.
        let scaled: Vec<f64> = risks.iter().map(|x| x * factor).collect();
        for (a, b) in project(&scaled).risks.unwrap().iter().zip(&projected) {
            prop_assert!((a - b * factor).abs() <= SLACK);
        }
        let reversed: Vec<f64> = risks.iter().rev().copied().collect();
        prop_assert!((project(&reversed).mean - after.mean).abs() <= SLACK);
    }

    #[test]
    fn contraction_factors_are_finite_and_pessimistic(rho in any_num(), series in prop::collection::vec(any_num(), 0..14), target in any_num(), passes: u64) {
        let observed = lpsi::observed_rho(&series);
        prop_assert!((0.0..=1e6).contains(&observed));
        if let Ok(effective) = lpsi::effective_rho(rho, &series) {
            prop_assert!(effective.is_finite() && effective >= 0.0);
            prop_assert!(rho.get().is_none_or(|rho| effective >= rho));
            prop_assert!(series.len() < 2 || effective >= observed);
        }
        let projection = lpsi::project(&series, rho);
        prop_assert!((0.0..=1.0).contains(&projection.mean) && projection.risks.is_none() == projection.code.is_some());
        let contraction = lpsi::contract(&series, rho, target, passes);
        prop_assert!((0.0..=1.0).contains(&contraction.mean) && contraction.passes <= passes.min(lpsi::MAX_PASSES));
        prop_assert!(!contraction.reached || contraction.risks.is_some());
    }
}

#[test]
fn all_zero_components_give_one() {
    assert_eq!(caos::exponential(&good([0.0; 4]), Num::new(20.0)), Scored::ok(1.0));
}

#[test]
fn every_problem_is_listed_in_declared_order() {
    let nothing = caos::exponential(&Components::default(), Num::MISSING);
    let fields: Vec<_> = nothing.issues.iter().map(|issue| issue.field.as_ref()).collect();
    assert_eq!(fields, ["c", "a", "o", "s", "kappa"]);
}
