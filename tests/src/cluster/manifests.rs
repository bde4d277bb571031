//! Server-side apply of YAML manifests of any kind that the API server serves.

use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, TypeMeta},
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use serde_json::Value;

use super::error::ClusterError;

/// The owner of the fields that a test sets.
const MANAGER: &str = "penin-tests";

/// Applies every document in its order. An object without a namespace goes to `namespace`.
pub(super) async fn apply(
    client: &Client,
    yaml: &str,
    namespace: Option<&str>,
) -> Result<Vec<DynamicObject>, ClusterError> {
    let mut applied = Vec::new();
    for object in parse(yaml)? {
        let label = describe(&object);
        let stored = apply_one(client, object, namespace)
            .await
            .map_err(|source| ClusterError::Refused {
                object: label,
                source: Box::new(source),
            })?;
        applied.push(stored);
    }
    Ok(applied)
}

async fn apply_one(
    client: &Client,
    object: DynamicObject,
    namespace: Option<&str>,
) -> Result<DynamicObject, kube::Error> {
    let types = object.types.clone().unwrap_or_default();
    let kind = gvk(&types);
    let (resource, capabilities) = discovery::pinned_kind(client, &kind).await?;
    let stated = object.namespace();
    let api: Api<DynamicObject> = match (capabilities.scope, stated.as_deref().or(namespace)) {
        (Scope::Namespaced, Some(place)) => Api::namespaced_with(client.clone(), place, &resource),
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(&object.name_any(), &parameters, &Patch::Apply(&object)).await
}

/// An unknown form of `apiVersion` becomes a kind that discovery does not find.
fn gvk(types: &TypeMeta) -> GroupVersionKind {
    GroupVersionKind::try_from(types).unwrap_or_else(|_| GroupVersionKind::gvk("", &types.api_version, &types.kind))
}

fn describe(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("object", |types| types.kind.as_str());
    format!("{kind} {}", object.name_any())
}

/// Empty documents are skipped; every other one must have apiVersion, kind and a name.
fn parse(yaml: &str) -> Result<Vec<DynamicObject>, ClusterError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).map_err(|error| ClusterError::Manifest {
        position: 1,
        reason: error.to_string(),
    })?;
    let mut objects = Vec::with_capacity(documents.len());
    for (index, document) in documents.into_iter().enumerate() {
        if document.is_null() {
            continue;
        }
        let wrong = |reason: String| ClusterError::Manifest {
            position: index + 1,
            reason,
        };
        let object: DynamicObject = serde_json::from_value(document).map_err(|error| wrong(error.to_string()))?;
        if object.types.is_none() {
            return Err(wrong("apiVersion and kind are missing".to_owned()));
        }
        if object.metadata.name.is_none() {
            return Err(wrong("metadata.name is missing".to_owned()));
        }
        objects.push(object);
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_objects_in_order() {
        let yaml = "---\napiVersion: v1\nkind: A\nmetadata: {name: one}\n---\napiVersion: g/v1\nkind: B\nmetadata: {name: two}\nspec: {on: true}\n";
        let objects = parse(yaml).unwrap();
        let names: Vec<String> = objects.iter().map(describe).collect();
        assert_eq!(names, ["A one", "B two"]);
        assert_eq!(objects[1].data["spec"]["on"], true);
        assert_eq!(
            gvk(objects[1].types.as_ref().unwrap()),
            GroupVersionKind::gvk("g", "v1", "B")
        );
    }

    #[test]
    fn what_is_no_object_is_named_by_its_position() {
        let table = [
            ("kind: A\nmetadata: {name: one}\n", "document 1"),
            (
                "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\napiVersion: v1\nkind: A\nmetadata: {}\n",
                "document 2 of the manifest: metadata.name",
            ),
            ("- 1\n- 2\n", "document 1"),
            ("a: [", "document 1"),
        ];
        for (yaml, wanted) in table {
            let error = parse(yaml).unwrap_err().to_string();
            assert!(error.contains(wanted), "{yaml:?}: {error}");
        }
    }
}
