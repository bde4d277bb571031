//! Phase 13: scores that are shown and never decide.

use super::decide::Verdict;
use super::findings::Findings;
use super::input::{CycleInput, EthicsMetric};
use super::outcome::RiskContraction;
use crate::anabolization;
use crate::config::Config;
use crate::decision::{Cause, CycleReason};
use crate::gates::{GateName, GateValue};
use crate::growth::{self, Growth};
use crate::life::{self, Conditions, Life};
use crate::lpsi;
use crate::lyapunov::{self, Lyapunov};
use crate::num::Num;

/// Advisory scores of a cycle.
pub(super) struct Advisory {
    pub(super) lyapunov: Lyapunov,
    pub(super) growth: Growth,
    pub(super) anabolization: f64,
    pub(super) life: Life,
    pub(super) contraction: Option<RiskContraction>,
}

impl Advisory {
    pub(super) fn new(config: &Config, input: &CycleInput, findings: &Findings, verdict: &Verdict) -> Self {
        let progress = &findings.progress;
        let reference = Num::from(progress.reference);
        let linf = Num::new(progress.linf.value);
        let delta = progress.delta.unwrap_or(-1.0);
        Self {
            lyapunov: lyapunov::evaluate(reference, linf),
            growth: growth::evaluate(reference, linf, Num::new(config.gates.delta_linf_min)),
            anabolization: anabolization::factor(
                Num::new(1.0),
                Num::new(delta),
                findings.caos.plus().num(),
                findings.sr.num(),
                findings.oci.num(),
            )
            .value,
            life: life::evaluate(&conditions(input, findings), config),
            contraction: contraction(config, findings, verdict),
        }
    }
}

/// The life equation looks at the evidence itself: a waived gate passes, but there is no evidence that life could rest on.
fn conditions(input: &CycleInput, findings: &Findings) -> Conditions {
    let ethics = &input.ethics;
    let known = |metric| !ethics.unknown.contains_key(&metric);
    let number = |metric, value| if known(metric) { value } else { Num::MISSING };
    let rho = lpsi::effective_rho(input.risk.rho, &input.risk.series);
    Conditions {
        consent: ethics.consent.filter(|_| known(EthicsMetric::Consent)),
        eco_ok: ethics.eco_ok.filter(|_| known(EthicsMetric::EcoOk)),
        ece: number(EthicsMetric::Ece, ethics.ece),
        rho_bias: number(EthicsMetric::RhoBias, ethics.rho_bias),
        rho: Num::from(rho.ok()),
        phi: Num::new(findings.caos.exploratory),
        sr: findings.sr.num(),
        delta_linf: Num::from(findings.progress.delta.ok()),
        coherence: findings.coherence.num(),
    }
}

/// After an abort for ρ or uncertainty: how many passes of Lψ would bring both below their limits.
fn contraction(config: &Config, findings: &Findings, verdict: &Verdict) -> Option<RiskContraction> {
    let contractible = |cause: &Cause| matches!(cause, Cause::Gate(GateName::RiskRho | GateName::Uncertainty));
    if verdict.reason != CycleReason::Risk || !verdict.causes.iter().any(contractible) {
        return None;
    }
    let value = |name| match findings.trace.value(name) {
        GateValue::Number(x) => Some(x),
        GateValue::Boolean(_) | GateValue::Null => None,
    };
    let mut rho = value(GateName::RiskRho)?;
    let mut uncertainty = value(GateName::Uncertainty)?;
    let limits = &config.resources;
    let reached = |rho: f64, uncertainty: f64| rho < limits.rho_max && uncertainty < limits.uncertainty_max;
    let mut passes = 0;
    while !reached(rho, uncertainty) && passes < config.lpsi.max_passes {
        rho *= config.lpsi.rho;
        uncertainty *= config.lpsi.rho;
        passes += 1;
    }
    Some(RiskContraction {
        passes,
        reached: reached(rho, uncertainty),
        rho,
        uncertainty,
    })
}
