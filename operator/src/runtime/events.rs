//! Kubernetes events: published by one task from a bounded queue. An event that cannot be published is dropped and
//! counted; it never fails or delays a pass, because nothing may depend on events.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Most events that wait to be published.
const QUEUE: usize = 256;
/// Longest time to publish one.
const LIMIT: Duration = Duration::from_secs(5);

/// Something worth telling, about one object.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The object.
    pub about: ObjectReference,
    /// Whether it was unexpected.
    pub warning: bool,
    /// `CamelCase`, from a closed set.
    pub reason: String,
    /// What was done.
    pub action: String,
    /// One sentence.
    pub note: String,
}

/// Hands notices to the publishing task.
#[derive(Clone, Debug)]
pub struct Notifier {
    queue: mpsc::Sender<Notice>,
    metrics: Metrics,
}

impl Notifier {
    /// Queues a notice, or drops it when the queue is full.
    pub fn tell(&self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            self.metrics.event_dropped();
        }
    }
}

/// Starts the publishing task. `instance` is the pod's name.
#[must_use]
pub fn start(client: Client, instance: String, metrics: Metrics, stop: CancellationToken) -> Notifier {
    let (queue, mut notices) = mpsc::channel::<Notice>(QUEUE);
    let reporter = Reporter { controller: "penin.ai/operator".to_owned(), instance: Some(instance) };
    let recorder = Recorder::new(client, reporter);
    let counted = metrics.clone();
    tokio::spawn(async move {
        loop {
            let notice = tokio::select! {
                () = stop.cancelled() => break,
                notice = notices.recv() => match notice { Some(notice) => notice, None => break },
            };
            let event = Event {
                type_: if notice.warning { EventType::Warning } else { EventType::Normal },
                reason: notice.reason,
                note: Some(notice.note.chars().take(1024).collect()),
                action: notice.action,
                secondary: None,
            };
            let published = tokio::time::timeout(LIMIT, recorder.publish(&event, &notice.about)).await;
            if !matches!(published, Ok(Ok(()))) {
                counted.event_dropped();
            }
        }
    });
    Notifier { queue, metrics }
}
