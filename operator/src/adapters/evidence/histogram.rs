//! The increase of a native histogram over a window, bucket by bucket.
//!
//! Native histograms (Prometheus, `docs/specs/native_histograms.md`) have exponential buckets whose resolution may be
//! lowered at any time, by joining neighbours, and a zero bucket that may grow over its neighbours. So a bucket of the
//! earlier sample either equals one of the later sample or lies inside it, and the increase of a later bucket is its
//! count minus the counts of all earlier buckets inside it. Anything that does not fit is Unknown.

use super::answer::{HistogramSample, Labels, RawBucket};
use super::labels::NAME;
use crate::scoring::{BucketRecord, HistogramRecord, Unknown, UnknownReason, exact};

/// Increase of one histogram series.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramDelta {
    /// Labels, the metric's name under [`NAME`].
    pub labels: Labels,
    /// Time of the sample counted from; none when counted from 0.
    pub start_ms: Option<u64>,
    /// Time of the sample counted to.
    pub end_ms: u64,
    /// Increase of the buckets by rising upper bound; empty ones left out. A bound may be infinite.
    pub buckets: Vec<(f64, u64)>,
}

impl HistogramDelta {
    /// The record for the snapshot; none when a bound is infinite, which JSON cannot hold.
    #[must_use]
    pub fn record(&self) -> Option<HistogramRecord> {
        let mut labels = self.labels.clone();
        let metric = labels.remove(NAME).unwrap_or_default();
        let bucket = |&(upper, count): &(f64, u64)| upper.is_finite().then_some(BucketRecord { upper, count });
        Some(HistogramRecord {
            metric,
            labels,
            start_ms: self.start_ms.map(penin_engine::num::U64String),
            end_ms: self.end_ms,
            buckets: self.buckets.iter().map(bucket).collect::<Option<_>>()?,
        })
    }
}

/// A bucket with numbers.
#[derive(Clone, Copy)]
struct Bucket {
    lower: f64,
    upper: f64,
    count: u64,
}

impl Bucket {
    fn holds(&self, other: &Self) -> bool {
        self.lower <= other.lower && other.upper <= self.upper
    }
}

/// Increase between two samples of one series, or from 0.
///
/// # Errors
/// [`UnknownReason::CounterReset`] when a bucket or the count fell, [`UnknownReason::HistogramIncoherent`] when the
/// buckets of the two samples do not fit or do not add up to the count.
pub fn difference(
    labels: &Labels,
    from: Option<&HistogramSample>,
    to: &HistogramSample,
) -> Result<HistogramDelta, Unknown> {
    let earlier = from.map_or(Ok((0, Vec::new())), read)?;
    let later = read(to)?;
    let grown = later.0.checked_sub(earlier.0).ok_or_else(|| fell("the count"))?;
    let mut inside = vec![0_u64; later.1.len()];
    for bucket in &earlier.1 {
        let Some((_, slot)) = later.1.iter().zip(&mut inside).find(|(wide, _)| wide.holds(bucket)) else {
            return Err(unplaced(bucket, &later.1));
        };
        *slot = exact::sum([*slot, bucket.count])?;
    }
    let mut buckets = Vec::new();
    for (bucket, before) in later.1.iter().zip(inside) {
        let increase = bucket.count.checked_sub(before).ok_or_else(|| fell("a bucket"))?;
        if increase > 0 {
            buckets.push((bucket.upper, increase));
        }
    }
    if exact::sum(buckets.iter().map(|&(_, count)| count))? != grown {
        return Err(Unknown::new(
            UnknownReason::HistogramIncoherent,
            "the buckets do not add up to the count",
        ));
    }
    Ok(HistogramDelta {
        labels: labels.clone(),
        start_ms: from.map(|sample| sample.at_ms),
        end_ms: to.at_ms,
        buckets,
    })
}

/// An earlier bucket lies in no later one: the later sample begins anew, or at a finer resolution, which only a restart
/// brings back.
fn unplaced(bucket: &Bucket, later: &[Bucket]) -> Unknown {
    if later
        .iter()
        .any(|other| bucket.holds(other) || (other.lower < bucket.upper && bucket.lower < other.upper))
    {
        return Unknown::new(
            UnknownReason::HistogramIncoherent,
            "the bounds of earlier and later buckets cross",
        );
    }
    fell("a bucket")
}

fn fell(what: &str) -> Unknown {
    Unknown::new(
        UnknownReason::CounterReset,
        format_args!("{what} of a histogram fell inside the window"),
    )
}

/// Count and buckets of a sample, by rising bounds, without overlap.
fn read(sample: &HistogramSample) -> Result<(u64, Vec<Bucket>), Unknown> {
    let mut buckets: Vec<Bucket> = sample.buckets.iter().map(bucket).collect::<Result<_, _>>()?;
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    let disjoint = buckets
        .iter()
        .zip(buckets.iter().skip(1))
        .all(|(below, above)| below.upper <= above.lower);
    if !disjoint {
        return Err(Unknown::new(
            UnknownReason::HistogramIncoherent,
            "buckets of one sample overlap",
        ));
    }
    let count = exact::count(&sample.count)?;
    if exact::sum(buckets.iter().map(|bucket| bucket.count))? != count {
        return Err(Unknown::new(
            UnknownReason::HistogramIncoherent,
            "the buckets do not add up to the count",
        ));
    }
    Ok((count, buckets))
}

fn bucket((_, lower, upper, count): &RawBucket) -> Result<Bucket, Unknown> {
    let bound = |text: &str| text.parse::<f64>().ok().filter(|bound| !bound.is_nan());
    match (bound(lower), bound(upper)) {
        (Some(lower), Some(upper)) if lower < upper => Ok(Bucket {
            lower,
            upper,
            count: exact::count(count)?,
        }),
        _ => Err(Unknown::new(
            UnknownReason::Malformed,
            format_args!("a bucket from {lower:?} to {upper:?}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(at_ms: u64, buckets: &[(&str, &str, u64)]) -> HistogramSample {
        let count: u64 = buckets.iter().map(|bucket| bucket.2).sum();
        let raw =
            |&(lower, upper, count): &(&str, &str, u64)| (0, lower.to_owned(), upper.to_owned(), count.to_string());
        HistogramSample {
            at_ms,
            count: count.to_string(),
            buckets: buckets.iter().map(raw).collect(),
        }
    }

    fn between(from: &[(&str, &str, u64)], to: &[(&str, &str, u64)]) -> Result<Vec<(f64, u64)>, UnknownReason> {
        difference(&Labels::new(), Some(&sample(1, from)), &sample(2, to))
            .map(|delta| delta.buckets)
            .map_err(|unknown| unknown.reason)
    }

    #[test]
    fn buckets_are_subtracted_one_by_one() {
        let from = [("-0.5", "0.5", 3), ("1", "2", 5)];
        assert_eq!(
            between(&from, &[("-0.5", "0.5", 3), ("1", "2", 9), ("4", "8", 1)]),
            Ok(vec![(2.0, 4), (8.0, 1)])
        );
        assert_eq!(between(&from, &from), Ok(vec![]));
        let from_zero = difference(&Labels::new(), None, &sample(2, &from)).unwrap();
        assert_eq!(
            (from_zero.start_ms, from_zero.buckets),
            (None, vec![(0.5, 3), (2.0, 5)])
        );
    }

    #[test]
    fn a_lower_resolution_takes_the_finer_buckets_in() {
        let fine = [("1", "1.41", 2), ("1.41", "2", 5), ("2", "2.83", 1)];
        assert_eq!(between(&fine, &[("1", "2", 8), ("2", "4", 1)]), Ok(vec![(2.0, 1)]));
        // The zero bucket grew over its neighbour.
        assert_eq!(
            between(&[("-0.5", "0.5", 1), ("0.5", "1", 2)], &[("-1", "1", 4)]),
            Ok(vec![(1.0, 1)])
        );
    }

    #[test]
    fn what_does_not_fit_is_unknown() {
        use UnknownReason::{CounterReset, HistogramIncoherent};
        let from = [("1", "2", 5)];
        assert_eq!(between(&from, &[("1", "2", 4)]), Err(CounterReset));
        assert_eq!(between(&from, &[]), Err(CounterReset));
        assert_eq!(between(&from, &[("4", "8", 9)]), Err(CounterReset));
        assert_eq!(between(&from, &[("1", "2", 4), ("4", "8", 9)]), Err(CounterReset));
        assert_eq!(
            between(&from, &[("1", "1.41", 4), ("1.41", "2", 4)]),
            Err(HistogramIncoherent)
        );
        assert_eq!(between(&from, &[("1.5", "3", 9)]), Err(HistogramIncoherent));
        assert_eq!(between(&[], &[("1", "3", 1), ("2", "4", 1)]), Err(HistogramIncoherent));
    }

    #[test]
    fn a_count_beside_its_buckets_is_refused() {
        let mut bad = sample(2, &[("1", "2", 5)]);
        bad.count = "6".to_owned();
        let unknown = difference(&Labels::new(), None, &bad).unwrap_err();
        assert_eq!(unknown.reason, UnknownReason::HistogramIncoherent);
        for (lower, upper, count) in [
            ("NaN", "2", "1"),
            ("2", "2", "1"),
            ("x", "2", "1"),
            ("1", "2", "0.5"),
            ("1", "2", "NaN"),
        ] {
            let mut bad = sample(2, &[]);
            bad.buckets = vec![(0, lower.to_owned(), upper.to_owned(), count.to_owned())];
            assert!(
                difference(&Labels::new(), None, &bad).is_err(),
                "{lower} {upper} {count}"
            );
        }
    }

    proptest! {
        /// Joining neighbours between the samples never changes how many observations are counted.
        #[test]
        fn resolution_changes_keep_the_count(before in prop::collection::vec(0_u64..9, 8), more in prop::collection::vec(0_u64..9, 8)) {
            let bounds: Vec<String> = (0..9).map(|k| f64::from(1 << k).to_string()).collect();
            let fine: Vec<_> = (0..8).map(|k| (bounds[k].as_str(), bounds[k + 1].as_str(), before[k])).collect();
            let wide: Vec<_> = (0..4)
                .map(|k| (bounds[2 * k].as_str(), bounds[2 * k + 2].as_str(), before[2 * k] + before[2 * k + 1] + more[2 * k] + more[2 * k + 1]))
                .collect();
            let counted: u64 = between(&fine, &wide).unwrap().iter().map(|bucket| bucket.1).sum();
            prop_assert_eq!(counted, more.iter().sum::<u64>());
        }
    }
}
