//! An API server with the chart's objects in it.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use penin_api::v1alpha1::Challenger;
use penin_tests::cluster::{Cluster, wait_until};
use serde_json::{Value, json};

use super::{Helm, Right, documents};

/// Longest wait for a definition to be served or a policy to be in force.
const SERVED: Duration = Duration::from_secs(60);

/// A control plane of its own, because policies and roles are everybody's.
pub struct Server {
    cluster: Cluster,
    client: Client,
}

impl Server {
    /// Renders the chart and offers every object of it, definitions first.
    pub async fn start(values: &[&str], namespace: &str) -> Self {
        let cluster = Cluster::private_control_plane().await.unwrap();
        let client = cluster.client();
        let server = Self { cluster, client };
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        server.apply(&space).await;
        let mut objects = documents(&Helm::new().template(values).unwrap());
        objects.sort_by_key(|object| object["kind"] != "CustomResourceDefinition");
        for object in &objects {
            server.apply(object).await;
        }
        let challengers: Api<Challenger> = Api::all(server.client.clone());
        wait_until("the definitions to be served", SERVED, || async {
            challengers.list(&kube::api::ListParams::default()).await
        })
        .await
        .unwrap();
        server
    }

    async fn apply(&self, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (group, version) = match text("/apiVersion").unwrap().split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", text("/apiVersion").unwrap()),
        };
        let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind").unwrap()));
        if resource.kind.ends_with("Policy") {
            resource.plural = resource.kind.to_lowercase().replace("policy", "policies");
        }
        let api: Api<DynamicObject> = match text("/metadata/namespace") {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let name = text("/metadata/name").unwrap();
        let params = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply("chart-test").force()
        };
        let applied = api.patch(name, &params, &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("{} {name}: {error}", resource.kind));
    }

    /// Whether the API server would let a user do it in a namespace.
    pub async fn allows(&self, user: &str, right: &Right, namespace: &str) -> bool {
        let (resource, subresource) = match right.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (right.resource.as_str(), None),
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(right.group.clone()),
                    resource: Some(resource.to_owned()),
                    subresource,
                    verb: Some(right.verb.clone()),
                    name: Some(right.name.clone()).filter(|name| !name.is_empty()),
                    namespace: Some(namespace.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = api.create(&PostParams::default(), &review).await.unwrap();
        answer.status.unwrap().allowed
    }

    /// Makes a namespace.
    pub async fn namespace(&self, name: &str) -> String {
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply(&space).await;
        name.to_owned()
    }

    /// Creates a Challenger.
    ///
    /// # Errors
    /// The API server's message.
    pub async fn create(&self, object: &Value) -> Result<(), String> {
        let challenger: Challenger = serde_json::from_value(object.clone()).unwrap();
        let namespace = object["metadata"]["namespace"].as_str().unwrap();
        let api: Api<Challenger> = Api::namespaced(self.client.clone(), namespace);
        let created = api.create(&PostParams::default(), &challenger).await;
        created.map(drop).map_err(|error| error.to_string())
    }

    /// Patches a Challenger as an administrator of another name.
    ///
    /// # Errors
    /// The API server's message.
    pub async fn patch_as(&self, user: &str, namespace: &str, name: &str, patch: &Value) -> Result<(), String> {
        let file = kube::config::Kubeconfig::read_from(self.cluster.kubeconfig()).unwrap();
        let mut config = Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
        let api: Api<Challenger> = Api::namespaced(Client::try_from(config).unwrap(), namespace);
        let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(drop).map_err(|error| error.to_string())
    }

    /// Waits until something holds.
    pub async fn eventually<F: Future<Output = bool>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        let look = || {
            let look = holds();
            async move { if look.await { Ok(()) } else { Err("not yet") } }
        };
        wait_until(what, SERVED, look).await.unwrap();
    }
}
