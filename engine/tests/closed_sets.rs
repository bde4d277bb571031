//! The closed sets of names that recordings, metrics labels and other programs rely on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use penin_engine::decision::{Cause, CycleReason, Decision, Stage, Traffic};
use penin_engine::ethics::EthicsReason;
use penin_engine::event::EventType;
use penin_engine::gates::{Comparison, GateName, GateStatus, Mode, reason};
use penin_engine::league::{AssessmentReason, LeagueStage};
use penin_engine::router::BudgetReason;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Every member has exactly this text, both ways, and no other text is read.
fn closed<T>(members: &[T], expected: &[&str])
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let texts: Vec<_> = members
        .iter()
        .map(|member| serde_json::to_value(member).unwrap())
        .collect();
    assert_eq!(json!(texts), json!(expected));
    for (member, text) in members.iter().zip(&texts) {
        assert_eq!(&serde_json::from_value::<T>(text.clone()).unwrap(), member);
    }
    for wrong in ["", "Anything", "anything", "ANYTHING"] {
        assert!(serde_json::from_value::<T>(json!(wrong)).is_err());
    }
}

#[test]
fn gates() {
    closed(
        &GateName::GATES,
        &[
            "cpu",
            "mem",
            "risk_rho",
            "uncertainty",
            "rho",
            "ece",
            "rho_bias",
            "consent",
            "eco_ok",
            "fairness",
            "guard_coherence",
            "cost_increase",
            "kappa",
            "caos_plus",
            "sr",
            "delta_linf",
            "guard",
            "coherence",
            "oci",
            "agape",
            "league",
        ],
    );
    closed(
        &GateName::LEAGUE_CHECKS,
        &[
            "guard",
            "traffic",
            "samples",
            "error_rate",
            "sequential",
            "p95_latency",
            "latency_shift",
            "mean_delta_linf",
            "linf_champion",
        ],
    );
    closed(
        &[GateStatus::Pass, GateStatus::Fail, GateStatus::Unknown],
        &["Pass", "Fail", "Unknown"],
    );
    closed(&[Mode::Required, Mode::Advisory], &["Required", "Advisory"]);
    closed(
        &[
            Comparison::Lt,
            Comparison::Le,
            Comparison::Ge,
            Comparison::Gt,
            Comparison::Eq,
        ],
        &["lt", "le", "ge", "gt", "eq"],
    );
}

#[test]
fn decisions() {
    closed(
        &Decision::ALL,
        &["Promote", "Canary", "Hold", "Reject", "Rollback", "Abort", "Fallback"],
    );
    closed(
        &CycleReason::ALL,
        &[
            "RISK",
            "SIGMA_GUARD",
            "STUB_EVIDENCE",
            "BASELINE_RECORDED",
            "EVIDENCE_UNKNOWN",
            "GATES_FAILED",
            "CHAOS_INJECTED",
            "WATCH_PASSED",
            "NON_POSITIVE_STEP",
            "SHADOW_PASSED",
            "ALL_GATES_PASSED",
        ],
    );
    closed(&Stage::ALL, &["direct", "shadow", "canary", "watch"]);
    closed(
        &[Traffic::Challenger, Traffic::Canary, Traffic::Keep, Traffic::Champion],
        &["challenger", "canary", "keep", "champion"],
    );
    closed(&[Cause::Linf, Cause::Gate(GateName::Sr)], &["linf", "sr"]);
    for decision in Decision::ALL {
        assert_eq!(json!(decision), json!(decision.to_string()));
    }
    for reason in CycleReason::ALL {
        assert_eq!(json!(reason), json!(reason.to_string()));
    }
    for stage in Stage::ALL {
        assert_eq!(json!(stage), json!(stage.to_string()));
    }
    for gate in GateName::GATES {
        assert_eq!(json!(gate), json!(gate.to_string()));
        assert_eq!(json!(Cause::from(gate)), json!(Cause::from(gate).to_string()));
    }
}

#[test]
fn reasons() {
    assert_eq!(
        reason::ALL,
        [
            "ok",
            "below_minimum",
            "above_maximum",
            "not_true",
            "missing",
            "non_finite",
            "out_of_range",
            "denied",
            "unknown",
            "not_applicable",
            "missing_age",
            "stale",
            "insufficient_data",
            "harm_proven",
            "not_proven",
            "slower",
            "reference_invalid",
            "guard_unknown",
            "baseline",
            "series_invalid",
            "empty",
        ]
    );
    closed(
        EthicsReason::ALL,
        &[
            "length_mismatch",
            "non_finite",
            "out_of_range",
            "insufficient_data",
            "too_many_groups",
            "no_groups",
            "missing_group",
            "single_group",
            "group_below_minimum",
            "zero_rate",
            "undefined_rate",
            "not_applicable",
            "missing_interval",
            "not_exported",
        ],
    );
    for reason in EthicsReason::ALL {
        assert_eq!(json!(reason), json!(reason.as_str()));
    }
    closed(
        &[
            AssessmentReason::Idle,
            AssessmentReason::StageRunning,
            AssessmentReason::CheckFailed,
            AssessmentReason::EvidenceUnknown,
            AssessmentReason::DeadlineExceeded,
            AssessmentReason::StagePassed,
        ],
        &[
            "IDLE",
            "STAGE_RUNNING",
            "CHECK_FAILED",
            "EVIDENCE_UNKNOWN",
            "DEADLINE_EXCEEDED",
            "STAGE_PASSED",
        ],
    );
    closed(
        &[
            BudgetReason::TooManyCalls,
            BudgetReason::BudgetZero,
            BudgetReason::BudgetExhausted,
            BudgetReason::EstimateExceedsBudget,
            BudgetReason::Ok,
        ],
        &[
            "too_many_calls",
            "budget_zero",
            "budget_exhausted",
            "estimate_exceeds_budget",
            "ok",
        ],
    );
    closed(
        &[
            LeagueStage::Idle,
            LeagueStage::Shadow,
            LeagueStage::Canary,
            LeagueStage::Watch,
        ],
        &["idle", "shadow", "canary", "watch"],
    );
}

#[test]
fn events() {
    closed(
        &EventType::ALL,
        &[
            "CYCLE_START",
            "ETHICS_ATTEST",
            "GATE_FAIL",
            "FIBONACCI_OPT",
            "PROMOTE_ATTEST",
            "CANARY_START",
            "HOLD",
            "REJECT",
            "ROLLBACK",
            "FALLBACK",
            "CYCLE_ABORT",
            "FIBONACCI_TICK",
            "MASTER_EQ",
            "BOOT",
            "SEED_SET",
            "METRIC",
            "LEAGUE_REGISTER",
            "LEAGUE_DEPLOY",
            "LEAGUE_TRANSITION",
            "LLM_QUERY",
            "TUNER_PROPOSAL",
            "SNAPSHOT",
            "SHUTDOWN",
        ],
    );
}
