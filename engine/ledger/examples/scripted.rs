//! A scripted run for fault injection: opens the ledger in DIR with the anchor file beside it, appends entries
//! and prints a line for each that was acknowledged. A tracer makes its system calls fail or kills it.
//!
//! `scripted DIR ENTRIES`: every third entry is a promotion. Exit status 3 when the ledger refused.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use penin_ledger::{Blob, Digest, Draft, FileAnchor, Keys, Kind, Ledger, Options, Subject};

/// The claimed time of the first entry.
const START_MS: i64 = 1_790_000_000_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(entries)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: scripted DIR ENTRIES");
        return ExitCode::from(2);
    };
    let Ok(entries) = entries.parse::<u32>() else {
        eprintln!("usage: scripted DIR ENTRIES");
        return ExitCode::from(2);
    };
    match run(Path::new(&dir), entries) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scripted: {error}");
            ExitCode::from(3)
        }
    }
}

fn run(dir: &Path, entries: u32) -> Result<(), Box<dyn std::error::Error>> {
    let anchor = FileAnchor::open(dir.with_extension("anchor"))?;
    let mut options = Options::new("scripted.penin.ai/ledger", START_MS);
    options.any_filesystem = true;
    options.anchor_attempts = 2;
    options.anchor_pause = std::time::Duration::from_millis(1);
    let keys = Keys::generate([5; 64]);
    let ledger = Ledger::open(dir, keys, Box::new(anchor), 1, options)?;
    let mut output = std::io::stdout();
    for n in 0..entries {
        let kind = if n % 3 == 2 {
            Kind::PromoteAttest
        } else {
            Kind::GateEval
        };
        let subject = Subject {
            name: format!("model:{n}"),
            sha256: Digest::of(&n.to_be_bytes()),
        };
        let mut draft = Draft::new(kind, subject, START_MS + i64::from(n));
        draft.blobs = vec![Blob {
            name: "evidence".into(),
            media_type: "text/plain".into(),
            content: format!("evidence {n}").into_bytes(),
        }];
        let receipt = ledger.append(draft).wait()?;
        writeln!(output, "{} {}", receipt.seq, receipt.leaf_hash)?;
        output.flush()?;
    }
    ledger.close();
    Ok(())
}
