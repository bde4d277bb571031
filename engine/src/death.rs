//! Death gate: a candidate survives only if ΔL∞ ≥ β (equality survives).
//!
//! This is the ΔL∞ promotion gate with β = `gates.deltaLinfMin`. [`auto_tune`] proposes a β from how the last cycles went:
//!
//! ```text
//! clamp(β + (success − 0.6)·0.05 + (0.025 if budget < 0.3 and riskTolerance < 0.3 else 0), 0.001, 0.1)
//! ```
//!
//! All inputs are unit values; with any issue the strictest β, 0.1, is proposed. Advisory: a proposal is not applied by itself.
//!
//! Source: specification §10.

use serde::{Deserialize, Serialize};

use crate::num::{Checks, Issue, Num, check, clamp};

/// Smallest proposed β.
pub const BETA_MIN: f64 = 0.001;
/// Largest, strictest proposed β.
pub const BETA_MAX: f64 = 0.1;

/// Whether ΔL∞, in [−1, 1], reaches β. False for anything unusable.
#[must_use]
pub fn survives(delta_linf: Num, beta: Num) -> bool {
    match (check(delta_linf, -1.0, 1.0, 0.0), check(beta, 0.0, 1.0, 0.0)) {
        (Ok(delta), Ok(beta)) => delta >= beta,
        _ => false,
    }
}

/// A proposed β.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// β in [0.001, 0.1].
    pub beta: f64,
    /// Refused inputs.
    pub issues: Vec<Issue>,
}

/// Proposes a β from the current one, the success rate, the remaining budget and the risk tolerance.
#[must_use]
pub fn auto_tune(beta: Num, success: Num, budget: Num, risk_tolerance: Num) -> Proposal {
    let mut checks = Checks::new();
    let beta = checks.unit("beta", beta);
    let success = checks.unit("success", success);
    let budget = checks.unit("budget", budget);
    let risk_tolerance = checks.unit("riskTolerance", risk_tolerance);
    let scored = checks.score(BETA_MAX, || {
        let caution = if budget < 0.3 && risk_tolerance < 0.3 {
            0.025
        } else {
            0.0
        };
        clamp(beta + (success - 0.6) * 0.05 + caution, BETA_MIN, BETA_MAX)
    });
    Proposal {
        beta: scored.value,
        issues: scored.issues,
    }
}
