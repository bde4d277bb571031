//! `root`: size and root over the entries that are there, compared with the checkpoint's.

use penin_ledger::hash::leaf_hash;
use penin_ledger::tree::Frontier;
use penin_ledger::{Digest, Policy, ReadError, Source};
use serde_json::json;

use super::arguments::Output;
use super::progress::Progress;
use super::signed::Signed;
use super::{print, said};
use crate::output::line;
use crate::table::Tone;
use crate::{CommandError, Exit};

/// Runs the verb.
pub fn run(source: &Source, size: Option<u64>, policy: Option<&Policy>, output: Output) -> Result<Exit, CommandError> {
    // First what promises: a ledger that grows meanwhile has more than that.
    let signed = Signed::read(source, policy)?;
    let there = source.size()?;
    let size = size.unwrap_or(there);
    if size > there {
        return Err(CommandError::Message(format!("there are {there} entries, not {size}")));
    }
    let claimed = signed.claimed();
    let covered = claimed.map_or(0, |claimed| claimed.size);
    let [root, root_covered] = roots(source, [size, covered.min(there)])?;
    // None: nothing to compare with, or the entries do not reach as far.
    let matches = claimed
        .filter(|claimed| claimed.size <= there)
        .map(|claimed| claimed.root == root_covered);
    if output == Output::Table {
        let checkpoint = agreement(&signed, matches, there);
        line(&format!("{size} entries\nroot {root}\n{checkpoint}"))?;
    } else {
        let value = json!({
            "size": size.to_string(),
            "root": root,
            "checkpoint": claimed.map(|claimed| json!({
                "origin": claimed.origin, "size": claimed.size.to_string(), "root": claimed.root,
            })),
            "checkpointMatches": matches,
            "checkpointSigned": signed.is_signed(),
            "keysPinned": signed.pinned,
        });
        print(&value, output)?;
    }
    Ok(match (signed.exit(), claimed.is_some(), matches) {
        (Exit::Tampered, ..) | (_, _, Some(false)) => Exit::Tampered,
        (_, true, None) => Exit::Incomplete,
        (exit, ..) => exit,
    })
}

/// The roots over the first entries, for two numbers of them.
fn roots(source: &Source, sizes: [u64; 2]) -> Result<[Digest; 2], CommandError> {
    let last = sizes.into_iter().max().unwrap_or(0);
    let progress = Progress::new("hashing", last);
    let mut tree = Frontier::new();
    let mut roots = sizes.map(|_| tree.root());
    source.read(0..last, |_, bytes| {
        tree.push(leaf_hash(bytes));
        for (size, root) in sizes.iter().zip(&mut roots) {
            if tree.size() == *size {
                *root = tree.root();
            }
        }
        progress.show(tree.size());
        Ok::<(), ReadError>(())
    })?;
    Ok(roots)
}

/// What the checkpoint says of the entries that are there, in words.
fn agreement(signed: &Signed, matches: Option<bool>, there: u64) -> String {
    let Some(words) = signed.words() else {
        return said(Tone::Open, "there is no checkpoint");
    };
    let Some(claimed) = signed.claimed() else {
        return said(Tone::Bad, &format!("the checkpoint is signed {words}"));
    };
    let size = claimed.size;
    let first = match matches {
        Some(true) => said(
            Tone::Good,
            &format!("the checkpoint agrees: these are the {size} entries that it signs"),
        ),
        Some(false) => said(
            Tone::Bad,
            &format!(
                "the checkpoint signs {size} entries with another root: {}",
                claimed.root
            ),
        ),
        None => said(
            Tone::Bad,
            &format!("the checkpoint signs {size} entries, there are {there}"),
        ),
    };
    format!("{first}\n  signed {words}")
}
