//! A judgement as people, metrics and the ledger see it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use penin_api::v1alpha1::challenger::{EvidenceState, EvidenceStatus, ShareStatus};
use penin_api::v1alpha1::{
    Comparison, Decision as ApiDecision, DecisionRecord, GateMode, GateResult, GateStatus as ApiStatus,
};
use penin_api::values::{DecimalString, UnsignedString};
use penin_engine::config::Config;
use penin_engine::decision::{Decision, Stage};
use penin_engine::gates::{self, Gate, GateStatus, Mode};
use penin_engine::league::{Assessment, AssessmentReason, LeagueState, Observation};
use penin_engine::master::{CycleInput, CycleOutcome, State};
use serde::Serialize;
use serde_json::Value;

use crate::adapters::traffic::{Measurement, ShareVerdict};
use crate::scoring::{Evidence, Unknown};

/// Everything that a decision can be replayed from.
pub struct Material<'a> {
    /// The engine's configuration.
    pub config: &'a Config,
    /// The state before.
    pub state: &'a State,
    /// The input.
    pub input: &'a CycleInput,
    /// The frozen evidence.
    pub evidence: &'a Evidence,
    /// What the league was asked with.
    pub observation: Option<&'a Observation>,
    /// The league's state, with the start of the step.
    pub league: Option<&'a LeagueState>,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Stage of the engine.
    pub stage: Stage,
    /// What the operator made of it, when the master cycle was not asked.
    pub verdict: Option<String>,
    /// The league's assessment.
    pub assessment: Option<Assessment>,
    /// The master cycle's outcome.
    pub outcome: Option<CycleOutcome>,
    /// The gates of the outcome; empty without one.
    pub gates: Vec<GateResult>,
    /// The league's checks.
    pub checks: Vec<GateResult>,
    /// Names of the gates and checks that it rests on.
    pub causes: Vec<String>,
    /// Whether the sources answered.
    pub evidence: Vec<EvidenceStatus>,
    /// The share of live traffic.
    pub share: Option<ShareStatus>,
    /// Why inputs are missing, by the name of the input.
    pub unknown: BTreeMap<String, String>,
    /// Documents to keep with the entry, by name.
    pub replay: Vec<(String, Value)>,
    measured: Option<Measurement>,
}

impl Judged {
    /// A judgement from its parts.
    #[must_use]
    pub fn new(
        stage: Stage,
        assessment: Option<Assessment>,
        outcome: Option<CycleOutcome>,
        unknown: &BTreeMap<&'static str, Unknown>,
        evidence: &Evidence,
        share: Option<ShareVerdict>,
        verdict: Option<&str>,
    ) -> Self {
        let measured = share.and_then(measurement);
        let causes = match (&outcome, &assessment) {
            (Some(outcome), _) => outcome.causes.iter().map(|cause| cause.as_str().to_owned()).collect(),
            (None, Some(assessment)) => assessment
                .causes
                .iter()
                .map(|cause| cause.as_str().to_owned())
                .collect(),
            (None, None) => Vec::new(),
        };
        Self {
            stage,
            verdict: verdict.map(str::to_owned),
            gates: outcome
                .as_ref()
                .map(|outcome| results(&outcome.gates))
                .unwrap_or_default(),
            checks: assessment
                .as_ref()
                .map(|assessment| results(&assessment.checks))
                .unwrap_or_default(),
            causes,
            evidence: answers(evidence),
            share: measured.map(share_status),
            unknown: super::judge::reasons(unknown),
            replay: Vec::new(),
            measured,
            assessment,
            outcome,
        }
    }

    /// The same judgement with the documents that it can be replayed from.
    #[must_use]
    pub fn with_material(mut self, material: &Material<'_>) -> Self {
        let mut keep = |name: &str, value: Option<Value>| {
            self.replay.extend(value.map(|value| (name.to_owned(), value)));
        };
        keep("config", document(material.config));
        keep("state", document(material.state));
        keep("cycleInput", document(material.input));
        keep("evidence", document(material.evidence));
        keep("observation", material.observation.and_then(document));
        keep("league", material.league.and_then(document));
        self
    }

    /// One sentence: what was found, and by which gate.
    #[must_use]
    pub fn sentence(&self) -> String {
        let head = match (&self.outcome, &self.assessment) {
            (Some(outcome), Some(assessment)) if assessment.reason == AssessmentReason::DeadlineExceeded => {
                format!(
                    "{} {}, {}",
                    outcome.decision.as_str(),
                    outcome.reason.as_str(),
                    assessment.reason.as_str()
                )
            }
            (Some(outcome), _) => format!("{} {}", outcome.decision.as_str(), outcome.reason.as_str()),
            (None, Some(assessment)) => assessment.reason.as_str().to_owned(),
            (None, None) => self.verdict.clone().unwrap_or_default(),
        };
        let causes: Vec<String> = self.causes.iter().map(|name| self.cause(name)).collect();
        let unknown: Vec<String> = self
            .unknown
            .iter()
            .take(3)
            .map(|(input, why)| format!("{input} unknown ({why})"))
            .collect();
        [vec![head], causes, unknown].concat().join("; ")
    }

    fn cause(&self, name: &str) -> String {
        let Some(gate) = self.gates.iter().chain(&self.checks).find(|gate| gate.name == name) else {
            return name.to_owned();
        };
        let value = gate.value.as_ref().map_or("unknown", |value| value.as_str());
        match &gate.threshold {
            Some(threshold) => format!("{name} {value}, bound {} ({})", threshold.as_str(), gate.reason),
            None => format!("{name} ({})", gate.reason),
        }
    }

    /// Whether every gate that must pass did.
    #[must_use]
    pub fn all_required_passed(&self) -> bool {
        !self.gates.is_empty()
            && self
                .gates
                .iter()
                .all(|gate| gate.mode != GateMode::Required || gate.status == ApiStatus::Pass)
    }

    /// Names of required gates that did not pass.
    pub fn failed_gates(&self) -> impl Iterator<Item = &str> {
        let blocking = |gate: &&GateResult| gate.mode == GateMode::Required && gate.status != ApiStatus::Pass;
        self.gates.iter().filter(blocking).map(|gate| gate.name.as_str())
    }

    /// The decision for a status; entry and time are filled in by whoever records it.
    #[must_use]
    pub fn decision_record(&self) -> Option<DecisionRecord> {
        let outcome = self.outcome.as_ref()?;
        Some(DecisionRecord {
            decision: decision(outcome.decision),
            reason: outcome.reason.as_str().to_owned(),
            causes: self.causes.clone(),
            cycle: UnsignedString::from(outcome.cycle),
            entry: None,
            time: MicroTime(jiff::Timestamp::UNIX_EPOCH),
        })
    }

    /// Whether the league's deadline was the reason.
    #[must_use]
    pub fn deadline_exceeded(&self) -> bool {
        self.assessment
            .as_ref()
            .is_some_and(|assessment| assessment.reason == AssessmentReason::DeadlineExceeded)
    }

    /// The candidate's measured share, from 0 to 1.
    #[must_use]
    pub fn share_ratio(&self) -> Option<f64> {
        let measured = self.measured?;
        ratio(measured.challenger, measured.total)
    }
}

fn document<T: Serialize>(value: &T) -> Option<Value> {
    serde_json::to_value(value).ok()
}

const fn measurement(share: ShareVerdict) -> Option<Measurement> {
    match share {
        ShareVerdict::Inside(measured) | ShareVerdict::Outside(measured) => Some(measured),
        ShareVerdict::Thin { .. } => None,
    }
}

#[allow(clippy::cast_precision_loss)] // counts of requests stay far below 2^53
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(part: u64, whole: u64) -> Option<DecimalString> {
    ratio(part, whole).and_then(|ratio| DecimalString::from_f64((ratio * 100_000.0).round() / 1_000.0))
}

fn share_status(measured: Measurement) -> ShareStatus {
    ShareStatus {
        measured: percent(measured.challenger, measured.total),
        low: percent(measured.low, measured.total),
        high: percent(measured.high, measured.total),
        samples: Some(UnsignedString::from(measured.total)),
        ..ShareStatus::default()
    }
}

fn results(gates: &[Gate]) -> Vec<GateResult> {
    gates.iter().map(result).collect()
}

fn result(gate: &Gate) -> GateResult {
    let number = |value: gates::GateValue| value.number().and_then(DecimalString::from_f64);
    GateResult {
        name: gate.name.as_str().to_owned(),
        value: number(gate.value),
        threshold: number(gate.threshold),
        comparison: match gate.comparison {
            gates::Comparison::Lt => Comparison::LessThan,
            gates::Comparison::Le => Comparison::AtMost,
            gates::Comparison::Ge => Comparison::AtLeast,
            gates::Comparison::Gt => Comparison::GreaterThan,
            gates::Comparison::Eq => Comparison::Equal,
        },
        status: match gate.status {
            GateStatus::Pass => ApiStatus::Pass,
            GateStatus::Fail => ApiStatus::Fail,
            GateStatus::Unknown => ApiStatus::Unknown,
        },
        reason: gate.reason.to_string(),
        mode: match gate.mode {
            Mode::Required => GateMode::Required,
            Mode::Advisory => GateMode::Advisory,
        },
    }
}

const fn decision(decision: Decision) -> ApiDecision {
    match decision {
        Decision::Abort => ApiDecision::Abort,
        Decision::Fallback => ApiDecision::Fallback,
        Decision::Hold => ApiDecision::Hold,
        Decision::Rollback => ApiDecision::Rollback,
        Decision::Reject => ApiDecision::Reject,
        Decision::Canary => ApiDecision::Canary,
        Decision::Promote => ApiDecision::Promote,
    }
}

/// What each kind of evidence about the candidate says, for the status.
fn answers(evidence: &Evidence) -> Vec<EvidenceStatus> {
    let answer = |name: &str, unknown: Option<&Unknown>| EvidenceStatus {
        name: name.to_owned(),
        state: if unknown.is_none() {
            EvidenceState::Available
        } else {
            EvidenceState::Unknown
        },
        reason: unknown
            .map(|unknown| unknown.reason.code().to_owned())
            .unwrap_or_default(),
        message: unknown.map(|unknown| unknown.detail.clone()).unwrap_or_default(),
    };
    let candidate = &evidence.candidate;
    let mut all = vec![
        answer("traffic", candidate.traffic.unknown()),
        answer("model", candidate.model.unknown()),
        answer("resources", candidate.resources.unknown()),
    ];
    all.extend(
        candidate
            .ratios
            .iter()
            .map(|(name, ratio)| answer(name, ratio.unknown())),
    );
    all
}
