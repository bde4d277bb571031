//! A ledger that takes nothing, is closed or is slow: promotions stop, withdrawals go on.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::json;

use super::world::{LedgerMode, Pods, World, replicas};
use crate::adapters::traffic::Split;
use crate::controllers::cycle::book::Grant;

const BAD: [LedgerMode; 3] = [LedgerMode::Broken, LedgerMode::Closed, LedgerMode::Slow];

#[test]
fn nobody_is_started_without_a_ledger() {
    for mode in BAD {
        let mut world = World::adopted();
        world.ledger = mode;
        world.challenge("better", "better");
        world.run_for(Duration::from_mins(5));
        assert_eq!(world.deployments.len(), 1, "{mode:?}");
        world.ledger = LedgerMode::Up;
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted, "{mode:?}");
    }
}

#[test]
fn an_entry_that_becomes_durable_late_is_not_decided_again() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    for round in 0..60 {
        world.ledger = if round % 3 == 0 {
            LedgerMode::Up
        } else {
            LedgerMode::Late
        };
        world.run_for(Duration::from_secs(10));
    }
    world.ledger = LedgerMode::Up;
    assert!(world.run_to_end("better").is_final());
    // Every decision of the engine stands on what the one before it left: the ledger can be replayed.
    let mut left = None;
    let mut decisions = 0;
    for (_, body) in &world.entries {
        let outcome = &body["outcome"];
        if let Some(before) = outcome.get("preStateHash") {
            assert!(left.is_none() || left == Some(before), "{body}");
            decisions += 1;
        }
        left = outcome.get("postStateHash").or(left);
    }
    assert!(decisions > 2, "{decisions}");
    for kind in [Kind::PromoteAttest, Kind::Rollback, Kind::Rejection] {
        assert!(
            world.kinds().iter().filter(|found| **found == kind).count() <= 1,
            "{kind}"
        );
    }
}

#[test]
fn nothing_is_raised_without_a_ledger_and_the_deadline_takes_it_back() {
    for mode in BAD {
        for (what, weight) in [("the grant", 0), ("live traffic", 1)] {
            let mut world = World::adopted();
            world.challenge("better", "better");
            world.run_until(what, |world| {
                matches!(world.grant(), Some(Grant::Step { .. }))
                    && world.weight(&world.revision_of("better")) == weight
            });
            let revision = world.revision_of("better");
            world.ledger = mode;
            let segments = world.plane.segments.len();
            let mut highest = weight;
            for _ in 0..400 {
                world.pass();
                highest = highest.max(world.weight(&revision));
            }
            if mode == LedgerMode::Slow {
                // A slow ledger is no broken one: what was granted may be written, and nothing is granted.
                assert!(highest <= 1, "{mode:?} {what}: {highest}");
            } else {
                assert_eq!(highest, weight, "{mode:?} {what}");
            }
            assert!(world.plane.segments.len() >= segments);
            assert_eq!(world.weight(&revision), 0, "{mode:?} {what}: the deadline has passed");
        }
    }
}

/// The evidence behind a grant is as old as the grant: what could not be made of it in time is not made of it later.
#[test]
fn a_grant_that_nothing_was_made_of_in_time_raises_nothing_afterwards() {
    type Reached = fn(&World) -> bool;
    let grants: [(&str, Reached); 3] = [
        ("the first step", |world| {
            matches!(world.grant(), Some(Grant::Step { index: 0, .. }))
        }),
        ("the next step", |world| {
            matches!(world.grant(), Some(Grant::Step { index: 1, .. }))
        }),
        ("the promotion", |world| world.grant() == Some(Grant::Promotion)),
    ];
    type Away = fn(&mut World);
    let kept: [(&str, Away); 4] = [
        ("the ledger takes nothing", |world| {
            world.ledger = LedgerMode::Broken;
            world.run_for(Duration::from_secs(75));
            world.ledger = LedgerMode::Up;
        }),
        ("the ledger is closed", |world| {
            world.ledger = LedgerMode::Closed;
            world.run_for(Duration::from_secs(75));
            world.ledger = LedgerMode::Up;
        }),
        ("no operator runs", |world| world.advance(Duration::from_secs(75))),
        ("the cycle is suspended", |world| {
            world.edit_spec(|spec| spec["suspend"] = json!(true));
            world.run_for(Duration::from_secs(75));
            world.edit_spec(|spec| spec["suspend"] = json!(false));
        }),
    ];
    for (grant, reached) in grants {
        for (what, away) in kept {
            let mut world = World::adopted();
            world.challenge("better", "better");
            world.run_until(grant, reached);
            let revision = world.revision_of("better");
            let before = world.weight(&revision);
            away(&mut world);
            let mut highest = 0;
            world.run_until("an end", |world| {
                world.phase("better").is_some_and(ChallengerPhase::is_final)
            });
            for segment in &world.plane.segments {
                highest = highest.max(segment.weight(&revision));
            }
            assert_eq!(highest, before, "{grant}, {what}");
            assert_eq!(
                world.phase("better"),
                Some(ChallengerPhase::RolledBack),
                "{grant}, {what}"
            );
            let rollback = world.entries.iter().find(|entry| entry.0 == Kind::Rollback).unwrap();
            let said = rollback.1["message"].as_str().unwrap();
            assert!(said.contains("no longer fresh"), "{grant}, {what}: {said}");
        }
    }
}

/// What was served already is only set back, however long ago it was granted.
#[test]
fn a_weight_that_was_served_is_set_back_whenever_it_is_lost() {
    let mut world = World::in_canary();
    let revision = world.revision_of("better");
    world.run_until("the observed effect of the second step", |world| {
        let life = world.book().unwrap().life.unwrap();
        life.effect_recorded && matches!(life.grant, Grant::Step { index: 1, .. })
    });
    let weight = world.weight(&revision);
    world.source.down = true;
    world.run_for(Duration::from_secs(75));
    world.source.down = false;
    world.tamper(&world.champion(), &Split::ChampionOnly);
    world.run_until("the weight", |world| world.weight(&revision) == weight);
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn a_withdrawal_goes_on_without_a_ledger_and_is_recorded_once_when_it_is_well() {
    type Cause = fn(&mut World);
    let causes: [(&str, Cause); 3] = [
        ("an abort", |world| world.abort("better", "stop")),
        ("lost pods", |world| {
            world.pods.insert("better".to_owned(), Pods::Broken("gone"));
        }),
        ("a deletion", |world| world.delete_challenger("better")),
    ];
    for mode in [LedgerMode::Broken, LedgerMode::Slow, LedgerMode::Closed] {
        for (name, cause) in causes {
            let mut world = World::in_canary();
            world.ledger = mode;
            cause(&mut world);
            let revision = world.revision_of("better");
            let begun = world.now;
            world.run_until(name, |world| world.weight(&revision) == 0);
            assert!(world.now.duration_since(begun).as_secs() < 60, "{mode:?} {name}");
            if mode != LedgerMode::Closed {
                world.run_until("no pods", |world| replicas(&world.deployments[&revision]) == 0);
            }
            world.run_for(Duration::from_secs(30));
            assert_eq!(world.weight(&revision), 0);
            world.ledger = LedgerMode::Up;
            world.run_until("the end", |world| world.book().unwrap().life.is_none());
            // What a person asked for is recorded as that, whatever the ledger's state was.
            let by_person = name != "lost pods";
            let (wanted, other) = if by_person {
                (Kind::Override, Kind::Rollback)
            } else {
                (Kind::Rollback, Kind::Override)
            };
            let count = |wanted| world.kinds().iter().filter(|kind| **kind == wanted).count();
            assert_eq!(
                (count(wanted), count(other)),
                (1, 0),
                "{mode:?} {name}: {:?}",
                world.kinds()
            );
        }
    }
}

#[test]
fn a_promotion_is_taken_back_without_a_ledger() {
    for mode in [LedgerMode::Broken, LedgerMode::Closed] {
        let mut world = World::adopted();
        let former = world.champion();
        world.challenge("better", "better");
        world.run_until("the watch", |world| {
            world.phase("better") == Some(ChallengerPhase::Watching)
        });
        world.run_for(Duration::from_secs(5));
        world.ledger = mode;
        world.abort("better", "stop");
        world.run_until("the former champion", |world| world.weight(&former) == 100);
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.weight(&former), 100, "{mode:?}");
        assert_eq!(world.ready(&former), 2);
        world.ledger = LedgerMode::Up;
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Aborted);
        assert_eq!(world.champion(), former);
    }
}

#[test]
fn a_cycle_can_be_deleted_without_a_ledger() {
    for mode in [LedgerMode::Broken, LedgerMode::Closed] {
        let mut world = World::in_canary();
        let champion = world.champion();
        world.ledger = mode;
        world.delete_cycle();
        world.run_until("the end of the cycle", |world| world.cycle.is_none());
        assert_eq!(world.weight(&champion), 100, "{mode:?}");
        assert!(
            world.deployments.contains_key(&champion) && world.services.contains_key(&champion),
            "{mode:?}"
        );
        assert_eq!(world.route.as_ref().unwrap().spec.rules.len(), 1, "{mode:?}");
    }
}

#[test]
fn a_weight_that_somebody_raised_is_set_back_without_a_ledger() {
    for mode in [LedgerMode::Broken, LedgerMode::Closed] {
        let mut world = World::in_canary();
        world.ledger = mode;
        let challenger = world.revision_of("better");
        world.tamper_live(&challenger, 5);
        world.run_until("the weight set back", |world| world.weight(&challenger) <= 1);
        assert!(world.trail.len() < 4_000);
    }
}

#[test]
fn a_deleted_route_is_made_again_without_a_ledger_and_gives_the_challenger_nothing() {
    let mut world = World::in_canary();
    world.ledger = LedgerMode::Broken;
    world.route = None;
    world.run_until("the route", |world| world.route.is_some());
    assert_eq!(world.weight(&world.champion()), 100);
    assert_eq!(world.weight(&world.revision_of("better")), 0);
}

#[test]
fn a_queued_withdrawal_survives_a_restart() {
    let mut world = World::in_canary();
    world.ledger = LedgerMode::Broken;
    world.abort("better", "stop");
    world.run_until("weight 0", |world| world.weight(&world.revision_of("better")) == 0);
    // The person changes their mind; the decision stands.
    let annotations = world.challengers.get_mut("better").unwrap();
    annotations.metadata.annotations = None;
    world.forget_queue();
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.weight(&world.revision_of("better")), 0);
    world.ledger = LedgerMode::Up;
    assert_ne!(world.run_to_end("better"), ChallengerPhase::Promoted);
    assert_eq!(world.weight(&world.revision_of("better")), 0);
}

#[test]
fn a_status_that_knows_more_than_the_ledger_takes_traffic_away() {
    let mut world = World::in_canary();
    let status = world.cycle.as_mut().unwrap().status.as_mut().unwrap();
    status.cycle = Some(penin_api::values::UnsignedString::from(99));
    assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
    let rollback = world.entries.iter().find(|entry| entry.0 == Kind::Rollback).unwrap();
    assert_eq!(rollback.1["reason"], "StateMismatch");
}

#[test]
fn a_status_of_another_operator_is_refused_by_its_name() {
    let mut world = World::in_canary();
    let status = world.cycle.as_mut().unwrap().status.as_mut().unwrap();
    status.cycle = Some(penin_api::values::UnsignedString::from(99));
    let ledger = status.ledger.as_mut().unwrap();
    assert_eq!(ledger.origin.as_deref(), Some("penin.ai/ledger/test"));
    ledger.origin = Some("penin.ai/ledger/other/penin".to_owned());
    assert_eq!(world.run_to_end("better"), ChallengerPhase::RolledBack);
    let said = world.reason("better");
    assert!(
        said.contains("penin.ai/ledger/other/penin") && said.contains("penin.ai/ledger/test"),
        "{said}"
    );
}
