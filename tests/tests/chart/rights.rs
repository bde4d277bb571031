//! What the operator may do, and what it does.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::root;

/// A right to do one thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group.
    pub group: String,
    /// Resource, with its subresource.
    pub resource: String,
    /// Verb.
    pub verb: String,
    /// Name of the one object; empty for all.
    pub name: String,
    /// Only in the operator's own namespace.
    pub own: bool,
}

impl Right {
    /// A right wherever the operator works.
    pub fn of(group: &str, resource: &str, verb: &str, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
            name: name.to_owned(),
            own: false,
        }
    }
}

/// The kinds of which the operator's source has an `Api`, and the calls that it makes: group, resource, verbs, name of
/// the one object (in the operator's own namespace) or none.
pub const NEEDED: &[(&str, &str, &str, &[&str], Option<&str>)] = &[
    (
        "PeninCycle",
        "penin.ai",
        "penincycles",
        &["get", "list", "watch", "patch"],
        None,
    ),
    ("PeninCycle", "penin.ai", "penincycles/status", &["patch"], None),
    // Not a call: an owner reference that holds up a deletion needs it where that is enforced.
    ("PeninCycle", "penin.ai", "penincycles/finalizers", &["update"], None),
    (
        "Challenger",
        "penin.ai",
        "challengers",
        &["get", "list", "watch", "patch"],
        None,
    ),
    ("Challenger", "penin.ai", "challengers/status", &["patch"], None),
    (
        "PromotionGate",
        "penin.ai",
        "promotiongates",
        &["get", "list", "watch"],
        None,
    ),
    ("PromotionGate", "penin.ai", "promotiongates/status", &["patch"], None),
    (
        "Deployment",
        "apps",
        "deployments",
        &["get", "list", "watch", "create", "patch", "delete"],
        None,
    ),
    (
        "Service",
        "",
        "services",
        &["get", "list", "create", "patch", "delete"],
        None,
    ),
    (
        "EndpointSlice",
        "discovery.k8s.io",
        "endpointslices",
        &["list", "watch"],
        None,
    ),
    (
        "HttpRoute",
        "gateway.networking.k8s.io",
        "httproutes",
        &["get", "list", "watch", "create", "update", "patch"],
        None,
    ),
    // Of the recorder of events.
    ("Event", "events.k8s.io", "events", &["create", "patch"], None),
    ("Lease", "coordination.k8s.io", "leases", &["create"], Some("")),
    (
        "Lease",
        "coordination.k8s.io",
        "leases",
        &["get", "update"],
        Some("penin-operator"),
    ),
    ("LedgerAnchor", "penin.ai", "ledgeranchors", &["create"], Some("")),
    (
        "LedgerAnchor",
        "penin.ai",
        "ledgeranchors",
        &["get"],
        Some("penin-operator"),
    ),
    (
        "LedgerAnchor",
        "penin.ai",
        "ledgeranchors/status",
        &["update"],
        Some("penin-operator"),
    ),
    ("ConfigMap", "", "configmaps", &["create"], Some("")),
    (
        "ConfigMap",
        "",
        "configmaps",
        &["get", "update"],
        Some("penin-operator-policy"),
    ),
    ("Secret", "", "secrets", &["create"], Some("")),
];

/// [`NEEDED`] as single rights.
pub fn needed_rights() -> BTreeSet<Right> {
    let each = NEEDED.iter().flat_map(|(_, group, resource, verbs, own)| {
        verbs.iter().map(move |verb| Right {
            own: own.is_some(),
            ..Right::of(group, resource, verb, own.unwrap_or_default())
        })
    });
    each.collect()
}

/// The rights that roles of a kind give to the operator's own account.
pub fn rights_of_operator(documents: &[Value], kind: &str) -> BTreeSet<Right> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let bound: Vec<String> = documents
        .iter()
        .filter(|document| document["kind"] == format!("{kind}Binding"))
        .filter(|binding| binding["subjects"][0]["name"] == "penin-operator")
        .map(|binding| text(&binding["roleRef"]["name"]))
        .collect();
    let roles = documents
        .iter()
        .filter(|document| document["kind"] == kind && bound.contains(&text(&document["metadata"]["name"])));
    let mut rights = BTreeSet::new();
    for rule in roles.flat_map(|role| role["rules"].as_array().unwrap()) {
        let list = |field: &str| -> Vec<String> { rule[field].as_array().into_iter().flatten().map(text).collect() };
        let names = Some(list("resourceNames"))
            .filter(|names| !names.is_empty())
            .unwrap_or_else(|| vec![String::new()]);
        for group in list("apiGroups") {
            for resource in list("resources") {
                for verb in list("verbs") {
                    rights.extend(names.iter().map(|name| Right {
                        own: kind == "Role",
                        ..Right::of(&group, &resource, &verb, name)
                    }));
                }
            }
        }
    }
    rights
}

/// Kinds that occur as `Api<Kind>`, `Api::<Kind>` or `scoped::<Kind>` in the operator's source, and the events of its
/// recorder.
pub fn kinds_used_by_the_operator() -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    visit(&root().join("operator/src"), &mut kinds);
    kinds
}

fn visit(folder: &Path, kinds: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, kinds);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            if text.contains("Recorder::new") {
                kinds.insert("Event".to_owned());
            }
            for start in ["Api<", "Api::<", "scoped::<"] {
                kinds.extend(text.split(start).skip(1).filter_map(kind_of));
            }
        }
    }
}

/// The kind in `Kind>`, `PartialObjectMeta<Kind>>`, `k8s::Kind>`; none for a parameter such as `K`.
fn kind_of(text: &str) -> Option<String> {
    let inner = text.strip_prefix("PartialObjectMeta<").unwrap_or(text);
    let (name, _) = inner.split_once('>')?;
    let name = name.rsplit("::").next()?;
    let is_kind = name.len() > 1 && name.chars().all(char::is_alphanumeric);
    is_kind.then(|| name.to_owned())
}
