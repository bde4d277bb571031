//! Client of the Prometheus HTTP API (also of Thanos, Mimir and `VictoriaMetrics`, which speak it).
//!
//! Every query pins its time, so that all queries of one decision see the same instant and can be asked again. An
//! answer is bounded in time and size. Redirects are not followed: an answer from elsewhere is not from the named
//! source.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant as Clock;

use super::answer::{self, AnswerLimits, Instant, Labels, Series};
use crate::scoring::{Unknown, UnknownReason};

/// Bounds on one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Longest wait for one attempt; also sent as the server's own timeout.
    pub attempt: Duration,
    /// Longest wait for all attempts and the pause between them.
    pub deadline: Duration,
    /// Pause before the second and last attempt, made after a failure that may pass.
    pub pause: Duration,
    /// Largest body in bytes.
    pub body: usize,
    /// Bounds on its content.
    pub answer: AnswerLimits,
}

impl Default for QueryLimits {
    /// 5 s an attempt, 11 s in all, 250 ms pause, 8 MiB.
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(5),
            deadline: Duration::from_secs(11),
            pause: Duration::from_millis(250),
            body: 8 * 1024 * 1024,
            answer: AnswerLimits::default(),
        }
    }
}

/// The address of a source cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is no address of a Prometheus server: {problem}; use http://host:port or https://host/prefix")]
pub struct AddressError {
    url: String,
    problem: &'static str,
}

/// One Prometheus server.
#[derive(Clone, Debug)]
pub struct Prometheus {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    query: Uri,
    authorization: Option<HeaderValue>,
    limits: QueryLimits,
}

/// An attempt that failed, and whether another one may succeed.
struct Failure {
    unknown: Unknown,
    transient: bool,
}

impl Prometheus {
    /// A client of the server at `url`, which may have a path before `/api/v1/query`. Connections are opened by the
    /// first query. `https` trusts the system's roots (or those in `SSL_CERT_FILE`); where there are none, `https`
    /// answers [`UnknownReason::Unreachable`] and `http` works.
    ///
    /// # Errors
    /// [`AddressError`] when `url` is not an absolute http or https address without query and user.
    pub fn new(url: &str, limits: QueryLimits) -> Result<Self, AddressError> {
        let problem = |problem| AddressError {
            url: url.to_owned(),
            problem,
        };
        let query = query_address(url).map_err(problem)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config().map_err(problem)?)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_mins(1))
            .pool_max_idle_per_host(2)
            .build(connector);
        Ok(Self {
            client,
            query,
            authorization: None,
            limits,
        })
    }

    /// The same client with an `Authorization` header, such as `Bearer …`.
    #[must_use]
    pub fn with_authorization(mut self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.authorization = Some(value);
        self
    }

    /// Raw samples of a range selector, seen from `at_ms`.
    ///
    /// # Errors
    /// [`Unknown`] for everything that is not one complete, undoubted answer.
    pub async fn samples(&self, expression: &str, at_ms: u64) -> Result<Vec<Series>, Unknown> {
        answer::matrix(&self.ask(expression, at_ms).await?, self.limits.answer)
    }

    /// The instant vector of an expression at `at_ms`.
    ///
    /// # Errors
    /// [`Unknown`] for everything that is not one complete, undoubted answer.
    pub async fn vector(&self, expression: &str, at_ms: u64) -> Result<Vec<Instant>, Unknown> {
        answer::vector(&self.ask(expression, at_ms).await?, self.limits.answer)
    }

    /// Labels of the series that an expression finds at `at_ms`.
    ///
    /// # Errors
    /// [`Unknown`] for everything that is not one complete, undoubted answer.
    pub async fn present(&self, expression: &str, at_ms: u64) -> Result<Vec<Labels>, Unknown> {
        answer::present(&self.ask(expression, at_ms).await?, self.limits.answer)
    }

    /// Asks once, and once more when the first attempt failed for a reason that may have passed.
    async fn ask(&self, expression: &str, at_ms: u64) -> Result<Bytes, Unknown> {
        let form = self.form(expression, at_ms);
        let until = Clock::now() + self.limits.deadline;
        let failure = match self.attempt(form.clone(), until).await {
            Ok(body) => return Ok(body),
            Err(failure) => failure,
        };
        if !failure.transient || Clock::now() + self.limits.pause >= until {
            return Err(failure.unknown);
        }
        tokio::time::sleep(self.limits.pause).await;
        self.attempt(form, until).await.map_err(|failure| failure.unknown)
    }

    /// Form fields rather than a query string: an expression may be longer than a proxy lets an address be.
    fn form(&self, expression: &str, at_ms: u64) -> Bytes {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", expression);
        form.append_pair("time", &format!("{}.{:03}", at_ms / 1_000, at_ms % 1_000));
        form.append_pair("timeout", &format!("{}ms", self.limits.attempt.as_millis()));
        // A server that knows `limit` cuts the answer and warns, which is Unknown; others are bounded by the body.
        form.append_pair("limit", &self.limits.answer.series.to_string());
        Bytes::from(form.finish())
    }

    async fn attempt(&self, form: Bytes, until: Clock) -> Result<Bytes, Failure> {
        let until = until.min(Clock::now() + self.limits.attempt);
        match tokio::time::timeout_at(until, self.exchange(form)).await {
            Ok(result) => result,
            Err(_) => Err(Failure {
                unknown: Unknown::new(
                    UnknownReason::TimedOut,
                    format_args!(
                        "{} did not answer within {} ms",
                        self.host(),
                        self.limits.attempt.as_millis()
                    ),
                ),
                transient: true,
            }),
        }
    }

    async fn exchange(&self, form: Bytes) -> Result<Bytes, Failure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.query.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(Full::new(form))
            .map_err(|error| Failure {
                unknown: Unknown::new(UnknownReason::InvalidQuery, error),
                transient: false,
            })?;
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let response = self.client.request(request).await.map_err(|error| Failure {
            unknown: Unknown::new(
                UnknownReason::Unreachable,
                format_args!("{}: {}", self.host(), chain(&error)),
            ),
            transient: true,
        })?;
        self.read(response).await
    }

    async fn read(&self, response: Response<hyper::body::Incoming>) -> Result<Bytes, Failure> {
        let status = response.status();
        let body = Limited::new(response.into_body(), self.limits.body)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    let detail = format!(
                        "the answer is longer than {} bytes: select fewer series",
                        self.limits.body
                    );
                    return Failure {
                        unknown: Unknown::new(UnknownReason::TooLarge, detail),
                        transient: false,
                    };
                }
                let detail = format!("the answer of {} broke off: {}", self.host(), chain(error.as_ref()));
                Failure {
                    unknown: Unknown::new(UnknownReason::Unreachable, detail),
                    transient: true,
                }
            })?;
        let body = body.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        if status.is_redirection() {
            let detail = format!(
                "{} answered {status}; name the final address as the source",
                self.host()
            );
            return Err(Failure {
                unknown: Unknown::new(UnknownReason::Redirected, detail),
                transient: false,
            });
        }
        let reason = answer::error_text(&body);
        // Prometheus reports a refused query as 400 or 422 with its reason.
        let code = if reason.is_some() {
            UnknownReason::QueryFailed
        } else {
            UnknownReason::HttpStatus
        };
        let detail = format!("{} answered {status} {}", self.host(), reason.unwrap_or_default());
        let transient = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(Failure {
            unknown: Unknown::new(code, detail.trim_end()),
            transient,
        })
    }

    fn host(&self) -> &str {
        self.query.authority().map_or("", |authority| authority.as_str())
    }
}

fn query_address(url: &str) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it cannot be read")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("the scheme is not http or https");
    }
    let authority = uri.authority().ok_or("there is no host")?;
    if authority.as_str().contains('@') {
        return Err("a user and password do not belong into an address");
    }
    if uri.query().is_some() {
        return Err("it has a query part");
    }
    let path = format!("{}/api/v1/query", uri.path().trim_end_matches('/'));
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(path.parse().map_err(|_| "the path cannot be read")?);
    Uri::from_parts(parts).map_err(|_| "it cannot be read")
}

/// TLS by the provider that the Kubernetes client uses, so that there is one in the program. The system's roots are read
/// once; where there are none, plain http servers are still reached.
fn tls_config() -> Result<ClientConfig, &'static str> {
    static SHARED: LazyLock<Option<ClientConfig>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().ok()?;
        Some(builder.with_root_certificates(roots).with_no_client_auth())
    });
    SHARED.clone().ok_or("this build has no TLS")
}

/// An error with its causes: hyper's outermost text alone says only that something went wrong.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
