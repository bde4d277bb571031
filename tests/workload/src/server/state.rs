//! What the handlers share.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode};

use crate::metrics::{self, Scrape};
use crate::model::Model;
use crate::process;
use crate::tally::Tally;

/// Names of the running pod, for the answers' headers; empty where unknown.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Name of the pod.
    pub pod: String,
    /// Value of the pod's revision label.
    pub revision: String,
}

/// Bounds of the server's work.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Predictions that may wait for their label.
    pub table_capacity: NonZeroUsize,
    /// Requests of one port answered at once; further ones get 503.
    pub in_flight: usize,
    /// Time for one request, its body included.
    pub request_timeout: Duration,
}

/// Status codes that the prediction path answers, and how often it did. Fixed, so that each has its series
/// from the start.
const CODES: [(StatusCode, &str); 8] = [
    (StatusCode::OK, "200"),
    (StatusCode::BAD_REQUEST, "400"),
    (StatusCode::NOT_FOUND, "404"),
    (StatusCode::METHOD_NOT_ALLOWED, "405"),
    (StatusCode::REQUEST_TIMEOUT, "408"),
    (StatusCode::PAYLOAD_TOO_LARGE, "413"),
    (StatusCode::UNPROCESSABLE_ENTITY, "422"),
    (StatusCode::SERVICE_UNAVAILABLE, "503"),
];

/// State of one server.
pub struct State {
    pub(super) model: Model,
    pub(super) headers: AnswerHeaders,
    pub(super) settings: Settings,
    started: Instant,
    tally: Mutex<Tally>,
    answers: [AtomicU64; CODES.len() + 1],
    requests_since_expiry: AtomicU64,
    defect_begun: AtomicBool,
    draining: AtomicBool,
    limits: process::Limits,
}

/// Values of the headers that every answer of the prediction path carries.
pub(super) struct AnswerHeaders {
    pub(super) model: HeaderValue,
    pub(super) pod: HeaderValue,
    pub(super) revision: HeaderValue,
}

impl State {
    /// State of a server that has just started.
    ///
    /// # Errors
    /// When a name of `identity` cannot stand in a header.
    pub fn new(
        model: Model,
        identity: &Identity,
        settings: Settings,
    ) -> Result<Self, axum::http::header::InvalidHeaderValue> {
        let headers = AnswerHeaders {
            model: HeaderValue::from_str(model.digest())?,
            pod: HeaderValue::from_str(&identity.pod)?,
            revision: HeaderValue::from_str(&identity.revision)?,
        };
        Ok(Self {
            tally: Mutex::new(Tally::new(model.groups().len(), settings.table_capacity)),
            model,
            headers,
            settings,
            started: Instant::now(),
            answers: Default::default(),
            requests_since_expiry: AtomicU64::new(0),
            defect_begun: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            limits: process::limits(),
        })
    }

    /// Makes the readiness probe fail and connections close after their next answer.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The tally. A panic while it was held cannot leave a counter half changed, so poisoning is no reason
    /// to stop serving.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count_answer(&self, status: StatusCode) {
        let known = CODES.iter().position(|(code, _)| *code == status);
        if let Some(counter) = self.answers.get(known.unwrap_or(CODES.len())) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets the declared defect set in now, whatever the age of the process. False when the model declares none.
    pub(super) fn begin_defect(&self) -> bool {
        let declared = self.model.defect().is_some();
        self.defect_begun.store(declared, Ordering::Relaxed);
        declared
    }

    /// Whether the declared defect hits this request.
    pub(super) fn struck_by_defect(&self) -> bool {
        let age = self.started.elapsed();
        let begun = self.defect_begun.load(Ordering::Relaxed);
        self.model.defect().is_some_and(|defect| {
            (begun || defect.active(age)) && {
                let index = self.requests_since_expiry.fetch_add(1, Ordering::Relaxed);
                defect.strikes(index)
            }
        })
    }

    /// The metrics page.
    ///
    /// # Errors
    /// See [`metrics::render`].
    pub fn metrics(&self) -> Result<String, prometheus::Error> {
        let (counters, waiting) = {
            let tally = self.tally();
            (tally.counters(), tally.waiting())
        };
        let codes = CODES.iter().map(|(_, text)| *text).chain(["other"]);
        let answers: Vec<_> = codes
            .zip(&self.answers)
            .map(|(code, count)| (code, count.load(Ordering::Relaxed)))
            .collect();
        metrics::render(&Scrape {
            counters: &counters,
            waiting,
            answers: &answers,
            groups: self.model.groups(),
            model: self.model.name(),
            digest: self.model.digest(),
            usage: process::usage(),
            limits: self.limits,
        })
    }
}
