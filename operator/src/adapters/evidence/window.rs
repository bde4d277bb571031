//! Counters over a window, as differences of raw samples.
//!
//! `increase()` and `rate()` extrapolate and hide resets, and the time stamp of an instant answer is the query's own, so
//! neither is evidence. Instead, raw samples with their own times are read around both ends of the window:
//!
//! ```text
//!         start                                             end
//!   ·····|·····|·····|·····|···························|·····|··
//!        ^ was there  ^ counted from                         ^ counted to
//! ```
//!
//! A series that was there at the start is counted from its first sample *after* the start, so that nothing from before
//! the window is part of it; a series that began inside the window is counted from 0, so that its first events are.
//! Everything else that can happen to a series makes the whole window Unknown ([`difference`] has the table).

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{HistogramSample, Instant, Labels, Sample, Series};
use super::histogram::{self, HistogramDelta};
use super::labels::{NAME, counter_labels, describe, refuse_twins};
use crate::scoring::{RawSample, SeriesRecord, Unknown, UnknownReason, Window, exact};

/// What a series means that ended before the window did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vanished {
    /// The window is Unknown: what was counted after the last sample is lost, and it may have been failures.
    /// For the candidate.
    Refuse,
    /// It counts up to its last sample: pods of the reference come and go during a window, and what they were seen to
    /// do stays true. For the reference.
    LastSample,
}

/// What it means that a series has no sample at the start of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// The window opened before the revision existed: all of its counters began at 0 inside it.
    RevisionBorn,
    /// Something else of the same source was seen at the start, so the source was being read then and the series did not
    /// exist.
    SourceSeen,
    /// As [`Beginning::SourceSeen`], for what is taken away and made anew under one name: a series that ended some time
    /// before the window and has a sample soon after its start is counted from that sample. What came between is not
    /// counted, so that nothing of the earlier one can be.
    MadeAnew,
    /// Not known. A series counts from 0 only if another series of the same answer was there at the start.
    SeenWith,
}

/// What was read around the two ends of a window.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// Samples around the start: at least one range before it and one after it.
    pub around_start: Vec<Series>,
    /// Samples before the end.
    pub before_end: Vec<Series>,
    /// Answer to [`promql::resets`](super::promql::resets): a series for each one that has a sample in the window.
    pub resets: Vec<Instant>,
    /// Series that had a sample some longer time before the start.
    pub long_before: Vec<Labels>,
    /// Samples in the window of series that have none before its end.
    pub vanished: Vec<Series>,
}

/// Rules of one difference.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The window.
    pub window: Window,
    /// Oldest age of a sample at the end, in milliseconds.
    pub max_age_ms: u64,
    /// What an ended series means.
    pub vanished: Vanished,
    /// What a missing first sample means.
    pub beginning: Beginning,
    /// Labels that tell things apart, whatever their names suggest: those that the query has conditions on.
    pub dimensions: Vec<String>,
}

/// The increase of one counter series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesDelta {
    /// Labels, the metric's name under [`NAME`].
    pub labels: Labels,
    /// The sample counted from; none when counted from 0.
    pub start: Option<RawSample>,
    /// The sample counted to.
    pub end: RawSample,
    /// The difference.
    pub increase: u64,
}

/// All series over a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deltas {
    /// Counters.
    pub counters: Vec<SeriesDelta>,
    /// Native histograms.
    pub histograms: Vec<HistogramDelta>,
}

impl Deltas {
    /// The sum of a counter over all series with the given labels; `None` when there is no such series.
    ///
    /// # Errors
    /// When the sum leaves 64 bits.
    pub fn total(&self, metric: &str, labels: &[(&str, &str)]) -> Result<Option<u64>, Unknown> {
        let matching: Vec<u64> = self
            .counters
            .iter()
            .filter(|delta| delta.labels.get(NAME).is_some_and(|name| name == metric))
            .filter(|delta| {
                labels
                    .iter()
                    .all(|(name, value)| delta.labels.get(*name).is_some_and(|have| have == value))
            })
            .map(|delta| delta.increase)
            .collect();
        if matching.is_empty() {
            return Ok(None);
        }
        exact::sum(matching).map(Some)
    }

    /// The same, where absence is Unknown.
    ///
    /// # Errors
    /// [`UnknownReason::Missing`] when there is no such series.
    pub fn required(&self, metric: &str) -> Result<u64, Unknown> {
        self.total(metric, &[])?.ok_or_else(|| {
            Unknown::new(
                UnknownReason::Missing,
                format_args!("the source has no series of {metric}"),
            )
        })
    }

    /// Records of the counters, for the snapshot.
    #[must_use]
    pub fn records(&self) -> Vec<SeriesRecord> {
        let record = |delta: &SeriesDelta| {
            let mut labels = delta.labels.clone();
            let metric = labels.remove(NAME).unwrap_or_default();
            SeriesRecord {
                metric,
                labels,
                start: delta.start.clone(),
                end: delta.end.clone(),
                increase: delta.increase,
            }
        };
        self.counters.iter().map(record).collect()
    }
}

/// Which series have no sample at or before the start, though they have some later: they need a look further back.
#[must_use]
pub fn began_inside(readings: &Readings, start_ms: u64) -> bool {
    let there = keys_before(&readings.around_start, start_ms);
    let end = readings.before_end.iter().map(|series| &series.labels);
    end.chain(readings.around_start.iter().map(|series| &series.labels))
        .any(|labels| !there.contains(labels))
        || readings
            .resets
            .iter()
            .any(|instant| !there.contains(&counter_labels(&instant.labels)))
}

/// Series that have a sample in the window and none before its end.
#[must_use]
pub fn ended_inside(readings: &Readings) -> Vec<Labels> {
    let at_end: BTreeSet<&Labels> = readings.before_end.iter().map(|series| &series.labels).collect();
    let listed = readings.resets.iter().map(|instant| counter_labels(&instant.labels));
    listed.filter(|labels| !at_end.contains(labels)).collect()
}

/// Increase of every series between the ends of the window.
///
/// | the series | result |
/// |---|---|
/// | has samples before and after the start and before the end | last − first inside the window |
/// | … and the two are one sample | `not_yet_sampled` |
/// | … and the value fell, or fell in between | `counter_reset` |
/// | has none before the start, nor long before it | last − 0, if [`Beginning`] allows it |
/// | has none before the start, but some long before it | `stale_start`; [`Beginning::MadeAnew`]: last − first inside the window |
/// | was there at the start, and has no sample soon after it | `stale_start`, or `not_yet_sampled` early in a window |
/// | has its newest sample too long before the end | `stale` |
/// | has samples in the window and none before its end | by [`Vanished`]; `stale` if no series has one there |
/// | is not in the list of resets | `inconsistent` |
/// | has a value that is no exact count | `non_finite`, `not_an_integer` |
///
/// # Errors
/// [`Unknown`] by the table; one bad series makes the whole window Unknown.
pub fn difference(readings: &Readings, rules: &Rules) -> Result<Deltas, Unknown> {
    refuse_resets(&readings.resets)?;
    let start = by_labels(&readings.around_start);
    let end = by_labels(&readings.before_end);
    refuse_all_ended(readings, &end)?;
    let there = keys_before(&readings.around_start, rules.window.start_ms);
    let older: BTreeSet<&Labels> = readings.long_before.iter().collect();
    let seen = rules.beginning != Beginning::SeenWith || !there.is_empty();
    let watched: BTreeSet<Labels> = readings
        .resets
        .iter()
        .map(|instant| counter_labels(&instant.labels))
        .collect();
    let mut deltas = Deltas::default();
    for (labels, last) in &end {
        let first = start.get(*labels).copied();
        let again = rules.beginning == Beginning::MadeAnew && older.contains(*labels);
        let origin = if there.contains(*labels) || (again && began_soon(first, rules.window.start_ms)) {
            Origin::Sample
        } else {
            began(
                labels,
                seen,
                older.contains(*labels) && rules.beginning != Beginning::RevisionBorn,
            )?;
            Origin::Zero
        };
        let place = Place { labels, origin, rules };
        match (last.samples.last(), last.histograms.last()) {
            (Some(last), None) => {
                let delta = place.counter(first, last)?;
                unwatched(labels, watched.contains(*labels))?;
                deltas.counters.push(delta);
            }
            (None, Some(last)) => deltas.histograms.push(place.histogram(first, last)?),
            (None, None) => {
                return Err(Unknown::new(
                    UnknownReason::Malformed,
                    "a series of the answer has no sample",
                ));
            }
            (Some(_), Some(_)) => {
                let detail = format!("{} is a plain value and a histogram at once", describe(labels));
                return Err(Unknown::new(UnknownReason::Ambiguous, detail));
            }
        }
    }
    deltas.counters.extend(ended(readings, &start, &there, &older, rules)?);
    let counters = deltas.counters.iter().map(|delta| &delta.labels);
    refuse_twins(
        counters.chain(deltas.histograms.iter().map(|delta| &delta.labels)),
        &rules.dimensions,
    )?;
    Ok(deltas)
}

/// Whether a series has a sample soon after the start of the window.
fn began_soon(around_start: Option<&Series>, start_ms: u64) -> bool {
    around_start.is_some_and(|series| {
        series.samples.iter().any(|sample| sample.at_ms > start_ms)
            || series.histograms.iter().any(|sample| sample.at_ms > start_ms)
    })
}

/// What a series is counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Sample,
    Zero,
}

/// One series at the end of the window.
struct Place<'a> {
    labels: &'a Labels,
    origin: Origin,
    rules: &'a Rules,
}

impl Place<'_> {
    fn counter(&self, first: Option<&Series>, last: &Sample) -> Result<SeriesDelta, Unknown> {
        self.fresh(last.at_ms)?;
        let samples = first.map_or(&[][..], |series| &series.samples);
        let from = self.first_inside(samples, |sample| sample.at_ms, last.at_ms)?;
        increase(self.labels, from, last)
    }

    fn histogram(&self, first: Option<&Series>, last: &HistogramSample) -> Result<HistogramDelta, Unknown> {
        self.fresh(last.at_ms)?;
        let samples = first.map_or(&[][..], |series| &series.histograms);
        let from = self.first_inside(samples, |sample| sample.at_ms, last.at_ms)?;
        histogram::difference(self.labels, from, last).map_err(|unknown| unknown.of(&describe(self.labels)))
    }

    fn fresh(&self, at_ms: u64) -> Result<(), Unknown> {
        let age = self.rules.window.end_ms.saturating_sub(at_ms);
        if age <= self.rules.max_age_ms {
            return Ok(());
        }
        let detail = format!(
            "the newest sample of {} is {age} ms old, the limit is {} ms",
            describe(self.labels),
            self.rules.max_age_ms
        );
        Err(Unknown::new(UnknownReason::Stale, detail))
    }

    /// The first sample inside the window, before the last one.
    fn first_inside<'s, S>(
        &self,
        samples: &'s [S],
        at: impl Fn(&S) -> u64,
        last_ms: u64,
    ) -> Result<Option<&'s S>, Unknown> {
        if self.origin == Origin::Zero {
            return Ok(None);
        }
        let start_ms = self.rules.window.start_ms;
        match samples.iter().find(|sample| at(sample) > start_ms) {
            Some(sample) if at(sample) < last_ms => Ok(Some(sample)),
            Some(_) => {
                let detail = format!("{} has one sample since the window opened", describe(self.labels));
                Err(Unknown::new(UnknownReason::NotYetSampled, detail))
            }
            None if last_ms <= start_ms => {
                let detail = format!("{} has no sample since the window opened", describe(self.labels));
                Err(Unknown::new(UnknownReason::NotYetSampled, detail))
            }
            None => {
                let detail = format!(
                    "{} was not read for a while after the window opened",
                    describe(self.labels)
                );
                Err(Unknown::new(UnknownReason::StaleStart, detail))
            }
        }
    }
}

fn increase(labels: &Labels, from: Option<&Sample>, to: &Sample) -> Result<SeriesDelta, Unknown> {
    let value = |sample: &Sample| exact::count(&sample.text).map_err(|unknown| unknown.of(&describe(labels)));
    let before = from.map_or(Ok(0), value)?;
    let increase = value(to)?.checked_sub(before).ok_or_else(|| reset(&describe(labels)))?;
    let raw = |sample: &Sample| RawSample {
        at_ms: sample.at_ms,
        value: sample.text.clone(),
    };
    Ok(SeriesDelta {
        labels: labels.clone(),
        start: from.map(raw),
        end: raw(to),
        increase,
    })
}

/// A series with a sample in the window has an entry in the list of resets; without it nobody looked.
fn unwatched(labels: &Labels, watched: bool) -> Result<(), Unknown> {
    if watched {
        return Ok(());
    }
    let detail = format!(
        "{} is not in the list of resets, though it has samples in the window",
        describe(labels)
    );
    Err(Unknown::new(UnknownReason::Inconsistent, detail))
}

/// May a series without a sample at the start count from 0?
fn began(labels: &Labels, source_seen: bool, older: bool) -> Result<(), Unknown> {
    if older {
        let detail = format!(
            "{} existed before the window, but was not read when it opened",
            describe(labels)
        );
        return Err(Unknown::new(UnknownReason::StaleStart, detail));
    }
    if !source_seen {
        let detail = format!(
            "{} may have counted before the window: nothing was read when it opened",
            describe(labels)
        );
        return Err(Unknown::new(UnknownReason::StaleStart, detail));
    }
    Ok(())
}

/// Series with samples in the window that have none before its end.
fn ended(
    readings: &Readings,
    start: &BTreeMap<&Labels, &Series>,
    there: &BTreeSet<&Labels>,
    older: &BTreeSet<&Labels>,
    rules: &Rules,
) -> Result<Vec<SeriesDelta>, Unknown> {
    let gone = ended_inside(readings);
    if rules.vanished == Vanished::Refuse {
        // A series of the start that no list has at all was read before the window opened and never again.
        let at_end = by_labels(&readings.before_end);
        let silent = there.iter().find(|labels| !at_end.contains_key(**labels));
        return match gone.first().or(silent.copied()) {
            Some(labels) => Err(lost(labels)),
            None => Ok(Vec::new()),
        };
    }
    let found = by_labels(&readings.vanished);
    let source_seen = rules.beginning != Beginning::SeenWith || !there.is_empty();
    let delta = |labels: &Labels| {
        let to = found
            .get(labels)
            .and_then(|series| series.samples.last())
            .ok_or_else(|| lost(labels))?;
        if there.contains(labels) {
            let samples = start.get(labels).map_or(&[][..], |series| &series.samples);
            // A series with one sample inside is counted from that sample: no increase was seen.
            let from = samples
                .iter()
                .find(|sample| sample.at_ms > rules.window.start_ms)
                .unwrap_or(to);
            return increase(labels, Some(from), to);
        }
        began(
            labels,
            source_seen,
            older.contains(labels) && rules.beginning != Beginning::RevisionBorn,
        )?;
        increase(labels, None, to)
    };
    gone.iter().map(delta).collect()
}

fn lost(labels: &Labels) -> Unknown {
    let detail = format!(
        "{} ended before the window did: what it counted since is lost",
        describe(labels)
    );
    Unknown::new(UnknownReason::SeriesVanished, detail)
}

fn refuse_resets(resets: &[Instant]) -> Result<(), Unknown> {
    for instant in resets {
        let labels = counter_labels(&instant.labels);
        if exact::count(&instant.text).map_err(|unknown| unknown.of(&describe(&labels)))? > 0 {
            return Err(reset(&describe(&labels)));
        }
    }
    Ok(())
}

/// Nothing at the end at all: either nothing ever was, or the source is no longer read.
fn refuse_all_ended(readings: &Readings, end: &BTreeMap<&Labels, &Series>) -> Result<(), Unknown> {
    if !end.is_empty() {
        return Ok(());
    }
    if readings.resets.is_empty() && readings.around_start.is_empty() {
        return Err(Unknown::new(UnknownReason::Missing, "the source has no such series"));
    }
    Err(Unknown::new(
        UnknownReason::Stale,
        "no series has a sample near the end of the window",
    ))
}

fn reset(what: &str) -> Unknown {
    Unknown::new(
        UnknownReason::CounterReset,
        format_args!("{what} went back inside the window"),
    )
}

fn by_labels(series: &[Series]) -> BTreeMap<&Labels, &Series> {
    series.iter().map(|series| (&series.labels, series)).collect()
}

/// Labels of all series with a sample at or before the start.
fn keys_before(series: &[Series], start_ms: u64) -> BTreeSet<&Labels> {
    let before = |series: &&Series| {
        series.samples.first().is_some_and(|sample| sample.at_ms <= start_ms)
            || series.histograms.first().is_some_and(|sample| sample.at_ms <= start_ms)
    };
    series.iter().filter(before).map(|series| &series.labels).collect()
}
