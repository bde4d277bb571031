//! The traffic player: replays the test split against a gateway and counts what a client sees.

mod endpoints;
mod labels;
mod latency;
mod load;
mod recorder;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Uri};
use tokio::sync::watch;

use crate::adult::Row;

pub use endpoints::{EndpointError, EndpointSource};
pub use latency::{Bucket, Latency};
pub use recorder::Recorder;
pub use report::{Answered, EndpointLabels, Failure, Failures, Labels, Report, keep_report};

/// What to play.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Address that predictions are sent to, path included.
    pub target: Uri,
    /// Host headers, taken in turn; without one the target's authority is sent.
    pub hosts: Vec<HeaderValue>,
    /// Further headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Start of every prediction id; must differ between runs against the same pods.
    pub run: String,
    /// Requests a second.
    pub rate: u32,
    /// Requests after which the run ends.
    pub requests: u64,
    /// Time after which the run ends.
    pub duration: Duration,
    /// Requests under way at once, and thereby connections. A request that is due beyond that is not sent.
    pub in_flight: usize,
    /// Time for one answer.
    pub timeout: Duration,
    /// Time from a request to the delivery of its label.
    pub label_delay: Duration,
    /// Where labels are delivered; `None` for a run without labels.
    pub labels: Option<EndpointSource>,
    /// File that holds the newest report.
    pub report: Option<PathBuf>,
    /// Time between two reports.
    pub report_every: Duration,
}

/// Plays until the plan's end or until `stop` turns true, then waits for the answers and delivers the
/// labels that are still due. The recorder's report is final afterwards.
pub async fn play(plan: &Plan, rows: Arc<[Row]>, recorder: &Arc<Recorder>, stop: watch::Receiver<bool>) {
    let (sent, due) = tokio::sync::mpsc::channel(labels::QUEUE);
    let answers = Arc::clone(&rows);
    let delivery = labels::deliver(plan, answers, due, Arc::clone(recorder));
    let load = load::send(plan, rows, sent, recorder, stop);
    tokio::join!(load, delivery);
    recorder.finish();
}
