//! The Helm chart: rendered by a real Helm, read in full, and offered to a real API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod chart;

use std::collections::BTreeSet;

use chart::{Helm, documents, find, kinds};
use serde_json::{Value, json};

const NAMESPACE: &str = "penin-system";

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn lint_finds_nothing_with_any_values() {
    let helm = Helm::new();
    for values in chart::VALUES {
        helm.lint(values);
    }
}

#[test]
fn bad_values_are_refused_by_the_schema() {
    let helm = Helm::new();
    let cases = [
        ("image.tag=latest", "tag"),
        ("image.digest=abc", "digest"),
        ("imagePullPolicy=Always", "imagePullPolicy"),
        ("ledger.size=10", "size"),
        ("ledger.accessMode=ReadWriteMany", "accessMode"),
        ("ledger.origin=a b", "origin"),
        ("watchNamespace=Upper", "watchNamespace"),
        ("ledger.signingKeySecret=", "signingKeySecret"),
        ("ledger.formerSigningKeySecret=Old_Keys", "formerSigningKeySecret"),
        ("ledger.generation=0", "generation"),
        ("ledger.generation=10000", "generation"),
        ("replicas=2", "replicas"),
        ("crds.enabled=maybe", "enabled"),
        ("admission.abortActor.enabled=1", "enabled"),
        ("terminationGracePeriodSeconds=1", "terminationGracePeriodSeconds"),
    ];
    for (value, named) in cases {
        let refusal = helm.template(&["--set", value]).expect_err(value);
        assert!(
            refusal.contains(named) && refusal.contains("schema"),
            "{value}: {refusal}"
        );
    }
    let refusal = helm.template(&["--set", "serviceAccount.create=false"]).unwrap_err();
    assert!(refusal.contains("serviceAccount.name must be set"), "{refusal}");
}

#[test]
fn definitions_are_those_of_the_types_and_outlive_the_release() {
    let helm = Helm::new();
    let rendered = documents(&helm.template(&[]).unwrap());
    for crd in penin_api::crds().unwrap() {
        let mut expected = serde_json::to_value(&crd).unwrap();
        let name = expected["metadata"]["name"].as_str().unwrap().to_owned();
        let found = find(&rendered, "CustomResourceDefinition", &name);
        assert_eq!(
            found["metadata"]["annotations"]["helm.sh/resource-policy"], "keep",
            "{name}"
        );
        expected["metadata"] = found["metadata"].clone();
        assert_eq!(
            with_equal_numbers(found),
            with_equal_numbers(&expected),
            "{name} changed on its way through Helm"
        );
    }
    let without = documents(&helm.template(&["--set", "crds.enabled=false"]).unwrap());
    assert!(!kinds(&without).contains("CustomResourceDefinition"));
    let released = documents(&helm.template(&["--set", "crds.keep=false"]).unwrap());
    let crd = find(&released, "CustomResourceDefinition", "penincycles.penin.ai");
    assert_eq!(crd["metadata"]["annotations"].get("helm.sh/resource-policy"), None);
}

/// Helm writes a large whole number as 1e+09.
fn with_equal_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(with_equal_numbers).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| (key.clone(), with_equal_numbers(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[test]
fn the_pod_meets_the_restricted_standard_and_keeps_its_volume() {
    let helm = Helm::new();
    let rendered = documents(&helm.template(&[]).unwrap());
    let set = &find(&rendered, "StatefulSet", "penin-operator")["spec"];
    assert_eq!(set["replicas"], 1);
    assert_eq!(
        set["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
    );
    let pod = &set["template"]["spec"];
    let security = &pod["securityContext"];
    assert_eq!(
        (&security["runAsNonRoot"], &security["seccompProfile"]["type"]),
        (&json!(true), &json!("RuntimeDefault"))
    );
    for forbidden in ["hostNetwork", "hostPID", "hostIPC", "hostPath"] {
        assert_eq!(pod.get(forbidden), None);
    }
    let containers = pod["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    let container = &containers[0];
    let expected = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container["securityContext"], expected);
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert!(!container["image"].as_str().unwrap().ends_with(":latest"));
    // The names that the arguments carry are those that the roles allow.
    let arguments = strings(&container["args"]);
    for argument in [
        "--lease=penin-operator",
        "--ledger-anchor=penin-operator",
        "--signing-key-secret=penin-ledger-keys",
    ] {
        assert!(arguments.contains(&argument), "{arguments:?}");
    }
    let digest = format!("sha256:{}", "0".repeat(64));
    let pinned = documents(&helm.template(&["--set", &format!("image.digest={digest}")]).unwrap());
    let image = &find(&pinned, "StatefulSet", "penin-operator")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &json!(format!("penin.ai/penin-operator@{digest}")));
}

#[test]
fn arguments_of_the_chart_are_arguments_of_the_program() {
    use clap::CommandFactory as _;
    let helm = Helm::new();
    let command = penin_operator::operator::Arguments::command();
    for values in chart::VALUES {
        let rendered = documents(&helm.template(values).unwrap());
        let set = rendered
            .iter()
            .find(|document| document["kind"] == "StatefulSet")
            .unwrap();
        let arguments = strings(&set["spec"]["template"]["spec"]["containers"][0]["args"]);
        let whole = ["penin-operator"].into_iter().chain(arguments.iter().copied());
        let parsed = command.clone().try_get_matches_from(whole);
        assert!(parsed.is_ok(), "{arguments:?}: {}", parsed.unwrap_err());
    }
}

#[test]
fn rights_are_those_that_the_source_needs_and_no_others() {
    let helm = Helm::new();
    for values in chart::VALUES {
        let rendered = documents(&helm.template(values).unwrap());
        for role in rendered.iter().filter(|document| {
            let kind = document["kind"].as_str().unwrap_or_default();
            kind == "Role" || kind == "ClusterRole"
        }) {
            for rule in role["rules"].as_array().unwrap() {
                let words = ["apiGroups", "resources", "verbs"]
                    .map(|field| strings(&rule[field]))
                    .concat();
                assert!(!words.iter().any(|word| word.contains('*')), "{values:?}: {rule}");
                if strings(&rule["resources"]).contains(&"secrets") {
                    assert_eq!(strings(&rule["verbs"]), ["create"], "{rule}");
                }
            }
        }
    }
    let rendered = documents(&helm.template(&[]).unwrap());
    let granted: BTreeSet<chart::Right> = ["Role", "ClusterRole"]
        .into_iter()
        .flat_map(|kind| chart::rights_of_operator(&rendered, kind))
        .collect();
    let needed = chart::needed_rights();
    assert_eq!(
        granted, needed,
        "left: granted by the chart, right: needed by the operator"
    );
    let used = chart::kinds_used_by_the_operator();
    let expected: BTreeSet<&str> = chart::NEEDED.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(
        used.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        expected,
        "left: found in operator/src"
    );
    let own_keys = documents(
        &helm
            .template(&["--set", "ledger.createSigningKeySecret=false"])
            .unwrap(),
    );
    let rights = chart::rights_of_operator(&own_keys, "Role");
    assert!(
        !rights
            .iter()
            .any(|right| right.resource == "secrets" && right.verb == "create"),
        "{rights:?}"
    );
}

/// The Secrets that a pod mounts where the operator looks for them: read-only, and not needed for it to start.
fn mounted_secrets(pod: &Value) -> Vec<&str> {
    let arguments = strings(&pod["containers"][0]["args"]);
    let mut directory = arguments
        .iter()
        .filter_map(|text| text.strip_prefix("--signing-key-dir="));
    let directory = directory.next().unwrap();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let volumes = pod["volumes"].as_array().unwrap();
    let secrets = volumes.iter().filter(|volume| volume.get("secret").is_some());
    secrets
        .map(|volume| {
            let name = volume["secret"]["secretName"].as_str().unwrap();
            assert_eq!(volume["secret"]["optional"], true, "{volume}");
            assert_eq!(volume["secret"]["defaultMode"], 0o440, "{volume}");
            let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).unwrap();
            assert_eq!(mount["mountPath"], format!("{directory}/{name}"));
            assert_eq!(mount["readOnly"], true);
            name
        })
        .collect()
}

#[test]
fn new_keys_and_the_next_generation_bring_the_rights_that_they_need() {
    let helm = Helm::new();
    let rendered = |values: &str| documents(&helm.template(&["--set", values]).unwrap());
    let named = |documents: &[Value], resource: &str| -> BTreeSet<String> {
        let rights = chart::rights_of_operator(documents, "Role");
        let of = rights.into_iter().filter(|right| right.resource == resource);
        of.map(|right| right.name).filter(|name| !name.is_empty()).collect()
    };
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let rotating = rendered("ledger.signingKeySecret=new,ledger.formerSigningKeySecret=old");
    assert_eq!(
        named(&rotating, "secrets"),
        set(&[]),
        "keys are mounted, never read from the API"
    );
    let stateful = &find(&rotating, "StatefulSet", "penin-operator")["spec"]["template"]["spec"];
    let arguments = strings(&stateful["containers"][0]["args"]);
    for argument in ["--signing-key-secret=new", "--former-signing-key-secret=old"] {
        assert!(arguments.contains(&argument), "{arguments:?}");
    }
    assert_eq!(mounted_secrets(stateful), ["new", "old"]);
    let one = rendered("ledger.signingKeySecret=same,ledger.formerSigningKeySecret=same");
    let stateful = &find(&one, "StatefulSet", "penin-operator")["spec"]["template"]["spec"];
    assert_eq!(mounted_secrets(stateful), ["same"]);
    // The operator names anchors, policies and directories the same way; its own test has the same names.
    for (generation, anchors, policy) in [
        (1, set(&["penin-operator"]), "penin-operator-policy"),
        (
            2,
            set(&["penin-operator", "penin-operator-2"]),
            "penin-operator-2-policy",
        ),
        (
            3,
            set(&["penin-operator-2", "penin-operator-3"]),
            "penin-operator-3-policy",
        ),
    ] {
        let documents = rendered(&format!(
            "ledger.generation={generation},ledger.createSigningKeySecret=false"
        ));
        assert_eq!(named(&documents, "ledgeranchors"), anchors);
        assert_eq!(named(&documents, "ledgeranchors/status"), anchors);
        assert_eq!(named(&documents, "configmaps"), set(&[policy]));
        let stateful = &find(&documents, "StatefulSet", "penin-operator")["spec"]["template"]["spec"];
        let argument = format!("--ledger-generation={generation}");
        assert!(strings(&stateful["containers"][0]["args"]).contains(&argument.as_str()));
    }
    assert!(
        helm.notes(&["--set", "ledger.generation=2"])
            .contains("verify /var/lib/penin/ledger-2")
    );
}

#[test]
fn switches_switch() {
    let helm = Helm::new();
    let plain = kinds(&documents(&helm.template(&[]).unwrap()));
    assert!(
        !plain.contains("ServiceMonitor") && !plain.contains("ValidatingAdmissionPolicy"),
        "{plain:?}"
    );
    let all = [
        "--set",
        "metrics.serviceMonitor.enabled=true,admission.abortActor.enabled=true",
    ];
    let rendered = documents(&helm.template(&all).unwrap());
    for kind in [
        "ServiceMonitor",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] {
        assert!(kinds(&rendered).contains(kind), "{kind}");
    }
    let service = &find(&rendered, "Service", "penin-operator")["spec"];
    let monitor = &find(&rendered, "ServiceMonitor", "penin-operator")["spec"];
    let set = &find(&rendered, "StatefulSet", "penin-operator")["spec"];
    assert_eq!(monitor["endpoints"][0]["port"], service["ports"][0]["name"]);
    assert_eq!(service["selector"], set["selector"]["matchLabels"]);
    let bare = kinds(&documents(&helm.template(&["--set", "rbac.create=false"]).unwrap()));
    assert!(!bare.iter().any(|kind| kind.contains("Role")), "{bare:?}");
    let narrow = documents(
        &helm
            .template(&[
                "--set",
                "watchNamespace=shop,rbac.listAllRoutes=false,rbac.aggregate=false",
            ])
            .unwrap(),
    );
    let cluster_wide: Vec<&Value> = narrow
        .iter()
        .filter(|document| document["kind"] == "ClusterRoleBinding")
        .collect();
    assert_eq!(cluster_wide, Vec::<&Value>::new());
}

#[test]
fn the_notes_say_how_to_go_on() {
    let helm = Helm::new();
    let notes = helm.notes(&[]);
    assert!(notes.contains("rollout status statefulset/penin-operator"), "{notes}");
    assert!(notes.contains("Keep a copy of the Secret penin-ledger-keys"), "{notes}");
    assert!(!notes.contains("crds.keep is false"), "{notes}");
    assert!(
        helm.notes(&["--set", "crds.keep=false"])
            .contains("Delete the cycles first")
    );
}

#[tokio::test]
async fn an_api_server_takes_all_of_it_and_grants_what_the_operator_needs() {
    let server = chart::Server::start(&["--set", "admission.abortActor.enabled=true"], NAMESPACE).await;
    let operator = format!("system:serviceaccount:{NAMESPACE}:penin-operator");
    for right in chart::needed_rights() {
        let place = if right.own { NAMESPACE } else { "shop" };
        assert!(server.allows(&operator, &right, place).await, "refused: {right:?}");
    }
    let forbidden = [
        ("", "secrets", "get", "some-secret"),
        ("", "secrets", "get", "penin-ledger-keys"),
        ("", "secrets", "list", ""),
        ("", "pods", "list", ""),
        ("", "pods/exec", "create", ""),
        ("apps", "deployments", "update", ""),
        ("penin.ai", "promotiongates", "patch", ""),
        ("penin.ai", "challengers", "create", ""),
        ("penin.ai", "penincycles", "delete", ""),
        ("penin.ai", "ledgeranchors", "delete", "penin-operator"),
        ("rbac.authorization.k8s.io", "roles", "create", ""),
        ("gateway.networking.k8s.io", "httproutes", "delete", ""),
    ];
    for (group, resource, verb, name) in forbidden {
        let right = chart::Right::of(group, resource, verb, name);
        for place in [NAMESPACE, "shop"] {
            assert!(
                !server.allows(&operator, &right, place).await,
                "allowed in {place}: {right:?}"
            );
        }
    }
}

#[tokio::test]
async fn whoever_aborts_signs_with_their_own_name() {
    let server = chart::Server::start(&["--set", "admission.abortActor.enabled=true"], NAMESPACE).await;
    let namespace = server.namespace("signed").await;
    let object = json!({
        "apiVersion": "penin.ai/v1alpha1", "kind": "Challenger", "metadata": {"name": "better", "namespace": namespace},
        "spec": {"cycleRef": {"name": "income"}, "containers": [{"name": "server", "image": "example.com/a:1"}]},
    });
    server.create(&object).await.unwrap();
    let asks = |command: Value, actor: Value| json!({"metadata": {"annotations": {"penin.ai/abort": command, "penin.ai/abort-actor": actor}}});
    // Until the policy is in force the wrong name gets through; after that it never does again. Each try is a new
    // command, for what does not change is let through.
    let tries = std::cell::Cell::new(0);
    server
        .eventually("the policy to be in force", || {
            tries.set(tries.get() + 1);
            let wrong = asks(json!(format!("try-{}", tries.get())), json!("bob"));
            let (server, namespace) = (&server, &namespace);
            async move { server.patch_as("alice", namespace, "better", &wrong).await.is_err() }
        })
        .await;
    let refusal = server
        .patch_as("alice", &namespace, "better", &asks(json!("1"), json!("bob")))
        .await
        .unwrap_err();
    assert!(refusal.contains("must be alice"), "{refusal}");
    let nameless = json!({"metadata": {"annotations": {"penin.ai/abort": "1", "penin.ai/abort-actor": null}}});
    server
        .patch_as("alice", &namespace, "better", &nameless)
        .await
        .unwrap_err();
    server
        .patch_as("alice", &namespace, "better", &asks(json!("1"), json!("alice")))
        .await
        .unwrap();
    // What says nothing about commands is nobody's business, the operator's finalizers least of all.
    let label = json!({"metadata": {"labels": {"team": "x"}}});
    server.patch_as("bob", &namespace, "better", &label).await.unwrap();
    server
        .patch_as("bob", &namespace, "better", &asks(json!("1"), json!("bob")))
        .await
        .map(drop)
        .expect_err("bob signs what alice asked for");
    server
        .patch_as("bob", &namespace, "better", &asks(Value::Null, Value::Null))
        .await
        .unwrap();
}
