//! Modules of global coherence and parts of the closure index: satisfied ÷ declared checks.

use penin_engine::caos::Components;
use penin_engine::coherence::Modules;
use penin_engine::config::{Config, TunerParameterConfig};
use penin_engine::league::Arm;
use penin_engine::master::{EthicsEvidence, EthicsMetric};
use penin_engine::num::Num;
use penin_engine::oci::Parts;
use penin_engine::resources::Risk;
use penin_engine::sr::Axes;

use super::sides::Sides;
use crate::scoring::{Checks, Measured};

impl Sides<'_> {
    /// Satisfied ÷ declared: required inputs of the first five modules, tuned values inside their bounds, and the checks
    /// that others made.
    pub(super) fn modules(
        &self,
        ethics: &EthicsEvidence,
        risk: &Risk,
        caos: &Components,
        sr: &Axes,
        arms: &(Arm, Arm),
    ) -> Modules {
        let present = |values: &[Num]| {
            values
                .iter()
                .map(|value| value.finite().is_some())
                .collect::<Checks>()
                .value()
        };
        let sound = |metric, value: Num| !ethics.unknown.contains_key(&metric) && value.finite().is_some();
        let ethical = [
            sound(EthicsMetric::Ece, ethics.ece),
            sound(EthicsMetric::RhoBias, ethics.rho_bias),
            sound(EthicsMetric::Fairness, ethics.fairness),
            ethics.consent.is_some(),
            ethics.eco_ok.is_some(),
        ];
        let counted = |of: Option<&Measured>| of.is_some_and(|of| of.traffic.known().is_some());
        let mut league = vec![
            counted(Some(self.chi)),
            counted(self.kappa),
            arms.0.mean_delta_linf.finite().is_some(),
        ];
        league.extend(
            self.judgement
                .config
                .league
                .p95_latency_max_ms
                .map(|_| arms.0.p95_latency_ms.finite().is_some()),
        );
        Modules {
            ethics: ethical.into_iter().collect::<Checks>().value(),
            contractivity: present(&[risk.rho, risk.uncertainty]),
            league: league.into_iter().collect::<Checks>().value(),
            caos: present(&[caos.c, caos.a, caos.o, caos.s]),
            sr: present(&[sr.calibration, sr.ethics, sr.autocorrection, sr.metacognition]),
            meta: self.judgement.checks.meta.value(),
            tuning: tuned(self.judgement.config).value(),
            router: self.judgement.checks.router.value(),
        }
    }

    /// Memory and policy from outside; flow: requests that reached a revision; feedback: sources that answered.
    pub(super) fn oci(&self) -> Parts {
        let answered = |of: &Measured| of.traffic.get().map(|counts| counts.requests);
        let flow = self
            .kappa
            .map_or(Ok(0), answered)
            .and_then(|reference| Ok(reference + answered(self.chi)?));
        let sides = [Some(self.chi), self.kappa];
        let sources = sides.into_iter().flatten().flat_map(|side| {
            let ratios = side.ratios.values().map(|ratio| ratio.known().is_some());
            [side.traffic.known().is_some(), side.model.known().is_some()]
                .into_iter()
                .chain(ratios)
        });
        let resources = self.chi.resources.known().is_some();
        Parts {
            memory: self.judgement.checks.memory.value(),
            // A request that reached no revision makes the traffic of all unknown, so what is known reached one.
            flow: flow.map_or(Num::MISSING, |count| {
                Checks {
                    satisfied: count,
                    declared: count,
                }
                .value()
            }),
            policy: self.judgement.checks.policy.value(),
            feedback: sources.chain([resources]).collect::<Checks>().value(),
        }
    }
}

/// Parameters of the tuner whose configured value lies inside its bounds.
fn tuned(config: &Config) -> Checks {
    let value = |name: &str| match name {
        "caos.kappa" => Some(config.caos.kappa),
        "caos.gamma" => Some(config.caos.gamma),
        "linf.costPenalty" => Some(config.linf.cost_penalty),
        "gates.deltaLinfMin" => Some(config.gates.delta_linf_min),
        "alpha0" => Some(config.alpha0),
        _ => None,
    };
    let inside = |parameter: &TunerParameterConfig| {
        value(&parameter.name).is_some_and(|value| (parameter.min..=parameter.max).contains(&value))
    };
    config.tuner.parameters.iter().map(inside).collect()
}
