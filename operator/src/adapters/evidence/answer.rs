//! The answer of the Prometheus HTTP API, read strictly.
//!
//! [Format](https://prometheus.io/docs/prometheus/latest/querying/api/): an envelope with `status`, `data`, `warnings` and
//! `infos`. Everything that is not a complete, undoubted success becomes an [`Unknown`]; a sample value is kept as the
//! text that came, so that a counter can be read exactly and NaN is seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::scoring::{Unknown, UnknownReason};

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// A raw sample: its own time, and the value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Time of the scrape in milliseconds since the epoch.
    pub at_ms: u64,
    /// The value as the source wrote it.
    pub text: String,
}

/// A raw sample of a native histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSample {
    /// Time of the scrape in milliseconds since the epoch.
    pub at_ms: u64,
    /// Observations in all.
    pub count: String,
    /// Non-empty buckets.
    pub buckets: Vec<RawBucket>,
}

/// A bucket as the source wrote it: boundary rule, lower bound, upper bound, count.
pub type RawBucket = (u8, String, String, String);

/// One series of a range selector with its raw samples, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Labels, the metric's name under `__name__`.
    pub labels: Labels,
    /// Plain samples.
    pub samples: Vec<Sample>,
    /// Native histograms.
    pub histograms: Vec<HistogramSample>,
}

/// One series of an instant vector. Its time is the query's, not the sample's, and is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instant {
    /// Labels.
    pub labels: Labels,
    /// The value as the source wrote it.
    pub text: String,
}

/// Limits on what is taken from one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Most series.
    pub series: usize,
    /// Most samples of all series together; a histogram counts one for each bucket.
    pub samples: usize,
}

impl Default for AnswerLimits {
    /// 5,000 series, 250,000 samples.
    fn default() -> Self {
        Self {
            series: 5_000,
            samples: 250_000,
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Matrix(Vec<MatrixSeries>),
    Vector(Vec<VectorSeries>),
    Scalar(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct MatrixSeries {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<(f64, RawHistogram)>,
}

#[derive(Deserialize)]
struct RawHistogram {
    count: String,
    #[serde(default)]
    buckets: Vec<RawBucket>,
}

#[derive(Deserialize)]
struct VectorSeries {
    metric: Labels,
    value: Option<(f64, String)>,
}

/// Reads the answer to a range selector.
///
/// # Errors
/// [`Unknown`] for everything but a complete, undoubted success; [`UnknownReason::WrongType`] when the result is no
/// matrix.
pub fn matrix(body: &[u8], limits: AnswerLimits) -> Result<Vec<Series>, Unknown> {
    let Data::Matrix(list) = data(body)? else {
        return Err(Unknown::new(
            UnknownReason::WrongType,
            "a range of samples was asked for, the answer holds another type",
        ));
    };
    bounded(list.len(), limits.series, "series", UnknownReason::TooManySeries)?;
    let samples = list.iter().map(|series| {
        series.values.len()
            + series
                .histograms
                .iter()
                .map(|(_, histogram)| 1 + histogram.buckets.len())
                .sum::<usize>()
    });
    bounded(samples.sum(), limits.samples, "samples", UnknownReason::TooLarge)?;
    let series: Vec<Series> = list.into_iter().map(series).collect::<Result<_, _>>()?;
    distinct(series.iter().map(|series| &series.labels))?;
    Ok(series)
}

/// Reads the answer to an instant query.
///
/// # Errors
/// [`Unknown`] for everything but a complete, undoubted success; [`UnknownReason::WrongType`] when the result is no
/// vector of plain values.
pub fn vector(body: &[u8], limits: AnswerLimits) -> Result<Vec<Instant>, Unknown> {
    let wrong = || {
        Unknown::new(
            UnknownReason::WrongType,
            "a vector of values was asked for, the answer holds another type",
        )
    };
    let Data::Vector(list) = data(body)? else {
        return Err(wrong());
    };
    bounded(list.len(), limits.series, "series", UnknownReason::TooManySeries)?;
    let instants: Vec<Instant> = list
        .into_iter()
        .map(|VectorSeries { metric, value }| {
            Ok(Instant {
                labels: metric,
                text: value.ok_or_else(wrong)?.1,
            })
        })
        .collect::<Result<_, Unknown>>()?;
    distinct(instants.iter().map(|instant| &instant.labels))?;
    Ok(instants)
}

/// Reads which series an instant query found, whatever their values are.
///
/// # Errors
/// As [`vector`], except for values.
pub fn present(body: &[u8], limits: AnswerLimits) -> Result<Vec<Labels>, Unknown> {
    let Data::Vector(list) = data(body)? else {
        return Err(Unknown::new(
            UnknownReason::WrongType,
            "a vector was asked for, the answer holds another type",
        ));
    };
    bounded(list.len(), limits.series, "series", UnknownReason::TooManySeries)?;
    Ok(list.into_iter().map(|series| series.metric).collect())
}

/// What a body that is not a success says about itself: Prometheus' own error text, or nothing. The text of another
/// server is never shown, for it may be a secret of that server.
#[must_use]
pub fn error_text(body: &[u8]) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    (envelope.status == "error").then(|| {
        let kind = envelope.error_type.unwrap_or_default();
        format!("{kind}: {}", envelope.error.unwrap_or_default())
    })
}

fn data(body: &[u8]) -> Result<Data, Unknown> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| {
        // The position helps; the text around it is the other side's and stays there.
        let detail = format_args!(
            "the answer is not of the Prometheus query API (line {}, column {})",
            error.line(),
            error.column()
        )
        .to_string();
        Unknown::new(UnknownReason::Malformed, detail)
    })?;
    if envelope.status != "success" {
        let kind = envelope.error_type.unwrap_or_default();
        let text = envelope.error.unwrap_or_default();
        return Err(Unknown::new(
            UnknownReason::QueryFailed,
            format_args!("status {:?}, {kind}: {text}", envelope.status),
        ));
    }
    if let Some(warning) = envelope.warnings.first() {
        return Err(Unknown::new(UnknownReason::Warnings, warning));
    }
    if let Some(info) = envelope.infos.iter().find(|info| !is_harmless(info)) {
        return Err(Unknown::new(UnknownReason::Warnings, info));
    }
    envelope
        .data
        .ok_or_else(|| Unknown::new(UnknownReason::Malformed, "the answer has no data"))
}

/// The one remark that is about naming alone; all others say that samples were ignored or altered.
fn is_harmless(info: &str) -> bool {
    info.starts_with("PromQL info: metric might not be a counter")
}

fn series(raw: MatrixSeries) -> Result<Series, Unknown> {
    let samples = raw.values.into_iter().map(|(at, text)| {
        Ok(Sample {
            at_ms: milliseconds(at)?,
            text,
        })
    });
    let histograms = raw.histograms.into_iter().map(|(at, histogram)| {
        Ok(HistogramSample {
            at_ms: milliseconds(at)?,
            count: histogram.count,
            buckets: histogram.buckets,
        })
    });
    let series = Series {
        samples: samples.collect::<Result<_, Unknown>>()?,
        histograms: histograms.collect::<Result<_, Unknown>>()?,
        labels: raw.metric,
    };
    let ordered = series.samples.is_sorted_by(|a, b| a.at_ms < b.at_ms)
        && series.histograms.is_sorted_by(|a, b| a.at_ms < b.at_ms);
    if ordered {
        Ok(series)
    } else {
        Err(Unknown::new(
            UnknownReason::Malformed,
            "the samples of a series are not in order of time",
        ))
    }
}

/// Seconds with three decimals, as Prometheus writes them, in milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and the product is rounded to an integer"
)]
fn milliseconds(seconds: f64) -> Result<u64, Unknown> {
    // 2^53 ms lie 285,000 years ahead: below, the product is exact to the millisecond.
    let product = (seconds * 1_000.0).round();
    if (0.0..=9_007_199_254_740_991.0).contains(&product) {
        return Ok(product as u64);
    }
    Err(Unknown::new(
        UnknownReason::Malformed,
        format_args!("{seconds} is no time of a sample"),
    ))
}

fn bounded(count: usize, limit: usize, what: &str, reason: UnknownReason) -> Result<(), Unknown> {
    if count > limit {
        let detail = format_args!("{count} {what} are more than the limit of {limit}: select fewer").to_string();
        return Err(Unknown::new(reason, detail));
    }
    Ok(())
}

fn distinct<'a>(mut labels: impl Iterator<Item = &'a Labels>) -> Result<(), Unknown> {
    let mut seen = BTreeSet::new();
    if labels.all(|labels| seen.insert(labels)) {
        Ok(())
    } else {
        Err(Unknown::new(
            UnknownReason::Ambiguous,
            "two series of one answer have the same labels",
        ))
    }
}
