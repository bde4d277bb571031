//! Growth of L∞ by at least the factor 1 + β.
//!
//! ```text
//! required = previous·(1 + β)     rate = (next − previous)/previous, at most 1e6     ok = next ≥ required
//! ```
//!
//! Advisory. Without a positive previous value, or with anything unusable: rate 0, required 1, not ok.
//!
//! Source: specification §10.

use serde::{Deserialize, Serialize};

use crate::num::{Num, unit};

/// Largest reported rate.
const MAX_RATE: f64 = 1e6;

/// Growth from one L∞ value to the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Relative change, [−1, 1e6].
    pub rate: f64,
    /// Value that had to be reached.
    pub required: f64,
    /// Whether it was reached.
    pub ok: bool,
}

/// Evaluates growth between two L∞ values for a unit β.
#[must_use]
pub fn evaluate(previous: Num, next: Num, beta: Num) -> Growth {
    match (unit(previous), unit(next), unit(beta)) {
        (Ok(previous), Ok(next), Ok(beta)) if previous > 0.0 => {
            let required = previous * (1.0 + beta);
            Growth {
                rate: f64::min(MAX_RATE, (next - previous) / previous),
                required,
                ok: next >= required,
            }
        }
        _ => Growth {
            rate: 0.0,
            required: 1.0,
            ok: false,
        },
    }
}
