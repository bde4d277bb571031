//! The stages of a life: what each is called, what it is judged by, and on which evidence.

use penin_engine::config::Config;
use penin_engine::decision::Stage as EngineStage;

use crate::controllers::cycle::life::Context;
use crate::controllers::cycle::plan::Step;
use crate::scoring::{Evidence, UnknownReason, step_config};

/// Which stage of a life is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On mirrored requests.
    Shadow,
    /// On live requests, in one step.
    Canary {
        /// Which step, from 0.
        index: usize,
    },
    /// As the new champion.
    Watch,
}

impl Stage {
    pub(super) const fn engine(self) -> EngineStage {
        match self {
            Self::Shadow => EngineStage::Shadow,
            Self::Canary { .. } => EngineStage::Canary,
            Self::Watch => EngineStage::Watch,
        }
    }

    pub(super) const fn step(self) -> Step {
        match self {
            Self::Shadow => Step::Shadowing,
            Self::Canary { .. } => Step::Observing,
            Self::Watch => Step::Watching,
        }
    }
}

/// The engine's configuration for one stage: durations, floors and share of the cycle and its step.
pub(super) fn stage_config(context: &Context<'_>, stage: Stage) -> Result<Config, String> {
    let config = context
        .snapshot
        .gates
        .config
        .as_ref()
        .map_err(|problems| problems.join("; "))?;
    let Stage::Canary { index } = stage else {
        return Ok(config.clone());
    };
    // A step that was taken out of the specification meanwhile is judged by the last one that is left.
    let Some(step) = context
        .settings
        .step(index)
        .or_else(|| context.settings.spec.canary.steps.last())
    else {
        return Ok(config.clone());
    };
    step_config(&context.settings.spec, config, step).map_err(|errors| {
        errors
            .iter()
            .map(|error| format!("{}: must be {}", error.field, error.bound))
            .collect::<Vec<_>>()
            .join("; ")
    })
}

/// Whether the source was not being read when the window opened: no later sample can make up for that.
pub(super) fn was_not_read_at_its_start(evidence: &Evidence) -> bool {
    let unknown = evidence.candidate.traffic.unknown();
    unknown.is_some_and(|unknown| unknown.reason == UnknownReason::StaleStart)
}

/// The evidence of this pass; in shadow, with requests that are known to be the copies that were asked for; in the watch,
/// with the reference that was frozen at the promotion.
pub(super) fn evidence_of(context: &Context<'_>, stage: Stage) -> Option<Evidence> {
    let evidence = context.snapshot.evidence.clone()?;
    if stage == Stage::Shadow {
        let settings = context.settings;
        return Some(evidence.with_verified_copies(settings.shadow_percent, settings.mirror_lead_ms()));
    }
    match &context.life.frozen_reference {
        Some(frozen) => Some(evidence.with_reference(frozen.clone())),
        None => Some(evidence),
    }
}
