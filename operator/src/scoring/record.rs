//! What was read, kept so that a decision can be replayed: the window, the queries and the raw samples.

use std::collections::BTreeMap;

use penin_engine::num::decimal;
use penin_ledger::redact::{self, REDACTED};
use serde::{Deserialize, Serialize};

use super::{Unknown, UnknownReason};

/// Longest window: 31 days.
pub const LONGEST_WINDOW_MS: u64 = 31 * 24 * 3_600 * 1_000;

/// A span of time between two pinned instants, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Its start.
    #[serde(with = "decimal")]
    pub start_ms: u64,
    /// Its end, after the start.
    #[serde(with = "decimal")]
    pub end_ms: u64,
}

impl Window {
    /// The window from `start_ms` to `end_ms`.
    ///
    /// # Errors
    /// [`UnknownReason::InvalidQuery`] when it is empty, backward or longer than `LONGEST_WINDOW_MS`.
    pub fn new(start_ms: u64, end_ms: u64) -> Result<Self, Unknown> {
        let length = end_ms
            .checked_sub(start_ms)
            .filter(|length| (1..=LONGEST_WINDOW_MS).contains(length));
        length.map(|_| Self { start_ms, end_ms }).ok_or_else(|| {
            let detail = format!("a window from {start_ms} to {end_ms} ms is empty, backward or longer than 31 days");
            Unknown::new(UnknownReason::InvalidQuery, detail)
        })
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn length_ms(self) -> u64 {
        self.end_ms.saturating_sub(self.start_ms)
    }
}

/// One question that was put to a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryRecord {
    /// The expression.
    pub expression: String,
    /// The pinned time of the query.
    #[serde(with = "decimal")]
    pub at_ms: u64,
}

/// One raw sample: the time of its scrape and the value as the source wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawSample {
    /// Time of the scrape.
    #[serde(with = "decimal")]
    pub at_ms: u64,
    /// The value.
    pub value: String,
}

/// One counter over the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeriesRecord {
    /// Name of the metric.
    pub metric: String,
    /// Labels that not all series of the record share.
    pub labels: BTreeMap<String, String>,
    /// The sample that is counted from; none for a series that began inside the window and counts from 0.
    pub start: Option<RawSample>,
    /// The sample that is counted to.
    pub end: RawSample,
    /// The difference.
    #[serde(with = "decimal")]
    pub increase: u64,
}

/// One bucket of a histogram's increase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BucketRecord {
    /// Upper bound in the metric's unit; all observations of the bucket are at most this large.
    pub upper: f64,
    /// Observations.
    #[serde(with = "decimal")]
    pub count: u64,
}

/// One histogram over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistogramRecord {
    /// Name of the metric.
    pub metric: String,
    /// Labels that not all series of the record share.
    pub labels: BTreeMap<String, String>,
    /// Time of the sample that is counted from; none for a series that began inside the window.
    pub start_ms: Option<penin_engine::num::U64String>,
    /// Time of the sample that is counted to.
    #[serde(with = "decimal")]
    pub end_ms: u64,
    /// Increase of the non-empty buckets, by rising upper bound.
    pub buckets: Vec<BucketRecord>,
}

/// Everything that was read from one source for one purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceRecord {
    /// Name of the source, as the resource that configures it spells it.
    pub source: String,
    /// What it was read for, such as `traffic/challenger`.
    pub purpose: String,
    /// The window that was asked for.
    pub window: Window,
    /// The questions, in order.
    pub queries: Vec<QueryRecord>,
    /// Labels that all series share.
    pub common_labels: BTreeMap<String, String>,
    /// Counters.
    pub series: Vec<SeriesRecord>,
    /// Histograms.
    pub histograms: Vec<HistogramRecord>,
    /// Plain values that are no counters, such as memory, by the labels that tell them apart.
    pub gauges: Vec<GaugeRecord>,
}

/// A value that is no counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GaugeRecord {
    /// Name of the metric.
    pub metric: String,
    /// Labels that not all series of the record share.
    pub labels: BTreeMap<String, String>,
    /// Its samples that were used, oldest first.
    pub samples: Vec<RawSample>,
}

impl SourceRecord {
    /// A record without content.
    #[must_use]
    pub fn new(source: &str, purpose: &str, window: Window) -> Self {
        Self {
            source: source.to_owned(),
            purpose: purpose.to_owned(),
            window,
            queries: Vec::new(),
            common_labels: BTreeMap::new(),
            series: Vec::new(),
            histograms: Vec::new(),
            gauges: Vec::new(),
        }
    }

    /// Moves the labels that all series share to one place: a revision has hundreds of series that differ in one label.
    /// Values of labels whose names read like a secret's are left out, for the ledger takes none; nothing is computed from
    /// a record.
    #[must_use]
    pub fn compacted(mut self) -> Self {
        let mut all = self
            .series
            .iter_mut()
            .map(|series| &mut series.labels)
            .chain(self.histograms.iter_mut().map(|histogram| &mut histogram.labels))
            .chain(self.gauges.iter_mut().map(|gauge| &mut gauge.labels))
            .collect::<Vec<_>>();
        for labels in &mut all {
            let secret = labels
                .iter_mut()
                .filter(|(name, _)| redact::secret_word(name).is_some());
            secret.for_each(|(_, value)| REDACTED.clone_into(value));
        }
        let Some(first) = all.first() else {
            return self;
        };
        let mut common: BTreeMap<String, String> = (*first).clone();
        for labels in &all {
            common.retain(|name, value| labels.get(name) == Some(value));
        }
        for labels in &mut all {
            labels.retain(|name, _| !common.contains_key(name));
        }
        self.common_labels.extend(common);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_run_forward_and_are_bounded() {
        assert!(Window::new(5, 5).is_err());
        assert!(Window::new(6, 5).is_err());
        assert!(Window::new(0, LONGEST_WINDOW_MS + 1).is_err());
        assert_eq!(
            Window::new(0, LONGEST_WINDOW_MS).unwrap().length_ms(),
            LONGEST_WINDOW_MS
        );
    }

    #[test]
    fn labels_that_read_like_secrets_lose_their_values() {
        let mut record = SourceRecord::new("s", "p", Window::new(0, 1).unwrap());
        for (pod, key) in [("a", "hunter2"), ("b", "hunter3")] {
            let labels = [("pod", pod), ("api_key", key), ("auth", "basic")];
            record.gauges.push(GaugeRecord {
                metric: "m".into(),
                labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                samples: vec![],
            });
        }
        let record = serde_json::to_string(&record.compacted()).unwrap();
        assert!(!record.contains("hunter") && !record.contains("basic"), "{record}");
        assert!(
            record.contains(r#""pod":"a""#) && record.contains(r#""auth":"[REDACTED]""#),
            "{record}"
        );
    }

    #[test]
    fn shared_labels_are_kept_once() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let gauge = |pairs: &[(&str, &str)]| GaugeRecord {
            metric: "m".into(),
            labels: labels(pairs),
            samples: vec![],
        };
        let mut record = SourceRecord::new("s", "p", Window::new(0, 1).unwrap());
        record.gauges = vec![
            gauge(&[("job", "x"), ("pod", "a")]),
            gauge(&[("job", "x"), ("pod", "b")]),
        ];
        let record = record.compacted();
        assert_eq!(record.common_labels, labels(&[("job", "x")]));
        assert_eq!(
            record.gauges.iter().map(|g| g.labels.clone()).collect::<Vec<_>>(),
            [labels(&[("pod", "a")]), labels(&[("pod", "b")])]
        );
    }
}
