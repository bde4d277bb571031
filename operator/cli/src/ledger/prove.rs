//! `prove`: proofs for people who have no ledger.

use std::path::PathBuf;

use penin_ledger::hash::leaf_hash;
use penin_ledger::proof::{ConsistencyProof, InclusionProof, ProveError, Prover};
use penin_ledger::tree::ProofError;
use penin_ledger::{Digest, Policy, Source};
use serde::Serialize;
use serde_json::json;

use super::arguments::{Output, Proof};
use super::place::Opened;
use super::signed::Signed;
use super::verify::policy as policy_file;
use super::{print, said};
use crate::output::line;
use crate::table::Tone;
use crate::{CommandError, Exit};

/// Runs the verb.
pub async fn run(what: Proof, output: Output) -> Result<Exit, CommandError> {
    let pinned = |policy: Option<PathBuf>| policy.as_deref().map(policy_file).transpose();
    match what {
        Proof::Inclusion {
            ledger,
            entry,
            size,
            policy,
        } => {
            let policy = pinned(policy)?;
            // A copy of a served ledger is there as long as this is.
            let opened = Opened::open(&ledger.place).await?;
            let source = opened.source()?;
            let tree = Tree::choose(&source, size, policy.as_ref())?;
            inclusion(source, &tree, entry, output)
        }
        Proof::Consistency {
            ledger,
            old,
            new,
            policy,
        } => {
            let policy = pinned(policy)?;
            // A copy of a served ledger is there as long as this is.
            let opened = Opened::open(&ledger.place).await?;
            let source = opened.source()?;
            let tree = Tree::choose(&source, new, policy.as_ref())?;
            consistency(source, &tree, old, output)
        }
    }
}

/// The tree to prove in: the asked one, else the signed one, else all there is.
struct Tree {
    size: u64,
    signed: Signed,
}

impl Tree {
    fn choose(source: &Source, asked: Option<u64>, policy: Option<&Policy>) -> Result<Self, CommandError> {
        let signed = Signed::read(source, policy)?;
        let size = match (asked, signed.claimed()) {
            (Some(size), _) => size,
            (None, Some(claimed)) => claimed.size,
            (None, None) => source.size()?,
        };
        Ok(Self { size, signed })
    }

    /// Whether the checkpoint says the same; `None` when it says nothing about this tree.
    fn agrees(&self, root: &Digest) -> Option<bool> {
        let claimed = self.signed.claimed().filter(|claimed| claimed.size == self.size);
        claimed.map(|claimed| claimed.root == *root)
    }

    /// The checkpoint if it is of this tree, or is none of this log.
    fn note(&self) -> Option<&str> {
        let other = self.signed.claimed().is_some_and(|claimed| claimed.size != self.size);
        self.signed.note().filter(|_| !other)
    }

    /// A proof that ends in a checkpoint that somebody else signed shows nothing.
    fn holds(&self, verified: bool, root: &Digest) -> bool {
        verified && self.agrees(root) != Some(false) && self.signed.exit() != Exit::Tampered
    }

    fn exit(&self, holds: bool) -> Exit {
        if holds { self.signed.exit() } else { Exit::Tampered }
    }

    fn document(&self, what: &str, proof: impl Serialize, holds: bool) -> serde_json::Value {
        json!({
            what: proof,
            "checkpoint": self.note(),
            "checkpointSigned": self.signed.is_signed(),
            "keysPinned": self.signed.pinned,
            "holds": holds,
        })
    }
}

fn failed(error: ProveError) -> CommandError {
    match error {
        ProofError::Node(error) => error.into(),
        other @ ProofError::OutOfRange { .. } => CommandError::Message(other.to_string()),
    }
}

fn inclusion(source: Source, tree: &Tree, entry: u64, output: Output) -> Result<Exit, CommandError> {
    let bytes = source.entry_bytes(entry)?;
    let leaf = bytes
        .map(|bytes| leaf_hash(&bytes))
        .ok_or_else(|| CommandError::Message(format!("there is no entry {entry}")))?;
    let proof: InclusionProof = Prover::new(source).inclusion(entry, tree.size).map_err(failed)?;
    let holds = tree.holds(proof.leaf == leaf && proof.verify(), &proof.root);
    let claim = format!("entry {entry} is in the tree of {} entries", tree.size);
    if output == Output::Table {
        let rows = [("leaf", &proof.leaf), ("root", &proof.root)];
        line(&describe(tree, holds, &claim, &rows, &proof.hashes, &proof.root))?;
    } else {
        print(&tree.document("inclusion", &proof, holds), output)?;
    }
    Ok(tree.exit(holds))
}

fn consistency(source: Source, tree: &Tree, old: u64, output: Output) -> Result<Exit, CommandError> {
    let proof: ConsistencyProof = Prover::new(source).consistency(old, tree.size).map_err(failed)?;
    let holds = tree.holds(proof.verify(), &proof.new_root);
    let claim = format!("the tree of {} entries extends that of {old}", tree.size);
    if output == Output::Table {
        let rows = [("old root", &proof.old_root), ("new root", &proof.new_root)];
        line(&describe(tree, holds, &claim, &rows, &proof.hashes, &proof.new_root))?;
    } else {
        print(&tree.document("consistency", &proof, holds), output)?;
    }
    Ok(tree.exit(holds))
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
            None if tree.note().is_some() => "is none of this log",
            None => "is of another size, or there is none",
        }
    ));
    lines.extend(tree.signed.words().map(|words| format!("  {:<12}{words}", "signed")));
    let names = std::iter::once("path").chain(std::iter::repeat(""));
    lines.extend(names.zip(hashes).map(|(name, hash)| format!("  {name:<12}{hash}")));
    lines.join("\n")
}
