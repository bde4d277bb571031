//! What the engine remembers between cycles.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document;
use super::vector::StateVector;
use crate::caos::Tracker;
use crate::config::Config;
use crate::decision::Decision;
use crate::error::EngineError;
use crate::event::{Digest, content_hash};
use crate::num::{Code, Num, check, decimal, nonneg, unit};
use crate::rng::{CYCLE_STREAM, RngState};

/// The part of the state that a promotion changes and a rollback restores. Its content hash is the state hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evolving {
    /// Step factor of the last promotion, [0, 1].
    pub alpha: f64,
    /// L∞ of the champion, [0, 1]; none before the baseline.
    pub linf: Option<f64>,
    /// Stability of the CAOS⁺ pattern.
    pub tracker: Tracker,
    /// Largest step, within `fibonacci.trustMin` and `trustMax`.
    pub trust_radius: f64,
    /// Coordinates.
    pub vector: StateVector,
}

impl Evolving {
    /// State hash.
    ///
    /// # Errors
    ///
    /// When a number is not finite; [`State::validate`] rules that out.
    pub fn hash(&self) -> Result<Digest, EngineError> {
        content_hash(self)
    }

    fn validate(&self, config: &Config) -> Result<(), EngineError> {
        let state = |field: &'static str| move |code| EngineError::state(field, code);
        if let Some(linf) = self.linf {
            unit(Num::new(linf)).map_err(state("linf"))?;
        }
        unit(Num::new(self.alpha)).map_err(state("alpha"))?;
        let trust = &config.fibonacci;
        check(Num::new(self.trust_radius), trust.trust_min, trust.trust_max, 0.0).map_err(state("trustRadius"))?;
        unit(Num::new(self.tracker.mean)).map_err(state("tracker"))?;
        nonneg(Num::new(self.tracker.variance)).map_err(state("tracker"))?;
        Ok(())
    }
}

/// How often each decision was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counters {
    /// Cycles.
    #[serde(with = "decimal")]
    pub cycles: u64,
    /// Decisions Promote.
    #[serde(with = "decimal")]
    pub promotions: u64,
    /// Decisions Canary.
    #[serde(with = "decimal")]
    pub canaries: u64,
    /// Decisions Hold.
    #[serde(with = "decimal")]
    pub holds: u64,
    /// Decisions Reject.
    #[serde(with = "decimal")]
    pub rejections: u64,
    /// Decisions Rollback.
    #[serde(with = "decimal")]
    pub rollbacks: u64,
    /// Decisions Abort.
    #[serde(with = "decimal")]
    pub aborts: u64,
    /// Decisions Fallback.
    #[serde(with = "decimal")]
    pub fallbacks: u64,
}

impl Counters {
    /// The counters after one more cycle with that decision.
    #[must_use]
    pub fn after(mut self, decision: Decision) -> Self {
        let counter = match decision {
            Decision::Promote => &mut self.promotions,
            Decision::Canary => &mut self.canaries,
            Decision::Hold => &mut self.holds,
            Decision::Reject => &mut self.rejections,
            Decision::Rollback => &mut self.rollbacks,
            Decision::Abort => &mut self.aborts,
            Decision::Fallback => &mut self.fallbacks,
        };
        *counter = counter.saturating_add(1);
        self.cycles = self.cycles.saturating_add(1);
        self
    }
}

/// State between cycles.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Number of the next cycle.
    pub cycle: u64,
    /// The part that promotions change.
    pub evolving: Evolving,
    /// Consecutive cycles that ended in Hold.
    pub hold_streak: u64,
    /// Decisions so far.
    pub counters: Counters,
    /// Position of the random stream.
    pub rng: RngState,
    /// The evolving part before the promotion under watch.
    pub fallback: Option<Evolving>,
}

impl State {
    /// The state before the first cycle.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            cycle: 0,
            evolving: Evolving {
                alpha: 0.0,
                linf: None,
                tracker: Tracker::default(),
                trust_radius: config.fibonacci.trust_radius,
                vector: StateVector::default(),
            },
            hold_streak: 0,
            counters: Counters::default(),
            rng: RngState::start(config.seed, CYCLE_STREAM),
            fallback: None,
        }
    }

    /// Checks a state against the configuration that is to continue it.
    ///
    /// # Errors
    ///
    /// [`EngineError::State`] with the first offending field: `linf`, `vector`, `alpha`, `trustRadius`, `tracker`, `rng`
    /// ([`Code::SeedMismatch`] for another seed or stream), `fallback`.
    pub fn validate(&self, config: &Config) -> Result<(), EngineError> {
        self.evolving.validate(config)?;
        if self.rng.seed() != config.seed || self.rng.stream() != CYCLE_STREAM {
            return Err(EngineError::state("rng", Code::SeedMismatch));
        }
        match self.fallback.as_ref().map(|fallback| fallback.validate(config)) {
            Some(Err(EngineError::State { code, .. })) => Err(EngineError::state("fallback", code)),
            Some(Err(other)) => Err(other),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// State hash: content hash of the evolving part.
    ///
    /// # Errors
    ///
    /// As [`Evolving::hash`].
    pub fn hash(&self) -> Result<Digest, EngineError> {
        self.evolving.hash()
    }

    /// The state as a JSON document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        // Every part has string keys, so that there is always a document.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// Reads a stored state and checks it against the configuration that is to continue it.
    ///
    /// # Errors
    ///
    /// [`EngineError::State`] with the first offending field, in the order `cycle`, `linf`, `vector`, `alpha`, `trustRadius`,
    /// `tracker`, `rng`, then `holdStreak`, `counters`, `fallback`, unknown fields.
    pub fn from_json(config: &Config, document: &Value) -> Result<Self, EngineError> {
        document::read_state(config, document)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StateDocument {
    alpha: f64,
    counters: Counters,
    #[serde(with = "decimal")]
    cycle: u64,
    fallback: Option<Evolving>,
    hold_streak: u64,
    linf: Option<f64>,
    rng: RngState,
    tracker: Tracker,
    trust_radius: f64,
    vector: StateVector,
}

impl Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StateDocument {
            alpha: self.evolving.alpha,
            counters: self.counters,
            cycle: self.cycle,
            fallback: self.fallback.clone(),
            hold_streak: self.hold_streak,
            linf: self.evolving.linf,
            rng: self.rng,
            tracker: self.evolving.tracker,
            trust_radius: self.evolving.trust_radius,
            vector: self.evolving.vector,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for State {
    /// Reads the form only; [`State::validate`] checks the values.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = StateDocument::deserialize(deserializer)?;
        Ok(Self {
            cycle: document.cycle,
            evolving: Evolving {
                alpha: document.alpha,
                linf: document.linf,
                tracker: document.tracker,
                trust_radius: document.trust_radius,
                vector: document.vector,
            },
            hold_streak: document.hold_streak,
            counters: document.counters,
            rng: document.rng,
            fallback: document.fallback,
        })
    }
}
