//! Tree nodes on disk: from the node file with a few small reads, else from the tiles.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::hash::{Digest, node_hash};
use crate::publish::paths::{TILE_WIDTH, tile_path};
use crate::publish::tiles::NODES;
use crate::reader::ReadError;
use crate::source::Source;
use crate::store::StoreError;
use crate::tree::{Frontier, NodeSource, stored_count, stored_index};

/// Level of the subtrees that are read as a whole: 128 leaves, 255 nodes, two pages of 4 KiB. They stand together in the
/// node file, so one read serves the lower third of a proof in a million entries.
const RUN: u32 = 7;
/// Nodes of such a subtree.
const RUN_NODES: usize = (2 << RUN) - 1;
/// From this level on nodes are remembered one by one: there are few of them, and every proof needs some.
const UPPER: u32 = RUN;
/// Places for them, 768 KiB at most: one for each of a million entries' tree. In a larger tree they displace each
/// other.
const PLACES: u64 = 16_384;
/// Trees whose right edge is remembered: the two of a consistency proof, and those of the next.
const MOST_EDGES: usize = 4;

/// The right edge of a tree, which is fixed for its size.
#[derive(Debug)]
struct Edge {
    size: u64,
    /// Where each complete subtree begins, with the root over everything from there to the end; at most 64.
    suffixes: Vec<(u64, Digest)>,
}

/// Nodes that stand together in the node file.
#[derive(Debug, Default)]
struct Run {
    first: u64,
    bytes: Vec<u8>,
}

impl Run {
    fn get(&self, at: u64) -> Option<Digest> {
        let from = usize::try_from(at.checked_sub(self.first)?)
            .ok()?
            .checked_mul(Digest::LENGTH)?;
        Digest::from_slice(self.bytes.get(from..from.checked_add(Digest::LENGTH)?)?)
    }
}

/// Reads nodes. What it remembers is bounded: four right edges, one run, 16,384 upper nodes, and one tile for each
/// of eight levels.
#[derive(Debug)]
pub(super) struct Nodes {
    file: Option<File>,
    source: Source,
    run: Run,
    /// Upper nodes with their number, at that number modulo [`PLACES`]. They are numbered as a tree of their own, so
    /// those of a tree that fits never share a place.
    upper: Vec<Option<(u64, Digest)>>,
    edges: VecDeque<Edge>,
    tiles: BTreeMap<u32, (u64, Vec<u8>)>,
}

impl Nodes {
    pub fn new(source: Source) -> Self {
        Self {
            file: File::open(source.directory().join(NODES)).ok(),
            source,
            run: Run::default(),
            upper: Vec::new(),
            edges: VecDeque::with_capacity(MOST_EDGES),
            tiles: BTreeMap::new(),
        }
    }

    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Root of the first `size` leaves; its right edge is remembered.
    pub fn remember(&mut self, size: u64) -> Result<Digest, ReadError> {
        if size == 0 {
            return Ok(Frontier::new().root());
        }
        if let Some(at) = self.edges.iter().position(|edge| edge.size == size) {
            // The one that was used last is the last to go.
            let edge = self.edges.remove(at);
            self.edges.extend(edge);
            return self.remembered(0, size).ok_or_else(|| no_node(0, size));
        }
        let mut end = size;
        let mut suffixes: Vec<(u64, Digest)> = Vec::new();
        // From the right: the smallest complete subtree is the lowest one bit of what is left.
        while end > 0 {
            let level = end.trailing_zeros();
            let start = end - (1 << level);
            let left = self.node(level, start >> level)?;
            let root = suffixes.last().map_or(left, |(_, right)| node_hash(&left, right));
            suffixes.push((start, root));
            end = start;
        }
        // Of one leaf at least, so there is a last one.
        let root = suffixes.last().map_or(Digest::ZERO, |(_, root)| *root);
        if self.edges.len() == MOST_EDGES {
            self.edges.pop_front();
        }
        self.edges.push_back(Edge { size, suffixes });
        Ok(root)
    }

    /// Reads the small subtree around leaf `index` at once, when the tree of `size` leaves has it whole.
    pub fn look_around(&mut self, index: u64, size: u64) {
        let subtree = index >> RUN;
        let Some(file) = self.file.as_ref().filter(|_| (subtree + 1) << RUN <= size) else {
            return;
        };
        // Complete subtrees stand in the order in which they were completed: this one behind all before it.
        self.run.first = stored_count(subtree << RUN);
        self.run.bytes.resize(RUN_NODES * Digest::LENGTH, 0);
        let read = file.read_exact_at(
            &mut self.run.bytes,
            self.run.first.saturating_mul(Digest::LENGTH as u64),
        );
        if read.is_err() {
            self.run.bytes.clear();
        }
    }

    fn stored(&mut self, level: u32, index: u64) -> Option<Digest> {
        let at = stored_index(level, index);
        let Some(above) = level.checked_sub(UPPER) else {
            return self.run.get(at).or_else(|| self.read_stored(at));
        };
        let number = stored_index(above, index);
        let place = usize::try_from(number % PLACES).ok()?;
        if let Some(Some((of, found))) = self.upper.get(place)
            && *of == number
        {
            return Some(*found);
        }
        let found = self.read_stored(at)?;
        if self.upper.is_empty() {
            self.upper.resize(usize::try_from(PLACES).ok()?, None);
        }
        if let Some(kept) = self.upper.get_mut(place) {
            *kept = Some((number, found));
        }
        Some(found)
    }

    fn read_stored(&self, at: u64) -> Option<Digest> {
        let mut bytes = [0; Digest::LENGTH];
        let offset = at.checked_mul(Digest::LENGTH as u64)?;
        self.file.as_ref()?.read_exact_at(&mut bytes, offset).ok()?;
        Some(Digest::from_bytes(bytes))
    }

    /// The node from its tile, or below a tile that is not published from the entries themselves.
    fn published(&mut self, level: u32, index: u64) -> Result<Digest, ReadError> {
        let (tile_level, inner) = (level / 8, level % 8);
        let first = index << inner;
        let (tile, offset) = (first / TILE_WIDTH, first % TILE_WIDTH);
        let count = 1_u64 << inner;
        let hashes = self.tile(tile_level, tile, offset + count)?;
        let mut run = Frontier::new();
        let wanted = hashes.chunks_exact(Digest::LENGTH).filter_map(Digest::from_slice);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut pushed = 0;
        for hash in wanted.skip(from).take(usize::try_from(count).unwrap_or(0)) {
            run.push(hash);
            pushed += 1;
        }
        if pushed == count {
            Ok(run.root())
        } else {
            Err(no_node(level, index))
        }
    }

    /// The full tile, or the narrowest published partial one that is wide enough. The last one of each level is kept:
    /// a proof asks for several nodes of it, and what a tile holds never changes.
    fn tile(&mut self, level: u32, index: u64, least: u64) -> Result<&[u8], ReadError> {
        let wide_enough = |bytes: &[u8]| bytes.len() as u64 >= least * Digest::LENGTH as u64;
        let kept = self.tiles.get(&level);
        if !kept.is_some_and(|(at, bytes)| *at == index && wide_enough(bytes)) {
            let bytes = self.read_tile(level, index, least)?;
            self.tiles.insert(level, (index, bytes));
        }
        Ok(self.tiles.get(&level).map_or(&[], |(_, bytes)| bytes))
    }

    fn read_tile(&self, level: u32, index: u64, least: u64) -> Result<Vec<u8>, ReadError> {
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        let widths = std::iter::once(TILE_WIDTH).chain(least..TILE_WIDTH);
        for width in widths {
            let found = self.source.copy().read(tile_path(level, index, width));
            if let Some(bytes) = found.map_err(|e| StoreError::Io(e.to_string()))? {
                return Ok(bytes);
            }
        }
        Ok(Vec::new())
    }
}

fn no_node(level: u32, index: u64) -> ReadError {
    StoreError::Damaged(format!("no node at level {level}, index {index}")).into()
}

impl NodeSource for Nodes {
    type Error = ReadError;

    fn node(&mut self, level: u32, index: u64) -> Result<Digest, ReadError> {
        if let Some(node) = self.stored(level, index) {
            return Ok(node);
        }
        // Eight levels up there may be no tile yet: two halves make the node.
        match self.published(level, index) {
            Err(_) if level > 0 && level.is_multiple_of(8) => Ok(node_hash(
                &self.node(level - 1, index * 2)?,
                &self.node(level - 1, index * 2 + 1)?,
            )),
            found => found,
        }
    }

    fn remembered(&self, low: u64, high: u64) -> Option<Digest> {
        let edge = self.edges.iter().find(|edge| edge.size == high)?;
        let found = edge.suffixes.iter().find(|(start, _)| *start == low)?;
        Some(found.1)
    }
}
