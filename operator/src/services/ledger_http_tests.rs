//! What is served, how, and what is not.

use super::*;
use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use penin_ledger::proof::{ConsistencyProof, InclusionProof};
use penin_ledger::{Draft, Keys, Kind, Ledger, MemoryAnchor, Options, Subject};
use tower::ServiceExt as _;

fn written(entries: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new("test.penin.ai/ledger", 1_790_000_000_000);
    options.any_filesystem = true;
    let keys = Keys::generate([7; 64]);
    let ledger = Ledger::open(folder.path(), keys, Box::new(MemoryAnchor::default()), 1, options).unwrap();
    for n in 1..entries {
        let subject = Subject {
            name: format!("model {n}"),
            sha256: Digest::of(&n.to_be_bytes()),
        };
        ledger
            .append(Draft::new(Kind::GateEval, subject, 1_790_000_000_000))
            .wait()
            .unwrap();
    }
    ledger.close();
    folder
}

async fn ask(folder: &std::path::Path, method: Method, path: &str) -> (StatusCode, Vec<u8>) {
    let router = LedgerFiles::new(folder.to_owned(), 1).router();
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes().to_vec(),
    )
}

#[tokio::test]
async fn what_is_published_is_served_as_it_stands() {
    let folder = written(300);
    for path in [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/entries/000",
        "tile/1/000.p/1",
    ] {
        let (status, body) = ask(folder.path(), Method::GET, &format!("/{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(body, std::fs::read(folder.path().join(path)).unwrap(), "{path}");
    }
    assert_eq!(
        ask(folder.path(), Method::HEAD, "/checkpoint").await,
        (StatusCode::OK, Vec::new())
    );
}

#[tokio::test]
async fn proofs_hold_against_the_checkpoint() {
    let folder = written(300);
    let note = std::fs::read(folder.path().join(CHECKPOINT)).unwrap();
    let root = Checkpoint::claimed(&note).unwrap().root;
    let (status, body) = ask(folder.path(), Method::GET, "/proof/inclusion?index=17").await;
    assert_eq!(status, StatusCode::OK);
    let proof: InclusionProof = serde_json::from_slice(&body).unwrap();
    assert!(proof.verify() && proof.root == root && proof.index == 17);
    let (_, body) = ask(folder.path(), Method::GET, "/proof/consistency?old=100&new=300").await;
    let proof: ConsistencyProof = serde_json::from_slice(&body).unwrap();
    assert!(proof.verify() && proof.new_root == root && proof.old == 100);
    for missing in [
        "inclusion?index=300",
        "inclusion?index=1&size=301",
        "consistency?old=301",
    ] {
        let (status, _) = ask(folder.path(), Method::GET, &format!("/proof/{missing}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn archived_generations_are_served_under_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("ledger");
    for (generation, entries) in [(1, 3), (2, 5)] {
        std::fs::rename(written(entries).keep(), directory_of(&first, generation)).unwrap();
    }
    let router = LedgerFiles::new(first, 2).router();
    let size = async |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let claimed = Checkpoint::claimed(&body).map(|claimed| claimed.size);
        (status == StatusCode::OK).then_some(claimed).flatten()
    };
    assert_eq!(size("/checkpoint").await, Some(5));
    assert_eq!(size("/generation/1/checkpoint").await, Some(3));
    assert_eq!(size("/generation/2/checkpoint").await, Some(5));
    for other in ["0", "3", "01", "+1", "1/generation/1", ".."] {
        assert_eq!(size(&format!("/generation/{other}/checkpoint")).await, None, "{other}");
    }
}

#[tokio::test]
async fn only_what_its_path_names_for_ever_may_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("ledger");
    std::fs::rename(written(3).keep(), &first).unwrap();
    let blob = Digest::of(b"x");
    let file = first.join(blob_path(&blob));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "x").unwrap();
    let router = LedgerFiles::new(first, 1).router();
    let blob = blob_path(&blob).to_str().unwrap().to_owned();
    for (path, kept) in [
        ("/tile/0/000.p/3".to_owned(), false),
        ("/tile/entries/000.p/3".to_owned(), false),
        ("/checkpoint".to_owned(), false),
        ("/generation/1/checkpoint".to_owned(), false),
        ("/generation/1/tile/0/000.p/3".to_owned(), true),
        ("/generation/1/tile/entries/000.p/3".to_owned(), true),
        (format!("/{blob}"), true),
        (format!("/generation/1/{blob}"), true),
    ] {
        let request = Request::builder().uri(&path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let wanted = if kept { FOREVER } else { NEVER };
        assert_eq!(response.headers()[header::CACHE_CONTROL], wanted, "{path}");
    }
}

#[tokio::test]
async fn nothing_else_of_the_volume_is_served_and_nothing_is_written() {
    let folder = written(3);
    std::fs::write(folder.path().join("secret"), "x").unwrap();
    for path in [
        "/",
        "/ledger.db",
        "/secret",
        "/LOCK",
        "/nodes",
        "/tail/0",
        "/tile/../secret",
        "/tile/0/%2e%2e/secret",
        "/tile/entries/0",
        "//checkpoint",
        "/checkpoint/",
        "/blobs/sha256/ab/../../../secret",
        "/proof/inclusion",
        "/proof/inclusion?index=x",
        "/proof/inclusion?index=1&size=-1",
    ] {
        assert_eq!(
            ask(folder.path(), Method::GET, path).await.0,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let (status, _) = ask(folder.path(), method, "/checkpoint").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn a_directory_without_a_ledger_is_answered_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        ask(folder.path(), Method::GET, "/checkpoint").await.0,
        StatusCode::NOT_FOUND
    );
    let (status, body) = ask(folder.path(), Method::GET, "/proof/consistency?old=1").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let text = String::from_utf8(body).unwrap();
    assert!(!text.contains(folder.path().to_str().unwrap()), "{text}");
}
