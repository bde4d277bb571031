//! A process that is killed at every point of a life: the verdict is the same or a safer one.

use penin_api::v1alpha1::ChallengerPhase;
use penin_ledger::entry::Kind;

use super::world::{Cut, World};

/// One pass, and the defect that begins with the first live request.
fn step(world: &mut World, model: &str, cut: Cut, fails_live: bool) {
    world.cut_pass(cut);
    if fails_live && world.source.failing_since.is_empty() && world.deployments.len() == 2 {
        let live = world.plane.now().unwrap().weight(&world.revision_of(model)) > 0;
        if live {
            let now = world.now;
            world.source.failing_since.insert(model.to_owned(), now);
        }
    }
}

fn is_over(world: &World) -> bool {
    let over = world.phase("c").is_some_and(ChallengerPhase::is_final);
    over && world.book().unwrap().life.is_none()
}

fn assert_agreement(world: &World, model: &str, promoted: bool) {
    let revision = world.revision_of(model);
    let weight = if promoted { 100 } else { 0 };
    assert_eq!(world.weight(&revision), weight);
    assert_eq!(world.champion() == revision, promoted);
    assert_eq!(
        world.route.as_ref().unwrap().spec.rules.len(),
        1,
        "nothing but the champion is left"
    );
    for (name, deployment) in &world.deployments {
        let serves = *name == world.champion();
        assert_eq!(super::world::replicas(deployment) > 0, serves, "{name}");
    }
    // Every stage that gave traffic lasted as long as asked, whatever was lost.
    let segments = &world.plane.segments;
    for (index, segment) in segments.iter().enumerate() {
        let given = segment.weight(&revision);
        if let Some(next) = segments.get(index + 1)
            && next.weight(&revision) > given
            && (given > 0 || segment.mirror.is_some())
        {
            let lasted = next.from.duration_since(segment.from).as_secs_f64();
            assert!(lasted >= 60.0, "{given} % lasted {lasted} s");
        }
    }
}

/// Lives one life, and from each of its passes another one in which that pass is cut off.
fn at_every_pass(mut whole: World, model: &str, verdict: ChallengerPhase, fails_live: bool) {
    whole.challenge("c", model);
    for at in 0..1_000 {
        for cut in [Cut::BeforeAction, Cut::BeforeStatus] {
            let mut world = whole.clone();
            world.cut_pass(cut);
            for _ in 0..1_000 {
                if is_over(&world) {
                    break;
                }
                step(&mut world, model, Cut::Nowhere, fails_live);
            }
            assert_eq!(
                world.phase("c"),
                Some(verdict),
                "pass {at} cut {cut:?}: {:?}",
                world.trail.last()
            );
            assert_agreement(&world, model, verdict == ChallengerPhase::Promoted);
            let ends = |kind: &&Kind| matches!(kind, Kind::Rejection | Kind::Rollback);
            let expected = usize::from(verdict != ChallengerPhase::Promoted);
            assert_eq!(
                world.kinds().iter().filter(ends).count(),
                expected,
                "pass {at} cut {cut:?}"
            );
        }
        if is_over(&whole) {
            assert!(at > 10, "a life has more passes than {at}");
            return;
        }
        step(&mut whole, model, Cut::Nowhere, fails_live);
    }
    panic!("no end: {:?}", whole.trail.last());
}

#[test]
fn a_promotion_survives_a_kill_at_every_pass() {
    at_every_pass(World::adopted(), "better", ChallengerPhase::Promoted, false);
}

#[test]
fn a_life_that_begins_before_there_is_a_baseline_survives_a_kill_at_every_pass() {
    let mut world = World::new();
    world.run_until("the adoption", |world| world.book().is_some());
    at_every_pass(world, "better", ChallengerPhase::Promoted, false);
}

#[test]
fn a_refusal_in_shadow_survives_a_kill_at_every_pass() {
    at_every_pass(World::adopted(), "unfair", ChallengerPhase::Rejected, false);
}

#[test]
fn a_rollback_survives_a_kill_at_every_pass() {
    at_every_pass(World::adopted(), "failing", ChallengerPhase::RolledBack, true);
}

#[test]
fn a_process_that_never_lives_long_enough_to_write_a_status_never_raises_traffic_faster() {
    let mut world = World::adopted();
    world.challenge("better", "better");
    for _ in 0..2_000 {
        world.cut_pass(Cut::BeforeStatus);
        if world.deployments.len() == 2 {
            let revision = world.revision_of("better");
            assert_eq!(
                world.weight(&revision),
                0,
                "nothing was ever remembered, so nothing was ever settled"
            );
        }
    }
}
