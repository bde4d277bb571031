//! Evidence of one cycle.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::parse;
use crate::caos::Components;
use crate::coherence::Modules;
use crate::decision::Stage;
use crate::error::EngineError;
use crate::ethics::Evaluation;
use crate::event::{Digest, content_hash};
use crate::gates::LeagueVerdict;
use crate::num::Num;
use crate::oci::Parts;
use crate::resources::{ResourceReadings, Risk};
use crate::sr::Axes;

/// Who is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Candidate {
    /// Digest of what is deployed, such as an image digest.
    pub digest: Option<String>,
    /// Name; not empty.
    pub name: String,
    /// Whether a plugin or provider answered with stand-in data.
    pub stub: bool,
}

/// The champion, measured in the same window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChampionEvidence {
    /// Cost in the unit of `linf.costPenalty`.
    pub cost: Num,
    /// Raw metrics by configured name.
    pub metrics: BTreeMap<String, Num>,
}

/// Ethics evidence that can be declared unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EthicsMetric {
    /// Expected calibration error.
    Ece,
    /// Ratio of selection rates.
    RhoBias,
    /// Group fairness.
    Fairness,
    /// Declared consent.
    Consent,
    /// Ecological budget.
    EcoOk,
}

/// Ethics evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EthicsEvidence {
    /// Whether the use of the data is consented to.
    pub consent: Option<bool>,
    /// Expected calibration error.
    pub ece: Num,
    /// Whether the ecological budget is kept.
    pub eco_ok: Option<bool>,
    /// Content hash of the counts behind these numbers.
    pub evidence_digest: Option<String>,
    /// One minus the difference of the configured group rate.
    pub fairness: Num,
    /// Ratio of selection rates.
    pub rho_bias: Num,
    /// Values that must not be used, with the reason.
    pub unknown: BTreeMap<EthicsMetric, String>,
}

impl EthicsEvidence {
    /// The evidence of an evaluation, with the two declared facts.
    #[must_use]
    pub fn new(evaluation: &Evaluation, consent: Option<bool>, eco_ok: Option<bool>) -> Self {
        let gate = &evaluation.gate;
        let metrics = [
            (EthicsMetric::Ece, gate.ece),
            (EthicsMetric::RhoBias, gate.rho_bias),
            (EthicsMetric::Fairness, gate.fairness),
        ];
        let unknown = metrics
            .into_iter()
            .filter_map(|(metric, gated)| Some((metric, gated.unknown?.as_str().to_owned())));
        Self {
            consent,
            ece: Num::from(gate.ece.value),
            eco_ok,
            evidence_digest: Some(evaluation.report.evidence_digest.to_string()),
            fairness: Num::from(gate.fairness.value),
            rho_bias: Num::from(gate.rho_bias.value),
            unknown: unknown.collect(),
        }
    }
}

/// Evidence of one cycle. Everything but the candidate's name may be missing; what is missing is recorded as missing.
///
/// Fields are declared in canonical order, which is the order in which they are hashed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CycleInput {
    /// CAOS⁺ components.
    pub caos: Option<Components>,
    /// Who is judged.
    pub candidate: Candidate,
    /// The champion in the same window; without it the recorded L∞ is the reference.
    pub champion: Option<ChampionEvidence>,
    /// Cost in the unit of `linf.costPenalty`.
    pub cost: Num,
    /// Relative increase of cost against the champion.
    pub cost_increase: Num,
    /// Ethics evidence.
    pub ethics: EthicsEvidence,
    /// Verdict of the league, combined with further checks.
    pub league: Option<LeagueVerdict>,
    /// Raw metrics by configured name.
    pub metrics: BTreeMap<String, Num>,
    /// Modules of global coherence.
    pub modules: Option<Modules>,
    /// Parts of the closure index.
    pub oci: Option<Parts>,
    /// Load of the node.
    pub resources: Option<ResourceReadings>,
    /// Risk evidence.
    pub risk: Risk,
    /// SR-Ω∞ axes.
    pub sr: Option<Axes>,
    /// Life stage.
    pub stage: Stage,
    /// Virtues of the Agápe index.
    pub virtues: BTreeMap<String, Num>,
}

impl CycleInput {
    /// Reads an input document.
    ///
    /// # Errors
    ///
    /// [`EngineError::Input`] with the path of the first structural problem: an unknown field, a wrong JSON type, an unknown stage or a
    /// missing or empty candidate name. Bad numbers are evidence, not errors.
    pub fn from_json(document: &Value) -> Result<Self, EngineError> {
        parse::read_input(document)
    }

    /// Input hash: content hash of the canonical form, in which every field is present.
    ///
    /// # Errors
    ///
    /// None in practice; the document has a canonical form.
    pub fn hash(&self) -> Result<Digest, EngineError> {
        content_hash(self)
    }
}

impl<'de> Deserialize<'de> for CycleInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        Self::from_json(&document).map_err(D::Error::custom)
    }
}
