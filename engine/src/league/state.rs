//! What a league remembers and what it observes.

use serde::{Deserialize, Serialize};

use super::latency::Histogram;
use super::sequential::ErrorCount;
use crate::error::EngineError;
use crate::gates::GateStatus;
use crate::num::{Code, Num, decimal, unit};

/// Stage of a league.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeagueStage {
    /// No challenger.
    #[default]
    Idle,
    /// The challenger sees mirrored traffic.
    Shadow,
    /// The challenger serves a small live share.
    Canary,
    /// The former challenger is champion and is observed.
    Watch,
}

impl LeagueStage {
    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Watch => "watch",
        }
    }
}

/// A variant with the L∞ under which it became champion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name.
    pub name: String,
    /// L∞, [0, 1].
    pub linf: f64,
}

/// A variant that is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenger {
    /// Name.
    pub name: String,
}

/// State of a league. `Default` is the empty league.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeagueState {
    /// Stage.
    pub stage: LeagueStage,
    /// Who serves.
    pub champion: Option<Variant>,
    /// Who served before the promotion under watch.
    pub previous: Option<Variant>,
    /// Who is judged, in shadow and canary.
    pub challenger: Option<Challenger>,
    /// When the stage began, milliseconds since the Unix epoch.
    #[serde(with = "decimal")]
    pub stage_start_ms: u64,
    /// Number of transitions so far.
    #[serde(with = "decimal")]
    pub transitions: u64,
}

impl LeagueState {
    /// Checks what no command of this module can produce otherwise: a stage with the wrong participants, or an L∞ that is none.
    ///
    /// # Errors
    ///
    /// [`EngineError::State`] with the first offending field.
    pub fn validate(&self) -> Result<(), EngineError> {
        let presence = |field, present: bool, expected: bool| match (present, expected) {
            (false, true) => Err(EngineError::state(field, Code::Missing)),
            (true, false) => Err(EngineError::state(field, Code::OutOfRange)),
            _ => Ok(()),
        };
        let (stage, idle) = (self.stage, self.stage == LeagueStage::Idle);
        let judged = matches!(stage, LeagueStage::Shadow | LeagueStage::Canary);
        if !idle {
            presence("champion", self.champion.is_some(), true)?;
        }
        presence("previous", self.previous.is_some(), stage == LeagueStage::Watch)?;
        presence("challenger", self.challenger.is_some(), judged)?;
        for (field, variant) in [("champion", &self.champion), ("previous", &self.previous)] {
            if let Some(variant) = variant {
                unit(Num::new(variant.linf)).map_err(|code| EngineError::state(field, code))?;
            }
        }
        Ok(())
    }
}

/// Counters of one side since the stage began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Arm {
    /// Answered requests.
    #[serde(with = "decimal")]
    pub successes: u64,
    /// Failed requests.
    #[serde(with = "decimal")]
    pub failures: u64,
    /// Requests that were given up.
    #[serde(with = "decimal")]
    pub aborts: u64,
    /// L∞ in this stage.
    pub linf: Num,
    /// Mean of ΔL∞ over the evaluations of this stage.
    pub mean_delta_linf: Num,
    /// 95th percentile of latency in milliseconds, when it is measured elsewhere.
    pub p95_latency_ms: Num,
    /// Latencies.
    pub latency: Histogram,
}

impl Arm {
    /// Errors among all requests.
    #[must_use]
    pub const fn error_count(&self) -> ErrorCount {
        let errors = self.failures.saturating_add(self.aborts);
        ErrorCount {
            errors,
            samples: self.successes.saturating_add(errors),
        }
    }
}

/// What was observed since the stage began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Observation {
    /// The challenger; in watch the new champion.
    pub challenger: Arm,
    /// The champion.
    pub champion: Arm,
    /// Status of the guard; missing is Unknown.
    pub guard: Option<GateStatus>,
    /// Whether the live share that arrived is the one that was written.
    pub traffic_verified: Option<bool>,
}
