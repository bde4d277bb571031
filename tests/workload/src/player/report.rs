//! The report that a run leaves in a file, and keeps up to date while it goes on.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Latency, Recorder};
use crate::log;

/// Counts of a run at one time. All of them are taken at once, so that
/// `sent = succeeded + failed + in_flight`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Report {
    /// Form of this document, `penin-workload-report/1`.
    pub schema: String,
    /// Start of the run's prediction ids.
    pub run: String,
    /// Address that predictions are sent to.
    pub target: String,
    /// Requests a second that were asked for.
    pub rate: u32,
    /// Start of the run.
    pub started: Timestamp,
    /// Time of these counts.
    pub taken: Timestamp,
    /// Whether the run is over and the counts are final.
    pub finished: bool,
    /// Requests sent.
    pub sent: u64,
    /// Requests sent that have neither been answered nor failed yet.
    pub in_flight: u64,
    /// Answers with a status from 200 to 299.
    pub succeeded: u64,
    /// All other answers, and requests without one.
    pub failed: u64,
    /// Requests that were due while too many others were under way.
    pub not_sent: u64,
    /// Longest time that a request was sent after it was due, in microseconds.
    pub longest_lag_us: u64,
    /// Answers by status code.
    pub statuses: BTreeMap<String, u64>,
    /// Answers by the revision that gave them; `(none)` where the answer does not say.
    pub revisions: BTreeMap<String, Answered>,
    /// Answers by the pod that gave them.
    pub pods: BTreeMap<String, Answered>,
    /// Answers by the digest of the model that gave them.
    pub models: BTreeMap<String, Answered>,
    /// Answers by the Host header of their requests.
    pub hosts: BTreeMap<String, Answered>,
    /// What failed.
    pub failures: Failures,
    /// Latencies of successful answers.
    pub latency: Latency,
    /// Delivery of labels.
    pub labels: Labels,
}

/// Answers that share something, such as the pod they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Answered {
    /// Answers with a status from 200 to 299.
    pub succeeded: u64,
    /// Other answers.
    pub failed: u64,
    /// Time of the first.
    pub first: Option<Timestamp>,
    /// Time of the last.
    pub last: Option<Timestamp>,
}

/// Requests that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Failures {
    /// By kind: `status_<code>`, `timeout`, `connect`, `request`, `body`.
    pub kinds: BTreeMap<String, u64>,
    /// Time of the first.
    pub first: Option<Timestamp>,
    /// Time of the last.
    pub last: Option<Timestamp>,
    /// The first of them in detail; later ones are only counted.
    pub examples: Vec<Failure>,
}

/// One failed request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Failure {
    /// When the failure was seen.
    pub time: Timestamp,
    /// Ordinal of the request in the run, the second part of its id.
    pub request: u64,
    /// Kind, as in [`Failures::kinds`].
    pub kind: String,
    /// Revision that answered, if one did.
    pub revision: Option<String>,
    /// Text of the error, or the beginning of the answer's body.
    pub detail: String,
}

/// Delivery of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Labels {
    /// Labels whose time has come and that were handed to every endpoint known then.
    pub due: u64,
    /// Labels given up before that because too many were waiting.
    pub dropped: u64,
    /// Failed attempts to learn the endpoints; the last known ones are used meanwhile.
    pub lookup_failures: u64,
    /// Text of the newest of these failures.
    pub lookup_error: Option<String>,
    /// By address of the endpoint.
    pub endpoints: BTreeMap<String, EndpointLabels>,
}

/// Delivery of labels to one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct EndpointLabels {
    /// Labels in deliveries that the endpoint acknowledged.
    pub delivered: u64,
    /// Those that it joined with a prediction.
    pub accepted: u64,
    /// Those whose prediction had a label already.
    pub duplicate: u64,
    /// Those whose prediction it does not hold: another pod's.
    pub unknown: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Labels that were given up after several attempts, or because too many deliveries were waiting.
    pub lost: u64,
}

impl Report {
    /// Reads a report from a file that a player writes.
    ///
    /// # Errors
    /// When the file cannot be read or is no report.
    pub fn read(path: &Path) -> io::Result<Self> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(io::Error::other)
    }

    /// Puts the report in the place of an older one, so that a reader sees one of the two in full.
    ///
    /// # Errors
    /// When the file cannot be written or renamed.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let fresh = path.with_file_name(name);
        std::fs::write(&fresh, text)?;
        std::fs::rename(&fresh, path)
    }
}

/// Writes the newest report at this interval, and whenever `now` changes, until `ended`; the caller
/// writes the last one.
pub async fn keep_report(
    path: &Path,
    every: Duration,
    recorder: &Recorder,
    mut now: watch::Receiver<u64>,
    mut ended: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = now.changed() => {}
            _ = ended.wait_for(|ended| *ended) => return,
        }
        // A few kilobytes: not worth a thread of its own.
        if let Err(error) = recorder.report().write(path) {
            log(format_args!("player: report {}: {error}", path.display()));
        }
    }
}
