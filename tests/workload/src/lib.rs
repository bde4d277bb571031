//! The demonstration's workload: a model server, a traffic player, and the data and models they use.
//!
//! The models are logistic regressions on UCI Adult; what tells them apart is their weights file alone.
//! The server answers predictions, takes labels that arrive later, and exports the integer counters that
//! `docs/workload-metrics.md` documents. The player replays the test split against a gateway at a fixed
//! rate, delivers the labels to every pod, and counts what the client side saw.
#![forbid(unsafe_code)]

pub mod adult;
pub mod bins;
pub mod defect;
pub mod metrics;
pub mod model;
pub mod player;
pub mod process;
pub mod server;
pub mod table;
pub mod tally;

/// Request header that carries the prediction id; a mirrored copy of a request carries the same one.
pub const PREDICTION_ID_HEADER: &str = "x-prediction-id";
/// Answer header with the digest of the model's weights file, `sha256:<hex>`.
pub const MODEL_HEADER: &str = "x-penin-model";
/// Answer header with the name of the pod that answered.
pub const POD_HEADER: &str = "x-penin-pod";
/// Answer header with the revision label of the pod that answered.
pub const REVISION_HEADER: &str = "x-penin-revision";
/// Most labels that one delivery may carry.
pub const LABELS_PER_POST: usize = 1_000;

/// One label on its way to a server: the answer to the prediction of that id.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Prediction id, as in the request's header.
    pub id: String,
    /// Whether label 1 was true for this prediction.
    pub label: bool,
}

/// What a server did with one delivery of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct LabelAnswer {
    /// Labels joined with their prediction.
    pub accepted: u64,
    /// Labels whose prediction had one already.
    pub duplicate: u64,
    /// Labels whose prediction this server does not hold.
    pub unknown: u64,
}

/// Reads a duration of the command line, such as `2500ms` or `1m 30s`; at most a day.
///
/// # Errors
/// A message that says what is expected.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    std::time::Duration::try_from(duration)
        .ok()
        .filter(|duration| *duration <= std::time::Duration::from_hours(24))
        .ok_or_else(|| "a duration from 0s to 24h is expected".to_owned())
}

/// Writes a line to standard error. Unlike `eprintln!` it survives that nobody reads it any more.
pub fn log(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // There is no other place to say that this place is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}
