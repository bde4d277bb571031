//! Counts of a run, changed under one lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::latency::Collector;
use super::report::{EndpointLabels, Failure, Failures, Labels, Report};
use super::{Latency, Plan};
use crate::LabelAnswer;

/// Different keys that one map of the report keeps; further ones are counted together.
const KEYS: usize = 256;
/// Failures kept in detail.
const EXAMPLES: usize = 100;
/// Characters kept of a failure's text.
const DETAIL: usize = 200;
/// Key for what an answer does not say.
const NONE: &str = "(none)";
/// Key for what exceeds [`KEYS`].
const OTHERS: &str = "(others)";

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer arrived in full.
    Answer {
        /// Status code.
        status: u16,
        /// Who gave it, as far as it says.
        signature: Signature,
        /// Body, for the report of failures.
        body: String,
    },
    /// No answer, or none in full.
    NoAnswer {
        /// `timeout`, `connect`, `request` or `body`.
        kind: &'static str,
        /// Text of the error.
        detail: String,
    },
}

/// What an answer's headers say about its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Revision label.
    pub revision: Option<String>,
    /// Name of the pod.
    pub pod: Option<String>,
    /// Digest of the model.
    pub model: Option<String>,
}

/// Collects the counts of one run.
pub struct Recorder(Mutex<Counts>);

struct Counts {
    report: Report,
    latency: Collector,
}

impl Recorder {
    /// All counts at 0.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let now = Timestamp::now();
        let report = Report {
            schema: "penin-workload-report/1".into(),
            run: plan.run.clone(),
            target: plan.target.to_string(),
            rate: plan.rate,
            started: now,
            taken: now,
            finished: false,
            sent: 0,
            in_flight: 0,
            succeeded: 0,
            failed: 0,
            not_sent: 0,
            longest_lag_us: 0,
            statuses: BTreeMap::new(),
            revisions: BTreeMap::new(),
            pods: BTreeMap::new(),
            models: BTreeMap::new(),
            hosts: BTreeMap::new(),
            failures: Failures::default(),
            latency: Latency::default(),
            labels: Labels::default(),
        };
        Self(Mutex::new(Counts {
            report,
            latency: Collector::new(),
        }))
    }

    /// The counts as they stand.
    #[must_use]
    pub fn report(&self) -> Report {
        let counts = self.counts();
        Report {
            taken: Timestamp::now(),
            latency: counts.latency.summary(),
            ..counts.report.clone()
        }
    }

    pub(super) fn sent(&self, lag: Duration) {
        let report = &mut self.counts().report;
        report.sent += 1;
        report.in_flight += 1;
        report.longest_lag_us = report
            .longest_lag_us
            .max(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn not_sent(&self) {
        self.counts().report.not_sent += 1;
    }

    pub(super) fn ended(&self, request: u64, host: &str, outcome: &Outcome, latency: Duration) {
        let mut counts = self.counts();
        let now = Timestamp::now();
        counts.report.in_flight -= 1;
        if counts.report.answer(host, outcome, now) {
            counts.report.succeeded += 1;
            counts.latency.add(latency);
        } else {
            counts.report.failed += 1;
            counts.report.failures.add(request, outcome, now);
        }
    }

    pub(super) fn labels(&self, change: impl FnOnce(&mut Labels)) {
        change(&mut self.counts().report.labels);
    }

    pub(super) fn endpoint(&self, address: &str, change: impl FnOnce(&mut EndpointLabels)) {
        change(slot(&mut self.counts().report.labels.endpoints, address));
    }

    pub(super) fn finish(&self) {
        self.counts().report.finished = true;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// Counts an answer where it belongs; whether it was a success.
    fn answer(&mut self, host: &str, outcome: &Outcome, now: Timestamp) -> bool {
        let Outcome::Answer { status, signature, .. } = outcome else {
            return false;
        };
        let success = (200..300).contains(status);
        *slot(&mut self.statuses, &status.to_string()) += 1;
        let Signature { revision, pod, model } = signature;
        for (map, key) in [
            (&mut self.revisions, revision.as_deref()),
            (&mut self.pods, pod.as_deref()),
            (&mut self.models, model.as_deref()),
            (&mut self.hosts, Some(host)),
        ] {
            let answered = slot(map, key.unwrap_or(NONE));
            *(if success {
                &mut answered.succeeded
            } else {
                &mut answered.failed
            }) += 1;
            answered.first.get_or_insert(now);
            answered.last = Some(now);
        }
        success
    }
}

impl Failures {
    fn add(&mut self, request: u64, outcome: &Outcome, time: Timestamp) {
        let (kind, revision, detail) = match outcome {
            Outcome::Answer {
                status,
                signature,
                body,
            } => (format!("status_{status}"), &signature.revision, body),
            Outcome::NoAnswer { kind, detail } => ((*kind).to_owned(), &None, detail),
        };
        *slot(&mut self.kinds, &kind) += 1;
        self.first.get_or_insert(time);
        self.last = Some(time);
        if self.examples.len() < EXAMPLES {
            let detail = detail.chars().take(DETAIL).collect();
            self.examples.push(Failure {
                time,
                request,
                kind,
                revision: revision.clone(),
                detail,
            });
        }
    }
}

impl EndpointLabels {
    pub(super) fn acknowledged(&mut self, labels: u64, answer: LabelAnswer) {
        self.delivered += labels;
        self.accepted += answer.accepted;
        self.duplicate += answer.duplicate;
        self.unknown += answer.unknown;
    }
}

/// Entry of a map that stays bounded, whatever keys arrive.
fn slot<'a, T: Default>(map: &'a mut BTreeMap<String, T>, key: &str) -> &'a mut T {
    let key = match key {
        "" => NONE,
        key if map.len() >= KEYS && !map.contains_key(key) => OTHERS,
        key => key,
    };
    map.entry(key.to_owned()).or_default()
}
