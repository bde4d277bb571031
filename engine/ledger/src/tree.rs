//! The RFC 6962 Merkle tree: incremental root, proofs and their checks.
//!
//! Complete subtrees are addressed by `(level, index)`: the node that covers leaves
//! `index << level .. (index + 1) << level`.

use crate::hash::{Digest, leaf_hash, node_hash};

/// The right edge of a tree: one root for each complete subtree, at most 64, largest first.
/// Enough to append and to compute the root; its memory does not grow with the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    /// The first leaf: 0 but for a run that begins inside a larger tree.
    start: u64,
    size: u64,
    subtrees: Vec<Digest>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Digest) {
        self.push_recording(leaf, |_| {});
    }

    /// Appends a leaf hash and reports every subtree that it completes, the leaf first, then upwards.
    /// Recording the reports in order gives the layout that [`stored_index`] addresses.
    pub fn push_recording(&mut self, leaf: Digest, mut completed: impl FnMut(Digest)) {
        completed(leaf);
        let mut node = leaf;
        let end = self.size + 1;
        // One merge for each trailing one bit of the old size: those subtrees become complete.
        for level in 0..self.size.trailing_ones() {
            // What begins before the run has its left half elsewhere: the last subtree here is no sibling then.
            if end.saturating_sub(2 << level) < self.start {
                break;
            }
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            node = node_hash(&left, &node);
            completed(node);
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// An empty run of leaves that begins at leaf `start` of a larger tree. Its subtrees are those of the
    /// larger tree; it has no root of its own.
    pub(crate) fn starting_at(start: u64) -> Self {
        Self {
            start,
            size: start,
            subtrees: Vec::new(),
        }
    }

    /// The complete subtrees of a run, in order, with their levels.
    pub(crate) fn into_subtrees(self) -> Vec<(u32, Digest)> {
        let mut level_of = Vec::with_capacity(self.subtrees.len());
        let mut at = self.start;
        for subtree in self.subtrees {
            // The largest aligned subtree that begins here and fits.
            let level = at.trailing_zeros().min((self.size - at).ilog2());
            level_of.push((level, subtree));
            at += 1 << level;
        }
        level_of
    }

    /// Appends a complete subtree of 2^`level` leaves; the size must be a multiple of that.
    pub(crate) fn push_subtree(&mut self, level: u32, node: Digest) {
        let mut node = node;
        for _ in 0..(self.size >> level).trailing_ones() {
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            node = node_hash(&left, &node);
        }
        self.subtrees.push(node);
        self.size += 1 << level;
    }

    /// The root: MTH of RFC 6962 §2.1; SHA-256 of nothing for the empty tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(last) = subtrees.next() else {
            return Digest::of(b"");
        };
        subtrees.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Position of node `(level, index)` in a flat file of nodes in order of completion.
#[must_use]
pub const fn stored_index(level: u32, index: u64) -> u64 {
    // The node is completed by its last leaf. Before leaf n there are 2n - popcount(n) nodes.
    let last_leaf = ((index + 1) << level) - 1;
    last_leaf * 2 - last_leaf.count_ones() as u64 + level as u64
}

/// Number of nodes stored for a tree of `size` leaves.
#[must_use]
pub const fn stored_count(size: u64) -> u64 {
    size * 2 - size.count_ones() as u64
}

/// Access to the hashes of complete subtrees.
pub trait NodeSource {
    /// What reading can fail with.
    type Error;

    /// The hash of the complete subtree `(level, index)`.
    ///
    /// # Errors
    /// When the node cannot be read.
    fn node(&mut self, level: u32, index: u64) -> Result<Digest, Self::Error>;

    /// The root of leaves `low..high` if the source remembers it: the right edge of a tree is the same for every
    /// proof in it, and computing it costs more than all other nodes of a proof together.
    fn remembered(&self, low: u64, high: u64) -> Option<Digest> {
        let _ = (low, high);
        None
    }
}

/// Why no proof can be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// The leaf, or the older tree, is not inside the tree asked about.
    #[error("{index} is not inside a tree of size {size}")]
    OutOfRange {
        /// The leaf index or the older size.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// A node could not be read.
    #[error("a tree node cannot be read: {0}")]
    Node(E),
}

/// Audit path of leaf `index` in the tree of `size` leaves (RFC 6962 §2.1.1), bottom first.
///
/// # Errors
/// [`ProofError::OutOfRange`] unless `index < size`; [`ProofError::Node`] when reading fails.
pub fn inclusion_proof<S: NodeSource>(
    index: u64,
    size: u64,
    nodes: &mut S,
) -> Result<Vec<Digest>, ProofError<S::Error>> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::with_capacity(64);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range_root(middle, high, nodes).map_err(ProofError::Node)?);
            high = middle;
        } else {
            path.push(range_root(low, middle, nodes).map_err(ProofError::Node)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Consistency proof between the trees of `old` and `new` leaves (RFC 6962 §2.1.2), bottom first.
/// Empty when `old` is 0 or equals `new`.
///
/// # Errors
/// [`ProofError::OutOfRange`] unless `old <= new`; [`ProofError::Node`] when reading fails.
pub fn consistency_proof<S: NodeSource>(
    old: u64,
    new: u64,
    nodes: &mut S,
) -> Result<Vec<Digest>, ProofError<S::Error>> {
    if old > new {
        return Err(ProofError::OutOfRange { index: old, size: new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut low, mut high) = (0, new);
    let mut path = Vec::with_capacity(64);
    // `old` stays inside (low, high]; the old tree's part of this range ends when it reaches `high`.
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range_root(middle, high, nodes).map_err(ProofError::Node)?);
            high = middle;
        } else {
            path.push(range_root(low, middle, nodes).map_err(ProofError::Node)?);
            low = middle;
        }
    }
    // A verifier knows the old root only as a whole, so a proper subtree has to be named.
    if low != 0 {
        path.push(range_root(low, high, nodes).map_err(ProofError::Node)?);
    }
    path.reverse();
    Ok(path)
}

/// Root of the first `size` leaves.
///
/// # Errors
/// When a node cannot be read.
pub fn root<S: NodeSource>(size: u64, nodes: &mut S) -> Result<Digest, S::Error> {
    range_root(0, size, nodes)
}

/// Root of leaves `low..high`; `low` is a multiple of the range's largest power of two.
fn range_root<S: NodeSource>(low: u64, high: u64, nodes: &mut S) -> Result<Digest, S::Error> {
    if let Some(root) = nodes.remembered(low, high) {
        return Ok(root);
    }
    let mut end = high;
    let mut root: Option<Digest> = None;
    // From the right: the smallest complete subtree is the lowest one bit of the length.
    while end > low {
        let level = (end - low).trailing_zeros();
        let start = end - (1 << level);
        let left = nodes.node(level, start >> level)?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
        end = start;
    }
    Ok(root.unwrap_or_else(|| Digest::of(b"")))
}

/// Largest power of two smaller than `length` (RFC 6962's k); `length` is at least 2.
const fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree `(size, root)` (RFC 9162 §2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, proof: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut position, mut last) = (index, size - 1);
    let mut node = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            node = node_hash(sibling, &node);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && node == *root
}

/// Whether `proof` shows that the tree `(new, new_root)` extends `(old, old_root)` (RFC 9162 §2.1.4.2).
/// From the empty tree only the empty proof is accepted.
#[must_use]
pub fn verify_consistency(old: u64, old_root: &Digest, new: u64, new_root: &Digest, proof: &[Digest]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == Digest::of(b"");
    }
    // A complete old tree is itself the first node of the path.
    let implied = old.is_power_of_two().then_some(old_root);
    let mut path = implied.into_iter().chain(proof);
    let Some(first) = path.next() else {
        return false;
    };
    let (mut position, mut last) = (old - 1, new - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (*first, *first);
    for node in path {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            from_old = node_hash(node, &from_old);
            from_new = node_hash(node, &from_new);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, node);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

/// All complete subtrees of a small tree in memory: for tests and for exports of bounded size.
#[derive(Debug, Clone, Default)]
pub struct MemoryNodes(Vec<Digest>);

impl MemoryNodes {
    /// Hashes `entries` in order.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> (Frontier, Self) {
        let mut frontier = Frontier::new();
        let mut nodes = Vec::new();
        for entry in entries {
            frontier.push_recording(leaf_hash(entry), |node| nodes.push(node));
        }
        (frontier, Self(nodes))
    }
}

/// A node outside the stored tree was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no node at level {level}, index {index}")]
pub struct NoSuchNode {
    /// Level asked for.
    pub level: u32,
    /// Index asked for.
    pub index: u64,
}

impl NodeSource for MemoryNodes {
    type Error = NoSuchNode;

    fn node(&mut self, level: u32, index: u64) -> Result<Digest, NoSuchNode> {
        usize::try_from(stored_index(level, index))
            .ok()
            .and_then(|at| self.0.get(at))
            .copied()
            .ok_or(NoSuchNode { level, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1, word for word: the slow definition that the fast one must equal.
    fn root_by_definition(leaves: &[Vec<u8>]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => leaf_hash(one),
            many => {
                let mut k = 1;
                while k * 2 < many.len() {
                    k *= 2;
                }
                node_hash(&root_by_definition(&many[..k]), &root_by_definition(&many[k..]))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|i| format!("leaf {i}").into_bytes()).collect()
    }

    fn nodes_of(leaves: &[Vec<u8>]) -> (Frontier, MemoryNodes) {
        MemoryNodes::from_entries(leaves.iter().map(Vec::as_slice))
    }

    #[test]
    fn root_equals_the_definition_at_every_size() {
        for count in 0..130 {
            let leaves = leaves(count);
            let (frontier, nodes) = nodes_of(&leaves);
            assert_eq!(frontier.root(), root_by_definition(&leaves), "{count}");
            assert_eq!(nodes.0.len() as u64, stored_count(count as u64));
        }
    }

    /// Whoever hashes entries in pieces may have to cut them anywhere, not only between whole subtrees.
    #[test]
    fn runs_cut_anywhere_give_the_root_of_the_whole() {
        let leaves: Vec<Digest> = leaves(40).iter().map(|leaf| leaf_hash(leaf)).collect();
        let run = |from: usize, to: usize| {
            let mut run = Frontier::starting_at(from as u64);
            leaves[from..to].iter().for_each(|leaf| run.push(*leaf));
            run.into_subtrees()
        };
        let (mut whole, mut at_first) = (Frontier::new(), Vec::new());
        for leaf in &leaves {
            at_first.push(whole.root());
            whole.push(*leaf);
        }
        for first in 0..40 {
            for second in first..40 {
                let mut joined = Frontier::new();
                for (from, to) in [(0, first), (first, second), (second, 40)] {
                    assert_eq!(joined.root(), at_first[from], "{first} {second}");
                    for (level, node) in run(from, to) {
                        joined.push_subtree(level, node);
                    }
                }
                assert_eq!(joined, whole, "{first} {second}");
            }
        }
    }

    #[test]
    fn every_inclusion_proof_verifies_and_no_altered_one_does() {
        for size in 1..34_u64 {
            let leaves = leaves(usize::try_from(size).unwrap());
            let (frontier, mut nodes) = nodes_of(&leaves);
            let root = frontier.root();
            for index in 0..size {
                let leaf = leaf_hash(&leaves[usize::try_from(index).unwrap()]);
                let proof = inclusion_proof(index, size, &mut nodes).unwrap();
                assert!(verify_inclusion(&leaf, index, size, &proof, &root));
                assert!(!verify_inclusion(&leaf, index + 1, size, &proof, &root));
                assert!(!verify_inclusion(&Digest::ZERO, index, size, &proof, &root));
                let mut longer = proof.clone();
                longer.push(Digest::ZERO);
                assert!(!verify_inclusion(&leaf, index, size, &longer, &root));
                for position in 0..proof.len() {
                    let mut altered = proof.clone();
                    altered[position] = Digest::ZERO;
                    assert!(!verify_inclusion(&leaf, index, size, &altered, &root));
                    let mut shorter = proof.clone();
                    shorter.remove(position);
                    assert!(!verify_inclusion(&leaf, index, size, &shorter, &root));
                }
            }
        }
    }

    #[test]
    fn every_consistency_proof_verifies_and_no_altered_one_does() {
        let leaves = leaves(34);
        let (_, mut nodes) = nodes_of(&leaves);
        let roots: Vec<_> = (0..=leaves.len()).map(|n| nodes_of(&leaves[..n]).0.root()).collect();
        for new in 0..=34_u64 {
            for old in 0..=new {
                let (a, b) = (
                    roots[usize::try_from(old).unwrap()],
                    roots[usize::try_from(new).unwrap()],
                );
                let proof = consistency_proof(old, new, &mut nodes).unwrap();
                assert!(verify_consistency(old, &a, new, &b, &proof), "{old} -> {new}");
                if old < new {
                    assert!(!verify_consistency(old, &Digest::ZERO, new, &b, &proof));
                }
                if 0 < old && old < new {
                    assert!(!verify_consistency(old, &a, new, &Digest::ZERO, &proof));
                    assert!(!verify_consistency(old, &a, new, &b, &[]));
                }
            }
        }
    }

    #[test]
    fn proofs_outside_the_tree_are_refused() {
        let (_, mut nodes) = nodes_of(&leaves(3));
        assert_eq!(
            inclusion_proof(3, 3, &mut nodes),
            Err(ProofError::OutOfRange { index: 3, size: 3 })
        );
        assert_eq!(
            consistency_proof(4, 3, &mut nodes),
            Err(ProofError::OutOfRange { index: 4, size: 3 })
        );
    }
}
