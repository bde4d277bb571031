//! What the integration tests share.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;

use penin_ledger::{
    Anchor, Blob, CycleRef, Digest, Draft, Failure, Keys, Kind, Ledger, Options, Reader, StateUpdate, Subject,
};

pub const ORIGIN: &str = "test.penin.ai/ledger/default/1";
pub const START_MS: i64 = 1_790_000_000_000;

pub fn keys() -> Keys {
    Keys::generate([42; 64])
}

pub fn options() -> Options {
    let mut options = Options::new(ORIGIN, START_MS);
    options.any_filesystem = true;
    options.anchor_attempts = 2;
    options.anchor_pause = std::time::Duration::from_millis(5);
    options.holder = "penin-operator-0".into();
    options
}

pub fn open(dir: &Path, anchor: impl Anchor + 'static, epoch: u64) -> Result<Ledger, Failure> {
    Ledger::open(dir, keys(), Box::new(anchor), epoch, options())
}

pub fn draft(kind: Kind, n: u64) -> Draft {
    let subject = Subject {
        name: format!("registry.example/ranker:{n}"),
        sha256: Digest::of(format!("model {n}").as_bytes()),
    };
    let mut draft = Draft::new(kind, subject, START_MS + i64::try_from(n).unwrap());
    draft.cycle = Some(CycleRef {
        name: "shop/ranker".into(),
        uid: "3f0e".into(),
    });
    draft.trace_id = format!("{n:032x}");
    let gates = serde_json::json!([{"name": "rho", "value": 0.25, "status": "Pass"}]);
    draft.body.insert("gates".into(), gates);
    draft.body.insert("n".into(), n.to_string().into());
    draft.content_hashes = vec![Digest::of(&n.to_be_bytes())];
    draft
}

pub fn with_state(n: u64) -> Draft {
    let mut draft = draft(Kind::GateEval, n);
    draft.state = vec![StateUpdate {
        key: "engine/shop/ranker".into(),
        value: format!("{{\"cycle\":{n}}}").into_bytes(),
    }];
    draft.blobs = vec![Blob {
        name: "evidence".into(),
        media_type: "application/json".into(),
        content: format!("{{\"samples\":\"{n}\"}}").into_bytes(),
    }];
    draft
}

/// As [`with_state`], and taking traffic away.
pub fn rollback(n: u64) -> Draft {
    Draft {
        kind: Kind::Rollback,
        ..with_state(n)
    }
}

/// Kinds of a ledger's entries, in order.
pub fn kinds(dir: &Path) -> Vec<Kind> {
    let reader = Reader::open_read_only(dir).unwrap();
    let size = reader.head().unwrap().0;
    reader.entries(0..size).map(|entry| entry.unwrap().kind).collect()
}

/// Copies a ledger's directory while it may be written. The tail first: what is pruned from it meanwhile is
/// in a full bundle, which is copied after.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut items: Vec<_> = std::fs::read_dir(from).unwrap().map(|item| item.unwrap()).collect();
    items.sort_by_key(|item| item.file_name() != "tail");
    for item in items {
        let target = to.join(item.file_name());
        if item.path().is_dir() {
            copy(&item.path(), &target);
        } else {
            // A file may be replaced meanwhile.
            let _ = std::fs::copy(item.path(), target);
        }
    }
}
