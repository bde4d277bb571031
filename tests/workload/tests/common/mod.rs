//! A server of its own for each test, on loopback.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use penin_workload::adult::{Row, test_split};
use penin_workload::model::Model;
use penin_workload::server::{ConnectionLimits, Identity, Settings, State, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Content of a committed weights file.
pub fn content(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(format!("{name}.json"));
    std::fs::read(path).unwrap()
}

/// The failing model with another defect.
pub fn defective(after_seconds: u64, failing_permille: u64) -> Vec<u8> {
    let mut weights: Value = serde_json::from_slice(&content("failing")).unwrap();
    weights["defect"]["after_seconds"] = json!(after_seconds);
    weights["defect"]["failing_permille"] = json!(failing_permille);
    weights.to_string().into_bytes()
}

/// The test split.
pub fn rows() -> &'static [Row] {
    static ROWS: std::sync::OnceLock<Vec<Row>> = std::sync::OnceLock::new();
    ROWS.get_or_init(|| test_split().unwrap())
}

/// Body of a request for one row.
pub fn row(index: usize) -> String {
    serde_json::to_string(&rows()[index].features).unwrap()
}

/// Value of one series of a metrics page; a family without labels goes by its name alone.
pub fn value(page: &str, series: &str) -> u64 {
    let line = page
        .lines()
        .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("{series} is missing"))
        .rsplit_once(' ')
        .unwrap()
        .1
        .parse()
        .unwrap()
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

pub struct Server {
    pub state: Arc<State>,
    pub digest: String,
    pub predictions: SocketAddr,
    pub management: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// A server of a committed model.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, 100_000, content(name)).await
    }

    /// A server with this table and these weights.
    pub async fn start_with(name: &str, table: usize, weights: Vec<u8>) -> Self {
        Self::start_named(name, table, weights, "pod-0", "rev-0").await
    }

    pub async fn start_named(name: &str, table: usize, weights: Vec<u8>, pod: &str, revision: &str) -> Self {
        let model = Model::parse(&weights).unwrap();
        assert_eq!(model.name(), name);
        let digest = model.digest().to_owned();
        let settings = Settings {
            table_capacity: NonZeroUsize::new(table).unwrap(),
            in_flight: 256,
            request_timeout: Duration::from_secs(5),
        };
        let identity = Identity {
            pod: pod.into(),
            revision: revision.into(),
        };
        let state = Arc::new(State::new(model, &identity, settings).unwrap());
        let prediction_port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let management_port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let predictions = prediction_port.local_addr().unwrap();
        let management = management_port.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(serve(
            Arc::clone(&state),
            prediction_port,
            management_port,
            ConnectionLimits::default(),
            Duration::ZERO,
            async move { drop(stopped.await) },
        ));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            state,
            digest,
            predictions,
            management,
            client,
            stop,
            running,
        }
    }

    /// Ends the server and waits until it has ended well.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }

    pub async fn predict(&self, id: Option<&str>, body: &str) -> Answer {
        let uri = format!("http://{}/predict", self.predictions);
        let mut request = Request::builder().method(Method::POST).uri(uri);
        if let Some(id) = id {
            request = request.header("x-prediction-id", id);
        }
        self.ask(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    pub async fn label(&self, body: &str) -> Answer {
        self.post_management_port("/labels", body).await
    }

    pub async fn post_prediction_port(&self, path: &str, body: &str) -> Answer {
        self.ask(
            Request::post(format!("http://{}{path}", self.predictions))
                .body(Full::from(body.to_owned()))
                .unwrap(),
        )
        .await
    }

    pub async fn post_management_port(&self, path: &str, body: &str) -> Answer {
        self.ask(
            Request::post(format!("http://{}{path}", self.management))
                .body(Full::from(body.to_owned()))
                .unwrap(),
        )
        .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(
            Request::get(format!("http://{}{path}", self.management))
                .body(Full::default())
                .unwrap(),
        )
        .await
    }

    pub async fn metrics(&self) -> String {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4");
        answer.body
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        let answer = self.client.request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }
}
