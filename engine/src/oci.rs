//! OCI, the operational closure index: does the operator's own loop of memory, flow, policy and feedback close?
//!
//! ```text
//! OCI = clamp(1 / Σ(0.25 / max(1e-6, x)), 0, 1)     over memory, flow, policy, feedback, each in [0, 1]
//! ```
//!
//! The embedding operator fills the parts as "satisfied / declared checks in this window" ([`from_checks`]): memory = required records
//! read back with a matching hash; flow = requests that reached an intended backend; policy = configured policy sources that answered;
//! feedback = required metric sources that are fresh. A healthy installation reports 1 everywhere. One part below 0.6923 with the rest
//! at 1 fails the gate at 0.90. With any issue OCI is 0.
//!
//! Source: specification §8.

use serde::{Deserialize, Serialize};

use crate::num::{Checks, Num, Scored, weighted_harmonic};

/// The four parts as evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parts {
    /// Records that read back unchanged.
    pub memory: Num,
    /// Requests that reached an intended backend.
    pub flow: Num,
    /// Policy sources that answered.
    pub policy: Num,
    /// Metric sources that are fresh.
    pub feedback: Num,
}

/// OCI of the parts.
#[must_use]
pub fn score(parts: &Parts) -> Scored {
    let mut checks = Checks::new();
    let memory = checks.unit("memory", parts.memory);
    let flow = checks.unit("flow", parts.flow);
    let policy = checks.unit("policy", parts.policy);
    let feedback = checks.unit("feedback", parts.feedback);
    checks.score(0.0, || {
        weighted_harmonic([memory, flow, policy, feedback].map(|x| (0.25, x)))
    })
}

/// Share of satisfied checks; missing when none was declared or more were satisfied than declared.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "the nearest binary64 value of a count is intended"
)]
pub fn from_checks(ok: u64, total: u64) -> Num {
    if total == 0 || ok > total {
        Num::MISSING
    } else {
        Num::new(ok as f64 / total as f64)
    }
}
