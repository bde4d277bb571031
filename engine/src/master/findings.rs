//! Phases 2 to 10 of a cycle: from evidence to scores and gates. Everything is evaluated, whatever has failed before.

use std::collections::BTreeMap;

use super::alpha::alpha;
use super::input::{CycleInput, EthicsMetric};
use super::state::State;
use crate::caos::{self, Components, Tracker};
use crate::config::{Config, MetricConfig};
use crate::decision::Stage;
use crate::fibonacci::{self, Optimum};
use crate::gates::{
    self, Gate, GateName, GateStatus, GateValue, PromotionScore, PromotionValues, Reason, combine, reason,
};
use crate::guard::{self, GuardMetric, GuardMetrics};
use crate::linf::{self, Linf, Metric};
use crate::num::{Code, Issue, Num};
use crate::{agape, coherence, lpsi, oci, resources, sr};

/// The gates of a cycle: risk, then guard, then promotion.
pub(super) struct Trace {
    pub(super) gates: Vec<Gate>,
    risk: usize,
    guard: usize,
}

impl Trace {
    pub(super) fn risk(&self) -> &[Gate] {
        self.gates.get(..self.risk).unwrap_or(&[])
    }

    pub(super) fn guard(&self) -> &[Gate] {
        self.gates.get(self.risk..self.guard).unwrap_or(&[])
    }

    pub(super) fn promotion(&self) -> &[Gate] {
        self.gates.get(self.guard..).unwrap_or(&[])
    }

    /// Status of the guard.
    pub(super) fn guard_status(&self) -> GateStatus {
        combine(self.guard().iter().map(|gate| gate.status))
    }

    /// Value of a risk or guard gate; null when the gate is undecided or switched off.
    pub(super) fn value(&self, name: GateName) -> GateValue {
        let gates = self.gates.get(..self.guard).unwrap_or(&[]);
        gates
            .iter()
            .find(|gate| gate.name == name)
            .map_or(GateValue::Null, |gate| gate.value)
    }
}

/// A score, or why it must not be used; the worst value stands beside the reason.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    pub(super) value: f64,
    pub(super) refused: Option<Code>,
}

impl Judged {
    fn new(value: f64, issues: &[Issue]) -> Self {
        Self {
            value,
            refused: issues.first().map(|issue| issue.code),
        }
    }

    /// The score as evidence for what builds on it.
    pub(super) fn num(self) -> Num {
        match self.refused {
            None => Num::new(self.value),
            Some(_) => Num::MISSING,
        }
    }
}

/// What CAOS⁺ yields.
pub(super) struct Caos {
    pub(super) base: Judged,
    pub(super) boost: f64,
    pub(super) exploratory: f64,
    pub(super) harmony: Judged,
    pub(super) strength: f64,
    pub(super) stable: bool,
    pub(super) tracker: Tracker,
}

impl Caos {
    pub(super) fn plus(&self) -> Judged {
        Judged {
            value: self.base.value * self.boost,
            ..self.base
        }
    }

    fn new(config: &Config, tracker: &Tracker, components: &Components) -> Self {
        let settings = &config.caos;
        let kappa = Num::new(settings.kappa);
        let base = caos::exponential(components, kappa);
        let exploratory = caos::phi(components, kappa, Num::new(settings.gamma), Num::new(settings.focus));
        let harmony = caos::harmony(components);
        let strength = caos::pattern_strength(components);
        let sample = Judged::new(strength.value, &strength.issues);
        let after = tracker.updated(sample.num(), settings);
        let (before, after_stable) = (tracker.is_stable(settings), after.is_stable(settings));
        Self {
            base: Judged::new(base.value, &base.issues),
            boost: caos::boost(config.fibonacci.enabled, before, after_stable, strength.value, settings),
            exploratory: exploratory.value(),
            harmony: Judged::new(harmony.value, &harmony.issues),
            strength: strength.value,
            stable: before && after_stable,
            tracker: after,
        }
    }
}

/// L∞ of the candidate against its reference.
pub(super) struct Progress {
    pub(super) linf: Linf,
    /// L∞ of the reference, if usable.
    pub(super) reference: Option<f64>,
    /// ΔL∞, or why it is unknown.
    pub(super) delta: Result<f64, &'static str>,
}

/// Step of the Master Equation.
pub(super) struct Step {
    /// Result of the line search, if it ran.
    pub(super) search: Option<Optimum>,
    pub(super) learning_rate: f64,
    pub(super) wanted: f64,
    pub(super) applied: f64,
}

/// Scores and gates of a cycle.
pub(super) struct Findings {
    pub(super) trace: Trace,
    pub(super) coherence: Judged,
    pub(super) progress: Progress,
    pub(super) caos: Caos,
    pub(super) sr: Judged,
    pub(super) sr_min: f64,
    pub(super) oci: Judged,
    /// None without virtues.
    pub(super) agape: Option<Judged>,
    pub(super) alpha: f64,
    pub(super) step: Step,
}

impl Findings {
    /// `components` are the CAOS⁺ components of this cycle, perturbed if chaos struck.
    pub(super) fn new(config: &Config, state: &State, input: &CycleInput, components: &Components) -> Self {
        let mut gates = Vec::with_capacity(24);
        resources::extend(&config.resources, input.resources.as_ref(), &input.risk, &mut gates);
        let risk = gates.len();
        let coherence = coherence::score(&input.modules.unwrap_or_default(), &config.coherence.weights);
        let coherence = Judged::new(coherence.value, &coherence.issues);
        guard::extend(config, &guard_metrics(config, input, coherence), &mut gates);
        let trace = Trace {
            guard: gates.len(),
            gates,
            risk,
        };
        let progress = progress(config, state, input, &trace);
        let caos = Caos::new(config, &state.evolving.tracker, components);
        let sr = sr::score(&input.sr.unwrap_or_default(), &config.sr.weights);
        let sr_min = sr.min;
        let sr = Judged::new(sr.harmonic, &sr.issues);
        let oci = oci::score(&input.oci.unwrap_or_default());
        let oci = Judged::new(oci.value, &oci.issues);
        let agape = agape(config, input);
        let alpha = alpha(
            Num::new(config.alpha0),
            caos.plus().num(),
            sr.num(),
            coherence.num(),
            oci.num(),
        )
        .value;
        let step = step(config, state, alpha, &progress, caos.harmony.num());
        let mut findings = Self {
            trace,
            coherence,
            progress,
            caos,
            sr,
            sr_min,
            oci,
            agape,
            alpha,
            step,
        };
        let values = findings.promotion_values(input);
        gates::extend(&config.gates, &values, &mut findings.trace.gates);
        findings
    }

    fn promotion_values(&self, input: &CycleInput) -> PromotionValues {
        let mut unknown = BTreeMap::new();
        let mut admit = |score, judged: Judged| {
            if let Some(code) = judged.refused {
                unknown.insert(score, Reason::Borrowed(code.as_str()));
            }
            Num::new(judged.value)
        };
        let missing = Judged {
            value: 0.0,
            refused: Some(Code::Missing),
        };
        let caos_plus = admit(PromotionScore::CaosPlus, self.caos.plus());
        let sr = admit(PromotionScore::Sr, self.sr);
        let coherence = admit(PromotionScore::Coherence, self.coherence);
        let oci = admit(PromotionScore::Oci, self.oci);
        let agape = admit(PromotionScore::Agape, self.agape.unwrap_or(missing));
        if let Err(why) = self.progress.delta {
            unknown.insert(PromotionScore::DeltaLinf, Reason::Borrowed(why));
        }
        PromotionValues {
            caos_plus,
            sr,
            delta_linf: Num::from(self.progress.delta.ok()),
            guard: Some(self.trace.guard_status()),
            coherence,
            oci,
            agape,
            stage: input.stage,
            league: input.league.clone().filter(|_| input.stage != Stage::Direct),
            unknown,
        }
    }
}

fn guard_metrics(config: &Config, input: &CycleInput, coherence: Judged) -> GuardMetrics {
    let ethics = &input.ethics;
    let rho = lpsi::effective_rho(input.risk.rho, &input.risk.series);
    let mut unknown: BTreeMap<GuardMetric, Reason> = ethics
        .unknown
        .iter()
        .map(|(metric, why)| {
            let metric = match metric {
                EthicsMetric::Ece => GuardMetric::Ece,
                EthicsMetric::RhoBias => GuardMetric::RhoBias,
                EthicsMetric::Fairness => GuardMetric::Fairness,
                EthicsMetric::Consent => GuardMetric::Consent,
                EthicsMetric::EcoOk => GuardMetric::EcoOk,
            };
            (metric, Reason::Owned(why.clone()))
        })
        .collect();
    if let Err(code) = rho {
        unknown.insert(GuardMetric::Rho, Reason::Borrowed(code.as_str()));
    }
    if let Some(code) = coherence.refused {
        unknown.insert(GuardMetric::Coherence, Reason::Borrowed(code.as_str()));
    }
    GuardMetrics {
        rho: Num::from(rho.ok()),
        ece: ethics.ece,
        rho_bias: ethics.rho_bias,
        consent: ethics.consent,
        eco_ok: ethics.eco_ok,
        fairness: ethics.fairness,
        coherence: Num::new(coherence.value),
        cost_increase: input.cost_increase,
        kappa: Num::new(config.caos.kappa),
        unknown,
    }
}

fn progress(config: &Config, state: &State, input: &CycleInput, trace: &Trace) -> Progress {
    let passed = |rho: bool| {
        trace
            .guard()
            .iter()
            .filter(|gate| (gate.name == GateName::Rho) == rho)
            .all(Gate::passed)
    };
    let linf = aggregate(config, &input.metrics, input.cost, passed(false), passed(true));
    let champion = input.champion.as_ref().map(|champion| {
        let linf = aggregate(config, &champion.metrics, champion.cost, true, true);
        if linf.issues.is_empty() {
            Ok(linf.value)
        } else {
            Err(reason::REFERENCE_INVALID)
        }
    });
    let reference = champion.unwrap_or_else(|| state.evolving.linf.ok_or(reason::BASELINE));
    let delta = if let Some(issue) = linf.issues.first() {
        Err(issue.code.as_str())
    } else if trace.guard_status() == GateStatus::Unknown {
        Err(reason::GUARD_UNKNOWN)
    } else {
        reference.map(|reference| linf::delta(Num::new(linf.value), Num::new(reference)))
    };
    Progress {
        linf,
        reference: reference.ok(),
        delta,
    }
}

/// L∞ of raw metrics, in the order of the configuration.
fn aggregate(config: &Config, raw: &BTreeMap<String, Num>, cost: Num, ethics_ok: bool, contractive: bool) -> Linf {
    let metric = |metric: &MetricConfig| {
        let value = raw.get(&metric.name).copied().unwrap_or(Num::MISSING);
        metric.normalize.apply(value)
    };
    let metrics: Vec<Metric<'_>> = config
        .linf
        .metrics
        .iter()
        .map(|entry| Metric {
            name: entry.name.as_str().into(),
            weight: entry.weight,
            value: metric(entry),
        })
        .collect();
    linf::aggregate(
        &metrics,
        cost,
        Num::new(config.linf.cost_penalty),
        Some(ethics_ok),
        Some(contractive),
    )
}

fn agape(config: &Config, input: &CycleInput) -> Option<Judged> {
    if input.virtues.is_empty() {
        return None;
    }
    let virtues = input.virtues.iter().map(|(name, x)| (name.as_str(), *x));
    let scored = agape::index(virtues, input.cost, config.agape.sacrifice_weight);
    Some(Judged::new(scored.value, &scored.issues))
}

fn step(config: &Config, state: &State, alpha: f64, progress: &Progress, harmony: Num) -> Step {
    let gain = progress.delta.unwrap_or(0.0);
    let first = if gain > 0.0 { alpha * gain } else { 0.0 };
    let radius = state.evolving.trust_radius;
    let search = (config.fibonacci.enabled && first > 0.0)
        .then(|| {
            fibonacci::learning_rate(
                Num::new(first),
                Num::new(radius),
                harmony,
                config.fibonacci.search_method,
            )
        })
        .filter(|optimum| optimum.evaluations > 0);
    let learning_rate = search.map_or(1.0, |optimum| optimum.x);
    let wanted = first * learning_rate;
    Step {
        search,
        learning_rate,
        wanted,
        applied: f64::min(wanted, radius),
    }
}
