//! Configuration: defaults, bounds, errors, hash.
//!
//! A document is partial; [`Config::from_json`] fills in the defaults and reports *every* violated bound, in a fixed order: the fields
//! in the order of the schema, then unknown fields by path, and only when there are none of these the rules between fields. A
//! `weights` map or a list replaces its default as a whole.
//!
//! A [`Config`] is valid by construction and immutable, and carries its hash: SHA-256 over the canonical JSON of the *complete*
//! configuration, so that two documents that mean the same have the same hash and a waiver is always visible in it.

mod classic;
mod evidence_sections;
mod fields;
mod gate_sections;
mod lists;
mod pace_sections;
mod schema;
mod sections;

use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use classic::from_classic;
pub use sections::*;

use crate::error::{ConfigError, EngineError};
use crate::event::{Digest, content_hash};
use schema::Errors;

/// A valid configuration; dereferences to its [`Settings`].
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    settings: Settings,
    hash: Digest,
}

impl Config {
    /// Fills a partial document with defaults and checks it.
    ///
    /// # Errors
    ///
    /// Every violated bound, in the order described at the module.
    pub fn from_json(document: &Value) -> Result<Self, Vec<ConfigError>> {
        let errors = schema::errors(document);
        if !errors.0.is_empty() {
            return Err(errors.0);
        }
        let defaults = to_value(&Settings::default())?;
        let complete = schema::overlay(defaults, document);
        let settings: Settings = serde_json::from_value(complete).map_err(|error| unreadable(&error))?;
        let errors = cross_rules(&settings);
        if !errors.0.is_empty() {
            return Err(errors.0);
        }
        let hash = content_hash(&settings).map_err(|error| match error {
            EngineError::Config(errors) => errors,
            other => vec![ConfigError {
                field: String::new(),
                bound: other.to_string(),
                value: Value::Null,
            }],
        })?;
        Ok(Self { settings, hash })
    }

    /// Checks complete settings.
    ///
    /// # Errors
    ///
    /// As [`Config::from_json`]. A non-finite number is reported as `null`, which is not a number.
    pub fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        Self::from_json(&to_value(settings)?)
    }

    /// Content hash of the complete configuration.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// The settings as plain data.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.settings.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        Self::from_json(&document).map_err(|errors| serde::de::Error::custom(EngineError::Config(errors)))
    }
}

impl Settings {
    /// The number at a dotted path such as `caos.kappa`; `None` for other types, null and unknown paths.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<f64> {
        let mut document = serde_json::to_value(self).ok()?;
        schema::slot(&mut document, path)?.as_f64()
    }
}

fn to_value(settings: &Settings) -> Result<Value, Vec<ConfigError>> {
    serde_json::to_value(settings).map_err(|error| unreadable(&error))
}

/// The schema admitted a document that the types refuse: a defect of this crate, reported rather than hidden.
fn unreadable(error: &serde_json::Error) -> Vec<ConfigError> {
    vec![ConfigError {
        field: String::new(),
        bound: format!("readable settings ({error})"),
        value: Value::Null,
    }]
}

/// Rules between fields, in their fixed order.
fn cross_rules(settings: &Settings) -> Errors {
    let mut errors = Errors::default();
    league_rules(&mut errors, &settings.league);
    let router = &settings.router;
    let sum = router.quality_weight + router.latency_weight + router.cost_weight;
    if (sum - 1.0).abs() > lists::SUM_TOLERANCE {
        errors.push("router", "weights sum 1 within 1e-9", sum);
    }
    let trust = &settings.fibonacci;
    if !(trust.trust_min <= trust.trust_radius && trust.trust_radius <= trust.trust_max) {
        errors.push(
            "fibonacci.trustRadius",
            "trustMin <= trustRadius <= trustMax",
            trust.trust_radius,
        );
    }
    if settings.guard.kappa_min.is_some_and(|min| settings.caos.kappa < min) {
        errors.push("caos.kappa", ">= guard.kappaMin", settings.caos.kappa);
    }
    let bootstrap = &settings.ethics.bootstrap;
    if (1..50).contains(&bootstrap.replicates) {
        errors.push("ethics.bootstrap.replicates", "0 or >= 50", bootstrap.replicates);
    }
    if bootstrap.gate_on_bound && bootstrap.replicates == 0 {
        errors.push("ethics.bootstrap.gateOnBound", "requires replicates > 0", true);
    }
    errors
}

fn league_rules(errors: &mut Errors, league: &LeagueConfig) {
    for (stage, deadline, duration) in [
        ("shadow", league.shadow_deadline_seconds, league.shadow_seconds),
        ("canary", league.canary_deadline_seconds, league.canary_seconds),
        ("watch", league.watch_deadline_seconds, league.watch_seconds),
    ] {
        if deadline < duration {
            let field = format!("league.{stage}DeadlineSeconds");
            errors.push(&field, format!(">= league.{stage}Seconds"), deadline);
        }
    }
    if league.latency_test.enabled && league.p95_latency_max_ms.is_none() {
        errors.push("league.latencyTest.enabled", "requires league.p95LatencyMaxMs", true);
    }
}
