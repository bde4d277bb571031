//! Judgement of a stage: nine checks, and when their verdict counts.

use serde::{Deserialize, Serialize};

use super::latency::Histogram;
use super::mann_whitney::{MAX_SAMPLES, mann_whitney};
use super::sequential::compare_error_rates;
use super::state::{Arm, LeagueStage, LeagueState, Observation};
use crate::config::{Config, LeagueConfig};
use crate::decision::Cause;
use crate::error::EngineError;
use crate::gates::{Bound, Comparison, Gate, GateName, GateStatus, GateValue, LeagueVerdict, Reason, reason};
use crate::num::{Code, Num, U64String, unit};

/// Why an assessment stands as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AssessmentReason {
    /// There is no challenger.
    Idle,
    /// The stage has not lasted long enough.
    StageRunning,
    /// A check failed.
    CheckFailed,
    /// A check could not be decided.
    EvidenceUnknown,
    /// A check could not be decided in time.
    DeadlineExceeded,
    /// Every check passed.
    StagePassed,
}

impl AssessmentReason {
    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::StageRunning => "STAGE_RUNNING",
            Self::CheckFailed => "CHECK_FAILED",
            Self::EvidenceUnknown => "EVIDENCE_UNKNOWN",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::StagePassed => "STAGE_PASSED",
        }
    }
}

/// Judgement of the current stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assessment {
    /// Verdict.
    pub status: GateStatus,
    /// Why.
    pub reason: AssessmentReason,
    /// Checks that the verdict rests on, in order.
    pub causes: Vec<Cause>,
    /// Every check of the stage, in order.
    pub checks: Vec<Gate>,
    /// When the verdict can change by time alone, milliseconds since the Unix epoch.
    pub next_evaluation_ms: Option<U64String>,
}

impl From<&Assessment> for LeagueVerdict {
    fn from(assessment: &Assessment) -> Self {
        Self {
            status: Some(assessment.status),
            reason: Some(assessment.reason.as_str().to_owned()),
        }
    }
}

/// Times and sample floor of a stage.
struct StageRules {
    duration_ms: u64,
    deadline_ms: u64,
    min_samples: u64,
}

impl StageRules {
    /// None when idle.
    fn of(config: &LeagueConfig, stage: LeagueStage) -> Option<Self> {
        let (seconds, deadline_seconds, min_samples) = match stage {
            LeagueStage::Idle => return None,
            LeagueStage::Shadow => (
                config.shadow_seconds,
                config.shadow_deadline_seconds,
                config.shadow_min_samples,
            ),
            LeagueStage::Canary => (
                config.canary_seconds,
                config.canary_deadline_seconds,
                config.canary_min_samples,
            ),
            LeagueStage::Watch => (
                config.watch_seconds,
                config.watch_deadline_seconds,
                config.watch_min_samples,
            ),
        };
        Some(Self {
            duration_ms: seconds.saturating_mul(1000),
            deadline_ms: deadline_seconds.saturating_mul(1000),
            min_samples,
        })
    }
}

/// Judges the current stage at `now_ms` (milliseconds since the Unix epoch).
///
/// A failed guard, error rate or sequential test counts at once; everything else only after the stage's duration. Evidence that is
/// still undecided at the deadline fails the stage.
///
/// # Errors
///
/// [`Code::ClockRegression`] when `now_ms` lies before the stage's start; [`EngineError::State`] when `state` is not one that a league
/// can have.
pub fn assess(
    config: &Config,
    state: &LeagueState,
    observation: &Observation,
    now_ms: u64,
) -> Result<Assessment, EngineError> {
    state.validate()?;
    let elapsed = now_ms
        .checked_sub(state.stage_start_ms)
        .ok_or_else(|| EngineError::input("nowMs", Code::ClockRegression))?;
    let config = &config.league;
    let Some(rules) = StageRules::of(config, state.stage) else {
        return Ok(Assessment {
            status: GateStatus::Unknown,
            reason: AssessmentReason::Idle,
            causes: Vec::new(),
            checks: Vec::new(),
            next_evaluation_ms: None,
        });
    };
    let checks = stage_checks(config, state, observation, rules.min_samples);
    let (status, reason, causes) = verdict(&checks, &rules, elapsed);
    let next = match reason {
        AssessmentReason::StageRunning => Some(rules.duration_ms),
        AssessmentReason::EvidenceUnknown => Some(rules.deadline_ms),
        _ => None,
    };
    Ok(Assessment {
        status,
        reason,
        causes,
        checks,
        next_evaluation_ms: next.map(|after| U64String(state.stage_start_ms.saturating_add(after))),
    })
}

fn verdict(checks: &[Gate], rules: &StageRules, elapsed_ms: u64) -> (GateStatus, AssessmentReason, Vec<Cause>) {
    let with = |status| {
        checks
            .iter()
            .filter(move |check| check.status == status)
            .map(|check| Cause::Gate(check.name))
    };
    let harmful = |cause: &Cause| {
        matches!(
            cause,
            Cause::Gate(GateName::Guard | GateName::ErrorRate | GateName::Sequential)
        )
    };
    let harm: Vec<_> = with(GateStatus::Fail).filter(harmful).collect();
    if !harm.is_empty() {
        return (GateStatus::Fail, AssessmentReason::CheckFailed, harm);
    }
    if elapsed_ms < rules.duration_ms {
        return (GateStatus::Unknown, AssessmentReason::StageRunning, Vec::new());
    }
    let failed: Vec<_> = with(GateStatus::Fail).collect();
    if !failed.is_empty() {
        return (GateStatus::Fail, AssessmentReason::CheckFailed, failed);
    }
    let unknown: Vec<_> = with(GateStatus::Unknown).collect();
    if unknown.is_empty() {
        (GateStatus::Pass, AssessmentReason::StagePassed, Vec::new())
    } else if elapsed_ms >= rules.deadline_ms {
        (GateStatus::Fail, AssessmentReason::DeadlineExceeded, unknown)
    } else {
        (GateStatus::Unknown, AssessmentReason::EvidenceUnknown, unknown)
    }
}

/// The checks of the stage, in order.
fn stage_checks(config: &LeagueConfig, state: &LeagueState, observation: &Observation, min_samples: u64) -> Vec<Gate> {
    let canary = state.stage == LeagueStage::Canary;
    let arm = &observation.challenger;
    let mut checks = Vec::with_capacity(9);
    checks.push(Gate::verdict(GateName::Guard, observation.guard, None));
    if canary {
        // A share that is not verified yet may still become so; it is never proof of harm.
        let verified = observation.traffic_verified.filter(|verified| *verified);
        checks.push(Gate::boolean(GateName::Traffic, verified, None));
    }
    checks.push(samples_check(arm, min_samples));
    checks.push(error_rate_check(config, arm, min_samples));
    if state.stage != LeagueStage::Watch {
        checks.extend(sequential_check(config, observation));
    }
    if state.stage != LeagueStage::Shadow {
        checks.extend(config.p95_latency_max_ms.map(|max| p95_check(arm, max)));
    }
    if canary {
        if config.latency_test.enabled {
            checks.push(latency_shift_check(config, observation));
        }
        let gain = bound(
            GateName::MeanDeltaLinf,
            -1.0,
            1.0,
            Comparison::Ge,
            config.delta_linf_min,
        );
        checks.push(gain.judge(arm.mean_delta_linf, None));
        checks.push(linf_check(state, observation));
    }
    checks
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts round to the nearest binary64 value by definition"
)]
fn samples_check(arm: &Arm, min_samples: u64) -> Gate {
    let samples = arm.error_count().samples;
    let check = bound(
        GateName::Samples,
        0.0,
        f64::INFINITY,
        Comparison::Ge,
        min_samples as f64,
    );
    if samples >= min_samples {
        check.pass(samples as f64, Reason::Borrowed(reason::OK))
    } else {
        check.record(
            GateValue::Number(samples as f64),
            GateStatus::Unknown,
            Reason::Borrowed(reason::INSUFFICIENT_DATA),
        )
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts round to the nearest binary64 value by definition"
)]
fn error_rate_check(config: &LeagueConfig, arm: &Arm, min_samples: u64) -> Gate {
    let check = bound(GateName::ErrorRate, 0.0, 1.0, Comparison::Le, config.error_rate_max);
    let count = arm.error_count();
    if count.samples < min_samples || count.samples == 0 {
        let unknown = Reason::Borrowed(reason::INSUFFICIENT_DATA);
        return check.judge(Num::MISSING, Some(&unknown));
    }
    check.judge(Num::new(count.errors as f64 / count.samples as f64), None)
}

/// None when the test is switched off.
fn sequential_check(config: &LeagueConfig, observation: &Observation) -> Option<Gate> {
    let comparison = compare_error_rates(
        &config.sequential,
        observation.challenger.error_count(),
        observation.champion.error_count(),
    );
    let (value, because) = match comparison.status? {
        GateStatus::Pass => (Some(true), reason::OK),
        GateStatus::Fail => (Some(false), reason::HARM_PROVEN),
        GateStatus::Unknown => (None, reason::NOT_PROVEN),
    };
    Some(Gate::condition(GateName::Sequential, value, Reason::Borrowed(because)))
}

#[allow(clippy::cast_precision_loss, reason = "at most 2^40")]
fn p95_check(arm: &Arm, max_ms: f64) -> Gate {
    let reported = arm.p95_latency_ms;
    let value = if reported.is_missing() {
        let quantile = arm.latency.quantile(950);
        Num::from(quantile.map(|microseconds| microseconds as f64 / 1000.0))
    } else {
        reported
    };
    bound(GateName::P95Latency, 0.0, f64::INFINITY, Comparison::Le, max_ms).judge(value, None)
}

fn latency_shift_check(config: &LeagueConfig, observation: &Observation) -> Gate {
    let test = &config.latency_test;
    let pairs = |histogram: &Histogram| histogram.iter().collect::<Vec<_>>();
    let (challenger, champion) = (&observation.challenger.latency, &observation.champion.latency);
    let samples = [challenger.samples(), champion.samples()];
    let (value, because) = if samples.iter().any(|n| *n < test.min_samples) {
        (None, reason::INSUFFICIENT_DATA)
    } else if samples.iter().any(|n| *n > MAX_SAMPLES) {
        (None, reason::OUT_OF_RANGE)
    } else {
        let result = mann_whitney(&pairs(challenger), &pairs(champion));
        if result.z >= test.z_critical && result.cles >= 0.5 + test.min_effect {
            (Some(false), reason::SLOWER)
        } else {
            (Some(true), reason::OK)
        }
    };
    Gate::condition(GateName::LatencyShift, value, Reason::Borrowed(because))
}

/// The challenger's L∞ against the champion's: observed in the same window, else the registered one.
fn linf_check(state: &LeagueState, observation: &Observation) -> Gate {
    let registered = state.champion.as_ref().map(|champion| champion.linf);
    let observed = observation.champion.linf;
    let reference = if observed.is_missing() {
        Num::from(registered)
    } else {
        observed
    };
    let check = |threshold| bound(GateName::LinfChampion, 0.0, 1.0, Comparison::Gt, threshold);
    let challenger = observation.challenger.linf;
    if let Ok(threshold) = unit(reference) {
        return check(threshold).judge(challenger, None);
    }
    let because = unit(challenger).err().map_or(reason::REFERENCE_INVALID, Code::as_str);
    let mut gate = check(0.0).judge(Num::MISSING, Some(&Reason::Borrowed(because)));
    gate.threshold = GateValue::Null;
    gate
}

const fn bound(name: GateName, lowest: f64, highest: f64, comparison: Comparison, threshold: f64) -> Bound {
    Bound {
        name,
        lowest,
        highest,
        comparison,
        threshold,
    }
}
