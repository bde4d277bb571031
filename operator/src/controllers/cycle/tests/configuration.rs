//! A configuration that comes into force is an entry: once for each change, before what is decided under it.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::{Value, json};

use super::world::{LedgerMode, World};

fn stricter(world: &mut World) {
    let guard = world.gates[0].spec.guard.as_mut().unwrap();
    guard.ece.as_mut().unwrap().max = Some("0.025".parse().unwrap());
}

fn configurations(world: &World) -> Vec<&Value> {
    let entries = world.entries.iter().filter(|entry| entry.0 == Kind::Config);
    entries.map(|entry| &entry.1).collect()
}

#[test]
fn a_change_of_a_gate_or_of_the_cycle_is_recorded_once() {
    let mut world = World::adopted();
    world.run_for(Duration::from_mins(2));
    assert!(
        configurations(&world).is_empty(),
        "the adoption says what it was done with"
    );
    stricter(&mut world);
    world.run_for(Duration::from_mins(2));
    world.edit_spec(|spec| spec["canary"]["steps"][0]["minSamples"] = json!(500));
    world.run_for(Duration::from_mins(2));
    // What decides nothing is no configuration.
    world.edit_spec(|spec| spec["revisions"]["historyLimit"] = json!(2));
    world.run_for(Duration::from_mins(2));
    let found = configurations(&world);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (&found[0]["generation"], &found[1]["generation"]),
        (&json!("1"), &json!("2"))
    );
    assert_eq!(found[1]["before"], found[0]["configuration"]);
    assert_ne!(found[0]["before"], found[0]["configuration"]);
    assert_ne!(found[0]["before"], Value::Null);
    let remembered = world.book().unwrap().configuration;
    assert_eq!(found[1]["configuration"].as_str(), remembered.as_deref());
    world.challenge("better", "better");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    assert_eq!(configurations(&world).len(), 2);
}

#[test]
fn nothing_is_raised_under_a_configuration_that_is_not_recorded() {
    let mut world = World::in_canary();
    stricter(&mut world);
    let hash = |body: &Value| body["outcome"].get("configHash").cloned();
    let before = world.entries.len();
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    let later = &world.entries[before..];
    let config = later.iter().position(|entry| entry.0 == Kind::Config).unwrap();
    let judged = later.iter().position(|entry| entry.0 == Kind::PromoteAttest).unwrap();
    assert!(config < judged);
    assert_eq!(hash(&later[judged].1), later[config].1.get("configHash").cloned());
    assert_eq!(configurations(&world).len(), 1);
}

#[test]
fn it_waits_for_the_ledger_and_holds_up_no_withdrawal() {
    let mut world = World::in_canary();
    world.ledger = LedgerMode::Broken;
    stricter(&mut world);
    world.run_for(Duration::from_mins(1));
    world.abort("better", "stop");
    let revision = world.revision_of("better");
    world.run_until("weight 0", |world| world.weight(&revision) == 0);
    assert!(configurations(&world).is_empty());
    world.ledger = LedgerMode::Up;
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Aborted);
    world.run_until("the entry", |world| !configurations(world).is_empty());
    world.run_for(Duration::from_mins(1));
    assert_eq!(configurations(&world).len(), 1);
}
