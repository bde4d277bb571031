//! What the sources measured about one revision, as counts.

use std::collections::BTreeMap;

use penin_engine::num::{decimal, optional_decimal};
use serde::{Deserialize, Serialize};

use super::{BucketRecord, Reading, Unknown, UnknownReason, exact};

/// Requests of one revision over the traffic window.
///
/// A request that broke off is counted by the proxy without saying whether an error had been answered before, so the
/// number of aborts is known between two bounds. Each side is judged by the bound that speaks against the challenger:
/// the upper one for it, the lower one for its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficCounts {
    /// Requests that were answered, by the revision or for it.
    #[serde(with = "decimal")]
    pub requests: u64,
    /// Requests that were sent to the revision, answered or not, retries included.
    #[serde(with = "decimal")]
    pub sent: u64,
    /// Requests answered with a status of 500 to 599.
    #[serde(with = "decimal")]
    pub failures: u64,
    /// Fewest requests that broke off without such an answer.
    #[serde(with = "decimal")]
    pub aborts_at_least: u64,
    /// Most requests that broke off without such an answer.
    #[serde(with = "decimal")]
    pub aborts_at_most: u64,
    /// Latencies.
    pub latency: Reading<Latency>,
}

/// Requests by outcome, as the league reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// Answered without a failure.
    pub successes: u64,
    /// Answered with a failure.
    pub failures: u64,
    /// Broken off.
    pub aborts: u64,
}

impl Outcomes {
    /// All requests.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.successes.saturating_add(self.failures).saturating_add(self.aborts)
    }

    /// Share of requests that failed or broke off.
    ///
    /// # Errors
    /// [`UnknownReason::Undefined`] without requests.
    pub fn error_ratio(self) -> Result<f64, Unknown> {
        exact::share(self.failures.saturating_add(self.aborts), self.total(), "error ratio")
    }

    /// Share of requests that succeeded.
    ///
    /// # Errors
    /// [`UnknownReason::Undefined`] without requests.
    pub fn success_ratio(self) -> Result<f64, Unknown> {
        exact::share(self.successes, self.total(), "success ratio")
    }
}

impl TrafficCounts {
    /// Outcomes with as many aborts as there can have been: for the challenger.
    #[must_use]
    pub const fn against(&self) -> Outcomes {
        self.outcomes(self.aborts_at_most)
    }

    /// Outcomes with as few aborts as there must have been: for the reference.
    #[must_use]
    pub const fn in_favour(&self) -> Outcomes {
        self.outcomes(self.aborts_at_least)
    }

    /// Each abort is taken from the successes: a truncated answer was counted as one.
    const fn outcomes(&self, aborts: u64) -> Outcomes {
        let successes = self.requests.saturating_sub(self.failures).saturating_sub(aborts);
        Outcomes {
            successes,
            failures: self.failures,
            aborts,
        }
    }
}

/// Latencies as increases of buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// Buckets of milliseconds by rising upper bound, without empty ones. Every bound is finite.
    pub buckets: Vec<BucketRecord>,
    /// Observations above the last bound.
    #[serde(with = "decimal")]
    pub unbounded: u64,
}

impl Latency {
    /// Joins the buckets of several series, in milliseconds. Buckets of different resolution may overlap: each
    /// observation is only known to be at most its bucket's upper bound, and so is every quantile.
    ///
    /// # Errors
    /// [`UnknownReason::NotAnInteger`] when a sum leaves 64 bits.
    pub fn of(buckets: impl IntoIterator<Item = (f64, u64)>) -> Result<Self, Unknown> {
        let mut all: Vec<(f64, u64)> = buckets.into_iter().filter(|bucket| bucket.1 > 0).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut latency = Self {
            buckets: Vec::new(),
            unbounded: 0,
        };
        for (upper, count) in all {
            match latency.buckets.last_mut() {
                _ if !upper.is_finite() => latency.unbounded = exact::sum([latency.unbounded, count])?,
                Some(last) if last.upper.total_cmp(&upper).is_eq() => last.count = exact::sum([last.count, count])?,
                _ => latency.buckets.push(BucketRecord { upper, count }),
            }
        }
        Ok(latency)
    }

    /// Number of observations.
    ///
    /// # Errors
    /// [`UnknownReason::NotAnInteger`] when the sum leaves 64 bits.
    pub fn count(&self) -> Result<u64, Unknown> {
        exact::sum(self.buckets.iter().map(|bucket| bucket.count).chain([self.unbounded]))
    }

    /// The quantile by nearest rank ⌈n·permille/1000⌉, as the upper bound of its bucket: never below the true one.
    ///
    /// # Errors
    /// [`UnknownReason::Undefined`] without observations, [`UnknownReason::HistogramUnbounded`] when the quantile lies
    /// above the last finite bound.
    pub fn quantile_ms(&self, permille: u16) -> Result<f64, Unknown> {
        let count = self.count()?;
        if count == 0 {
            return Err(Unknown::new(UnknownReason::Undefined, "no latency was observed"));
        }
        let rank = (u128::from(count) * u128::from(permille)).div_ceil(1_000).max(1);
        let mut below = 0_u128;
        for bucket in &self.buckets {
            below += u128::from(bucket.count);
            if below >= rank {
                return Ok(bucket.upper);
            }
        }
        Err(Unknown::new(
            UnknownReason::HistogramUnbounded,
            "the quantile lies above the last bucket with a bound",
        ))
    }
}

/// Predictions and labels of one revision over the quality window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelCounts {
    /// Predictions answered.
    #[serde(with = "decimal")]
    pub predictions: u64,
    /// Predictions that a label has reached.
    #[serde(with = "decimal")]
    pub labelled: u64,
    /// One entry for each probability bin `(k/B, (k+1)/B]`; none for a model without probabilities.
    pub bins: Vec<Bin>,
    /// Σ round((p − label)²·2²⁰) over labelled predictions, if it is exported.
    #[serde(with = "optional_decimal")]
    pub squared_error_q20: Option<u64>,
    /// Outcomes of labelled predictions by group; none for a workload without groups.
    pub groups: BTreeMap<String, Group>,
}

/// One probability bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bin {
    /// Predictions answered.
    #[serde(with = "decimal")]
    pub predictions: u64,
    /// … of which with a positive decision.
    #[serde(with = "decimal")]
    pub selections: u64,
    /// Labelled predictions.
    #[serde(with = "decimal")]
    pub samples: u64,
    /// … of which with label 1.
    #[serde(with = "decimal")]
    pub positives: u64,
    /// Σ round(p·2²⁰) over labelled predictions.
    #[serde(with = "decimal")]
    pub probability_q20: u64,
}

/// Labelled predictions of one group by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Selected, label 1.
    #[serde(with = "decimal")]
    pub tp: u64,
    /// Selected, label 0.
    #[serde(with = "decimal")]
    pub fp: u64,
    /// Not selected, label 0.
    #[serde(with = "decimal")]
    pub tn: u64,
    /// Not selected, label 1.
    #[serde(rename = "fn", with = "decimal")]
    pub fn_: u64,
}

/// Use of processor and memory by the worst pod of a revision, as fractions of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceUse {
    /// Processor time ÷ limit; above 1 when a limit is not kept.
    pub cpu: f64,
    /// Resident memory ÷ limit.
    pub mem: f64,
    /// Age of the oldest sample used, in seconds, at the end of the window.
    pub age_seconds: f64,
}

/// A share of good events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RatioCounts {
    /// Good events.
    #[serde(with = "decimal")]
    pub good: u64,
    /// All events.
    #[serde(with = "decimal")]
    pub total: u64,
}

impl RatioCounts {
    /// Good ÷ all.
    ///
    /// # Errors
    /// [`UnknownReason::Undefined`] without events, [`UnknownReason::Inconsistent`] when more are good than there are.
    pub fn share(self) -> Result<f64, Unknown> {
        exact::share(self.good, self.total, "ratio")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn traffic(requests: u64, failures: u64, at_least: u64, at_most: u64) -> TrafficCounts {
        TrafficCounts {
            requests,
            sent: requests,
            failures,
            aborts_at_least: at_least,
            aborts_at_most: at_most,
            latency: Reading::no_source("latency"),
        }
    }

    #[test]
    fn each_side_is_judged_by_the_bound_against_the_challenger() {
        let counts = traffic(100, 10, 2, 5);
        assert_eq!(
            counts.against(),
            Outcomes {
                successes: 85,
                failures: 10,
                aborts: 5
            }
        );
        assert_eq!(
            counts.in_favour(),
            Outcomes {
                successes: 88,
                failures: 10,
                aborts: 2
            }
        );
        assert!((counts.against().error_ratio().unwrap() - 0.15).abs() < 1e-15);
        assert!(traffic(0, 0, 0, 0).against().error_ratio().is_err());
        assert_eq!(
            traffic(0, 0, 0, 7).against().total(),
            7,
            "requests that all broke off are still requests"
        );
    }

    #[test]
    fn quantiles_are_upper_bounds_by_nearest_rank() {
        let latency = Latency::of([(4.0, 1), (1.0, 94), (2.0, 5), (1.0, 0)]).unwrap();
        assert_eq!(latency.quantile_ms(940), Ok(1.0));
        assert_eq!(latency.quantile_ms(950), Ok(2.0));
        assert_eq!(latency.quantile_ms(1_000), Ok(4.0));
        assert_eq!(latency.quantile_ms(0), Ok(1.0));
        let unbounded = Latency::of([(1.0, 94), (f64::INFINITY, 6)]).unwrap();
        assert_eq!(unbounded.quantile_ms(940), Ok(1.0));
        assert_eq!(
            unbounded.quantile_ms(950).unwrap_err().reason,
            UnknownReason::HistogramUnbounded
        );
        assert_eq!(
            Latency::of([]).unwrap().quantile_ms(950).unwrap_err().reason,
            UnknownReason::Undefined
        );
    }

    proptest! {
        /// Buckets of any two resolutions: the bound is never below the quantile of the values themselves.
        #[test]
        fn a_quantile_is_never_understated(values in prop::collection::vec(0.01_f64..1000.0, 1..60), permille in 1_u16..=1000) {
            let bound = |v: f64, step: f64| 2_f64.powf((v.log2() / step).ceil() * step).max(v);
            let buckets = values.iter().enumerate().map(|(i, &v)| (bound(v, if i % 2 == 0 { 0.25 } else { 1.0 }), 1));
            let latency = Latency::of(buckets).unwrap();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let rank = (sorted.len() * usize::from(permille)).div_ceil(1000).max(1);
            prop_assert!(latency.quantile_ms(permille).unwrap() >= sorted[rank - 1]);
        }

        #[test]
        fn outcomes_never_hide_an_error(requests in 0_u64..1000, failures in 0_u64..1000, low in 0_u64..1000, more in 0_u64..1000) {
            let counts = traffic(requests.max(failures), failures, low, low + more);
            let (against, favour) = (counts.against(), counts.in_favour());
            if let (Ok(against), Ok(favour)) = (against.error_ratio(), favour.error_ratio()) {
                prop_assert!(against >= favour);
            }
            prop_assert_eq!(against.failures + against.aborts, failures + low + more);
        }
    }
}
