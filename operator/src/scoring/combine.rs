//! Several gates become one: the strictest bound and the highest floor of each field.
//!
//! A gate that is silent about a field asks for the engine's default. Each gate is completed with the defaults before the
//! strictest value is taken, so one more gate can only tighten: a gate that binds a whole namespace and says nothing
//! about calibration is not loosened by another one that does.

use std::time::Duration;

use penin_api::v1alpha1::PromotionGateSpec;
use penin_api::v1alpha1::gate::{FairnessMetric, RhoBiasForm, SequentialMode};
use penin_api::values::DecimalString;
use penin_engine::ConfigError;
use penin_engine::config::Settings;
use serde_json::{Value, json};

/// The gates of a cycle, by name.
pub type NamedGates = [(String, PromotionGateSpec)];

/// Criteria that several gates combine to, as a partial document of the engine's configuration.
///
/// # Errors
/// Fields about which the gates must agree and do not, with their paths.
pub fn combine(gates: &NamedGates) -> Result<Value, Vec<ConfigError>> {
    let defaults = Settings::default();
    let of = Strictest { gates };
    let mut errors = Vec::new();
    let waived_calibration = of.all(|gate| {
        has(gate
            .guard
            .as_ref()
            .and_then(|g| g.ece.as_ref()?.not_applicable.as_ref()))
    });
    let waived_groups = of.all(|gate| {
        has(gate
            .guard
            .as_ref()
            .and_then(|g| g.rho_bias.as_ref()?.not_applicable.as_ref()))
    });
    let bins = of.agreed("spec.guard.ece.bins", &mut errors, |gate| {
        gate.guard.as_ref()?.ece.as_ref()?.bins
    });
    let form = of.agreed("spec.guard.rhoBias.form", &mut errors, |gate| {
        gate.guard.as_ref()?.rho_bias.as_ref()?.form
    });
    let fairness = of.agreed("spec.guard.fairness.metric", &mut errors, |gate| {
        gate.guard.as_ref()?.fairness.as_ref()?.metric
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let ethics = json!({
        "bins": bins.map_or(defaults.ethics.bins, u64::from),
        "minSamples": of.count(defaults.ethics.min_samples, |gate| gate.guard.as_ref()?.ece.as_ref()?.min_samples),
        "groupMinSamples": of.count(defaults.ethics.group_min_samples, |gate| gate.guard.as_ref()?.rho_bias.as_ref()?.min_group_samples),
        "biasForm": form.map_or("toOverall", bias_form),
        "fairnessMetric": fairness.map_or("demographicParity", fairness_metric),
        "groupPolicy": policy(waived_groups),
        "calibrationPolicy": policy(waived_calibration),
    });
    let (guards, floors, stages) = (of.guards(&defaults), of.floors(&defaults), of.stages(&defaults));
    Ok(json!({ "guard": guards, "gates": floors, "league": stages, "ethics": ethics }))
}

/// Picks values over all gates.
struct Strictest<'a> {
    gates: &'a NamedGates,
}

impl Strictest<'_> {
    /// Bounds of the guard.
    fn guards(&self, defaults: &Settings) -> Value {
        let guard = &defaults.guard;
        json!({
            "rhoMax": self.least(guard.rho_max, |gate| number(gate.guard.as_ref()?.rho_max.as_ref())),
            "eceMax": self.least(guard.ece_max, |gate| number(gate.guard.as_ref()?.ece.as_ref()?.max.as_ref())),
            "rhoBiasMax": self.least(guard.rho_bias_max, |gate| number(gate.guard.as_ref()?.rho_bias.as_ref()?.max.as_ref())),
            "fairnessMin": self.most(guard.fairness_min.unwrap_or(0.0), |gate| number(gate.guard.as_ref()?.fairness.as_ref()?.min.as_ref())),
        })
    }

    /// Least scores.
    fn floors(&self, defaults: &Settings) -> Value {
        let bounds = &defaults.gates;
        json!({
            "caosMin": self.most(bounds.caos_min, |gate| number(gate.require.as_ref()?.caos_plus_min.as_ref())),
            "srMin": self.most(bounds.sr_min, |gate| number(gate.require.as_ref()?.sr_min.as_ref())),
            "deltaLinfMin": self.most(bounds.delta_linf_min, |gate| number(gate.require.as_ref()?.delta_linf_min.as_ref())),
        })
    }

    /// Bounds of the stages.
    fn stages(&self, defaults: &Settings) -> Value {
        let league = &defaults.league;
        let sequential = |gate: &PromotionGateSpec| gate.league.as_ref()?.sequential.clone();
        json!({
            "errorRateMax": self.least(league.error_rate_max, |gate| number(gate.league.as_ref()?.error_rate_max.as_ref())),
            "p95LatencyMaxMs": self.shortest(|gate| Some(gate.league.as_ref()?.p95_latency_max.as_ref()?.to_std())).map(milliseconds),
            "deltaLinfMin": self.most(league.delta_linf_min, |gate| number(gate.league.as_ref()?.mean_delta_linf_min.as_ref())),
            "sequential": {
                "mode": mode(self.strictest_mode(|gate| sequential(gate)?.mode)),
                "alpha": self.alpha(league.sequential.alpha, |gate| number(sequential(gate)?.alpha.as_ref())),
                "margin": self.least(league.sequential.margin, |gate| number(sequential(gate)?.margin.as_ref())),
            },
        })
    }

    fn values<T>(&self, read: impl Fn(&PromotionGateSpec) -> Option<T>, silent: T) -> impl Iterator<Item = T>
    where
        T: Clone,
    {
        let list: Vec<T> = self
            .gates
            .iter()
            .map(|(_, gate)| read(gate).unwrap_or_else(|| silent.clone()))
            .collect();
        let none = list.is_empty().then_some(silent);
        list.into_iter().chain(none)
    }

    fn least(&self, silent: f64, read: impl Fn(&PromotionGateSpec) -> Option<f64>) -> f64 {
        self.values(read, silent).fold(f64::INFINITY, f64::min)
    }

    fn most(&self, silent: f64, read: impl Fn(&PromotionGateSpec) -> Option<f64>) -> f64 {
        self.values(read, silent).fold(f64::NEG_INFINITY, f64::max)
    }

    fn count(&self, silent: u64, read: impl Fn(&PromotionGateSpec) -> Option<u32>) -> u64 {
        self.values(|gate| read(gate).map(u64::from), silent)
            .max()
            .unwrap_or(silent)
    }

    fn strictest_mode(&self, read: impl Fn(&PromotionGateSpec) -> Option<SequentialMode>) -> SequentialMode {
        self.values(read, SequentialMode::Harm)
            .max()
            .unwrap_or(SequentialMode::Harm)
    }

    /// The larger alpha finds harm earlier; where no inferiority has to be proved, the smaller one asks for more proof.
    fn alpha(&self, silent: f64, read: impl Fn(&PromotionGateSpec) -> Option<f64>) -> f64 {
        let mode = self.strictest_mode(|gate| gate.league.as_ref()?.sequential.as_ref()?.mode);
        if mode == SequentialMode::NonInferior {
            self.least(silent, read)
        } else {
            self.most(silent, read)
        }
    }

    /// A bound without a default: the smallest that a gate names.
    fn shortest(&self, read: impl Fn(&PromotionGateSpec) -> Option<Duration>) -> Option<Duration> {
        self.gates.iter().filter_map(|(_, gate)| read(gate)).min()
    }

    /// A criterion is waived only when every gate waives it.
    fn all(&self, read: impl Fn(&PromotionGateSpec) -> bool) -> bool {
        !self.gates.is_empty() && self.gates.iter().all(|(_, gate)| read(gate))
    }

    /// A value that says what is measured, not how strictly: the gates that name one must name the same.
    fn agreed<T: PartialEq + std::fmt::Debug>(
        &self,
        field: &str,
        errors: &mut Vec<ConfigError>,
        read: impl Fn(&PromotionGateSpec) -> Option<T>,
    ) -> Option<T> {
        let mut named = self.gates.iter().filter_map(|(name, gate)| Some((name, read(gate)?)));
        let (first, value) = named.next()?;
        if let Some((other, different)) = named.find(|(_, other)| *other != value) {
            errors.push(ConfigError {
                field: format!("PromotionGate {other} {field}"),
                bound: format!("{value:?}, as in PromotionGate {first}: gates that bind the same cycle must agree"),
                value: json!(format!("{different:?}")),
            });
        }
        Some(value)
    }
}

fn number(value: Option<&DecimalString>) -> Option<f64> {
    value.map(DecimalString::to_f64)
}

const fn has<T>(value: Option<&T>) -> bool {
    value.is_some()
}

fn milliseconds(duration: Duration) -> Value {
    json!(duration.as_millis())
}

const fn policy(waived: bool) -> &'static str {
    if waived { "notApplicable" } else { "required" }
}

const fn mode(mode: SequentialMode) -> &'static str {
    match mode {
        SequentialMode::Off => "off",
        SequentialMode::Harm => "harm",
        SequentialMode::NonInferior => "nonInferior",
    }
}

const fn bias_form(form: RhoBiasForm) -> &'static str {
    match form {
        RhoBiasForm::ToOverall => "toOverall",
        RhoBiasForm::BetweenGroups => "betweenGroups",
    }
}

const fn fairness_metric(metric: FairnessMetric) -> &'static str {
    match metric {
        FairnessMetric::DemographicParity => "demographicParity",
        FairnessMetric::EqualOpportunity => "equalOpportunity",
        FairnessMetric::EqualizedOdds => "equalizedOdds",
    }
}
