//! Properties of the league over arbitrary observations and commands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod effort;
mod support;

use effort::effort;
use penin_engine::EngineError;
use penin_engine::config::Config;
use penin_engine::decision::{Cause, Decision};
use penin_engine::gates::{Gate, GateName, GateStatus, LeagueVerdict};
use penin_engine::league::{
    Applied, Arm, Assessment, AssessmentReason, BUCKETS, Command, Histogram, LeagueStage, LeagueState, Observation,
    apply, assess, deploy, register, rollback, tick,
};
use penin_engine::num::{Code, Num, U64String};
use proptest::prelude::*;
use serde_json::json;
use support::{default_config, evidence};

const START: u64 = 1_000_000;

fn arm() -> impl Strategy<Value = Arm> {
    let counts = prop_oneof![0_u64..2000, Just(u64::MAX)];
    let latency = prop::collection::vec((0..BUCKETS, 0_u64..500), 0..6);
    (
        prop::array::uniform3(counts),
        prop::array::uniform3(evidence()),
        latency,
    )
        .prop_map(
            |([successes, failures, aborts], [linf, mean_delta_linf, p95_latency_ms], latency)| Arm {
                successes,
                failures: failures / 40,
                aborts: aborts / 40,
                linf,
                mean_delta_linf,
                p95_latency_ms,
                latency: latency.into_iter().collect(),
            },
        )
}

prop_compose! {
    fn observation()(
        challenger in arm(), champion in arm(),
        guard in prop::sample::select(vec![None, Some(GateStatus::Pass), Some(GateStatus::Pass), Some(GateStatus::Fail), Some(GateStatus::Unknown)]),
        traffic_verified in any::<Option<bool>>(),
    ) -> Observation {
        Observation { challenger, champion, guard, traffic_verified }
    }
}

/// An observation under which every stage passes.
fn healthy() -> Observation {
    let latency = || Histogram::from_iter([(250, 600), (260, 60)]);
    let mut observation = Observation {
        challenger: Arm {
            successes: 1000,
            linf: Num::new(0.8),
            mean_delta_linf: Num::new(0.03),
            latency: latency(),
            ..Arm::default()
        },
        champion: Arm {
            successes: 9000,
            failures: 40,
            latency: latency(),
            ..Arm::default()
        },
        guard: Some(GateStatus::Pass),
        traffic_verified: Some(true),
    };
    observation.challenger.failures = 2;
    observation
}

/// Every check of the league is switched on.
fn strict() -> Config {
    support::config(&json!({"league": {
        "p95LatencyMaxMs": 500, "latencyTest": {"enabled": true}, "sequential": {"mode": "nonInferior", "margin": 0.05},
    }}))
}

fn in_shadow() -> LeagueState {
    let league = register(&LeagueState::default(), "v1", Num::new(0.72)).unwrap();
    deploy(&league, "v2", START).unwrap()
}

fn command(decision: Decision, reason: &str, now_ms: u64) -> Command<'_> {
    Command {
        decision,
        reason,
        causes: &[],
        challenger_linf: Num::new(0.8),
        now_ms,
    }
}

/// A league in `stage`, entered at `START`.
fn in_stage(config: &Config, stage: LeagueStage) -> LeagueState {
    let mut league = in_shadow();
    if stage != LeagueStage::Shadow {
        league = apply(config, &league, &command(Decision::Canary, "x", START))
            .unwrap()
            .0;
    }
    if stage == LeagueStage::Watch {
        league = apply(config, &league, &command(Decision::Promote, "x", START))
            .unwrap()
            .0;
    }
    assert_eq!(league.stage, stage);
    league
}

const STAGES: [LeagueStage; 3] = [LeagueStage::Shadow, LeagueStage::Canary, LeagueStage::Watch];

proptest! {
    #![proptest_config(effort(256))]

    #[test]
    fn whatever_is_commanded_the_league_stays_sound(
        steps in prop::collection::vec((0_u8..5, prop::sample::select(Decision::ALL.to_vec()), 0_u64..900_000, observation(), evidence()), 1..40),
    ) {
        let config = default_config();
        let mut league = LeagueState::default();
        let mut now = START;
        let mut seen = vec![LeagueStage::Idle];
        for (operation, decision, wait, observation, linf) in steps {
            now += wait;
            let before = league.clone();
            let reason = if wait % 2 == 0 { "WATCH_PASSED" } else { "OTHER" };
            let next = match operation {
                0 => register(&league, "v1", linf),
                1 => deploy(&league, "next", now),
                2 => tick(&config, &league, &observation, now).map(|(next, tick)| {
                    assert!(tick.challenger_basis_points <= 500);
                    next
                }),
                3 => rollback(&config, &league, now).map(|(next, _)| next),
                _ => apply(&config, &league, &Command { challenger_linf: linf, ..command(decision, reason, now) }).map(|(next, applied)| {
                    let share = if next.stage == LeagueStage::Canary { 500 } else { 0 };
                    assert_eq!(applied.challenger_basis_points, share);
                    next
                }),
            };
            if let Ok(next) = next {
                league = next;
            }
            league.validate().unwrap();
            let text = serde_json::to_string(&league).unwrap();
            prop_assert_eq!(&serde_json::from_str::<LeagueState>(&text).unwrap(), &league);
            // The only ways up are the two steps, and every way down keeps or restores the champion.
            match (before.stage, league.stage) {
                (a, b) if a == b => {}
                (LeagueStage::Idle, LeagueStage::Shadow) => prop_assert_eq!(&league.champion, &before.champion),
                (LeagueStage::Shadow, LeagueStage::Canary) => prop_assert_eq!(&league.champion, &before.champion),
                (LeagueStage::Canary, LeagueStage::Watch) => {
                    prop_assert_eq!(&league.previous, &before.champion);
                    prop_assert_eq!(&league.champion.as_ref().unwrap().name, "next");
                }
                (LeagueStage::Watch, LeagueStage::Idle) => {
                    prop_assert!(league.champion == before.previous || league.champion == before.champion);
                }
                (_, LeagueStage::Idle) => prop_assert_eq!(&league.champion, &before.champion),
                (from, to) => prop_assert!(false, "{from:?} to {to:?}"),
            }
            seen.push(league.stage);
        }
        let first = |stage| seen.iter().position(|s| *s == stage);
        prop_assert!(first(LeagueStage::Watch).is_none_or(|watch| first(LeagueStage::Canary).is_some_and(|canary| canary < watch)));
    }

    #[test]
    fn a_stage_passes_only_when_every_check_does(observation in observation(), stage in prop::sample::select(STAGES.to_vec()), elapsed in 0_u64..5_000_000) {
        let config = strict();
        let league = in_stage(&config, stage);
        let assessment = assess(&config, &league, &observation, START + elapsed).unwrap();
        let names: Vec<GateName> = assessment.checks.iter().map(|check| check.name).collect();
        let healthy = assess(&config, &league, &healthy(), START).unwrap();
        prop_assert_eq!(names, healthy.checks.iter().map(|check| check.name).collect::<Vec<_>>());
        if assessment.status == GateStatus::Pass {
            prop_assert!(assessment.checks.iter().all(Gate::passed));
            prop_assert_eq!(assessment.reason, AssessmentReason::StagePassed);
        }
        let unknown = assessment.checks.iter().any(|check| check.status == GateStatus::Unknown);
        prop_assert!(!unknown || assessment.status != GateStatus::Pass);
        let text = serde_json::to_string(&assessment).unwrap();
        prop_assert_eq!(serde_json::from_str::<Assessment>(&text).unwrap(), assessment.clone());
        prop_assert_eq!(LeagueVerdict::from(&assessment).status, Some(assessment.status));
    }
}

/// Every check of each stage, and how to break it.
#[test]
fn each_check_alone_blocks_its_stage() {
    type Break = fn(&mut Observation);
    let config = strict();
    let cases: [(GateName, &[LeagueStage], GateStatus, Break); 14] = [
        (GateName::Guard, &STAGES, GateStatus::Fail, |o| {
            o.guard = Some(GateStatus::Fail);
        }),
        (GateName::Guard, &STAGES, GateStatus::Unknown, |o| {
            o.guard = None;
        }),
        (GateName::Traffic, &[LeagueStage::Canary], GateStatus::Unknown, |o| {
            o.traffic_verified = Some(false);
        }),
        (GateName::Traffic, &[LeagueStage::Canary], GateStatus::Unknown, |o| {
            o.traffic_verified = None;
        }),
        (GateName::Samples, &STAGES, GateStatus::Unknown, |o| {
            o.challenger.successes = 50;
        }),
        (GateName::ErrorRate, &STAGES, GateStatus::Fail, |o| {
            o.challenger.aborts = 60;
        }),
        (GateName::Sequential, &STAGES[..2], GateStatus::Unknown, |o| {
            // Neither certainly worse nor certainly as good.
            o.challenger.failures = 45;
        }),
        (GateName::P95Latency, &STAGES[1..], GateStatus::Fail, |o| {
            o.challenger.p95_latency_ms = Num::new(501.0);
        }),
        (GateName::P95Latency, &STAGES[1..], GateStatus::Unknown, |o| {
            o.challenger.p95_latency_ms = Num::new(f64::NAN);
        }),
        (GateName::LatencyShift, &[LeagueStage::Canary], GateStatus::Fail, |o| {
            o.champion.latency = Histogram::from_iter([(200, 600)]);
        }),
        (
            GateName::LatencyShift,
            &[LeagueStage::Canary],
            GateStatus::Unknown,
            |o| o.champion.latency = Histogram::new(),
        ),
        (GateName::MeanDeltaLinf, &[LeagueStage::Canary], GateStatus::Fail, |o| {
            o.challenger.mean_delta_linf = Num::new(0.019);
        }),
        (GateName::LinfChampion, &[LeagueStage::Canary], GateStatus::Fail, |o| {
            o.champion.linf = Num::new(0.8);
        }),
        (
            GateName::LinfChampion,
            &[LeagueStage::Canary],
            GateStatus::Unknown,
            |o| o.champion.linf = Num::new(1.5),
        ),
    ];
    for stage in STAGES {
        let league = in_stage(&config, stage);
        let after = START + 700_000;
        let good = assess(&config, &league, &healthy(), after).unwrap();
        assert_eq!(good.status, GateStatus::Pass, "{stage:?} {:?}", good.causes);
        for (name, stages, status, spoil) in &cases {
            let mut observation = healthy();
            spoil(&mut observation);
            let bad = assess(&config, &league, &observation, after).unwrap();
            let check = bad.checks.iter().find(|check| check.name == *name);
            assert_eq!(
                check.map(|check| check.status),
                stages.contains(&stage).then_some(*status),
                "{stage:?} {name}"
            );
            if stages.contains(&stage) {
                assert_eq!(bad.status, *status, "{stage:?} {name}");
                assert!(bad.causes.contains(&Cause::Gate(*name)), "{stage:?} {name}");
            }
        }
    }
}

#[test]
fn harm_counts_at_once_and_everything_else_later() {
    let config = strict();
    let league = in_stage(&config, LeagueStage::Canary);
    let mut harmful = healthy();
    harmful.challenger.failures = 500;
    let assessment = assess(&config, &league, &harmful, START).unwrap();
    assert_eq!(
        (assessment.status, assessment.reason),
        (GateStatus::Fail, AssessmentReason::CheckFailed)
    );
    let mut slow = healthy();
    slow.challenger.p95_latency_ms = Num::new(1e6);
    let early = assess(&config, &league, &slow, START + 599_999).unwrap();
    assert_eq!(
        (early.status, early.reason),
        (GateStatus::Unknown, AssessmentReason::StageRunning)
    );
    assert_eq!(early.next_evaluation_ms, Some(U64String(START + 600_000)));
    let late = assess(&config, &league, &slow, START + 600_000).unwrap();
    assert_eq!((late.status, late.next_evaluation_ms), (GateStatus::Fail, None));
}

#[test]
fn undecided_evidence_fails_at_the_deadline() {
    let config = default_config();
    for (stage, duration, deadline) in [
        (LeagueStage::Shadow, 300_000, 1_800_000),
        (LeagueStage::Canary, 600_000, 3_600_000),
        (LeagueStage::Watch, 300_000, 1_800_000),
    ] {
        let league = in_stage(&config, stage);
        let at = |elapsed| {
            let assessment = assess(&config, &league, &Observation::default(), START + elapsed).unwrap();
            (
                assessment.status,
                assessment.reason,
                assessment.next_evaluation_ms.map(|at| at.0 - START),
            )
        };
        let running = (GateStatus::Unknown, AssessmentReason::StageRunning, Some(duration));
        let open = (GateStatus::Unknown, AssessmentReason::EvidenceUnknown, Some(deadline));
        assert_eq!(at(duration - 1), running, "{stage:?}");
        assert_eq!(at(duration), open, "{stage:?}");
        assert_eq!(at(deadline - 1), open, "{stage:?}");
        assert_eq!(
            at(deadline),
            (GateStatus::Fail, AssessmentReason::DeadlineExceeded, None),
            "{stage:?}"
        );
    }
}

#[test]
fn commands_out_of_place_are_refused() {
    let config = default_config();
    let code = |result: Result<(LeagueState, Applied), EngineError>| match result {
        Err(EngineError::Input { code, .. } | EngineError::State { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    let act = |league: &LeagueState, decision| apply(&config, league, &command(decision, "x", START));
    let idle = register(&LeagueState::default(), "v1", Num::new(0.72)).unwrap();
    for decision in [
        Decision::Reject,
        Decision::Rollback,
        Decision::Abort,
        Decision::Fallback,
    ] {
        assert_eq!(code(act(&idle, decision)), Code::NothingToRollBack);
    }
    for (stage, decision) in [
        (LeagueStage::Shadow, Decision::Promote),
        (LeagueStage::Canary, Decision::Canary),
        (LeagueStage::Watch, Decision::Promote),
        (LeagueStage::Watch, Decision::Canary),
    ] {
        assert_eq!(
            code(act(&in_stage(&config, stage), decision)),
            Code::IllegalTransition,
            "{stage:?}"
        );
    }
    assert_eq!(code(act(&idle, Decision::Canary)), Code::IllegalTransition);
    let canary = in_stage(&config, LeagueStage::Canary);
    let early = Command {
        now_ms: START - 1,
        ..command(Decision::Rollback, "x", START)
    };
    assert_eq!(code(apply(&config, &canary, &early)), Code::ClockRegression);
    let nameless = Command {
        challenger_linf: Num::MISSING,
        ..command(Decision::Promote, "x", START)
    };
    assert_eq!(code(apply(&config, &canary, &nameless)), Code::InvalidLinf);
    assert!(register(&idle, "", Num::new(0.5)).is_err());
    assert!(deploy(&idle, "", START).is_err());
}

#[test]
fn a_state_that_no_league_can_have_is_refused() {
    let config = strict();
    let spoiled: [fn(&mut LeagueState); 6] = [
        |l| l.champion = None,
        |l| l.challenger = None,
        |l| l.previous = l.champion.clone(),
        |l| l.stage = LeagueStage::Watch,
        |l| l.stage = LeagueStage::Idle,
        |l| l.champion.as_mut().unwrap().linf = f64::NAN,
    ];
    for (i, spoil) in spoiled.iter().enumerate() {
        let mut league = in_stage(&config, LeagueStage::Canary);
        spoil(&mut league);
        assert!(matches!(league.validate(), Err(EngineError::State { .. })), "{i}");
        assert!(assess(&config, &league, &healthy(), START).is_err(), "{i}");
        assert!(tick(&config, &league, &healthy(), START).is_err(), "{i}");
        assert!(rollback(&config, &league, START).is_err(), "{i}");
        assert!(register(&league, "v3", Num::new(0.5)).is_err(), "{i}");
    }
}

#[test]
fn a_transition_proves_itself() {
    let config = default_config();
    let causes = [Cause::Gate(GateName::Sr), Cause::Gate(GateName::DeltaLinf)];
    let refusal = Command {
        causes: &causes,
        ..command(Decision::Rollback, "GATES_FAILED", START + 5)
    };
    let (league, applied) = apply(&config, &in_stage(&config, LeagueStage::Watch), &refusal).unwrap();
    let transition = applied.transition.unwrap();
    assert_eq!(transition.variant, "v2");
    assert_eq!(transition.causes, causes);
    assert_eq!(league.champion.unwrap().name, "v1");
    assert_eq!(transition.expected_hash().unwrap(), transition.proof_hash);
    let mut altered = transition.clone();
    altered.challenger_basis_points = 500;
    assert_ne!(altered.expected_hash().unwrap(), transition.proof_hash);
}

#[test]
fn the_latency_test_needs_certainty_and_size() {
    let shift = |more: u64| {
        let mut observation = healthy();
        observation.challenger.latency = Histogram::from_iter([(250, 100_000), (260, 100_000 + more)]);
        observation.champion.latency = Histogram::from_iter([(250, 100_000), (260, 100_000)]);
        let config = strict();
        let league = in_stage(&config, LeagueStage::Canary);
        let assessment = assess(&config, &league, &observation, START).unwrap();
        assessment
            .checks
            .into_iter()
            .find(|check| check.name == GateName::LatencyShift)
            .unwrap()
            .status
    };
    // Certain, but too small to matter.
    assert_eq!(shift(5_000), GateStatus::Pass);
    assert_eq!(shift(100_000), GateStatus::Fail);
    let mut huge = healthy();
    huge.champion.latency = Histogram::from_iter([(250, 1_000_000_001)]);
    let config = strict();
    let assessment = assess(&config, &in_stage(&config, LeagueStage::Canary), &huge, START).unwrap();
    let check = assessment
        .checks
        .iter()
        .find(|check| check.name == GateName::LatencyShift)
        .unwrap();
    assert_eq!(
        (check.status, check.reason.as_ref()),
        (GateStatus::Unknown, "out_of_range")
    );
}

#[test]
fn exactly_enough_samples_are_enough_and_one_fewer_is_not() {
    let config = strict();
    let league = in_stage(&config, LeagueStage::Canary);
    for (successes, latencies, expected) in [(498, 50, GateStatus::Pass), (497, 49, GateStatus::Unknown)] {
        let mut observation = healthy();
        observation.challenger.successes = successes;
        observation.challenger.latency = Histogram::from_iter([(250, latencies)]);
        observation.champion.latency = Histogram::from_iter([(250, latencies)]);
        let assessment = assess(&config, &league, &observation, START).unwrap();
        for name in [GateName::Samples, GateName::ErrorRate, GateName::LatencyShift] {
            let check = assessment.checks.iter().find(|check| check.name == name).unwrap();
            assert_eq!(check.status, expected, "{name} with {successes} and two failures");
        }
    }
}
