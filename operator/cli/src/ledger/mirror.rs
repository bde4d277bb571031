//! Copies a served ledger into a directory: blobs, bundles, tiles, and last the checkpoint that promises them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use penin_ledger::Digest;
use penin_ledger::note::Checkpoint;
use penin_ledger::publish::CHECKPOINT;
use penin_ledger::publish::copy::{first_entries, named_blobs, parse_bundle};
use penin_ledger::publish::paths::{MOST_LEVELS, TILE_WIDTH, blob_path, bundle_path, tile_path};

use super::progress::Progress;
use crate::CommandError;

/// Largest answer: a bundle of the largest entries is 17 MiB.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Most entries that are copied, whatever a checkpoint claims that nobody has verified yet: no ledger has as many.
const MOST_ENTRIES: u64 = 1 << 32;
/// Longest time of one answer.
const CALL: Duration = Duration::from_mins(1);

/// A served ledger and the directory of its copy.
#[derive(Debug)]
pub struct Mirror {
    client: Client<HttpConnector, Empty<Bytes>>,
    address: Uri,
    directory: PathBuf,
    /// Entries that the last checkpoint claimed.
    claimed: u64,
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
            claimed: 0,
            size: 0,
        }
    }

    /// Copies what the served checkpoint covers and the copy lacks. Its size is a claim of whoever serves it, so the
    /// first bundle that is missing or short ends the copy: nothing behind it could be placed.
    ///
    /// # Errors
    /// When something is not served, or not in time, or the ledger became shorter. A file that is missing there is left
    /// out here: the verification names it.
    pub async fn update(&mut self) -> Result<(), CommandError> {
        let note = self
            .get(CHECKPOINT)
            .await?
            .ok_or_else(|| self.failed(CHECKPOINT, "not served; is this the address of a ledger?"))?;
        let claimed = Checkpoint::claimed(&note)
            .ok_or_else(|| self.failed(CHECKPOINT, "no checkpoint"))?
            .size;
        if claimed < self.claimed {
            let (address, before) = (&self.address, self.claimed);
            return Err(CommandError::Shorter(format!(
                "{address}: entries went away: the served checkpoint covers {claimed}, {before} before"
            )));
        }
        let size = self.bundles(claimed).await?;
        self.tiles(claimed, size).await?;
        self.write(Path::new(CHECKPOINT), &note)?;
        (self.claimed, self.size) = (claimed, size);
        Ok(())
    }

    /// Copies bundles with their blobs; how many entries there are.
    async fn bundles(&self, claimed: u64) -> Result<u64, CommandError> {
        let most = claimed.min(MOST_ENTRIES);
        let progress = Progress::new("fetching", most);
        let mut size = self.size;
        while size < most {
            let index = size / TILE_WIDTH;
            let start = index * TILE_WIDTH;
            let width = TILE_WIDTH.min(claimed - start);
            let found = self.bundle(index, width).await?;
            size = size.max(start + found);
            if found < width {
                break;
            }
            progress.show(size);
        }
        Ok(size)
    }

    /// Copies the tiles over the first `size` entries, in the forms that the claimed size promises.
    async fn tiles(&self, claimed: u64, size: u64) -> Result<(), CommandError> {
        let (mut claimed, mut count) = (claimed, size);
        for level in 0..=MOST_LEVELS {
            let old = self.size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            for index in old / TILE_WIDTH..count.div_ceil(TILE_WIDTH) {
                let width = TILE_WIDTH.min(claimed - index * TILE_WIDTH);
                self.tile(level, index, width).await?;
            }
            (claimed, count) = (claimed / TILE_WIDTH, count / TILE_WIDTH);
        }
        Ok(())
    }

    /// Copies a bundle; how many of its entries there are.
    async fn bundle(&self, index: u64, width: u64) -> Result<u64, CommandError> {
        let wanted = bundle_path(index, width);
        let Some(bytes) = self.partial_or_full(&wanted, &bundle_path(index, TILE_WIDTH)).await? else {
            return Ok(0);
        };
        let entries = first_entries(&bytes, width);
        for digest in named_blobs(entries) {
            self.blob(&digest).await?;
        }
        // Bytes after the last entry are kept when the bundle is full: the verification has to see them.
        let kept = if width == TILE_WIDTH { &bytes } else { entries };
        self.write(Path::new(&wanted), kept)?;
        Ok(parse_bundle(entries).len() as u64)
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
