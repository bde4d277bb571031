//! What a cluster with nodes and a gateway would do in one namespace: pods become ready, routes are accepted and served.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use penin_api::foreign::HttpRoute;
use penin_api::names::{LABEL_CYCLE, LABEL_REVISION};
use penin_tests::cluster::mount_secrets;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::clock::FastClock;
use super::plane::{Plane, Segment};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(40);

/// The simulator of one namespace. It ends when it is dropped.
pub struct World {
    pub plane: Arc<Mutex<Plane>>,
    task: JoinHandle<()>,
}

impl World {
    /// Secrets are mounted at `keys`.
    pub fn start(client: Client, namespace: &str, route: &str, clock: FastClock, keys: PathBuf) -> Self {
        let plane = Plane {
            namespace: namespace.to_owned(),
            route: route.to_owned(),
            ..Plane::default()
        };
        let plane = Arc::new(Mutex::new(plane));
        let (shared, namespace) = (Arc::clone(&plane), namespace.to_owned());
        let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
        let task = tokio::spawn(async move {
            loop {
                let _ = mount_secrets(&secrets, &keys).await;
                // What is gone or changed meanwhile is looked at again.
                let _ = look(&client, &namespace, clock, &shared).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { plane, task }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(client: &Client, namespace: &str, clock: FastClock, plane: &Mutex<Plane>) -> Result<(), kube::Error> {
    pods(client, namespace, clock, plane).await?;
    routes(client, namespace, clock, plane).await
}

async fn pods(client: &Client, namespace: &str, clock: FastClock, plane: &Mutex<Plane>) -> Result<(), kube::Error> {
    let deployments = Api::<Deployment>::namespaced(client.clone(), namespace);
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let owned = ListParams::default().labels(LABEL_REVISION);
    let mut known: BTreeMap<String, EndpointSlice> = BTreeMap::new();
    for slice in slices.list(&owned).await? {
        known.insert(slice.name_any(), slice);
    }
    for deployment in deployments.list(&owned).await? {
        let revision = deployment.name_any();
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let wanted = slice(&deployment, replicas);
        let name = format!("{revision}-x");
        match known.get(&name) {
            None => drop(slices.create(&PostParams::default(), &wanted).await?),
            Some(slice) if slice.endpoints.as_ref().map_or(0, Vec::len) != usize::try_from(replicas).unwrap() => {
                let patch = Patch::Merge(json!({"endpoints": wanted.endpoints}));
                slices.patch(&name, &PatchParams::default(), &patch).await?;
            }
            Some(_) => {}
        }
        let mut plane = plane.lock().unwrap();
        if replicas > 0 {
            let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
            let image = pod.and_then(|pod| pod.containers[0].image.clone()).unwrap();
            plane
                .models
                .insert(revision.clone(), image.strip_prefix("model:").unwrap().to_owned());
            plane.born.entry(revision).or_insert_with(|| clock.now_ms());
        }
    }
    Ok(())
}

fn slice(deployment: &Deployment, replicas: i32) -> EndpointSlice {
    let revision = deployment.name_any();
    let endpoints: Vec<Value> = (0..replicas)
        .map(|pod| json!({"addresses": [format!("10.0.0.{}", pod + 1)], "conditions": {"ready": true}}))
        .collect();
    serde_json::from_value(json!({
        "addressType": "IPv4", "endpoints": endpoints,
        "metadata": {
            "name": format!("{revision}-x"),
            "labels": {
                "kubernetes.io/service-name": revision, LABEL_REVISION: revision,
                LABEL_CYCLE: deployment.labels()[LABEL_CYCLE],
            },
        },
    }))
    .unwrap()
}

async fn routes(client: &Client, namespace: &str, clock: FastClock, plane: &Mutex<Plane>) -> Result<(), kube::Error> {
    let api = Api::<HttpRoute>::namespaced(client.clone(), namespace);
    for route in api.list(&ListParams::default()).await? {
        let generation = route.metadata.generation;
        let confirmed = route.status.as_ref().is_some_and(|status| {
            let mut conditions = status.parents.iter().flat_map(|parent| &parent.conditions);
            conditions.any(|condition| condition.observed_generation == generation)
        });
        if confirmed {
            continue;
        }
        plane.lock().unwrap().serve(segment(&route, clock.now_ms()));
        let condition = |type_: &str| {
            json!({
                "type": type_, "status": "True", "observedGeneration": generation, "reason": "Accepted", "message": "",
                "lastTransitionTime": "2026-11-24T10:00:00Z",
            })
        };
        let status = json!({"status": {"parents": [{
            "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"},
            "controllerName": "example.com/gateway", "conditions": [condition("Accepted"), condition("ResolvedRefs")],
        }]}});
        let params = PatchParams::default();
        api.patch_status(&route.name_any(), &params, &Patch::Merge(status))
            .await?;
    }
    Ok(())
}

fn segment(route: &HttpRoute, from_ms: i64) -> Segment {
    let rule = &route.spec.rules[0];
    let weights = rule
        .backend_refs
        .iter()
        .map(|backend| (backend.name.clone(), i64::from(backend.weight)));
    let mirror = rule.filters.iter().find_map(|filter| filter.request_mirror.as_ref());
    Segment {
        from_ms,
        weights: weights.collect(),
        mirror: mirror.map(|mirror| {
            (
                mirror.backend_ref.name.clone(),
                i64::from(mirror.percent.unwrap_or(100)),
            )
        }),
    }
}
