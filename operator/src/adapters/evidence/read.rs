//! Reads what [`window::difference`] needs, in as few questions as it takes.
//!
//! Three questions at first, at pinned times: samples around the start, samples before the end, resets in between. Two
//! more only when a series began or ended inside the window. One selector names all counters of a source, so that the
//! counters of one target come from the same scrapes.

use futures::try_join;

use super::answer::{Instant, Labels, Series};
use super::labels::NAME;
use super::prometheus::Prometheus;
use super::promql::{self, Matcher, MetricName};
use super::window::{self, Beginning, Deltas, Readings, Rules, Vanished};
use crate::scoring::{QueryRecord, SourceRecord, Unknown, UnknownReason, Window};

/// How far back a series is looked for that was not there at the start of the window: 1 hour.
const LONG_LOOKBACK_MS: u64 = 3_600_000;
/// Most ended series that are read one by one.
const VANISHED_LIMIT: usize = 16;

/// Counters of one source for one purpose.
#[derive(Clone, Debug)]
pub struct CounterQuery {
    /// Integer counters.
    pub counters: Vec<MetricName>,
    /// Native histograms.
    pub histograms: Vec<MetricName>,
    /// Conditions that all series meet.
    pub matchers: Vec<Matcher>,
    /// What an ended series means.
    pub vanished: Vanished,
    /// What a missing first sample means.
    pub beginning: Beginning,
}

/// A named source and how fresh it must be.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name in the resource that configures it.
    pub name: String,
    /// The server.
    pub server: Prometheus,
    /// Oldest age of a sample that is still evidence, in milliseconds. Must exceed the scrape interval: a window needs
    /// one sample within this time after its start and one within this time before its end.
    pub max_age_ms: u64,
}

/// What was counted, with the record of how.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Increase of every series.
    pub deltas: Deltas,
    /// The record, for the snapshot.
    pub record: SourceRecord,
}

impl Source {
    /// Counts over a window.
    ///
    /// # Errors
    /// [`Unknown`] when any question or any series is; see [`window::difference`].
    pub async fn count(&self, purpose: &str, query: &CounterQuery, window: Window) -> Result<Counted, Unknown> {
        let mut record = SourceRecord::new(&self.name, purpose, window);
        let readings = self.read(query, window, &mut record).await?;
        let rules = Rules {
            window,
            max_age_ms: self.max_age_ms,
            vanished: query.vanished,
            beginning: query.beginning,
            dimensions: query
                .matchers
                .iter()
                .map(|matcher| matcher.label().to_owned())
                .collect(),
        };
        let deltas = window::difference(&readings, &rules)?;
        record.series = deltas.records();
        record.histograms = deltas
            .histograms
            .iter()
            .filter_map(super::histogram::HistogramDelta::record)
            .collect();
        Ok(Counted {
            deltas,
            record: record.compacted(),
        })
    }

    async fn read(&self, query: &CounterQuery, window: Window, record: &mut SourceRecord) -> Result<Readings, Unknown> {
        let Window { start_ms, end_ms } = window;
        let all = promql::selector(query.counters.iter().chain(&query.histograms), &query.matchers);
        let after_start = start_ms.saturating_add(self.max_age_ms).min(end_ms);
        let around = after_start.saturating_sub(start_ms.saturating_sub(self.max_age_ms));
        let start = note(record, format!("{all}{}", promql::range(around)), after_start);
        let end = note(record, format!("{all}{}", promql::range(self.max_age_ms)), end_ms);
        let resets = promql::resets(&query.counters, &query.matchers, window.length_ms());
        let resets = (!query.counters.is_empty()).then(|| note(record, resets, end_ms));
        let (around_start, before_end, resets) = try_join!(
            self.server.samples(&start, after_start),
            self.server.samples(&end, end_ms),
            self.resets(window, resets),
        )?;
        let mut readings = Readings {
            around_start,
            before_end,
            resets,
            ..Readings::default()
        };
        if query.beginning != Beginning::RevisionBorn && window::began_inside(&readings, start_ms) {
            let earlier = format!("last_over_time({all}{})", promql::range(LONG_LOOKBACK_MS));
            readings.long_before = self.server.present(&note(record, earlier, start_ms), start_ms).await?;
        }
        if query.vanished == Vanished::LastSample {
            readings.vanished = self.ended(&window::ended_inside(&readings), window, record).await?;
        }
        Ok(readings)
    }

    /// Native histograms are not asked for resets: where a proxy changes their resolution, the server sees one.
    async fn resets(&self, window: Window, question: Option<String>) -> Result<Vec<Instant>, Unknown> {
        match question {
            Some(question) => self.server.vector(&question, window.end_ms).await,
            None => Ok(Vec::new()),
        }
    }

    /// All samples in the window of series that have none before its end.
    async fn ended(&self, gone: &[Labels], window: Window, record: &mut SourceRecord) -> Result<Vec<Series>, Unknown> {
        if gone.len() > VANISHED_LIMIT {
            let detail = format!(
                "{} series ended inside the window, at most {VANISHED_LIMIT} are read",
                gone.len()
            );
            return Err(Unknown::new(UnknownReason::SeriesVanished, detail));
        }
        let mut all = Vec::new();
        for labels in gone {
            let name = MetricName::new(labels.get(NAME).map_or("", String::as_str))?;
            let matchers = labels.iter().filter(|(label, _)| *label != NAME);
            let matchers: Vec<Matcher> = matchers
                .map(|(label, value)| Matcher::equal(label, value))
                .collect::<Result<_, _>>()?;
            let expression = format!(
                "{}{}",
                promql::selector([&name], &matchers),
                promql::range(window.length_ms())
            );
            let found = self
                .server
                .samples(&note(record, expression, window.end_ms), window.end_ms)
                .await?;
            // A label that the series does not have matches none of these conditions, so others may be found too.
            all.extend(found.into_iter().filter(|series| series.labels == *labels));
        }
        Ok(all)
    }
}

/// Writes a question into the record.
pub(super) fn note(record: &mut SourceRecord, expression: String, at_ms: u64) -> String {
    record.queries.push(QueryRecord {
        expression: expression.clone(),
        at_ms,
    });
    expression
}
