//! Latency histograms of fixed buckets that can be merged, and their quantiles.
//!
//! Buckets hold integer microseconds: exact below 64, then 32 to each power of two, so that a bucket is at most 3.2 % wide. The layout is
//! that of HDR histograms with five significant bits. Values from 2⁴⁰ µs (twelve days) on count as 2⁴⁰ − 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::num::U64String;

/// Number of buckets.
pub const BUCKETS: u16 = 1152;
/// Largest value that is told apart, microseconds.
pub const MAX_MICROSECONDS: u64 = (1 << 40) - 1;

/// Bucket of a latency in microseconds.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the result is below 1152")]
pub const fn bucket(microseconds: u64) -> u16 {
    let v = if microseconds > MAX_MICROSECONDS {
        MAX_MICROSECONDS
    } else {
        microseconds
    };
    if v < 64 {
        return v as u16;
    }
    let e = v.ilog2();
    (64 + (e as u64 - 6) * 32 + ((v >> (e - 5)) - 32)) as u16
}

/// Largest latency of a bucket, microseconds. A bucket beyond the last one counts as the last.
#[must_use]
pub const fn bucket_upper(bucket: u16) -> u64 {
    let b = if bucket < BUCKETS {
        bucket as u64
    } else {
        BUCKETS as u64 - 1
    };
    if b < 64 {
        return b;
    }
    let e = 6 + (b - 64) / 32;
    let m = 32 + (b - 64) % 32;
    ((m + 1) << (e - 5)) - 1
}

/// Counts by bucket. In JSON a list of `[bucket, "count"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u16, u64>);

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds one latency in microseconds.
    pub fn record(&mut self, microseconds: u64) {
        self.add(bucket(microseconds), 1);
    }

    /// Adds `count` latencies of a bucket. Buckets of 1152 and above do not exist; what claims to be in one is counted in the last.
    pub fn add(&mut self, bucket: u16, count: u64) {
        if count > 0 {
            let entry = self.0.entry(bucket.min(BUCKETS - 1)).or_default();
            *entry = entry.saturating_add(count);
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.iter() {
            self.add(bucket, count);
        }
    }

    /// Buckets with their counts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.0.iter().map(|(bucket, count)| (*bucket, *count))
    }

    /// Number of latencies.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.0.values().copied().fold(0, u64::saturating_add)
    }

    /// Latency at `permille` in microseconds by nearest rank, as the upper edge of its bucket; none without samples.
    #[must_use]
    pub fn quantile(&self, permille: u16) -> Option<u64> {
        let samples = u128::from(self.samples());
        let rank = (samples * u128::from(permille)).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        self.iter()
            .find(|(_, count)| {
                seen += u128::from(*count);
                seen >= rank
            })
            .or_else(|| self.iter().last())
            .map(|(bucket, _)| bucket_upper(bucket))
    }
}

impl FromIterator<(u16, u64)> for Histogram {
    fn from_iter<I: IntoIterator<Item = (u16, u64)>>(entries: I) -> Self {
        let mut histogram = Self::new();
        for (bucket, count) in entries {
            histogram.add(bucket, count);
        }
        histogram
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(bucket, count)| (bucket, U64String(count))))
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Option::<Vec<(u16, U64String)>>::deserialize(deserializer)?;
        let entries = entries.unwrap_or_default();
        if let Some((bucket, _)) = entries.iter().find(|(bucket, _)| *bucket >= BUCKETS) {
            return Err(serde::de::Error::custom(format_args!(
                "latency bucket {bucket}: buckets are 0 to 1151"
            )));
        }
        Ok(entries.into_iter().map(|(bucket, count)| (bucket, count.0)).collect())
    }
}
