//! Mann-Whitney U test on counted values, with ties.
//!
//! Sources: H. B. Mann, D. R. Whitney, *On a test of whether one of two random variables is stochastically larger than the other*, Ann. Math.
//! Stat. 18 (1947); tie correction and continuity term as in E. L. Lehmann, *Nonparametrics* (1975), § 1.4.

use std::collections::BTreeMap;
use std::f64::consts::SQRT_2;

use serde::{Deserialize, Serialize};

/// Most samples of a side.
pub const MAX_SAMPLES: u64 = 1_000_000_000;

/// Result of the test whether the challenger's values are larger.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MannWhitney {
    /// U of the challenger: pairs in which it has the larger value, ties counted half.
    pub u: f64,
    /// Standardised U with continuity term; 0 when all values are equal.
    pub z: f64,
    /// Common-language effect size, the probability that a challenger's value is the larger one, [0, 1].
    pub cles: f64,
    /// One-sided p-value, for display only.
    pub p_value: f64,
}

impl MannWhitney {
    /// The result that shows nothing.
    pub const NOTHING: Self = Self {
        u: 0.0,
        z: 0.0,
        cles: 0.5,
        p_value: 1.0,
    };
}

/// Tests `(value, count)` pairs of the challenger against those of the champion.
///
/// [`MannWhitney::NOTHING`] when a side is empty or has more than 10⁹ samples.
#[must_use]
pub fn mann_whitney<V: Ord + Copy>(challenger: &[(V, u64)], champion: &[(V, u64)]) -> MannWhitney {
    let mut counts: BTreeMap<V, [u128; 2]> = BTreeMap::new();
    for (side, pairs) in [challenger, champion].into_iter().enumerate() {
        for (value, count) in pairs {
            if let Some(total) = counts.entry(*value).or_default().get_mut(side) {
                *total += u128::from(*count);
            }
        }
    }
    let [n1, n2] = counts.values().fold([0, 0], |[n1, n2], [x, y]| [n1 + x, n2 + y]);
    let admitted = 1..=u128::from(MAX_SAMPLES);
    if !admitted.contains(&n1) || !admitted.contains(&n2) {
        return MannWhitney::NOTHING;
    }
    let mut twice_u = 0;
    let mut below = 0;
    let mut ties = 0;
    for [x, y] in counts.values() {
        twice_u += x * (2 * below + y);
        below += y;
        let t = x + y;
        ties += t * t * t - t;
    }
    standardise(twice_u, n1, n2, ties)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "integers round to the nearest binary64 value by definition"
)]
fn standardise(twice_u: u128, n1: u128, n2: u128, ties: u128) -> MannWhitney {
    let u = twice_u as f64 / 2.0;
    let (n1, n2) = (n1 as f64, n2 as f64);
    let n = n1 + n2;
    let mean = n1 * n2 / 2.0;
    let variance = n1 * n2 / 12.0 * ((n + 1.0) - ties as f64 / (n * (n - 1.0)));
    let z = if variance > 0.0 {
        (u - mean - 0.5) / variance.sqrt()
    } else {
        0.0
    };
    MannWhitney {
        u,
        z,
        cles: u / (n1 * n2),
        p_value: 0.5 * libm::erfc(z / SQRT_2),
    }
}
