//! Sends requests at a fixed rate, whether or not earlier ones were answered (open loop).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::header::{self, InvalidHeaderValue};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Semaphore, mpsc, watch};

use super::recorder::{Outcome, Signature};
use super::{Plan, Recorder};
use crate::adult::Row;
use crate::{MODEL_HEADER, POD_HEADER, PREDICTION_ID_HEADER, REVISION_HEADER};

/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// A request that was sent and whose label is due some time later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) request: u64,
}

/// Client with connections kept alive, at most about as many as there are requests at once.
///
/// hyper repeats a request by itself only when the connection was closed before a byte of it was written,
/// so no request reaches a server twice.
pub(super) fn client(idle: usize, timeout: Duration) -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(timeout));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(idle)
        .pool_idle_timeout(Duration::from_mins(1))
        .build(connector)
}

/// What all requests of a run share.
struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    target: Uri,
    headers: HeaderMap,
    hosts: Vec<HeaderValue>,
    bodies: Vec<Bytes>,
    run: String,
    timeout: Duration,
    recorder: Arc<Recorder>,
}

/// Sends until the plan's end or `stop`, then waits for the answers.
pub(super) async fn send(
    plan: &Plan,
    rows: Arc<[Row]>,
    labels: mpsc::Sender<Sent>,
    recorder: &Arc<Recorder>,
    mut stop: watch::Receiver<bool>,
) {
    let sender = Arc::new(Sender::new(plan, &rows, Arc::clone(recorder)));
    let slots = Arc::new(Semaphore::new(plan.in_flight));
    let start = Instant::now();
    for request in 0..plan.requests {
        let offset = due_after(request, plan.rate);
        if offset >= plan.duration {
            break;
        }
        let due = start + offset;
        tokio::select! {
            // A stop that came while requests were overdue must not wait for a quiet moment.
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            recorder.not_sent();
            continue;
        };
        let at = Instant::now();
        recorder.sent(at.saturating_duration_since(due));
        if labels.try_send(Sent { at, request }).is_err() {
            recorder.labels(|labels| labels.dropped += 1);
        }
        let sender = Arc::clone(&sender);
        tokio::spawn(async move {
            sender.ask(request, at).await;
            drop(slot);
        });
    }
    drop(labels);
    // All slots are free again when the last answer is in; each request has its timeout.
    let all = u32::try_from(plan.in_flight).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// Time from the start of a run to its `request`-th request, exact over any length of the run.
fn due_after(request: u64, rate: u32) -> Duration {
    let rate = u64::from(rate.max(1));
    Duration::from_secs(request / rate) + Duration::from_nanos(request % rate * 1_000_000_000 / rate)
}

impl Sender {
    fn new(plan: &Plan, rows: &[Row], recorder: Arc<Recorder>) -> Self {
        let mut headers: HeaderMap = plan.headers.iter().cloned().collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            client: client(plan.in_flight, plan.timeout),
            target: plan.target.clone(),
            headers,
            hosts: plan.hosts.clone(),
            // Serialising numbers and strings cannot fail; an empty body would be refused and counted.
            bodies: rows
                .iter()
                .map(|row| serde_json::to_vec(&row.features).unwrap_or_default().into())
                .collect(),
            run: plan.run.clone(),
            timeout: plan.timeout,
            recorder,
        }
    }

    async fn ask(&self, request: u64, at: Instant) {
        let host = pick(&self.hosts, request);
        let outcome = match tokio::time::timeout(self.timeout, self.exchange(request, host)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::NoAnswer {
                kind: "timeout",
                detail: String::new(),
            },
        };
        let shown = host.and_then(|host| host.to_str().ok());
        let shown = shown.or_else(|| self.target.authority().map(axum::http::uri::Authority::as_str));
        self.recorder
            .ended(request, shown.unwrap_or_default(), &outcome, at.elapsed());
    }

    async fn exchange(&self, request: u64, host: Option<&HeaderValue>) -> Outcome {
        let message = match self.message(request, host) {
            Ok(message) => message,
            Err(error) => return no_answer("request", &error),
        };
        let answer = match self.client.request(message).await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return no_answer("connect", &error),
            Err(error) => return no_answer("request", &error),
        };
        let status = answer.status().as_u16();
        let signature = Signature::of(answer.headers());
        match Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await {
            Ok(body) => {
                let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                Outcome::Answer {
                    status,
                    signature,
                    body,
                }
            }
            Err(error) => no_answer("body", error.as_ref()),
        }
    }

    fn message(&self, request: u64, host: Option<&HeaderValue>) -> Result<Request<Full<Bytes>>, InvalidHeaderValue> {
        let body = pick(&self.bodies, request).cloned().unwrap_or_default();
        let mut message = Request::new(Full::new(body));
        *message.method_mut() = Method::POST;
        *message.uri_mut() = self.target.clone();
        *message.headers_mut() = self.headers.clone();
        if let Some(host) = host {
            message.headers_mut().insert(header::HOST, host.clone());
        }
        let id = HeaderValue::try_from(prediction_id(&self.run, request))?;
        message.headers_mut().insert(PREDICTION_ID_HEADER, id);
        Ok(message)
    }
}

fn no_answer(kind: &'static str, error: &dyn std::error::Error) -> Outcome {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    Outcome::NoAnswer {
        kind,
        detail: format!("{error}{cause}"),
    }
}

impl Signature {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            revision: text(REVISION_HEADER),
            pod: text(POD_HEADER),
            model: text(MODEL_HEADER),
        }
    }
}

/// Id of the `request`-th prediction of a run.
pub(super) fn prediction_id(run: &str, request: u64) -> String {
    format!("{run}-{request}")
}

/// The `turn`-th element of an endless repetition of the list.
pub(super) fn pick<T>(list: &[T], turn: u64) -> Option<&T> {
    let length = u64::try_from(list.len()).ok().filter(|&length| length > 0)?;
    list.get(usize::try_from(turn % length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_evenly_and_without_drift() {
        assert_eq!(due_after(0, 500), Duration::ZERO);
        assert_eq!(due_after(1, 500), Duration::from_millis(2));
        assert_eq!(due_after(500, 500), Duration::from_secs(1));
        assert_eq!(due_after(3 * 7 + 1, 3), Duration::new(7, 333_333_333));
        assert_eq!(
            due_after(u64::from(u32::MAX) * 300, 300),
            Duration::from_secs(u64::from(u32::MAX))
        );
    }

    #[test]
    fn lists_repeat() {
        assert_eq!(pick(&[1, 2, 3], 4), Some(&2));
        assert_eq!(pick::<u8>(&[], 4), None);
    }
}
