//! A cycle that is applied again, and cycles whose specification or ledger is lost.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::json;

use super::world::{LedgerMode, World};
use crate::controllers::cycle::book::Grant;

/// A cycle that promoted a challenger, and was deleted.
fn orphaned() -> (World, String) {
    let mut world = World::adopted();
    world.challenge("better", "better");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    let champion = world.champion();
    world.delete_cycle();
    world.run_until("the end of the cycle", |world| world.cycle.is_none());
    (world, champion)
}

/// Everything that was served from a segment on went to one revision.
fn assert_uninterrupted(world: &World, from: usize, champion: &str) {
    for segment in &world.plane.segments[from - 1..] {
        assert_eq!(segment.weight(champion), 100, "{segment:?}");
    }
}

#[test]
fn a_cycle_that_is_applied_again_takes_over_what_served_without_a_break() {
    let (mut world, champion) = orphaned();
    let (from, deployments) = (world.plane.segments.len(), world.deployments.len());
    world.apply_again();
    world.run_until("the adoption", |world| world.book().is_some());
    assert_eq!(world.champion(), champion);
    assert_eq!(world.deployments.len(), deployments, "nothing is copied");
    assert_uninterrupted(&world, from, &champion);
    let uid = world.cycle.as_ref().unwrap().metadata.uid.clone().unwrap();
    let owner = |references: &Option<Vec<OwnerReference>>| references.as_ref().unwrap()[0].uid.clone();
    assert_eq!(owner(&world.deployments[&champion].metadata.owner_references), uid);
    assert_eq!(owner(&world.services[&champion].metadata.owner_references), uid);
    assert_eq!(owner(&world.route.as_ref().unwrap().metadata.owner_references), uid);
    let adopted = world.entries.iter().rfind(|entry| entry.0 == Kind::Adopt).unwrap();
    assert_eq!(adopted.1["champion"]["name"], champion);
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.condition("TargetChanged").0, "False");
    // Life goes on.
    world.challenge("unfair", "unfair");
    assert_eq!(world.run_to_end("unfair"), ChallengerPhase::Rejected);
    assert!(world.plane.segments.iter().any(|segment| segment.mirror.is_some()));
    assert_eq!(world.champion(), champion);
}

#[test]
fn a_copy_of_the_target_that_was_left_without_its_route_is_taken_over() {
    let mut world = World::adopted();
    let champion = world.champion();
    world.delete_cycle();
    world.run_until("the end of the cycle", |world| world.cycle.is_none());
    world.route = None;
    world.apply_again();
    world.run_until("the adoption", |world| world.book().is_some());
    assert_eq!((world.champion(), world.deployments.len()), (champion, 1));
}

#[test]
fn what_is_not_as_it_was_left_is_not_taken_over() {
    type Change = fn(&mut World, &str);
    let changes: [(&str, Change); 6] = [
        ("another template", |world, name| {
            let deployment = world.deployments.get_mut(name).unwrap();
            let template = &mut deployment.spec.as_mut().unwrap().template;
            template.spec.as_mut().unwrap().service_account_name = Some("admin".to_owned());
        }),
        ("another owner", |world, name| {
            let owner = json!({"apiVersion": "v1", "kind": "Team", "name": "t", "uid": "team"});
            let owner = serde_json::from_value(owner).unwrap();
            world.deployments.get_mut(name).unwrap().meta_mut().owner_references = Some(vec![owner]);
        }),
        ("no label", |world, name| {
            let labels = &mut world.deployments.get_mut(name).unwrap().meta_mut().labels;
            labels.as_mut().unwrap().remove("app.kubernetes.io/managed-by");
        }),
        ("another selector", |world, name| {
            let spec = world.services.get_mut(name).unwrap().spec.as_mut().unwrap();
            spec.selector = Some([("app".to_owned(), "other".to_owned())].into());
        }),
        ("another port", |world, name| {
            let spec = world.services.get_mut(name).unwrap().spec.as_mut().unwrap();
            spec.ports.as_mut().unwrap()[0].port = 81;
        }),
        ("two backends", |world, _| {
            let rule = &mut world.route.as_mut().unwrap().spec.rules[0];
            let mut second = rule.backend_refs[0].clone();
            second.name = "other".to_owned();
            rule.backend_refs.push(second);
        }),
    ];
    for (what, change) in changes {
        let (mut world, champion) = orphaned();
        change(&mut world, &champion);
        let (route, deployments) = (world.route.clone(), world.deployments.clone());
        world.apply_again();
        world.run_for(Duration::from_mins(2));
        assert_eq!(world.book(), None, "{what}");
        let (status, reason) = world.condition("Accepted");
        let known = ["RouteConflict", "SelectorConflict"].contains(&reason.as_str());
        assert!(status == "False" && known, "{what}: {reason}");
        assert_eq!(
            world.route.as_ref().map(|r| &r.spec),
            route.as_ref().map(|r| &r.spec),
            "{what}"
        );
        assert_eq!(world.deployments, deployments, "{what}");
        // The way out that the message names.
        world.route = None;
        world.run_until(what, |world| {
            world.book().is_some() || world.condition("Accepted").0 == "False"
        });
    }
}

#[test]
fn a_cycle_that_is_deleted_while_it_takes_over_leaves_everything_serving() {
    for passes in 1..12 {
        let (mut world, champion) = orphaned();
        let from = world.plane.segments.len();
        world.apply_again();
        for _ in 0..passes {
            world.pass();
        }
        world.delete_cycle();
        world.run_until("the end of the cycle", |world| world.cycle.is_none());
        assert_eq!(world.weight(&champion), 100, "{passes}");
        assert_uninterrupted(&world, from, &champion);
        assert!(world.deployments.contains_key(&champion) && world.services.contains_key(&champion));
        assert_eq!(world.ready(&champion), 2);
    }
}

#[test]
fn a_lost_ledger_moves_no_traffic() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    let (champion, from) = (world.champion(), world.plane.segments.len());
    world.lose_ledger();
    world.run_until("the adoption", |world| world.book().is_some());
    assert_eq!(world.champion(), champion);
    assert_uninterrupted(&world, from, &champion);
}

#[test]
fn a_specification_that_cannot_be_read_gives_the_champion_everything_and_lets_it_outlive_the_cycle() {
    let mut world = World::in_canary();
    let (champion, challenger) = (world.champion(), world.revision_of("better"));
    world.edit_spec(|spec| spec["canary"]["steps"] = json!([]));
    world.run_until("weight 0", |world| world.weight(&challenger) == 0);
    assert_eq!(world.condition("Accepted").1, "InvalidSpec");
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.weight(&champion), 100);
    world.delete_cycle();
    world.run_until("the end of the cycle", |world| world.cycle.is_none());
    assert_eq!(world.weight(&champion), 100);
    assert!(world.deployments.contains_key(&champion) && world.services.contains_key(&champion));
    assert_eq!(world.deployments.len(), 1, "the challenger's pods go with the cycle");
    assert_eq!(world.ready(&champion), 2);
}

#[test]
fn a_promotion_under_watch_is_given_back_when_the_cycle_goes_with_an_unreadable_specification() {
    let mut world = World::adopted();
    let former = world.champion();
    world.challenge("better", "better");
    world.run_until("the watch", |world| {
        world.phase("better") == Some(ChallengerPhase::Watching)
    });
    world.edit_spec(|spec| spec["canary"]["steps"] = json!([]));
    world.delete_cycle();
    world.run_until("the end of the cycle", |world| world.cycle.is_none());
    assert_eq!(world.weight(&former), 100);
    assert!(world.deployments.contains_key(&former) && world.ready(&former) == 2);
}

#[test]
fn a_host_name_that_is_edited_without_a_ledger_is_served_and_gives_nobody_more() {
    for mode in [LedgerMode::Broken, LedgerMode::Closed] {
        for stage in [None, Some(0), Some(1)] {
            let mut world = if stage == Some(1) {
                World::in_canary()
            } else {
                World::adopted()
            };
            if stage == Some(0) {
                world.challenge("better", "better");
                world.run_until("the grant", |world| matches!(world.grant(), Some(Grant::Step { .. })));
            }
            world.ledger = mode;
            world.edit_spec(|spec| spec["traffic"]["gateway"]["hostnames"] = json!(["new.example.com"]));
            let champion = world.champion();
            let live = |world: &World| 100 - world.plane.now().unwrap().weight(&champion);
            let before = live(&world);
            world.run_until("the host name", |world| {
                world.route.as_ref().unwrap().spec.hostnames == ["new.example.com"]
            });
            world.live_again();
            assert!(live(&world) <= before, "{mode:?} {stage:?}");
            let writes = |world: &World| world.route.as_ref().unwrap().metadata.generation;
            let written = writes(&world);
            world.run_for(Duration::from_secs(20));
            assert_eq!(writes(&world), written, "it is written once: {mode:?} {stage:?}");
        }
    }
}
