//! Right-closed calibration bins (k/B, (k+1)/B]; 0 belongs to the first.

/// Fewest calibration bins.
pub const MIN_BINS: usize = 2;
/// Most calibration bins.
pub const MAX_BINS: usize = 1000;
/// Micro-bins of the adaptive error; a power of two, so that their edges are exact in binary64.
pub(super) const MICRO_BINS: usize = 4096;

/// Fixed-point scale of a probability, 2⁵³: every multiple of 2⁻⁵³ in [0, 1] is exact.
pub(super) const SCALE: f64 = 9_007_199_254_740_992.0;
/// Half of [`SCALE`]; from here on a scaled probability has no fraction.
const HALF_SCALE: f64 = 4_503_599_627_370_496.0;

/// Index of the right-closed bin of `p` among `bins` equal bins: bin k holds (k/bins, (k+1)/bins], and 0 is in bin 0.
///
/// `p` outside [0, 1] and NaN go to the nearest end; fewer than one bin counts as one.
#[must_use]
pub fn bin_index(p: f64, bins: usize) -> usize {
    let bins = bins.clamp(1, MICRO_BINS);
    let edge = |i: usize| as_f64(i) / as_f64(bins);
    let mut i = ceiling(p * as_f64(bins)).clamp(1, bins);
    while i > 1 && p <= edge(i - 1) {
        i -= 1;
    }
    while i < bins && p > edge(i) {
        i += 1;
    }
    i - 1
}

/// ⌈x⌉; anything below 0 and NaN count as 0.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the caller limits the result"
)]
fn ceiling(x: f64) -> usize {
    x.ceil() as usize
}

/// Edges of the bins, so that the hot loop compares instead of dividing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edges {
    bins: f64,
    last: usize,
    /// Element i is i/bins.
    upper: Box<[f64]>,
}

impl Edges {
    pub(super) fn new(bins: usize) -> Self {
        Self {
            bins: as_f64(bins),
            last: bins,
            upper: (0..=bins).map(|i| as_f64(i) / as_f64(bins)).collect(),
        }
    }

    /// Same as [`bin_index`] for p in [0, 1].
    ///
    /// The nearest integer to p·B is the edge next to p, also after rounding; on which side of it p lies decides.
    #[inline]
    pub(super) fn index(&self, p: f64) -> usize {
        let nearest = nearest_integer(p * self.bins).min(self.last);
        let edge = self.upper.get(nearest).copied().unwrap_or(1.0);
        (nearest + usize::from(p > edge)).max(1) - 1
    }

    /// Smallest quantised probability of each bin: what the hot loop subtracts to keep its sums small.
    pub(super) fn floors(&self) -> Vec<u64> {
        self.upper.iter().take(self.last).map(|p| quantize(*p)).collect()
    }
}

/// Micro-bin of p in [0, 1]; exact, because scaling by a power of two is.
#[inline]
pub(super) fn micro_index(p: f64) -> usize {
    let scaled = p * 4096.0;
    let rounded = (scaled + HALF_SCALE) - HALF_SCALE;
    (nearest_integer(scaled) + usize::from(scaled > rounded)).max(1) - 1
}

/// p·2⁵³ rounded half to even, for p in [0, 1].
#[inline]
pub(super) fn quantize(p: f64) -> u64 {
    let scaled = p * SCALE;
    // Below 2^52 adding 2^52 rounds half to even; above there is no fraction. Either way the bits then count up from those of 2^52.
    let large = scaled >= HALF_SCALE;
    let shifted = scaled + if large { 0.0 } else { HALF_SCALE };
    shifted
        .to_bits()
        .wrapping_sub(HALF_SCALE.to_bits())
        .wrapping_add(u64::from(large) << 52)
}

/// (q − label·2⁵³)² / 2⁵³ rounded half to even: the squared error at scale 2⁵³.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the result is at most 2^53")]
pub(super) fn squared_error(q: u64, label: bool) -> u64 {
    const HALF: u128 = 1 << 52;
    let distance = q.abs_diff(u64::from(label) << 53);
    let square = u128::from(distance) * u128::from(distance);
    ((square + (HALF - 1) + ((square >> 53) & 1)) >> 53) as u64
}

/// The integer nearest to x in [0, 2⁵²), ties to even, read from the mantissa of x + 2⁵²; conversions by `as` saturate, which costs
/// more.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the result is far below 2^32 for every caller"
)]
fn nearest_integer(x: f64) -> usize {
    (x + HALF_SCALE).to_bits().wrapping_sub(HALF_SCALE.to_bits()) as usize
}

#[allow(clippy::cast_precision_loss, reason = "bin counts are far below 2^53")]
fn as_f64(i: usize) -> f64 {
    i as f64
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests count small numbers"
)]
mod tests {
    use proptest::prelude::*;

    use proptest::test_runner::RngSeed;

    use super::*;

    /// The same cases in every run, unless `PROPTEST_RNG_SEED` says otherwise.
    fn effort() -> ProptestConfig {
        let mut config = ProptestConfig::default();
        if config.rng_seed == RngSeed::Random {
            config.rng_seed = RngSeed::Fixed(0x0070_656e_696e);
        }
        config
    }

    proptest! {
        #![proptest_config(effort())]

        #[test]
        fn fast_bins_equal_the_rule(p in 0.0..=1.0_f64, bins in 2_usize..=1000) {
            prop_assert_eq!(Edges::new(bins).index(p), bin_index(p, bins));
            prop_assert_eq!(micro_index(p), bin_index(p, MICRO_BINS));
        }

        #[test]
        fn fast_bins_equal_the_rule_around_edges(k in 0_u32..=1000, bins in 2_u32..=1000, ulps in -3_i64..=3) {
            let edge = f64::from(k.min(bins)) / f64::from(bins);
            let p = f64::from_bits(edge.to_bits().wrapping_add_signed(ulps));
            if !(0.0..=1.0).contains(&p) {
                return Ok(());
            }
            let index = bin_index(p, bins as usize);
            prop_assert_eq!(Edges::new(bins as usize).index(p), index);
            prop_assert!(index == 0 || p > f64::from(index as u32) / f64::from(bins));
            prop_assert!(p <= f64::from(index as u32 + 1) / f64::from(bins));
        }

        #[test]
        fn quantization_rounds_half_to_even(p in 0.0..=1.0_f64) {
            prop_assert_eq!(quantize(p), (p * SCALE).round_ties_even() as u64);
        }

        #[test]
        fn squared_error_rounds_half_to_even(q in 0_u64..=1 << 53, label: bool) {
            let d = u128::from(q.abs_diff(u64::from(label) << 53));
            let (whole, rest) = ((d * d) >> 53, (d * d) & ((1 << 53) - 1));
            let up = rest > 1 << 52 || (rest == 1 << 52 && whole & 1 == 1);
            prop_assert_eq!(u128::from(squared_error(q, label)), whole + u128::from(up));
        }
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        let half = 0.5 / SCALE;
        assert_eq!(quantize(half), 0);
        assert_eq!(quantize(3.0 * half), 2);
        assert_eq!(quantize(1.0), 1 << 53);
        assert_eq!(quantize(0.0), 0);
        assert_eq!(quantize(f64::MIN_POSITIVE), 0);
    }

    #[test]
    fn any_number_has_a_bin() {
        for p in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 2.0] {
            assert!(bin_index(p, 15) < 15, "{p}");
            assert_eq!(bin_index(p, 0), 0);
        }
    }
}
