//! The engine's configuration, from a cycle and the gates that bind it.
//!
//! Stages, objective and engine settings are the cycle's; every bound is the gates'. What both leave out has the engine's
//! default. Errors name the field of the custom resource, not that of the engine's document.

use std::time::Duration;

use penin_api::v1alpha1::PeninCycleSpec;
use penin_api::v1alpha1::cycle::{Better, CanaryStep, EngineSpec, LinfMetric, Normalize, NormalizeKind};
use penin_api::values::DecimalString;
use penin_engine::ConfigError;
use penin_engine::config::Config;
use serde_json::{Map, Value, json};

use super::combine::{NamedGates, combine};

/// The configuration of a cycle. Its canary stage is the last step, because that is the stage that the master cycle
/// judges; the steps before it are judged with [`step_config`].
///
/// # Errors
/// Every violated bound, with the path of the field in the cycle or in its gates.
pub fn engine_config(cycle: &PeninCycleSpec, gates: &NamedGates) -> Result<Config, Vec<ConfigError>> {
    let mut document = combine(gates)?;
    if let Some(step) = cycle.canary.steps.last() {
        merge(&mut document, stages(cycle, step));
    }
    merge(&mut document, json!({ "linf": objective(cycle) }));
    if let Some(engine) = &cycle.engine {
        merge(&mut document, engine_settings(engine));
    }
    Config::from_json(&document).map_err(|errors| errors.into_iter().map(in_resource).collect())
}

/// The configuration with the canary stage of one step.
///
/// # Errors
/// As [`engine_config`].
pub fn step_config(cycle: &PeninCycleSpec, config: &Config, step: &CanaryStep) -> Result<Config, Vec<ConfigError>> {
    let mut settings = config.settings().clone();
    settings.league.canary_seconds = seconds(step.duration.to_std());
    settings.league.canary_deadline_seconds = seconds(cycle.canary.deadline.to_std());
    settings.league.canary_min_samples = u64::from(step.min_samples);
    settings.league.canary_basis_points = u64::from(step.weight.to_basis_points());
    Config::new(&settings).map_err(|errors| errors.into_iter().map(in_resource).collect())
}

fn stages(cycle: &PeninCycleSpec, step: &CanaryStep) -> Value {
    json!({ "league": {
        "shadowSeconds": seconds(cycle.shadow.duration.to_std()),
        "shadowMinSamples": cycle.shadow.min_samples,
        "shadowDeadlineSeconds": seconds(cycle.shadow.deadline.to_std()),
        "canarySeconds": seconds(step.duration.to_std()),
        "canaryMinSamples": step.min_samples,
        "canaryDeadlineSeconds": seconds(cycle.canary.deadline.to_std()),
        "canaryBasisPoints": step.weight.to_basis_points(),
        "watchSeconds": seconds(cycle.promotion.watch.to_std()),
        "watchMinSamples": cycle.promotion.min_samples,
        "watchDeadlineSeconds": seconds(cycle.promotion.deadline.to_std()),
    }})
}

/// Whole seconds, rounded up: a stage is never shorter than asked.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn objective(cycle: &PeninCycleSpec) -> Value {
    let metric = |metric: &LinfMetric| {
        json!({
            "name": metric.name,
            "weight": metric.weight.to_f64(),
            "normalize": normalizer(&metric.normalize),
        })
    };
    let linf = &cycle.scores.linf;
    json!({
        "costPenalty": linf.cost_penalty.to_f64(),
        "metrics": linf.metrics.iter().map(metric).collect::<Vec<_>>(),
    })
}

fn normalizer(normalize: &Normalize) -> Value {
    let kind = match normalize.kind {
        NormalizeKind::Identity => "identity",
        NormalizeKind::OneMinus => "oneMinus",
        NormalizeKind::Linear => "linear",
        NormalizeKind::RatioToBaseline => "ratioToBaseline",
    };
    let better = normalize.better.map(|better| match better {
        Better::Higher => "higher",
        Better::Lower => "lower",
    });
    present([
        ("kind", Some(json!(kind))),
        ("min", decimal(normalize.min.as_ref())),
        ("max", decimal(normalize.max.as_ref())),
        ("better", better.map(|better| json!(better))),
        ("baseline", decimal(normalize.baseline.as_ref())),
        ("atParity", decimal(normalize.at_parity.as_ref())),
    ])
}

fn engine_settings(engine: &EngineSpec) -> Value {
    let caos = engine.caos.as_ref().map(|caos| {
        present([
            ("kappa", decimal(caos.kappa.as_ref())),
            ("maxBoost", decimal(caos.max_boost.as_ref())),
            ("ewmaAlpha", decimal(caos.ewma_alpha.as_ref())),
            (
                "minStabilityCycles",
                caos.min_stability_cycles.map(|cycles| json!(cycles)),
            ),
            ("stabilityVariance", decimal(caos.stability_variance.as_ref())),
            ("chaosProbability", decimal(caos.chaos_probability.as_ref())),
        ])
    });
    let lpsi = engine.lpsi.as_ref().map(|lpsi| {
        present([
            ("rho", decimal(lpsi.rho.as_ref())),
            ("maxPasses", lpsi.max_passes.map(|passes| json!(passes))),
        ])
    });
    let fibonacci = engine.fibonacci.as_ref().map(|fibonacci| {
        present([
            ("enabled", Some(json!(fibonacci.enabled))),
            ("trustRadius", decimal(fibonacci.trust_radius.as_ref())),
        ])
    });
    present([
        ("seed", engine.seed.map(|seed| json!(seed.get().to_string()))),
        ("alpha0", decimal(engine.alpha0.as_ref())),
        ("caos", caos),
        ("lpsi", lpsi),
        ("fibonacci", fibonacci),
    ])
}

/// An object of the members that have a value.
fn present<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn decimal(value: Option<&DecimalString>) -> Option<Value> {
    value.map(|value| json!(value.to_f64()))
}

/// Puts the members of `more` into `base`, object by object.
fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (name, value) in more {
                merge(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more,
    }
}

/// Fields of the engine's document and where they stand in the custom resources.
const PLACES: &[(&str, &str)] = &[
    ("linf.", "PeninCycle spec.scores.linf."),
    ("league.shadowSeconds", "PeninCycle spec.shadow.duration"),
    ("league.shadowMinSamples", "PeninCycle spec.shadow.minSamples"),
    ("league.shadowDeadlineSeconds", "PeninCycle spec.shadow.deadline"),
    ("league.canarySeconds", "PeninCycle spec.canary.steps[].duration"),
    ("league.canaryMinSamples", "PeninCycle spec.canary.steps[].minSamples"),
    ("league.canaryDeadlineSeconds", "PeninCycle spec.canary.deadline"),
    ("league.canaryBasisPoints", "PeninCycle spec.canary.steps[].weight"),
    ("league.watchSeconds", "PeninCycle spec.promotion.watch"),
    ("league.watchMinSamples", "PeninCycle spec.promotion.minSamples"),
    ("league.watchDeadlineSeconds", "PeninCycle spec.promotion.deadline"),
    ("league.errorRateMax", "PromotionGate spec.league.errorRateMax"),
    ("league.p95LatencyMaxMs", "PromotionGate spec.league.p95LatencyMax"),
    ("league.deltaLinfMin", "PromotionGate spec.league.meanDeltaLinfMin"),
    ("league.sequential.", "PromotionGate spec.league.sequential."),
    ("gates.caosMin", "PromotionGate spec.require.caosPlusMin"),
    ("gates.", "PromotionGate spec.require."),
    ("guard.eceMax", "PromotionGate spec.guard.ece.max"),
    ("guard.rhoBiasMax", "PromotionGate spec.guard.rhoBias.max"),
    ("guard.fairnessMin", "PromotionGate spec.guard.fairness.min"),
    ("guard.", "PromotionGate spec.guard."),
    ("ethics.bins", "PromotionGate spec.guard.ece.bins"),
    ("ethics.minSamples", "PromotionGate spec.guard.ece.minSamples"),
    (
        "ethics.groupMinSamples",
        "PromotionGate spec.guard.rhoBias.minGroupSamples",
    ),
    ("ethics.biasForm", "PromotionGate spec.guard.rhoBias.form"),
    ("ethics.fairnessMetric", "PromotionGate spec.guard.fairness.metric"),
    ("", "PeninCycle spec.engine."),
];

fn in_resource(mut error: ConfigError) -> ConfigError {
    let place = PLACES
        .iter()
        .find_map(|(engine, resource)| Some((error.field.strip_prefix(engine)?, resource)));
    if let Some((rest, resource)) = place {
        error.field = format!("{resource}{rest}");
    }
    error
}
