//! The published copy against the record, and tiles against entries.
//!
//! Whoever checks a chunk of entries has everything for the bundles and the lowest tiles above it, and compares them on
//! the way: reading and hashing the entries a second time would cost as much as the first. The tiles above are a
//! 256th of it and are compared where chunks are joined.

use super::{Finding, Severity};
use crate::hash::Digest;
use crate::publish::paths::{TILE_WIDTH, bundle_path, tile_path};
use crate::reader::ReadError;
use crate::source::Source;
use crate::store::StoreError;
use crate::tree::Frontier;

/// How much of the copy is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Entries that the checkpoint promises, and that are there.
    pub size: u64,
    /// Whether bundles are compared too; pointless when the entries come from them.
    pub bundles: bool,
}

/// The lowest tiles and the bundles of consecutive entries. The first one begins a tile.
#[derive(Debug)]
pub(super) struct Lower<'a> {
    source: &'a Source,
    extent: Extent,
    tile: Vec<u8>,
    bundle: Bundle,
    /// Roots of the full tiles, in order.
    pub roots: Vec<Digest>,
    pub findings: Vec<Finding>,
}

impl<'a> Lower<'a> {
    pub fn new(source: &'a Source, extent: Extent) -> Self {
        Self {
            source,
            extent,
            tile: Vec::new(),
            bundle: Bundle::default(),
            roots: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Takes entry `seq`. `root` is the root over the 256 entries that end with it, if it is known.
    pub fn entry(&mut self, seq: u64, bytes: &[u8], leaf: &Digest, root: Option<Digest>) -> Result<(), ReadError> {
        if seq >= self.extent.size {
            return Ok(());
        }
        let index = seq / TILE_WIDTH;
        let width = TILE_WIDTH.min(self.extent.size - index * TILE_WIDTH);
        if self.extent.bundles {
            if self.tile.is_empty() {
                self.bundle.open(self.source, index, width)?;
            }
            self.bundle.entry(bytes);
        }
        self.tile.extend_from_slice(leaf.as_bytes());
        if seq + 1 == index * TILE_WIDTH + width {
            let tile = tile_path(0, index, width);
            self.findings.extend(compare(self.source, &tile, &self.tile)?);
            if self.extent.bundles {
                self.findings.extend(self.bundle.close());
            }
            if width == TILE_WIDTH {
                let root = root.unwrap_or_else(|| root_of(&self.tile));
                self.roots.push(root);
            }
            self.tile.clear();
        }
        Ok(())
    }
}

/// A published bundle that is compared with the record entry by entry: no second copy of it is made.
#[derive(Debug, Default)]
struct Bundle {
    path: String,
    /// What is published; the buffer serves one bundle after the other.
    found: Vec<u8>,
    /// Whether there is such a file.
    exists: bool,
    /// Whether the full bundle is read where a partial one was promised: more may follow.
    grown: bool,
    /// How many bytes were compared.
    at: usize,
    differs: bool,
}

impl Bundle {
    fn open(&mut self, source: &Source, index: u64, width: u64) -> Result<(), ReadError> {
        self.path = bundle_path(index, width);
        (self.at, self.differs, self.grown) = (0, false, false);
        self.exists = read(source, &self.path, &mut self.found)?;
        if !self.exists && width < TILE_WIDTH {
            // A writer at work may have finished the bundle and removed its partial forms since.
            self.exists = read(source, &bundle_path(index, TILE_WIDTH), &mut self.found)?;
            self.grown = self.exists;
        }
        Ok(())
    }

    fn entry(&mut self, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        let same = self.found.get(self.at..).and_then(|rest| rest.strip_prefix(&length));
        self.differs |= !same.is_some_and(|rest| rest.starts_with(bytes));
        self.at += length.len() + bytes.len();
    }

    fn close(&self) -> Option<Finding> {
        if !self.exists {
            return Some(missing(&self.path));
        }
        let differs = self.differs || !self.grown && self.at != self.found.len();
        differs.then(|| altered(&self.path))
    }
}

fn read(source: &Source, path: &str, buffer: &mut Vec<u8>) -> Result<bool, ReadError> {
    let found = source.copy().read_into(path, buffer);
    Ok(found.map_err(|error| StoreError::Io(format!("{path}: {error}")))?)
}

fn missing(path: &str) -> Finding {
    Finding {
        severity: Severity::Incomplete,
        seq: None,
        detail: format!("{path} is missing"),
    }
}

fn altered(path: &str) -> Finding {
    Finding {
        severity: Severity::Tampered,
        seq: None,
        detail: format!("{path} is not what the entries give"),
    }
}

fn root_of(tile: &[u8]) -> Digest {
    let mut tree = Frontier::new();
    let hashes = tile.chunks_exact(Digest::LENGTH).filter_map(Digest::from_slice);
    hashes.for_each(|hash| tree.push(hash));
    tree.root()
}

/// The tiles of all levels but the lowest, from the roots of the tiles below.
#[derive(Debug)]
pub(super) struct Upper<'a> {
    source: &'a Source,
    /// Index and hashes of the unfinished tile of each level, level 1 first.
    tiles: Vec<(u64, Vec<u8>)>,
    /// Over the roots of the lowest tiles.
    frontier: Frontier,
    pub findings: Vec<Finding>,
}

impl<'a> Upper<'a> {
    pub fn new(source: &'a Source) -> Self {
        Self {
            source,
            tiles: Vec::new(),
            frontier: Frontier::new(),
            findings: Vec::new(),
        }
    }

    /// Takes the root of the next full tile of the lowest level.
    pub fn root(&mut self, root: Digest) -> Result<(), ReadError> {
        let mut completed = Vec::with_capacity(8);
        self.frontier.push_recording(root, |node| completed.push(node));
        for (place, node) in completed.iter().step_by(8).enumerate() {
            if self.tiles.len() <= place {
                self.tiles.resize_with(place + 1, Default::default);
            }
            let Some((index, tile)) = self.tiles.get_mut(place) else {
                continue;
            };
            tile.extend_from_slice(node.as_bytes());
            if tile.len() as u64 == TILE_WIDTH * Digest::LENGTH as u64 {
                let (at, content) = (*index, std::mem::take(tile));
                *index += 1;
                let path = tile_path(level(place), at, TILE_WIDTH);
                self.findings.extend(compare(self.source, &path, &content)?);
            }
        }
        Ok(())
    }

    /// Compares the unfinished ones.
    pub fn finish(mut self) -> Result<Vec<Finding>, ReadError> {
        for (place, (index, tile)) in self.tiles.iter().enumerate() {
            if !tile.is_empty() {
                let width = tile.len() as u64 / Digest::LENGTH as u64;
                let path = tile_path(level(place), *index, width);
                self.findings.extend(compare(self.source, &path, tile)?);
            }
        }
        Ok(self.findings)
    }
}

fn level(place: usize) -> u8 {
    u8::try_from(place + 1).unwrap_or(u8::MAX)
}

/// What is wrong with a published tile, if anything is.
fn compare(source: &Source, path: &str, expected: &[u8]) -> Result<Option<Finding>, ReadError> {
    let found = source.copy().read(path);
    Ok(match found.map_err(|e| StoreError::Io(format!("{path}: {e}")))? {
        Some(found) if found == expected => None,
        Some(_) => Some(altered(path)),
        // A writer at work may have finished the tile and removed its partial forms since.
        None if grown(source, path, expected) => None,
        None => Some(missing(path)),
    })
}

fn grown(source: &Source, path: &str, expected: &[u8]) -> bool {
    let full = path.split_once(".p/").map(|(full, _)| full);
    let full = full.and_then(|full| source.copy().read(full).ok().flatten());
    full.is_some_and(|full| full.starts_with(expected))
}
