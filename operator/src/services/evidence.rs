//! Reading all evidence of one judgement, with connections that are kept between readings.

use jiff::Timestamp;
use penin_api::v1alpha1::PeninCycle;

use crate::adapters::evidence::collect::{Question, Servers, Sources};
use crate::adapters::evidence::resources::TemplateLimits;
use crate::controllers::cycle::plan::Measure;
use crate::controllers::cycle::snapshot::Snapshot;
use crate::scoring::{Evidence, Measured, Reading, Unknown, UnknownReason, Window};

/// Reads evidence.
#[derive(Debug, Default)]
pub struct EvidenceService {
    servers: Servers,
}

impl EvidenceService {
    /// All evidence that `measure` asks for. What cannot be read is unknown with its reason; nothing fails.
    pub async fn measure(&self, snapshot: &Snapshot, cycle: &PeninCycle, measure: &Measure) -> Evidence {
        let invalid = |problems: Vec<String>| Unknown::new(UnknownReason::InvalidQuery, problems.join("; "));
        let sources =
            Sources::of(&snapshot.key.namespace, &snapshot.key.name, &cycle.spec, &self.servers).map_err(invalid);
        let (cpu_cores, memory_bytes) = snapshot
            .revision(&measure.candidate)
            .deployment
            .map(|deployment| deployment.limits)
            .unwrap_or_default();
        let question = Question {
            candidate: &measure.candidate,
            reference: measure.reference.as_deref(),
            mirrored: measure.mirrored,
            born_inside: measure.born_inside,
            limits: TemplateLimits {
                cpu_cores,
                memory_bytes,
            },
            traffic_since_ms: milliseconds(measure.traffic_since),
            quality_since_ms: milliseconds(measure.quality_since),
            until_ms: milliseconds(measure.until),
        };
        let collected = match sources {
            Ok(sources) => Box::pin(sources.collect(&question)).await,
            Err(unknown) => Err(unknown),
        };
        collected.unwrap_or_else(|unknown| nothing(measure, &unknown))
    }
}

fn milliseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

/// Evidence of a question that could not be asked.
fn nothing(measure: &Measure, unknown: &Unknown) -> Evidence {
    let side = |name: &str| Measured {
        traffic: Reading::Unknown(unknown.clone()),
        model: Reading::Unknown(unknown.clone()),
        resources: Reading::Unknown(unknown.clone()),
        ..Measured::nothing(name)
    };
    let end_ms = milliseconds(measure.until);
    let empty = Window {
        start_ms: end_ms,
        end_ms,
    };
    Evidence {
        traffic_window: empty,
        quality_window: empty,
        candidate: side(&measure.candidate),
        reference: measure.reference.as_deref().map(side),
        records: Vec::new(),
    }
}
