//! `prove`: proofs for people who have no ledger.

use penin_ledger::Source;
use penin_ledger::hash::leaf_hash;
use penin_ledger::proof::{ConsistencyProof, InclusionProof, ProveError, Prover};
use penin_ledger::tree::ProofError;
use penin_ledger::{Digest, note::Checkpoint};
use serde_json::json;

use super::arguments::{Output, Proof};
use super::place::Opened;
use super::{checkpoint, print, said};
use crate::output::line;
use crate::table::Tone;
use crate::{CommandError, Exit};

/// Runs the verb.
pub async fn run(what: Proof, output: Output) -> Result<Exit, CommandError> {
    match what {
        Proof::Inclusion { ledger, entry, size } => {
            let source = Opened::open(&ledger.place).await?;
            inclusion(source.source()?, entry, size, output)
        }
        Proof::Consistency { ledger, old, new } => {
            let source = Opened::open(&ledger.place).await?;
            consistency(source.source()?, old, new, output)
        }
    }
}

/// The tree to prove in: the asked one, else the signed one, else all there is.
struct Tree {
    size: u64,
    /// The checkpoint if it is of this tree.
    signed: Option<(String, Checkpoint)>,
}

impl Tree {
    fn choose(source: &Source, asked: Option<u64>) -> Result<Self, CommandError> {
        let signed = checkpoint(source)?;
        let size = match (asked, &signed) {
            (Some(size), _) => size,
            (None, Some((_, claimed))) => claimed.size,
            (None, None) => source.size()?,
        };
        Ok(Self {
            size,
            signed: signed.filter(|(_, claimed)| claimed.size == size),
        })
    }

    /// Whether the checkpoint says the same; `None` when it says nothing about this tree.
    fn agrees(&self, root: &Digest) -> Option<bool> {
        self.signed.as_ref().map(|(_, claimed)| claimed.root == *root)
    }

    fn note(&self) -> Option<&str> {
        self.signed.as_ref().map(|(note, _)| note.as_str())
    }
}

fn failed(error: ProveError) -> CommandError {
    match error {
        ProofError::Node(error) => error.into(),
        other @ ProofError::OutOfRange { .. } => CommandError::Message(other.to_string()),
    }
}

fn inclusion(source: Source, entry: u64, size: Option<u64>, output: Output) -> Result<Exit, CommandError> {
    let tree = Tree::choose(&source, size)?;
    let bytes = source.entry_bytes(entry)?;
    let leaf = bytes
        .map(|bytes| leaf_hash(&bytes))
        .ok_or_else(|| CommandError::Message(format!("there is no entry {entry}")))?;
    let proof: InclusionProof = Prover::new(source).inclusion(entry, tree.size).map_err(failed)?;
    let holds = proof.leaf == leaf && proof.verify() && tree.agrees(&proof.root) != Some(false);
    let claim = format!("entry {entry} is in the tree of {} entries", tree.size);
    if output == Output::Table {
        let rows = [("leaf", &proof.leaf), ("root", &proof.root)];
        line(&describe(&tree, holds, &claim, &rows, &proof.hashes, &proof.root))?;
    } else {
        print(
            &json!({ "inclusion": proof, "checkpoint": tree.note(), "holds": holds }),
            output,
        )?;
    }
    Ok(exit(holds))
}

fn consistency(source: Source, old: u64, new: Option<u64>, output: Output) -> Result<Exit, CommandError> {
    let tree = Tree::choose(&source, new)?;
    let proof: ConsistencyProof = Prover::new(source).consistency(old, tree.size).map_err(failed)?;
    let holds = proof.verify() && tree.agrees(&proof.new_root) != Some(false);
    let claim = format!("the tree of {} entries extends that of {old}", tree.size);
    if output == Output::Table {
        let rows = [("old root", &proof.old_root), ("new root", &proof.new_root)];
        line(&describe(&tree, holds, &claim, &rows, &proof.hashes, &proof.new_root))?;
    } else {
        print(
            &json!({ "consistency": proof, "checkpoint": tree.note(), "holds": holds }),
            output,
        )?;
    }
    Ok(exit(holds))
}

const fn exit(holds: bool) -> Exit {
    if holds { Exit::Ok } else { Exit::Tampered }
}

fn describe(
    tree: &Tree,
    holds: bool,
    claim: &str,
    rows: &[(&str, &Digest)],
    hashes: &[Digest],
    root: &Digest,
) -> String {
    let mut lines = vec![if holds {
        said(Tone::Good, claim)
    } else {
        said(Tone::Bad, &format!("this does not hold: {claim}"))
    }];
    lines.extend(rows.iter().map(|(name, hash)| format!("  {name:<12}{hash}")));
    lines.push(format!(
        "  {:<12}{}",
        "checkpoint",
        match tree.agrees(root) {
            Some(true) => "has this root",
            Some(false) => "has another root",
            None => "is of another size, or there is none",
        }
    ));
    let names = std::iter::once("path").chain(std::iter::repeat(""));
    lines.extend(names.zip(hashes).map(|(name, hash)| format!("  {name:<12}{hash}")));
    lines.join("\n")
}
