//! The same configuration, state and inputs give the same bits: on every run, after every interruption, in every thread, on every platform.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::collections::BTreeSet;

use penin_engine::config::Config;
use penin_engine::decision::Decision;
use penin_engine::event::{Digest, Event, content_hash, stream_digest};
use penin_engine::master::{CycleInput, State, commit, run_cycle};
use penin_engine::replay::{self, Replay};
use penin_engine::rng::Stream;
use serde_json::{Value, json};

/// Digest of all events of the hundred cycles below. A platform that computes anything differently in the last bit is caught here.
const STREAM_DIGEST: &str = "dd54ddd18e00f0f3c06e4ccc4700ddf681a1ba40896a2043307cba3bdf431f49";
/// Content hash of the state after them.
const FINAL_STATE_HASH: &str = "464464e91c55b03019538dd83f6ee58252d073d56bed343409ee531beb12f7a7";

fn config() -> Config {
    support::config(&json!({
        "seed": "2718281828459045235",
        "caos": {"chaosProbability": 0.08},
        "fibonacci": {"enabled": true},
    }))
}

/// A hundred inputs with every kind of fate: improvements, regressions, missing and broken evidence, stand-ins, overload.
fn inputs() -> Vec<CycleInput> {
    let mut stream = Stream::new(99, 7);
    let mut level = 0.5;
    (0..100)
        .map(|i| {
            let stage = ["direct", "shadow", "canary", "watch", "direct"][i % 5];
            let mut input = support::promotable(stage);
            input["candidate"]["name"] = json!(format!("c{i}"));
            // Mostly upwards, sometimes down.
            level = (level + stream.uniform(-0.004, 0.012)).clamp(0.3, 0.97);
            for name in ["rsi", "synergy", "novelty", "stability", "viability"] {
                input["metrics"][name] = json!(level);
            }
            input["caos"]["s"] = json!(stream.uniform(0.78, 0.82));
            match stream.below(14) {
                0 => input["resources"] = Value::Null,
                1 => input["risk"]["uncertainty"] = json!(0.93),
                2 => input["ethics"]["ece"] = json!(0.2),
                3 => input["ethics"]["unknown"] = json!({"ece": "insufficient_data"}),
                4 => input["candidate"]["stub"] = json!(true),
                5 => input["sr"]["ethics"] = json!(0.1),
                6 => input["caos"]["c"] = json!("NaN"),
                7 => input["league"] = json!({"status": "Fail", "reason": "CHECK_FAILED"}),
                _ => {}
            }
            support::read(&input)
        })
        .collect()
}

/// Content hashes per cycle, and the final state.
fn run(config: &Config, start: &State, inputs: &[CycleInput]) -> (Vec<Vec<Digest>>, State) {
    let mut state = start.clone();
    let hashes = inputs
        .iter()
        .map(|input| {
            let (outcome, next) = run_cycle(config, &state, input).unwrap();
            state = commit(&state, &outcome, next).unwrap();
            outcome.events.iter().map(Event::content_hash).collect()
        })
        .collect();
    (hashes, state)
}

#[test]
fn a_hundred_cycles_have_the_recorded_digest() {
    let config = config();
    let start = State::new(&config);
    let (hashes, state) = run(&config, &start, &inputs());
    let again = run(&config, &start, &inputs());
    assert_eq!((&hashes, &state), (&again.0, &again.1));
    assert_eq!(stream_digest(hashes.iter().flatten()).to_string(), STREAM_DIGEST);
    assert_eq!(content_hash(&state).unwrap().to_string(), FINAL_STATE_HASH);
}

#[test]
fn the_hundred_cycles_contain_every_fate() {
    let config = config();
    let mut state = State::new(&config);
    let mut decisions = BTreeSet::new();
    let (mut chaos, mut boosted, mut restored) = (0, 0, 0);
    for input in inputs() {
        let (outcome, next) = run_cycle(&config, &state, &input).unwrap();
        decisions.insert(outcome.decision);
        chaos += u32::from(outcome.chaos_factor.is_some());
        boosted += u32::from(outcome.scores.caos_boost > 1.0);
        let withdrawn = matches!(outcome.decision, Decision::Abort | Decision::Rollback);
        restored += u32::from(withdrawn && outcome.pre_state_hash != outcome.post_state_hash);
        state = next;
    }
    assert_eq!(decisions, Decision::ALL.into_iter().collect());
    assert!(chaos > 0 && boosted > 0 && restored > 0, "{chaos} {boosted} {restored}");
    assert!(state.counters.promotions >= 5, "{:?}", state.counters);
}

#[test]
fn resuming_after_any_cycle_continues_the_same_stream() {
    let config = config();
    let inputs = inputs();
    let (hashes, end) = run(&config, &State::new(&config), &inputs);
    let mut state = State::new(&config);
    for (done, input) in inputs.iter().enumerate() {
        let stored = state.to_json().to_string();
        let resumed = State::from_json(&config, &serde_json::from_str(&stored).unwrap()).unwrap();
        assert_eq!(resumed, state, "after {done} cycles");
        assert_eq!(content_hash(&resumed).unwrap(), content_hash(&state).unwrap());
        let (rest, last) = run(&config, &resumed, &inputs[done..]);
        assert_eq!(rest, hashes[done..], "after {done} cycles");
        assert_eq!(last, end, "after {done} cycles");
        state = run_cycle(&config, &state, input).unwrap().1;
    }
}

#[test]
fn threads_do_not_matter() {
    let alone = run(&config(), &State::new(&config()), &inputs());
    let threads: Vec<_> = (0..2)
        .map(|_| std::thread::spawn(|| run(&config(), &State::new(&config()), &inputs())))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), alone);
    }
}

#[test]
fn replay_agrees_with_the_recording_and_finds_the_first_change() {
    let config = config();
    let start = State::new(&config);
    let mut inputs = inputs();
    let (recorded, state) = run(&config, &start, &inputs);
    let report = replay::run(&config, &start, &inputs, Some(&recorded)).unwrap();
    assert_eq!(report.divergence, None);
    assert_eq!(report.stream_digest.to_string(), STREAM_DIGEST);
    assert_eq!(report.final_state_hash, content_hash(&state).unwrap());
    assert_eq!(
        report.events,
        recorded.iter().map(|cycle| cycle.len() as u64).sum::<u64>()
    );

    inputs[41].candidate.digest = Some("sha256:other".to_owned());
    let altered = replay::run(&config, &start, &inputs, Some(&recorded)).unwrap();
    let divergence = altered.divergence.unwrap();
    assert_eq!((divergence.cycle, divergence.event), (41, 0));
    assert_eq!(divergence.expected, Some(recorded[41][0]));
}

#[test]
fn a_recording_of_another_length_diverges() {
    let config = config();
    let start = State::new(&config);
    let inputs = inputs();
    let (recorded, _) = run(&config, &start, &inputs);
    let longer = replay::run(&config, &start, &inputs[..99], Some(&recorded)).unwrap();
    let divergence = longer.divergence.unwrap();
    assert_eq!((divergence.cycle, divergence.actual), (99, None));
    let shorter = replay::run(&config, &start, &inputs, Some(&recorded[..99])).unwrap();
    let divergence = shorter.divergence.unwrap();
    assert_eq!((divergence.cycle, divergence.event, divergence.expected), (99, 0, None));
    let mut cut = recorded;
    cut[7].pop();
    let cut = replay::run(&config, &start, &inputs, Some(&cut)).unwrap();
    assert_eq!(cut.divergence.unwrap().cycle, 7);
}

#[test]
fn an_incremental_replay_reports_its_state() {
    let config = config();
    let mut replay = Replay::new(&config, State::new(&config));
    for input in inputs().iter().take(3) {
        replay.step(input, None).unwrap();
    }
    assert_eq!(replay.state().cycle, 3);
    assert_eq!(replay.report().unwrap().decisions.len(), 3);
}

#[test]
fn every_field_of_the_input_is_part_of_its_hash() {
    let mut document = support::promotable("canary");
    document["champion"] = json!({"metrics": {"rsi": 0.8}, "cost": 0.1});
    document["virtues"] = json!({"hope": 0.9});
    document["costIncrease"] = json!(0.02);
    document["ethics"]["unknown"] = json!({"ece": "insufficient_data"});
    document["risk"]["series"] = json!([0.5]);
    let hash = support::read(&document).hash().unwrap();
    for leaf in support::leaves(&document) {
        let mut changed = document.clone();
        let value = changed.pointer_mut(&leaf).unwrap();
        *value = match (leaf.as_str(), &*value) {
            ("/stage", _) => json!("watch"),
            ("/league/status", _) => json!("Fail"),
            (_, Value::String(text)) => json!(format!("{text}x")),
            (_, Value::Bool(flag)) => json!(!*flag),
            (_, Value::Number(x)) => json!(f64::from_bits(x.as_f64().unwrap().to_bits() + 1)),
            (_, Value::Array(_)) => json!([0.5, 0.4]),
            (_, _) => json!("set"),
        };
        assert_ne!(support::read(&changed).hash().unwrap(), hash, "{leaf}");
    }
}
