//! Phase 14: the events of a cycle. Documents are declared in canonical order.

use serde::Serialize;

use super::findings::Findings;
use super::input::{Candidate, CycleInput};
use super::outcome::{CycleOutcome, RiskContraction, Scores};
use crate::config::{Config, SearchMethod};
use crate::decision::{Cause, CycleReason, Decision, Stage, Traffic};
use crate::error::EngineError;
use crate::event::{Digest, Event, EventType};
use crate::fibonacci;
use crate::gates::{Comparison, Gate, GateName, GateStatus, GateValue};
use crate::num::{Num, U64String};
use crate::rng::RngState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CycleStart<'a> {
    candidate: &'a Candidate,
    config_hash: Digest,
    input_hash: Digest,
    pre_state_hash: Digest,
    stage: Stage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EthicsAttest<'a> {
    consent: GateValue,
    ece: GateValue,
    eco_ok: GateValue,
    evidence_digest: Option<&'a str>,
    fairness: GateValue,
    rho: GateValue,
    rho_bias: GateValue,
    status: GateStatus,
}

#[derive(Serialize)]
struct GateFail<'a> {
    comparison: Comparison,
    name: GateName,
    reason: &'a str,
    status: GateStatus,
    threshold: GateValue,
    value: GateValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FibonacciOpt {
    evaluations: u64,
    learning_rate: f64,
    method: SearchMethod,
}

/// A member that stands in the document even when it is null.
#[derive(Serialize)]
struct Nullable<T>(Option<T>);

/// All decision events: twelve common fields, six more for a promotion, one more for an abort.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DecisionDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    candidate: &'a Candidate,
    causes: &'a [Cause],
    config_hash: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    contraction: Option<Nullable<RiskContraction>>,
    decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta_linf: Option<f64>,
    evidence_digest: Option<&'a str>,
    gates: &'a [Gate],
    input_hash: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linf: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linf_reference: Option<Nullable<f64>>,
    post_state_hash: Digest,
    pre_state_hash: Digest,
    reason: CycleReason,
    stage: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<f64>,
    traffic: Traffic,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FibonacciTick {
    k: U64String,
    l1_ttl_seconds: u64,
    l2_ttl_seconds: u64,
    next_interval_seconds: u64,
}

#[derive(Serialize)]
struct MasterEq<'a> {
    decision: Decision,
    label: &'a str,
    reason: CycleReason,
    scores: &'a Scores,
}

/// Collects the events of one cycle.
struct Recorder {
    cycle: u64,
    events: Vec<Event>,
}

impl Recorder {
    fn record<T: Serialize>(&mut self, kind: EventType, data: &T, rng: RngState) -> Result<(), EngineError> {
        self.events.push(Event::new(kind, self.cycle, data, rng)?);
        Ok(())
    }
}

/// The events of a cycle in their fixed order. `outcome` is complete except for them.
pub(super) fn events(
    config: &Config,
    input: &CycleInput,
    findings: &Findings,
    outcome: &CycleOutcome,
) -> Result<Vec<Event>, EngineError> {
    let rng = outcome.rng_after;
    let mut recorder = Recorder {
        cycle: outcome.cycle,
        events: Vec::with_capacity(8),
    };
    let start = CycleStart {
        candidate: &input.candidate,
        config_hash: outcome.config_hash,
        input_hash: outcome.input_hash,
        pre_state_hash: outcome.pre_state_hash,
        stage: input.stage,
    };
    recorder.record(EventType::CycleStart, &start, outcome.rng_before)?;
    let attest = ethics_attest(input, findings, outcome);
    recorder.record(EventType::EthicsAttest, &attest, rng)?;
    for gate in outcome.gates.iter().filter(|gate| gate.is_required() && !gate.passed()) {
        recorder.record(EventType::GateFail, &gate_fail(gate), rng)?;
    }
    if let Some(search) = findings.step.search {
        let opt = FibonacciOpt {
            evaluations: search.evaluations,
            learning_rate: search.x,
            method: config.fibonacci.search_method,
        };
        recorder.record(EventType::FibonacciOpt, &opt, rng)?;
    }
    let (kind, document) = decision_document(input, outcome);
    recorder.record(kind, &document, rng)?;
    if config.fibonacci.enabled {
        recorder.record(EventType::FibonacciTick, &tick(config, outcome), rng)?;
    }
    let label = fibonacci::zeckendorf(
        Num::new(outcome.scores.delta_linf),
        Num::new(outcome.scores.caos_plus),
        outcome.cycle,
    );
    let summary = MasterEq {
        decision: outcome.decision,
        label: &label,
        reason: outcome.reason,
        scores: &outcome.scores,
    };
    recorder.record(EventType::MasterEq, &summary, rng)?;
    Ok(recorder.events)
}

fn ethics_attest<'a>(input: &'a CycleInput, findings: &Findings, outcome: &CycleOutcome) -> EthicsAttest<'a> {
    let value = |name| findings.trace.value(name);
    EthicsAttest {
        consent: value(GateName::Consent),
        ece: value(GateName::Ece),
        eco_ok: value(GateName::EcoOk),
        evidence_digest: input.ethics.evidence_digest.as_deref(),
        fairness: value(GateName::Fairness),
        rho: value(GateName::Rho),
        rho_bias: value(GateName::RhoBias),
        status: outcome.guard.status,
    }
}

fn gate_fail(gate: &Gate) -> GateFail<'_> {
    GateFail {
        comparison: gate.comparison,
        name: gate.name,
        reason: &gate.reason,
        status: gate.status,
        threshold: gate.threshold,
        value: gate.value,
    }
}

fn decision_document<'a>(input: &'a CycleInput, outcome: &'a CycleOutcome) -> (EventType, DecisionDocument<'a>) {
    let scores = &outcome.scores;
    let promoted = outcome.decision == Decision::Promote;
    let kind = match outcome.decision {
        Decision::Promote => EventType::PromoteAttest,
        Decision::Canary => EventType::CanaryStart,
        Decision::Hold => EventType::Hold,
        Decision::Reject => EventType::Reject,
        Decision::Rollback => EventType::Rollback,
        Decision::Fallback => EventType::Fallback,
        Decision::Abort => EventType::CycleAbort,
    };
    let document = DecisionDocument {
        alpha: promoted.then_some(scores.alpha),
        candidate: &input.candidate,
        causes: &outcome.causes,
        config_hash: outcome.config_hash,
        contraction: (outcome.decision == Decision::Abort).then_some(Nullable(outcome.contraction)),
        decision: outcome.decision,
        delta_linf: promoted.then_some(scores.delta_linf),
        evidence_digest: input.ethics.evidence_digest.as_deref(),
        gates: &outcome.gates,
        input_hash: outcome.input_hash,
        learning_rate: promoted.then_some(scores.learning_rate),
        linf: promoted.then_some(scores.linf),
        linf_reference: promoted.then_some(Nullable(scores.linf_reference)),
        post_state_hash: outcome.post_state_hash,
        pre_state_hash: outcome.pre_state_hash,
        reason: outcome.reason,
        stage: input.stage,
        step: promoted.then_some(scores.step_applied),
        traffic: outcome.traffic,
    };
    (kind, document)
}

/// Boot is tick 1, cycle 0 is tick 2.
fn tick(config: &Config, outcome: &CycleOutcome) -> FibonacciTick {
    let fibonacci = &config.fibonacci;
    let k = outcome.cycle.saturating_add(2);
    let ttl = |base| {
        let k = if fibonacci.cache { k } else { 1 };
        fibonacci::ttl(k, base, fibonacci.max_interval_seconds)
    };
    FibonacciTick {
        k: U64String(k),
        l1_ttl_seconds: ttl(fibonacci.l1_ttl_base_seconds),
        l2_ttl_seconds: ttl(fibonacci.l2_ttl_base_seconds),
        next_interval_seconds: outcome.next_interval_seconds,
    }
}
