//! Probability bins and fixed-point numbers of the exported counters.

/// Number of bins, the usual choice for the expected calibration error (Guo et al. 2017).
pub const BINS: usize = 15;

/// 2²⁰, the unit of the counters that add up probabilities and squared errors.
const FIXED_POINT: f64 = 1_048_576.0;

/// Index of the right-closed bin `(k/15, (k+1)/15]` of a probability in 0..=1; 0 lies in the first.
#[must_use]
pub fn bin_of(probability: f64) -> usize {
    (1..15_u32)
        .take_while(|&edge| probability > f64::from(edge) / 15.0)
        .count()
}

/// A number in 0..=1 as a multiple of 2⁻²⁰, ties to even, so that sums are exact and independent of
/// their order.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the clamped product is an integer from 0 to 2^20"
)]
pub fn to_q20(value: f64) -> u64 {
    (value.clamp(0.0, 1.0) * FIXED_POINT).round_ties_even() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as usually written down: a first guess, then steps until the edges agree.
    fn bin_by_steps(probability: f64) -> usize {
        let guess = (probability * 15.0).ceil();
        let mut index = (1..15_u32).find(|&k| f64::from(k) >= guess).unwrap_or(15);
        while index > 1 && probability <= f64::from(index - 1) / 15.0 {
            index -= 1;
        }
        while index < 15 && probability > f64::from(index) / 15.0 {
            index += 1;
        }
        index as usize - 1
    }

    #[test]
    fn edges_belong_to_the_bin_on_their_left() {
        assert_eq!(bin_of(0.0), 0);
        assert_eq!(bin_of(1.0), BINS - 1);
        for edge in 1..15_u32 {
            let value = f64::from(edge) / 15.0;
            assert_eq!(bin_of(value), edge as usize - 1, "{value}");
            assert_eq!(bin_of(value.next_up()), edge as usize, "{value}");
        }
    }

    #[test]
    fn fixed_point_breaks_ties_to_even() {
        assert_eq!(to_q20(0.0), 0);
        assert_eq!(to_q20(1.0), 1 << 20);
        assert_eq!(to_q20(0.5 / FIXED_POINT), 0);
        assert_eq!(to_q20(1.5 / FIXED_POINT), 2);
        assert_eq!(to_q20(2.5 / FIXED_POINT), 2);
    }

    proptest! {
        #[test]
        fn both_forms_of_the_bin_rule_agree(probability in 0.0..=1.0_f64) {
            prop_assert_eq!(bin_of(probability), bin_by_steps(probability));
        }
    }
}
