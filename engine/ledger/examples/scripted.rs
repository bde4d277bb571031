//! A scripted run for fault injection: queues rollbacks while the ledger in DIR is closed, opens it with the anchor file
//! beside it, appends entries, and prints a line for each that was queued or acknowledged. A tracer makes its system
//! calls fail or kills it.
//!
//! `scripted DIR ENTRIES [ROLLBACKS [FIRST]]`: every third entry is a promotion; without entries the ledger stays
//! closed. Rollbacks are numbered from FIRST. Exit status 3 when the ledger refused.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use penin_ledger::{
    AppendError, Blob, Digest, Draft, FileAnchor, Keys, Kind, Ledger, Options, Receipt, RollbackQueue, Subject,
};

/// The claimed time of the first entry.
const START_MS: i64 = 1_790_000_000_000;
/// How often an entry is tried that is refused for a reason that may pass.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next();
    let numbers: Result<Vec<u32>, _> = arguments.map(|number| number.parse()).collect();
    let (Some(dir), Ok(numbers)) = (dir, numbers) else {
        return usage();
    };
    let (entries, rollbacks, first) = match *numbers.as_slice() {
        [entries] => (entries, 0, 0),
        [entries, rollbacks] => (entries, rollbacks, 0),
        [entries, rollbacks, first] => (entries, rollbacks, first),
        _ => return usage(),
    };
    let dir = Path::new(&dir);
    match queue(dir, first..first.saturating_add(rollbacks)).and_then(|()| run(dir, entries)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scripted: {error}");
            ExitCode::from(3)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: scripted DIR ENTRIES [ROLLBACKS [FIRST]]");
    ExitCode::from(2)
}

fn subject(n: u32) -> Subject {
    Subject {
        name: format!("model:{n}"),
        sha256: Digest::of(&n.to_be_bytes()),
    }
}

fn queue(dir: &Path, numbers: std::ops::Range<u32>) -> Result<(), Box<dyn std::error::Error>> {
    if numbers.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    let mut queue = RollbackQueue::open(dir);
    let mut output = std::io::stdout();
    for n in numbers {
        let draft = Draft::new(Kind::Rollback, subject(n), START_MS - 1_000 + i64::from(n));
        let place = queue.push(draft)?;
        output.write_all(format!("queued {n} {place:?}\n").as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

fn run(dir: &Path, entries: u32) -> Result<(), Box<dyn std::error::Error>> {
    if entries == 0 {
        return Ok(());
    }
    let anchor = FileAnchor::open(dir.with_extension("anchor"))?;
    let mut options = Options::new("scripted.penin.ai/ledger", START_MS);
    options.any_filesystem = true;
    options.anchor_attempts = 2;
    options.anchor_pause = Duration::from_millis(1);
    let keys = Keys::generate([5; 64]);
    let ledger = Ledger::open(dir, keys, Box::new(anchor), 1, options)?;
    let mut output = std::io::stdout();
    for n in 0..entries {
        let kind = if n % 3 == 2 {
            Kind::PromoteAttest
        } else {
            Kind::GateEval
        };
        let mut draft = Draft::new(kind, subject(n), START_MS + i64::from(n));
        draft.blobs = vec![Blob {
            name: "evidence".into(),
            media_type: "text/plain".into(),
            content: format!("evidence {n}").into_bytes(),
        }];
        let receipt = append(&ledger, &draft, &mut output)?;
        writeln!(output, "{} {}", receipt.seq, receipt.leaf_hash)?;
        output.flush()?;
    }
    ledger.close();
    Ok(())
}

/// Appends a draft, again and again while the ledger refuses it for a reason that may pass.
fn append(ledger: &Ledger, draft: &Draft, output: &mut std::io::Stdout) -> Result<Receipt, Box<dyn std::error::Error>> {
    let mut tries = 1;
    loop {
        match ledger.append(draft.clone()).wait() {
            Err(AppendError::Refused(failure)) if failure.reason.is_transient() && tries < TRIES => {
                writeln!(output, "refused {}", failure.reason)?;
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            answer => return Ok(answer?),
        }
    }
}
