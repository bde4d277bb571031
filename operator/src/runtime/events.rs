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
    let reporter = Reporter {
        controller: "penin.ai/operator".to_owned(),
        instance: Some(instance),
    };
    let recorder = Recorder::new(client, reporter);
    let counted = metrics.clone();
    tokio::spawn(async move {
        loop {
            let notice = tokio::select! {
                () = stop.cancelled() => break,
                notice = notices.recv() => match notice { Some(notice) => notice, None => break },
            };
            let event = Event {
                type_: if notice.warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::client::Body;

    use super::*;

    fn notice(number: usize) -> Notice {
        Notice {
            about: ObjectReference {
                name: Some(format!("income-{number}")),
                ..ObjectReference::default()
            },
            warning: false,
            reason: "Promoted".to_owned(),
            action: "Promote".to_owned(),
            note: "x".repeat(2_000),
        }
    }

    fn dropped(metrics: &Metrics) -> usize {
        let text = String::from_utf8(metrics.text().unwrap()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("penin_events_dropped_total "))
            .unwrap();
        line.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_costs_events_and_nothing_else() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let service = tower::service_fn(move |_: http::Request<Body>| {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<Result<http::Response<Body>, tower::BoxError>>()
        });
        let metrics = Metrics::new().unwrap();
        let stop = CancellationToken::new();
        let notifier = start(Client::new(service, "shop"), "pod".to_owned(), metrics.clone(), stop);
        let began = tokio::time::Instant::now();
        for number in 0..QUEUE + 50 {
            notifier.tell(notice(number));
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "telling never waits");
        assert_eq!(dropped(&metrics), 50);
        tokio::time::sleep(LIMIT * 3 + Duration::from_secs(1)).await;
        assert_eq!(
            (asked.load(Ordering::SeqCst), dropped(&metrics)),
            (4, 53),
            "one at a time, each given up"
        );
    }

    #[tokio::test]
    async fn an_event_is_published_with_a_note_of_the_length_that_the_api_admits() {
        let (sent, mut received) = mpsc::channel(1);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let sent = sent.clone();
            async move {
                let body = http_body_util::BodyExt::collect(request.into_body()).await?.to_bytes();
                sent.send(serde_json::from_slice::<serde_json::Value>(&body)?).await?;
                Ok::<_, tower::BoxError>(http::Response::new(Body::from(body.to_vec())))
            }
        });
        let metrics = Metrics::new().unwrap();
        let stop = CancellationToken::new();
        let notifier = start(Client::new(service, "shop"), "pod".to_owned(), metrics.clone(), stop);
        notifier.tell(notice(1));
        let event = received.recv().await.unwrap();
        assert_eq!(event["note"].as_str().unwrap().chars().count(), 1_024);
        assert_eq!(
            (event["reason"].as_str(), event["type"].as_str()),
            (Some("Promoted"), Some("Normal"))
        );
        assert_eq!(dropped(&metrics), 0);
    }
}
