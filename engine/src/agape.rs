//! Agápe index: virtues in harmony, plus a share for the cost that was borne.
//!
//! ```text
//! (1 − a)·HM + a·clamp(cost, 0, 1)      HM = n / Σ(1/max(1e-3, v)), 0 without virtues; a = agape.sacrificeWeight
//! ```
//!
//! Virtues v are unit values, cost ≥ 0; the index is in [0, 1] and 0 with any issue. More borne cost raises it. The usual virtues are
//! patience, kindness, truth, humility, justice, mercy, forgiveness, impartiality, hope and perseverance. Its gate is off by default.
//!
//! Source: specification §8.

use crate::num::{Checks, Num, Scored, clamp};

/// Smallest virtue that enters the mean.
const VIRTUE_FLOOR: f64 = 1e-3;

/// Agápe index of named virtues, in their order.
#[must_use]
pub fn index<'a>(virtues: impl IntoIterator<Item = (&'a str, Num)>, cost: Num, sacrifice_weight: f64) -> Scored {
    let mut checks = Checks::new();
    let mut count = 0.0;
    let mut inverse = 0.0;
    for (name, value) in virtues {
        // Names are copied only when something is wrong with the value.
        match crate::num::unit(value) {
            Ok(v) => inverse += 1.0 / f64::max(VIRTUE_FLOOR, v),
            Err(code) => checks.refuse(name.to_owned(), code),
        }
        count += 1.0;
    }
    let cost = checks.nonneg("cost", cost);
    checks.score(0.0, || {
        let harmonic = if count == 0.0 { 0.0 } else { count / inverse };
        (1.0 - sacrifice_weight) * harmonic + sacrifice_weight * clamp(cost, 0.0, 1.0)
    })
}
