use proptest::prelude::*;

use super::*;

fn weight(percent: u8) -> Percent {
    Percent::try_from(percent).unwrap()
}

fn verdict(percent: u8, challenger: u64, total: u64) -> ShareVerdict {
    assess(
        weight(percent),
        ShareCounts::new(challenger, total).unwrap(),
        DEFAULT_MINIMUM,
    )
}

/// Bounds computed with 40-digit arithmetic (mpmath 1.4, sums of exact terms), not with this code.
#[test]
fn accepted_counts_match_forty_digit_arithmetic() {
    const N9: u64 = 1_000_000_000;
    let table = [
        (1, 1_000, 0, 29),
        (2, 1_000, 3, 45),
        (5, 1_000, 20, 87),
        (50, 1_000, 423, 577),
        (95, 1_000, 913, 980),
        (99, 1_000, 971, 1_000),
        (1, 1_443, 0, 36),
        (1, 1_444, 1, 36),
        (50, 1_444, 629, 815),
        (3, 5_000, 95, 212),
        (1, 123_457, 1_067, 1_409),
        (4, 123_457, 4_605, 5_279),
        (99, 123_457, 122_048, 122_390),
        (5, 1_000_000, 48_937, 51_070),
        (95, 1_000_000, 948_930, 951_063),
        (1, N9, 9_984_613, 10_015_395),
        (2, N9, 19_978_347, 20_021_660),
        (5, N9, 49_966_290, 50_033_717),
        (50, N9, 499_922_656, 500_077_344),
        (99, N9, 989_984_605, 990_015_387),
    ];
    for (percent, total, low, high) in table {
        assert_eq!(
            accepted_counts(weight(percent), total),
            low..=high,
            "weight {percent}, {total} requests"
        );
    }
}

#[test]
fn a_share_is_inside_up_to_its_bounds_and_outside_beyond() {
    let at = |challenger| verdict(5, challenger, 1_000);
    let measured = |challenger| Measurement {
        challenger,
        total: 1_000,
        low: 20,
        high: 87,
    };
    assert_eq!(at(19), ShareVerdict::Outside(measured(19)));
    assert_eq!(at(20), ShareVerdict::Inside(measured(20)));
    assert_eq!(at(87), ShareVerdict::Inside(measured(87)));
    assert_eq!(at(88), ShareVerdict::Outside(measured(88)));
    assert_eq!(
        measured(88).to_string(),
        "88 of 1000 requests went to the challenger, 20 to 87 were expected"
    );
}

#[test]
fn at_weight_zero_one_request_is_too_many() {
    assert!(matches!(verdict(0, 0, 1_000), ShareVerdict::Inside(_)));
    assert!(matches!(
        verdict(0, 1, 1_000_000),
        ShareVerdict::Outside(Measurement { low: 0, high: 0, .. })
    ));
}

#[test]
fn at_weight_hundred_one_request_elsewhere_is_too_many() {
    assert!(matches!(verdict(100, 1_000, 1_000), ShareVerdict::Inside(_)));
    assert!(matches!(
        verdict(100, 999, 1_000),
        ShareVerdict::Outside(Measurement {
            low: 1_000,
            high: 1_000,
            ..
        })
    ));
}

#[test]
fn too_few_requests_are_thin_whatever_they_show() {
    assert_eq!(verdict(5, 900, 999), ShareVerdict::Thin { have: 999, need: 1_000 });
    assert_eq!(verdict(0, 0, 0), ShareVerdict::Thin { have: 0, need: 1_000 });
    let no_minimum = assess(Percent::ZERO, ShareCounts::new(0, 0).unwrap(), 0);
    assert_eq!(no_minimum, ShareVerdict::Thin { have: 0, need: 1 });
}

/// 1,000 requests of which none went to the challenger agree with a weight of 1, and with an unchanged route.
#[test]
fn a_count_that_agrees_with_an_unchanged_route_is_thin() {
    assert_eq!(
        verdict(1, 0, 1_443),
        ShareVerdict::Thin {
            have: 1_443,
            need: 1_444
        }
    );
    assert!(matches!(verdict(1, 0, 1_444), ShareVerdict::Outside(_)));
    for percent in 1..=100 {
        let total = least_total(weight(percent)).max(DEFAULT_MINIMUM);
        assert!(
            matches!(verdict(percent, 0, total), ShareVerdict::Outside(_)),
            "weight {percent}"
        );
    }
}

#[test]
fn impossible_counts_are_refused() {
    assert_eq!(
        ShareCounts::new(2, 1),
        Err(ShareCountsError::PartAboveWhole {
            challenger: 2,
            total: 1
        })
    );
    assert_eq!(
        ShareCounts::new(0, MAX_REQUESTS + 1),
        Err(ShareCountsError::TooMany {
            total: MAX_REQUESTS + 1
        })
    );
    assert!(ShareCounts::new(MAX_REQUESTS, MAX_REQUESTS).is_ok());
}

#[test]
fn the_largest_window_is_still_decided() {
    let half = accepted_counts(weight(5), MAX_REQUESTS);
    // 4.8916 standard deviations (normal quantile of 5e-7) on either side of the mean, to within one.
    let sigma = (1e11_f64 * 0.05 * 0.95).sqrt();
    let expected = 5e9 - 4.891_638_475_698_75 * sigma;
    assert!((exact(*half.start()) - expected).abs() < 5.0, "{half:?} {expected}");
}

/// P(X <= k) as an exact fraction of 100^n; 100^18 still fits.
fn exact_lower_tail(total: u32, percent: u32, count: u32) -> u128 {
    let mut tail = 0;
    let mut choose: u128 = 1;
    for j in 0..=count {
        tail += choose * u128::from(percent).pow(j) * u128::from(100 - percent).pow(total - j);
        choose = choose * u128::from(total - j) / u128::from(j + 1);
    }
    tail
}

proptest! {
    /// Small windows against integer arithmetic without any rounding.
    #[test]
    fn small_windows_agree_with_exact_integers(total in 1_u32..=18, percent in 1_u8..=99) {
        let accepted = accepted_counts(weight(percent), u64::from(total));
        let whole = 100_u128.pow(total);
        for count in 0..=total {
            let lower = exact_lower_tail(total, percent.into(), count);
            let upper = if count == 0 { whole } else { whole - exact_lower_tail(total, percent.into(), count - 1) };
            // tail > 5e-7 in integers; dividing keeps 100^18 * 2,000,000 from overflowing.
            let kept = |tail: u128| tail > whole / 2_000_000;
            prop_assert_eq!(accepted.contains(&u64::from(count)), kept(lower) && kept(upper), "{} of {} at {}", count, total, percent);
        }
    }

    /// Middle-sized windows against a direct sum of probabilities from logarithms of factorials.
    #[test]
    fn windows_agree_with_direct_summation(total in 20_u64..=3_000, percent in 1_u8..=99) {
        let share = f64::from(percent) / 100.0;
        let mut log_factorial = vec![0.0];
        for i in 1..=total {
            log_factorial.push(log_factorial[usize::try_from(i - 1).unwrap()] + exact(i).ln());
        }
        let at = |i: u64| log_factorial[usize::try_from(i).unwrap()];
        let probability = |k: u64| {
            (at(total) - at(k) - at(total - k) + exact(k) * share.ln() + exact(total - k) * (1.0 - share).ln()).exp()
        };
        let accepted = accepted_counts(weight(percent), total);
        let lower = |k: u64| (0..=k).map(probability).sum::<f64>();
        let upper = |k: u64| (k..=total).rev().map(probability).sum::<f64>();
        let (low, high) = (*accepted.start(), *accepted.end());
        // The summation itself is good to some 1e-12: no neighbouring tail is that near to the limit by chance.
        prop_assert!(lower(low) > ERROR / 2.0);
        prop_assert!(low == 0 || lower(low - 1) <= ERROR / 2.0);
        prop_assert!(upper(high) > ERROR / 2.0);
        prop_assert!(high == total || upper(high + 1) <= ERROR / 2.0);
    }

    /// Exchanging the two sides exchanges the verdict's sides, nothing else.
    #[test]
    fn both_sides_are_treated_alike(total in 1_u64..=200_000, percent in 0_u8..=100) {
        let (ours, theirs) = (accepted_counts(weight(percent), total), accepted_counts(weight(100 - percent), total));
        prop_assert_eq!((*ours.start(), *ours.end()), (total - theirs.end(), total - theirs.start()));
    }

    /// The whole share is never refused, whatever the size: the mean lies inside.
    #[test]
    fn the_written_share_itself_is_inside(hundreds in 15_u64..=10_000_000, percent in 0_u8..=100) {
        let total = hundreds * 100;
        let verdict = verdict(percent, hundreds * u64::from(percent), total);
        prop_assert!(matches!(verdict, ShareVerdict::Inside(_)), "{:?}", verdict);
    }
}

#[test]
fn copies_are_the_asked_share_with_room_for_what_is_under_way() {
    let range = |percent: u8, total, edge| agreeing_copies(Percent::saturating(percent), total, edge);
    // The exact intervals are 10,000 and 1,807 to 2,198.
    assert_eq!(range(100, 10_000, 0), Ok(9_780..=10_220));
    assert_eq!(range(20, 10_000, 0), Ok(1_747..=2_258));
    // The upper end has room for the whole edge, the lower one for a tenth.
    assert_eq!(range(100, 10_000, 500), Ok(8_780..=15_220));
    assert_eq!(range(100, 10_000, u64::MAX).map(|range| *range.start()), Ok(8_780));
    assert_eq!(range(100, 999, 0), Err(DEFAULT_MINIMUM));
    assert_eq!(range(1, 1_200, 0), Err(1_444));
}
