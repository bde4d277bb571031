//! Does the data plane really serve the written weight?
//!
//! A route condition says that a controller has accepted a weight, not that requests follow it. The
//! proof is the share that was measured: with each request sent independently to the challenger with
//! probability `w / 100`, the number of challenger requests among `n` is binomial. The verdict is
//! the exact two-sided test of that hypothesis with equal tails, at error [`ERROR`]. The accepted counts are
//! those for which the Clopper-Pearson interval (C. J. Clopper, E. S. Pearson, "The use of confidence
//! or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934) contains the
//! written weight; testing the count is the same decision without inverting a beta distribution.
//!
//! The tails are summed term by term, from the ratio of neighbouring binomial probabilities. This
//! needs only `+ * /`, so that every machine reaches the same verdict, and it stays exact where an
//! incomplete beta function built on `ln_gamma` loses digits: at `n = 10^9` one well-known crate is
//! off by 3e-5, another answers zero.

use std::fmt;
use std::ops::RangeInclusive;

use penin_api::values::Percent;

/// Probability that a data plane which serves the written weight is called wrong, both tails together.
pub const ERROR: f64 = 1e-6;

/// Least number of requests when a cycle names none.
pub const DEFAULT_MINIMUM: u64 = 1_000;

/// Most requests one measurement may hold: bounds the work of [`assess`] (some 10 ms) and keeps every
/// product below 2^53, so that it is exact in `f64`.
pub const MAX_REQUESTS: u64 = 100_000_000_000;

/// Terms below this fraction of the largest one add nothing to a tail of [`ERROR`] / 2: at most
/// 10^7 of them are left out.
const NEGLIGIBLE: f64 = 1e-25;

/// Requests counted over one window, after the settle time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareCounts {
    challenger: u64,
    total: u64,
}

/// Counts that no window can have produced: the evidence is unreadable, not outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareCountsError {
    /// More challenger requests than requests.
    #[error(
        "{challenger} requests at the challenger are more than the {total} of the window: the two counts are not of the same window"
    )]
    PartAboveWhole {
        /// Requests at the challenger.
        challenger: u64,
        /// Requests in all.
        total: u64,
    },
    /// More requests than [`MAX_REQUESTS`].
    #[error("{total} requests in one window are above the limit of {MAX_REQUESTS}: shorten the window")]
    TooMany {
        /// Requests in all.
        total: u64,
    },
}

impl ShareCounts {
    /// `challenger` of `total` requests went to the challenger.
    ///
    /// # Errors
    /// When `challenger > total`, or `total` is above [`MAX_REQUESTS`].
    pub const fn new(challenger: u64, total: u64) -> Result<Self, ShareCountsError> {
        if challenger > total {
            return Err(ShareCountsError::PartAboveWhole { challenger, total });
        }
        if total > MAX_REQUESTS {
            return Err(ShareCountsError::TooMany { total });
        }
        Ok(Self { challenger, total })
    }
}

/// What was counted and which counts agree with the written weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// Requests at the challenger.
    pub challenger: u64,
    /// Requests in all.
    pub total: u64,
    /// Fewest challenger requests that agree with the written weight.
    pub low: u64,
    /// Most challenger requests that agree with the written weight.
    pub high: u64,
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} requests went to the challenger, {} to {} were expected",
            self.challenger, self.total, self.low, self.high
        )
    }
}

/// Verdict on the measured share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareVerdict {
    /// The count agrees with the written weight, and differs from no traffic at all.
    Inside(Measurement),
    /// The count does not agree with the written weight.
    Outside(Measurement),
    /// Too few requests to say. Not evidence.
    Thin {
        /// Requests counted.
        have: u64,
        /// Requests needed.
        need: u64,
    },
}

/// Tests the counts against the written weight.
///
/// `minimum` is the least number of requests. It is raised to the number from which a share of zero
/// would be noticed (1,444 at weight 1): a count that also agrees with an unchanged route proves nothing.
#[must_use]
pub fn assess(weight: Percent, counts: ShareCounts, minimum: u64) -> ShareVerdict {
    let ShareCounts { challenger, total } = counts;
    // At least one: no requests at all are not evidence, whatever the settings say.
    let need = minimum.max(least_total(weight)).max(1);
    if total < need {
        return ShareVerdict::Thin { have: total, need };
    }
    let accepted = accepted_counts(weight, total);
    let measurement = Measurement {
        challenger,
        total,
        low: *accepted.start(),
        high: *accepted.end(),
    };
    if accepted.contains(&challenger) {
        ShareVerdict::Inside(measurement)
    } else {
        ShareVerdict::Outside(measurement)
    }
}

/// The counts that agree with copies of `share` per cent of `total` requests, or why `total` requests cannot say.
///
/// Copies and requests are counted by one proxy in one scrape, but not in one moment: a fiftieth and 20 more
/// or less say nothing. `edge` is the time between two scrapes, in thousandths of the window: copies that were sent that
/// long before it opened may have been counted, because their counters are made with the first of them; and as many may
/// be missing, up to a tenth of all, when those counters were first read one scrape after the others.
///
/// # Errors
/// How many requests are needed.
pub fn agreeing_copies(share: Percent, total: u64, edge: u64) -> Result<RangeInclusive<u64>, u64> {
    let need = least_total(share).max(DEFAULT_MINIMUM);
    if total < need || total > MAX_REQUESTS {
        return Err(need);
    }
    let exact = accepted_counts(share, total);
    let expected = total * u64::from(share.get()) / 100;
    let slack = expected / 50 + UNDER_WAY;
    let of_window = |thousandths: u64| expected.saturating_mul(thousandths) / 1_000;
    let low = exact.start().saturating_sub(slack + of_window(edge.min(MOST_MISSING)));
    Ok(low..=exact.end().saturating_add(slack).saturating_add(of_window(edge)))
}

/// Most copies that may be missing at the beginning of a window, in thousandths.
const MOST_MISSING: u64 = 100;

/// Requests that may be under way at the two ends of a window, beside a fiftieth of all.
const UNDER_WAY: u64 = 20;

/// Fewest requests of which, at this weight, none at the challenger is as unlikely as [`ERROR`] / 2.
/// Zero for weight 0, which needs no telling apart.
fn least_total(weight: Percent) -> u64 {
    if weight == Percent::ZERO {
        return 0;
    }
    let miss = f64::from(100 - weight.get()) / 100.0;
    let mut none = 1.0;
    let mut total = 0;
    while none > ERROR / 2.0 {
        none *= miss;
        total += 1;
    }
    total
}

/// The counts `k` with `P(X <= k)` and `P(X >= k)` both above [`ERROR`] / 2, for X binomial.
fn accepted_counts(weight: Percent, total: u64) -> RangeInclusive<u64> {
    let percent = u64::from(weight.get());
    if percent == 0 {
        return 0..=0;
    }
    if percent == 100 {
        return total..=total;
    }
    // Counting the misses turns the upper tail into a lower one: both sides share one code.
    let hits = Tail { total, percent };
    let misses = Tail {
        total,
        percent: 100 - percent,
    };
    let mode = (total.saturating_add(1).saturating_mul(percent) / 100).min(total);
    let (below, above) = (hits.descend(mode), misses.descend(total - mode));
    let tail_limit = ERROR / 2.0 * (below.mass + 1.0 + above.mass);
    let low = hits.first_above(&below, mode, tail_limit);
    let high = total - misses.first_above(&above, total - mode, tail_limit);
    low..=high
}

/// The lower side of a binomial distribution, in units of the probability at the starting count.
struct Tail {
    total: u64,
    percent: u64,
}

/// What [`Tail::descend`] found.
struct Descent {
    /// Sum of the terms below the starting count.
    mass: f64,
    /// Lowest count whose term is not negligible, and its term.
    bottom: u64,
    bottom_term: f64,
}

impl Tail {
    /// P(X = count - 1) / P(X = count), for `count` in 1..=total.
    fn ratio(&self, count: u64) -> f64 {
        exact(count * (100 - self.percent)) / exact((self.total - count + 1) * self.percent)
    }

    /// Sums the terms below `start` (the mode, so that every term is at most 1) until they are negligible.
    fn descend(&self, start: u64) -> Descent {
        let mut found = Descent {
            mass: 0.0,
            bottom: start,
            bottom_term: 1.0,
        };
        while found.bottom > 0 {
            let term = found.bottom_term * self.ratio(found.bottom);
            if term < NEGLIGIBLE {
                break;
            }
            found.mass += term;
            found.bottom -= 1;
            found.bottom_term = term;
        }
        found
    }

    /// Lowest count whose lower tail is above `limit`; the smallest terms are added first. `start` at most.
    fn first_above(&self, descent: &Descent, start: u64, limit: f64) -> u64 {
        let (mut count, mut term) = (descent.bottom, descent.bottom_term);
        let mut tail = term;
        while tail <= limit && count < start {
            count += 1;
            term /= self.ratio(count);
            tail += term;
        }
        count
    }
}

/// Products of a count and a percentage, at most 10^13: below 2^53, so nothing is rounded.
#[expect(clippy::cast_precision_loss, reason = "MAX_REQUESTS keeps every value below 2^53")]
fn exact(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests;
