//! Reasons that a person reads: each is reached by what really leads to it.

use std::sync::Arc;
use std::time::Duration;

use penin_api::names::FINALIZER_CYCLE;
use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use penin_ledger::{Head, Keys, Ledger, MemoryAnchor, Options};
use serde_json::json;

use super::objects;
use super::world::{LedgerMode, World};
use crate::controllers::cycle::snapshot::LedgerView;
use crate::runtime::clock::SystemClock;
use crate::runtime::metrics::Metrics;
use crate::services::ledger::LedgerService;

fn said(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

/// What the ledger's service says of a volume that is empty although its anchor names five entries.
fn lost_volume() -> LedgerView {
    let folder = tempfile::tempdir().unwrap();
    let origin = "penin.ai/ledger/test";
    let anchor = MemoryAnchor::new(Some(Head {
        origin: origin.to_owned(),
        size: 5,
        root: penin_ledger::Digest::ZERO,
        epoch: 1,
    }));
    let mut options = Options::new(origin, 1);
    options.any_filesystem = true;
    let opened = Ledger::open(folder.path(), Keys::generate([7; 64]), Box::new(anchor), 2, options);
    let service = LedgerService::new(
        folder.path().to_owned(),
        origin.to_owned(),
        Metrics::new().unwrap(),
        Arc::new(SystemClock),
    );
    service.failed(&opened.expect_err("a lost volume does not open"));
    service.view()
}

#[test]
fn a_clock_that_is_behind_stops_promotions_alone_and_is_said() {
    let mut world = World::adopted();
    world.ledger_says = Some(LedgerView {
        origin: "penin.ai/ledger/test".to_owned(),
        problem: None,
        corrupt: false,
        clock_behind: Some("ClockBehind: set the clock right".to_owned()),
        publication: None,
    });
    world.challenge("better", "better");
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    assert_eq!(world.condition("LedgerAvailable"), said("False", "ClockBehind"));
    world.abort("better", "stop");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Aborted);
    assert!(world.kinds().contains(&Kind::Override));
}

#[test]
fn a_published_copy_that_is_behind_is_said_and_stops_nothing() {
    let mut world = World::adopted();
    world.ledger_says = Some(LedgerView {
        origin: "penin.ai/ledger/test".to_owned(),
        problem: None,
        corrupt: false,
        clock_behind: None,
        publication: Some("tile/0/000.p/3: no space left".to_owned()),
    });
    world.challenge("better", "better");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    assert_eq!(world.condition("LedgerAvailable"), said("True", "LedgerAvailable"));
    let status = world.cycle.as_ref().unwrap().status.clone().unwrap();
    let condition = status.conditions.iter().find(|c| c.type_ == "LedgerAvailable").unwrap();
    assert!(condition.message.contains("tile/0/000.p/3"), "{}", condition.message);
}

#[test]
fn a_lost_volume_is_no_ledger_that_is_merely_away() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    let before = world.entries.len();
    world.ledger = LedgerMode::Closed;
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.condition("LedgerAvailable"), said("False", "LedgerUnavailable"));
    world.ledger_says = Some(lost_volume());
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.condition("LedgerAvailable"), said("False", "LedgerCorrupt"));
    let status = world.cycle.as_ref().unwrap().status.clone().unwrap();
    let condition = status.conditions.iter().find(|c| c.type_ == "LedgerAvailable").unwrap();
    assert_eq!(Some(&condition.message), lost_volume().problem.as_ref());
    assert_eq!(world.entries.len(), before);
    (world.ledger, world.ledger_says) = (LedgerMode::Up, None);
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    assert_eq!(world.condition("LedgerAvailable"), said("True", "LedgerAvailable"));
}

#[test]
fn an_evaluation_that_the_engine_perturbs_proves_nothing_and_the_next_one_counts() {
    let mut struck = Vec::new();
    for seed in 26..34 {
        let mut spec = objects::cycle_spec();
        spec["engine"] = json!({"seed": seed.to_string(), "caos": {"chaosProbability": "0.1"}});
        let mut world = World::adopted_with(&spec);
        world.challenge("better", "better");
        let mut strikes = 0;
        while !world.phase("better").is_some_and(ChallengerPhase::is_final) {
            let (grant, weights) = (world.grant(), world.plane.segments.len());
            let plan = world.pass().unwrap();
            if plan.reason.as_str() != "ChaosInjected" {
                continue;
            }
            strikes += 1;
            assert_eq!((world.grant(), world.plane.segments.len()), (grant, weights), "{seed}");
            assert!(world.reason("better").starts_with("ChaosInjected: "), "{seed}");
            let (kind, body) = world.entries.last().unwrap();
            assert_eq!(
                (*kind, &body["outcome"]["reason"]),
                (Kind::GateEval, &json!("CHAOS_INJECTED")),
                "{seed}"
            );
        }
        // What was drawn is used up: the next evaluation draws anew, long before a deadline.
        assert_eq!(
            world.phase("better"),
            Some(ChallengerPhase::Promoted),
            "{seed}: {strikes} strikes"
        );
        struck.push(strikes);
    }
    assert!(
        struck.iter().any(|strikes| *strikes > 1) && struck.contains(&0),
        "{struck:?}"
    );
}

#[test]
fn an_adoption_says_so_from_its_first_pass_until_the_champion_serves() {
    let mut world = World::new();
    world.pass();
    assert_eq!(world.condition("Adopted"), said("False", "Adopting"));
    assert_eq!(world.condition("Ready"), said("False", "Progressing"));
    world.run_until("the copy", |world| world.deployments.len() == 1);
    assert_eq!(world.condition("Adopted"), said("False", "Adopting"));
    world.run_until("the route", |world| world.route.is_some());
    assert_eq!(world.condition("Adopted"), said("False", "Adopting"));
    world.run_until("the entry", |world| world.book().is_some());
    assert_eq!(world.condition("Adopted"), said("True", "Adopted"));
}

#[test]
fn a_deletion_says_so_while_it_is_recorded_and_while_somebody_else_holds_the_cycle() {
    let mut world = World::adopted();
    let finalizers = |world: &World| world.cycle.as_ref().unwrap().metadata.finalizers.clone().unwrap();
    let backup = "example.com/backup".to_owned();
    let metadata = &mut world.cycle.as_mut().unwrap().metadata;
    metadata.finalizers.as_mut().unwrap().push(backup.clone());
    world.delete_cycle();
    world.run_until("the entry", |world| world.book().is_none());
    assert_eq!(world.condition("Ready"), said("False", "Deleting"));
    let (kind, body) = world.entries.last().unwrap();
    assert_eq!(*kind, Kind::Outcome);
    assert!(
        body["observed"].as_str().unwrap().starts_with("the cycle was deleted"),
        "{body}"
    );
    world.run_until("our release", |world| {
        !finalizers(world).iter().any(|name| name == FINALIZER_CYCLE)
    });
    world.run_for(Duration::from_mins(2));
    assert_eq!(world.condition("Ready"), said("False", "Deleting"));
    let status = world.cycle.as_ref().unwrap().status.clone().unwrap();
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
        .unwrap();
    assert!(ready.message.contains("others release it"), "{}", ready.message);
    assert_eq!(finalizers(&world), [backup]);
    world.cycle.as_mut().unwrap().metadata.finalizers = Some(Vec::new());
    world.pass();
    assert!(world.cycle.is_none());
}
