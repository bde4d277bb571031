//! Commands and transitions of a league.

use serde::{Deserialize, Serialize};

use super::assess::{Assessment, assess};
use super::state::{Challenger, LeagueStage, LeagueState, Observation, Variant};
use crate::config::Config;
use crate::decision::{Cause, CycleReason, Decision};
use crate::error::EngineError;
use crate::event::{Digest, content_hash};
use crate::gates::GateStatus;
use crate::num::{Code, Num, decimal, unit};

/// Reason of a rollback on demand.
pub const FORCED: &str = "FORCED";
/// Reason of a promotion that the league alone decided.
pub const CANARY_PASSED: &str = "CANARY_PASSED";

/// Record of a change of stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transition {
    /// Stage before.
    pub from: LeagueStage,
    /// Stage after.
    pub to: LeagueStage,
    /// Who was judged: the challenger, in watch the new champion.
    pub variant: String,
    /// Decision that led to it.
    pub decision: Decision,
    /// Why.
    pub reason: String,
    /// Checks or gates that the decision rests on.
    pub causes: Vec<Cause>,
    /// When, milliseconds since the Unix epoch.
    #[serde(with = "decimal")]
    pub at_ms: u64,
    /// Live share of the challenger from now on, basis points.
    pub challenger_basis_points: u64,
    /// Content hash of the other fields.
    pub proof_hash: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransitionDocument<'a> {
    from: LeagueStage,
    to: LeagueStage,
    variant: &'a str,
    decision: Decision,
    reason: &'a str,
    causes: &'a [Cause],
    #[serde(with = "decimal")]
    at_ms: u64,
    challenger_basis_points: u64,
}

impl Transition {
    /// The hash that `proof_hash` must have.
    ///
    /// # Errors
    ///
    /// None in practice; the document has a canonical form.
    pub fn expected_hash(&self) -> Result<Digest, EngineError> {
        content_hash(&TransitionDocument {
            from: self.from,
            to: self.to,
            variant: &self.variant,
            decision: self.decision,
            reason: &self.reason,
            causes: &self.causes,
            at_ms: self.at_ms,
            challenger_basis_points: self.challenger_basis_points,
        })
    }
}

/// A decision to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Command<'a> {
    /// What was decided.
    pub decision: Decision,
    /// Why. In watch, Hold ends the watch exactly when this is `WATCH_PASSED`.
    pub reason: &'a str,
    /// Gates or checks that the decision rests on.
    pub causes: &'a [Cause],
    /// L∞ of the challenger; needed for Promote only.
    pub challenger_linf: Num,
    /// Now, milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// Effect of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Applied {
    /// The change of stage, if there was one.
    pub transition: Option<Transition>,
    /// Live share of the challenger from now on, basis points. Shadow traffic is mirrored only, so it is 0 there.
    pub challenger_basis_points: u64,
}

/// Result of [`tick`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tick {
    /// Judgement of the stage.
    pub assessment: Assessment,
    /// What follows from it.
    pub decision: Decision,
    /// Why.
    pub reason: String,
    /// The change of stage, if there was one.
    pub transition: Option<Transition>,
    /// Live share of the challenger from now on, basis points.
    pub challenger_basis_points: u64,
}

/// Registers who serves, with its L∞.
///
/// # Errors
///
/// [`Code::StageNotIdle`] while a challenger is in a stage, [`Code::Empty`] for an empty name, [`Code::InvalidLinf`].
pub fn register(state: &LeagueState, name: &str, linf: Num) -> Result<LeagueState, EngineError> {
    let mut next = idle(state, name)?;
    let linf = unit(linf).map_err(|_| EngineError::input("linf", Code::InvalidLinf))?;
    next.champion = Some(Variant {
        name: name.to_owned(),
        linf,
    });
    Ok(next)
}

/// Lets a challenger into the shadow stage.
///
/// # Errors
///
/// [`Code::StageNotIdle`] while another is in a stage, [`Code::Empty`] for an empty name, [`Code::NoChampion`].
pub fn deploy(state: &LeagueState, name: &str, now_ms: u64) -> Result<LeagueState, EngineError> {
    let mut next = idle(state, name)?;
    if next.champion.is_none() {
        return Err(EngineError::state("champion", Code::NoChampion));
    }
    next.challenger = Some(Challenger { name: name.to_owned() });
    next.stage = LeagueStage::Shadow;
    next.stage_start_ms = now_ms;
    Ok(next)
}

fn idle(state: &LeagueState, name: &str) -> Result<LeagueState, EngineError> {
    state.validate()?;
    if state.stage != LeagueStage::Idle {
        return Err(EngineError::state("stage", Code::StageNotIdle));
    }
    if name.is_empty() {
        return Err(EngineError::input("name", Code::Empty));
    }
    Ok(state.clone())
}

/// Carries out a decision.
///
/// # Errors
///
/// [`Code::ClockRegression`] when the command lies before the stage's start, [`Code::IllegalTransition`] for Canary outside shadow or
/// Promote outside canary, [`Code::NothingToRollBack`] for a refusal while idle, [`Code::InvalidLinf`] for a promotion without L∞,
/// [`EngineError::State`] when `state` is not one that a league can have.
pub fn apply(
    config: &Config,
    state: &LeagueState,
    command: &Command<'_>,
) -> Result<(LeagueState, Applied), EngineError> {
    state.validate()?;
    if command.now_ms < state.stage_start_ms {
        return Err(EngineError::input("nowMs", Code::ClockRegression));
    }
    let Some(mut next) = successor(state, command)? else {
        let applied = Applied {
            transition: None,
            challenger_basis_points: share(config, state.stage),
        };
        return Ok((state.clone(), applied));
    };
    next.stage_start_ms = command.now_ms;
    next.transitions = state.transitions.saturating_add(1);
    let share = share(config, next.stage);
    let mut transition = Transition {
        from: state.stage,
        to: next.stage,
        variant: judged(state).to_owned(),
        decision: command.decision,
        reason: command.reason.to_owned(),
        causes: command.causes.to_vec(),
        at_ms: command.now_ms,
        challenger_basis_points: share,
        proof_hash: Digest::ZERO,
    };
    transition.proof_hash = transition.expected_hash()?;
    let applied = Applied {
        transition: Some(transition),
        challenger_basis_points: share,
    };
    Ok((next, applied))
}

/// The participants and the stage after the command; none when nothing changes.
fn successor(state: &LeagueState, command: &Command<'_>) -> Result<Option<LeagueState>, EngineError> {
    let illegal = || EngineError::input("decision", Code::IllegalTransition);
    let mut next = state.clone();
    match (command.decision, state.stage) {
        (Decision::Canary, LeagueStage::Shadow) => next.stage = LeagueStage::Canary,
        (Decision::Promote, LeagueStage::Canary) => {
            let linf =
                unit(command.challenger_linf).map_err(|_| EngineError::input("challengerLinf", Code::InvalidLinf))?;
            next.previous = next.champion.take();
            next.champion = next.challenger.take().map(|challenger| Variant {
                name: challenger.name,
                linf,
            });
            next.stage = LeagueStage::Watch;
        }
        (Decision::Canary | Decision::Promote, _) => return Err(illegal()),
        (Decision::Hold, LeagueStage::Watch) if command.reason == CycleReason::WatchPassed.as_str() => {
            next.previous = None;
            next.stage = LeagueStage::Idle;
        }
        (Decision::Hold, _) => return Ok(None),
        (Decision::Reject | Decision::Rollback | Decision::Abort | Decision::Fallback, LeagueStage::Idle) => {
            return Err(EngineError::state("stage", Code::NothingToRollBack));
        }
        (Decision::Reject | Decision::Rollback | Decision::Abort | Decision::Fallback, _) => {
            if state.stage == LeagueStage::Watch {
                next.champion = next.previous.take();
            }
            next.challenger = None;
            next.stage = LeagueStage::Idle;
        }
    }
    Ok(Some(next))
}

fn judged(state: &LeagueState) -> &str {
    let challenger = state.challenger.as_ref().map(|challenger| &challenger.name);
    let champion = state.champion.as_ref().map(|champion| &champion.name);
    challenger.or(champion).map_or("", String::as_str)
}

fn share(config: &Config, stage: LeagueStage) -> u64 {
    if stage == LeagueStage::Canary {
        config.league.canary_basis_points
    } else {
        0
    }
}

/// Withdraws whoever is in a stage, on demand.
///
/// # Errors
///
/// As [`apply`].
pub fn rollback(config: &Config, state: &LeagueState, now_ms: u64) -> Result<(LeagueState, Applied), EngineError> {
    apply(
        config,
        state,
        &Command {
            decision: Decision::Rollback,
            reason: FORCED,
            causes: &[],
            challenger_linf: Num::MISSING,
            now_ms,
        },
    )
}

/// Judges the stage and carries out what follows: the league on its own, without a Master Equation cycle.
///
/// # Errors
///
/// As [`assess`] and [`apply`].
pub fn tick(
    config: &Config,
    state: &LeagueState,
    observation: &Observation,
    now_ms: u64,
) -> Result<(LeagueState, Tick), EngineError> {
    let assessment = assess(config, state, observation, now_ms)?;
    let (decision, reason) = match (assessment.status, state.stage) {
        (GateStatus::Pass, LeagueStage::Shadow) => (Decision::Canary, CycleReason::ShadowPassed.as_str()),
        (GateStatus::Pass, LeagueStage::Canary) => (Decision::Promote, CANARY_PASSED),
        (GateStatus::Pass, LeagueStage::Watch) => (Decision::Hold, CycleReason::WatchPassed.as_str()),
        (GateStatus::Fail, LeagueStage::Shadow) => (Decision::Reject, assessment.reason.as_str()),
        (GateStatus::Fail, _) => (Decision::Rollback, assessment.reason.as_str()),
        (GateStatus::Unknown, _) | (GateStatus::Pass, LeagueStage::Idle) => {
            (Decision::Hold, assessment.reason.as_str())
        }
    };
    let command = Command {
        decision,
        reason,
        causes: &assessment.causes,
        challenger_linf: observation.challenger.linf,
        now_ms,
    };
    let (next, applied) = apply(config, state, &command)?;
    let tick = Tick {
        decision,
        reason: reason.to_owned(),
        transition: applied.transition,
        challenger_basis_points: applied.challenger_basis_points,
        assessment,
    };
    Ok((next, tick))
}
