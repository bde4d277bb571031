//! The handlers of both ports.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::Semaphore;

use super::State;
use crate::adult::Features;
use crate::table::Joined;
use crate::{
    LABELS_PER_POST, Label, LabelAnswer, MODEL_HEADER, POD_HEADER, PREDICTION_ID_HEADER, REVISION_HEADER, metrics,
};

/// Longest body of a prediction request in bytes; a row of the data has about 300.
const FEATURES_LIMIT: usize = 4 * 1024;
/// Longest body of a delivery of labels: 1,000 of them with ids of 64 characters need about 100 KB.
const LABELS_LIMIT: usize = 256 * 1024;
/// Longest prediction id in characters.
const ID_LIMIT: usize = 64;

/// Routes of the port that the gateway forwards to: `POST /predict`.
pub fn prediction_routes(state: Arc<State>) -> Router {
    Router::new()
        .route("/predict", post(predict))
        .layer(DefaultBodyLimit::max(FEATURES_LIMIT))
        .layer(from_fn_with_state(Bound::new(&state), bounded))
        .layer(from_fn_with_state(Arc::clone(&state), signed_and_counted))
        .with_state(state)
}

/// Routes of the port inside the cluster: `POST /labels`, `POST /defect`, `GET /metrics`, `/healthz` and `/readyz`.
pub fn management_routes(state: Arc<State>) -> Router {
    Router::new()
        .route("/labels", post(labels))
        .route("/defect", post(begin_defect))
        .layer(DefaultBodyLimit::max(LABELS_LIMIT))
        .layer(from_fn_with_state(Bound::new(&state), bounded))
        // Probes and metrics stay outside the bound: a busy server is alive, and its load must be seen.
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state(state)
}

/// An answer that says what was wrong.
fn refusal(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

async fn predict(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let id = match prediction_id(&headers) {
        Ok(id) => id,
        Err(reason) => return refusal(StatusCode::BAD_REQUEST, reason),
    };
    let features: Features = match serde_json::from_slice(&body) {
        Ok(features) => features,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("features: {error}")),
    };
    if state.struck_by_defect() {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the feature cache has expired");
    }
    let prediction = match state.model.predict(&features) {
        Ok(prediction) => prediction,
        Err(error) => return refusal(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    };
    state.tally().predicted(id, prediction);
    Json(json!({
        "id": id,
        "probability": prediction.probability,
        "prediction": prediction.selected,
        "model": state.model.digest(),
    }))
    .into_response()
}

/// The id of a prediction, if the request carries one.
fn prediction_id(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let Some(value) = headers.get(PREDICTION_ID_HEADER) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|id| (1..=ID_LIMIT).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(Some)
        .ok_or("header x-prediction-id: 1 to 64 visible ASCII characters are expected")
}

async fn labels(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let labels: Vec<Label> = match serde_json::from_slice(&body) {
        Ok(labels) => labels,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("labels: {error}")),
    };
    if labels.len() > LABELS_PER_POST {
        return refusal(StatusCode::BAD_REQUEST, "labels: at most 1000 in one delivery");
    }
    let mut answer = LabelAnswer::default();
    let mut tally = state.tally();
    for Label { id, label } in &labels {
        match tally.labelled(id, *label) {
            Joined::Prediction(_) => answer.accepted += 1,
            Joined::Duplicate => answer.duplicate += 1,
            Joined::Unknown => answer.unknown += 1,
        }
    }
    drop(tally);
    Json(answer).into_response()
}

/// For tests: a defect at the moment that they have waited for, on a fast machine and on a slow one.
async fn begin_defect(Shared(state): Shared<Arc<State>>) -> Response {
    if state.begin_defect() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refusal(StatusCode::NOT_FOUND, "the weights file declares no defect")
    }
}

async fn show_metrics(Shared(state): Shared<Arc<State>>) -> Response {
    match state.metrics() {
        Ok(page) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn ready(Shared(state): Shared<Arc<State>>) -> (StatusCode, &'static str) {
    if state.draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else {
        (StatusCode::OK, "ok")
    }
}

/// Bound of one port's requests.
#[derive(Clone)]
struct Bound {
    slots: Arc<Semaphore>,
    timeout: Duration,
}

impl Bound {
    fn new(state: &State) -> Self {
        let slots = Arc::new(Semaphore::new(state.settings.in_flight));
        Self {
            slots,
            timeout: state.settings.request_timeout,
        }
    }
}

/// Refuses what exceeds the bound of requests at once, and ends what takes too long.
async fn bounded(Shared(bound): Shared<Bound>, request: Request, next: Next) -> Response {
    let Ok(_slot) = bound.slots.try_acquire() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once");
    };
    match tokio::time::timeout(bound.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refusal(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time"),
    }
}

/// Says in every answer who gave it, and counts it.
async fn signed_and_counted(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    state.count_answer(response.status());
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(MODEL_HEADER), state.headers.model.clone());
    headers.insert(HeaderName::from_static(POD_HEADER), state.headers.pod.clone());
    headers.insert(HeaderName::from_static(REVISION_HEADER), state.headers.revision.clone());
    if state.draining() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
