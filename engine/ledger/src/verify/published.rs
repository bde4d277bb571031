//! The published copy against the record, and tiles against entries.
//!
//! Whoever checks a chunk of entries has everything for the bundles and the lowest tiles above it, and compares them on
//! the way: reading and hashing the entries a second time would cost as much as the first. The tiles above are a
//! 256th of it and are compared where chunks are joined.
//!
//! The checkpoint promises what it covers. A ledger that grows, or one whose process ended, has published more than
//! that, or less of it than the record: what lies beyond the checkpoint may be missing, but what is there must be what
//! the entries give. After a loss of power it may be cut short, because it was not flushed yet.

use super::{Finding, Severity};
use crate::hash::Digest;
use crate::publish::copy::first_entries;
use crate::publish::paths::{TILE_WIDTH, blob_path, bundle_path, tile_path};
use crate::publish::tiles::first_hashes;
use crate::reader::ReadError;
use crate::source::Source;
use crate::store::StoreError;
use crate::tree::Frontier;

/// How much of the copy is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Entries that are there.
    pub size: u64,
    /// Those that the checkpoint promises.
    pub promised: u64,
    /// Whether bundles are compared too; pointless when the entries come from them.
    pub bundles: bool,
}

impl Extent {
    /// How many hashes or entries are promised of a tile or bundle.
    fn promised(self, level: u8, index: u64) -> u64 {
        let all = self.promised.checked_shr(8 * u32::from(level)).unwrap_or(0);
        all.saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH)
    }
}

/// The lowest tiles and the bundles of consecutive entries. The first one begins a tile.
#[derive(Debug)]
pub(super) struct Lower<'a> {
    source: &'a Source,
    extent: Extent,
    index: u64,
    tile: Vec<u8>,
    bundle: Vec<u8>,
    /// What is read of one file after the other: a new buffer for each would cost as much as hashing its content.
    found: Vec<u8>,
    /// Roots of the full tiles, in order.
    pub roots: Vec<Digest>,
    pub findings: Vec<Finding>,
}

impl<'a> Lower<'a> {
    pub fn new(source: &'a Source, extent: Extent) -> Self {
        Self {
            source,
            extent,
            index: 0,
            tile: Vec::new(),
            bundle: Vec::new(),
            found: Vec::new(),
            roots: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Takes entry `seq`. `root` is the root over the 256 entries that end with it, if it is known.
    pub fn entry(&mut self, seq: u64, bytes: &[u8], leaf: &Digest, root: Option<Digest>) -> Result<(), ReadError> {
        self.index = seq / TILE_WIDTH;
        if self.extent.bundles {
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            self.bundle.extend_from_slice(&length.to_be_bytes());
            self.bundle.extend_from_slice(bytes);
        }
        self.tile.extend_from_slice(leaf.as_bytes());
        if (seq + 1).is_multiple_of(TILE_WIDTH) {
            self.roots.push(root.unwrap_or_else(|| root_of(&self.tile)));
        }
        if (seq + 1).is_multiple_of(TILE_WIDTH) || seq + 1 == self.extent.size {
            self.finish()?;
        }
        Ok(())
    }

    /// Compares what was taken since the last full tile. Called where entries end, also too early.
    pub fn finish(&mut self) -> Result<(), ReadError> {
        if self.tile.is_empty() {
            return Ok(());
        }
        let index = self.index;
        let have = (self.tile.len() / Digest::LENGTH) as u64;
        let promised = self.extent.promised(0, index);
        let tile = Forms {
            source: self.source,
            path: &|width| tile_path(0, index, width),
            first: first_hashes,
            have,
            promised,
        };
        self.findings.extend(tile.compare(&self.tile, &mut self.found)?);
        if self.extent.bundles {
            let bundle = Forms {
                path: &|width| bundle_path(index, width),
                first: first_entries,
                ..tile
            };
            self.findings.extend(bundle.compare(&self.bundle, &mut self.found)?);
        }
        self.tile.clear();
        self.bundle.clear();
        Ok(())
    }

    /// What is wrong with the published file of a blob that entry `seq` names, if anything is. `content` is the
    /// record's.
    pub fn blob(&self, seq: u64, digest: &Digest, content: Option<&[u8]>) -> Result<Option<Finding>, ReadError> {
        let path = blob_path(digest).display().to_string();
        let promised = seq < self.extent.promised;
        let severity = match read(self.source, &path)? {
            Some(found) if Digest::of(&found) == *digest => return Ok(None),
            Some(found) if !promised && content.is_some_and(|content| content.starts_with(&found)) => {
                return Ok(Some(cut_short(&path)));
            }
            Some(_) => (Severity::Tampered, "is not the content that it is named after"),
            // Without a database the copy is the record: what is missing there is named as such.
            None if promised && self.source.is_database() => (Severity::Incomplete, "is missing"),
            None => return Ok(None),
        };
        Ok(Some(Finding {
            severity: severity.0,
            seq: Some(seq),
            detail: format!("{path} {}", severity.1),
        }))
    }
}

/// The published forms of one tile or bundle: the full one, and partial ones until it is there.
#[derive(Clone, Copy)]
struct Forms<'a> {
    source: &'a Source,
    /// Path of the form of a width.
    path: &'a dyn Fn(u64) -> String,
    /// The bytes of the first hashes or entries.
    first: fn(&[u8], u64) -> &[u8],
    /// Hashes or entries of it that are known.
    have: u64,
    /// Those that are promised.
    promised: u64,
}

impl Forms<'_> {
    /// Compares every form that is there; one that holds what is promised must be there. `found` is a buffer.
    fn compare(&self, content: &[u8], found: &mut Vec<u8>) -> Result<Vec<Finding>, ReadError> {
        let full = (self.path)(TILE_WIDTH);
        let partial = self.source.copy().partial_widths(&full);
        let partial = partial.map_err(|error| StoreError::Io(format!("{full}: {error}")))?;
        let mut findings = Vec::new();
        let mut kept = self.promised == 0;
        // The full form last: a writer at work may have finished it and removed the partial ones since.
        for width in partial.into_iter().chain([TILE_WIDTH]) {
            let path = (self.path)(width);
            let is_there = self.source.copy().read_into(&path, found);
            if !is_there.map_err(|error| unread(&path, &error))? {
                continue;
            }
            kept |= width == self.promised || width == TILE_WIDTH;
            findings.extend(self.judge(width, &path, found, content));
        }
        if !kept {
            findings.push(missing(&(self.path)(self.promised)));
        }
        Ok(findings)
    }

    fn judge(&self, width: u64, path: &str, found: &[u8], content: &[u8]) -> Option<Finding> {
        let expected = if width < self.have {
            (self.first)(content, width)
        } else {
            content
        };
        // Of a form that goes on beyond what is known the beginning is compared: the ledger may have grown.
        if found == expected || (width > self.have && found.starts_with(expected)) {
            None
        } else if width != self.promised && expected.starts_with(found) {
            Some(cut_short(path))
        } else {
            Some(altered(path))
        }
    }
}

fn read(source: &Source, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let found = source.copy().read(path);
    Ok(found.map_err(|error| unread(path, &error))?)
}

fn unread(path: &str, error: &std::io::Error) -> StoreError {
    StoreError::Io(format!("{path}: {error}"))
}

fn finding(severity: Severity, detail: String) -> Finding {
    Finding {
        severity,
        seq: None,
        detail,
    }
}

fn missing(path: &str) -> Finding {
    finding(Severity::Incomplete, format!("{path} is missing"))
}

fn cut_short(path: &str) -> Finding {
    let detail = format!("{path} is cut short, and no checkpoint covers it; the next start writes it anew");
    finding(Severity::Incomplete, detail)
}

fn altered(path: &str) -> Finding {
    finding(Severity::Tampered, format!("{path} is not what the entries give"))
}

fn root_of(tile: &[u8]) -> Digest {
    let mut tree = Frontier::new();
    let hashes = tile.chunks_exact(Digest::LENGTH).filter_map(Digest::from_slice);
    hashes.for_each(|hash| tree.push(hash));
    tree.root()
}

/// Whether the copy holds entries that the record lacks: somebody cut the record's end.
pub(super) fn beyond(source: &Source, size: u64) -> Result<Option<Finding>, ReadError> {
    if !source.is_database() {
        return Ok(None);
    }
    let reach = source.copy().reach_from(size);
    let reach = reach.map_err(|error| StoreError::Io(format!("published files: {error}")))?;
    // What is published was committed before: a ledger that grew meanwhile has it now.
    if reach <= size || reach <= source.size()? {
        return Ok(None);
    }
    let detail = format!("the published copy has {reach} entries, the database {size}");
    Ok(Some(finding(Severity::Incomplete, detail)))
}

/// The tiles of all levels but the lowest, from the roots of the tiles below.
#[derive(Debug)]
pub(super) struct Upper<'a> {
    source: &'a Source,
    extent: Extent,
    /// Index and hashes of the unfinished tile of each level, level 1 first.
    tiles: Vec<(u64, Vec<u8>)>,
    /// Over the roots of the lowest tiles.
    frontier: Frontier,
    pub findings: Vec<Finding>,
}

impl<'a> Upper<'a> {
    pub fn new(source: &'a Source, extent: Extent) -> Self {
        Self {
            source,
            extent,
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
                self.compare(place, at, &content)?;
            }
        }
        Ok(())
    }

    /// Compares the unfinished ones.
    pub fn finish(mut self) -> Result<Vec<Finding>, ReadError> {
        for (place, (index, tile)) in std::mem::take(&mut self.tiles).into_iter().enumerate() {
            if !tile.is_empty() {
                self.compare(place, index, &tile)?;
            }
        }
        Ok(self.findings)
    }

    fn compare(&mut self, place: usize, index: u64, content: &[u8]) -> Result<(), ReadError> {
        let level = u8::try_from(place + 1).unwrap_or(u8::MAX);
        let have = (content.len() / Digest::LENGTH) as u64;
        let forms = Forms {
            source: self.source,
            path: &|width| tile_path(level, index, width),
            first: first_hashes,
            have,
            promised: self.extent.promised(level, index),
        };
        self.findings.extend(forms.compare(content, &mut Vec::new())?);
        Ok(())
    }
}
