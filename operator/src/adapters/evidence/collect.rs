//! All evidence of one judgement: the sources of a cycle, asked at one pinned time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::{OptionFuture, join_all};
use futures::join;
use penin_api::v1alpha1::PeninCycleSpec;
use penin_api::v1alpha1::cycle::{EvidencePreset, EvidenceSource};

use super::envoy::{self, Gateways, TrafficQuestion};
use super::model::{self, Revision};
use super::prometheus::{AddressError, Prometheus, QueryLimits};
use super::ratio::{self, Ratio, Selector, Variables};
use super::read::Source;
use super::resources::{self, TemplateLimits};
use super::window::{Beginning, Vanished};
use crate::scoring::{Evidence, Measured, RatioCounts, Reading, SourceRecord, Unknown, UnknownReason, Window};

/// How long before the pinned time a window ends. A scrape is stamped with its beginning and stored at its end; without
/// this pause two questions at the same time could see different scrapes.
const COMMIT_PAUSE_MS: u64 = 1_000;
/// Most servers whose connections are kept.
const SERVER_LIMIT: usize = 64;

/// Connections to servers, shared by all cycles.
#[derive(Debug, Default)]
pub struct Servers {
    known: Mutex<BTreeMap<(String, Duration), Prometheus>>,
}

impl Servers {
    /// The client of the server at `address`, with the longest time of one query.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn get(&self, address: &str, timeout: Duration) -> Result<Prometheus, AddressError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.to_owned(), timeout);
        if let Some(client) = known.get(&key) {
            return Ok(client.clone());
        }
        let limits = QueryLimits {
            attempt: timeout,
            deadline: timeout * 2 + Duration::from_secs(1),
            ..QueryLimits::default()
        };
        let client = Prometheus::new(address, limits)?;
        if known.len() >= SERVER_LIMIT {
            known.pop_first();
        }
        known.insert(key, client.clone());
        Ok(client)
    }
}

/// The sources of one cycle.
#[derive(Clone, Debug)]
pub struct Sources {
    place: Gateways,
    gateway: Option<Source>,
    model: Option<Source>,
    ratios: Vec<(Source, Ratio)>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The revision that is judged.
    pub candidate: &'a str,
    /// The revision that it is compared with; none when nothing else serves, or when its evidence is frozen.
    pub reference: Option<&'a str>,
    /// Whether the candidate's requests are copies of live ones.
    pub mirrored: bool,
    /// Whether the candidate's pods were started inside the quality window, so that their counters began at 0 in it.
    pub born_inside: bool,
    /// Limits in the candidate's pod template.
    pub limits: TemplateLimits,
    /// Start of the traffic window, in milliseconds since the epoch.
    pub traffic_since_ms: u64,
    /// Start of the quality window.
    pub quality_since_ms: u64,
    /// The pinned time: both windows end shortly before it.
    pub until_ms: u64,
}

impl Sources {
    /// The sources that a cycle names. `name` is the cycle's, and the route's.
    ///
    /// # Errors
    /// Every source that cannot be used, with its field.
    pub fn of(namespace: &str, name: &str, cycle: &PeninCycleSpec, servers: &Servers) -> Result<Self, Vec<String>> {
        let parents = cycle.traffic.gateway.iter().flat_map(|gateway| &gateway.parent_refs);
        let gateways = parents.map(|parent| {
            (
                parent.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
                parent.name.clone(),
            )
        });
        let place = Gateways {
            namespace: namespace.to_owned(),
            route: name.to_owned(),
            port: cycle.service.port,
            gateways: gateways.collect(),
        };
        let mut sources = Self {
            place,
            gateway: None,
            model: None,
            ratios: Vec::new(),
        };
        let mut problems = Vec::new();
        for (index, entry) in cycle.evidence.iter().enumerate() {
            if let Err(problem) = sources.add(entry, servers) {
                problems.push(format!("spec.evidence[{index}]{problem}"));
            }
        }
        if problems.is_empty() {
            Ok(sources)
        } else {
            Err(problems)
        }
    }

    fn add(&mut self, entry: &EvidenceSource, servers: &Servers) -> Result<(), String> {
        let server = servers
            .get(&entry.prometheus.address, entry.prometheus.timeout.to_std())
            .map_err(|error| format!(".prometheus.address: {error}"))?;
        let source = Source {
            name: entry.name.clone(),
            server,
            max_age_ms: entry.prometheus.max_age.as_millis(),
        };
        match (entry.preset, &entry.ratio) {
            (Some(EvidencePreset::EnvoyGateway), None) => self.gateway = Some(source),
            (Some(EvidencePreset::ModelCounters), None) => self.model = Some(source),
            (None, Some(ratio)) => {
                let read = |field: &str, text: &str| {
                    Selector::parse(text).map_err(|unknown| format!(".ratio.{field}: {}", unknown.detail))
                };
                let ratio = Ratio {
                    good: read("good", &ratio.good)?,
                    total: read("total", &ratio.total)?,
                };
                self.ratios.push((source, ratio));
            }
            _ => return Err(": must have exactly one of `preset` and `ratio`".to_owned()),
        }
        Ok(())
    }

    /// Asks all sources at once. What a source cannot answer is unknown in its place; the rest is known.
    ///
    /// # Errors
    /// [`UnknownReason::NotYetSampled`] right after a window was opened, [`UnknownReason::InvalidQuery`] for a window that
    /// is none.
    pub async fn collect(&self, question: &Question<'_>) -> Result<Evidence, Unknown> {
        let end_ms = question.until_ms.saturating_sub(COMMIT_PAUSE_MS);
        if end_ms <= question.traffic_since_ms.max(question.quality_since_ms) {
            return Err(Unknown::new(
                UnknownReason::NotYetSampled,
                "the window was opened a moment ago",
            ));
        }
        let traffic_window = Window::new(question.traffic_since_ms, end_ms)?;
        let quality_window = Window::new(question.quality_since_ms, end_ms)?;
        let candidate = self.revision(question.candidate, "candidate", Vanished::Refuse, question.born_inside);
        let reference = question
            .reference
            .map(|name| self.revision(name, "reference", Vanished::LastSample, false));
        let traffic = TrafficQuestion {
            candidate: question.candidate,
            reference: question.reference,
            mirrored: question.mirrored,
            window: traffic_window,
        };
        let (traffic, candidate, reference) = join!(
            OptionFuture::from(
                self.gateway
                    .as_ref()
                    .map(|source| envoy::traffic(source, &self.place, &traffic))
            ),
            self.measured(&candidate, (traffic_window, quality_window), Some(question.limits)),
            OptionFuture::from(reference.as_ref().map(|side| self.measured(
                side,
                (traffic_window, quality_window),
                None
            ))),
        );
        let (mut candidate, mut records) = candidate;
        let mut reference = reference.map(|(reference, more)| {
            records.extend(more);
            reference
        });
        if let Some(traffic) = traffic {
            candidate.traffic = traffic.candidate;
            if let (Some(reference), Some(counts)) = (&mut reference, traffic.reference) {
                reference.traffic = counts;
            }
            records.extend(traffic.records);
        }
        Ok(Evidence {
            traffic_window,
            quality_window,
            candidate,
            reference,
            records,
        })
    }

    fn revision<'a>(&'a self, name: &'a str, purpose: &'a str, vanished: Vanished, born: bool) -> Revision<'a> {
        let beginning = if born {
            Beginning::RevisionBorn
        } else {
            Beginning::SeenWith
        };
        Revision {
            namespace: &self.place.namespace,
            name,
            purpose,
            vanished,
            beginning,
        }
    }

    /// Everything about one revision but its traffic.
    async fn measured(
        &self,
        revision: &Revision<'_>,
        (traffic, quality): (Window, Window),
        limits: Option<TemplateLimits>,
    ) -> (Measured, Vec<SourceRecord>) {
        let predictions = self
            .model
            .as_ref()
            .map(|source| model::predictions(source, revision, quality));
        let resources = self.model.as_ref().zip(limits);
        let resources = resources.map(|(source, limits)| resources::resources(source, revision, limits, traffic));
        let ratios = self
            .ratios
            .iter()
            .map(|(source, ratio)| self.ratio(source, ratio, revision, traffic));
        let (predictions, resources, ratios) = join!(
            OptionFuture::from(predictions),
            OptionFuture::from(resources),
            join_all(ratios)
        );
        let mut measured = Measured::nothing(revision.name);
        let mut records = Vec::new();
        if let Some(predictions) = predictions {
            measured.model = keep(predictions, &mut records);
        }
        if let Some(resources) = resources {
            measured.resources = keep(resources, &mut records);
        }
        for ((source, _), (ratio, more)) in self.ratios.iter().zip(ratios) {
            records.extend(more);
            measured.ratios.insert(source.name.clone(), ratio);
        }
        (measured, records)
    }

    async fn ratio(
        &self,
        source: &Source,
        ratio: &Ratio,
        revision: &Revision<'_>,
        window: Window,
    ) -> (Reading<RatioCounts>, Vec<SourceRecord>) {
        // The Service of a revision has the revision's name.
        let variables = Variables {
            namespace: revision.namespace,
            service: revision.name,
            revision: revision.name,
        };
        let purpose = format!("ratio/{}/{}", source.name, revision.purpose);
        // The traffic window opens after the birth of a revision: a counter may have begun before it, or with its first
        // event inside it.
        let beginning = match revision.beginning {
            Beginning::RevisionBorn => Beginning::SourceSeen,
            other => other,
        };
        let how = (purpose.as_str(), revision.vanished, beginning);
        match ratio::ratio(source, ratio, &variables, how, window).await {
            Ok((counts, records)) => (Reading::Known(counts), records),
            Err(unknown) => (Reading::Unknown(unknown.of(&source.name)), Vec::new()),
        }
    }
}

fn keep<T>(result: Result<(T, SourceRecord), Unknown>, records: &mut Vec<SourceRecord>) -> Reading<T> {
    match result {
        Ok((value, record)) => {
            records.push(record);
            Reading::Known(value)
        }
        Err(unknown) => Reading::Unknown(unknown),
    }
}
