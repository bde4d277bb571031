//! Latencies of answers.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency told apart, in microseconds; the player's timeout is shorter.
const LONGEST_US: u64 = 120_000_000;
/// Bounds of the reported buckets in microseconds.
const BOUNDS_US: [u64; 15] = [
    500, 1_000, 2_000, 3_000, 5_000, 7_500, 10_000, 20_000, 30_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    LONGEST_US,
];

/// Distribution of the latencies of successful answers, in microseconds, accurate to 0.1 %.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Latency {
    /// Answers measured.
    pub count: u64,
    /// Mean.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 95 % are at most this.
    pub p95_us: u64,
    /// 99 % are at most this.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// Cumulative counts.
    pub buckets: Vec<Bucket>,
}

/// Number of latencies up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Bucket {
    /// Bound in microseconds, inclusive to the histogram's accuracy.
    pub le_us: u64,
    /// Latencies up to it.
    pub count: u64,
}

/// Collects latencies in constant memory.
pub(super) struct Collector(Option<Histogram<u64>>);

impl Collector {
    pub(super) fn new() -> Self {
        // Fails only for bounds or digits out of range, which these constants are not.
        Self(Histogram::new_with_max(LONGEST_US, 3).ok())
    }

    pub(super) fn add(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US));
        }
    }

    pub(super) fn summary(&self) -> Latency {
        let Some(histogram) = &self.0 else {
            return Latency::default();
        };
        Latency {
            count: histogram.len(),
            mean_us: histogram.mean(),
            p50_us: histogram.value_at_quantile(0.5),
            p95_us: histogram.value_at_quantile(0.95),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
            buckets: BOUNDS_US
                .iter()
                .map(|&le_us| Bucket {
                    le_us,
                    count: histogram.count_between(0, le_us),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_buckets_follow_the_latencies() {
        let mut collector = Collector::new();
        for millis in 1..=100 {
            collector.add(Duration::from_millis(millis));
        }
        collector.add(Duration::from_hours(1));
        let latency = collector.summary();
        assert_eq!(latency.count, 101);
        let near = |value: u64, wanted: u64| value.abs_diff(wanted) <= wanted / 1_000 + 1;
        assert!(near(latency.p50_us, 51_000), "{}", latency.p50_us);
        assert!(near(latency.p95_us, 96_000), "{}", latency.p95_us);
        assert!(near(latency.max_us, LONGEST_US), "{}", latency.max_us);
        let at = |bound| {
            latency
                .buckets
                .iter()
                .find(|bucket| bucket.le_us == bound)
                .unwrap()
                .count
        };
        assert_eq!((at(500), at(10_000), at(100_000), at(LONGEST_US)), (0, 10, 100, 101));
    }
}
