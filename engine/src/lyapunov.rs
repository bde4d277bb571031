//! Lyapunov function of a candidate's quality: V = (1 − L∞)², falling exactly when L∞ rises.
//!
//! V is in [0, 1]; a promotion lowers it. Advisory: it is reported, not gated. Bad input gives V = V′ = 1 and neither flag.
//!
//! Source: specification §10; A. M. Lyapunov, *The general problem of the stability of motion* (1892).

use serde::{Deserialize, Serialize};

use crate::num::{Num, unit};

/// V before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lyapunov {
    /// V of the reference.
    pub previous: f64,
    /// V of the candidate.
    pub next: f64,
    /// next − previous.
    pub delta: f64,
    /// next < previous.
    pub decreasing: bool,
    /// next ≤ previous + 1e-12.
    pub stable: bool,
}

/// Compares V of two L∞ values.
#[must_use]
pub fn evaluate(previous: Num, next: Num) -> Lyapunov {
    let (Ok(previous), Ok(next)) = (unit(previous), unit(next)) else {
        return Lyapunov {
            previous: 1.0,
            next: 1.0,
            delta: 0.0,
            decreasing: false,
            stable: false,
        };
    };
    let v = |linf: f64| (1.0 - linf) * (1.0 - linf);
    let (previous, next) = (v(previous), v(next));
    Lyapunov {
        previous,
        next,
        delta: next - previous,
        decreasing: next < previous,
        stable: next <= previous + 1e-12,
    }
}
