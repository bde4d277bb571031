//! χ and κ: the quantities that compare them or belong to one.

use std::collections::BTreeMap;

use penin_engine::caos::{self, Components};
use penin_engine::config::EvidencePolicy;
use penin_engine::ethics::{self, BinCounts, Counts, GroupCounts};
use penin_engine::master::{ChampionEvidence, EthicsEvidence, EthicsMetric};
use penin_engine::num::{Num, Scored, logistic};
use penin_engine::resources::ResourceReadings;
use penin_engine::sr::Axes;

use super::{Judgement, Notes, objective};
use crate::scoring::derived::{Derived, Side, stability_index};
use crate::scoring::{Bin, Group, Measured, ModelCounts, ScoreSource, Unknown, UnknownReason, exact};

/// The two revisions of a judgement.
pub(super) struct Sides<'a> {
    pub(super) chi: &'a Measured,
    pub(super) kappa: Option<&'a Measured>,
    pub(super) judgement: &'a Judgement<'a>,
}

impl Sides<'_> {
    pub(super) fn model(&self) -> Result<&ModelCounts, Unknown> {
        self.chi.model.get()
    }

    fn reference(&self) -> Result<&Measured, Unknown> {
        self.kappa
            .ok_or_else(|| Unknown::new(UnknownReason::NoSource, "there is no other revision to compare with"))
    }

    fn calibrated(&self) -> bool {
        self.judgement.config.ethics.calibration_policy == EvidencePolicy::Required
    }

    /// Raw metrics of L∞ by name: `scores.linf.metrics[]`.
    pub(super) fn metrics(&self, of: &Measured, side: Side, notes: &mut Notes) -> BTreeMap<String, Num> {
        let scores = &self.judgement.scores.metrics;
        scores
            .iter()
            .map(|(name, source)| (name.clone(), notes.take("metrics", metric(of, source, side))))
            .collect()
    }

    /// κ in the same window.
    pub(super) fn champion(&self) -> Option<ChampionEvidence> {
        let kappa = self.kappa?;
        let metrics = self.metrics(kappa, Side::Reference, &mut Notes::default());
        Some(ChampionEvidence {
            cost: Num::new(1.0),
            metrics,
        })
    }

    pub(super) fn delta(&self, linf: &Derived, champion: Option<&ChampionEvidence>) -> Derived {
        self.reference()?;
        let reference = champion.ok_or_else(|| missing("the reference"))?;
        let reference = objective(self.judgement.config, &reference.metrics, reference.cost)?;
        Ok(linf.clone()? - reference)
    }

    /// ECE, ratio of selection rates and fairness from the model's counters; consent and eco from the gates.
    pub(super) fn ethics(&self, notes: &mut Notes) -> EthicsEvidence {
        let declared = self.judgement.declared;
        let (consent, eco) = (declared.consent(), declared.eco());
        let evaluation = self.model().and_then(|model| {
            ethics::from_counts(&self.judgement.config.ethics, &counts(model))
                .map_err(|error| Unknown::new(UnknownReason::Inconsistent, format_args!("calibration bins: {error:?}")))
        });
        match evaluation {
            Ok(evaluation) => EthicsEvidence::new(&evaluation, consent, eco),
            Err(unknown) => {
                let code = unknown.reason.code().to_owned();
                notes.unknown.insert("ethics", unknown);
                let metrics = [EthicsMetric::Ece, EthicsMetric::RhoBias, EthicsMetric::Fairness];
                EthicsEvidence {
                    consent,
                    eco_ok: eco,
                    unknown: metrics.map(|metric| (metric, code.clone())).into(),
                    ..EthicsEvidence::default()
                }
            }
        }
    }

    /// Mean risk of χ ÷ mean risk of κ; without κ, Brier score ÷ that of the constant base rate.
    pub(super) fn rho(&self) -> Derived {
        let Some(kappa) = self.kappa else {
            let model = self.model()?;
            return quotient(model.brier()?, model.base_rate_brier()?);
        };
        quotient(
            self.mean_risk(self.chi, Side::Candidate)?,
            self.mean_risk(kappa, Side::Reference)?,
        )
    }

    /// Arithmetic mean of error ratio, Brier score and the named risks.
    fn mean_risk(&self, of: &Measured, side: Side) -> Derived {
        let mut risks = vec![of.error_ratio(side)?];
        if self.calibrated() {
            risks.push(of.model.get()?.brier()?);
        }
        for name in &self.judgement.scores.risks {
            risks.push(of.ratio(name)?.share()?);
        }
        let count = exact::number(risks.len() as u64);
        Ok(risks.into_iter().sum::<f64>() / count)
    }

    pub(super) fn caos(&self, ethics: &EthicsEvidence, delta: &Derived, cost: Num, notes: &mut Notes) -> Components {
        let accuracy = notes.take("caos.c", self.model().and_then(ModelCounts::accuracy));
        let success = notes.take("caos.c", self.chi.success_ratio(Side::Candidate));
        let uncertainty = notes.take("caos.o", self.model().and_then(ModelCounts::uncertainty));
        let shift = notes.take("caos.o", self.shift());
        let disagreement = notes.take("caos.o", self.disagreement());
        let noise = notes.take("caos.s", self.chi.error_ratio(Side::Candidate));
        let redundancy = notes.take("caos.s", self.model().and_then(ModelCounts::unlabelled_share));
        let delta = notes.take("caos.a", delta.clone());
        Components {
            c: usable(&caos::consistency(
                accuracy,
                gated(ethics, EthicsMetric::Ece, ethics.ece),
                success,
            )),
            a: usable(&caos::auto_evolution(delta, cost)),
            o: usable(&caos::unknown(uncertainty, shift, disagreement)),
            s: usable(&caos::silence(noise, redundancy, uncertainty)),
        }
    }

    /// min(1, population stability index of the score bins).
    fn shift(&self) -> Derived {
        Ok(stability_index(self.model()?, self.reference()?.model.get()?)?.clamp(0.0, 1.0))
    }

    fn disagreement(&self) -> Derived {
        Ok((self.model()?.selection_rate()? - self.reference()?.model.get()?.selection_rate()?).abs())
    }

    /// Three of the four axes; `ethics` is filled in when the guard has been evaluated.
    pub(super) fn sr(&self, ethics: &EthicsEvidence, delta: &Derived, cost: Num, notes: &mut Notes) -> Axes {
        let ece = gated(ethics, EthicsMetric::Ece, ethics.ece).finite();
        let risk = self.mean_risk(self.chi, Side::Candidate).map(|risk| libm::exp(-risk));
        let gain = delta.clone().and_then(|delta| {
            let cost = cost
                .finite()
                .filter(|cost| *cost > 0.0)
                .ok_or_else(|| missing("the cost"))?;
            Ok(logistic(delta / cost))
        });
        Axes {
            calibration: ece.map_or(Num::MISSING, |ece| Num::new(1.0 - ece)),
            ethics: Num::MISSING,
            autocorrection: notes.take("sr.autocorrection", risk),
            metacognition: notes.take("sr.metacognition", gain),
        }
    }

    pub(super) fn resources(&self, notes: &mut Notes) -> Option<ResourceReadings> {
        match self.chi.resources.get() {
            Ok(used) => Some(ResourceReadings {
                cpu: Num::new(used.cpu),
                mem: Num::new(used.mem),
                age_seconds: Num::new(used.age_seconds),
            }),
            Err(unknown) => {
                notes.unknown.insert("resources", unknown);
                None
            }
        }
    }
}

fn metric(of: &Measured, source: &ScoreSource, side: Side) -> Derived {
    match source {
        ScoreSource::Accuracy => of.model.get()?.accuracy(),
        ScoreSource::SuccessRatio => of.success_ratio(side),
        ScoreSource::Ratio(name) => of.ratio(name)?.share(),
    }
}

/// The model's counters in the engine's form.
fn counts(model: &ModelCounts) -> Counts {
    let bin = |bin: &Bin| BinCounts {
        samples: bin.samples,
        positives: bin.positives,
        sum_prob: bin.probability_q20,
    };
    let group = |(name, group): (&String, &Group)| GroupCounts {
        name: name.clone(),
        true_positives: group.tp,
        false_positives: group.fp,
        true_negatives: group.tn,
        false_negatives: group.fn_,
    };
    Counts {
        bins: model.bins.iter().map(bin).collect(),
        sum_squared_error: model.squared_error_q20,
        groups: model.groups.iter().map(group).collect(),
    }
}

/// An ethics value as the guard may use it.
fn gated(ethics: &EthicsEvidence, metric: EthicsMetric, value: Num) -> Num {
    if ethics.unknown.contains_key(&metric) {
        Num::MISSING
    } else {
        value
    }
}

fn usable(scored: &Scored) -> Num {
    if scored.is_ok() {
        Num::new(scored.value)
    } else {
        Num::MISSING
    }
}

fn quotient(above: f64, below: f64) -> Derived {
    let ratio = above / below;
    if ratio.is_finite() {
        return Ok(ratio);
    }
    let detail = format!("risk ratio: {above} ÷ {below} is no number; without any risk there is nothing to compare");
    Err(Unknown::new(UnknownReason::Undefined, detail))
}

pub(super) fn missing(what: &str) -> Unknown {
    Unknown::new(UnknownReason::Missing, format_args!("{what}: not known"))
}
