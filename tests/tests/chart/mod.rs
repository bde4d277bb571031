//! Rendering the chart, and an API server that takes it.

mod rights;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub use rights::{NEEDED, Right, kinds_used_by_the_operator, needed_rights, rights_of_operator};
pub use server::Server;

/// Sets of values that are rendered and read.
pub const VALUES: &[&[&str]] = &[
    &[],
    &["--set", "watchNamespace=shop"],
    &[
        "--set",
        "watchNamespace=shop,rbac.listAllRoutes=false,rbac.aggregate=false,admission.abortActor.enabled=true",
    ],
    &[
        "--set",
        "metrics.serviceMonitor.enabled=true,admission.abortActor.enabled=true,crds.keep=false",
    ],
    &[
        "--set",
        "serviceAccount.create=false,serviceAccount.name=mine,rbac.create=false,crds.enabled=false",
    ],
    &[
        "--set",
        "ledger.createSigningKeySecret=false,ledger.storageClassName=fast,ledger.accessMode=ReadWriteOncePod,ledger.origin=example.com/log",
    ],
    &[
        "--set",
        "ledger.generation=3,ledger.signingKeySecret=new-keys,ledger.formerSigningKeySecret=old-keys",
    ],
    &[
        "--set",
        "nameOverride=league,podLabels.a=b,nodeSelector.disk=ssd,priorityClassName=high,imagePullSecrets[0].name=r,extraArgs[0]=--log=debug",
    ],
];

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Helm as the test cluster builds it, with folders of its own.
pub struct Helm {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Helm {
    /// # Panics
    /// When it has not been built.
    pub fn new() -> Self {
        let versions = std::fs::read_to_string(root().join("tests/cluster/lib/versions.sh")).unwrap();
        let version = versions
            .lines()
            .find_map(|line| line.strip_prefix("HELM_VERSION="))
            .unwrap();
        let version = version.split_whitespace().next().unwrap().trim_matches('"');
        let program = cache().join(format!("bin/helm-{version}/helm"));
        assert!(
            program.exists(),
            "{} is missing: run `tests/cluster/build.sh node`",
            program.display()
        );
        Self {
            program,
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let home = self.home.path();
        let output = Command::new(&self.program)
            .args(arguments)
            .env("HELM_CACHE_HOME", home)
            .env("HELM_CONFIG_HOME", home)
            .env("HELM_DATA_HOME", home)
            .env("KUBECONFIG", home.join("none"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }

    /// The chart rendered, or why it is not.
    pub fn template(&self, values: &[&str]) -> Result<String, String> {
        let chart = root().join("charts/penin-operator");
        let fixed = [
            "template",
            "penin-operator",
            chart.to_str().unwrap(),
            "--namespace",
            "penin-system",
        ];
        self.run(&[fixed.as_slice(), values].concat())
    }

    /// # Panics
    /// When there is anything to complain about.
    pub fn lint(&self, values: &[&str]) {
        let chart = root().join("charts/penin-operator");
        let fixed = [
            "lint",
            "--strict",
            chart.to_str().unwrap(),
            "--namespace",
            "penin-system",
        ];
        let report = self.run(&[fixed.as_slice(), values].concat());
        let text = report.unwrap_or_else(|report| panic!("{values:?}: {report}"));
        assert!(
            !text.contains("[WARNING]") && !text.contains("[ERROR]"),
            "{values:?}: {text}"
        );
    }

    /// What Helm says after an installation.
    pub fn notes(&self, values: &[&str]) -> String {
        let chart = root().join("charts/penin-operator");
        let fixed = [
            "install",
            "penin-operator",
            chart.to_str().unwrap(),
            "--namespace",
            "penin-system",
            "--dry-run=client",
            "--output",
            "json",
        ];
        let release: Value = serde_json::from_str(&self.run(&[fixed.as_slice(), values].concat()).unwrap()).unwrap();
        release["info"]["notes"].as_str().unwrap().to_owned()
    }
}

fn cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("PENIN_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("penin-omega")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache/penin-omega")))
        .unwrap()
}

/// The objects of a stream of documents.
pub fn documents(text: &str) -> Vec<Value> {
    let parts = format!("\n{text}");
    let read = |part: &str| -> Option<Value> {
        let value: Value = serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{error}:\n{part}"));
        (!value.is_null()).then_some(value)
    };
    let has_text = |part: &&str| {
        part.lines()
            .any(|line| !line.trim().is_empty() && !line.starts_with('#'))
    };
    parts.split("\n---").filter(has_text).filter_map(read).collect()
}

/// The one object of this kind and name.
pub fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == name;
    let found: Vec<&Value> = documents.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{kind} {name}");
    found[0]
}

/// The kinds that occur.
pub fn kinds(documents: &[Value]) -> BTreeSet<String> {
    documents
        .iter()
        .map(|document| document["kind"].as_str().unwrap().to_owned())
        .collect()
}
