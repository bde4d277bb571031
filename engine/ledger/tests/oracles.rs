//! Tree, proofs and tiles, their paths and their contents, against two independent implementations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use common::{draft, open};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use penin_ledger::hash::leaf_hash;
use penin_ledger::publish::paths::{bundle_path, parse_tile_path, tile_path};
use penin_ledger::tree::{
    Frontier, MemoryNodes, NodeSource as _, consistency_proof, inclusion_proof, stored_count, stored_index,
    verify_consistency, verify_inclusion,
};
use penin_ledger::{Digest, Kind, MemoryAnchor};
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::{Hash, HashReader};

/// Our nodes, read by the port of Go's tlog through its own numbering.
struct Stored(std::cell::RefCell<MemoryNodes>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let read = |index: &u64| {
            let (level, n) = tlog_tiles::split_stored_hash_index(*index);
            let node = self.0.borrow_mut().node(u32::from(level), n).unwrap();
            Hash(*node.as_bytes())
        };
        Ok(indexes.iter().map(read).collect())
    }
}

fn leaves() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..600)
}

fn ours(leaves: &[Vec<u8>]) -> (Frontier, MemoryNodes) {
    MemoryNodes::from_entries(leaves.iter().map(Vec::as_slice))
}

fn hashes(proof: &[Digest]) -> Vec<Hash> {
    proof.iter().map(|digest| Hash(*digest.as_bytes())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// However a ledger grew to its size, and was closed and opened again on the way.
    #[test]
    fn published_tiles_hold_what_gos_would(parts in prop::collection::vec(1_usize..260, 1..4)) {
        let (dir, anchor) = (tempfile::tempdir().unwrap(), MemoryAnchor::default());
        for part in parts {
            let ledger = open(dir.path(), anchor.clone(), 1).unwrap();
            let tickets: Vec<_> = (0..part as u64).map(|n| ledger.append(draft(Kind::Config, n))).collect();
            for ticket in tickets {
                ticket.wait().unwrap();
            }
            ledger.close();
        }
        let reader = penin_ledger::Reader::open_read_only(dir.path()).unwrap();
        let size = reader.head().unwrap().0;
        let entries: Vec<Vec<u8>> = (0..size).map(|seq| reader.entry_bytes(seq).unwrap().unwrap()).collect();
        let stored = Stored(std::cell::RefCell::new(ours(&entries).1));
        for tile in tlog_tiles::Tile::new_tiles(8, 0, size) {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            prop_assert_eq!(std::fs::read(dir.path().join(&path)).unwrap(), tile.read_data(&stored).unwrap(), "{}", path);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn roots_and_proofs_are_those_of_both(leaves in leaves(), pick in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let (frontier, mut nodes) = ours(&leaves);
        let size = leaves.len() as u64;
        let root = frontier.root();
        let mut other: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
        for leaf in &leaves {
            other.push(leaf.clone());
        }
        let other_root = other.root();
        prop_assert_eq!(other_root.as_bytes().as_slice(), root.as_bytes());

        let index = pick.index(leaves.len());
        let proof = inclusion_proof(index as u64, size, &mut nodes).unwrap();
        let flat: Vec<u8> = proof.iter().flat_map(|digest| *digest.as_bytes()).collect();
        let theirs = other.prove_inclusion(index);
        prop_assert_eq!(theirs.as_bytes(), flat.as_slice());

        let old = cut.index(leaves.len()) + 1;
        let old_root = ours(&leaves[..old]).0.root();
        let steps = consistency_proof(old as u64, size, &mut nodes).unwrap();
        prop_assert!(verify_consistency(old as u64, &old_root, size, &root, &steps));

        let stored = Stored(std::cell::RefCell::new(nodes));
        let go_root = tlog_tiles::tree_hash(size, &stored).unwrap();
        prop_assert_eq!(&go_root.0, root.as_bytes());
        let go = tlog_tiles::prove_record(size, index as u64, &stored).unwrap();
        prop_assert_eq!(&go, &hashes(&proof));
        let leaf = Hash(*leaf_hash(&leaves[index]).as_bytes());
        prop_assert!(tlog_tiles::check_record(&hashes(&proof), size, go_root, index as u64, leaf).is_ok());
        let go = tlog_tiles::prove_tree(size, old as u64, &stored).unwrap();
        prop_assert_eq!(&go, &hashes(&steps));
    }

    #[test]
    fn altered_proofs_are_judged_alike(leaves in leaves(), pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (frontier, mut nodes) = ours(&leaves);
        let size = leaves.len() as u64;
        let (root, index) = (frontier.root(), pick.index(leaves.len()));
        let mut proof = inclusion_proof(index as u64, size, &mut nodes).unwrap();
        if !proof.is_empty() {
            let position = at.index(proof.len());
            let mut bytes = *proof[position].as_bytes();
            bytes[0] ^= 1 << bit;
            proof[position] = Digest::from_bytes(bytes);
        }
        let leaf = leaf_hash(&leaves[index]);
        let accepted = verify_inclusion(&leaf, index as u64, size, &proof, &root);
        let go = tlog_tiles::check_record(
            &hashes(&proof), size, Hash(*root.as_bytes()), index as u64, Hash(*leaf.as_bytes()),
        );
        prop_assert_eq!(accepted, go.is_ok());
        prop_assert_eq!(accepted, proof.is_empty());
    }

    #[test]
    fn node_numbering_is_gos(level in 0_u32..40, index in 0_u64..1 << 20) {
        let go = tlog_tiles::stored_hash_index(u8::try_from(level).unwrap(), index);
        prop_assert_eq!(stored_index(level, index), go);
        prop_assert_eq!(stored_count(index), tlog_tiles::stored_hash_count(index));
    }

    #[test]
    fn tile_paths_are_gos_without_the_height(level in 0_u8..8, index in any::<u64>(), width in 1_u64..=256) {
        let index = index >> 1;
        let tile = tlog_tiles::Tile::new(8, level, index, u32::try_from(width).unwrap(), false);
        let go = tile.path().replacen("tile/8/", "tile/", 1);
        prop_assert_eq!(tile_path(level, index, width), go);
    }

    #[test]
    fn no_text_is_a_second_spelling_of_a_tile(text in "tile/(entries|[0-9]{1,2})/(x?[0-9]{1,3}/?){1,3}(\\.p/[0-9]{1,3})?") {
        if let Some(name) = parse_tile_path(&text) {
            let written = match name.level {
                Some(level) => tile_path(level, name.index, name.width),
                None => bundle_path(name.index, name.width),
            };
            prop_assert_eq!(written, text);
        }
    }

    #[test]
    fn no_input_upsets_a_parser(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        let key = penin_ledger::Keys::generate([1; 64]).verifiers().log;
        prop_assert!(penin_ledger::Entry::decode(&bytes).is_err());
        prop_assert!(penin_ledger::note::Checkpoint::open(&bytes, "o", &key).is_err());
        prop_assert!(penin_ledger::note::Checkpoint::open(text.as_bytes(), "o", &key).is_err());
        prop_assert!(penin_ledger::dsse::Envelope::parse(text.as_bytes()).is_err());
        prop_assert!(penin_ledger::Policy::from_json(&text).is_err());
        prop_assert!(penin_ledger::keys::PublicKey::from_vkey(&text).is_err());
        let _ = parse_tile_path(&text);
        let _ = penin_ledger::publish::copy::parse_bundle(&bytes);
    }
}
