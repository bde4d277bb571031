//! The Kubernetes client: every call bounded in time and number, and counted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tokio::sync::Semaphore;
use tower::{BoxError, Layer, Service};

use super::metrics::Metrics;

/// Longest time of a call, from sending it to the last byte of its answer; of a watch, to the answer's headers.
const CALL: Duration = Duration::from_secs(10);
/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Most calls under way at once: the API server's priority levels are not ours to fill. A watch counts until its
/// headers arrive, so that watches cannot use up the slots.
const CONCURRENT: usize = 32;

/// A client for controllers. It does not retry by itself: a pass that fails is decided anew, on a new snapshot.
///
/// # Errors
/// When the configuration cannot be used, for example because of an unreadable certificate.
pub fn controllers(config: Config, metrics: &Metrics) -> Result<Client, kube::Error> {
    build(config, metrics, CALL)
}

/// A client of its own for the lease, so that no amount of other calls can delay a renewal.
///
/// # Errors
/// As [`controllers`].
pub fn lease(config: Config, metrics: &Metrics, limit: Duration) -> Result<Client, kube::Error> {
    build(config, metrics, limit)
}

fn build(mut config: Config, metrics: &Metrics, limit: Duration) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT.min(limit));
    config.default_retry = false;
    let layer = Bounded {
        limit,
        slots: Arc::new(Semaphore::new(CONCURRENT)),
        metrics: metrics.clone(),
    };
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// A call took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("the Kubernetes API did not answer a {verb} within {limit:?}")]
struct TooSlow {
    verb: &'static str,
    limit: Duration,
}

#[derive(Clone)]
struct Bounded {
    limit: Duration,
    slots: Arc<Semaphore>,
    metrics: Metrics,
}

impl<S> Layer<S> for Bounded {
    type Service = BoundedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BoundedService {
            inner,
            bounds: self.clone(),
        }
    }
}

/// Verbs whose answer goes on for as long as the caller reads it. kube's watcher notices itself when one goes quiet.
const ENDLESS: [&str; 3] = ["watch", "watch_metadata", "log_stream"];

struct BoundedService<S> {
    inner: S,
    bounds: Bounded,
}

/// A whole answer, or one that goes on.
type Answer = http::Response<UnsyncBoxBody<Bytes, BoxError>>;

impl<S, B> Service<http::Request<Body>> for BoundedService<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // kube notes the operation on the request.
        let verb = request.extensions().get::<&'static str>().copied();
        // A request that was not made by a typed method of kube has no name there.
        let verb = verb.unwrap_or_else(|| verb_of(request.method()));
        // Nothing is sent before this future is polled, which the slot below comes before.
        let call = self.inner.call(request);
        let Bounded { limit, slots, metrics } = self.bounds.clone();
        Box::pin(async move {
            let timed = tokio::time::timeout(limit, async {
                let _slot = slots.acquire().await?;
                answer(verb, call.await?).await
            });
            let result = timed.await.unwrap_or_else(|_| Err(TooSlow { verb, limit }.into()));
            let code = result.as_ref().map_or(0, |response| response.status().as_u16());
            metrics.api_call(verb, code);
            result
        })
    }
}

/// Reads an answer to its end, unless it has none: headers alone prove nothing about the rest.
fn verb_of(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "get",
        http::Method::POST => "create",
        http::Method::PUT => "replace",
        http::Method::PATCH => "patch",
        http::Method::DELETE => "delete",
        _ => "other",
    }
}

async fn answer<B>(verb: &str, response: http::Response<B>) -> Result<Answer, BoxError>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    let body = body.map_err(Into::into);
    // A refused watch has an end like any other answer.
    if ENDLESS.contains(&verb) && head.status.is_success() {
        return Ok(http::Response::from_parts(head, body.boxed_unsync()));
    }
    let whole = Full::new(body.collect().await?.to_bytes()).map_err(|never| match never {});
    Ok(http::Response::from_parts(head, whole.boxed_unsync()))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
