//! Objects to offer to an API server, and the server.

pub mod acceptances;
pub mod anchors;
pub mod refusals;

use std::{fs, path::PathBuf, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    runtime::wait::{await_condition, conditions},
};
use penin_tests::cluster::{Cluster, TestNamespace};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Longest wait for a definition to be served.
const ESTABLISHED: Duration = Duration::from_secs(30);
/// After this time an idle API server serves the new text of a changed definition.
const RELOADED: Duration = Duration::from_secs(3);

/// A change of one place in an object.
#[derive(Clone, Debug)]
pub struct Edit {
    pointer: String,
    value: Option<Value>,
}

impl Edit {
    /// Puts a value at a JSON pointer; missing objects on the way are made.
    pub fn set(pointer: &str, value: Value) -> Self {
        Self {
            pointer: pointer.to_owned(),
            value: Some(value),
        }
    }

    /// Takes away what is at a JSON pointer.
    pub fn remove(pointer: &str) -> Self {
        Self {
            pointer: pointer.to_owned(),
            value: None,
        }
    }
}

/// The object with all changes.
pub fn edited(object: &Value, edits: &[Edit]) -> Value {
    let mut object = object.clone();
    for edit in edits {
        let (parent, key) = edit.pointer.rsplit_once('/').unwrap();
        let parent = parent.split('/').skip(1).fold(&mut object, |value, key| match value {
            Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
            value => value.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({})),
        });
        match (parent, &edit.value) {
            (Value::Array(items), Some(value)) if key == "-" => items.push(value.clone()),
            (Value::Array(items), Some(value)) => {
                items[key.parse::<usize>().unwrap()] = value.clone();
            }
            (Value::Array(items), None) => drop(items.remove(key.parse().unwrap())),
            (parent, Some(value)) => drop(parent.as_object_mut().unwrap().insert(key.to_owned(), value.clone())),
            (parent, None) => {
                let taken = parent.as_object_mut().unwrap().remove(key);
                assert!(taken.is_some(), "{} is not there to be removed", edit.pointer);
            }
        }
    }
    object
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/examples")
}

/// The example of this name from the documentation.
pub fn example(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// All examples of the documentation that are objects of ours, by name.
pub fn examples() -> Vec<(String, Value)> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    names.into_iter().map(|name| (name.clone(), example(&name))).collect()
}

/// A table beside this file.
pub fn table<T: DeserializeOwned>(name: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/api/{name}.yaml"));
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A real API server with our definitions, and a namespace of its own for each test.
pub struct Server {
    client: Client,
    namespace: TestNamespace,
}

impl Server {
    /// Connects and installs the definitions as they are generated.
    pub async fn start() -> Self {
        let cluster = Cluster::control_plane().await.unwrap();
        let client = cluster.client();
        let definitions = Api::all(client.clone());
        for definition in penin_api::crds().unwrap() {
            install(&definitions, &definition).await;
        }
        let namespace = cluster.namespace("api-rules").await.unwrap();
        Self { client, namespace }
    }

    /// Creates an object without keeping it, and returns it as it would be stored.
    ///
    /// # Errors
    /// The API server's message when it refuses.
    pub async fn create(&self, object: &Value) -> Result<Value, String> {
        let api = self.api(object);
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        match api.create(&params, &object).await {
            Ok(stored) => Ok(serde_json::to_value(stored).unwrap()),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(error) => panic!("the API server did not answer: {error}"),
        }
    }

    /// Access to the objects of this object's kind.
    pub fn api(&self, object: &Value) -> Api<DynamicObject> {
        let kind = object["kind"].as_str().unwrap();
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("penin.ai", "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &kind)
    }
}

async fn install(definitions: &Api<CustomResourceDefinition>, definition: &CustomResourceDefinition) {
    let name = definition.name_any();
    let before = definitions.get_opt(&name).await.unwrap();
    let params = PatchParams::apply("api-rules").force();
    let after = definitions
        .patch(&name, &params, &Patch::Apply(definition))
        .await
        .unwrap();
    let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
    tokio::time::timeout(ESTABLISHED, established).await.unwrap().unwrap();
    if before.is_some_and(|before| before.meta().generation != after.meta().generation) {
        // A definition that was served before says nothing about when its new text is.
        tokio::time::sleep(RELOADED).await;
    }
}
