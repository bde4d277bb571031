//! Copies a served ledger into a directory: blobs, bundles, tiles, and last the checkpoint that promises them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use penin_ledger::note::Checkpoint;
use penin_ledger::publish::CHECKPOINT;
use penin_ledger::publish::copy::parse_bundle;
use penin_ledger::publish::paths::{MOST_LEVELS, TILE_WIDTH, blob_path, bundle_path, tile_path};
use penin_ledger::{Digest, Entry};

use super::progress::Progress;
use crate::CommandError;

/// Largest answer: a bundle of the largest entries is 17 MiB.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Longest time of one answer.
const CALL: Duration = Duration::from_mins(1);

/// A served ledger and the directory of its copy.
#[derive(Debug)]
pub struct Mirror {
    client: Client<HttpConnector, Empty<Bytes>>,
    address: Uri,
    directory: PathBuf,
    /// Entries that the copy holds.
    size: u64,
}

impl Mirror {
    /// A copy in `directory` of what `address` serves. Nothing is fetched yet.
    #[must_use]
    pub fn new(address: Uri, directory: &Path) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            address,
            directory: directory.to_owned(),
            size: 0,
        }
    }

    /// Copies what the served checkpoint covers and the copy lacks.
    ///
    /// # Errors
    /// When something is not served, or not in time. A file that is missing there is left out here: the verification
    /// names it.
    pub async fn update(&mut self) -> Result<(), CommandError> {
        let note = self
            .get(CHECKPOINT)
            .await?
            .ok_or_else(|| self.failed(CHECKPOINT, "not served; is this the address of a ledger?"))?;
        let size = Checkpoint::claimed(&note)
            .ok_or_else(|| self.failed(CHECKPOINT, "no checkpoint"))?
            .size;
        if size < self.size {
            return Err(self.failed(CHECKPOINT, "the served ledger became shorter"));
        }
        let progress = Progress::new("fetching", size);
        for index in self.size / TILE_WIDTH..size.div_ceil(TILE_WIDTH) {
            let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
            self.bundle(index, width).await?;
            progress.show(index * TILE_WIDTH + width);
        }
        let mut count = size;
        for level in 0..=MOST_LEVELS {
            let old = self.size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            for index in old / TILE_WIDTH..count.div_ceil(TILE_WIDTH) {
                let width = TILE_WIDTH.min(count - index * TILE_WIDTH);
                self.tile(level, index, width).await?;
            }
            count /= TILE_WIDTH;
        }
        self.write(Path::new(CHECKPOINT), &note)?;
        self.size = size;
        Ok(())
    }

    async fn bundle(&self, index: u64, width: u64) -> Result<(), CommandError> {
        let wanted = bundle_path(index, width);
        let Some(bytes) = self.partial_or_full(&wanted, &bundle_path(index, TILE_WIDTH)).await? else {
            return Ok(());
        };
        let entries = parse_bundle(&bytes);
        let kept = entries.iter().take(usize::try_from(width).unwrap_or(usize::MAX));
        let mut length = 0;
        let mut blobs: BTreeSet<Digest> = BTreeSet::new();
        for entry in kept {
            length += 2 + entry.len();
            if let Ok(entry) = Entry::decode(entry) {
                blobs.extend(entry.content().map(|(digest, _)| digest));
            }
        }
        for digest in blobs {
            self.blob(&digest).await?;
        }
        // Bytes after the last entry are kept when the bundle is full: the verification has to see them.
        let kept = if width == TILE_WIDTH { bytes.len() } else { length };
        self.write(Path::new(&wanted), bytes.get(..kept).unwrap_or(&bytes))
    }

    async fn blob(&self, digest: &Digest) -> Result<(), CommandError> {
        let path = blob_path(digest);
        if self.directory.join(&path).exists() {
            return Ok(());
        }
        match self.get(&path.to_string_lossy()).await? {
            Some(bytes) => self.write(&path, &bytes),
            None => Ok(()),
        }
    }

    async fn tile(&self, level: u8, index: u64, width: u64) -> Result<(), CommandError> {
        let wanted = tile_path(level, index, width);
        let Some(bytes) = self
            .partial_or_full(&wanted, &tile_path(level, index, TILE_WIDTH))
            .await?
        else {
            return Ok(());
        };
        let length = usize::try_from(width)
            .unwrap_or(usize::MAX)
            .saturating_mul(Digest::LENGTH);
        self.write(Path::new(&wanted), bytes.get(..length).unwrap_or(&bytes))
    }

    /// A partial file goes when the full one is there.
    async fn partial_or_full(&self, wanted: &str, full: &str) -> Result<Option<Bytes>, CommandError> {
        match self.get(wanted).await? {
            None if full != wanted => self.get(full).await,
            found => Ok(found),
        }
    }

    async fn get(&self, path: &str) -> Result<Option<Bytes>, CommandError> {
        let base = self.address.to_string();
        let uri: Uri = format!("{}/{path}", base.trim_end_matches('/'))
            .parse()
            .map_err(|error| self.failed(path, error))?;
        let answer = async {
            let answer = self.client.get(uri).await.map_err(|error| self.failed(path, error))?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                status => return Err(self.failed(path, status)),
            }
            let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
            Ok(Some(body.map_err(|error| self.failed(path, error))?.to_bytes()))
        };
        tokio::time::timeout(CALL, answer)
            .await
            .map_err(|_| self.failed(path, "no answer in time"))?
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
        let path = self.directory.join(path);
        let failed = |error: std::io::Error| CommandError::Message(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(&path, bytes).map_err(failed)
    }

    fn failed(&self, path: &str, problem: impl std::fmt::Display) -> CommandError {
        CommandError::Message(format!("{}: {path}: {problem}", self.address))
    }
}
