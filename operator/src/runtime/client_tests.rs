use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::WatchParams;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

/// A client whose server is `serve`.
fn client<F, B>(metrics: &Metrics, serve: impl FnMut(http::Request<Body>) -> F + Send + 'static) -> Client
where
    F: Future<Output = Result<http::Response<B>, BoxError>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let layer = Bounded {
        limit: LIMIT,
        slots: Arc::new(Semaphore::new(CONCURRENT)),
        metrics: metrics.clone(),
    };
    ClientBuilder::new(tower::service_fn(serve), "default")
        .with_layer(&layer)
        .build()
}

fn map() -> http::Response<Full<Bytes>> {
    http::Response::new(Full::from(
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#,
    ))
}

fn counted(metrics: &Metrics, verb: &str, code: &str) -> bool {
    let text = String::from_utf8(metrics.text().unwrap()).unwrap();
    text.contains(&format!(
        "penin_api_requests_total{{code=\"{code}\",verb=\"{verb}\"}} 1"
    ))
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up() {
    let metrics = Metrics::new().unwrap();
    let client = client(&metrics, |_| async {
        std::future::pending::<Result<http::Response<Full<Bytes>>, _>>().await
    });
    let began = tokio::time::Instant::now();
    let error = Api::<ConfigMap>::default_namespaced(client).get("a").await.unwrap_err();
    assert_eq!(began.elapsed(), LIMIT);
    assert!(format!("{error:?}").contains("TooSlow"), "{error:?}");
    assert!(counted(&metrics, "get", "0"));
}

#[tokio::test]
async fn a_request_without_a_verb_counts_by_its_method() {
    let metrics = Metrics::new().unwrap();
    let client = client(&metrics, |_| async { Ok(map()) });
    for method in [http::Method::GET, http::Method::PUT, http::Method::OPTIONS] {
        let request = http::Request::builder().method(method).uri("/api").body(Vec::new());
        client.request_text(request.unwrap()).await.unwrap();
    }
    for verb in ["get", "replace", "other"] {
        assert!(counted(&metrics, verb, "2xx"), "{verb}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stops_in_the_middle_is_given_up() {
    let metrics = Metrics::new().unwrap();
    let client = client(&metrics, |_| async {
        let start = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{\"apiVersion\"")))]);
        Ok(http::Response::new(StreamBody::new(start.chain(stream::pending()))))
    });
    let began = tokio::time::Instant::now();
    assert!(Api::<ConfigMap>::default_namespaced(client).get("a").await.is_err());
    assert_eq!(began.elapsed(), LIMIT);
    assert!(counted(&metrics, "get", "0"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_after_the_limit() {
    let metrics = Metrics::new().unwrap();
    let client = client(&metrics, |_| async {
        let event = r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}}"#;
        let late = stream::once(async move {
            tokio::time::sleep(LIMIT * 3).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{event}\n"))))
        });
        Ok(http::Response::new(StreamBody::new(late)))
    });
    let api = Api::<ConfigMap>::default_namespaced(client);
    let events: Vec<_> = api.watch(&WatchParams::default(), "0").await.unwrap().collect().await;
    assert_eq!(events.len(), 1);
    assert!(events[0].is_ok());
    assert!(counted(&metrics, "watch", "2xx"));
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_slot_and_watches_do_not_keep_one() {
    let metrics = Metrics::new().unwrap();
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&busy), Arc::clone(&most));
    let client = client(&metrics, move |request| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        async move {
            if watch {
                let quiet = stream::pending::<Result<Frame<Bytes>, Infallible>>();
                return Ok(http::Response::new(StreamBody::new(quiet).boxed_unsync()));
            }
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            let (head, body) = map().into_parts();
            Ok(http::Response::from_parts(head, body.boxed_unsync()))
        }
    });
    let api = Api::<ConfigMap>::default_namespaced(client);
    let mut watches = Vec::new();
    for _ in 0..CONCURRENT * 2 {
        watches.push(api.watch(&WatchParams::default(), "0").await.unwrap());
    }
    let calls = (0..CONCURRENT * 3).map(|_| api.get("a"));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), CONCURRENT);
}
