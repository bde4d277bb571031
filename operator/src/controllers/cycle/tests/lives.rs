//! Lives that go well, or are refused by the engine.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;

use super::world::{World, replicas};
use crate::controllers::cycle::book::Grant;

/// The phases that a Challenger's status went through.
fn phases(world: &mut World, name: &str) -> Vec<ChallengerPhase> {
    let mut seen = Vec::new();
    for _ in 0..2_000 {
        world.pass();
        if let Some(phase) = world.phase(name)
            && seen.last() != Some(&phase)
        {
            seen.push(phase);
        }
        let over = world.phase(name).is_some_and(ChallengerPhase::is_final);
        if over && world.book().unwrap().life.is_none() {
            return seen;
        }
    }
    panic!("no end: {:?}", world.trail.last());
}

#[test]
fn a_workload_is_adopted_and_its_baseline_recorded() {
    let world = World::adopted();
    let champion = world.champion();
    assert_eq!(world.weight(&champion), 100);
    assert_eq!(world.ready(&champion), 2);
    assert_eq!(world.kinds()[0], Kind::Adopt);
    assert!(
        !world.kinds().contains(&Kind::PromoteAttest),
        "an adoption is never a promotion"
    );
    assert_eq!(
        world.entries.last().unwrap().1["outcome"]["reason"],
        "BASELINE_RECORDED"
    );
}

#[test]
fn a_better_model_goes_through_every_phase_and_is_promoted() {
    use ChallengerPhase::{Canary, Pending, Promoted, Promoting, Shadow, Watching};
    let mut world = World::adopted();
    let former = world.champion();
    world.challenge("better", "better");
    let seen = phases(&mut world, "better");
    assert_eq!(seen, [Pending, Shadow, Canary, Promoting, Watching, Promoted]);
    let champion = world.champion();
    assert_eq!(champion, world.revision_of("better"));
    assert_eq!((world.weight(&champion), world.weight(&former)), (100, 0));
    assert_eq!(
        replicas(&world.deployments[&champion]),
        2,
        "as many as the champion had"
    );
    assert_eq!(
        replicas(&world.deployments[&former]),
        0,
        "the former champion is scaled down"
    );
    let expected = [
        Kind::Intent,
        Kind::GateEval,      // shadow passed
        Kind::Outcome,       // 1 % served
        Kind::GateEval,      // step passed
        Kind::Outcome,       // 5 % served
        Kind::PromoteAttest, // the engine's decision
        Kind::Outcome,       // all traffic
        Kind::GateEval,      // watch passed
        Kind::Outcome,       // closed
    ];
    // Evidence that is still being gathered may be noted in between.
    let noted = |entry: &&(Kind, serde_json::Value)| entry.1["assessment"]["reason"] != "EVIDENCE_UNKNOWN";
    let kinds: Vec<Kind> = world.entries.iter().filter(noted).map(|entry| entry.0).collect();
    let begun = kinds.iter().position(|kind| *kind == Kind::Intent).unwrap();
    assert_eq!(kinds[begun..], expected);
}

#[test]
fn the_served_weights_are_those_of_the_steps_in_order() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_to_end("better");
    let challenger = world.revision_of("better");
    let weights: Vec<i32> = world
        .plane
        .segments
        .iter()
        .map(|segment| segment.weight(&challenger))
        .collect();
    let mut distinct = weights.clone();
    distinct.dedup();
    assert_eq!(distinct, [0, 1, 5, 100]);
    let mirrored: Vec<_> = world
        .plane
        .segments
        .iter()
        .filter(|segment| segment.mirror.is_some())
        .collect();
    assert_eq!(mirrored.len(), 1, "the mirror is on once");
    assert_eq!(mirrored[0].mirror, Some((challenger, 100)));
}

#[test]
fn each_stage_lasts_at_least_as_long_as_asked() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_to_end("better");
    let challenger = world.revision_of("better");
    let segments = &world.plane.segments;
    let lasted = |weight: i32| {
        let index = segments
            .iter()
            .position(|segment| segment.weight(&challenger) == weight && segment.mirror.is_none() && weight > 0);
        let index = index.unwrap();
        segments[index + 1]
            .from
            .duration_since(segments[index].from)
            .as_secs_f64()
    };
    assert!(lasted(1) >= 60.0 && lasted(5) >= 60.0, "{} {}", lasted(1), lasted(5));
    let shadow = segments.iter().position(|segment| segment.mirror.is_some()).unwrap();
    assert!(
        segments[shadow + 1]
            .from
            .duration_since(segments[shadow].from)
            .as_secs_f64()
            >= 60.0
    );
}

#[test]
fn an_unfair_model_is_refused_in_shadow_and_no_user_ever_saw_it() {
    let mut world = World::adopted();
    world.challenge("unfair", "unfair");
    assert_eq!(world.run_to_end("unfair"), ChallengerPhase::Rejected);
    let revision = world.revision_of("unfair");
    assert!(
        world
            .plane
            .segments
            .iter()
            .all(|segment| segment.weight(&revision) == 0)
    );
    assert!(world.plane.segments.iter().any(|segment| segment.mirror.is_some()));
    assert!(world.kinds().contains(&Kind::Rejection) && !world.kinds().contains(&Kind::Rollback));
    assert!(
        world.reason("unfair").contains("rho_bias")
            || world
                .entries
                .iter()
                .any(|entry| entry.1.to_string().contains("rho_bias"))
    );
    assert_eq!(world.weight(&world.champion()), 100);
}

#[test]
fn a_model_that_fails_on_live_traffic_is_rolled_back() {
    let mut world = World::adopted();
    world.challenge("failing", "failing");
    world.run_until("live traffic", |world| {
        world.grant() == Some(Grant::Step { index: 0, weight: 1 }) && world.weight(&world.revision_of("failing")) == 1
    });
    let now = world.now;
    world.source.failing_since.insert("failing".to_owned(), now);
    assert_eq!(world.run_to_end("failing"), ChallengerPhase::RolledBack);
    let revision = world.revision_of("failing");
    assert_eq!(world.weight(&revision), 0);
    assert_eq!(replicas(&world.deployments[&revision]), 0);
    assert!(world.kinds().contains(&Kind::Rollback));
}

#[test]
fn a_regression_in_the_watch_gives_everything_back_to_the_former_champion() {
    let mut world = World::adopted();
    let former = world.champion();
    world.challenge("better", "better");
    world.run_until("the watch", |world| {
        world.phase("better") == Some(ChallengerPhase::Watching)
    });
    world.run_for(Duration::from_secs(15));
    assert_eq!(world.weight(&world.revision_of("better")), 100);
    assert_eq!(world.ready(&former), 2, "the former champion is warm");
    let now = world.now;
    world.source.failing_since.insert("better".to_owned(), now);
    assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
    assert_eq!(world.champion(), former);
    assert_eq!(
        (world.weight(&former), world.weight(&world.revision_of("better"))),
        (100, 0)
    );
    assert_eq!(replicas(&world.deployments[&former]), 2);
}

#[test]
fn the_challenger_has_the_champions_capacity_before_all_traffic_moves() {
    let mut spec = super::objects::cycle_spec();
    spec["revisions"]["champion"]["replicas"] = 3.into();
    let mut world = World::adopted_with(&spec);
    world.challenge("better", "better");
    world.run_until("the attestation", |world| world.grant() == Some(Grant::Promotion));
    let challenger = world.revision_of("better");
    assert_eq!(world.ready(&challenger), 3);
    assert_eq!(
        world.weight(&challenger),
        5,
        "not a request more before the attestation"
    );
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

/// Pods that were just added were read once, so nobody knows their use of the processor: that ends no life, and promotes
/// none.
#[test]
fn pods_that_were_just_added_are_read_before_the_promotion_and_a_deadline_ends_the_wait() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("the second pod", |world| {
        world.deployments.len() == 2 && world.ready(&world.revision_of("better")) == 2
    });
    world.run_until("the wait", |world| world.reason("better").contains("not_yet_sampled"));
    assert!(matches!(world.grant(), Some(Grant::Step { .. })));
    assert_eq!(world.phase("better"), Some(ChallengerPhase::Promoting));
    let mut never = world.clone();
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);

    never.unread_pods = true;
    assert_eq!(never.run_to_end("better"), ChallengerPhase::RolledBack);
    assert!(never.kinds().iter().all(|kind| *kind != Kind::PromoteAttest));
    let rollback = never.entries.iter().find(|entry| entry.0 == Kind::Rollback).unwrap();
    assert_eq!(rollback.1["reason"], "DeadlineExceeded", "{}", rollback.1);
}

#[test]
fn challengers_wait_in_the_order_of_their_creation_and_one_lives_at_a_time() {
    let mut world = World::adopted();
    world.challenge("zeta", "better");
    world.advance(Duration::from_secs(2));
    world.challenge("alpha", "unfair");
    world.advance(Duration::from_secs(2));
    world.challenge("mid", "third");
    world.run_until("zeta's shadow", |world| {
        world.phase("zeta") == Some(ChallengerPhase::Shadow)
    });
    assert_eq!(world.phase("alpha"), Some(ChallengerPhase::Pending));
    assert!(
        world.reason("mid").contains("Number 2 in the queue"),
        "{}",
        world.reason("mid")
    );
    assert_eq!(world.run_to_end("zeta"), ChallengerPhase::Promoted);
    assert_eq!(world.phase("mid"), Some(ChallengerPhase::Pending));
    assert_eq!(world.run_to_end("alpha"), ChallengerPhase::Rejected);
    assert!(world.run_to_end("mid").is_final());
    let began: Vec<_> = world
        .entries
        .iter()
        .filter(|entry| entry.0 == Kind::Intent)
        .map(|entry| entry.1["challenger"]["name"].clone())
        .collect();
    assert_eq!(began, ["zeta", "alpha", "mid"]);
}

#[test]
fn a_life_that_is_over_never_begins_again() {
    let mut world = World::adopted();
    world.challenge("unfair", "unfair");
    world.run_to_end("unfair");
    let entries = world.entries.len();
    // The status is lost, as after a restore of the API server's data from an older copy.
    world.challengers.get_mut("unfair").unwrap().status = None;
    world.run_for(Duration::from_mins(2));
    assert_eq!(world.entries.len(), entries);
    assert_eq!(world.phase("unfair"), Some(ChallengerPhase::Rejected));
}
