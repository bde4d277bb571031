//! Proofs about a ledger on disk, and their checks.

mod nodes;

use serde::{Deserialize, Serialize};

use crate::hash::{Digest, leaf_hash};
use crate::reader::ReadError;
use crate::source::Source;
use crate::tree::{
    NodeSource as _, ProofError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
use nodes::Nodes;

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

/// Makes proofs from the node file, or where there is none from the tiles. Keep it for several proofs: it remembers
/// what they share. Its memory does not grow with the ledger.
#[derive(Debug)]
pub struct Prover {
    nodes: Nodes,
}

impl Prover {
    /// Uses the files of a ledger or of an exported copy.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            nodes: Nodes::new(source),
        }
    }

    /// Proves that entry `index` is in the tree of `size` entries.
    ///
    /// # Errors
    /// When it is not, or a node cannot be read.
    pub fn inclusion(&mut self, index: u64, size: u64) -> Result<InclusionProof, ProveError> {
        if index >= size {
            return Err(ProofError::OutOfRange { index, size });
        }
        let nodes = &mut self.nodes;
        let root = nodes.remember(size).map_err(ProofError::Node)?;
        nodes.look_around(index, size);
        Ok(InclusionProof {
            index,
            size,
            leaf: nodes.node(0, index).map_err(ProofError::Node)?,
            hashes: inclusion_proof(index, size, nodes)?,
            root,
        })
    }

    /// Proves that the tree of `new` entries extends that of `old`.
    ///
    /// # Errors
    /// When it does not, or a node cannot be read.
    pub fn consistency(&mut self, old: u64, new: u64) -> Result<ConsistencyProof, ProveError> {
        if old > new {
            return Err(ProofError::OutOfRange { index: old, size: new });
        }
        let nodes = &mut self.nodes;
        Ok(ConsistencyProof {
            old,
            old_root: nodes.remember(old).map_err(ProofError::Node)?,
            new,
            new_root: nodes.remember(new).map_err(ProofError::Node)?,
            hashes: consistency_proof(old, new, nodes)?,
        })
    }

    /// The bytes of an entry with its leaf hash.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&self, seq: u64) -> Result<Option<(Vec<u8>, Digest)>, ReadError> {
        let bytes = self.nodes.source().entry_bytes(seq)?;
        Ok(bytes.map(|bytes| {
            let leaf = leaf_hash(&bytes);
            (bytes, leaf)
        }))
    }
}
