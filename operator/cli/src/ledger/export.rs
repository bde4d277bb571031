//! `export`: forms that other tools read.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use penin_ledger::export::{ExportError, ndjson, sigstore_bundle, tiles};
use penin_ledger::{Entry, ReadError, Source};

use super::arguments::{ExportArguments, Format};
use super::place::Opened;
use crate::{CommandError, Exit};

/// Runs the verb.
pub async fn run(arguments: ExportArguments) -> Result<Exit, CommandError> {
    let opened = Opened::open(&arguments.ledger.place).await?;
    let source = opened.source()?;
    if arguments.format == Format::Tiles {
        let Some(to) = &arguments.to else {
            return Err(CommandError::Message("--to names the directory to write".to_owned()));
        };
        directory(&source, to)?;
        return Ok(Exit::Ok);
    }
    let mut to = destination(arguments.to.as_deref())?;
    match arguments.format {
        Format::Ndjson => {
            let until = arguments.until.map_or_else(|| source.size(), Ok)?;
            ndjson(&source, arguments.from..until, &mut to).map_err(failed)?;
        }
        format => {
            let number = arguments
                .entry
                .ok_or_else(|| CommandError::Message("--entry names the entry".to_owned()))?;
            let bytes = source
                .entry_bytes(number)?
                .ok_or_else(|| CommandError::Message(format!("there is no entry {number}")))?;
            to.write_all(&one(format, number, &bytes)?)?;
        }
    }
    to.flush()?;
    Ok(Exit::Ok)
}

/// One entry. The envelope is written byte for byte, so that its hash is the leaf.
fn one(format: Format, seq: u64, bytes: &[u8]) -> Result<Vec<u8>, CommandError> {
    if format == Format::Dsse {
        return Ok(bytes.to_vec());
    }
    let entry = Entry::decode(bytes).map_err(|error| ReadError::Entry { seq, error })?;
    let mut text =
        serde_json::to_vec(&sigstore_bundle(&entry)).map_err(|error| CommandError::Output(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// A file in the way is never overwritten: it may be evidence.
fn destination(to: Option<&Path>) -> Result<Box<dyn Write>, CommandError> {
    Ok(match to {
        Some(path) => {
            let file = File::create_new(path);
            let named = |error: io::Error| CommandError::Message(format!("{}: {error}", path.display()));
            Box::new(BufWriter::new(file.map_err(named)?))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    })
}

fn directory(source: &Source, to: &Path) -> Result<(), CommandError> {
    let named = |error: io::Error| CommandError::Message(format!("{}: {error}", to.display()));
    fs::create_dir_all(to).map_err(named)?;
    if fs::read_dir(to).map_err(named)?.next().is_some() {
        return Err(CommandError::Message(format!("{} is not empty", to.display())));
    }
    tiles(source, to).map_err(failed)
}

fn failed(error: ExportError) -> CommandError {
    match error {
        ExportError::Read(error) => error.into(),
        ExportError::Entry { seq, error } => ReadError::Entry { seq, error }.into(),
        // Of a reader that went away `main` knows that it is none.
        ExportError::Io(error) => error.into(),
    }
}
