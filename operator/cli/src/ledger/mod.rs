//! Verbs that read a ledger from its files, or from an operator that serves them: they need no cluster and trust
//! nobody.

pub mod arguments;
mod export;
mod list;
mod mirror;
pub mod place;
mod progress;
mod prove;
mod replay;
mod verify;

use penin_ledger::hash::leaf_hash;
use penin_ledger::note::Checkpoint;
use penin_ledger::store::StoreError;
use penin_ledger::tree::Frontier;
use penin_ledger::{ReadError, Source};
use serde::Serialize;
use serde_json::json;

use crate::output::line;
use crate::table::{Tone, coloured};
use crate::{CommandError, Exit};
use arguments::{LedgerArguments, LedgerCommand, Output};
use place::Opened;
use progress::Progress;

/// Runs a verb.
pub async fn run(asked: LedgerArguments) -> Result<Exit, CommandError> {
    let output = asked.output;
    match asked.command {
        LedgerCommand::Verify(arguments) => verify::run(arguments, output).await,
        LedgerCommand::Root { ledger, size } => root(&Opened::open(&ledger.place).await?.source()?, size, output),
        LedgerCommand::Show {
            ledger,
            entry: Some(number),
            ..
        } => list::show(&Opened::open(&ledger.place).await?.source()?, number, output),
        LedgerCommand::Show {
            ledger, filter, last, ..
        } => list::list(&Opened::open(&ledger.place).await?.source()?, &filter, last, output),
        LedgerCommand::Tail {
            ledger,
            follow,
            filter,
            last,
        } => list::tail(Opened::open(&ledger.place).await?, &filter, last, follow, output).await,
        LedgerCommand::Prove { what } => prove::run(what, output).await,
        LedgerCommand::Export(arguments) => export::run(arguments).await,
        LedgerCommand::Replay {
            ledger,
            previous,
            since,
        } => replay::run(&ledger.place, &previous, since, output).await,
    }
}

/// The exit code of a ledger that cannot be read.
pub const fn exit(problem: &ReadError) -> Exit {
    match problem {
        ReadError::Entry { .. } | ReadError::Store(StoreError::Damaged(_)) => Exit::Tampered,
        ReadError::MissingBlob(_) => Exit::Incomplete,
        ReadError::Store(_) => Exit::Error,
    }
}

/// A line that begins with the tone's sign, coloured where a person looks.
fn said(tone: Tone, text: &str) -> String {
    tone.paint(&format!("{} {text}", tone.sign()), coloured())
}

/// Prints a value as JSON or YAML.
fn print<T: Serialize>(value: &T, output: Output) -> Result<(), CommandError> {
    let text = match output {
        Output::Yaml => serde_saphyr::to_string(value).map_err(|error| CommandError::Output(error.to_string()))?,
        Output::Json | Output::Table => {
            serde_json::to_string_pretty(value).map_err(|error| CommandError::Output(error.to_string()))?
        }
    };
    line(text.trim_end())
}

/// The newest checkpoint as it stands there, with what it claims. Its signature is not checked.
fn checkpoint(source: &Source) -> Result<Option<(String, Checkpoint)>, CommandError> {
    let note = source
        .copy()
        .checkpoint()
        .map_err(|error| CommandError::Message(format!("checkpoint: {error}")))?;
    Ok(note.and_then(|note| {
        let claimed = Checkpoint::claimed(&note)?;
        Some((String::from_utf8(note).ok()?, claimed))
    }))
}

/// What the checkpoint says of the entries that are there, in words.
fn agreement(claimed: Option<&Checkpoint>, matches: Option<bool>, there: u64) -> String {
    let Some(claimed) = claimed else {
        return said(Tone::Open, "there is no checkpoint");
    };
    let size = claimed.size;
    match matches {
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
    }
}

/// Size and root over the entries that are there, compared with the checkpoint's.
fn root(source: &Source, size: Option<u64>, output: Output) -> Result<Exit, CommandError> {
    let there = source.size()?;
    let size = size.unwrap_or(there);
    if size > there {
        return Err(CommandError::Message(format!("there are {there} entries, not {size}")));
    }
    let claimed = checkpoint(source)?.map(|(_, claimed)| claimed);
    let covered = claimed.as_ref().map_or(0, |claimed| claimed.size);
    let progress = Progress::new("hashing", size.max(covered).min(there));
    let mut tree = Frontier::new();
    let (mut root, mut root_covered) = (tree.root(), tree.root());
    source.read(0..size.max(covered).min(there), |_, bytes| {
        tree.push(leaf_hash(bytes));
        if tree.size() == size {
            root = tree.root();
        }
        if tree.size() == covered {
            root_covered = tree.root();
        }
        progress.show(tree.size());
        Ok::<(), ReadError>(())
    })?;
    drop(progress);
    // None: nothing to compare with, or the entries do not reach as far.
    let matches = claimed
        .as_ref()
        .filter(|claimed| claimed.size <= there)
        .map(|claimed| claimed.root == root_covered);
    if output == Output::Table {
        let checkpoint = agreement(claimed.as_ref(), matches, there);
        line(&format!("{size} entries\nroot {root}\n{checkpoint}"))?;
    } else {
        let value = json!({
            "size": size.to_string(),
            "root": root,
            "checkpoint": claimed.as_ref().map(|claimed| json!({
                "origin": claimed.origin, "size": claimed.size.to_string(), "root": claimed.root,
            })),
            "checkpointMatches": matches,
        });
        print(&value, output)?;
    }
    Ok(match (claimed.is_some(), matches) {
        (_, Some(false)) => Exit::Tampered,
        (true, None) => Exit::Incomplete,
        _ => Exit::Ok,
    })
}
