//! A way to the API server that sees every write, and can kill the operator right after one: when the API server has
//! stored it and before the operator knows.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::any;
use kube::Client;

/// Largest request that an API server takes.
const LARGEST: usize = 3 * 1024 * 1024;

/// What is done after the `number`-th write to a path that contains `path`.
#[derive(Clone, Debug)]
pub struct Trap {
    pub path: &'static str,
    pub number: usize,
}

#[derive(Default)]
struct Seen {
    writes: Vec<String>,
    trap: Option<Trap>,
    hits: usize,
    victim: Option<u32>,
    sprung: bool,
    deaf: bool,
}

/// A running proxy. It ends with the test's runtime.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone)]
struct Stage {
    client: Client,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    pub async fn start(client: Client) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let stage = Stage {
            client,
            seen: Arc::clone(&seen),
        };
        let router = Router::new().fallback(any(forward)).with_state(stage);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    /// Sets a trap for the process `victim`.
    pub fn set(&self, trap: Trap) {
        let mut seen = self.seen.lock().unwrap();
        seen.trap = Some(trap);
        seen.hits = 0;
    }

    pub fn victim(&self, process: u32) {
        let mut seen = self.seen.lock().unwrap();
        seen.victim = Some(process);
        seen.deaf = false;
    }

    pub fn has_sprung(&self) -> bool {
        self.seen.lock().unwrap().sprung
    }

    /// Every write so far, as `METHOD path`.
    pub fn writes(&self) -> Vec<String> {
        self.seen.lock().unwrap().writes.clone()
    }
}

fn is_write(method: &Method, path: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    !reads && !path.contains("/leases") && !path.contains("/events")
}

async fn forward(State(stage): State<Stage>, request: Request<Body>) -> Result<Response<Body>, StatusCode> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let write = is_write(&parts.method, &path);
    if stage.seen.lock().unwrap().deaf {
        // Nothing of a killed process gets through any more, not even what was on its way.
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    if write {
        stage
            .seen
            .lock()
            .unwrap()
            .writes
            .push(format!("{} {path}", parts.method));
    }
    let mut builder = Request::builder().method(parts.method).uri(parts.uri);
    for (name, value) in &parts.headers {
        if !["host", "connection", "authorization"].contains(&name.as_str()) {
            builder = builder.header(name, value);
        }
    }
    let sent = axum::body::to_bytes(body, LARGEST)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let request = builder.body(kube::client::Body::from(sent.to_vec())).unwrap();
    let response = stage.client.send(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    if write && response.status().is_success() && springs(&stage.seen, &path) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let (mut parts, body) = response.into_parts();
    for name in ["transfer-encoding", "connection"] {
        parts.headers.remove(name);
    }
    Ok(Response::from_parts(parts, Body::new(body)))
}

/// Kills the victim if this write is the one.
fn springs(seen: &Mutex<Seen>, path: &str) -> bool {
    let mut seen = seen.lock().unwrap();
    let Some(trap) = seen.trap.clone().filter(|trap| path.contains(trap.path)) else {
        return false;
    };
    seen.hits += 1;
    if seen.hits != trap.number {
        return false;
    }
    seen.trap = None;
    seen.sprung = true;
    seen.deaf = true;
    if let Some(process) = seen.victim.take() {
        kill(process);
    }
    true
}

/// SIGKILL. The process is a child of this test that nobody has waited for yet, so its id is still its own.
pub fn kill(process: u32) {
    let status = std::process::Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status();
    assert!(status.unwrap().success());
}
