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
mod root;
mod signed;
mod verify;

use penin_ledger::ReadError;
use penin_ledger::store::StoreError;
use serde::Serialize;

use crate::output::line;
use crate::table::{Tone, coloured};
use crate::{CommandError, Exit};
use arguments::{LedgerArguments, LedgerCommand, Output};
use place::Opened;

/// Runs a verb.
pub async fn run(asked: LedgerArguments) -> Result<Exit, CommandError> {
    let output = asked.output;
    match asked.command {
        LedgerCommand::Verify(arguments) => verify::run(arguments, output).await,
        LedgerCommand::Root { ledger, size, policy } => {
            let policy = policy.as_deref().map(verify::policy).transpose()?;
            root::run(
                &Opened::open(&ledger.place).await?.source()?,
                size,
                policy.as_ref(),
                output,
            )
        }
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
