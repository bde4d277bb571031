//! Delivers every label, some time after its request, to every pod of every revision.
//!
//! The player cannot know which pods saw a request, mirrored ones least of all. So each label goes to
//! all; a pod ignores those of predictions it never made.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, header};
use futures::future::join_all;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::load::{Sent, client, pick, prediction_id};
use super::{EndpointSource, Plan, Recorder};
use crate::adult::Row;
use crate::{LABELS_PER_POST, Label, LabelAnswer};

/// Requests that may wait for their label's time; three minutes of 500 a second.
pub(super) const QUEUE: usize = 100_000;
/// Time between two deliveries.
const EVERY: Duration = Duration::from_millis(200);
/// Time between two looks at the list of endpoints.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Deliveries that may wait for one endpoint.
const BACKLOG: usize = 64;
/// Attempts at one delivery, and the time for each.
const ATTEMPTS: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the last deliveries at the end.
const LAST: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 16 * 1024;

/// A serialised delivery and the number of labels in it.
#[derive(Clone)]
struct Delivery {
    body: Bytes,
    labels: u64,
}

/// Delivers until the sender of requests is gone and the last label was due.
pub(super) async fn deliver(plan: &Plan, rows: Arc<[Row]>, mut sent: mpsc::Receiver<Sent>, recorder: Arc<Recorder>) {
    let Some(source) = &plan.labels else {
        while sent.recv().await.is_some() {}
        return;
    };
    let (known, endpoints) = watch::channel(Vec::new());
    let looking = look(source, known, &recorder);
    let posting = async {
        let mut post_office = PostOffice::new(Arc::clone(&recorder));
        let mut waiting = VecDeque::new();
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let open = drain(&mut sent, &mut waiting);
            let due = take_due(&mut waiting, plan.label_delay);
            recorder.labels(|labels| labels.due += due.len() as u64);
            post_office.set_endpoints(&endpoints.borrow());
            for part in due.chunks(LABELS_PER_POST) {
                post_office.post(&delivery(part, &plan.run, &rows));
            }
            if !open && waiting.is_empty() {
                break;
            }
        }
        post_office.close().await;
    };
    tokio::select! { () = looking => {}, () = posting => {} }
}

/// Takes over what was sent since the last time; whether more may come.
fn drain(sent: &mut mpsc::Receiver<Sent>, waiting: &mut VecDeque<Sent>) -> bool {
    loop {
        // What does not fit stays in the channel, and is counted as dropped when that is full too.
        if waiting.len() >= QUEUE {
            return true;
        }
        match sent.try_recv() {
            Ok(request) => waiting.push_back(request),
            Err(mpsc::error::TryRecvError::Empty) => return true,
            Err(mpsc::error::TryRecvError::Disconnected) => return false,
        }
    }
}

/// Requests at least `delay` old; the queue is in the order of sending.
fn take_due(waiting: &mut VecDeque<Sent>, delay: Duration) -> Vec<u64> {
    let now = Instant::now();
    let count = waiting.partition_point(|sent| now.saturating_duration_since(sent.at) >= delay);
    waiting.drain(..count).map(|sent| sent.request).collect()
}

fn delivery(requests: &[u64], run: &str, rows: &[Row]) -> Delivery {
    let labels: Vec<Label> = requests
        .iter()
        .filter_map(|&request| {
            let label = pick(rows, request)?.label;
            Some(Label {
                id: prediction_id(run, request),
                label,
            })
        })
        .collect();
    // Serialising strings and booleans cannot fail; an empty body would be refused and counted.
    Delivery {
        body: serde_json::to_vec(&labels).unwrap_or_default().into(),
        labels: labels.len() as u64,
    }
}

/// Keeps the list of endpoints up to date; on a failure the last one stays.
async fn look(source: &EndpointSource, known: watch::Sender<Vec<String>>, recorder: &Recorder) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match source.list().await {
            // Nobody listens any more once all labels are out; then this future is dropped.
            Ok(endpoints) => drop(known.send_replace(endpoints)),
            Err(error) => recorder.labels(|labels| {
                labels.lookup_failures += 1;
                labels.lookup_error = Some(error.to_string());
            }),
        }
    }
}

/// One worker for each endpoint, so that a pod which does not answer delays no other.
struct PostOffice {
    workers: HashMap<String, (mpsc::Sender<Delivery>, JoinHandle<()>)>,
    leaving: Vec<JoinHandle<()>>,
    client: Client<HttpConnector, Full<Bytes>>,
    recorder: Arc<Recorder>,
}

impl PostOffice {
    fn new(recorder: Arc<Recorder>) -> Self {
        Self {
            workers: HashMap::new(),
            leaving: Vec::new(),
            client: client(1, TIMEOUT),
            recorder,
        }
    }

    /// Starts workers for new endpoints, and lets those of vanished ones finish.
    fn set_endpoints(&mut self, endpoints: &[String]) {
        self.leaving.retain(|worker| !worker.is_finished());
        for (_, (_, worker)) in self.workers.extract_if(|address, _| !endpoints.contains(address)) {
            self.leaving.push(worker);
        }
        for address in endpoints {
            if !self.workers.contains_key(address) {
                let (sender, receiver) = mpsc::channel(BACKLOG);
                let worker = work(
                    address.clone(),
                    receiver,
                    self.client.clone(),
                    Arc::clone(&self.recorder),
                );
                self.workers.insert(address.clone(), (sender, tokio::spawn(worker)));
            }
        }
    }

    fn post(&self, delivery: &Delivery) {
        for (address, (sender, _)) in &self.workers {
            if sender.try_send(delivery.clone()).is_err() {
                self.recorder
                    .endpoint(address, |endpoint| endpoint.lost += delivery.labels);
            }
        }
    }

    async fn close(self) {
        let workers = self.workers.into_values().map(|(_, worker)| worker).chain(self.leaving);
        // Whoever has not finished by then is left behind; the counts show what is missing.
        let _ = tokio::time::timeout(LAST, join_all(workers)).await;
    }
}

async fn work(
    address: String,
    mut deliveries: mpsc::Receiver<Delivery>,
    client: Client<HttpConnector, Full<Bytes>>,
    recorder: Arc<Recorder>,
) {
    while let Some(delivery) = deliveries.recv().await {
        let mut answer = None;
        for _ in 0..ATTEMPTS {
            answer = tokio::time::timeout(TIMEOUT, attempt(&client, &address, &delivery))
                .await
                .ok()
                .flatten();
            if answer.is_some() {
                break;
            }
            recorder.endpoint(&address, |endpoint| endpoint.failed_attempts += 1);
            tokio::time::sleep(EVERY).await;
        }
        recorder.endpoint(&address, |endpoint| match answer {
            Some(answer) => endpoint.acknowledged(delivery.labels, answer),
            None => endpoint.lost += delivery.labels,
        });
    }
}

/// One attempt at a delivery. It may be repeated: a server counts a second label as duplicate.
async fn attempt(
    client: &Client<HttpConnector, Full<Bytes>>,
    address: &str,
    delivery: &Delivery,
) -> Option<LabelAnswer> {
    let request = Request::post(format!("http://{address}/labels"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(delivery.body.clone()))
        .ok()?;
    let answer = client.request(request).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let body = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await.ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}
