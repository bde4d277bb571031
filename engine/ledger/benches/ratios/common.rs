//! What the measurements share.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use penin_ledger::{Anchor, Blob, Digest, Draft, Keys, Kind, Ledger, MemoryAnchor, Options, Subject};

const START_MS: i64 = 1_790_000_000_000;

pub fn draft(kind: Kind, n: u64) -> Draft {
    let subject = Subject {
        name: format!("registry.example/ranker:{n}"),
        sha256: Digest::of(&n.to_be_bytes()),
    };
    let mut draft = Draft::new(kind, subject, START_MS);
    let gate = serde_json::json!([{"name": "rho", "status": "Pass", "value": 0.5}]);
    draft.body.insert("gates".into(), gate);
    draft
}

pub fn open(dir: &Path, anchor: Box<dyn Anchor>) -> Ledger {
    let mut options = Options::new("bench.penin.ai/ledger", START_MS);
    options.any_filesystem = true;
    Ledger::open(dir, Keys::generate([1; 64]), anchor, 1, options).unwrap()
}

/// A closed ledger of `entries`, every hundredth with a blob of its own.
pub fn ledger(dir: &Path, entries: u64) {
    let ledger = open(dir, Box::new(MemoryAnchor::default()));
    let mut window = VecDeque::new();
    for n in 1..entries {
        let mut draft = draft(Kind::GateEval, n);
        if n.is_multiple_of(100) {
            draft.blobs.push(Blob {
                name: "evidence".into(),
                media_type: "application/json".into(),
                content: format!("{{\"samples\":\"{n}\"}}").into_bytes(),
            });
        }
        window.push_back(ledger.append(draft));
        if window.len() > 500 {
            window.pop_front().unwrap().wait().unwrap();
        }
    }
    for ticket in window {
        ticket.wait().unwrap();
    }
    ledger.close();
}

/// Median in microseconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// Median of plain numbers.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
