//! Services that somebody makes, or edits, after the adoption, so that requests reach revision pods past the route.

use std::time::Duration;

use jiff::Timestamp;
use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;
use serde_json::json;

use super::objects;
use super::world::{Pods, World, replicas};
use crate::controllers::cycle::book::Grant;
use crate::controllers::cycle::snapshot::Snapshot;

fn conflicts(world: &mut World) {
    world.make_service("all", &json!({"penin.ai/cycle": objects::CYCLE}));
}

fn conflict() -> (String, String) {
    ("False".to_owned(), "SelectorConflict".to_owned())
}

fn message(world: &World, type_: &str) -> String {
    let status = world.cycle.as_ref().unwrap().status.as_ref().unwrap();
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == type_).unwrap();
    found.message.clone()
}

fn snapshot(world: &World) -> Snapshot {
    world.snapshot(world.cycle.as_ref().unwrap())
}

type Begins = fn(&World) -> bool;

/// The stages of a life, with the live weight that each has.
const STAGES: [(&str, Begins, i32); 4] = [
    (
        "shadow",
        |world| world.phase("better") == Some(ChallengerPhase::Shadow),
        0,
    ),
    ("step 1", |world| observed(world, 0), 1),
    ("step 2", |world| observed(world, 1), 5),
    (
        "the watch",
        |world| world.phase("better") == Some(ChallengerPhase::Watching),
        100,
    ),
];

fn observed(world: &World, step: usize) -> bool {
    let life = world.book().unwrap().life;
    life.is_some_and(|life| life.effect_recorded && matches!(life.grant, Grant::Step { index, .. } if index == step))
}

fn in_stage(name: &str, begins: Begins) -> World {
    challenged(World::adopted(), name, begins)
}

/// In a cycle whose canary may last until a hundredth of the requests is evidence enough by itself: after a conflict
/// what was mirrored before it counts no more.
fn in_patient_stage(name: &str, begins: Begins) -> World {
    challenged(patient(), name, begins)
}

fn patient() -> World {
    let mut spec = objects::cycle_spec();
    spec["canary"]["deadline"] = json!("1h");
    World::adopted_with(&spec)
}

fn challenged(mut world: World, name: &str, begins: Begins) -> World {
    world.challenge("better", "better");
    world.run_until(name, |world| world.deployments.len() == 2 && begins(world));
    world.run_for(Duration::from_secs(5));
    world
}

fn is_over(world: &World) -> bool {
    matches!(world.grant(), Some(Grant::Withdrawn { .. }) | None)
}

#[test]
fn a_service_that_is_made_later_holds_every_stage_and_its_deadline_ends_it() {
    for (name, begins, weight) in STAGES {
        let mut world = in_stage(name, begins);
        let (revision, grant) = (world.revision_of("better"), world.grant());
        let before = world.entries.len();
        conflicts(&mut world);
        world.run_for(Duration::from_mins(4));
        assert_eq!(world.grant(), grant, "{name}: held");
        assert_eq!(world.weight(&revision), weight, "{name}: neither more nor less");
        assert_eq!(world.condition("Accepted"), conflict(), "{name}");
        assert!(message(&world, "Accepted").contains("Service all selects"), "{name}");
        let said = world.reason("better");
        assert!(
            said.starts_with("SelectorConflict: ") && said.contains("Service all "),
            "{name}: {said}"
        );
        let notes = world.entries[before..].iter().filter(|entry| entry.0 == Kind::GateEval);
        let notes: Vec<_> = notes.map(|entry| entry.1["verdict"].as_str().unwrap()).collect();
        assert!(
            matches!(notes.as_slice(), [note] if note.contains("Service all ")),
            "{name}: {notes:?}"
        );
        let wanted = match weight {
            0 => (ChallengerPhase::Rejected, Kind::Rejection),
            _ => (ChallengerPhase::RolledBack, Kind::Rollback),
        };
        assert_eq!(world.run_to_end("better"), wanted.0, "{name}");
        let end = world.entries.iter().find(|entry| entry.0 == wanted.1).unwrap();
        assert_eq!(end.1["reason"], "SelectorConflict", "{name}");
        assert_ne!(world.champion(), revision, "{name}");
    }
}

#[test]
fn a_service_that_is_gone_again_lets_every_stage_go_on_with_evidence_from_then_on() {
    for (name, begins, _) in STAGES {
        let mut world = in_patient_stage(name, begins);
        let grant = world.grant();
        conflicts(&mut world);
        world.run_for(Duration::from_mins(2));
        assert_eq!(world.grant(), grant, "{name}");
        world.foreign_services.clear();
        let gone = world.now;
        world.run_until(name, |world| world.grant() != grant);
        let lasted = world.now.duration_since(gone).as_secs_f64();
        assert!(
            lasted >= 50.0,
            "{name}: a whole window after the conflict, not {lasted} s"
        );
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted, "{name}");
        assert_eq!(world.condition("Accepted").0, "True", "{name}");
    }
}

#[test]
fn what_the_counters_said_during_a_conflict_is_no_evidence_for_the_rest_of_the_life() {
    let mut world = in_stage("shadow", STAGES[0].1);
    conflicts(&mut world);
    world.run_for(Duration::from_secs(30));
    let last: Timestamp = world.now;
    world.foreign_services.clear();
    world.run_until("step 2", |world| observed(world, 1));
    let mut asked = None;
    for _ in 0..200 {
        let cycle = world.cycle.clone().unwrap();
        let snapshot = world.snapshot(&cycle);
        let position = crate::controllers::cycle::reconcile::remembered_position(&snapshot, &cycle);
        let plan = crate::controllers::cycle::decide::decide(&snapshot, position, world.now);
        if let crate::controllers::cycle::plan::Action::Measure(measure) = plan.action {
            asked = Some(measure);
            break;
        }
        world.pass();
    }
    let asked = asked.expect("evidence is asked for");
    let since = asked.quality_since.duration_since(last).as_secs_f64();
    assert!(
        (-15.0..=0.0).contains(&since),
        "quality counts from the conflict's last pass: {since}"
    );
    assert!(!asked.born_inside, "the pods had counted before");
}

#[test]
fn bad_evidence_takes_traffic_away_during_a_conflict() {
    for (name, begins, weight) in STAGES {
        let mut world = in_stage(name, begins);
        conflicts(&mut world);
        world.run_for(Duration::from_secs(30));
        let now = world.now;
        world.source.failing_since.insert("better".to_owned(), now);
        world.run_until(name, is_over);
        let lasted = world.now.duration_since(now).as_secs();
        assert!(lasted < 120, "{name}: not at the deadline, after {lasted} s");
        let end = match weight {
            0 => ChallengerPhase::Rejected,
            _ => ChallengerPhase::RolledBack,
        };
        assert_eq!(world.run_to_end("better"), end, "{name}");
    }
}

#[test]
fn an_abort_and_a_deletion_do_not_wait_for_a_conflict() {
    for (name, begins, _) in STAGES {
        let mut world = in_stage(name, begins);
        conflicts(&mut world);
        world.run_for(Duration::from_secs(20));
        world.abort("better", "stop");
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Aborted, "{name}");
        world.delete_cycle();
        world.run_until("the end of the cycle", |world| world.cycle.is_none());
    }
}

#[test]
fn nobody_is_started_while_a_service_would_select_its_pods() {
    let mut world = World::adopted();
    conflicts(&mut world);
    world.challenge("better", "better");
    world.run_for(Duration::from_mins(10));
    assert_eq!((world.deployments.len(), world.grant()), (1, None));
    assert_eq!(world.condition("Accepted"), conflict());
    assert_eq!(world.condition("Ready"), conflict());
    let said = world.reason("better");
    assert!(said.contains("Service all "), "who waits is told why: {said}");
    world.foreign_services.clear();
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn pods_that_were_granted_are_not_started_in_a_conflict_and_the_progress_deadline_ends_the_wait() {
    let granted = || {
        let mut world = World::adopted();
        world.challenge("better", "better");
        world.run_until("the intent", |world| world.grant() == Some(Grant::Shadow));
        conflicts(&mut world);
        world.run_for(Duration::from_mins(1));
        assert_eq!((world.deployments.len(), world.services.len()), (1, 1));
        assert!(world.reason("better").starts_with("SelectorConflict: "));
        world
    };
    let mut world = granted();
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Rejected);
    let end = world.entries.iter().find(|entry| entry.0 == Kind::Rejection).unwrap();
    assert_eq!(end.1["reason"], "SelectorConflict");
    assert_eq!(world.deployments.len(), 1, "nothing was ever started");
    let mut world = granted();
    world.foreign_services.clear();
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn a_weight_that_was_granted_is_not_written_in_a_conflict() {
    type Granted = fn(&World) -> bool;
    let grants: [(&str, Granted, i32); 3] = [
        (
            "step 1",
            |world| matches!(world.grant(), Some(Grant::Step { index: 0, .. })),
            0,
        ),
        (
            "step 2",
            |world| matches!(world.grant(), Some(Grant::Step { index: 1, .. })),
            1,
        ),
        ("all traffic", |world| world.grant() == Some(Grant::Promotion), 5),
    ];
    for (name, granted, before) in grants {
        let mut world = patient();
        world.challenge("better", "better");
        world.run_until(name, |world| world.deployments.len() == 2 && granted(world));
        let revision = world.revision_of("better");
        assert_eq!(world.weight(&revision), before, "{name}");
        conflicts(&mut world);
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.weight(&revision), before, "{name}");
        assert!(world.reason("better").starts_with("SelectorConflict: "), "{name}");
        world.foreign_services.clear();
        assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted, "{name}");
    }
}

#[test]
fn a_selector_of_ours_that_somebody_widened_is_a_conflict_too() {
    let mut world = in_patient_stage("step 1", STAGES[1].1);
    let (champion, grant) = (world.champion(), world.grant());
    let service = world.services.get_mut(&champion).unwrap().spec.as_mut().unwrap();
    let before = service
        .selector
        .replace([("penin.ai/cycle".to_owned(), objects::CYCLE.to_owned())].into());
    world.run_for(Duration::from_mins(2));
    assert_eq!(world.grant(), grant);
    assert_eq!(world.condition("Accepted"), conflict());
    assert!(message(&world, "Accepted").contains(&champion), "the Service is named");
    world
        .services
        .get_mut(&champion)
        .unwrap()
        .spec
        .as_mut()
        .unwrap()
        .selector = before;
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn labels_of_pods_that_run_count_and_not_those_that_the_target_has_now() {
    let label = |world: &mut World, team: &str| {
        let target = world.target.as_mut().unwrap();
        let template = &mut target.spec.as_mut().unwrap().template;
        let labels = template.metadata.as_mut().unwrap().labels.as_mut().unwrap();
        labels.insert("team".to_owned(), team.to_owned());
    };
    let mut world = World::new();
    label(&mut world, "red");
    world.run_until("the baseline", |world| {
        world.book().is_some_and(|book| book.engine.evolving.linf.is_some())
    });
    label(&mut world, "blue");
    world.make_service("blue", &json!({"team": "blue"}));
    world.run_for(Duration::from_mins(6));
    assert_eq!(
        world.condition("Accepted").0,
        "True",
        "nobody has that label, or is about to"
    );
    world.foreign_services.clear();
    world.make_service("red", &json!({"team": "red"}));
    world.run_for(Duration::from_mins(6));
    assert_eq!(world.condition("Accepted"), conflict(), "the champion's pods have it");
    world.foreign_services.clear();
    world.make_service("blue", &json!({"team": "blue"}));
    world.challenge("better", "better");
    world.run_for(Duration::from_mins(1));
    assert_eq!(
        world.condition("Accepted"),
        conflict(),
        "the next challenger would have it"
    );
    assert_eq!(world.deployments.len(), 1);
}

#[test]
fn a_service_for_pods_that_are_no_more_holds_nothing() {
    let mut world = World::adopted();
    let former = world.champion();
    world.challenge("better", "better");
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
    let ended = world.revision_of("better");
    world.make_service("old", &json!({"penin.ai/revision": former}));
    world.run_for(Duration::from_mins(6));
    assert_eq!(replicas(&world.deployments[&former]), 0);
    assert_eq!(snapshot(&world).selector_conflict, None);
    world.make_service("new", &json!({"penin.ai/revision": ended}));
    assert!(snapshot(&world).selector_conflict.is_some(), "the champion has pods");
}

#[test]
fn pods_that_serve_nobody_are_put_away_in_a_conflict() {
    let mut world = World::adopted();
    world.challenge("worse", "unfair");
    world.run_to_end("worse");
    let old = world.revision_of("unfair");
    world.make_service("old", &json!({"penin.ai/revision": old}));
    // Somebody scales it up by hand: its pods would answer that Service.
    world.deployments.get_mut(&old).unwrap().spec.as_mut().unwrap().replicas = Some(1);
    world.run_until("no pods", |world| replicas(&world.deployments[&old]) == 0);
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.condition("Accepted").0, "True");
}

#[test]
fn more_services_than_a_pass_reads_hold_as_a_conflict_does() {
    let mut world = in_patient_stage("step 1", STAGES[1].1);
    let grant = world.grant();
    world.crowded = true;
    world.run_for(Duration::from_mins(2));
    assert_eq!(world.grant(), grant);
    assert_eq!(world.condition("Accepted"), conflict());
    assert!(message(&world, "Accepted").contains("not known"));
    world.crowded = false;
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}

#[test]
fn a_conflict_before_pods_are_ready_spoils_no_evidence() {
    let mut world = World::adopted();
    world.pods.insert("better".to_owned(), Pods::Broken("slow to start"));
    world.challenge("better", "better");
    world.run_until("its pods", |world| world.services.len() == 2);
    conflicts(&mut world);
    world.run_for(Duration::from_secs(30));
    world.foreign_services.clear();
    world.pods.clear();
    world.run_until("shadow", |world| world.phase("better") == Some(ChallengerPhase::Shadow));
    let status = world.challengers["better"].status.clone().unwrap();
    assert_eq!(status.position.unwrap().timers.disturbed_until, None);
    assert_eq!(world.run_to_end("better"), ChallengerPhase::Promoted);
}
