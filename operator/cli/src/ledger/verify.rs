//! `verify`: the auditor.

use std::path::Path;

use penin_ledger::verify::{Finding, Severity};
use penin_ledger::{Head, Policy, Report, Source, Verdict, VerifyOptions, generations, verify};
use serde_json::Value;

use super::arguments::{Output, VerifyArguments};
use super::place::Opened;
use super::progress::Progress;
use super::{print, said};
use crate::output::line;
use crate::table::Tone;
use crate::{CommandError, Exit};

/// Runs the verb.
pub async fn run(arguments: VerifyArguments, output: Output) -> Result<Exit, CommandError> {
    let policy = arguments.policy.as_deref().map(policy).transpose()?;
    let anchor = arguments.anchor.as_deref().map(anchor).transpose()?;
    let opened = Opened::open(&arguments.ledger.place).await?;
    let previous = match &arguments.previous {
        Some(place) => Some(Opened::open(place).await?),
        None => None,
    };
    let size = Source::open(opened.directory()).and_then(|source| source.size());
    let progress = Progress::new("verifying", size.unwrap_or(0));
    let options = VerifyOptions {
        policy: policy.as_ref(),
        anchor: anchor.as_ref(),
        since: arguments.since,
        hashes_only: arguments.hashes_only,
        progress: &|done, _| progress.show(done),
        ..VerifyOptions::default()
    };
    let mut report = verify(opened.directory(), &options)?;
    drop(progress);
    if let Some(previous) = previous {
        let problem = generations::broken_link(&previous.source()?, &opened.source()?)?;
        if let Some(detail) = problem {
            report.verdict = Verdict::Tampered;
            report.findings.push(Finding {
                severity: Severity::Tampered,
                seq: Some(0),
                detail,
            });
        }
    }
    if arguments.json || output != Output::Table {
        print(&report, output)?;
    } else {
        line(&describe(&report))?;
    }
    Ok(match report.verdict {
        Verdict::Ok => Exit::Ok,
        Verdict::Incomplete => Exit::Incomplete,
        Verdict::Tampered => Exit::Tampered,
    })
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> CommandError {
    CommandError::Message(format!("{}: {problem}", path.display()))
}

fn policy(path: &Path) -> Result<Policy, CommandError> {
    Policy::from_json(&read(path)?).map_err(|error| unreadable(path, error))
}

/// The head, or the object whose status it is.
fn anchor(path: &Path) -> Result<Head, CommandError> {
    let mut value: Value = serde_json::from_str(&read(path)?).map_err(|error| unreadable(path, error))?;
    if value.get("kind").and_then(Value::as_str) == Some("LedgerAnchor") {
        value = value.get_mut("status").map(Value::take).unwrap_or_default();
    }
    serde_json::from_value(value).map_err(|error| unreadable(path, error))
}

fn describe(report: &Report) -> String {
    let (tone, word) = match report.verdict {
        Verdict::Ok => (Tone::Good, "genuine and complete"),
        Verdict::Incomplete => (Tone::Open, "incomplete; what is there is genuine"),
        Verdict::Tampered => (Tone::Bad, "tampered with"),
    };
    let origin = if report.origin.is_empty() {
        "the ledger"
    } else {
        &report.origin
    };
    let mut lines = vec![
        said(tone, &format!("{origin} is {word}")),
        format!(
            "  {} entries, {} signatures, {} blobs",
            report.size, report.signatures, report.blobs
        ),
        format!("  root {}", report.root),
    ];
    match report.checkpoint {
        Some(size) => lines.push(format!("  checkpoint of {size} entries compared")),
        None => lines.push("  checkpoint: none compared".to_owned()),
    }
    if !report.keys_pinned {
        lines.push("  keys: the ledger's own (give --policy to pin them)".to_owned());
    }
    if !report.anchored {
        lines.push("  anchor: not compared (give --anchor to see whether the end was cut off)".to_owned());
    }
    for finding in &report.findings {
        let place = finding.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
        lines.push(format!("  {:?}: {place}{}", finding.severity, finding.detail));
    }
    if report.more_findings > 0 {
        lines.push(format!("  and {} more", report.more_findings));
    }
    lines.join("\n")
}
