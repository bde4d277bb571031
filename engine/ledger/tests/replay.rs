//! Recorded engine cycles run again to the same hashes, and an altered input is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

#[path = "../examples/produce/cycles.rs"]
#[allow(dead_code, reason = "the example uses more of it")]
mod cycles;

use std::path::Path;

use common::{draft, open};
use cycles::Cycles;
use penin_ledger::replay::{ReplayReport, replay};
use penin_ledger::{Draft, Kind, MemoryAnchor, Source};
use serde_json::{Value, json};
use tempfile::tempdir;

const CYCLES: u64 = 100;

/// A ledger of a hundred cycles; `change` sees each draft before it is written, with its number.
fn write(dir: &Path, alter: impl Fn(u64, &mut Value), change: impl Fn(u64, &mut Draft)) {
    let ledger = open(dir, MemoryAnchor::default(), 1).unwrap();
    let mut cycles = Cycles::start().unwrap();
    for n in 1..=CYCLES {
        let mut draft = draft(Kind::GateEval, n);
        cycles.record(&mut draft, |input| alter(n, input)).unwrap();
        change(n, &mut draft);
        ledger.append(draft).wait().unwrap();
    }
    ledger.close();
}

fn replayed(dir: &Path) -> ReplayReport {
    replay(&Source::open(dir).unwrap(), 0..u64::MAX, |_| {}).unwrap()
}

/// Writes a ledger with one change and expects the replay to stop at entry `seq`. The first entry is GENESIS, so that
/// cycle n is entry n.
fn stops_at(seq: u64, alter: impl Fn(u64, &mut Value), change: impl Fn(u64, &mut Draft)) -> String {
    let dir = tempdir().unwrap();
    write(dir.path(), alter, change);
    let report = replayed(dir.path());
    let divergence = report.divergence.unwrap();
    assert_eq!((divergence.seq, report.cycles), (seq, seq - 1), "{}", divergence.detail);
    divergence.detail
}

#[test]
fn a_hundred_cycles_replay_to_equal_hashes() {
    let dir = tempdir().unwrap();
    write(dir.path(), |_, _| {}, |_, _| {});
    let report = replayed(dir.path());
    assert_eq!(report.divergence, None);
    assert_eq!((report.cycles, report.without_inputs), (CYCLES, 0));
    assert!(report.events >= CYCLES);
    let exported = tempdir().unwrap();
    penin_ledger::export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    assert_eq!(replayed(exported.path()), report);
}

#[test]
fn one_altered_input_is_caught_and_its_entry_named() {
    let alter = |n: u64, input: &mut Value| {
        if n == 60 {
            input["resources"]["cpu"] = json!(0.41);
        }
    };
    let detail = stops_at(60, alter, |_, _| {});
    assert!(detail.starts_with("event "), "{detail}");
}

#[test]
fn an_event_that_is_shown_otherwise_than_hashed_is_caught() {
    let change = |n: u64, draft: &mut Draft| {
        if n == 7 {
            draft.body["events"][0]["forged"] = json!(true);
        }
    };
    let detail = stops_at(7, |_, _| {}, change);
    assert!(detail.contains("not those that were hashed"), "{detail}");
}

#[test]
fn a_state_that_no_decision_left_is_caught() {
    // The cycle before is recorded without its material: a gap in the chain of states.
    let dir = tempdir().unwrap();
    write(
        dir.path(),
        |_, _| {},
        |n, draft| {
            if n == 9 {
                draft.body["outcome"]["postStateHash"] = json!("0".repeat(64));
            }
        },
    );
    assert!(
        replayed(dir.path())
            .divergence
            .unwrap()
            .detail
            .starts_with("state after")
    );
    let skipped = tempdir().unwrap();
    write(
        skipped.path(),
        |_, _| {},
        |n, draft| {
            if n == 9 {
                draft.blobs.clear();
            }
        },
    );
    let report = replayed(skipped.path());
    assert_eq!(report.without_inputs, 1);
    let divergence = report.divergence.unwrap();
    assert_eq!(divergence.seq, 10);
    assert!(
        divergence.detail.starts_with("the state before"),
        "{}",
        divergence.detail
    );
}
