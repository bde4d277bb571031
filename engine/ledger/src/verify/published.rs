//! The published copy against the record, and tiles against entries.

use super::Report;
use crate::hash::Digest;
use crate::publish::paths::{TILE_WIDTH, bundle_path, tile_path};
use crate::reader::ReadError;
use crate::source::Source;
use crate::store::StoreError;
use crate::tree::Frontier;

/// Expects the files of every tile and bundle up to `size`, built from the entries of `source`.
struct Expected<'a> {
    source: &'a Source,
    size: u64,
    /// Whether bundles are compared too; pointless when the entries come from them.
    bundles: bool,
    tiles: Vec<(u64, Vec<u8>)>,
    bundle: Vec<u8>,
    frontier: Frontier,
}

/// Compares a database with the copy beside it, up to the checkpoint that promises it.
pub(super) fn compare(source: &Source, size: u64, report: &mut Report) -> Result<(), ReadError> {
    Expected::new(source, size.min(report.size), true).check(report)
}

/// Checks the tiles of a published copy against its own entries.
pub(super) fn check_tiles(source: &Source, report: &mut Report) -> Result<(), ReadError> {
    let size = report.checkpoint.unwrap_or(0).min(report.size);
    Expected::new(source, size, false).check(report)
}

impl<'a> Expected<'a> {
    fn new(source: &'a Source, size: u64, bundles: bool) -> Self {
        Self {
            source,
            size,
            bundles,
            tiles: Vec::new(),
            bundle: Vec::new(),
            frontier: Frontier::new(),
        }
    }

    fn check(mut self, report: &mut Report) -> Result<(), ReadError> {
        let source = self.source;
        source.scan(0..self.size, |entry| self.entry(entry.bytes, report))?;
        // The unfinished ones.
        let (size, bundle) = (self.size, std::mem::take(&mut self.bundle));
        if !bundle.is_empty() && self.frontier.size() == size {
            let path = bundle_path(size / TILE_WIDTH, size % TILE_WIDTH);
            self.file(&path, &bundle, report)?;
        }
        for (level, (index, tile)) in std::mem::take(&mut self.tiles).into_iter().enumerate() {
            if !tile.is_empty() {
                let width = tile.len() as u64 / Digest::LENGTH as u64;
                let level = u8::try_from(level).unwrap_or(u8::MAX);
                self.file(&tile_path(level, index, width), &tile, report)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, bytes: &[u8], report: &mut Report) -> Result<(), ReadError> {
        if self.bundles {
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            self.bundle.extend_from_slice(&length.to_be_bytes());
            self.bundle.extend_from_slice(bytes);
        }
        let mut completed = Vec::with_capacity(8);
        let leaf = crate::hash::leaf_hash(bytes);
        self.frontier.push_recording(leaf, |node| completed.push(node));
        for (level, node) in completed.iter().step_by(8).enumerate() {
            self.tile(level, node, report)?;
        }
        if self.bundles && self.frontier.size().is_multiple_of(TILE_WIDTH) {
            let content = std::mem::take(&mut self.bundle);
            let index = self.frontier.size() / TILE_WIDTH - 1;
            self.file(&bundle_path(index, TILE_WIDTH), &content, report)?;
        }
        Ok(())
    }

    fn tile(&mut self, level: usize, node: &Digest, report: &mut Report) -> Result<(), ReadError> {
        if self.tiles.len() <= level {
            self.tiles.resize_with(level + 1, Default::default);
        }
        let Some((index, tile)) = self.tiles.get_mut(level) else {
            return Ok(());
        };
        tile.extend_from_slice(node.as_bytes());
        if tile.len() as u64 == TILE_WIDTH * Digest::LENGTH as u64 {
            let (at, content) = (*index, std::mem::take(tile));
            *index += 1;
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            self.file(&tile_path(level, at, TILE_WIDTH), &content, report)?;
        }
        Ok(())
    }

    fn grown(&self, path: &str, expected: &[u8]) -> bool {
        let full = path.split_once(".p/").map(|(full, _)| full);
        let full = full.and_then(|full| self.source.copy().read(full).ok().flatten());
        full.is_some_and(|full| full.starts_with(expected))
    }

    fn file(&self, path: &str, expected: &[u8], report: &mut Report) -> Result<(), ReadError> {
        let found = self.source.copy().read(path);
        match found.map_err(|e| StoreError::Io(format!("{path}: {e}")))? {
            Some(found) if found == expected => {}
            Some(_) => report.tampered(None, format!("{path} is not what the entries give")),
            // A writer at work may have finished the tile and removed its partial forms since.
            None if self.grown(path, expected) => {}
            None => report.incomplete(None, format!("{path} is missing")),
        }
        Ok(())
    }
}
