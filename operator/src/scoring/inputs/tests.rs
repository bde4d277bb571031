//! The engine asked with inputs from counts: UCI Adult's test split, and what happens when any of it is taken away.

use std::collections::BTreeMap;

use penin_api::v1alpha1::{PeninCycleSpec, PromotionGateSpec};
use penin_engine::config::Config;
use penin_engine::decision::{Decision, Stage, Traffic};
use penin_engine::gates::{GateStatus, LeagueVerdict};
use penin_engine::league::{self, LeagueStage, LeagueState};
use penin_engine::master::{self, Candidate, CycleOutcome, State};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::scoring::{
    Bin, BucketRecord, Declared, Group, Latency, Measured, RatioCounts, ResourceUse, TrafficCounts, Window,
    engine_config,
};

/// Requests of each revision: the test split, answered without a failure.
const ROWS: u64 = 16_281;

fn cycle() -> PeninCycleSpec {
    serde_json::from_value(json!({
        "targetRef": {"kind": "Deployment", "name": "adult"},
        "service": {"port": 80, "targetPort": 8080},
        "traffic": {"gateway": {"parentRefs": [{"name": "edge"}]}},
        "canary": {"steps": [{"weight": 5, "duration": "60s", "minSamples": 500}]},
        "evidence": [{"name": "x", "preset": "ModelCounters", "prometheus": {"address": "http://p:9090"}}],
        "scores": {"linf": {"costPenalty": "0.1", "metrics": [
            {"name": "accuracy", "weight": "3", "preset": "Accuracy"},
            {"name": "success", "weight": "1", "preset": "SuccessRatio"},
        ]}},
    }))
    .unwrap()
}

fn gate() -> PromotionGateSpec {
    serde_json::from_value(json!({
        "league": {"p95LatencyMax": "100ms"},
        "guard": {
            "ece": {"max": "0.03", "minSamples": 5000},
            "rhoBias": {"form": "BetweenGroups", "max": "1.25"},
            "fairness": {"min": "0.8"},
            "consent": {"granted": true, "statement": "public data", "author": "a"},
            "eco": {"ok": true, "statement": "small", "author": "a"},
        },
    }))
    .unwrap()
}

/// Counts of one model over the test split, from the manifest that its training wrote.
fn model(name: &str) -> ModelCounts {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/workload/models/manifest.json");
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let counters = &manifest["models"][name]["counters"];
    let list = |name: &str| -> Vec<u64> { serde_json::from_value(counters[name].clone()).unwrap() };
    let (samples, positives) = (list("calibration_samples"), list("calibration_positives"));
    let (probability, selections) = (list("calibration_probability_q20"), list("selections"));
    let bin = |index: usize| Bin {
        predictions: samples[index],
        selections: selections[index],
        samples: samples[index],
        positives: positives[index],
        probability_q20: probability[index],
    };
    let groups = counters["group_outcomes"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, group)| {
            let one = |outcome: &str| group[outcome].as_u64().unwrap();
            (
                name.clone(),
                Group {
                    tp: one("tp"),
                    fp: one("fp"),
                    tn: one("tn"),
                    fn_: one("fn"),
                },
            )
        });
    ModelCounts {
        predictions: ROWS,
        labelled: ROWS,
        bins: (0..samples.len()).map(bin).collect(),
        squared_error_q20: counters["squared_error_q20"].as_u64(),
        groups: groups.collect(),
    }
}

fn measured(name: &str) -> Measured {
    let latency = Latency {
        buckets: vec![BucketRecord {
            upper: 8.0,
            count: ROWS,
        }],
        unbounded: 0,
    };
    let traffic = TrafficCounts {
        requests: ROWS,
        sent: ROWS,
        failures: 0,
        aborts_at_least: 0,
        aborts_at_most: 0,
        latency: Reading::Known(latency),
    };
    Measured {
        revision: name.to_owned(),
        traffic: Reading::Known(traffic),
        model: Reading::Known(model(name)),
        ratios: BTreeMap::new(),
        resources: Reading::Known(ResourceUse {
            cpu: 0.2,
            mem: 0.3,
            age_seconds: 2.0,
        }),
    }
}

fn evidence(candidate: &str, reference: Option<&str>) -> Evidence {
    let window = Window::new(1_000, 61_000).unwrap();
    Evidence {
        traffic_window: window,
        quality_window: window,
        candidate: measured(candidate),
        reference: reference.map(measured),
        records: vec![],
    }
}

fn checks() -> OutsideChecks {
    let one = Checks {
        satisfied: 1,
        declared: 1,
    };
    OutsideChecks {
        memory: one,
        policy: one,
        meta: one,
        router: one,
    }
}

/// What the engine makes of the evidence, as the operator asks it in a canary's last step.
struct Asked {
    inputs: Inputs,
    league: GateStatus,
    outcome: CycleOutcome,
}

struct World {
    config: Config,
    scores: ScoreSettings,
    declared: Declared,
    state: State,
}

impl World {
    fn new() -> Self {
        let gates = [("g".to_owned(), gate())];
        let config = engine_config(&cycle(), &gates).unwrap();
        let state = State::new(&config);
        Self {
            scores: ScoreSettings::of(&cycle().scores),
            declared: Declared::of(&gates),
            state,
            config,
        }
    }

    /// After the baseline was recorded.
    fn with_baseline() -> Self {
        let mut world = Self::new();
        let asked = world.ask(
            &evidence("champion", None),
            &checks(),
            Stage::Direct,
            DeltaSeries::default(),
        );
        assert_eq!(
            asked.outcome.reason.as_str(),
            "BASELINE_RECORDED",
            "{:?}",
            asked.outcome.causes
        );
        let input = asked.inputs.cycle(candidate(), Stage::Direct, None);
        world.state = master::run_cycle(&world.config, &world.state, &input).unwrap().1;
        world
    }

    fn ask(&self, evidence: &Evidence, checks: &OutsideChecks, stage: Stage, series: DeltaSeries) -> Asked {
        let judgement = Judgement {
            config: &self.config,
            scores: &self.scores,
            declared: &self.declared,
            cost: Some(1.0),
            checks,
        };
        let inputs = inputs(evidence, &judgement, series, Some(true));
        let (league, reason) = match stage {
            Stage::Direct => (GateStatus::Pass, String::new()),
            _ => {
                let state = league_state(stage);
                let assessment = league::assess(&self.config, &state, &inputs.observation, 10_000_000).unwrap();
                (assessment.status, assessment.reason.as_str().to_owned())
            }
        };
        let verdict = LeagueVerdict {
            status: Some(league),
            reason: Some(reason),
        };
        let input = inputs.cycle(candidate(), stage, (stage != Stage::Direct).then_some(verdict));
        let (outcome, _) = master::run_cycle(&self.config, &self.state, &input).unwrap();
        Asked {
            inputs,
            league,
            outcome,
        }
    }
}

fn candidate() -> Candidate {
    Candidate {
        name: "candidate".to_owned(),
        digest: None,
        stub: false,
    }
}

fn league_state(stage: Stage) -> LeagueState {
    let idle = league::register(&LeagueState::default(), "champion", Num::new(0.7)).unwrap();
    let mut state = league::deploy(&idle, "candidate", 9_000_000).unwrap();
    if stage == Stage::Canary {
        state.stage = LeagueStage::Canary;
    }
    state
}

fn near(value: f64, wanted: f64) {
    assert!((value - wanted).abs() < 0.0006, "{value} is not {wanted}");
}

#[test]
fn the_champion_of_adult_becomes_the_baseline() {
    let evidence = evidence("champion", None);
    let asked = World::new().ask(&evidence, &checks(), Stage::Direct, DeltaSeries::default());
    assert_eq!(asked.outcome.decision, Decision::Hold);
    assert_eq!(
        asked.outcome.reason.as_str(),
        "BASELINE_RECORDED",
        "{:?}",
        asked.outcome.causes
    );
    let rho = asked
        .inputs
        .cycle(candidate(), Stage::Direct, None)
        .risk
        .rho
        .finite()
        .unwrap();
    assert!((0.80..0.81).contains(&rho), "{rho}");
}

#[test]
fn the_better_model_of_adult_is_promoted() {
    let world = World::with_baseline();
    let evidence = evidence("better", Some("champion"));
    let asked = world.ask(&evidence, &checks(), Stage::Canary, DeltaSeries::default());
    let scores = &asked.outcome.scores;
    near(asked.inputs.input.risk.rho.finite().unwrap(), 0.702);
    near(scores.delta_linf, 0.049);
    near(scores.sr_harmonic, 0.899);
    near(scores.caos_plus, 1.029);
    let failed: Vec<_> = asked.outcome.gates.iter().filter(|gate| !gate.passed()).collect();
    assert_eq!(
        (asked.league, asked.outcome.decision),
        (GateStatus::Pass, Decision::Promote),
        "{failed:?}"
    );
    assert_eq!(asked.inputs.unknown, BTreeMap::new(), "every input has a source");
}

#[test]
fn the_unfair_model_of_adult_is_refused_for_that_alone() {
    let world = World::with_baseline();
    let evidence = evidence("unfair", Some("champion"));
    let asked = world.ask(&evidence, &checks(), Stage::Shadow, DeltaSeries::default());
    let failed: Vec<_> = asked
        .inputs
        .guard
        .gates
        .iter()
        .filter(|gate| !gate.passed())
        .map(|gate| gate.name.as_str())
        .collect();
    assert_eq!(failed, ["rho_bias"]);
    assert_eq!(
        (asked.league, asked.outcome.decision),
        (GateStatus::Fail, Decision::Abort),
        "{:?}",
        asked.outcome.causes
    );
}

/// One thing that can be missing or wrong, applied to either side.
fn damages() -> Vec<(&'static str, fn(&mut Measured))> {
    fn gone() -> Unknown {
        Unknown::new(UnknownReason::Stale, "test")
    }
    vec![
        ("traffic", |side| side.traffic = Reading::Unknown(gone())),
        ("model", |side| side.model = Reading::Unknown(gone())),
        ("latency", |side| {
            change(&mut side.traffic, |traffic| traffic.latency = Reading::Unknown(gone()))
        }),
        ("no requests", |side| {
            change(&mut side.traffic, |traffic| traffic.requests = 0)
        }),
        ("no bins", |side| change(&mut side.model, |model| model.bins.clear())),
        ("other bins", |side| {
            change(&mut side.model, |model| model.bins.truncate(14))
        }),
        ("no groups", |side| {
            change(&mut side.model, |model| model.groups.clear())
        }),
        ("one group", |side| {
            change(&mut side.model, |model| model.groups.retain(|name, _| name == "Male"))
        }),
        ("no squared errors", |side| {
            change(&mut side.model, |model| model.squared_error_q20 = None)
        }),
        ("no predictions", |side| {
            change(&mut side.model, |model| (model.predictions, model.labelled) = (0, 0))
        }),
        ("resources", |side| side.resources = Reading::Unknown(gone())),
    ]
}

fn change<T>(reading: &mut Reading<T>, change: impl FnOnce(&mut T)) {
    if let Reading::Known(value) = reading {
        change(value);
    }
}

#[test]
fn nothing_is_promoted_when_any_evidence_is_missing() {
    let world = World::with_baseline();
    let whole = evidence("better", Some("champion"));
    // What does not enter a decision about the candidate: the reference's own load and latency, and how right the
    // reference's groups were treated; its accuracy alone comes from them.
    let unused = [("latency", false), ("resources", false), ("one group", false)];
    for (name, damage) in damages() {
        for candidate in [true, false] {
            if unused.contains(&(name, candidate)) {
                continue;
            }
            let mut less = whole.clone();
            damage(if candidate {
                &mut less.candidate
            } else {
                less.reference.as_mut().unwrap()
            });
            let asked = world.ask(&less, &checks(), Stage::Canary, DeltaSeries { count: 3, sum: 0.2 });
            assert_ne!(
                asked.outcome.decision,
                Decision::Promote,
                "{name}, candidate {candidate}"
            );
            assert_ne!(asked.outcome.decision.traffic(), Traffic::Challenger, "{name}");
        }
    }
    let mut alone = whole.clone();
    alone.reference = None;
    let asked = world.ask(&alone, &checks(), Stage::Canary, DeltaSeries::default());
    assert_ne!(asked.outcome.decision, Decision::Promote, "without a reference");
    for part in 0..4 {
        let mut outside = checks();
        let parts = [
            &mut outside.memory,
            &mut outside.policy,
            &mut outside.meta,
            &mut outside.router,
        ];
        *parts.into_iter().nth(part).unwrap() = Checks::default();
        let asked = world.ask(&whole, &outside, Stage::Canary, DeltaSeries::default());
        assert_ne!(asked.outcome.decision, Decision::Promote, "outside check {part}");
    }
}

#[test]
fn nothing_is_promoted_without_declarations_or_cost() {
    let mut world = World::with_baseline();
    let whole = evidence("better", Some("champion"));
    let asked = |world: &World, cost| {
        let judgement = Judgement {
            config: &world.config,
            scores: &world.scores,
            declared: &world.declared,
            cost,
            checks: &checks(),
        };
        let inputs = inputs(&whole, &judgement, DeltaSeries::default(), Some(true));
        let verdict = LeagueVerdict {
            status: Some(GateStatus::Pass),
            reason: None,
        };
        let input = inputs.cycle(candidate(), Stage::Canary, Some(verdict));
        master::run_cycle(&world.config, &world.state, &input)
            .unwrap()
            .0
            .decision
    };
    assert_eq!(asked(&world, Some(1.0)), Decision::Promote);
    assert_ne!(asked(&world, None), Decision::Promote);
    assert_ne!(asked(&world, Some(f64::NAN)), Decision::Promote);
    for which in [true, false] {
        let declared = world.declared.clone();
        if which {
            world.declared.consent.clear()
        } else {
            world.declared.eco.clear()
        }
        assert_ne!(asked(&world, Some(1.0)), Decision::Promote);
        world.declared = declared;
    }
}

#[test]
fn risks_and_ratios_are_read_by_name() {
    let mut world = World::with_baseline();
    world.scores.risks = vec!["refusals".to_owned()];
    let mut whole = evidence("better", Some("champion"));
    let rho = |world: &World, evidence: &Evidence| {
        let asked = world.ask(evidence, &checks(), Stage::Canary, DeltaSeries::default());
        (asked.inputs.input.risk.rho.finite(), asked.outcome.decision)
    };
    assert_eq!(rho(&world, &whole).0, None, "a risk without evidence");
    let ratio = |good, total| Reading::Known(RatioCounts { good, total });
    whole.candidate.ratios.insert("refusals".to_owned(), ratio(0, 100));
    whole
        .reference
        .as_mut()
        .unwrap()
        .ratios
        .insert("refusals".to_owned(), ratio(0, 100));
    near(rho(&world, &whole).0.unwrap(), 0.702);
    whole.candidate.ratios.insert("refusals".to_owned(), ratio(30, 100));
    let (worse, decision) = rho(&world, &whole);
    assert!(worse.unwrap() > 1.0, "{worse:?}");
    assert_eq!(decision, Decision::Abort);
}

#[test]
fn costs_compare_what_pods_request() {
    let pod = |cpu_cores, gib: f64| {
        Some(PodRequests {
            cpu_cores,
            memory_bytes: gib * 1_073_741_824.0,
        })
    };
    assert_eq!(relative_cost(pod(1.0, 8.0), pod(0.5, 4.0)), Some(2.0));
    assert_eq!(relative_cost(None, pod(1.0, 1.0)), None);
    assert_eq!(relative_cost(pod(1.0, 1.0), None), None);
    assert_eq!(relative_cost(pod(1.0, 1.0), pod(0.0, 0.0)), None);
}

fn counts() -> impl Strategy<Value = Reading<ModelCounts>> {
    let small = 0_u64..50;
    let bin = (
        small.clone(),
        small.clone(),
        small.clone(),
        small.clone(),
        0_u64..60_000_000,
    );
    let bin = bin.prop_map(|(predictions, selections, samples, positives, probability_q20)| Bin {
        predictions,
        selections,
        samples,
        positives,
        probability_q20,
    });
    let group = (small.clone(), small.clone(), small.clone(), small.clone());
    let group = group.prop_map(|(tp, fp, tn, fn_)| Group { tp, fp, tn, fn_ });
    let counts = (
        small.clone(),
        small,
        prop::collection::vec(bin, 0..17),
        prop::option::of(0_u64..99_000_000),
    );
    let groups = prop::collection::btree_map("[a-c]", group, 0..4);
    prop_oneof![
        1 => Just(Reading::no_source("x")),
        4 => (counts, groups).prop_map(|((predictions, labelled, bins, squared_error_q20), groups)| {
            Reading::Known(ModelCounts { predictions, labelled, bins, squared_error_q20, groups })
        }),
    ]
}

fn any_side() -> impl Strategy<Value = Measured> {
    let traffic = (
        0_u64..99,
        0_u64..99,
        0_u64..99,
        0_u64..99,
        prop::collection::vec((0.0_f64..1e9, 0_u64..9), 0..4),
    );
    let traffic = traffic.prop_map(|(requests, failures, least, more, buckets)| TrafficCounts {
        requests,
        sent: requests,
        failures,
        aborts_at_least: least,
        aborts_at_most: least + more,
        latency: Latency::of(buckets).into(),
    });
    let traffic = prop_oneof![1 => Just(Reading::no_source("x")), 4 => traffic.prop_map(Reading::Known)];
    let load = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), -1.0_f64..2.0];
    let resources = (load.clone(), load.clone(), load)
        .prop_map(|(cpu, mem, age_seconds)| Reading::Known(ResourceUse { cpu, mem, age_seconds }));
    (traffic, counts(), resources).prop_map(|(traffic, model, resources)| Measured {
        traffic,
        model,
        resources,
        ..Measured::nothing("r")
    })
}

proptest! {
    /// Thin or contradictory counts: the inputs are finite where they are known, and nothing is promoted.
    #[test]
    fn no_counts_make_a_wrong_number(candidate in any_side(), reference in prop::option::of(any_side()), cost in prop::option::of(0.0_f64..9.0)) {
        let world = World::new();
        let window = Window::new(0, 1).unwrap();
        let evidence = Evidence { traffic_window: window, quality_window: window, candidate, reference, records: vec![] };
        let judgement = Judgement { config: &world.config, scores: &world.scores, declared: &world.declared, cost, checks: &checks() };
        let inputs = inputs(&evidence, &judgement, DeltaSeries::default(), Some(true));
        let all = inputs.cycle(Candidate { name: "c".to_owned(), digest: None, stub: false }, Stage::Canary, None);
        for (name, value) in [("rho", all.risk.rho), ("uncertainty", all.risk.uncertainty), ("cost", all.cost)] {
            prop_assert!(value.get().is_none_or(f64::is_finite), "{name}: {value:?}");
        }
        let caos = all.caos.unwrap();
        let sr = all.sr.unwrap();
        for value in [caos.c, caos.a, caos.o, caos.s, sr.calibration, sr.ethics, sr.autocorrection, sr.metacognition] {
            prop_assert!(value.get().is_none_or(|value| (0.0..=1.0).contains(&value)), "{value:?}");
        }
        // Fewer labelled predictions than the gate asks for: the guard cannot pass.
        prop_assert_ne!(inputs.guard.status, GateStatus::Pass);
    }
}
