//! How measurements become scores, and what gates declare: the parts of the specifications that no number of the engine's
//! configuration holds.

use std::collections::BTreeMap;

use penin_api::v1alpha1::PromotionGateSpec;
use penin_api::v1alpha1::cycle::{LinfPreset, ScoresSpec};
use serde::{Deserialize, Serialize};

/// Where a metric of L∞ comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScoreSource {
    /// Share of labelled predictions whose decision was right, from the model's counters.
    Accuracy,
    /// Share of requests that succeeded, from the gateway's counters.
    SuccessRatio,
    /// A named ratio.
    Ratio(String),
}

/// How measurements become scores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreSettings {
    /// Metrics of L∞ by name.
    pub metrics: BTreeMap<String, ScoreSource>,
    /// Ratios that count as risks, beside error ratio and Brier score.
    pub risks: Vec<String>,
}

impl ScoreSettings {
    /// The settings of a cycle. A metric that names neither a preset nor a ratio has no source, so its value is unknown;
    /// the API server refuses such a metric.
    #[must_use]
    pub fn of(scores: &ScoresSpec) -> Self {
        let metric = |metric: &penin_api::v1alpha1::cycle::LinfMetric| {
            let source = match (metric.preset, &metric.evidence) {
                (Some(LinfPreset::Accuracy), _) => ScoreSource::Accuracy,
                (Some(LinfPreset::SuccessRatio), _) => ScoreSource::SuccessRatio,
                (None, name) => ScoreSource::Ratio(name.clone().unwrap_or_default()),
            };
            (metric.name.clone(), source)
        };
        Self {
            metrics: scores.linf.metrics.iter().map(metric).collect(),
            risks: scores.risks.iter().map(|risk| risk.evidence.clone()).collect(),
        }
    }
}

/// A fact that a gate declares, for the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Declaration {
    /// Name of the gate.
    pub gate: String,
    /// Whether the fact holds; a waiver always does.
    pub holds: bool,
    /// What is declared.
    pub statement: String,
    /// Who declares it; none for waivers, which are the gate owner's.
    pub author: Option<String>,
}

/// What the gates of a cycle declare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Declared {
    /// Statements about consent.
    pub consent: Vec<Declaration>,
    /// Statements about ecology.
    pub eco: Vec<Declaration>,
    /// Waivers of calibration.
    pub calibration_waivers: Vec<Declaration>,
    /// Waivers of groups.
    pub group_waivers: Vec<Declaration>,
}

impl Declared {
    /// What some gates declare, by name.
    #[must_use]
    pub fn of(gates: &[(String, PromotionGateSpec)]) -> Self {
        let mut declared = Self::default();
        for (name, gate) in gates {
            let Some(guard) = &gate.guard else { continue };
            let fact = |holds, statement: &str, author: Option<&str>| Declaration {
                gate: name.clone(),
                holds,
                statement: statement.to_owned(),
                author: author.map(str::to_owned),
            };
            let consent = guard.consent.as_ref();
            declared
                .consent
                .extend(consent.map(|c| fact(c.granted, &c.statement, Some(&c.author))));
            declared
                .eco
                .extend(guard.eco.as_ref().map(|e| fact(e.ok, &e.statement, Some(&e.author))));
            let waiver = guard.ece.as_ref().and_then(|ece| ece.not_applicable.as_ref());
            declared
                .calibration_waivers
                .extend(waiver.map(|w| fact(true, &w.reason, None)));
            let waiver = guard.rho_bias.as_ref().and_then(|bias| bias.not_applicable.as_ref());
            declared
                .group_waivers
                .extend(waiver.map(|w| fact(true, &w.reason, None)));
        }
        declared
    }

    /// Whether consent is given: no gate denies it and one states it; missing when none speaks of it.
    #[must_use]
    pub fn consent(&self) -> Option<bool> {
        all_hold(&self.consent)
    }

    /// Whether the ecological cost is acceptable, by the same rule.
    #[must_use]
    pub fn eco(&self) -> Option<bool> {
        all_hold(&self.eco)
    }
}

fn all_hold(facts: &[Declaration]) -> Option<bool> {
    (!facts.is_empty()).then(|| facts.iter().all(|fact| fact.holds))
}
