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
    /// A file by its path below the ledger's directory, and whether it never changes while that is its generation.
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
    // Without its number a path is about another generation's file from the day on which the next one begins.
    let numbered = uri.path().starts_with("/generation/");
    let reading = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        match wanted {
            Wanted::File(path, lasting) => file(&directory, &path, lasting, numbered),
            Wanted::Inclusion { index, size } => proof(&directory, size, |prover, size| prover.inclusion(index, size)),
            Wanted::Consistency { old, new } => proof(&directory, new, |prover, new| prover.consistency(old, new)),
        }
    });
    reading
        .await
        .unwrap_or_else(|_| (StatusCode::INTERNAL_SERVER_ERROR, "the request could not be answered\n").into_response())
}

fn file(directory: &std::path::Path, path: &std::path::Path, lasting: bool, numbered: bool) -> Response {
    match PublishedCopy::new(directory).read(path) {
        Ok(Some(bytes)) => {
            let kind = if lasting {
                "application/octet-stream"
            } else {
                "text/plain; charset=utf-8"
            };
            // A blob is named by its digest, wherever it is asked for.
            let keep = if lasting && (numbered || path.starts_with("blobs")) {
                FOREVER
            } else {
                NEVER
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
#[path = "ledger_http_tests.rs"]
mod tests;
