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

use common::{START_MS, draft, keys, open, options};
use cycles::Cycles;
use penin_ledger::generations::{Predecessor, Successor, hand_over};
use penin_ledger::replay::{ReplayReport, States, replay};
use penin_ledger::{Draft, Kind, Ledger, MemoryAnchor, Options, RollbackQueue, Source, StateUpdate};
use serde_json::{Value, json};
use tempfile::tempdir;

const CYCLES: u64 = 100;
const SECOND: &str = "test.penin.ai/ledger/default/2";

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

/// The draft of the next cycle, with the state after it as the operator stores it.
fn recorded(cycles: &mut Cycles, n: u64) -> Draft {
    let mut draft = draft(Kind::GateEval, n);
    cycles.record(&mut draft, |_| {}).unwrap();
    draft.state = vec![StateUpdate {
        key: "cycle/3f0e".into(),
        value: n.to_be_bytes().to_vec(),
    }];
    draft
}

/// Seals a ledger of three cycles and begins the next generation.
fn two_generations(one: &Path, two: &Path, anchor: &MemoryAnchor, cycles: &mut Cycles) -> Ledger {
    let ledger = open(one, MemoryAnchor::default(), 1).unwrap();
    for n in 1..=3 {
        ledger.append(recorded(cycles, n)).wait().unwrap();
    }
    let next = Successor {
        origin: SECOND.into(),
        keys: keys().verifiers(),
    };
    let previous = hand_over(ledger, next, START_MS).unwrap();
    second(one, two, anchor, Some(previous))
}

/// Opens the second generation.
fn second(one: &Path, two: &Path, anchor: &MemoryAnchor, previous: Option<Predecessor>) -> Ledger {
    let options = Options {
        origin: SECOND.into(),
        previous,
        earlier: vec![one.to_owned()],
        ..options()
    };
    Ledger::open(two, keys(), Box::new(anchor.clone()), 1, options).unwrap()
}

fn settle(ledger: &Ledger) {
    while ledger.health().rollbacks_on_disk + ledger.health().rollbacks_in_memory > 0 {
        std::thread::yield_now();
    }
}

fn replayed_in_turn(directories: [&Path; 2]) -> [ReplayReport; 2] {
    let mut states = States::default();
    directories.map(|directory| {
        let source = Source::open(directory).unwrap();
        states.replay(&source, 0..u64::MAX, |_| {}).unwrap()
    })
}

#[test]
fn decisions_go_on_from_the_states_of_the_generation_before() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    let mut cycles = Cycles::start().unwrap();
    let ledger = two_generations(one.path(), two.path(), &MemoryAnchor::default(), &mut cycles);
    for n in 4..=6 {
        ledger.append(recorded(&mut cycles, n)).wait().unwrap();
    }
    ledger.close();
    for report in replayed_in_turn([one.path(), two.path()]) {
        assert_eq!((report.divergence, report.cycles), (None, 3));
    }
    // Begun anew instead: the generation agrees with itself, but not with the one before.
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    let start = || Cycles::start().unwrap();
    let ledger = two_generations(one.path(), two.path(), &MemoryAnchor::default(), &mut start());
    ledger.append(recorded(&mut start(), 4)).wait().unwrap();
    ledger.close();
    assert_eq!(replayed(two.path()).divergence, None);
    let [_, second] = replayed_in_turn([one.path(), two.path()]);
    let divergence = second.divergence.unwrap();
    assert_eq!(divergence.seq, 2);
    assert!(
        divergence.detail.starts_with("the state before"),
        "{}",
        divergence.detail
    );
}

/// A withdrawal waited while the ledger was away, and the entry that nobody was told of came before it.
#[test]
fn a_rollback_that_had_waited_stands_on_what_it_was_decided_on() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path(), MemoryAnchor::default(), 1).unwrap();
    let mut cycles = Cycles::start().unwrap();
    ledger.append(recorded(&mut cycles, 1)).wait().unwrap();
    // Both are decided on the state after the first one.
    let mut withdrawn = cycles.clone();
    let mut rollback = recorded(&mut withdrawn, 2);
    rollback.kind = Kind::Rollback;
    ledger.append(recorded(&mut cycles, 2)).wait().unwrap();
    ledger.queue_rollback(rollback).unwrap();
    settle(&ledger);
    // What it left is what the next one stands on.
    ledger.append(recorded(&mut withdrawn, 3)).wait().unwrap();
    ledger.close();
    let report = replayed(dir.path());
    assert_eq!((report.divergence, report.cycles), (None, 4));
}

#[test]
fn a_rollback_taken_over_too_late_sets_no_state() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    let mut cycles = Cycles::start().unwrap();
    let mut rollback = recorded(&mut Cycles::start().unwrap(), 1);
    rollback.kind = Kind::Rollback;
    let anchor = MemoryAnchor::default();
    let ledger = two_generations(one.path(), two.path(), &anchor, &mut cycles);
    ledger.append(recorded(&mut cycles, 4)).wait().unwrap();
    ledger.close();
    // Left in the queue of the archived generation by a process that still had it open.
    RollbackQueue::open(one.path()).push(rollback).unwrap();
    let ledger = second(one.path(), two.path(), &anchor, None);
    settle(&ledger);
    ledger.append(recorded(&mut cycles, 5)).wait().unwrap();
    ledger.close();
    let report = replayed(two.path());
    assert_eq!((report.divergence, report.cycles), (None, 3));
}
