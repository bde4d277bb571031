//! From evidence to the inputs of the engine. Every input names its source; the table with all of them is
//! `docs/architecture.md`.
//!
//! χ is the revision that is judged, κ the one that it is compared with, both in the same windows. After a promotion κ
//! has no traffic, so its values are those that were frozen with the decision ([`Evidence::with_reference`]).

mod arms;
mod modules;
mod sides;

use std::collections::BTreeMap;

use penin_engine::coherence::{self, Modules};
use penin_engine::config::Config;
use penin_engine::decision::Stage;
use penin_engine::gates::{Gate, LeagueVerdict};
use penin_engine::guard::{self, GuardMetric, GuardMetrics, GuardReport};
use penin_engine::league::Observation;
use penin_engine::linf::{self, Metric};
use penin_engine::master::{Candidate, CycleInput, EthicsEvidence, EthicsMetric};
use penin_engine::num::Num;
use penin_engine::resources::Risk;

use self::sides::{Sides, missing};
use super::derived::{Derived, Side};
use super::{
    Checks, Declared, DeltaSeries, Evidence, ModelCounts, OutsideChecks, Reading, ScoreSettings, Unknown, UnknownReason,
};
use crate::workload::PodRequests;

/// What a judgement needs beside the evidence.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'a> {
    /// The engine's configuration.
    pub config: &'a Config,
    /// How measurements become scores.
    pub scores: &'a ScoreSettings,
    /// Facts that the gates declare.
    pub declared: &'a Declared,
    /// Cost of χ relative to κ; `None` when it is not known. See [`relative_cost`].
    pub cost: Option<f64>,
    /// Checks of the ledger, the gates, the engine and the route.
    pub checks: &'a OutsideChecks,
}

/// Everything that the engine is asked with, and the values on the way to it.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// For [`penin_engine::league::assess`].
    pub observation: Observation,
    /// For [`penin_engine::master::run_cycle`]; the league's verdict and the candidate are filled in by
    /// [`Inputs::cycle`].
    input: CycleInput,
    /// The guard's gates for this evidence.
    pub guard: GuardReport,
    /// L∞ of χ, before the guard closes it.
    pub linf: Reading<f64>,
    /// L∞(χ) − L∞(κ) of this evaluation.
    pub delta_linf: Reading<f64>,
    /// Why inputs are missing, by the name of the input.
    pub unknown: BTreeMap<&'static str, Unknown>,
}

impl Inputs {
    /// The input of a master cycle.
    #[must_use]
    pub fn cycle(&self, candidate: Candidate, stage: Stage, league: Option<LeagueVerdict>) -> CycleInput {
        CycleInput {
            candidate,
            stage,
            league,
            ..self.input.clone()
        }
    }
}

/// Cost of the candidate's pods relative to those of the reference, by what they request: cores + GiB ÷ 8. Missing when a
/// request is, or when the reference requests nothing.
#[must_use]
pub fn relative_cost(candidate: Option<PodRequests>, reference: Option<PodRequests>) -> Option<f64> {
    const GIB: f64 = 1_073_741_824.0;
    let weight = |pod: PodRequests| pod.cpu_cores + pod.memory_bytes / GIB / 8.0;
    let ratio = weight(candidate?) / weight(reference?);
    ratio.is_finite().then_some(ratio)
}

/// Collects values and the reasons of missing ones.
#[derive(Default)]
struct Notes {
    unknown: BTreeMap<&'static str, Unknown>,
}

impl Notes {
    fn take(&mut self, name: &'static str, value: Derived) -> Num {
        match value {
            Ok(value) => Num::new(value),
            Err(unknown) => {
                self.unknown.insert(name, unknown);
                Num::MISSING
            }
        }
    }
}

/// The inputs of one judgement. `traffic_verified` says whether the measured share is the written one, `previous` are the
/// earlier evaluations of the stage; the present one is added to their mean if it is known.
#[must_use]
pub fn inputs(
    evidence: &Evidence,
    judgement: &Judgement<'_>,
    previous: DeltaSeries,
    traffic_verified: Option<bool>,
) -> Inputs {
    let mut notes = Notes::default();
    let sides = Sides {
        chi: &evidence.candidate,
        kappa: evidence.reference.as_ref(),
        judgement,
    };
    let ethics = sides.ethics(&mut notes);
    let risk = Risk {
        rho: notes.take("risk.rho", sides.rho()),
        uncertainty: notes.take("risk.uncertainty", sides.model().and_then(ModelCounts::uncertainty)),
        series: Vec::new(),
    };
    let metrics = sides.metrics(sides.chi, Side::Candidate, &mut notes);
    let champion = sides.champion();
    let cost = notes.take(
        "cost",
        judgement.cost.ok_or_else(|| missing("pods without resource requests")),
    );
    let linf = objective(judgement.config, &metrics, cost);
    let delta = sides.delta(&linf, champion.as_ref());
    let caos = sides.caos(&ethics, &delta, cost, &mut notes);
    let mut sr = sides.sr(&ethics, &delta, cost, &mut notes);
    let mean = if delta.is_ok() {
        previous.with(&delta.clone().into()).mean()
    } else {
        Num::MISSING
    };
    let arms = sides.arms(mean, &linf, champion.as_ref());
    // The axis `ethics` follows from the guard, which is always evaluated: present, before its value is known.
    sr.ethics = Num::new(0.0);
    let modules = sides.modules(&ethics, &risk, &caos, &sr, &arms);
    let cost_increase = cost.finite().map(|cost| cost - 1.0);
    let guard = guarded(judgement.config, &ethics, &risk, &modules, cost_increase);
    sr.ethics = guard.gates.iter().map(Gate::passed).collect::<Checks>().value();
    let oci = sides.oci();
    let input = CycleInput {
        caos: Some(caos),
        champion,
        cost,
        cost_increase: Num::from(cost_increase),
        ethics,
        metrics,
        modules: Some(modules),
        oci: Some(oci),
        resources: sides.resources(&mut notes),
        risk,
        sr: Some(sr),
        ..CycleInput::default()
    };
    let observation = Observation {
        challenger: arms.0,
        champion: arms.1,
        guard: Some(guard.status),
        traffic_verified,
    };
    Inputs {
        observation,
        input,
        guard,
        linf: linf.into(),
        delta_linf: delta.into(),
        unknown: notes.unknown,
    }
}

/// L∞ without the guard's flags: how good a revision is, not whether it may be used. The league and the running mean
/// compare revisions by it; whether the guard allows one is asked apart, and closes L∞ in the master cycle.
fn objective(config: &Config, metrics: &BTreeMap<String, Num>, cost: Num) -> Derived {
    let list: Vec<Metric<'_>> = config
        .linf
        .metrics
        .iter()
        .map(|metric| Metric {
            name: metric.name.as_str().into(),
            weight: metric.weight,
            value: metric
                .normalize
                .apply(metrics.get(&metric.name).copied().unwrap_or(Num::MISSING)),
        })
        .collect();
    let linf = linf::aggregate(&list, cost, Num::new(config.linf.cost_penalty), Some(true), Some(true));
    match linf.issues.first() {
        None => Ok(linf.value),
        Some(issue) => Err(Unknown::new(
            UnknownReason::Undefined,
            format_args!("L∞: {} is {}", issue.field, issue.code),
        )),
    }
}

fn guarded(
    config: &Config,
    ethics: &EthicsEvidence,
    risk: &Risk,
    modules: &Modules,
    cost_increase: Option<f64>,
) -> GuardReport {
    let unknown = ethics.unknown.iter().map(|(metric, reason)| {
        let metric = match metric {
            EthicsMetric::Ece => GuardMetric::Ece,
            EthicsMetric::RhoBias => GuardMetric::RhoBias,
            EthicsMetric::Fairness => GuardMetric::Fairness,
            EthicsMetric::Consent => GuardMetric::Consent,
            EthicsMetric::EcoOk => GuardMetric::EcoOk,
        };
        (metric, reason.clone().into())
    });
    let coherence = coherence::score(modules, &config.coherence.weights);
    guard::evaluate(
        config,
        &GuardMetrics {
            rho: risk.rho,
            ece: ethics.ece,
            rho_bias: ethics.rho_bias,
            consent: ethics.consent,
            eco_ok: ethics.eco_ok,
            fairness: ethics.fairness,
            coherence: if coherence.issues.is_empty() {
                Num::new(coherence.value)
            } else {
                Num::MISSING
            },
            cost_increase: Num::from(cost_increase),
            kappa: Num::new(config.caos.kappa),
            unknown: unknown.collect(),
        },
    )
}

#[cfg(test)]
mod tests;
