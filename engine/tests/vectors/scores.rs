//! Vectors of the scores: `caos`, `sr`, `linf`, `agape`, `oci`, `coherence`, `lpsi`, `lyapunov`, `death`, `growth`, `anabolization`.

use std::borrow::Cow;

use penin_engine::caos::{self, Components, Tracker};
use penin_engine::config::{CoherenceWeights, SrWeights};
use penin_engine::linf::{self, Metric, Normalizer};
use penin_engine::num::{Num, unit};
use penin_engine::{agape, anabolization, coherence, death, growth, lpsi, lyapunov, oci, sr};
use serde_json::{Value, json};

use crate::Function;
use crate::base::checked;
use crate::support::{config, field, json_of, num, num_or, read, without};

pub const FUNCTIONS: &[(&str, Function)] = &[
    ("caos.exponential", |i| {
        json_of(&caos::exponential(&components(i), num(i, "kappa")))
    }),
    ("caos.phi", |i| {
        json_of(&caos::phi(
            &components(i),
            num(i, "kappa"),
            num(i, "gamma"),
            num(i, "focus"),
        ))
    }),
    ("caos.harmony", |i| json_of(&caos::harmony(&components(i)))),
    ("caos.patternStrength", |i| {
        json_of(&caos::pattern_strength(&components(i)))
    }),
    ("caos.tracker", tracker),
    ("caos.component", component),
    ("sr.probe", |i| {
        json_of(&sr::probe(&read(i), &config(&i["config"]).guard))
    }),
    ("sr.score", |i| {
        let weights = i.get("weights").map_or_else(SrWeights::default, read);
        json_of(&sr::score(&read(&without(i, &["weights"])), &weights))
    }),
    ("linf.normalize", |i| {
        checked(field::<Normalizer>(i, "normalize").apply(num(i, "x")))
    }),
    ("linf.aggregate", aggregate),
    (
        "linf.delta",
        |i| json!({"value": linf::delta(num(i, "new"), num(i, "reference"))}),
    ),
    ("agape.index", |i| {
        let virtues: Vec<(&str, Num)> = named(&i["virtues"]);
        let weight = num_or(i, "sacrificeWeight", 0.2).get().unwrap();
        json_of(&agape::index(virtues, num(i, "cost"), weight))
    }),
    ("oci.score", |i| json_of(&oci::score(&read(i)))),
    (
        "oci.fromChecks",
        |i| json!({"value": oci::from_checks(i["ok"].as_u64().unwrap(), i["total"].as_u64().unwrap())}),
    ),
    ("coherence.score", |i| {
        let weights = i.get("weights").map_or_else(CoherenceWeights::default, read);
        let modules = field::<Option<_>>(i, "modules").unwrap_or_default();
        json_of(&coherence::score(&modules, &weights))
    }),
    ("lpsi.project", |i| {
        json_of(&lpsi::project(&series(i, "risks"), num(i, "rho")))
    }),
    (
        "lpsi.isContractive",
        |i| json!({"value": lpsi::is_contractive(&series(i, "before"), &series(i, "after"), num(i, "rho"))}),
    ),
    ("lpsi.contract", |i| {
        let passes = i["maxPasses"].as_u64().unwrap();
        json_of(&lpsi::contract(
            &series(i, "risks"),
            num(i, "rho"),
            num(i, "target"),
            passes,
        ))
    }),
    (
        "lpsi.observedRho",
        |i| json!({"value": lpsi::observed_rho(&series(i, "series"))}),
    ),
    ("lpsi.effectiveRho", |i| {
        checked(lpsi::effective_rho(num(i, "rho"), &series(i, "series")))
    }),
    ("lyapunov.evaluate", |i| {
        json_of(&lyapunov::evaluate(num(i, "previous"), num(i, "next")))
    }),
    (
        "death.survives",
        |i| json!({"value": death::survives(num(i, "deltaLinf"), num(i, "beta"))}),
    ),
    ("death.autoTune", |i| {
        let [beta, success] = ["beta", "success"].map(|key| num(i, key));
        json_of(&death::auto_tune(
            beta,
            success,
            num(i, "budget"),
            num(i, "riskTolerance"),
        ))
    }),
    ("growth.evaluate", |i| {
        json_of(&growth::evaluate(num(i, "previous"), num(i, "next"), num(i, "beta")))
    }),
    ("anabolization.factor", |i| {
        let [a, delta] = [num_or(i, "a", 1.0), num(i, "deltaLinf")];
        json_of(&anabolization::factor(
            a,
            delta,
            num(i, "caosPlus"),
            num(i, "sr"),
            num(i, "oci"),
        ))
    }),
];

fn components(input: &Value) -> Components {
    Components {
        c: num(input, "c"),
        a: num(input, "a"),
        o: num(input, "o"),
        s: num(input, "s"),
    }
}

fn series(input: &Value, key: &str) -> Vec<Num> {
    field(input, key)
}

fn named(list: &Value) -> Vec<(&str, Num)> {
    let items = list.as_array().unwrap();
    items
        .iter()
        .map(|item| (item["name"].as_str().unwrap(), num(item, "value")))
        .collect()
}

/// The series is the tracked value; the vectors give no components, so the pattern strength is the value itself.
fn tracker(input: &Value) -> Value {
    let config = config(&input["config"]);
    let enabled = input["enabled"].as_bool().unwrap();
    let mut tracker = Tracker::default();
    let steps = series(input, "series").into_iter().map(|x| {
        let before = tracker.is_stable(&config.caos);
        tracker = tracker.updated(x, &config.caos);
        let stable = tracker.is_stable(&config.caos);
        let strength = unit(x).unwrap_or(0.0);
        let boost = caos::boost(enabled, before, stable, strength, &config.caos);
        let mut step = json_of(&tracker);
        step["stable"] = stable.into();
        step["boost"] = boost.into();
        step
    });
    json!({"steps": steps.collect::<Vec<_>>()})
}

fn component(input: &Value) -> Value {
    let value = |key| num(input, key);
    let scored = match input["component"].as_str().unwrap() {
        "consistency" => caos::consistency(value("passAtK"), value("ece"), value("external")),
        "autoEvolution" => caos::auto_evolution(value("deltaLinf"), value("cost")),
        "unknown" => caos::unknown(value("epistemic"), value("outOfDistribution"), value("disagreement")),
        "silence" => caos::silence(value("noise"), value("redundancy"), value("entropy")),
        other => panic!("unknown component {other}"),
    };
    json_of(&scored)
}

fn aggregate(input: &Value) -> Value {
    let items = input["metrics"].as_array().unwrap();
    let metrics: Vec<Metric<'_>> = items
        .iter()
        .map(|item| Metric {
            name: Cow::Borrowed(item["name"].as_str().unwrap()),
            weight: item["weight"].as_f64().unwrap(),
            value: unit(num(item, "value")),
        })
        .collect();
    let penalty = num_or(input, "costPenalty", config(&Value::Null).linf.cost_penalty);
    let flag = |key: &str| input[key].as_bool();
    json_of(&linf::aggregate(
        &metrics,
        num(input, "cost"),
        penalty,
        flag("ethicsOk"),
        flag("contractive"),
    ))
}
