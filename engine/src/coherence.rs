//! Global coherence G: are all eight modules of the system in order at once?
//!
//! ```text
//! G = clamp(1 / Σ(w/s), 0, 1)     over ethics, contractivity, league, caos, sr, meta, tuning, router; 0 if any s ≤ 0
//! ```
//!
//! Scores s are unit values, weights 1/8 each by default. `bottleneck` names the lowest module, the first in the order above on ties.
//! With any issue G is 0 and there is no bottleneck.
//!
//! Source: specification §8.

use serde::{Deserialize, Serialize};

use crate::config::CoherenceWeights;
use crate::num::{Checks, Issue, Num, clamp};

/// The eight modules as evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modules {
    /// Required ethics inputs present and valid.
    pub ethics: Num,
    /// Required contractivity inputs present and valid.
    pub contractivity: Num,
    /// Required league inputs present and valid.
    pub league: Num,
    /// Required CAOS⁺ inputs present and valid.
    pub caos: Num,
    /// Required SR-Ω∞ inputs present and valid.
    pub sr: Num,
    /// Recent cycles completed.
    pub meta: Num,
    /// Tuned values inside bounds.
    pub tuning: Num,
    /// Routes and providers verified.
    pub router: Num,
}

/// G with its weakest module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// G in [0, 1]; 0 with any issue.
    pub value: f64,
    /// Lowest module.
    pub bottleneck: Option<&'static str>,
    /// Refused modules.
    pub issues: Vec<Issue>,
}

/// G of the modules.
#[must_use]
pub fn score(modules: &Modules, weights: &CoherenceWeights) -> Score {
    let mut checks = Checks::new();
    let scores = [
        ("ethics", modules.ethics, weights.ethics),
        ("contractivity", modules.contractivity, weights.contractivity),
        ("league", modules.league, weights.league),
        ("caos", modules.caos, weights.caos),
        ("sr", modules.sr, weights.sr),
        ("meta", modules.meta, weights.meta),
        ("tuning", modules.tuning, weights.tuning),
        ("router", modules.router, weights.router),
    ]
    .map(|(name, score, weight)| (name, checks.unit(name, score), weight));
    if !checks.is_ok() {
        return Score {
            value: 0.0,
            bottleneck: None,
            issues: checks.into_issues(),
        };
    }
    let mut lowest = (None, f64::INFINITY);
    let mut sum = 0.0;
    for (name, score, weight) in scores {
        if score < lowest.1 {
            lowest = (Some(name), score);
        }
        sum += weight / score;
    }
    let value = if lowest.1 <= 0.0 {
        0.0
    } else {
        clamp(1.0 / sum, 0.0, 1.0)
    };
    Score {
        value,
        bottleneck: lowest.0,
        issues: Vec::new(),
    }
}
