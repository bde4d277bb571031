//! A server on a loopback port that plays answers, as a Prometheus or as something odd.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::any;

use crate::adapters::evidence::prometheus::{Prometheus, QueryLimits};

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub location: Option<String>,
    pub delay: Duration,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            location: None,
            delay: Duration::ZERO,
        }
    }
}

/// What a request asked: its form fields.
pub type Form = Vec<(String, String)>;

type Play = Arc<dyn Fn(usize, &Form) -> Answer + Send + Sync>;

#[derive(Clone)]
struct Stage {
    play: Play,
    count: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<(HeaderMap, Form)>>>,
}

/// A running server. It ends with the test's runtime.
pub struct Server {
    pub address: SocketAddr,
    stage: Stage,
}

impl Server {
    /// Answers the n-th request with `play(n, form)`, n from 0.
    pub async fn start(play: impl Fn(usize, &Form) -> Answer + Send + Sync + 'static) -> Self {
        let stage = Stage {
            play: Arc::new(play),
            count: Arc::default(),
            seen: Arc::default(),
        };
        let router = Router::new().fallback(any(answer)).with_state(stage.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, stage }
    }

    pub fn url(&self) -> String {
        format!("http://{}/prefix/", self.address)
    }

    pub fn requests(&self) -> usize {
        self.stage.count.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> Vec<(HeaderMap, Form)> {
        self.stage.seen.lock().unwrap().clone()
    }

    /// A client with short waits.
    pub fn client(&self) -> Prometheus {
        Prometheus::new(&self.url(), limits()).unwrap()
    }
}

pub fn limits() -> QueryLimits {
    QueryLimits {
        attempt: Duration::from_millis(1_500),
        deadline: Duration::from_secs(20),
        pause: Duration::from_millis(1),
        body: 64 * 1024,
        ..QueryLimits::default()
    }
}

async fn answer(State(stage): State<Stage>, headers: HeaderMap, body: String) -> Response<Body> {
    let form: Form = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    stage.seen.lock().unwrap().push((headers, form.clone()));
    let answer = (stage.play)(stage.count.fetch_add(1, Ordering::SeqCst), &form);
    tokio::time::sleep(answer.delay).await;
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    if let Some(location) = answer.location {
        response = response.header("location", location);
    }
    response.body(Body::from(answer.body)).unwrap()
}
