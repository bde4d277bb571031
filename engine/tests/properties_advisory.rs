//! Properties of the advisory scores and of the Fibonacci tools.
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

use effort::effort;
use penin_engine::config::{FibonacciConfig, SearchMethod, Settings, TunerConfig};
use penin_engine::epv::{self, Action, Fault, LeagueStakes, Mdp, Options, State, Transition};
use penin_engine::fibonacci::{self, SearchError};
use penin_engine::life::{self, Conditions};
use penin_engine::num::{self, Num};
use penin_engine::tuner::{self, Parameter, Tuner, TunerError};
use penin_engine::{anabolization, death, growth, lyapunov};
use proptest::prelude::*;
use strategies::{any_num, unit};

const SLACK: f64 = 1e-12;

fn method() -> impl Strategy<Value = SearchMethod> {
    prop_oneof![Just(SearchMethod::Golden), Just(SearchMethod::Fibonacci)]
}

/// A process of up to five states whose probabilities sum to 1.
fn process() -> impl Strategy<Value = Mdp> {
    let state = (
        prop::option::weighted(0.3, -10.0..10.0_f64),
        prop::collection::vec((-5.0..5.0_f64, 0..5_usize, 0..5_usize, 0.0..=1.0_f64), 1..4),
    );
    prop::collection::vec(state, 1..6).prop_map(|states| {
        let count = states.len();
        let target = |index: usize| i64::try_from(index % count).unwrap();
        let action = |(reward, a, b, p): (f64, usize, usize, f64)| Action {
            name: String::new(),
            reward: Num::new(reward),
            transitions: vec![
                Transition {
                    to: target(a),
                    p: Num::new(p),
                },
                Transition {
                    to: target(b),
                    p: Num::new(1.0 - p),
                },
            ],
        };
        let states = states.into_iter().map(|(terminal, actions)| State {
            name: String::new(),
            terminal: Num::from(terminal),
            actions: actions.into_iter().map(action).collect(),
        });
        Mdp {
            states: states.collect(),
        }
    })
}

proptest! {
    #![proptest_config(effort(512))]

    // --- lyapunov, death, growth, anabolization ---

    #[test]
    fn v_falls_exactly_when_linf_rises(previous in any_num(), next in any_num()) {
        let v = lyapunov::evaluate(previous, next);
        prop_assert!((0.0..=1.0).contains(&v.previous) && (0.0..=1.0).contains(&v.next));
        prop_assert!(!v.decreasing || v.stable);
        if let (Ok(previous), Ok(next)) = (num::unit(previous), num::unit(next)) {
            // A rise below the resolution of 1 − L∞ cannot show.
            prop_assert!(!v.decreasing || next > previous);
            prop_assert!(next <= previous + SLACK || v.decreasing);
        } else {
            prop_assert!(v.previous == 1.0 && v.next == 1.0 && !v.decreasing && !v.stable);
        }
    }

    #[test]
    fn survival_needs_a_valid_gain_at_or_above_the_bound(delta in any_num(), beta in any_num()) {
        let survives = death::survives(delta, beta);
        prop_assert!(!survives || delta.finite().unwrap() >= beta.finite().unwrap());
    }

    #[test]
    fn a_tuned_death_bound_stays_in_range(beta in any_num(), success in any_num(), budget in any_num(), tolerance in any_num()) {
        let proposal = death::auto_tune(beta, success, budget, tolerance);
        prop_assert!((death::BETA_MIN..=death::BETA_MAX).contains(&proposal.beta));
        prop_assert!(proposal.issues.is_empty() || proposal.beta == death::BETA_MAX);
    }

    #[test]
    fn growth_is_finite_and_honest(previous in any_num(), next in any_num(), beta in any_num()) {
        let growth = growth::evaluate(previous, next, beta);
        prop_assert!((-1.0..=1e6).contains(&growth.rate) && growth.required.is_finite());
        prop_assert!(!growth.ok || next.finite().unwrap() + 2e-9 >= growth.required);
    }

    #[test]
    fn anabolization_stays_in_range(a in any_num(), delta in any_num(), caos in any_num(), sr in any_num(), oci in any_num()) {
        let factor = anabolization::factor(a, delta, caos, sr, oci);
        prop_assert!((0.5..=2.0).contains(&factor.value));
        prop_assert!(factor.is_ok() || factor.value == 0.5);
    }

    // --- epv ---

    #[test]
    fn value_iteration_contracts_and_stays_bounded(mdp in process(), gamma in 0.0..0.99_f64) {
        let options = |max_iterations| Options { gamma: Num::new(gamma), max_iterations, ..Options::default() };
        let runs: Vec<Vec<f64>> = (0..8).map(|n| epv::solve(&mdp, &options(n)).unwrap().values).collect();
        let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        for triple in runs.windows(3) {
            prop_assert!(distance(&triple[1], &triple[2]) <= gamma * distance(&triple[0], &triple[1]) + 1e-9);
        }
        let rewards = mdp.states.iter().flat_map(|state| &state.actions).map(|action| action.reward.get().unwrap().abs());
        let terminals = mdp.states.iter().filter_map(|state| state.terminal.get()).map(f64::abs);
        let bound = f64::max(rewards.fold(0.0, f64::max) / (1.0 - gamma), 0.0) + terminals.fold(0.0, f64::max);
        let solution = epv::solve(&mdp, &options(10_000)).unwrap();
        prop_assert!(solution.converged && solution.values.iter().all(|v| v.is_finite() && v.abs() <= bound + 1e-6));
        for (state, policy) in mdp.states.iter().zip(&solution.policy) {
            prop_assert_eq!(policy.is_none(), !state.terminal.is_missing());
        }
    }

    #[test]
    fn raising_a_reward_lowers_no_value(mdp in process(), raise in 0.0..5.0_f64, i in any::<prop::sample::Index>()) {
        let mut raised = mdp.clone();
        let k = i.index(raised.states.len());
        let action = &mut raised.states[k].actions[0];
        action.reward = Num::new(action.reward.get().unwrap() + raise);
        let solve = |mdp: &Mdp| epv::solve(mdp, &Options::default()).unwrap().values;
        for (before, after) in solve(&mdp).iter().zip(solve(&raised)) {
            prop_assert!(after >= before - 1e-7);
        }
    }

    #[test]
    fn any_stakes_give_a_finite_solution_or_a_fault(s in prop::array::uniform5(any_num()), gamma in any_num()) {
        let [pass_shadow, pass_canary, gain, stage_cost, cost_penalty] = s;
        let mdp = epv::league(&LeagueStakes { pass_shadow, pass_canary, gain, stage_cost, cost_penalty });
        let options = Options { gamma, max_iterations: 100, ..Options::default() };
        if let Ok(solution) = epv::solve(&mdp, &options) {
            prop_assert!(solution.values.iter().all(|v| v.is_finite()));
            prop_assert!(s.iter().all(|x| x.finite().is_some()));
        }
    }

    #[test]
    fn smoothed_rates_lie_strictly_between_zero_and_one(passed in 0..1_000_000_u64, more in 0..1_000_000_u64) {
        let rate = epv::smoothed_rate(passed, passed + more).get().unwrap();
        prop_assert!(rate > 0.0 && rate < 1.0);
        prop_assert!(epv::smoothed_rate(passed + 1, passed).is_missing());
    }

    // --- life ---

    #[test]
    fn life_steps_only_when_every_condition_holds(x in prop::array::uniform7(any_num()), consent in any::<Option<bool>>(), eco in any::<Option<bool>>()) {
        let [ece, rho_bias, rho, phi, sr, delta_linf, coherence] = x;
        let conditions = Conditions { consent, eco_ok: eco, ece, rho_bias, rho, phi, sr, delta_linf, coherence };
        let life = life::evaluate(&conditions, &Settings::default());
        prop_assert!((0.0..=1.0).contains(&life.alpha) && (0.0..=1.0).contains(&life.acceleration));
        let failed = life.gates.iter().find(|gate| !gate.passed).map(|gate| gate.name);
        prop_assert_eq!(life.first_failed, failed);
        prop_assert_eq!(life.alpha > 0.0, failed.is_none());
        prop_assert!(failed.is_none() || life.acceleration == 0.0);
    }

    // --- tuner ---

    #[test]
    fn tuned_values_keep_their_bounds_and_wait_for_the_warm_up(
        start in any_num(), (min, width) in (-50.0..50.0_f64, 0.1..100.0_f64),
        gradients in prop::collection::vec(prop::collection::vec(any_num(), 1..3), 0..40), warmup in 0..20_u64,
    ) {
        let config = TunerConfig { warmup, ..TunerConfig::default() };
        let Ok(parameter) = Parameter::new("p", start, min, min + width) else {
            prop_assert!(start.finite().is_none());
            return Ok(());
        };
        let first = parameter.value();
        let mut tuner = Tuner::new(vec![parameter]);
        for gradient in &gradients {
            let before = tuner.clone();
            match tuner.step(gradient, &config) {
                Ok(()) => prop_assert!(gradient.len() == 1 && tuner.updates() == before.updates() + 1),
                Err(error) => {
                    let expected = if gradient.len() == 1 { TunerError::NonFiniteGradient } else { TunerError::LengthMismatch };
                    prop_assert_eq!(error, expected);
                    prop_assert_eq!(&tuner, &before);
                }
            }
            let value = tuner.parameters()[0].value();
            prop_assert!((min..=min + width).contains(&value));
            prop_assert!(tuner.updates() > warmup || value == first);
        }
    }

    #[test]
    fn steps_shrink_for_a_constant_gradient(gradient in -5.0..5.0_f64) {
        let config = TunerConfig { warmup: 0, ..TunerConfig::default() };
        let mut tuner = Tuner::new(vec![Parameter::new("p", Num::new(0.0), -1e6, 1e6).unwrap()]);
        let mut values = vec![0.0];
        for _ in 0..20 {
            tuner.step(&[Num::new(gradient)], &config).unwrap();
            values.push(tuner.parameters()[0].value());
        }
        let steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        prop_assert!(steps.windows(2).all(|pair| pair[1] <= pair[0] + SLACK));
    }

    #[test]
    fn the_loss_is_finite_or_absent(linf in prop::collection::vec(any_num(), 0..6), caos in prop::collection::vec(any_num(), 0..6), time in any_num(), rate in any_num()) {
        if let Some(loss) = tuner::meta_loss(&linf, &caos, time, rate) {
            prop_assert!(loss.is_finite() && loss >= 0.0);
            prop_assert!(linf.iter().chain(&caos).chain([&time, &rate]).all(|x| x.finite().is_some()));
        }
    }

    // --- fibonacci ---

    #[test]
    fn the_maximum_is_found_within_the_tolerance(method in method(), a in -10.0..10.0_f64, width in 0.01..20.0_f64, at in unit(), exponent in 1..7_i32) {
        let (b, center) = (a + width, a + width * at);
        let tolerance = format!("1e-{exponent}").parse().unwrap();
        let found = fibonacci::search(method, |x| -(x - center).abs(), a, b, tolerance).unwrap();
        prop_assert!((found.x - center).abs() <= tolerance + SLACK);
    }

    #[test]
    fn searches_end_inside_the_interval_or_refuse_it(method in method(), a in any_num(), b in any_num(), tolerance in any_num(), slope in any_num()) {
        let [a, b, tolerance, slope] = [a, b, tolerance, slope].map(|x| x.get().unwrap_or(f64::NAN));
        match fibonacci::search(method, |x| slope * x, a, b, tolerance) {
            Ok(found) => prop_assert!(found.x >= a && found.x <= b && found.evaluations < 2000),
            Err(SearchError::BadInterval) => prop_assert!(method == SearchMethod::Fibonacci || !(a < b && tolerance > 0.0 && (b - a) < f64::MAX && tolerance / (b - a) > 0.0 && tolerance < f64::MAX)),
            Err(SearchError::ObjectiveNonFinite) => prop_assert!(!slope.is_finite() || slope.abs() > 1.0),
        }
    }

    #[test]
    fn learning_rates_stay_in_their_interval(step in any_num(), radius in any_num(), harmony in any_num(), method in method()) {
        let rate = fibonacci::learning_rate(step, radius, harmony, method);
        prop_assert!((0.5..=2.0).contains(&rate.x));
        prop_assert!(rate.evaluations > 0 || rate.x == 1.0);
    }

    #[test]
    fn intervals_never_shrink(k in 1..200_u64, base: u64, max: u64) {
        let here = fibonacci::ttl(k, base, max);
        prop_assert!(here <= fibonacci::ttl(k + 1, base, max));
        prop_assert!(here >= base.min(here) && (here <= max || here == base));
    }

    #[test]
    fn the_trust_radius_stays_in_its_range(radius in any_num(), delta in any_num()) {
        let config = FibonacciConfig::default();
        let next = fibonacci::trust(radius.get().unwrap_or(f64::NAN), delta, &config);
        prop_assert!((config.trust_min..=config.trust_max).contains(&next));
        if delta.finite().is_none() {
            prop_assert!(next <= f64::max(config.trust_min, radius.finite().unwrap_or(0.0)));
        }
    }

    #[test]
    fn labels_are_sums_of_non_consecutive_numbers(delta in any_num(), caos in any_num(), cycle: u64) {
        let label = fibonacci::zeckendorf(delta, caos, cycle);
        let micro = |x: Num| x.finite().filter(|x| x.abs() <= 1e6).map(|x| (x.abs() * 1e6).floor());
        let (Some(delta), Some(caos)) = (micro(delta), micro(caos)) else {
            prop_assert_eq!(label, "invalid");
            return Ok(());
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let n = delta as u128 + caos as u128 + u128::from(cycle);
        let terms: Vec<u128> = label.strip_prefix("Z{").and_then(|rest| rest.strip_suffix('}')).map_or(vec![], |terms| {
            terms.split('+').map(|term| term.parse().unwrap()).collect()
        });
        prop_assert_eq!(terms.iter().sum::<u128>(), n);
        let indices: Vec<u64> = terms.iter().map(|term| (2..=93).find(|k| u128::from(fibonacci::number(*k)) == *term).unwrap()).collect();
        prop_assert!(indices.windows(2).all(|pair| pair[0] >= pair[1] + 2));
        prop_assert!(n > 0 || label == "0");
    }

    #[test]
    fn schedules_decay(alpha0 in any_num(), t in any_num(), boost in any_num()) {
        let value = fibonacci::schedule(alpha0, t, boost);
        prop_assert!((0.0..=1.05).contains(&value));
        if let Some(t) = t.finite().filter(|t| *t >= 0.0) {
            prop_assert!(fibonacci::schedule(alpha0, Num::new(t + 1.0), boost) <= value + SLACK);
        }
    }
}

#[test]
fn a_search_never_asks_beyond_its_ends() {
    // The tolerance is far below the resolution of the ends, so that rounding accumulates.
    let half = f64::MAX / 2.0;
    for (a, b, tolerance) in [(0.0, f64::MAX, 0.15), (1.0, 1.0 + 1e-12, 1e-20), (-half, half, 1.0)] {
        for slope in [1e-300, -1e-300] {
            let asked = |x: f64| {
                assert!((a..=b).contains(&x), "{x} in [{a}, {b}]");
                slope * x
            };
            let found = fibonacci::search(SearchMethod::Golden, asked, a, b, tolerance).unwrap();
            assert!((a..=b).contains(&found.x));
        }
    }
}

#[test]
fn fibonacci_numbers_are_limited_to_the_table() {
    assert_eq!(fibonacci::number(0), 1);
    assert_eq!(fibonacci::number(93), 12_200_160_415_121_876_738);
    assert_eq!(fibonacci::number(u64::MAX), fibonacci::number(93));
    for k in 3..=93 {
        assert_eq!(
            fibonacci::number(k),
            fibonacci::number(k - 1) + fibonacci::number(k - 2)
        );
    }
}

#[test]
fn the_numeric_gradient_is_a_central_difference() {
    let gradient = tuner::numeric_gradient(2.0, |x| Some(x * x)).get().unwrap();
    assert!((gradient - 4.0).abs() < 1e-9);
    assert!(tuner::numeric_gradient(2.0, |x| (x < 2.0).then_some(x)).is_missing());
}

#[test]
fn a_tuner_proposes_only_what_differs_from_the_configuration() {
    let settings = Settings::default();
    let mut tuner = Tuner::from_settings(&settings).unwrap();
    assert!(tuner.propose(&settings).is_empty());
    let config = TunerConfig {
        warmup: 0,
        ..TunerConfig::default()
    };
    let gradients: Vec<Num> = [-1.0, 0.0, 0.0, 0.0, 0.0].map(Num::new).into();
    tuner.step(&gradients, &config).unwrap();
    let proposals = tuner.propose(&settings);
    assert_eq!(proposals.len(), 1);
    assert_eq!((proposals[0].name.as_str(), proposals[0].from), ("caos.kappa", 20.0));
    assert!(proposals[0].to > 20.0);
    // The tuner itself survives a restart.
    let text = serde_json::to_string(&tuner).unwrap();
    assert_eq!(serde_json::from_str::<Tuner>(&text).unwrap(), tuner);
    assert!(serde_json::from_str::<Tuner>(&text.replace("\"min\":20.0", "\"min\":30.0")).is_err());
}

#[test]
fn faults_of_a_process_are_named_in_document_order() {
    let fault = |mdp: &Mdp, gamma: f64| {
        epv::solve(
            mdp,
            &Options {
                gamma: Num::new(gamma),
                ..Options::default()
            },
        )
        .unwrap_err()
    };
    let empty = Mdp::default();
    assert_eq!(fault(&empty, 1.0).error, Fault::BadGamma);
    assert_eq!(fault(&empty, -1e-10).error, Fault::BadGamma);
    assert_eq!(fault(&empty, 0.5).error, Fault::Empty);
    let state = State {
        terminal: Num::new(f64::NAN),
        ..State::default()
    };
    assert_eq!(
        fault(
            &Mdp {
                states: vec![state.clone(); 65]
            },
            0.5
        )
        .error,
        Fault::TooManyStates
    );
    let error = fault(&Mdp { states: vec![state] }, 0.5);
    assert_eq!(
        (error.error, error.state, error.action),
        (Fault::BadNumber, Some(0), None)
    );
    assert_eq!(error.to_string(), "unusable decision process: BadNumber in state 0");
    let action = |to, p| Action {
        reward: Num::new(0.0),
        transitions: vec![Transition { to, p: Num::new(p) }],
        ..Action::default()
    };
    for (action, expected) in [
        (action(0, 2.0), Fault::BadProbability),
        (action(-1, 1.0), Fault::BadTarget),
        (action(0, 0.5), Fault::ProbabilitySum),
        (
            Action {
                reward: Num::MISSING,
                ..action(0, 1.0)
            },
            Fault::BadNumber,
        ),
    ] {
        let error = fault(
            &Mdp {
                states: vec![State {
                    actions: vec![action],
                    ..State::default()
                }],
            },
            0.5,
        );
        assert_eq!((error.error, error.action), (expected, Some(0)));
    }
}
