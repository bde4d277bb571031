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
    let mut chain = Vec::new();
    for place in arguments.previous.iter().chain([&arguments.ledger.place]) {
        chain.push(Opened::open(place).await?);
    }
    let mut policies = assigned(policy, &chain);
    let mut reports: Vec<Report> = Vec::new();
    for (index, opened) in chain.iter().enumerate() {
        let is_last = index + 1 == chain.len();
        let pinned = policies.get_mut(index).and_then(Option::take);
        let size = Source::open(opened.directory()).and_then(|source| source.size());
        let progress = Progress::new("verifying", size.unwrap_or(0));
        let options = VerifyOptions {
            policy: pinned.as_ref(),
            anchor: anchor.as_ref().filter(|_| is_last),
            since: if is_last { arguments.since } else { 0 },
            hashes_only: arguments.hashes_only,
            progress: &|done, _| progress.show(done),
            ..VerifyOptions::default()
        };
        let mut report = verify(opened.directory(), &options)?;
        drop(progress);
        if let Some(before) = index.checked_sub(1).and_then(|before| chain.get(before)) {
            check_link(before, opened, &mut report)?;
        }
        // Whoever trusts this generation's keys can trust those that its last entry names.
        if pinned.is_some()
            && report.verdict == Verdict::Ok
            && !arguments.hashes_only
            && let Some(next) = policies.get_mut(index + 1).filter(|next| next.is_none())
        {
            *next = generations::end(&opened.source()?)?.next.map(|next| Policy {
                origin: next.origin,
                keys: next.keys,
            });
        }
        reports.push(report);
    }
    let verdict = reports.iter().map(|report| report.verdict).max();
    say(&reports, arguments.json, output)?;
    Ok(match verdict.unwrap_or(Verdict::Ok) {
        Verdict::Ok => Exit::Ok,
        Verdict::Incomplete => Exit::Incomplete,
        Verdict::Tampered => Exit::Tampered,
    })
}

/// The policy at the generation whose origin it names, or at the oldest one, which then is not the expected one.
fn assigned(policy: Option<Policy>, chain: &[Opened]) -> Vec<Option<Policy>> {
    let mut policies: Vec<Option<Policy>> = chain.iter().map(|_| None).collect();
    let Some(policy) = policy else { return policies };
    let origin = |opened: &Opened| Some(generations::beginning(&opened.source().ok()?).ok()??.origin);
    let at = chain
        .iter()
        .position(|opened| origin(opened).as_deref() == Some(policy.origin.as_str()));
    if let Some(slot) = policies.get_mut(at.unwrap_or(0)) {
        *slot = Some(policy);
    }
    policies
}

fn check_link(before: &Opened, opened: &Opened, report: &mut Report) -> Result<(), CommandError> {
    // Of damage the verification has spoken already, and more exactly.
    let problem = match (before.source(), opened.source()) {
        (Ok(before), Ok(source)) => generations::broken_link(&before, &source),
        _ => return Ok(()),
    };
    let detail = match problem {
        Ok(None) => return Ok(()),
        Ok(Some(detail)) => detail,
        Err(error) if super::exit(&error) == Exit::Tampered => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    report.verdict = Verdict::Tampered;
    report.findings.push(Finding {
        severity: Severity::Tampered,
        seq: Some(0),
        detail,
    });
    Ok(())
}

/// One report as it is; several as a list, the oldest first.
fn say(reports: &[Report], json: bool, output: Output) -> Result<(), CommandError> {
    if !json && output == Output::Table {
        let texts: Vec<String> = reports.iter().map(describe).collect();
        return line(&texts.join("\n"));
    }
    match reports {
        [report] => print(report, output),
        reports => print(&reports, output),
    }
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> CommandError {
    CommandError::Message(format!("{}: {problem}", path.display()))
}

/// The policy in a file.
pub fn policy(path: &Path) -> Result<Policy, CommandError> {
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
    lines.push(
        if report.keys_pinned {
            "  keys: compared with the policy"
        } else {
            "  keys: the ledger's own (give --policy to pin them)"
        }
        .to_owned(),
    );
    lines.push(format!("  anchor: {}", anchor_line(report)));
    for finding in &report.findings {
        let place = finding.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
        lines.push(format!("  {:?}: {place}{}", finding.severity, finding.detail));
    }
    if report.more_findings > 0 {
        lines.push(format!("  and {} more", report.more_findings));
    }
    lines.join("\n")
}

/// An older head shows less than the newest one, and a reader has to know which of them it was.
fn anchor_line(report: &Report) -> String {
    match (report.anchored, report.beyond_anchor) {
        (false, _) => "not compared (give --anchor to see whether the end was cut off)".to_owned(),
        (true, Some(0)) => "compared, it is the end of the ledger".to_owned(),
        (true, Some(more)) => format!(
            "compared, the ledger has {more} entries more\n    a cut of the end behind the anchored entries cannot be \
             seen: give the newest anchor for that"
        ),
        (true, None) => "compared, it does not agree".to_owned(),
    }
}
