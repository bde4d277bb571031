//! What must hold for any bytes at all. Shared by the fuzz targets and by the test that replays the seeds.

use penin_ledger::dsse::Envelope;
use penin_ledger::entry::chain_position;
use penin_ledger::hash::leaf_hash;
use penin_ledger::keys::PublicKey;
use penin_ledger::note::Checkpoint;
use penin_ledger::proof::{ConsistencyProof, InclusionProof};
use penin_ledger::publish::copy::parse_bundle;
use penin_ledger::publish::paths::{bundle_path, parse_tile_path, tile_path};
use penin_ledger::tree::{
    Frontier, MemoryNodes, NodeSource as _, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
use penin_ledger::{Digest, Entry, Policy};

/// The log key of the seeds: that of `produce --seed 7`.
const VKEY: &str = include_str!("seeds/log.vkey");
/// The signed checkpoint among the seeds.
const SIGNED: &str = include_str!("seeds/note/signed");

/// A signed note is refused, or is exactly what the key signed: every accepted text is that of the one signed seed.
pub fn note(bytes: &[u8]) {
    let (origin, key) = PublicKey::from_vkey(VKEY.trim()).expect("a seed");
    if let Ok(opened) = Checkpoint::open(bytes, &origin, &key) {
        let text = opened.text();
        assert!(bytes.starts_with(text.as_bytes()), "the text is what stands there");
        assert!(SIGNED.starts_with(&text), "a text that was never signed is accepted");
    }
    if let Some(claimed) = Checkpoint::claimed(bytes) {
        assert!(bytes.starts_with(claimed.text().as_bytes()));
    }
}

/// The three lines of a checkpoint have one spelling. The policy document is read here too: it is the other thing that comes from outside.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        // Extension lines may follow; they are signed with the rest and mean nothing here.
        assert!(text.starts_with(&checkpoint.text()));
    }
    if let Ok(policy) = Policy::from_json(text) {
        assert_eq!(Policy::from_json(&policy.to_json()), Ok(policy));
    }
    if let Ok((name, key)) = PublicKey::from_vkey(text) {
        assert_eq!(key.to_vkey(&name), text.strip_suffix('\n').unwrap_or(text));
    }
}

/// A tile path has one spelling and stays below its directory.
pub fn tile_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(name) = parse_tile_path(text) {
        let path = match name.level {
            Some(level) => tile_path(level, name.index, name.width),
            None => bundle_path(name.index, name.width),
        };
        assert_eq!(path, text);
        assert!((1..=256).contains(&name.width));
        let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        assert!(std::path::Path::new(text).components().all(plain));
    }
}

/// The tree that proofs are checked against.
fn tree() -> (Vec<Frontier>, MemoryNodes) {
    let leaves: Vec<Vec<u8>> = (0_u8..40).map(|n| vec![n; usize::from(n)]).collect();
    let frontier = |size: usize| MemoryNodes::from_entries(leaves.iter().take(size).map(Vec::as_slice)).0;
    let all = MemoryNodes::from_entries(leaves.iter().map(Vec::as_slice)).1;
    ((0..=leaves.len()).map(frontier).collect(), all)
}

/// Proofs as JSON never panic; a proof that holds for a known tree is the one proof that there is.
///
/// The first three bytes choose the kind and the sizes, the rest the hashes, one a byte: the hash that is right at this
/// place, a root or leaf of the tree, or the 32 bytes that follow.
pub fn proof(bytes: &[u8]) {
    if let Ok(proof) = serde_json::from_slice::<InclusionProof>(bytes) {
        let _ = proof.verify();
    }
    if let Ok(proof) = serde_json::from_slice::<ConsistencyProof>(bytes) {
        let _ = proof.verify();
    }
    let Some(([kind, first, second], rest)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let (roots, mut nodes) = tree();
    let root = |size: u64| roots[usize::try_from(size).expect("small")].root();
    let (first, second) = (u64::from(first % 41), u64::from(second % 41));
    if kind % 2 == 0 {
        let leaf = nodes.node(0, first.min(39)).expect("a leaf");
        let honest = inclusion_proof(first, second, &mut nodes).ok();
        let hashes = hashes(rest, honest.as_deref(), &roots, &mut nodes);
        let holds = verify_inclusion(&leaf, first, second, &hashes, &root(second));
        assert_eq!(holds, honest == Some(hashes.clone()));
        let other = Digest::of(b"no leaf");
        assert!(!verify_inclusion(&other, first, second, &hashes, &root(second)));
    } else {
        let honest = match first {
            0 => Some(Vec::new()),
            _ => consistency_proof(first, second, &mut nodes).ok(),
        };
        let hashes = hashes(rest, honest.as_deref(), &roots, &mut nodes);
        let holds = verify_consistency(first, &root(first), second, &root(second), &hashes);
        assert_eq!(holds, honest == Some(hashes));
    }
}

fn hashes(mut bytes: &[u8], honest: Option<&[Digest]>, roots: &[Frontier], nodes: &mut MemoryNodes) -> Vec<Digest> {
    let mut hashes: Vec<Digest> = Vec::new();
    while let Some((choice, rest)) = bytes.split_first() {
        bytes = rest;
        let at = usize::from(choice % 41);
        match choice {
            0..=81 => hashes.push(roots[at].root()),
            82..=163 => hashes.extend(nodes.node(0, u64::from(choice % 41)).ok()),
            164..=245 => hashes.extend(honest.and_then(|honest| honest.get(hashes.len())).copied()),
            _ => {
                if let Some((raw, rest)) = bytes.split_first_chunk::<32>() {
                    hashes.push(Digest::from_bytes(*raw));
                    bytes = rest;
                }
            }
        }
    }
    hashes
}

/// An envelope survives being written, an entry has one spelling, and its chain is read without parsing as with it. A bundle reads back.
pub fn envelope(bytes: &[u8]) {
    // Other tools may write an envelope with spaces; what is written here is read back as the same.
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(Envelope::parse(&envelope.to_json()), Ok(envelope));
    }
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.envelope.to_json(), bytes);
        assert_eq!(entry.leaf, leaf_hash(bytes));
        assert_eq!(chain_position(bytes), Some(entry.position));
        assert!(entry.content().count() <= 200);
    }
    let entries = parse_bundle(bytes);
    let mut again = Vec::new();
    for entry in &entries {
        again.extend_from_slice(&u16::try_from(entry.len()).expect("sixteen bits").to_be_bytes());
        again.extend_from_slice(entry);
    }
    assert!(bytes.starts_with(&again));
}
