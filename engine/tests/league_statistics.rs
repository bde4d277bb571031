//! Properties of the league's statistics: sequential test, latency histograms, rank test, ranking and routing.
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
mod support;

use effort::effort;
use penin_engine::config::{SequentialConfig, SequentialMode};
use penin_engine::gates::GateStatus;
use penin_engine::league::{
    BUCKETS, Contender, ErrorCount, Histogram, MAX_MICROSECONDS, MannWhitney, bucket, bucket_upper,
    compare_error_rates, confidence_sequence, mann_whitney, rank, route,
};
use proptest::prelude::*;
use serde_json::json;
use support::evidence;

proptest! {
    #![proptest_config(effort(256))]

    #[test]
    fn confidence_sequences_contain_the_rate_and_shrink(trials in 1_u64..5_000_000, share in 0.0..=1.0_f64, alpha in 0.0001..0.2_f64) {
        let events = ((trials as f64) * share) as u64;
        let [lower, upper] = confidence_sequence(events, trials, alpha);
        let rate = events as f64 / trials as f64;
        prop_assert!(0.0 <= lower && lower <= rate && rate <= upper && upper <= 1.0);
        let [more_lower, more_upper] = confidence_sequence(events * 100, trials * 100, alpha);
        prop_assert!(more_upper - more_lower < upper - lower || trials * 100 > 1_000_000_000);
        let [wide_lower, wide_upper] = confidence_sequence(events, trials, alpha / 10.0);
        prop_assert!(wide_lower <= lower && upper <= wide_upper);
        let [mirror_lower, mirror_upper] = confidence_sequence(trials - events, trials, alpha);
        prop_assert!((mirror_lower - (1.0 - upper)).abs() < 1e-9 && (mirror_upper - (1.0 - lower)).abs() < 1e-9);
    }

    #[test]
    fn more_errors_never_help_the_challenger(samples in 1_u64..5000, errors in 0_u64..5000, more in 0_u64..500, champion in 0_u64..9000) {
        let errors = errors.min(samples);
        let worse = (errors + more).min(samples);
        let champion = ErrorCount { errors: champion / 20, samples: champion };
        for mode in [SequentialMode::Harm, SequentialMode::NonInferior] {
            let test = SequentialConfig { mode, ..SequentialConfig::default() };
            let status = |errors| compare_error_rates(&test, ErrorCount { errors, samples }, champion).status.unwrap();
            prop_assert!(status(errors) != GateStatus::Fail || status(worse) == GateStatus::Fail);
            prop_assert!(status(worse) != GateStatus::Pass || status(errors) == GateStatus::Pass);
        }
        let off = SequentialConfig { mode: SequentialMode::Off, ..SequentialConfig::default() };
        prop_assert_eq!(compare_error_rates(&off, ErrorCount { errors, samples }, champion).status, None);
    }

    #[test]
    fn buckets_hold_their_values(v in prop_oneof![0_u64..5000, 0..=MAX_MICROSECONDS, any::<u64>()]) {
        let bucket = bucket(v);
        let v = v.min(MAX_MICROSECONDS);
        prop_assert!(bucket < BUCKETS && v <= bucket_upper(bucket));
        prop_assert!(bucket == 0 || v > bucket_upper(bucket - 1));
        prop_assert!((bucket_upper(bucket) - v) as f64 <= 0.032 * v as f64);
    }

    #[test]
    fn quantiles_are_nearest_ranks(mut values in prop::collection::vec(0_u64..5_000_000, 1..200), permille in 0_u16..=1000, split in any::<prop::sample::Index>()) {
        let mut histogram = Histogram::new();
        let mut other = Histogram::new();
        for (i, v) in values.iter().enumerate() {
            if i < split.index(values.len()) { histogram.record(*v) } else { other.record(*v) }
        }
        histogram.merge(&other);
        prop_assert_eq!(histogram.samples(), values.len() as u64);
        values.sort_unstable();
        let rank = (values.len() * usize::from(permille)).div_ceil(1000).max(1);
        prop_assert_eq!(histogram.quantile(permille), Some(bucket_upper(bucket(values[rank - 1]))));
    }

    #[test]
    fn mann_whitney_is_antisymmetric(x in prop::collection::vec((0_u16..50, 0_u64..20), 1..20), y in prop::collection::vec((0_u16..50, 0_u64..20), 1..20)) {
        let count = |pairs: &[(u16, u64)]| pairs.iter().map(|(_, n)| n).sum::<u64>();
        let (forward, backward) = (mann_whitney(&x, &y), mann_whitney(&y, &x));
        if count(&x) == 0 || count(&y) == 0 {
            prop_assert_eq!(forward, MannWhitney::NOTHING);
            return Ok(());
        }
        let pairs = (count(&x) * count(&y)) as f64;
        prop_assert_eq!(forward.u + backward.u, pairs);
        prop_assert!((forward.cles + backward.cles - 1.0).abs() < 1e-12);
        prop_assert!((0.0..=1.0).contains(&forward.p_value) && forward.z.is_finite());
        // The continuity term pulls both ways by the same amount.
        let continuity = forward.z + backward.z;
        prop_assert!(continuity <= 0.0);
        let doubled: Vec<(u16, u64)> = x.iter().chain(&x).copied().collect();
        prop_assert!((mann_whitney(&doubled, &y).cles - forward.cles).abs() < 1e-12);
    }

    #[test]
    fn ranking_is_a_total_order_without_bad_numbers(entries in prop::collection::vec((evidence(), evidence(), evidence()), 0..12), seed: u64) {
        let mut contenders: Vec<Contender> = entries
            .into_iter()
            .enumerate()
            .map(|(i, (linf, delta_linf, cost))| Contender { name: format!("c{i:02}"), linf, delta_linf, cost })
            .collect();
        let ranking = rank(&contenders);
        prop_assert_eq!(ranking.ranked.len() + ranking.ineligible.len(), contenders.len());
        let linf = |name: &String| contenders.iter().find(|c| &c.name == name).unwrap().linf.get().unwrap().clamp(0.0, 1.0);
        let values: Vec<f64> = ranking.ranked.iter().map(linf).collect();
        prop_assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        penin_engine::rng::Stream::new(seed, 0).shuffle(&mut contenders);
        prop_assert_eq!(rank(&contenders).ranked, ranking.ranked);
    }

    #[test]
    fn routing_is_stable_and_monotone(id in ".*", share in 0_u64..=10_000, more in 0_u64..=10_000) {
        let narrow = route(&id, share);
        let wide = route(&id, share.max(more));
        prop_assert!(narrow.bucket < 10_000 && narrow.bucket == wide.bucket);
        prop_assert!(!narrow.challenger || wide.challenger);
        prop_assert!(!route(&id, 0).challenger && route(&id, 10_000).challenger);
    }
}

#[test]
fn histograms_refuse_buckets_that_do_not_exist() {
    assert!(serde_json::from_value::<Histogram>(json!([[1152, "1"]])).is_err());
    assert!(serde_json::from_value::<Histogram>(json!([[5, 1]])).is_err());
    let histogram: Histogram = serde_json::from_value(json!([[5, "2"], [3, "1"], [5, "1"]])).unwrap();
    assert_eq!(serde_json::to_value(&histogram).unwrap(), json!([[3, "1"], [5, "3"]]));
    assert_eq!(
        serde_json::from_value::<Histogram>(json!(null)).unwrap(),
        Histogram::new()
    );
    assert_eq!(Histogram::new().quantile(950), None);
}

#[test]
fn counts_and_levels_that_mean_nothing_prove_nothing() {
    for (events, trials, alpha) in [
        (0, 0, 0.05),
        (11, 10, 0.05),
        (1, 1_000_000_001, 0.05),
        (1, 10, 0.0),
        (1, 10, 1.0),
        (1, 10, f64::NAN),
    ] {
        assert_eq!(
            confidence_sequence(events, trials, alpha),
            [0.0, 1.0],
            "{events}/{trials} at {alpha}"
        );
    }
}
