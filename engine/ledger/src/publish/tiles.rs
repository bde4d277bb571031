//! From the record to tiles, bundles, blobs and the node file, in one forward pass that can be continued.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::copy::{PublishedCopy, first_entries};
use super::files::{put, sync};
use super::paths::{TILE_WIDTH, blob_path, bundle_path, tile_path};
use super::tail;
use crate::hash::{Digest, leaf_hash};
use crate::store::{Store, StoreError};
use crate::tree::Frontier;

/// All complete subtrees in order of completion: makes proofs a handful of small reads. Not part of the
/// published format, and rebuilt at every start. It gets its name after the checkpoint: where it is, one was signed.
pub(crate) const NODES: &str = "nodes";

/// A failure to publish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("published copy: {0}")]
    Io(#[from] io::Error),
    #[error("published copy: {0}")]
    Store(#[from] StoreError),
    #[error("published copy: the record has root {found} at size {size}, the head {expected}")]
    Root { size: u64, found: Digest, expected: Digest },
}

/// Where the pass is. Memory: one unfinished bundle and one unfinished tile per level.
pub(super) struct Pass {
    directory: PathBuf,
    pub frontier: Frontier,
    bundle: Vec<u8>,
    /// Hashes of the unfinished tile of each level.
    tiles: Vec<Vec<Digest>>,
    /// Index of the unfinished tile of each level.
    indexes: Vec<u64>,
    nodes: BufWriter<File>,
    /// Rowid of the last published blob.
    blob: i64,
    flushed: Arc<AtomicU64>,
    /// Whether something was written since the last flush that partial files do not stand in for.
    dirty: bool,
    /// Partial forms of tiles and bundles that are full now; removed after the flush.
    superseded: Vec<PathBuf>,
    /// Whether the partial forms that an earlier process left were looked at.
    resumed: bool,
}

/// Full tiles and bundles between two flushes.
const MOST_UNFLUSHED: usize = 512;

impl Pass {
    /// Starts from the first entry.
    pub fn start(directory: &Path, flushed: Arc<AtomicU64>) -> io::Result<Self> {
        let unfinished = directory.join(format!("{NODES}.new"));
        Ok(Self {
            directory: directory.to_owned(),
            frontier: Frontier::new(),
            bundle: Vec::new(),
            tiles: Vec::new(),
            indexes: Vec::new(),
            nodes: BufWriter::with_capacity(64 * 1024, File::create(unfinished)?),
            blob: 0,
            flushed,
            dirty: false,
            superseded: Vec::new(),
            resumed: false,
        })
    }

    /// Publishes everything up to `size`, whose root must be `root`.
    pub fn advance(&mut self, store: &Store, size: u64, root: Digest) -> Result<(), PublishError> {
        self.blob = store.scan_blobs_after(self.blob, |digest, content| {
            let path = self.directory.join(blob_path(&digest));
            self.dirty |= put(&path, content)?;
            Ok::<(), PublishError>(())
        })?;
        let from = self.frontier.size();
        store.scan(from..size, |row| self.add(row.entry))?;
        let found = self.frontier.root();
        if self.frontier.size() != size || found != root {
            let expected = root;
            return Err(PublishError::Root { size, found, expected });
        }
        self.put_partial()?;
        self.flush()?;
        self.nodes.flush()?;
        Ok(())
    }

    /// Call when the checkpoint of what is published is signed.
    pub fn signed(&mut self) -> io::Result<()> {
        self.resumed = true;
        // Appending goes on in the open file; the name is taken once it is complete for some size.
        let unfinished = self.directory.join(format!("{NODES}.new"));
        if unfinished.exists() {
            fs::rename(unfinished, self.directory.join(NODES))?;
        }
        Ok(())
    }

    fn add(&mut self, entry: &[u8]) -> Result<(), PublishError> {
        // The store's CHECK keeps entries within 16 bits; a longer one would be a damaged row.
        let length =
            u16::try_from(entry.len()).map_err(|_| StoreError::Damaged("entry longer than 65,535 bytes".into()))?;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        let leaf = leaf_hash(entry);
        let nodes = &mut self.nodes;
        let mut written = Ok(());
        let mut completed = Vec::with_capacity(8);
        self.frontier.push_recording(leaf, |node| {
            if written.is_ok() {
                written = nodes.write_all(node.as_bytes());
            }
            completed.push(node);
        });
        written?;
        // Tile level l holds the subtrees of 8·l levels.
        for (level, node) in completed.iter().step_by(8).enumerate() {
            self.add_to_tile(level, *node)?;
        }
        if self.frontier.size().is_multiple_of(TILE_WIDTH) {
            self.finish_bundle()?;
        }
        Ok(())
    }

    fn add_to_tile(&mut self, level: usize, node: Digest) -> Result<(), PublishError> {
        if self.tiles.len() <= level {
            self.tiles.resize_with(level + 1, Vec::new);
            self.indexes.resize(level + 1, 0);
        }
        let (Some(tile), Some(index)) = (self.tiles.get_mut(level), self.indexes.get_mut(level)) else {
            return Ok(());
        };
        tile.push(node);
        if tile.len() as u64 == TILE_WIDTH {
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            let path = tile_path(level, *index, TILE_WIDTH);
            let content = concat(tile);
            tile.clear();
            *index += 1;
            self.finish(&path, &content)?;
        }
        Ok(())
    }

    fn finish_bundle(&mut self) -> Result<(), PublishError> {
        let index = self.frontier.size() / TILE_WIDTH - 1;
        let content = std::mem::take(&mut self.bundle);
        self.finish(&bundle_path(index, TILE_WIDTH), &content)?;
        Ok(())
    }

    /// Writes a full tile or bundle, after which its partial forms may go.
    fn finish(&mut self, path: &str, content: &[u8]) -> Result<(), PublishError> {
        self.dirty |= put(&self.directory.join(path), content)?;
        self.superseded.push(self.directory.join(format!("{path}.p")));
        if self.superseded.len() >= MOST_UNFLUSHED {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes what is written durable; only then may go what it replaces.
    fn flush(&mut self) -> Result<(), PublishError> {
        if self.dirty {
            sync(&self.directory)?;
            self.dirty = false;
        }
        let bundles = self.frontier.size() / TILE_WIDTH;
        self.flushed.fetch_max(bundles * TILE_WIDTH, Ordering::AcqRel);
        tail::prune(&self.directory, bundles)?;
        for partial in self.superseded.drain(..) {
            match fs::remove_dir_all(partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn put_partial(&self) -> io::Result<()> {
        let size = self.frontier.size();
        if !self.bundle.is_empty() {
            let path = |width| bundle_path(size / TILE_WIDTH, width);
            self.put_forms(path, size % TILE_WIDTH, &self.bundle, first_entries)?;
        }
        for (level, (tile, index)) in self.tiles.iter().zip(&self.indexes).enumerate() {
            if !tile.is_empty() {
                let level = u8::try_from(level).unwrap_or(u8::MAX);
                let path = |width| tile_path(level, *index, width);
                self.put_forms(path, tile.len() as u64, &concat(tile), first_hashes)?;
            }
        }
        Ok(())
    }

    /// Writes the form of this width, and anew what differs of narrower ones that older checkpoints promised.
    fn put_forms(
        &self,
        path: impl Fn(u64) -> String,
        width: u64,
        content: &[u8],
        first: fn(&[u8], u64) -> &[u8],
    ) -> io::Result<()> {
        if !self.resumed {
            let copy = PublishedCopy::new(&self.directory);
            for narrower in copy.partial_widths(&path(TILE_WIDTH))? {
                if narrower < width {
                    put(&self.directory.join(path(narrower)), first(content, narrower))?;
                }
            }
        }
        put(&self.directory.join(path(width)), content)?;
        Ok(())
    }
}

/// The first hashes of a tile.
pub(crate) fn first_hashes(tile: &[u8], count: u64) -> &[u8] {
    let end = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .saturating_mul(Digest::LENGTH);
    tile.get(..end).unwrap_or(tile)
}

fn concat(tile: &[Digest]) -> Vec<u8> {
    tile.iter().flat_map(Digest::as_bytes).copied().collect()
}
