//! `replay`: the recorded decisions once more.

use penin_ledger::Source;
use penin_ledger::replay::replay;

use super::arguments::Output;
use super::progress::Progress;
use super::{print, said};
use crate::output::line;
use crate::table::Tone;
use crate::{CommandError, Exit};

/// Runs the verb.
pub fn run(source: &Source, since: u64, output: Output) -> Result<Exit, CommandError> {
    let size = source.size()?;
    let progress = Progress::new("replaying", size);
    let report = replay(source, since..size, |seq| progress.show(seq))?;
    drop(progress);
    if output == Output::Table {
        let sentence = match &report.divergence {
            None => said(
                Tone::Good,
                &format!(
                    "{} decisions came out as recorded, {} events have equal hashes",
                    report.cycles, report.events
                ),
            ),
            Some(divergence) => said(
                Tone::Bad,
                &format!(
                    "entry {} does not come out as recorded: {}\n  {} decisions before it do",
                    divergence.seq, divergence.detail, report.cycles
                ),
            ),
        };
        line(&sentence)?;
        if report.without_inputs > 0 {
            let text = format!(
                "{} decisions were recorded without inputs and cannot be run again",
                report.without_inputs
            );
            line(&said(Tone::Open, &text))?;
        }
    } else {
        print(&report, output)?;
    }
    Ok(match (&report.divergence, report.without_inputs) {
        (Some(_), _) => Exit::Tampered,
        (None, 0) => Exit::Ok,
        (None, _) => Exit::Incomplete,
    })
}
