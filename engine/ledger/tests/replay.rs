//! Recorded engine cycles run again to the same hashes, and an altered input is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::Path;

use common::{draft, open};
use penin_engine::config::Config;
use penin_engine::event;
use penin_engine::master::{CycleInput, State, commit, run_cycle};
use penin_ledger::replay::{CONFIG, CYCLE_INPUT, replay};
use penin_ledger::{Blob, Digest, Draft, Kind, MemoryAnchor, Source, StateUpdate};
use serde_json::{Value, json};
use tempfile::tempdir;

const CYCLES: u64 = 100;

fn evidence(n: u64) -> Value {
    let x = f64::from(u32::try_from(n % 17).unwrap()) / 100.0;
    json!({
        "candidate": {"name": format!("v{n}")},
        "stage": "direct",
        "cost": 0.1,
        "metrics": {"rsi": 0.8 + x / 4.0, "synergy": 0.8, "novelty": 0.75, "stability": 0.87, "viability": 0.85, "cost": 0.2},
        "caos": {"c": 0.9, "a": 0.6, "o": 0.5, "s": 0.8},
        "sr": {"calibration": 0.95, "ethics": 1, "autocorrection": 0.85, "metacognition": 0.8},
        "modules": {"ethics": 1, "contractivity": 0.95, "league": 1, "caos": 0.9, "sr": 0.95, "meta": 0.9, "tuning": 1, "router": 0.95},
        "oci": {"memory": 1, "flow": 0.98, "policy": 1, "feedback": 0.95},
        "ethics": {"ece": 0.006, "rhoBias": 1.02, "fairness": 0.97, "consent": true, "ecoOk": true, "unknown": {}},
        "risk": {"rho": 0.9, "uncertainty": 0.2, "series": []},
        "resources": {"cpu": 0.4, "mem": 0.5, "ageSeconds": 5},
        "league": {"status": "Pass", "reason": "STAGE_PASSED"},
    })
}

fn json_blob(name: &str, document: &Value) -> Blob {
    Blob {
        name: name.into(),
        media_type: "application/json".into(),
        content: event::canonical(document).unwrap().into_bytes(),
    }
}

/// One cycle as the operator records it. `recorded` is the input that the ledger gets, which an honest
/// operator takes from the same document.
fn record(n: u64, config: &Value, state: &mut State, recorded: &Value) -> Draft {
    let parsed = Config::from_json(config).unwrap();
    let input = CycleInput::from_json(&evidence(n)).unwrap();
    let (outcome, next) = run_cycle(&parsed, state, &input).unwrap();
    *state = commit(state, &outcome, next).unwrap();
    let mut draft = draft(Kind::GateEval, n);
    draft.blobs = vec![json_blob(CONFIG, config), json_blob(CYCLE_INPUT, recorded)];
    draft.content_hashes = outcome
        .events
        .iter()
        .map(|event| Digest::from_bytes(*event.content_hash().as_bytes()))
        .collect();
    draft.state = vec![StateUpdate {
        key: "engine/shop/ranker/3f0e".into(),
        value: event::canonical(&state).unwrap().into_bytes(),
    }];
    draft
}

fn write(dir: &Path, altered: Option<u64>) {
    let ledger = open(dir, MemoryAnchor::default(), 1).unwrap();
    let config = json!({});
    let mut state = State::new(&Config::from_json(&config).unwrap());
    for n in 1..=CYCLES {
        let mut input = evidence(n);
        if altered == Some(n) {
            input["resources"]["cpu"] = json!(0.41);
        }
        let draft = record(n, &config, &mut state, &input);
        ledger.append(draft).wait().unwrap();
    }
    ledger.close();
}

#[test]
fn a_hundred_cycles_replay_to_equal_hashes() {
    let dir = tempdir().unwrap();
    write(dir.path(), None);
    let report = replay(&Source::open(dir.path()).unwrap(), 0..u64::MAX).unwrap();
    assert_eq!(report.divergence, None);
    assert_eq!(report.cycles, CYCLES);
    assert!(report.events >= CYCLES);
    let exported = tempdir().unwrap();
    penin_ledger::export::tiles(&Source::open(dir.path()).unwrap(), exported.path()).unwrap();
    let again = replay(&Source::open(exported.path()).unwrap(), 0..u64::MAX).unwrap();
    assert_eq!(again, report);
}

#[test]
fn one_altered_input_is_caught_and_its_entry_named() {
    let dir = tempdir().unwrap();
    write(dir.path(), Some(60));
    let report = replay(&Source::open(dir.path()).unwrap(), 0..u64::MAX).unwrap();
    let divergence = report.divergence.unwrap();
    // The first entry is GENESIS, so that cycle n is entry n.
    assert_eq!(divergence.seq, 60);
    assert!(divergence.detail.starts_with("event "), "{divergence:?}");
    assert_eq!(report.cycles, 59);
}
