//! What happens around lives: drift, changes in flight, a changed target, conflicts, history.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::json;

use super::objects;
use super::world::{Pods, World, replicas};
use crate::adapters::traffic::{MirrorPercent, Split};
use crate::controllers::cycle::book::Grant;

#[test]
fn a_route_that_somebody_edited_is_set_back_at_once_in_every_stage() {
    type Begins = fn(&World) -> bool;
    let stages: [(&str, Begins, i32); 4] = [
        (
            "shadow",
            |world| world.phase("better") == Some(ChallengerPhase::Shadow),
            0,
        ),
        ("step 1", |world| world.weight(&world.revision_of("better")) == 1, 1),
        ("step 2", |world| world.weight(&world.revision_of("better")) == 5, 5),
        (
            "the watch",
            |world| world.phase("better") == Some(ChallengerPhase::Watching),
            100,
        ),
    ];
    for (name, begins, weight) in stages {
        let mut world = World::adopted();
        let former = world.champion();
        world.challenge("better", "better");
        world.run_until(name, |world| world.deployments.len() == 2 && begins(world));
        let challenger = world.revision_of("better");
        let champion = if weight == 100 {
            challenger.clone()
        } else {
            former.clone()
        };
        // All traffic to the wrong side.
        let wrong = if weight == 100 { &former } else { &challenger };
        world.tamper(wrong, &Split::ChampionOnly);
        assert_eq!(world.weight(wrong), 100);
        let edited = world.now;
        world.run_until("the repair", |world| {
            world.weight(&champion) >= 95 && world.weight(wrong) <= weight.min(5)
        });
        assert!(world.now.duration_since(edited).as_secs() <= 2, "{name}");
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted, "{name}");
    }
}

#[test]
fn a_deleted_route_is_made_again() {
    let mut world = World::adopted();
    world.route = None;
    world.run_until("the route", |world| world.route.is_some());
    world.challenge("better", "better");
    world.run_until("live traffic", |world| {
        world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
    });
    world.route = None;
    world.run_until("the route", |world| world.route.is_some());
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn a_route_that_is_deleted_while_pods_start_is_made_again_for_the_champion_at_once() {
    let mut world = World::adopted();
    world.pods.insert("better".to_owned(), Pods::Broken("slow to start"));
    world.challenge("better", "better");
    world.run_until("its Service", |world| world.services.len() == 2);
    world.route = None;
    world.run_until("the route", |world| world.route.is_some());
    assert_eq!(
        (
            world.weight(&world.champion()),
            world.kinds().contains(&Kind::Rejection)
        ),
        (100, false)
    );
}

#[test]
fn a_repaired_weight_is_judged_on_requests_after_the_repair_alone() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("observing", |world| {
        world
            .book()
            .unwrap()
            .life
            .is_some_and(|life| life.effect_recorded && life.grant == Grant::Step { index: 0, weight: 1 })
    });
    world.run_for(Duration::from_secs(50));
    let challenger = world.revision_of("better");
    world.tamper_live(&challenger, 5);
    world.run_until("the repair", |world| world.weight(&challenger) == 1);
    let repaired = world.now;
    world.run_until("the next step", |world| world.weight(&challenger) == 5);
    let lasted = world.now.duration_since(repaired).as_secs_f64();
    assert!(lasted >= 60.0, "the step began anew with the repair: {lasted}");
}

#[test]
fn a_mirror_that_somebody_switched_on_again_goes_before_live_traffic() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("the grant", |world| {
        matches!(world.grant(), Some(Grant::Step { index: 0, .. }))
    });
    world.run_until("the mirror off", |world| world.plane.now().unwrap().mirror.is_none());
    let (champion, challenger) = (world.champion(), world.revision_of("better"));
    let percent = MirrorPercent::new(100).unwrap();
    world.tamper(&champion, &Split::Mirroring { challenger, percent });
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn edits_in_flight_hold_from_the_next_step() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("live traffic", |world| {
        world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
    });
    let challenger = world.revision_of("better");
    world.edit_spec(|spec| {
        spec["canary"]["steps"] = json!([
            {"weight": 2, "duration": "1m", "minSamples": 400},
            {"weight": 3, "duration": "1m", "minSamples": 400},
        ]);
    });
    world.run_until("the next step", |world| world.weight(&challenger) > 1);
    assert_eq!(
        world.weight(&challenger),
        3,
        "the present step keeps its weight, the next one has the new"
    );
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn a_step_that_is_taken_out_of_the_specification_in_flight_does_not_strand_the_life() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("step 2", |world| {
        world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 5
    });
    world.edit_spec(|spec| spec["canary"]["steps"] = json!([{"weight": 2, "duration": "1m", "minSamples": 400}]));
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn a_gate_that_becomes_stricter_in_flight_counts_and_one_that_disappears_lets_nobody_through() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("live traffic", |world| {
        world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
    });
    world.gates.clear();
    let challenger = world.revision_of("better");
    let segments = world.plane.segments.len();
    assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
    assert!(
        world.plane.segments[segments..]
            .iter()
            .all(|segment| segment.weight(&challenger) <= 1)
    );
    let rollback = world.entries.iter().find(|entry| entry.0 == Kind::Rollback).unwrap();
    assert_eq!(rollback.1["reason"], "DeadlineExceeded");
}

#[test]
fn a_change_of_the_target_is_shown_and_changes_no_frozen_template() {
    let mut world = World::adopted();
    let champion = world.champion();
    world.challenge("better", "better");
    world.run_until("live traffic", |world| {
        world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
    });
    let challenger = world.revision_of("better");
    let template = world.deployments[&challenger].spec.as_ref().unwrap().template.clone();
    let target = world.target.as_mut().unwrap();
    let pod = target.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    pod.service_account_name = Some("other".to_owned());
    world.pass();
    assert_eq!(
        world.condition("TargetChanged"),
        ("True".to_owned(), "TargetChanged".to_owned())
    );
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    assert_eq!(world.deployments[&challenger].spec.as_ref().unwrap().template, template);
    assert_eq!(world.champion(), challenger);
    assert_ne!(champion, challenger);
}

#[test]
fn a_target_that_changed_before_the_pods_were_made_ends_the_life() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("the intent", |world| world.grant() == Some(Grant::Shadow));
    let target = world.target.as_mut().unwrap();
    let pod = target.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    pod.service_account_name = Some("other".to_owned());
    world.run_until("the end", |world| world.kinds().contains(&Kind::Rejection));
    world.run_until("cleaned up", |world| world.book().unwrap().life.is_none());
    assert_eq!(world.deployments.len(), 1);
}

#[test]
fn a_promoted_challenger_is_not_undone_by_the_unchanged_target() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_to_end("better");
    world.run_for(Duration::from_mins(10));
    assert_eq!(world.champion(), world.revision_of("better"));
    assert_eq!(world.condition("TargetChanged").0, "False");
}

#[test]
fn a_challenger_that_runs_what_the_champion_runs_harms_nobody() {
    let mut world = World::adopted();
    world.challenge("same", "champion");
    world.advance(Duration::from_secs(2));
    world.challenge("better", "better");
    assert_eq!(
        world.run_to_end("better"),
        ChallengerPhase::Promoted,
        "it does not stand in the way"
    );
    world.run_for(Duration::from_mins(2));
    assert!(world.ready(&world.champion()) >= 2);
}

#[test]
fn the_champion_is_never_scaled_down() {
    let mut world = World::adopted();
    let champion = world.champion();
    world.challenge("same", "champion");
    for _ in 0..300 {
        world.pass();
        assert_eq!(replicas(&world.deployments[&champion]), 2);
    }
}

#[test]
fn past_revisions_go_beyond_the_history_limit_and_never_the_champion() {
    let mut world = World::adopted();
    for (name, model) in [("a", "unfair"), ("b", "better"), ("c", "third")] {
        world.challenge(name, model);
        world.run_to_end(name);
        world.advance(Duration::from_secs(2));
    }
    world.run_for(Duration::from_mins(2));
    assert!(world.deployments.contains_key(&world.champion()));
    assert_eq!(world.deployments.len(), 2, "the champion and one past revision");
    assert_eq!(world.services.len(), 2);
}

#[test]
fn a_service_of_somebody_else_that_would_select_revision_pods_stops_the_adoption() {
    let mut world = World::new();
    world.make_service("all", &json!({"penin.ai/cycle": objects::CYCLE}));
    world.run_for(Duration::from_mins(1));
    assert!(world.deployments.is_empty());
    assert_eq!(
        world.condition("Accepted"),
        ("False".to_owned(), "SelectorConflict".to_owned())
    );
    world.foreign_services.clear();
    world.run_until("the adoption", |world| world.book().is_some());
}

#[test]
fn a_missing_target_and_a_foreign_deployment_stop_the_adoption() {
    let mut world = World::new();
    let target = world.target.take();
    world.run_for(Duration::from_mins(1));
    assert_eq!(
        world.condition("ResolvedRefs"),
        ("False".to_owned(), "TargetNotFound".to_owned())
    );
    world.target = target;
    world.run_until("the copy", |world| world.deployments.len() == 1);
    let deployment = world.deployments.values_mut().next().unwrap();
    for owner in deployment.metadata.owner_references.iter_mut().flatten() {
        owner.uid = "somebody".to_owned();
    }
    world.run_for(Duration::from_mins(1));
    assert!(world.book().is_none());
    assert_eq!(
        world.condition("Accepted"),
        ("False".to_owned(), "NameConflict".to_owned())
    );
}

#[test]
fn a_target_that_disappears_after_the_adoption_takes_nothing_away() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("live traffic", |world| {
        world.deployments.len() == 2 && world.weight(&world.revision_of("better")) == 1
    });
    world.target = None;
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn evidence_without_proof_is_recorded_once_a_minute_at_most_and_only_when_its_causes_change() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    world.source.down = true;
    let before = world.entries.len();
    world.run_for(Duration::from_mins(4));
    let notes = world.entries.len() - before;
    assert!((1..=2).contains(&notes), "{notes}");
}

#[test]
fn of_two_cycles_on_one_target_the_adopted_or_the_older_one_has_it() {
    let mut world = World::new();
    let rival = |created: &str, adopted: bool| {
        let mut rival = objects::cycle(&objects::cycle_spec(), created.parse().unwrap());
        rival.metadata.name = Some("other".to_owned());
        rival.metadata.uid = Some("other".to_owned());
        let status = json!({"champion": {
            "revision": "other-0", "digest": "0".repeat(64), "deployment": "d", "service": "s", "since": created,
        }});
        rival.status = adopted.then(|| serde_json::from_value(status).unwrap());
        rival
    };
    let (older, younger) = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
    for stronger in [rival(older, false), rival(younger, true)] {
        world.rivals = vec![stronger];
        world.run_for(Duration::from_mins(1));
        assert!(world.deployments.is_empty() && world.route.is_none());
        assert_eq!(
            world.condition("Accepted"),
            ("False".to_owned(), "TargetConflict".to_owned())
        );
    }
    // A younger one that has nothing, and an adopted one of another target.
    let mut elsewhere = rival(older, true);
    elsewhere.spec.target_ref.name = "elsewhere".to_owned();
    world.rivals = vec![rival(younger, false), elsewhere];
    world.run_until("the adoption", |world| world.book().is_some());
}

#[test]
fn a_target_that_cannot_be_copied_and_a_gate_that_is_missing_have_reasons_of_their_own() {
    let mut world = World::new();
    let target = world.target.as_mut().unwrap();
    target
        .spec
        .as_mut()
        .unwrap()
        .template
        .spec
        .as_mut()
        .unwrap()
        .containers
        .clear();
    world.gates.clear();
    world.run_for(Duration::from_mins(1));
    assert_eq!(
        world.condition("ResolvedRefs"),
        ("False".to_owned(), "TargetInvalid".to_owned())
    );
    world.target = Some(objects::target("champion"));
    world.run_for(Duration::from_mins(1));
    assert_eq!(
        world.condition("ResolvedRefs"),
        ("False".to_owned(), "GateNotFound".to_owned())
    );
}

#[test]
fn the_cycle_says_whether_its_evidence_can_be_used_and_what_is_wrong_with_it() {
    let mut world = World::adopted();
    world.run_for(Duration::from_mins(1));
    let said = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    assert_eq!(world.condition("EvidenceAvailable"), said("Unknown", "Idle"));
    world.challenge("better", "better");
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.condition("EvidenceAvailable"), said("True", "EvidenceAvailable"));
    world.source.down = true;
    world.run_for(Duration::from_secs(15));
    assert_eq!(world.condition("EvidenceAvailable"), said("False", "SourceUnavailable"));
    let status = world.cycle.as_ref().unwrap().status.as_ref().unwrap();
    let condition = status
        .conditions
        .iter()
        .find(|c| c.type_ == "EvidenceAvailable")
        .unwrap();
    assert!(
        condition.message.starts_with("traffic of the candidate: unreachable"),
        "{}",
        condition.message
    );
    world.source.down = false;
    world.run_until("the mirror's end", |world| {
        matches!(world.grant(), Some(Grant::Step { index: 0, .. })) && world.plane.now().unwrap().mirror.is_none()
    });
    world.run_for(Duration::from_millis(800));
    assert_eq!(world.condition("EvidenceAvailable"), said("True", "EvidenceAvailable"));
}

#[test]
fn a_window_that_begins_anew_does_not_make_old_causes_new() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    let before = world.entries.len();
    let notes = |world: &World| {
        let unknown = |entry: &&(Kind, serde_json::Value)| entry.1["assessment"]["reason"] == "EVIDENCE_UNKNOWN";
        world.entries[before..].iter().filter(unknown).count()
    };
    world.source.down = true;
    world.run_until("a note", |world| notes(world) == 1);
    (world.source.down, world.source.unread_at_start) = (false, true);
    world.run_for(Duration::from_secs(11));
    (world.source.down, world.source.unread_at_start) = (true, false);
    world.run_for(Duration::from_secs(80));
    assert_eq!(world.phase("better"), Some(ChallengerPhase::Shadow));
    assert_eq!(notes(&world), 1, "the same causes were recorded again");
}
