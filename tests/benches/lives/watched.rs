//! When what was seen: the API's watches beside the operator, and Prometheus.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use penin_api::foreign::HttpRoute;
use penin_api::v1alpha1::Challenger;
use penin_api::v1alpha1::challenger::LifeState;
use penin_tests::cluster::wait_until;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::lives::{STAGE, STARTING, Served};

type Seen<T> = Arc<Mutex<Vec<(Instant, T)>>>;

/// What the API's watches have told, with the times of this process.
pub struct Watched {
    routes: Seen<BTreeMap<String, i32>>,
    states: Seen<(String, LifeState)>,
    ready: Seen<String>,
    _tasks: JoinSet<()>,
}

impl Watched {
    /// Watches the route called `route`, Challengers and Deployments of the namespace.
    pub fn new(served: &Served, route: &'static str) -> Self {
        let mut tasks = JoinSet::new();
        let routes = follow(&mut tasks, served.namespace.api::<HttpRoute>(), move |seen| {
            let live = seen.metadata.name.as_deref() == Some(route);
            let backends = &seen.spec.rules.first()?.backend_refs;
            live.then(|| {
                backends
                    .iter()
                    .map(|backend| (backend.name.clone(), backend.weight))
                    .collect()
            })
        });
        let states = follow(&mut tasks, served.namespace.api::<Challenger>(), |seen| {
            Some((seen.metadata.name?, seen.status?.position?.state))
        });
        let ready = follow(&mut tasks, served.namespace.api::<Deployment>(), |seen| {
            (seen.status?.ready_replicas? > 0).then_some(seen.metadata.name?)
        });
        Self {
            routes,
            states,
            ready,
            _tasks: tasks,
        }
    }

    /// The Challenger's revision, once it has one.
    pub async fn revision(&self, served: &Served, challenger: &str) -> String {
        let found = wait_until("a revision", STARTING, || async {
            served.status(challenger).await.revision.ok_or("none yet")
        });
        found.await.unwrap()
    }

    /// When the Deployment first had a ready pod.
    pub fn ready(&self, deployment: &str) -> Option<Instant> {
        first(&self.ready, |name| name == deployment)
    }

    /// When the route first had this weight for the revision.
    pub fn first_weight(&self, revision: &str, weight: i32) -> Option<Instant> {
        first(&self.routes, |weights| weights.get(revision) == Some(&weight))
    }

    /// When, after `since`, the route first gave the revision no more than this weight.
    pub fn weight(&self, revision: &str, weight: i32, since: Instant) -> Option<Instant> {
        let seen = self.routes.lock().unwrap();
        let mut later = seen.iter().filter(|(at, _)| *at >= since);
        later
            .find(|(_, weights)| weights.get(revision).copied().unwrap_or(0) <= weight)
            .map(|(at, _)| *at)
    }

    /// When, after `since`, the Challenger was first in this state.
    pub fn state(&self, challenger: &str, state: LifeState, since: Instant) -> Option<Instant> {
        let seen = self.states.lock().unwrap();
        let mut later = seen.iter().filter(|(at, _)| *at >= since);
        later
            .find(|(_, (name, is))| name == challenger && *is == state)
            .map(|(at, _)| *at)
    }

    /// When Prometheus first had a failed answer of the revision.
    pub async fn first_failure(&self, served: &Served, revision: &str) -> Instant {
        let cluster = format!("service/{}/{revision}/80/http", served.namespace.name());
        let failed = format!(
            "sum(envoy_cluster_upstream_rq_xx{{envoy_cluster_name=\"{cluster}\",envoy_response_code_class=\"5\"}})"
        );
        let seen = wait_until("a failed answer", STAGE, || async {
            match query(served, &failed).await {
                Some(count) if count > 0.0 => Ok(Instant::now()),
                other => Err(format!("{other:?}")),
            }
        });
        seen.await.unwrap()
    }
}

fn first<T>(seen: &Seen<T>, is: impl Fn(&T) -> bool) -> Option<Instant> {
    seen.lock()
        .unwrap()
        .iter()
        .find(|(_, value)| is(value))
        .map(|(at, _)| *at)
}

fn follow<K, T>(tasks: &mut JoinSet<()>, api: Api<K>, of: impl Fn(K) -> Option<T> + Send + 'static) -> Seen<T>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
    T: Send + 'static,
{
    let seen = Seen::default();
    let into = Arc::clone(&seen);
    tasks.spawn(async move {
        let mut objects = watcher(api, watcher::Config::default())
            .default_backoff()
            .applied_objects()
            .boxed();
        loop {
            match objects.try_next().await {
                Ok(Some(object)) => {
                    if let Some(value) = of(object) {
                        into.lock().unwrap().push((Instant::now(), value));
                    }
                }
                Ok(None) => return,
                // The next call tries again, after a pause.
                Err(_) => {}
            }
        }
    });
    seen
}

/// Calls of the API that an operator has made.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiCalls {
    pub reads: u64,
    pub writes: u64,
}

/// Reads them from the operator's metrics.
pub async fn api_calls(served: &Served) -> ApiCalls {
    let mut calls = ApiCalls::default();
    for line in metrics(served).await.lines() {
        let Some((labels, count)) = line
            .strip_prefix("penin_api_requests_total{")
            .and_then(|line| line.rsplit_once(' '))
        else {
            continue;
        };
        let count: u64 = count.parse().unwrap();
        if ["get", "list", "watch", "other"]
            .iter()
            .any(|verb| labels.contains(&format!("verb=\"{verb}")))
        {
            calls.reads += count;
        } else {
            calls.writes += count;
        }
    }
    calls
}

/// Resident memory of the operator in bytes.
pub async fn memory(served: &Served) -> u64 {
    let metrics = metrics(served).await;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    value.unwrap().parse::<f64>().unwrap() as u64
}

async fn metrics(served: &Served) -> String {
    let namespace = served.namespace.name();
    let path = format!("/api/v1/namespaces/{namespace}/pods/penin-operator-0:8080/proxy/metrics");
    text(served, &path).await.unwrap()
}

/// The value of a Prometheus expression that gives one.
async fn query(served: &Served, expression: &str) -> Option<f64> {
    let query: String = form_urlencoded::byte_serialize(expression.as_bytes()).collect();
    let path = format!("/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={query}");
    let answer: Value = serde_json::from_str(&text(served, &path).await?).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

async fn text(served: &Served, path: &str) -> Option<String> {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    served.cluster.client().request_text(request).await.ok()
}
