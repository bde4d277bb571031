//! Secrets do not reach the volume, whatever field they travel in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::path::Path;

use common::{draft, open};
use penin_ledger::entry::DraftError;
use penin_ledger::{AppendError, Blob, Kind, MemoryAnchor, StateUpdate};
use serde_json::json;

const SECRET: &str = "hunter2-correct-horse-battery";

fn files(dir: &Path, visit: &mut impl FnMut(&Path, Vec<u8>)) {
    for item in std::fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files(&path, visit);
        } else {
            visit(&path, std::fs::read(&path).unwrap());
        }
    }
}

/// The secret as it stands, and as Base64 at each of the three alignments.
fn forms() -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let encode = |skip: usize| {
        let text = format!("{}{SECRET}", "x".repeat(skip));
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        // Only characters that the secret alone decides.
        encoded.as_bytes()[4..encoded.len() - 4].to_vec()
    };
    vec![SECRET.into(), encode(0), encode(1), encode(2)]
}

#[test]
fn no_file_of_the_ledger_ever_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), MemoryAnchor::default(), 1).unwrap();
    for (n, kind) in [Kind::Config, Kind::PromoteAttest, Kind::Rollback]
        .into_iter()
        .enumerate()
    {
        let mut draft = draft(kind, n as u64);
        let inner = json!({ "password": SECRET }).to_string();
        draft.body.insert("apiKey".into(), SECRET.into());
        draft
            .body
            .insert("env".into(), json!([{ "DB_PASSWORD": SECRET }, inner]));
        ledger.append(draft).wait().unwrap();
    }
    let mut queued = draft(Kind::Rollback, 9);
    queued.body.insert("oauthToken".into(), SECRET.into());
    ledger.queue_rollback(queued).unwrap();
    let hidden = json!({ "headers": { "Cookie": SECRET } }).to_string();
    let mut blob = draft(Kind::GateEval, 10);
    blob.blobs = vec![Blob {
        name: "evidence".into(),
        media_type: "application/json".into(),
        content: hidden.clone().into_bytes(),
    }];
    let mut state = draft(Kind::GateEval, 11);
    state.state = vec![StateUpdate {
        key: "engine".into(),
        value: hidden.into_bytes(),
    }];
    for draft in [blob, state] {
        let refused = ledger.append(draft).wait();
        let expected = Err(AppendError::Invalid(DraftError::Secret { field: String::new() }));
        assert_eq!(
            std::mem::discriminant(&refused),
            std::mem::discriminant(&expected),
            "{refused:?}"
        );
    }
    ledger.close();
    let mut looked_at = 0;
    files(dir.path(), &mut |path, bytes| {
        looked_at += 1;
        for form in forms() {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "{} holds the secret", path.display());
        }
    });
    assert!(looked_at > 5);
}
