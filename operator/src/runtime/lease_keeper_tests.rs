//! Keepers against a small Lease server in memory, on tokio's paused time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tower::BoxError;

use super::*;

/// tokio's clock, which stands still while a test computes and jumps when all tasks wait.
#[derive(Debug)]
struct PausedClock;

impl Clock for PausedClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// One Lease behind the Kubernetes API.
#[derive(Default)]
struct Server {
    lease: Mutex<Option<Value>>,
    versions: Mutex<u64>,
    silent: AtomicBool,
}

impl Server {
    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move {
                if server.silent.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let (status, answer) = server.answer(&head.method, &body);
                let answer = Response::builder()
                    .status(status)
                    .body(Body::from(answer.to_string().into_bytes()))?;
                Ok::<_, BoxError>(answer)
            }
        });
        Client::new(service, "penin-system")
    }

    fn answer(&self, method: &Method, body: &[u8]) -> (StatusCode, Value) {
        let mut stored = self.lease.lock().unwrap();
        if method == Method::GET {
            return stored
                .clone()
                .map_or_else(|| refusal(StatusCode::NOT_FOUND), |lease| (StatusCode::OK, lease));
        }
        let mut lease: Value = serde_json::from_slice(body).unwrap();
        let version = |lease: &Value| lease.pointer("/metadata/resourceVersion").cloned();
        if version(&lease) != stored.as_ref().and_then(version) {
            return refusal(StatusCode::CONFLICT);
        }
        let mut versions = self.versions.lock().unwrap();
        *versions += 1;
        lease["metadata"]["resourceVersion"] = json!(versions.to_string());
        *stored = Some(lease.clone());
        (StatusCode::OK, lease)
    }

    fn holder(&self) -> Option<String> {
        let lease = self.lease.lock().unwrap();
        lease
            .as_ref()?
            .pointer("/spec/holderIdentity")
            .and_then(Value::as_str)
            .map(str::to_owned)
    }

    fn keeper(self: &Arc<Self>, holder: &str) -> (LeaseKeeper, ClaimReader) {
        let settings = LeaseSettings {
            namespace: "penin-system".to_owned(),
            name: "penin-operator".to_owned(),
            holder: holder.to_owned(),
            duration: Duration::from_secs(10),
            renew_every: Duration::from_secs(3),
            past_epoch: 0,
        };
        LeaseKeeper::new(self.client(), settings, Arc::new(PausedClock))
    }
}

fn refusal(status: StatusCode) -> (StatusCode, Value) {
    let reason = if status == StatusCode::NOT_FOUND {
        "NotFound"
    } else {
        "Conflict"
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": status.as_u16(),
    });
    (status, body)
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_renewed_for_as_long_as_the_server_answers_and_released_at_the_end() {
    let server = Arc::new(Server::default());
    let (keeper, mut reader) = server.keeper("a");
    let stop = CancellationToken::new();
    let running = tokio::spawn(keeper.run(stop.clone()));
    assert_eq!(reader.acquired().await, Some(1));
    for _ in 0..100 {
        seconds(1).await;
        assert_eq!(reader.epoch(), Some(1));
    }
    stop.cancel();
    assert_eq!(running.await.unwrap(), Ended::Released);
    assert_eq!((reader.epoch(), server.holder()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_ends_the_claim_before_another_may_take_it() {
    let server = Arc::new(Server::default());
    let (keeper, mut reader) = server.keeper("a");
    let running = tokio::spawn(keeper.run(CancellationToken::new()));
    reader.acquired().await;
    seconds(5).await;
    server.silent.store(true, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    assert_eq!(running.await.unwrap(), Ended::Lost);
    assert!(began.elapsed() <= Duration::from_secs(10 + 3), "{:?}", began.elapsed());
    assert_eq!(reader.epoch(), None);
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_somebody_else_ends_ours_at_once() {
    let server = Arc::new(Server::default());
    let (keeper, mut reader) = server.keeper("a");
    let running = tokio::spawn(keeper.run(CancellationToken::new()));
    reader.acquired().await;
    {
        let mut lease = server.lease.lock().unwrap();
        let lease = lease.as_mut().unwrap();
        lease["spec"]["holderIdentity"] = json!("b");
        lease["metadata"]["resourceVersion"] = json!("taken");
    }
    let began = tokio::time::Instant::now();
    assert_eq!(running.await.unwrap(), Ended::Lost);
    assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(reader.epoch(), None);
}

#[tokio::test(start_paused = true)]
async fn a_successor_takes_over_after_a_silent_death_and_at_once_after_a_release() {
    let server = Arc::new(Server::default());
    let (first, mut reads_first) = server.keeper("a");
    let first = tokio::spawn(first.run(CancellationToken::new()));
    assert_eq!(reads_first.acquired().await, Some(1));
    let (second, mut reads_second) = server.keeper("b");
    let stop = CancellationToken::new();
    let second = tokio::spawn(second.run(stop.clone()));
    seconds(60).await;
    assert_eq!((reads_first.epoch(), reads_second.epoch()), (Some(1), None));

    first.abort();
    let died = tokio::time::Instant::now();
    assert_eq!(reads_second.acquired().await, Some(2));
    assert!(reads_first.epoch().is_none(), "two lead");
    assert!(died.elapsed() <= Duration::from_secs(10 + 3), "{:?}", died.elapsed());

    let (third, mut reads_third) = server.keeper("c");
    tokio::spawn(third.run(CancellationToken::new()));
    seconds(5).await;
    stop.cancel();
    second.await.unwrap();
    let released = tokio::time::Instant::now();
    assert_eq!(reads_third.acquired().await, Some(3));
    assert!(released.elapsed() <= Duration::from_secs(3), "{:?}", released.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_ends_our_claim_and_is_made_again_with_a_new_epoch() {
    let server = Arc::new(Server::default());
    let (first, mut reads_first) = server.keeper("a");
    let first = tokio::spawn(first.run(CancellationToken::new()));
    assert_eq!(reads_first.acquired().await, Some(1));
    let (second, mut reads_second) = server.keeper("b");
    tokio::spawn(second.run(CancellationToken::new()));
    seconds(5).await;
    *server.lease.lock().unwrap() = None;
    assert_eq!(first.await.unwrap(), Ended::Lost);
    assert_eq!(reads_first.epoch(), None);
    assert_eq!(reads_second.acquired().await, Some(2));
}
