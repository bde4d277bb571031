//! From evidence to the engine's inputs: pure, no I/O, no clock.
//!
//! | module | what |
//! |---|---|
//! | [`Unknown`], [`Reading`] | a value, or the reason why there is none |
//! | [`TrafficCounts`], [`ModelCounts`] and others | what was counted about a revision |
//! | [`Evidence`] | all of it for one judgement, frozen with the decision |
//! | [`derived`] | quantities of one revision or of two |
//! | [`inputs`] | the engine's inputs, each from its named source |
//! | [`engine_config`] | the engine's configuration, from a cycle and its gates |

mod checks;
mod combine;
mod config;
#[cfg(test)]
mod config_tests;
mod counts;
pub mod derived;
mod evidence;
pub mod exact;
mod inputs;
mod record;
mod series;
mod settings;
mod unknown;

pub use checks::{Checks, OutsideChecks};
pub use combine::{NamedGates, combine};
pub use config::{engine_config, step_config};
pub use counts::{Bin, Group, Latency, ModelCounts, Outcomes, RatioCounts, ResourceUse, TrafficCounts};
pub use evidence::{Evidence, Measured, SNAPSHOT_LIMIT};
pub use inputs::{Inputs, Judgement, inputs, relative_cost};
pub use record::{
    BucketRecord, GaugeRecord, HistogramRecord, QueryRecord, RawSample, SeriesRecord, SourceRecord, Window,
};
pub use series::DeltaSeries;
pub use settings::{Declaration, Declared, ScoreSettings, ScoreSource};
pub use unknown::{Reading, Unknown, UnknownReason};
