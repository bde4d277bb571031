//! Sequential test of error rates: valid at any time and under any number of looks.
//!
//! For s errors in n trials the confidence sequence is the set {p : (n+1)·C(n,s)·p^s·(1−p)^(n−s) > α}: the inverse of Ville's inequality for
//! the likelihood ratio of a uniform mixture against p. Its probability of ever missing the true rate is at most α.
//!
//! Sources: H. Robbins, *Statistical methods related to the law of the iterated logarithm*, Ann. Math. Stat. 41 (1970); T. L. Lai, *On
//! confidence sequences*, Ann. Stat. 4 (1976).

use serde::{Deserialize, Serialize};

use crate::config::{SequentialConfig, SequentialMode};
use crate::gates::GateStatus;
use crate::num::ln_factorial;

/// Most trials that are looked at; beyond them the interval says nothing.
pub const MAX_TRIALS: u64 = 1_000_000_000;
/// Bisection steps: 2⁻⁶⁰ is below the spacing of the result.
const BISECTIONS: u32 = 60;

/// Confidence sequence of a Bernoulli rate after `events` in `trials`, at error probability `alpha` in (0, 1).
///
/// [0, 1], which proves nothing, for no trials, more than 10⁹, more events than trials, or an unusable `alpha`.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "at most 10^9, exact in binary64")]
pub fn confidence_sequence(events: u64, trials: u64, alpha: f64) -> [f64; 2] {
    let counts = (1..=MAX_TRIALS).contains(&trials) && events <= trials;
    let usable = counts && alpha > 0.0 && alpha < 1.0;
    if !usable {
        return [0.0, 1.0];
    }
    let (s, n) = (events as f64, trials as f64);
    let rest = n - s;
    let choose = ln_factorial(trials) - ln_factorial(events) - ln_factorial(trials - events);
    let constant = libm::log(n + 1.0) + choose - libm::log(alpha);
    let inside = |p: f64| {
        let mut g = constant;
        if events > 0 {
            g += s * libm::log(p);
        }
        if events < trials {
            g += rest * libm::log(1.0 - p);
        }
        g > 0.0
    };
    let rate = s / n;
    let lower = if events == 0 { 0.0 } else { bisect(0.0, rate, &inside) };
    let upper = if events == trials {
        1.0
    } else {
        bisect(1.0, rate, &inside)
    };
    [lower, upper]
}

/// Moves `outside` towards `within` up to the border of the set; the result is never inside it.
fn bisect(mut outside: f64, mut within: f64, inside: &impl Fn(f64) -> bool) -> f64 {
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(outside, within);
        if inside(middle) {
            within = middle;
        } else {
            outside = middle;
        }
    }
    outside
}

/// Errors among trials of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCount {
    /// Failed and aborted requests.
    pub errors: u64,
    /// All requests.
    pub samples: u64,
}

/// Result of comparing two error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateComparison {
    /// Confidence sequence of the challenger's rate.
    pub challenger: [f64; 2],
    /// Confidence sequence of the champion's rate.
    pub champion: [f64; 2],
    /// Verdict; null when the test is switched off.
    pub status: Option<GateStatus>,
}

/// Compares the challenger's error rate with the champion's; each side spends half of `alpha`.
///
/// Harm is proven when the challenger's lower end exceeds the champion's upper end by more than the margin; safety when its upper end is
/// at most the champion's lower end plus the margin.
#[must_use]
pub fn compare_error_rates(config: &SequentialConfig, challenger: ErrorCount, champion: ErrorCount) -> RateComparison {
    let side = |count: ErrorCount| confidence_sequence(count.errors, count.samples, config.alpha / 2.0);
    let (challenger, champion) = (side(challenger), side(champion));
    let harm = challenger[0] > champion[1] + config.margin;
    let safe = challenger[1] <= champion[0] + config.margin;
    let status = match config.mode {
        SequentialMode::Off => None,
        _ if harm => Some(GateStatus::Fail),
        SequentialMode::Harm => Some(GateStatus::Pass),
        SequentialMode::NonInferior if safe => Some(GateStatus::Pass),
        SequentialMode::NonInferior => Some(GateStatus::Unknown),
    };
    RateComparison {
        challenger,
        champion,
        status,
    }
}
