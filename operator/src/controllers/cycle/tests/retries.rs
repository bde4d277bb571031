//! Templates that failed before.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;

use super::world::World;

/// A cycle in which the unfair model was refused once.
fn refused() -> World {
    let mut world = World::adopted();
    world.challenge("first", "unfair");
    assert_eq!(world.run_to_end("first"), ChallengerPhase::Rejected);
    world.advance(Duration::from_secs(2));
    world
}

/// Names of the Challengers whose lives began, in order.
fn begun(world: &World) -> Vec<String> {
    let intents = world.entries.iter().filter(|entry| entry.0 == Kind::Intent);
    let name = |body: &serde_json::Value| body["challenger"]["name"].as_str().unwrap().to_owned();
    intents.map(|entry| name(&entry.1)).collect()
}

#[test]
fn a_template_that_failed_is_not_tried_again_and_stands_in_nobodys_way() {
    let mut world = refused();
    let failed = world.revision_of("unfair");
    let status = world.cycle.as_ref().unwrap().status.as_ref().unwrap();
    assert_eq!(status.failed_revisions, [failed]);
    world.challenge("again", "unfair");
    world.advance(Duration::from_secs(2));
    world.challenge("better", "better");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    world.run_for(Duration::from_mins(10));
    assert_eq!(begun(&world), ["first", "better"]);
    assert_eq!(world.phase("again"), Some(ChallengerPhase::Pending));
    let said = world.reason("again");
    assert!(
        said.starts_with("FailedBefore") && said.contains("penin.ai/retry"),
        "{said}"
    );
    let conditions = world.challengers["again"].status.as_ref().unwrap().conditions.clone();
    let status = |type_: &str| conditions.iter().find(|c| c.type_ == type_).unwrap().status.clone();
    assert_eq!(
        (status("Accepted"), status("Stalled")),
        ("False".to_owned(), "True".to_owned())
    );
}

#[test]
fn what_failed_is_remembered_by_the_ledger_and_not_by_a_status() {
    let mut world = refused();
    world.cycle.as_mut().unwrap().status = None;
    world.challengers.clear();
    world.challenge("again", "unfair");
    world.run_for(Duration::from_mins(5));
    assert_eq!(begun(&world), ["first"]);
}

#[test]
fn somebody_who_asks_gets_one_more_try_with_each_id() {
    let mut world = refused();
    world.challenge("second", "unfair");
    world.retry("second", "labels-fixed");
    assert_eq!(world.run_to_end("second"), ChallengerPhase::Rejected);
    let command = world.challengers["second"]
        .status
        .clone()
        .unwrap()
        .last_command
        .unwrap();
    assert_eq!((command.id.as_str(), command.verb.as_str()), ("labels-fixed", "retry"));
    let intent = world.entries.iter().rfind(|entry| entry.0 == Kind::Intent).unwrap();
    assert_eq!(intent.1["retry"], "labels-fixed");
    // The same manifest, applied anew by a tool.
    world.challengers.clear();
    world.challenge("third", "unfair");
    world.retry("third", "labels-fixed");
    world.run_for(Duration::from_mins(5));
    assert_eq!(begun(&world), ["first", "second"]);
    assert!(world.reason("third").contains("already"), "{}", world.reason("third"));
    world.retry("third", "really");
    assert_eq!(world.run_to_end("third"), ChallengerPhase::Rejected);
    assert_eq!(begun(&world), ["first", "second", "third"]);
}

#[test]
fn another_try_that_is_promoted_is_forgotten_as_a_failure() {
    let mut world = World::adopted();
    let former = world.champion();
    world.challenge("first", "better");
    world.run_until("the watch", |world| {
        world.phase("first") == Some(ChallengerPhase::Watching)
    });
    let now = world.now;
    world.source.failing_since.insert("better".to_owned(), now);
    assert_eq!(world.run_to_end("first"), ChallengerPhase::RolledBack);
    assert_eq!(world.champion(), former);
    world.source.failing_since.clear();
    world.challenge("second", "better");
    world.retry("second", "1");
    assert_eq!(world.run_to_end("second"), ChallengerPhase::Promoted);
    assert_eq!(world.book().unwrap().failed, []);
    let status = world.cycle.as_ref().unwrap().status.as_ref().unwrap();
    assert!(status.failed_revisions.is_empty());
}

#[test]
fn a_changed_template_and_one_that_a_person_ended_have_not_failed() {
    let mut world = refused();
    let target = world.target.as_mut().unwrap();
    let pod = target.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    pod.service_account_name = Some("other".to_owned());
    world.challenge("again", "unfair");
    assert_eq!(world.run_to_end("again"), ChallengerPhase::Rejected);
    world.challenge("stopped", "better");
    world.run_until("shadow", |world| {
        world.phase("stopped") == Some(ChallengerPhase::Shadow)
    });
    world.abort("stopped", "stop");
    assert_eq!(world.run_to_end("stopped"), ChallengerPhase::Aborted);
    world.challenge("better", "better");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn an_abort_of_another_try_counts_even_with_the_same_id() {
    let mut world = refused();
    world.challenge("second", "unfair");
    world.retry("second", "1");
    world.run_until("shadow", |world| world.phase("second") == Some(ChallengerPhase::Shadow));
    world.abort("second", "1");
    assert_eq!(world.run_to_end("second"), ChallengerPhase::Aborted);
}
