//! The configuration that decides a cycle, as an entry of the ledger whenever it has changed.
//!
//! Every judgement carries its configuration, but only who compares two of them sees that it changed in between, and by
//! what. So a CONFIG entry stands before the first judgement under another configuration that raises or holds; the book
//! remembers which one was recorded last. What takes traffic away waits for no entry, so it may stand before.

use std::time::Duration;

use jiff::Timestamp;
use penin_engine::config::Config;
use penin_ledger::{Digest, Kind};
use serde_json::{Value, json};

use super::book::Book;
use super::plan::{Action, Plan, Record};
use super::records;
use super::settings::Settings;
use super::snapshot::Snapshot;

/// How often it is tried again while the ledger takes nothing.
const RETRY: Duration = Duration::from_secs(10);

/// What decides beside the engine's configuration, which holds the last canary step alone: all steps, and where each
/// score comes from.
#[must_use]
pub fn specification(settings: &Settings) -> Value {
    json!({"canary": settings.spec.canary, "scores": settings.spec.scores})
}

/// Digest of everything that decides: the engine's configuration with [`specification`].
#[must_use]
pub fn digest(config: &Config, settings: &Settings) -> String {
    let document = json!({"config": config.hash().to_string(), "specification": specification(settings)});
    Digest::of(&records::canonical(&document)).to_string()
}

/// The same plan, or the entry that has to stand before what it records.
#[must_use]
pub fn recorded(plan: Plan, snapshot: &Snapshot, now: Timestamp) -> Plan {
    let (Ok(settings), Ok(Some(book)), Ok(config)) = (&snapshot.settings, &snapshot.book, &snapshot.gates.config)
    else {
        return plan;
    };
    let gives_way = match &plan.action {
        Action::None => true,
        Action::Record(record) => plan.judged.is_some() && record.withdrawal.is_none(),
        Action::Write(_) | Action::Measure(_) => false,
    };
    if !gives_way || snapshot.deleting {
        return plan;
    }
    let digest = digest(config, settings);
    if book.configuration.as_ref() == Some(&digest) {
        return plan;
    }
    // A judgement never goes first, also when the ledger is well again by the time that it is recorded.
    if snapshot.ledger.problem.is_some() && plan.action == Action::None {
        let recheck = plan.recheck.min(RETRY);
        return Plan { recheck, ..plan };
    }
    let record = entry(snapshot, settings, book, config, digest, now);
    Plan {
        action: Action::Record(Box::new(record)),
        judged: None,
        ..plan
    }
}

/// CONFIG: another configuration decides from here on. `digest` is that of [`digest()`]. Who changed it is
/// not known: the API server tells a controller what an object is, not by whom.
fn entry(
    snapshot: &Snapshot,
    settings: &Settings,
    book: &Book,
    config: &Config,
    digest: String,
    now: Timestamp,
) -> Record {
    let life = book.life.as_ref();
    let body = json!({
        "message": "Another configuration decides from here on",
        "configuration": digest,
        "before": book.configuration,
        "configHash": config.hash().to_string(),
        "generation": snapshot.key.generation.to_string(),
        "gates": snapshot.gates.names,
        "challenger": life.map(|life| &life.challenger),
    });
    let trace = life.map_or(&snapshot.key.uid, |life| &life.challenger.uid);
    let mut draft = records::draft(snapshot, Kind::Config, &book.champion, trace, now, body);
    draft.blobs = vec![
        records::blob("config", &serde_json::to_value(config).unwrap_or_default()),
        records::blob("specification", &specification(settings)),
        records::declared(snapshot),
    ];
    let book = Book {
        configuration: Some(digest),
        ..book.clone()
    };
    Record {
        draft,
        book: Some(book),
        withdrawal: None,
    }
}
