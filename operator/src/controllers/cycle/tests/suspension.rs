//! A suspension and its end are entries: one for each change, and never in the way of anything else.

use std::time::Duration;

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::json;

use super::world::{Cut, LedgerMode, World};
use crate::controllers::cycle::book::Grant;

fn suspend(world: &mut World, suspend: bool) {
    world.edit_spec(|spec| spec["suspend"] = json!(suspend));
}

/// What the entries say about suspensions, in order.
fn said(world: &World) -> Vec<bool> {
    let overrides = world.entries.iter().filter(|entry| entry.0 == Kind::Override);
    overrides.filter_map(|entry| entry.1["suspended"].as_bool()).collect()
}

#[test]
fn a_suspension_and_its_end_are_one_entry_each() {
    let mut world = World::adopted();
    world.run_for(Duration::from_mins(10));
    assert!(said(&world).is_empty());
    for round in 1..=2 {
        for (index, now) in [true, false].into_iter().enumerate() {
            suspend(&mut world, now);
            world.run_for(Duration::from_mins(10));
            assert_eq!(said(&world).len(), 2 * round - 1 + index);
            assert_eq!(said(&world).last(), Some(&now));
            assert_eq!(world.book().unwrap().suspended, now);
        }
    }
    assert!(
        world
            .kinds()
            .iter()
            .all(|kind| !matches!(kind, Kind::Rollback | Kind::Rejection))
    );
}

#[test]
fn a_suspension_in_a_life_names_it_and_ends_nothing() {
    let mut world = World::in_canary();
    suspend(&mut world, true);
    world.run_until("the entry", |world| said(world) == [true]);
    let entry = world
        .entries
        .iter()
        .rev()
        .find(|entry| entry.0 == Kind::Override)
        .unwrap();
    assert_eq!(entry.1["challenger"]["name"], "better");
    assert_eq!(entry.1["grant"]["kind"], "step");
    assert!(matches!(world.grant(), Some(Grant::Step { index: 0, .. })));
    suspend(&mut world, false);
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    assert_eq!(said(&world), [true, false]);
}

#[test]
fn an_entry_whose_answer_comes_too_late_is_not_made_again() {
    let mut world = World::in_canary();
    world.ledger = LedgerMode::Late;
    suspend(&mut world, true);
    world.run_for(Duration::from_mins(1));
    assert_eq!(said(&world), [true]);
    suspend(&mut world, false);
    world.run_for(Duration::from_mins(1));
    assert_eq!(said(&world), [true, false]);
}

#[test]
fn a_process_that_is_killed_at_any_pass_records_a_suspension_once() {
    for cut in [Cut::BeforeAction, Cut::BeforeStatus] {
        let mut whole = World::in_canary();
        suspend(&mut whole, true);
        for at in 0..12 {
            let mut world = whole.clone();
            for _ in 0..3 {
                world.cut_pass(cut);
            }
            world.run_for(Duration::from_secs(30));
            assert_eq!(said(&world), [true], "pass {at} cut {cut:?}");
            suspend(&mut world, false);
            for _ in 0..3 {
                world.cut_pass(cut);
            }
            world.run_until("the end", |world| said(world).len() == 2);
            world.run_for(Duration::from_secs(30));
            assert_eq!(said(&world), [true, false], "pass {at} cut {cut:?}");
            whole.pass();
        }
    }
}

#[test]
fn without_a_ledger_a_suspension_holds_at_once_and_its_entry_follows() {
    for mode in [LedgerMode::Broken, LedgerMode::Closed, LedgerMode::Slow] {
        let mut world = World::adopted();
        world.challenge("better", "better");
        world.run_until("the grant", |world| {
            matches!(world.grant(), Some(Grant::Step { index: 0, .. }))
        });
        let revision = world.revision_of("better");
        world.ledger = mode;
        suspend(&mut world, true);
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.weight(&revision), 0, "{mode:?}");
        assert!(said(&world).is_empty(), "{mode:?}");
        world.ledger = LedgerMode::Up;
        world.run_for(Duration::from_secs(15));
        assert_eq!(said(&world), [true], "{mode:?}");
        assert_eq!(world.weight(&revision), 0, "{mode:?}");
        // One that begins and ends while the ledger takes nothing leaves no entry.
        world.ledger = mode;
        suspend(&mut world, false);
        world.run_for(Duration::from_secs(5));
        suspend(&mut world, true);
        world.run_for(Duration::from_secs(5));
        world.ledger = LedgerMode::Up;
        world.run_for(Duration::from_secs(15));
        assert_eq!(said(&world), [true], "{mode:?}");
    }
}

#[test]
fn an_idle_cycle_that_is_suspended_without_a_ledger_says_so_soon_after_it_is_back() {
    let mut world = World::adopted();
    world.ledger = LedgerMode::Broken;
    suspend(&mut world, true);
    let plan = world.pass().unwrap();
    assert!(plan.recheck <= Duration::from_secs(10), "{:?}", plan.recheck);
    world.ledger = LedgerMode::Up;
    world.run_until("the entry", |world| said(world) == [true]);
}

#[test]
fn an_entry_that_is_not_taken_stands_before_nothing_that_takes_traffic_away() {
    for mode in [LedgerMode::Up, LedgerMode::Broken, LedgerMode::Slow] {
        let mut world = World::in_canary();
        let revision = world.revision_of("better");
        world.ledger = mode;
        suspend(&mut world, true);
        world.abort("better", "stop");
        let entries = world.entries.len();
        let begun = world.now;
        world.run_until("weight 0", |world| world.weight(&revision) == 0);
        assert!(world.now.duration_since(begun).as_secs() < 60, "{mode:?}");
        if mode == LedgerMode::Up {
            assert_eq!(world.entries[entries].1["verdict"], "Aborted");
        }
    }
}

#[test]
fn a_cycle_that_is_being_deleted_records_no_suspension() {
    // With a challenger whose last requests are being finished: there are passes that only wait.
    let mut world = World::in_canary();
    suspend(&mut world, true);
    world.delete_cycle();
    world.run_until("the end of the cycle", |world| world.cycle.is_none());
    assert!(said(&world).is_empty());
}
