//! Proofs in a tree of a million entries.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::time::Instant;

use penin_ledger::hash::leaf_hash;
use penin_ledger::proof::Prover;
use penin_ledger::tree::Frontier;
use penin_ledger::{Digest, Source};

use super::common::median;

/// Entries of the tree: no power of two, so that its right edge is long.
const ENTRIES: u64 = 1_000_003;
/// Proofs of each kind.
const PROOFS: u64 = 20_000;

/// Inclusion and consistency proofs at places all over the tree, from the node file as a ledger writes it.
pub fn proofs() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tile")).unwrap();
    let mut nodes = BufWriter::new(File::create(dir.path().join("nodes")).unwrap());
    let mut tree = Frontier::new();
    for n in 0..ENTRIES {
        tree.push_recording(leaf_hash(&n.to_be_bytes()), |node: Digest| {
            nodes.write_all(node.as_bytes()).unwrap();
        });
    }
    nodes.into_inner().unwrap().sync_all().unwrap();
    let mut prover = Prover::new(Source::open(dir.path()).unwrap());
    let (mut inclusion, mut consistency) = (Vec::new(), Vec::new());
    for n in 0..PROOFS {
        let place = n.wrapping_mul(7_919).wrapping_mul(104_729) % ENTRIES;
        let start = Instant::now();
        let proof = prover.inclusion(place, ENTRIES).unwrap();
        inclusion.push(start.elapsed());
        assert!(proof.root == tree.root() && proof.verify(), "{place}");
        let start = Instant::now();
        let proof = prover.consistency(place, ENTRIES).unwrap();
        consistency.push(start.elapsed());
        assert!(proof.new_root == tree.root() && proof.verify(), "{place}");
    }
    println!(
        "proofs among {ENTRIES} entries: inclusion {:.1} us (goal 10), consistency {:.1} us",
        median(inclusion),
        median(consistency)
    );
}
