//! Reading all evidence of one judgement: every source at one pinned time, side by side.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use penin_api::v1alpha1::PeninCycle;
use penin_api::v1alpha1::cycle::{EvidencePreset, EvidenceSource, RatioEvidence};

use crate::adapters::evidence::envoy::{self, Gateways, TrafficQuestion};
use crate::adapters::evidence::model::{self, Revision};
use crate::adapters::evidence::prometheus::{Prometheus, QueryLimits};
use crate::adapters::evidence::ratio::{self, Ratio, Selector, Variables};
use crate::adapters::evidence::read::Source;
use crate::adapters::evidence::resources::{self, TemplateLimits};
use crate::adapters::evidence::window::{Beginning, Vanished};
use crate::controllers::cycle::plan::Measure;
use crate::controllers::cycle::snapshot::Snapshot;
use crate::scoring::{Evidence, Measured, RatioCounts, Reading, SourceRecord, TrafficCounts, Unknown, UnknownReason, Window};

/// Most clients that are kept. One a server and timeout; more than these start again.
const MOST_CLIENTS: usize = 64;

/// Reads evidence. Connections to sources are kept between readings.
#[derive(Debug, Default)]
pub struct EvidenceService {
    clients: Mutex<BTreeMap<(String, u64), Prometheus>>,
}

/// A reading with the records of how it came about.
struct Read<T> {
    value: Reading<T>,
    records: Vec<SourceRecord>,
}

impl<T> Read<T> {
    fn of(result: Result<(T, SourceRecord), Unknown>) -> Self {
        match result {
            Ok((value, record)) => Self { value: Reading::Known(value), records: vec![record] },
            Err(unknown) => Self { value: Reading::Unknown(unknown), records: Vec::new() },
        }
    }

    const fn unknown(unknown: Unknown) -> Self {
        Self { value: Reading::Unknown(unknown), records: Vec::new() }
    }
}

/// One judgement's question.
struct Ask<'a> {
    snapshot: &'a Snapshot,
    cycle: &'a PeninCycle,
    measure: &'a Measure,
    traffic: Window,
    quality: Window,
}

impl EvidenceService {
    /// All evidence that `measure` asks for. What cannot be read is Unknown with its reason; nothing fails.
    pub async fn measure(&self, snapshot: &Snapshot, cycle: &PeninCycle, measure: &Measure) -> Evidence {
        let windows = (window(measure.traffic_since, measure.until), window(measure.quality_since, measure.until));
        let (Ok(traffic), Ok(quality)) = windows else {
            let unknown = windows.0.err().or(windows.1.err());
            let reason = unknown.unwrap_or_else(|| Unknown::new(UnknownReason::InvalidQuery, "the window has no length"));
            return nothing(measure, &reason);
        };
        let ask = Ask { snapshot, cycle, measure, traffic, quality };
        let (requests, candidate, reference) = tokio::join!(
            self.requests(&ask),
            self.quality(&ask, &measure.candidate, "candidate"),
            async {
                match &measure.reference {
                    Some(name) => Some(self.quality(&ask, name, "reference").await),
                    None => None,
                }
            }
        );
        let (mut candidate, mut records) = candidate;
        candidate.traffic = requests.candidate;
        let reference = reference.map(|(mut reference, more)| {
            reference.traffic = requests.reference.unwrap_or_else(|| Reading::no_source("requests"));
            records.extend(more);
            reference
        });
        records.extend(requests.records);
        Evidence { traffic_window: traffic, quality_window: quality, candidate, reference, records }
    }

    async fn requests(&self, ask: &Ask<'_>) -> envoy::Traffic {
        let source = match self.preset(ask.cycle, EvidencePreset::EnvoyGateway, "requests") {
            Ok(source) => source,
            Err(unknown) => {
                let reference = ask.measure.reference.as_ref().map(|_| Reading::Unknown(unknown.clone()));
                return envoy::Traffic { candidate: Reading::Unknown(unknown), reference, records: Vec::new() };
            }
        };
        let question = TrafficQuestion {
            candidate: &ask.measure.candidate,
            reference: ask.measure.reference.as_deref(),
            mirrored: ask.measure.mirrored,
            window: ask.traffic,
        };
        envoy::traffic(&source, &gateways(ask), &question).await
    }

    /// Everything about one revision but its requests.
    async fn quality(&self, ask: &Ask<'_>, revision: &str, purpose: &str) -> (Measured, Vec<SourceRecord>) {
        let (predictions, use_of_resources, ratios) = tokio::join!(
            self.predictions(ask, revision, purpose),
            self.resources(ask, revision, purpose),
            self.ratios(ask, revision, purpose),
        );
        let mut records = predictions.records;
        records.extend(use_of_resources.records);
        let mut values = BTreeMap::new();
        for (name, ratio) in ratios {
            records.extend(ratio.records);
            values.insert(name, ratio.value);
        }
        let measured = Measured {
            revision: revision.to_owned(),
            traffic: Reading::<TrafficCounts>::no_source("requests"),
            model: predictions.value,
            ratios: values,
            resources: use_of_resources.value,
        };
        (measured, records)
    }

    async fn predictions(&self, ask: &Ask<'_>, revision: &str, purpose: &str) -> Read<crate::scoring::ModelCounts> {
        match self.preset(ask.cycle, EvidencePreset::ModelCounters, "predictions") {
            Err(unknown) => Read::unknown(unknown),
            Ok(source) => Read::of(model::predictions(&source, &side(ask, revision, purpose), ask.quality).await),
        }
    }

    async fn resources(&self, ask: &Ask<'_>, revision: &str, purpose: &str) -> Read<crate::scoring::ResourceUse> {
        let limits = ask.snapshot.revision(revision).deployment.map(|deployment| deployment.limits).unwrap_or_default();
        let limits = TemplateLimits { cpu_cores: limits.0, memory_bytes: limits.1 };
        match self.preset(ask.cycle, EvidencePreset::ModelCounters, "resources") {
            Err(unknown) => Read::unknown(unknown),
            Ok(source) => Read::of(resources::resources(&source, &side(ask, revision, purpose), limits, ask.traffic).await),
        }
    }

    async fn ratios(&self, ask: &Ask<'_>, revision: &str, purpose: &str) -> Vec<(String, Read<RatioCounts>)> {
        let mut all = Vec::new();
        for source in &ask.cycle.spec.evidence {
            if let Some(ratio) = &source.ratio {
                all.push((source.name.clone(), self.ratio(ask, source, ratio, revision, purpose).await));
            }
        }
        all
    }

    async fn ratio(
        &self,
        ask: &Ask<'_>,
        named: &EvidenceSource,
        of: &RatioEvidence,
        revision: &str,
        purpose: &str,
    ) -> Read<RatioCounts> {
        let source = match self.source(named) {
            Ok(source) => source,
            Err(unknown) => return Read::unknown(unknown),
        };
        let variables = Variables { namespace: &ask.snapshot.key.namespace, service: revision, revision };
        let selectors = Selector::parse(&of.good).and_then(|good| Ok(Ratio { good, total: Selector::parse(&of.total)? }));
        let ratio = match selectors {
            Ok(ratio) => ratio,
            Err(unknown) => return Read::unknown(unknown),
        };
        let side = side(ask, revision, purpose);
        let role = (side.purpose, side.vanished, side.beginning);
        match ratio::ratio(&source, &ratio, &variables, role, ask.traffic).await {
            Ok((counts, records)) => Read { value: Reading::Known(counts), records },
            Err(unknown) => Read::unknown(unknown),
        }
    }

    /// The source with a preset.
    fn preset(&self, cycle: &PeninCycle, preset: EvidencePreset, what: &str) -> Result<Source, Unknown> {
        let named = cycle.spec.evidence.iter().find(|source| source.preset == Some(preset));
        match named {
            Some(named) => self.source(named),
            None => Err(Unknown::new(UnknownReason::NoSource, format_args!("spec.evidence names no source for {what}"))),
        }
    }

    fn source(&self, named: &EvidenceSource) -> Result<Source, Unknown> {
        let settings = &named.prometheus;
        let key = (settings.address.clone(), settings.timeout.as_millis());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.contains_key(&key) && clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let server = match clients.get(&key) {
            Some(server) => server.clone(),
            None => {
                let attempt = settings.timeout.to_std();
                let limits = QueryLimits { attempt, deadline: attempt * 2 + QueryLimits::default().pause, ..QueryLimits::default() };
                let server = Prometheus::new(&settings.address, limits)
                    .map_err(|error| Unknown::new(UnknownReason::InvalidQuery, error))?;
                clients.insert(key, server.clone());
                server
            }
        };
        Ok(Source { name: named.name.clone(), server, max_age_ms: settings.max_age.as_millis() })
    }
}

/// How the series of a revision are read in its role: a challenger that lost a pod lost evidence with it; of a
/// reference, what was last seen counts.
fn side<'a>(ask: &'a Ask<'_>, revision: &'a str, purpose: &'a str) -> Revision<'a> {
    let candidate = purpose == "candidate";
    Revision {
        namespace: &ask.snapshot.key.namespace,
        name: revision,
        purpose,
        vanished: if candidate { Vanished::Refuse } else { Vanished::LastSample },
        // A challenger's pods are younger than its window, which opens with its life.
        beginning: if candidate && ask.measure.reference.is_some() { Beginning::RevisionBorn } else { Beginning::SourceSeen },
    }
}

fn gateways(ask: &Ask<'_>) -> Gateways {
    let namespace = &ask.snapshot.key.namespace;
    let parents = ask.cycle.spec.traffic.gateway.iter().flat_map(|gateway| &gateway.parent_refs);
    Gateways {
        namespace: namespace.clone(),
        port: ask.cycle.spec.service.port,
        gateways: parents
            .map(|parent| (parent.namespace.clone().unwrap_or_else(|| namespace.clone()), parent.name.clone()))
            .collect(),
    }
}

fn window(start: Timestamp, end: Timestamp) -> Result<Window, Unknown> {
    let millis = |time: Timestamp| u64::try_from(time.as_millisecond()).unwrap_or(0);
    Window::new(millis(start), millis(end))
}

/// Evidence of a question that cannot be asked.
fn nothing(measure: &Measure, unknown: &Unknown) -> Evidence {
    let side = |name: &str| Measured {
        traffic: Reading::Unknown(unknown.clone()),
        model: Reading::Unknown(unknown.clone()),
        resources: Reading::Unknown(unknown.clone()),
        ..Measured::nothing(name)
    };
    let end_ms = u64::try_from(measure.until.as_millisecond()).unwrap_or(0);
    let empty = Window { start_ms: end_ms, end_ms };
    Evidence {
        traffic_window: empty,
        quality_window: empty,
        candidate: side(&measure.candidate),
        reference: measure.reference.as_deref().map(side),
        records: Vec::new(),
    }
}
