//! Proofs about a ledger on disk, and their checks.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};

use crate::hash::{Digest, leaf_hash, node_hash};
use crate::publish::paths::{TILE_WIDTH, tile_path};
use crate::publish::tiles::NODES;
use crate::reader::ReadError;
use crate::source::Source;
use crate::store::StoreError;
use crate::tree::{
    self, Frontier, NodeSource, ProofError, consistency_proof, inclusion_proof, stored_index, verify_consistency,
    verify_inclusion,
};

/// That an entry is in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InclusionProof {
    /// Position of the entry, from 0.
    pub index: u64,
    /// Size of the tree.
    pub size: u64,
    /// Leaf hash of the entry.
    pub leaf: Digest,
    /// Audit path, bottom first (RFC 6962 §2.1.1).
    pub hashes: Vec<Digest>,
    /// Root of the tree.
    pub root: Digest,
}

impl InclusionProof {
    /// Whether the proof holds for its own root; compare the root with a signed checkpoint.
    #[must_use]
    pub fn verify(&self) -> bool {
        verify_inclusion(&self.leaf, self.index, self.size, &self.hashes, &self.root)
    }
}

/// That a tree extends an older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsistencyProof {
    /// Size of the older tree.
    pub old: u64,
    /// Its root.
    pub old_root: Digest,
    /// Size of the newer tree.
    pub new: u64,
    /// Its root.
    pub new_root: Digest,
    /// Path (RFC 6962 §2.1.2).
    pub hashes: Vec<Digest>,
}

impl ConsistencyProof {
    /// Whether the proof holds for its own roots; compare them with signed checkpoints.
    #[must_use]
    pub fn verify(&self) -> bool {
        verify_consistency(self.old, &self.old_root, self.new, &self.new_root, &self.hashes)
    }
}

/// Why there is no proof.
pub type ProveError = ProofError<ReadError>;

/// Makes proofs from the node file, or where there is none from the tiles.
#[derive(Debug)]
pub struct Prover {
    nodes: Option<File>,
    source: Source,
}

impl Prover {
    /// Uses the files of a ledger or of an exported copy.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            nodes: File::open(source.directory().join(NODES)).ok(),
            source,
        }
    }

    /// Proves that entry `index` is in the tree of `size` entries.
    ///
    /// # Errors
    /// When it is not, or a node cannot be read.
    pub fn inclusion(&mut self, index: u64, size: u64) -> Result<InclusionProof, ProveError> {
        let hashes = inclusion_proof(index, size, self)?;
        let leaf = self.node(0, index).map_err(ProofError::Node)?;
        let root = tree::root(size, self).map_err(ProofError::Node)?;
        Ok(InclusionProof {
            index,
            size,
            leaf,
            hashes,
            root,
        })
    }

    /// Proves that the tree of `new` entries extends that of `old`.
    ///
    /// # Errors
    /// When it does not, or a node cannot be read.
    pub fn consistency(&mut self, old: u64, new: u64) -> Result<ConsistencyProof, ProveError> {
        let hashes = consistency_proof(old, new, self)?;
        Ok(ConsistencyProof {
            old,
            old_root: tree::root(old, self).map_err(ProofError::Node)?,
            new,
            new_root: tree::root(new, self).map_err(ProofError::Node)?,
            hashes,
        })
    }

    fn stored(&self, level: u32, index: u64) -> Option<Digest> {
        let mut bytes = [0; Digest::LENGTH];
        let at = stored_index(level, index).checked_mul(Digest::LENGTH as u64)?;
        self.nodes.as_ref()?.read_exact_at(&mut bytes, at).ok()?;
        Some(Digest::from_bytes(bytes))
    }

    /// The node from its tile, or below a tile that is not published from the entries themselves.
    fn published(&self, level: u32, index: u64) -> Result<Digest, ReadError> {
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
            let detail = format!("no node at level {level}, index {index}");
            Err(StoreError::Damaged(detail).into())
        }
    }

    /// The full tile, or the narrowest published partial one that is wide enough.
    fn tile(&self, level: u32, index: u64, least: u64) -> Result<Vec<u8>, ReadError> {
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

    /// The bytes of an entry with its leaf hash.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&self, seq: u64) -> Result<Option<(Vec<u8>, Digest)>, ReadError> {
        let bytes = self.source.entry_bytes(seq)?;
        Ok(bytes.map(|bytes| {
            let leaf = leaf_hash(&bytes);
            (bytes, leaf)
        }))
    }
}

impl NodeSource for Prover {
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
}
