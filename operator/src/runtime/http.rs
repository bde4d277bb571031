//! Health, readiness and metrics over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::{CONTENT_TYPE, Metrics};

/// A named question of readiness: `Ok` when it is answered well, else what is wrong.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the endpoint serves.
#[derive(Clone)]
pub struct Endpoint {
    metrics: Metrics,
    checks: Arc<Vec<(&'static str, Check)>>,
}

impl Endpoint {
    /// An endpoint with named readiness checks. Liveness has none: a process that answers is alive, and restarting it
    /// would not mend a broken ledger.
    #[must_use]
    pub fn new(metrics: Metrics, checks: Vec<(&'static str, Check)>) -> Self {
        Self {
            metrics,
            checks: Arc::new(checks),
        }
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn serve(self, address: SocketAddr, stop: CancellationToken) -> std::io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "Serving health and metrics");
        axum::serve(listener, self.router())
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }

    fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn ready(State(endpoint): State<Endpoint>) -> Response {
    let results: Vec<_> = endpoint.checks.iter().map(|(name, check)| (*name, check())).collect();
    let all = results.iter().all(|(_, result)| result.is_ok());
    let lines = results.into_iter().map(|(name, result)| match result {
        Ok(()) => format!("[+] {name}: ok\n"),
        Err(problem) => format!("[-] {name}: {problem}\n"),
    });
    let code = if all {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, lines.collect::<String>()).into_response()
}

async fn metrics(State(endpoint): State<Endpoint>) -> Response {
    match endpoint.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    async fn answer(checks: Vec<(&'static str, Check)>, path: &str) -> (StatusCode, String) {
        let router = Endpoint::new(Metrics::new().unwrap(), checks).router();
        let response = router
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_what_is_wrong_and_liveness_does_not_care() {
        let checks: Vec<(&'static str, Check)> = vec![
            ("leader", Arc::new(|| Ok(()))),
            ("ledger", Arc::new(|| Err("the anchor is gone".to_owned()))),
        ];
        let (status, text) = answer(checks.clone(), "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "[+] leader: ok\n[-] ledger: the anchor is gone\n");
        assert_eq!(answer(checks.clone(), "/healthz").await.0, StatusCode::OK);
        assert_eq!(
            answer(checks[..1].to_vec(), "/readyz").await,
            (StatusCode::OK, "[+] leader: ok\n".to_owned())
        );
    }

    #[tokio::test]
    async fn metrics_are_text() {
        let (status, text) = answer(Vec::new(), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("# HELP penin_leader"));
    }
}
