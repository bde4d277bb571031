//! The decision table: the first row that applies decides. Only Required gates count.

use super::findings::{Findings, Trace};
use super::input::CycleInput;
use super::state::State;
use crate::decision::{Cause, CycleReason, Decision, Stage};
use crate::gates::{Gate, GateStatus};

/// What was decided, why, and on what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) reason: CycleReason,
    pub(super) causes: Vec<Cause>,
}

impl Verdict {
    const fn plain(decision: Decision, reason: CycleReason) -> Self {
        Self {
            decision,
            reason,
            causes: Vec::new(),
        }
    }

    const fn because(decision: Decision, reason: CycleReason, causes: Vec<Cause>) -> Self {
        Self {
            decision,
            reason,
            causes,
        }
    }
}

/// Decides a cycle.
pub(super) fn decide(state: &State, input: &CycleInput, findings: &Findings, chaos: bool) -> Verdict {
    let trace = &findings.trace;
    let failed_risk = causes(trace.risk(), GateStatus::Fail);
    if !failed_risk.is_empty() {
        return Verdict::because(Decision::Abort, CycleReason::Risk, failed_risk);
    }
    let failed_guard = causes(trace.guard(), GateStatus::Fail);
    if !failed_guard.is_empty() {
        return Verdict::because(Decision::Abort, CycleReason::SigmaGuard, failed_guard);
    }
    if input.candidate.stub {
        return Verdict::plain(Decision::Fallback, CycleReason::StubEvidence);
    }
    if state.evolving.linf.is_none() {
        return baseline(trace, findings.progress.linf.issues.is_empty());
    }
    let failed = causes(trace.promotion(), GateStatus::Fail);
    if !failed.is_empty() {
        return Verdict::because(input.stage.refusal(), CycleReason::GatesFailed, failed);
    }
    let unknown = causes(&trace.gates, GateStatus::Unknown);
    if !unknown.is_empty() {
        return Verdict::because(Decision::Hold, CycleReason::EvidenceUnknown, unknown);
    }
    let (decision, reason) = if chaos {
        (Decision::Hold, CycleReason::ChaosInjected)
    } else if input.stage == Stage::Watch {
        (Decision::Hold, CycleReason::WatchPassed)
    } else if findings.step.applied <= 0.0 {
        (input.stage.refusal(), CycleReason::NonPositiveStep)
    } else if input.stage == Stage::Shadow {
        (Decision::Canary, CycleReason::ShadowPassed)
    } else {
        (Decision::Promote, CycleReason::AllGatesPassed)
    };
    Verdict::plain(decision, reason)
}

/// Without a reference a cycle can only record one.
fn baseline(trace: &Trace, usable: bool) -> Verdict {
    let mut open = causes(trace.risk(), GateStatus::Unknown);
    open.extend(causes(trace.guard(), GateStatus::Unknown));
    if !usable {
        open.push(Cause::Linf);
    }
    if open.is_empty() {
        Verdict::plain(Decision::Hold, CycleReason::BaselineRecorded)
    } else {
        Verdict::because(Decision::Hold, CycleReason::EvidenceUnknown, open)
    }
}

fn causes(gates: &[Gate], status: GateStatus) -> Vec<Cause> {
    gates
        .iter()
        .filter(|gate| gate.is_required() && gate.status == status)
        .map(|gate| Cause::Gate(gate.name))
        .collect()
}
