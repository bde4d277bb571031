//! CAOS⁺: how much a candidate's consistent self-improvement is worth where little is known and little noise is heard.
//!
//! Components, all in [0, 1]: c consistency, a auto-evolution, o unknown, s silence. κ in [1, 100] amplifies.
//!
//! ```text
//! exponential   (1 + (κ·c)·a) ^ (o·s)                                  ≥ 1; times the boost this is CAOS⁺, the gated value
//! phi           tanh((γ·(o^f·s^f)) · ln(1 + (κ·c)·a))                  [0, 1); exploratory, never gated
//! harmony       (c + a) / (o + s)                                      denominator 1 when o + s ≤ 1e-9
//! pattern       1 / (1 + √variance of the ratios a/c, o/a, s/o)        (0, 1], 0 without a ratio
//! ```
//!
//! A [`Tracker`] follows the pattern over cycles; only a pattern that was stable before this cycle and still is may boost CAOS⁺, by at
//! most 5 %. With any bad input the exponential form is 0, so a gate at 1 or above cannot pass.
//!
//! Source: specification §5. The exponentially weighted variance is that of T. Finch, *Incremental calculation of weighted mean and
//! variance* (University of Cambridge, 2009).

use serde::{Deserialize, Serialize};

use crate::config::CaosConfig;
use crate::num::{Checks, Issue, Num, Scored, clamp, unit};
use crate::rng::Stream;

/// A denominator or predecessor at or below this counts as zero.
const NEGLIGIBLE: f64 = 1e-9;

/// The four components as evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Components {
    /// Consistency.
    pub c: Num,
    /// Auto-evolution.
    pub a: Num,
    /// Unknown.
    pub o: Num,
    /// Silence.
    pub s: Num,
}

impl Components {
    fn check(&self, checks: &mut Checks) -> [f64; 4] {
        [
            checks.unit("c", self.c),
            checks.unit("a", self.a),
            checks.unit("o", self.o),
            checks.unit("s", self.s),
        ]
    }

    /// Every usable component multiplied by `factor` and limited to [0, 1]; unusable ones stay as they are.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let scale = |x: Num| unit(x).map_or(x, |value| Num::new(clamp(value * factor, 0.0, 1.0)));
        Self {
            c: scale(self.c),
            a: scale(self.a),
            o: scale(self.o),
            s: scale(self.s),
        }
    }
}

/// Exponential CAOS⁺ before the boost: ≥ 1, or 0 with issues. κ is in [1, 100].
#[must_use]
pub fn exponential(components: &Components, kappa: Num) -> Scored {
    let mut checks = Checks::new();
    let [c, a, o, s] = components.check(&mut checks);
    let kappa = checks.within("kappa", kappa, 1.0, 100.0);
    checks.score(0.0, || libm::pow(1.0 + (kappa * c) * a, o * s))
}

/// Exploratory score, in [0, 1). It has no conversion into a gate value on purpose: it saturates and must never promote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exploratory {
    value: f64,
    issues: Vec<Issue>,
}

impl Exploratory {
    /// The score; 0 with issues. For display and for the advisory life equation.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// Refused inputs.
    #[must_use]
    pub fn issues(&self) -> &[Issue] {
        &self.issues
    }
}

/// Saturating form of CAOS⁺ for exploration. κ in [1, 100], γ in [0.1, 2], focus f in [1, 4].
#[must_use]
pub fn phi(components: &Components, kappa: Num, gamma: Num, focus: Num) -> Exploratory {
    let mut checks = Checks::new();
    let [c, a, o, s] = components.check(&mut checks);
    let kappa = checks.within("kappa", kappa, 1.0, 100.0);
    let gamma = checks.within("gamma", gamma, 0.1, 2.0);
    let focus = checks.within("focus", focus, 1.0, 4.0);
    let scored = checks.score(0.0, || {
        libm::tanh((gamma * (libm::pow(o, focus) * libm::pow(s, focus))) * libm::log(1.0 + (kappa * c) * a))
    });
    Exploratory {
        value: scored.value,
        issues: scored.issues,
    }
}

/// Balance of action against the unknown, ≥ 0; 0 with issues.
#[must_use]
pub fn harmony(components: &Components) -> Scored {
    let mut checks = Checks::new();
    let [c, a, o, s] = components.check(&mut checks);
    let denominator = o + s;
    checks.score(0.0, || {
        (c + a) / if denominator <= NEGLIGIBLE { 1.0 } else { denominator }
    })
}

/// How evenly each component follows from the one before, in [0, 1]; 0 with issues or without a ratio.
#[must_use]
pub fn pattern_strength(components: &Components) -> Scored {
    let mut checks = Checks::new();
    let [c, a, o, s] = components.check(&mut checks);
    checks.score(0.0, || {
        let ratios = || {
            [(c, a), (a, o), (o, s)]
                .into_iter()
                .filter(|(previous, _)| *previous > NEGLIGIBLE)
                .map(|(previous, next)| next / previous)
        };
        let count = ratios().fold(0.0, |count, _| count + 1.0);
        if count == 0.0 {
            return 0.0;
        }
        let mean = ratios().fold(0.0, |sum, ratio| sum + ratio) / count;
        let variance = ratios().fold(0.0, |sum, ratio| sum + (ratio - mean) * (ratio - mean)) / count;
        1.0 / (1.0 + variance.sqrt())
    })
}

/// Consistency c from pass@k, expected calibration error and an external check, all unit.
#[must_use]
pub fn consistency(pass_at_k: Num, ece: Num, external: Num) -> Scored {
    let mut checks = Checks::new();
    let pass_at_k = checks.unit("passAtK", pass_at_k);
    let ece = checks.unit("ece", ece);
    let external = checks.unit("external", external);
    checks.score(0.0, || {
        clamp(0.4 * pass_at_k + 0.3 * (1.0 - ece) + 0.3 * external, 0.0, 1.0)
    })
}

/// Auto-evolution a: gain per cost, saturating at ten. ΔL∞ in [−1, 1], cost ≥ 0.
#[must_use]
pub fn auto_evolution(delta_linf: Num, cost: Num) -> Scored {
    let mut checks = Checks::new();
    let delta_linf = checks.within("deltaLinf", delta_linf, -1.0, 1.0);
    let cost = checks.nonneg("cost", cost);
    checks.score(0.0, || {
        clamp(
            f64::min(f64::max(0.0, delta_linf) / (cost + 1e-9), 10.0) / 10.0,
            0.0,
            1.0,
        )
    })
}

/// Unknown o from epistemic uncertainty, distance from the training distribution and disagreement, all unit.
#[must_use]
pub fn unknown(epistemic: Num, out_of_distribution: Num, disagreement: Num) -> Scored {
    let mut checks = Checks::new();
    let epistemic = checks.unit("epistemic", epistemic);
    let out_of_distribution = checks.unit("outOfDistribution", out_of_distribution);
    let disagreement = checks.unit("disagreement", disagreement);
    checks.score(0.0, || {
        clamp(
            0.4 * epistemic + 0.3 * out_of_distribution + 0.3 * disagreement,
            0.0,
            1.0,
        )
    })
}

/// Silence s from noise, redundancy and entropy, all unit.
#[must_use]
pub fn silence(noise: Num, redundancy: Num, entropy: Num) -> Scored {
    let mut checks = Checks::new();
    let noise = checks.unit("noise", noise);
    let redundancy = checks.unit("redundancy", redundancy);
    let entropy = checks.unit("entropy", entropy);
    checks.score(0.0, || {
        clamp(
            0.5 * (1.0 - noise) + 0.25 * (1.0 - redundancy) + 0.25 * (1.0 - entropy),
            0.0,
            1.0,
        )
    })
}

/// Exponentially weighted mean and variance of one unit value per cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracker {
    /// Samples since the tracker was empty.
    #[serde(with = "crate::num::decimal")]
    pub samples: u64,
    /// Weighted mean, [0, 1].
    pub mean: f64,
    /// Weighted variance, ≥ 0.
    pub variance: f64,
}

impl Tracker {
    /// The tracker after one more value; a value that is not a valid unit value empties it.
    #[must_use]
    pub fn updated(&self, value: Num, config: &CaosConfig) -> Self {
        let Ok(x) = unit(value) else {
            return Self::default();
        };
        if self.samples == 0 {
            return Self {
                samples: 1,
                mean: x,
                variance: 0.0,
            };
        }
        let alpha = config.ewma_alpha;
        let d = x - self.mean;
        Self {
            samples: self.samples.saturating_add(1),
            mean: self.mean + alpha * d,
            variance: (1.0 - alpha) * (self.variance + (alpha * d) * d),
        }
    }

    /// Whether enough samples have a small enough variance.
    #[must_use]
    pub fn is_stable(&self, config: &CaosConfig) -> bool {
        self.samples >= config.min_stability_cycles && self.variance < config.stability_variance
    }
}

/// Factor on CAOS⁺ in [1, 1.05].
///
/// 1 unless Fibonacci features are `enabled` and the tracker was stable both before and after this cycle's sample;
/// then 1 + min(maxBoost, 0.1·p) for the pattern strength p of this cycle.
#[must_use]
pub fn boost(
    enabled: bool,
    stable_before: bool,
    stable_after: bool,
    pattern_strength: f64,
    config: &CaosConfig,
) -> f64 {
    if enabled && stable_before && stable_after {
        1.0 + f64::min(config.max_boost, 0.1 * pattern_strength)
    } else {
        1.0
    }
}

/// Draws whether this cycle is perturbed, and by which factor in [0.9, 1.1). No draw when `probability` is 0.
pub fn chaos_factor(stream: &mut Stream, probability: f64) -> Option<f64> {
    if probability > 0.0 && stream.bernoulli(probability) {
        Some(stream.uniform(0.9, 1.1))
    } else {
        None
    }
}
