//! `replay`: the recorded decisions once more.

use penin_ledger::Source;
use penin_ledger::generations;
use penin_ledger::replay::{Divergence, ReplayReport, States};

use super::arguments::Output;
use super::place::{Opened, Place};
use super::progress::Progress;
use super::{print, said};
use crate::output::line;
use crate::table::Tone;
use crate::{CommandError, Exit};

/// Runs the verb: the generations in `previous`, the oldest first, and then the one at `place`.
pub async fn run(place: &Place, previous: &[Place], since: u64, output: Output) -> Result<Exit, CommandError> {
    let mut states = States::default();
    let mut reports: Vec<ReplayReport> = Vec::new();
    let mut before: Option<Opened> = None;
    for place in previous.iter().chain([place]) {
        let opened = Opened::open(place).await?;
        let source = opened.source()?;
        let broken = match &before {
            Some(before) => generations::broken_link(&before.source()?, &source)?,
            None => None,
        };
        // What follows something else begins with other states: no decision of it could come out.
        reports.push(match broken {
            Some(detail) => unlinked(detail),
            None => one(&mut states, &source, since)?,
        });
        before = Some(opened);
        if reports.last().is_some_and(|report| report.divergence.is_some()) {
            break;
        }
    }
    say(&reports, output)?;
    Ok(exit(&reports))
}

fn one(states: &mut States, source: &Source, since: u64) -> Result<ReplayReport, CommandError> {
    let size = source.size()?;
    let progress = Progress::new("replaying", size);
    Ok(states.replay(source, since..size, |seq| progress.show(seq))?)
}

fn unlinked(detail: String) -> ReplayReport {
    ReplayReport {
        divergence: Some(Divergence { seq: 0, detail }),
        ..ReplayReport::default()
    }
}

/// One report as it is; several as a list, the oldest generation first.
fn say(reports: &[ReplayReport], output: Output) -> Result<(), CommandError> {
    if output == Output::Table {
        let texts: Vec<String> = reports.iter().map(describe).collect();
        return line(&texts.join("\n"));
    }
    match reports {
        [report] => print(report, output),
        reports => print(&reports, output),
    }
}

fn describe(report: &ReplayReport) -> String {
    let mut lines = vec![match &report.divergence {
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
                "entry {}: {}\n  {} decisions before it came out as recorded",
                divergence.seq, divergence.detail, report.cycles
            ),
        ),
    }];
    if report.without_inputs > 0 {
        let text = format!(
            "{} decisions were recorded without inputs and cannot be run again",
            report.without_inputs
        );
        lines.push(said(Tone::Open, &text));
    }
    lines.join("\n")
}

fn exit(reports: &[ReplayReport]) -> Exit {
    if reports.iter().any(|report| report.divergence.is_some()) {
        Exit::Tampered
    } else if reports.iter().any(|report| report.without_inputs > 0) {
        Exit::Incomplete
    } else {
        Exit::Ok
    }
}
