//! Every crate we build with may be used, changed and shipped by anybody: permissive licences only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, fs, path::Path};

use cargo_metadata::{Metadata, MetadataCommand};
use spdx::{Expression, LicenseReq, ParseMode};

/// The licences we accept. All of them let a user keep changes to himself and ask for no more than
/// that the notice stays. `deny.toml` holds the same list; a test below compares the two.
const ACCEPTED: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

fn accepted(requirement: &LicenseReq) -> bool {
    ACCEPTED.contains(&requirement.to_string().as_str())
}

/// `Err` says what is wrong with a crate's statement of its licence.
fn judge(stated: Option<&str>) -> Result<(), String> {
    let text = stated.ok_or("states no licence")?;
    // Old manifests write "MIT/Apache-2.0".
    let expression =
        Expression::parse_mode(text, ParseMode::LAX).map_err(|error| format!("states '{text}': {}", error.reason))?;
    if expression.evaluate(accepted) {
        Ok(())
    } else {
        Err(format!("is under '{text}'"))
    }
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata for the workspace")
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    let metadata = MetadataCommand::new()
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata");
    assert!(
        metadata.packages.len() > metadata.workspace_members.len(),
        "no dependency was looked at"
    );
    let refused: BTreeMap<String, String> = metadata
        .packages
        .iter()
        .filter_map(|package| {
            let problem = judge(package.license.as_deref()).err()?;
            Some((format!("{} {}", package.name, package.version), problem))
        })
        .collect();
    assert!(
        refused.is_empty(),
        "these crates cannot be used; take another one, or add the licence to ACCEPTED and deny.toml if it is permissive:\n{}",
        refused
            .iter()
            .map(|(name, problem)| format!("  {name} {problem}\n"))
            .collect::<String>()
    );
}

#[test]
fn our_own_crates_are_under_apache_2() {
    for package in metadata().packages {
        assert_eq!(package.license.as_deref(), Some("Apache-2.0"), "{}", package.name);
    }
}

#[test]
fn expressions_are_read_as_written() {
    let table = [
        (Some("MIT"), true),
        (Some("MIT/Apache-2.0"), true),
        (Some("GPL-3.0-only OR MIT"), true),
        (Some("(MIT OR Apache-2.0) AND Unicode-3.0"), true),
        (Some("Apache-2.0 WITH LLVM-exception"), true),
        (Some("MIT AND GPL-2.0-only"), false),
        (Some("AGPL-3.0-or-later"), false),
        (Some("MPL-2.0"), false),
        (Some("BUSL-1.1"), false),
        (Some("GPL-2.0-only WITH Classpath-exception-2.0"), false),
        (Some("as you like"), false),
        (None, false),
    ];
    for (text, wanted) in table {
        assert_eq!(judge(text).is_ok(), wanted, "{text:?}: {:?}", judge(text));
    }
}

#[test]
fn cargo_deny_has_the_same_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let deny = fs::read_to_string(path).expect("deny.toml");
    let (_, section) = deny.split_once("allow = [").expect("a list of allowed licences");
    let (list, _) = section.split_once(']').expect("the end of the list");
    let mut allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ACCEPTED);
}
