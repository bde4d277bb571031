//! Names that people choose and that become fields of what is recorded: none of them keeps a decision from its entry
//! without saying so.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::{Value, json};

use super::objects;
use super::world::World;

/// A cycle with one more source, a ratio of this name, and a metric that reads it.
fn with_ratio(name: &str) -> Value {
    let mut spec = objects::cycle_spec();
    let counter = "answers_total{service=\"{{ service }}\"}";
    spec["evidence"].as_array_mut().unwrap().push(json!({
        "name": name, "prometheus": {"address": "http://p:9090"}, "ratio": {"good": counter, "total": counter},
    }));
    let metric = json!({"name": "key-recall", "weight": "1", "evidence": name});
    spec["scores"]["linf"]["metrics"].as_array_mut().unwrap().push(metric);
    spec
}

fn message(world: &World, type_: &str) -> String {
    let status = world.cycle.as_ref().unwrap().status.as_ref().unwrap();
    let found = status.conditions.iter().find(|condition| condition.type_ == type_);
    found.unwrap().message.clone()
}

fn said(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

fn state_consent(world: &mut World, statement: &str) {
    let consent = world.gates[0].spec.guard.as_mut().unwrap().consent.as_mut().unwrap();
    statement.clone_into(&mut consent.statement);
}

#[test]
fn a_metric_may_be_called_like_a_secret() {
    for name in ["token_f1", "tokens_per_second", "key-recall", "auth"] {
        let mut spec = objects::cycle_spec();
        spec["scores"]["linf"]["metrics"][0]["name"] = json!(name);
        let mut world = World::adopted_with(&spec);
        assert!(world.kinds().contains(&Kind::GateEval), "{name}");
        world.challenge("better", "better");
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted, "{name}");
    }
}

#[test]
fn a_ratio_whose_counts_could_not_be_recorded_is_refused_by_its_field() {
    let mut world = World::with_spec(&with_ratio("auth-errors"));
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.condition("Accepted"), said("False", "InvalidSpec"));
    let why = message(&world, "Accepted");
    assert!(
        why.contains("spec.evidence[1].name") && why.contains("auth-errors") && why.contains("another name"),
        "{why}"
    );
    assert!(world.entries.is_empty());
    // A source with a preset, and the metric that reads a ratio, may have such names: no text stands below them.
    world.edit_spec(|spec| {
        *spec = with_ratio("answers");
        spec["evidence"][0]["name"] = json!("auth");
    });
    world.run_until("the adoption", |world| world.kinds().contains(&Kind::Adopt));
    assert_eq!(world.condition("Accepted"), said("True", "Accepted"));
}

#[test]
fn an_entry_that_can_never_be_recorded_is_seen_in_the_conditions() {
    let mut world = World::new();
    state_consent(&mut world, "Bearer of the consent is the customer");
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.condition("LedgerAvailable"), said("False", "EntryRefused"));
    let why = message(&world, "LedgerAvailable");
    assert!(why.contains("\"declared\": .consent[0].statement"), "{why}");
    assert!(world.entries.is_empty());
    state_consent(&mut world, "The customer has consented");
    world.run_until("the adoption", |world| world.kinds().contains(&Kind::Adopt));
    assert_eq!(world.condition("LedgerAvailable"), said("True", "LedgerAvailable"));
}

#[test]
fn a_withdrawal_whose_entry_is_refused_goes_on() {
    let mut world = World::in_canary();
    state_consent(&mut world, "Bearer of the consent is the customer");
    world.source.failing_since.insert("better".to_owned(), world.now);
    let (revision, begun) = (world.revision_of("better"), world.now);
    world.run_until("weight 0", |world| world.weight(&revision) == 0);
    let seconds = world.now.duration_since(begun).as_secs();
    assert!(
        seconds < 150,
        "only a deadline took the traffic away, after {seconds} s"
    );
    assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
    assert!(world.kinds().contains(&Kind::Rollback));
}
