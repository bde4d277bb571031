//! The ledger's published files over HTTP, read-only: C2SP tlog-tiles with entry bundles, the blobs that entries name,
//! the signed checkpoint, and proofs.
//!
//! | path | what |
//! |---|---|
//! | `/checkpoint` | the newest signed tree head |
//! | `/tile/<L>/<N>[.p/<W>]`, `/tile/entries/<N>[.p/<W>]` | tiles and entry bundles |
//! | `/blobs/sha256/<ab>/<digest>` | content that entries name |
//! | `/proof/inclusion?index=I[&size=N]`, `/proof/consistency?old=M[&new=N]` | proofs as JSON; the size is the checkpoint's when left out |
//! | `/generation/<G>/…` | the same of generation G, archived ones included |
//!
//! Nothing else of the volume can be asked for: a path is served when it is exactly one that the publisher writes. What
//! is served proves itself, so there is no authentication; the address is a loopback one unless somebody chooses
//! otherwise. It reads files alone, and goes on while the ledger refuses to open.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use penin_ledger::note::Checkpoint;
use penin_ledger::proof::{ProveError, Prover};
use penin_ledger::publish::CHECKPOINT;
use penin_ledger::publish::copy::PublishedCopy;
use penin_ledger::publish::paths::{blob_path, parse_tile_path};
use penin_ledger::tree::ProofError;
use penin_ledger::{Digest, ReadError, Source};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::opening::directory_of;

/// Most answers at a time: each may hold a bundle of 17 MiB.
const MOST: usize = 4;
/// Longest time that a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// What never changes may be kept for a week.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=604800, immutable");
/// The checkpoint and proofs without a size are asked for anew.
const NEVER: HeaderValue = HeaderValue::from_static("no-cache");

/// Serves the directories of a ledger's generations.
#[derive(Clone, Debug)]
pub struct LedgerFiles {
    first: PathBuf,
    generation: u32,
    turns: Arc<Semaphore>,
}

impl LedgerFiles {
    /// The files of the generations up to `generation`, the first of which is in the directory `first`; it may be
    /// empty yet.
    #[must_use]
    pub fn new(first: PathBuf, generation: u32) -> Self {
        Self {
            first,
            generation,
            turns: Arc::new(Semaphore::new(MOST)),
        }
    }

    /// Serves until `stop`. An address that cannot be bound is logged and no reason to stop: decisions do not depend on
    /// being read.
    pub async fn serve(self, address: SocketAddr, stop: CancellationToken) {
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%address, %error, "The ledger's files are not served; choose another --ledger-listen");
                return;
            }
        };
        tracing::info!(address = ?listener.local_addr().ok(), "Serving the ledger's files");
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "The ledger's files are no longer served");
        }
    }

    fn router(self) -> Router {
        // GET and HEAD; everything else is answered 405.
        Router::new().fallback_service(get(answer).with_state(self))
    }
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// A file by its path below the ledger's directory, and whether it never changes.
    File(PathBuf, bool),
    Inclusion {
        index: u64,
        size: Option<u64>,
    },
    Consistency {
        old: u64,
        new: Option<u64>,
    },
}

/// The generation that a path is about, and what it asks of it; `None` for one that there is not, and for other
/// spellings of a number.
fn of_generation(path: &str, newest: u32) -> Option<(u32, &str)> {
    let path = path.strip_prefix('/')?;
    let Some(rest) = path.strip_prefix("generation/") else {
        return Some((newest, path));
    };
    let (number, path) = rest.split_once('/')?;
    let generation: u32 = number.parse().ok()?;
    ((1..=newest).contains(&generation) && generation.to_string() == number).then_some((generation, path))
}

fn wanted(path: &str, query: &str) -> Option<Wanted> {
    let number = |name: &str| -> Option<Option<u64>> {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        match found {
            Some((_, value)) => value.parse().ok().map(Some),
            None => Some(None),
        }
    };
    match path {
        CHECKPOINT => Some(Wanted::File(path.into(), false)),
        "proof/inclusion" => Some(Wanted::Inclusion {
            index: number("index")??,
            size: number("size")?,
        }),
        "proof/consistency" => Some(Wanted::Consistency {
            old: number("old")??,
            new: number("new")?,
        }),
        _ if parse_tile_path(path).is_some() => Some(Wanted::File(path.into(), true)),
        _ => {
            let digest: Digest = path.rsplit_once('/')?.1.parse().ok()?;
            // One spelling only.
            let file = blob_path(&digest);
            (file.to_str() == Some(path)).then_some(Wanted::File(file, true))
        }
    }
}

async fn answer(State(files): State<LedgerFiles>, uri: Uri) -> Response {
    let asked = of_generation(uri.path(), files.generation)
        .and_then(|(generation, path)| Some((generation, wanted(path, uri.query().unwrap_or_default())?)));
    let Some((generation, wanted)) = asked else {
        return (StatusCode::NOT_FOUND, "no such part of a ledger\n").into_response();
    };
    let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, files.turns.acquire_owned()).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time\n").into_response();
    };
    let directory = directory_of(&files.first, generation);
    let reading = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        match wanted {
            Wanted::File(path, lasting) => file(&directory, &path, lasting),
            Wanted::Inclusion { index, size } => proof(&directory, size, |prover, size| prover.inclusion(index, size)),
            Wanted::Consistency { old, new } => proof(&directory, new, |prover, new| prover.consistency(old, new)),
        }
    });
    reading
        .await
        .unwrap_or_else(|_| (StatusCode::INTERNAL_SERVER_ERROR, "the request could not be answered\n").into_response())
}

fn file(directory: &std::path::Path, path: &std::path::Path, lasting: bool) -> Response {
    match PublishedCopy::new(directory).read(path) {
        Ok(Some(bytes)) => {
            let (kind, keep) = if lasting {
                ("application/octet-stream", FOREVER)
            } else {
                ("text/plain; charset=utf-8", NEVER)
            };
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
                (header::CACHE_CONTROL, keep),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, bytes).into_response()
        }
        Ok(None) => (StatusCode::NOT_FOUND, "not published\n").into_response(),
        Err(error) => failed(&error.to_string()),
    }
}

fn proof<T: Serialize>(
    directory: &std::path::Path,
    size: Option<u64>,
    prove: impl FnOnce(&mut Prover, u64) -> Result<T, ProveError>,
) -> Response {
    let published = || -> Result<u64, String> {
        let note = PublishedCopy::new(directory)
            .checkpoint()
            .map_err(|error| error.to_string())?;
        let claimed = note.and_then(|note| Checkpoint::claimed(&note));
        Ok(claimed.map_or(0, |claimed| claimed.size))
    };
    let (covered, source) = match (published(), Source::open(directory)) {
        (Ok(covered), Ok(source)) => (covered, source),
        (Err(problem), _) => return failed(&problem),
        (_, Err(error)) => return failed(&error.to_string()),
    };
    let size = size.unwrap_or(covered);
    if size > covered {
        // Only what a signed checkpoint covers is proved: anything newer may not be anchored yet.
        let text = format!("the checkpoint covers {covered} entries\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    match prove(&mut Prover::new(source), size) {
        Ok(proof) => ([(header::CACHE_CONTROL, NEVER)], axum::Json(proof)).into_response(),
        Err(ProofError::Node(error @ ReadError::Store(_))) => failed(&error.to_string()),
        Err(error) => (StatusCode::NOT_FOUND, format!("{error}\n")).into_response(),
    }
}

/// What is wrong with the volume is for the operator's log, not for whoever asks.
fn failed(problem: &str) -> Response {
    tracing::warn!(problem, "A part of the ledger cannot be served");
    (StatusCode::INTERNAL_SERVER_ERROR, "the ledger's files cannot be read\n").into_response()
}

#[cfg(test)]
mod tests {
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
}
