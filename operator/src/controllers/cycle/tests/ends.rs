//! Lives that end early: by a deadline, a person, a change, or something that broke.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::json;

use super::objects;
use super::world::{Gateway, Pods, World, replicas};
use crate::controllers::cycle::book::Grant;

/// Nothing of the challenger is left in traffic and its pods are gone.
fn assert_gone(world: &World, model: &str) {
    let revision = world.revision_of(model);
    assert_eq!(world.weight(&revision), 0);
    assert_eq!(world.plane.now().unwrap().weight(&revision), 0);
    assert_eq!(world.plane.now().unwrap().mirror, None);
    assert_eq!(replicas(&world.deployments[&revision]), 0);
    assert_eq!(world.weight(&world.champion()), 100);
}

#[test]
fn pods_that_never_become_ready_end_the_life_at_the_progress_deadline() {
    for why in [
        "Back-off restarting failed container",
        "Back-off pulling image \"model:better\"",
    ] {
        let mut world = World::adopted();
        world.pods.insert("better".to_owned(), Pods::Broken(why));
        world.challenge("better", "better");
        let began = world.now;
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Rejected);
        let waited = world.now.duration_since(began).as_secs();
        assert!((120..180).contains(&waited), "{waited}");
        let refusal = world.entries.iter().find(|entry| entry.0 == Kind::Rejection).unwrap();
        assert_eq!(refusal.1["reason"], "NotReady");
        assert!(refusal.1["message"].as_str().unwrap().contains(why), "{}", refusal.1);
        let revision = world.revision_of("better");
        let touched = world
            .plane
            .segments
            .iter()
            .any(|segment| segment.weights.contains_key(&revision));
        assert!(!touched, "it never entered the route");
    }
}

#[test]
fn a_gateway_that_does_not_answer_ends_the_life_at_its_deadline() {
    for gateway in [Gateway::Silent, Gateway::Refuses] {
        let mut world = World::adopted();
        world.challenge("better", "better");
        world.run_until("pods", |world| world.deployments.len() == 2);
        world.gateway = gateway;
        world.run_until("the refusal", |world| world.kinds().contains(&Kind::Rejection));
        let refusal = world.entries.iter().find(|entry| entry.0 == Kind::Rejection).unwrap();
        assert_eq!(refusal.1["reason"], "RouteNotAccepted", "{}", refusal.1);
        // The way down is not given up: it ends when the gateway confirms it.
        world.run_for(Duration::from_mins(5));
        assert_eq!(world.phase("better"), Some(ChallengerPhase::Rejected));
        assert_eq!(world.weight(&world.revision_of("better")), 0);
        world.gateway = Gateway::Accepts;
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Rejected);
        assert_gone(&world, "better");
    }
}

#[test]
fn evidence_that_is_missing_never_raises_traffic_and_ends_each_stage_at_its_deadline() {
    type Begins = fn(&World) -> bool;
    let stages: [(&str, Begins, ChallengerPhase, i32, Option<&str>); 4] = [
        (
            "shadow",
            |world| world.phase("better") == Some(ChallengerPhase::Shadow),
            ChallengerPhase::Rejected,
            0,
            None,
        ),
        (
            "the mirror's end",
            |world| matches!(world.grant(), Some(Grant::Step { index: 0, .. })),
            ChallengerPhase::RolledBack,
            0,
            None,
        ),
        (
            "the first step",
            |world| world.weight(&world.revision_of("better")) == 1,
            ChallengerPhase::RolledBack,
            1,
            None,
        ),
        (
            "the watch",
            |world| world.phase("better") == Some(ChallengerPhase::Watching),
            ChallengerPhase::RolledBack,
            100,
            None,
        ),
    ];
    for (name, begins, verdict, highest, _) in stages {
        let mut world = World::adopted();
        world.challenge("better", "better");
        world.run_until(name, |world| world.deployments.len() == 2 && begins(world));
        let revision = world.revision_of("better");
        world.source.down = true;
        let lost = world.now;
        let segments = world.plane.segments.len();
        assert_eq!(world.run_to_end("better"), verdict, "{name}");
        let risen = world.plane.segments[segments..]
            .iter()
            .map(|segment| segment.weight(&revision))
            .max()
            .unwrap();
        assert!(risen <= highest, "{name}: {risen}");
        // Deadline of the stage, with what comes before it in the same grant.
        let waited = world.now.duration_since(lost).as_secs();
        assert!(waited <= 120 + 60 + 300 + 30, "{name}: {waited} s");
        assert_gone(&world, "better");
        let refusal = world
            .entries
            .iter()
            .rev()
            .find(|entry| matches!(entry.0, Kind::Rejection | Kind::Rollback))
            .unwrap();
        let text = refusal.1.to_string().to_lowercase();
        assert!(text.contains("deadline"), "{name}: {text}");
    }
}

#[test]
fn a_share_that_is_not_the_written_one_is_taken_back() {
    for skew in [0.0, 3.0] {
        let mut world = World::in_canary();
        world.source.skew = Some(skew);
        assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
        let rollback = world.entries.iter().find(|entry| entry.0 == Kind::Rollback).unwrap();
        assert_eq!(rollback.1["reason"], "ShareMismatch", "{}", rollback.1);
        assert_gone(&world, "better");
    }
}

#[test]
fn a_mirror_that_goes_on_after_it_was_removed_lets_no_live_request_through() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("the grant", |world| matches!(world.grant(), Some(Grant::Step { .. })));
    world.source.stuck_mirror = true;
    let revision = world.revision_of("better");
    world.run_to_end("better");
    assert!(
        world
            .plane
            .segments
            .iter()
            .all(|segment| segment.weight(&revision) == 0)
    );
    assert_gone(&world, "better");
}

#[test]
fn an_abort_ends_a_life_in_every_stage_and_is_acknowledged_once() {
    type Begins = fn(&World) -> bool;
    let stages: [(&str, Begins); 5] = [
        ("pods", |world| world.deployments.len() == 2),
        ("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow)),
        ("live", |world| {
            world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
        }),
        ("more", |world| {
            world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 5
        }),
        ("watch", |world| {
            world.phase("better") == Some(ChallengerPhase::Watching)
        }),
    ];
    for (name, begins) in stages {
        for through_cycle in [false, true] {
            let mut world = World::adopted();
            let champion = world.champion();
            world.challenge("better", "better");
            world.run_until(name, begins);
            if through_cycle {
                world.abort_cycle("stop-1");
            } else {
                world.abort("better", "stop-1");
            }
            assert_eq!(world.run_to_end("better"), ChallengerPhase::Aborted, "{name}");
            assert_gone(&world, "better");
            assert_eq!(world.champion(), champion, "{name}");
            let of_cycle = world
                .cycle
                .as_ref()
                .unwrap()
                .status
                .as_ref()
                .unwrap()
                .last_command
                .clone();
            let own = world.challengers["better"]
                .status
                .as_ref()
                .unwrap()
                .last_command
                .clone();
            let command = if through_cycle { of_cycle } else { own };
            assert_eq!(command.unwrap().id, "stop-1", "{name}");
            // The same id ends no second life.
            world.challenge("next", "third");
            world.run_until("the next shadow", |world| {
                world.phase("next") == Some(ChallengerPhase::Shadow)
            });
            assert_eq!(world.run_to_end("next"), ChallengerPhase::Promoted, "{name}");
        }
    }
}

#[test]
fn a_challenger_that_is_deleted_in_flight_is_taken_back_before_it_disappears() {
    let mut world = World::in_canary();
    world.delete_challenger("better");
    assert!(world.challengers.contains_key("better"), "the finalizer holds it");
    world.run_until("its end", |world| !world.challengers.contains_key("better"));
    assert_gone(&world, "better");
    let end = world.entries.iter().find(|entry| entry.0 == Kind::Override).unwrap();
    assert_eq!(
        (&end.1["hadLiveTraffic"], &end.1["verdict"]),
        (&true.into(), &"Aborted".into())
    );
    assert!(!world.kinds().contains(&Kind::Rollback));
}

#[test]
fn a_challenger_whose_finalizer_was_torn_off_is_taken_back_all_the_same() {
    let mut world = World::in_canary();
    world.challengers.clear();
    world.run_until("its end", |world| world.book().unwrap().life.is_none());
    assert_gone(&world, "better");
}

#[test]
fn a_suspended_cycle_starts_nobody_raises_nothing_and_still_takes_back() {
    let mut world = World::adopted();
    world.edit_spec(|spec| spec["suspend"] = json!(true));
    world.challenge("better", "better");
    world.run_for(Duration::from_mins(10));
    assert_eq!(
        (world.deployments.len(), world.phase("better")),
        (1, Some(ChallengerPhase::Pending))
    );
    world.edit_spec(|spec| spec["suspend"] = json!(false));
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    world.edit_spec(|spec| spec["suspend"] = json!(true));
    world.run_for(Duration::from_mins(2));
    let revision = world.revision_of("better");
    assert_eq!(world.weight(&revision), 0, "a passed shadow waits");
    assert_eq!(world.phase("better"), Some(ChallengerPhase::Shadow));
    world.edit_spec(|spec| spec["suspend"] = json!(false));
    world.run_until("live traffic", |world| world.weight(&revision) == 1);
    world.edit_spec(|spec| spec["suspend"] = json!(true));
    let now = world.now;
    world.source.failing_since.insert("better".to_owned(), now);
    assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
}

#[test]
fn a_weight_that_was_granted_is_not_written_while_the_cycle_is_suspended() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("the grant", |world| {
        matches!(world.grant(), Some(Grant::Step { index: 0, .. }))
    });
    world.edit_spec(|spec| spec["suspend"] = json!(true));
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.weight(&world.revision_of("better")), 0);
    world.edit_spec(|spec| spec["suspend"] = json!(false));
    world.run_until("live traffic", |world| world.weight(&world.revision_of("better")) == 1);
}

#[test]
fn a_cycle_deleted_in_mid_canary_leaves_its_champion_serving_or_nothing_at_all() {
    for (policy, stays) in [("Orphan", true), ("Delete", false)] {
        let mut spec = objects::cycle_spec();
        spec["deletionPolicy"] = json!(policy);
        let mut world = World::adopted_with(&spec);
        world.challenge("better", "better");
        world.run_until("live traffic", |world| {
            world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
        });
        let champion = world.champion();
        world.delete_cycle();
        world.run_until("the end of the cycle", |world| world.cycle.is_none());
        assert_eq!(world.book(), None);
        assert_eq!(world.route.is_some(), stays, "{policy}");
        assert_eq!(world.deployments.contains_key(&champion), stays);
        assert_eq!(world.services.contains_key(&champion), stays);
        assert_eq!(
            world.deployments.len(),
            usize::from(stays),
            "the challenger's pods go with the cycle"
        );
        if stays {
            assert_eq!(world.weight(&champion), 100);
            assert_eq!(world.route.as_ref().unwrap().spec.rules.len(), 1);
            assert_eq!(world.ready(&champion), 2);
        }
        let challenger = &world.challengers["better"];
        assert_eq!(challenger.metadata.finalizers, Some(Vec::new()), "it can be deleted");
        assert!(world.kinds().contains(&Kind::Override));
    }
}

#[test]
fn live_pods_that_disappear_are_taken_back_at_once() {
    let mut world = World::in_canary();
    world.pods.insert("better".to_owned(), Pods::Broken("out of memory"));
    let lost = world.now;
    world.run_until("weight 0", |world| world.weight(&world.revision_of("better")) == 0);
    assert!(world.now.duration_since(lost).as_secs() < 20);
    assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
}

#[test]
fn a_rollback_goes_to_whichever_side_can_answer() {
    let mut world = World::in_canary();
    let (champion, challenger) = (world.champion(), world.revision_of("better"));
    world.pods.insert("champion".to_owned(), Pods::Broken("out of memory"));
    world.live_again();
    world.abort("better", "stop");
    world.run_until("the failover", |world| world.weight(&challenger) == 100);
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.weight(&challenger), 100, "it stays while only it can answer");
    assert!(world.ready(&challenger) > 0);
    world.pods.clear();
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Aborted);
    assert_eq!((world.weight(&champion), world.weight(&challenger)), (100, 0));
}

#[test]
fn when_nobody_can_answer_traffic_stays_with_the_champion_and_the_cycle_says_so() {
    let mut world = World::in_canary();
    for model in ["champion", "better"] {
        world.pods.insert(model.to_owned(), Pods::Broken("the node is gone"));
    }
    world.run_until("the end", |world| world.book().unwrap().life.is_none());
    world.run_for(Duration::from_secs(20));
    assert_gone(&world, "better");
    let status = world.cycle.as_ref().unwrap().status.as_ref().unwrap();
    let stalled = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Stalled")
        .unwrap();
    assert_eq!(
        (stalled.status.as_str(), stalled.reason.as_str()),
        ("True", "NoHealthyBackend")
    );
}

#[test]
fn a_rejected_challenger_never_gets_live_traffic_even_when_the_champion_is_gone() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    world.pods.insert("champion".to_owned(), Pods::Broken("out of memory"));
    world.live_again();
    world.abort("better", "stop");
    world.run_until("the end", |world| world.book().unwrap().life.is_none());
    let revision = world.revision_of("better");
    assert!(
        world
            .plane
            .segments
            .iter()
            .all(|segment| segment.weight(&revision) == 0)
    );
}

#[test]
fn a_gateway_that_copies_another_share_than_asked_proves_nothing_in_shadow() {
    for (percent, copies, passes) in [
        (100, 0.5, false),
        (100, 0.86, false),
        (50, 2.0, false),
        (50, 0.995, true),
        (100, 1.01, true),
        (100, 0.95, true),
    ] {
        let mut spec = objects::cycle_spec();
        spec["shadow"]["percent"] = json!(percent);
        let mut world = World::adopted_with(&spec);
        world.source.copies = Some(copies);
        world.challenge("better", "better");
        world.run_until("an end or live traffic", |world| {
            world
                .phase("better")
                .is_some_and(|phase| phase.is_final() || phase == ChallengerPhase::Canary)
        });
        let shadow = world.challengers["better"].status.clone().unwrap();
        let passed = shadow.phase == Some(ChallengerPhase::Canary);
        assert_eq!(passed, passes, "{percent} % × {copies}: {}", shadow.message);
        if !passes {
            let text = serde_json::to_string(&shadow).unwrap();
            assert!(text.contains("copies of"), "{text}");
        }
    }
}
