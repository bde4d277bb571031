//! Verbs that read a ledger from its files: they need no cluster and trust nobody.

use std::path::Path;

use penin_ledger::entry::Body;
use penin_ledger::{Entry, Head, Policy, Reader, Report, Verdict, VerifyOptions, verify};
use serde_json::json;

use crate::arguments::LedgerCommand;
use crate::table::{Tone, coloured, columns, cut};
use crate::{CommandError, Exit};

/// Runs a verb.
pub fn run(command: LedgerCommand) -> Result<Exit, CommandError> {
    match command {
        LedgerCommand::Verify {
            directory,
            policy,
            anchor,
            json,
        } => check(&directory, policy.as_deref(), anchor.as_deref(), json),
        LedgerCommand::Show {
            directory,
            entry: Some(number),
            ..
        } => show(&directory, number),
        LedgerCommand::Show {
            directory, cycle, last, ..
        } => list(&directory, cycle.as_deref(), last),
    }
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|error| CommandError::Message(format!("{}: {error}", path.display())))
}

fn check(directory: &Path, policy: Option<&Path>, anchor: Option<&Path>, as_json: bool) -> Result<Exit, CommandError> {
    let policy: Option<Policy> = match policy {
        Some(path) => {
            let text = read(path)?;
            Some(
                Policy::from_json(&text)
                    .map_err(|error| CommandError::Message(format!("{}: {error}", path.display())))?,
            )
        }
        None => None,
    };
    let anchor: Option<Head> = match anchor {
        Some(path) => {
            let text = read(path)?;
            let head = serde_json::from_str(&text);
            Some(head.map_err(|error| CommandError::Message(format!("{}: {error}", path.display())))?)
        }
        None => None,
    };
    let options = VerifyOptions {
        policy: policy.as_ref(),
        anchor: anchor.as_ref(),
        ..VerifyOptions::default()
    };
    let report = verify(directory, &options)?;
    if as_json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| CommandError::Output(error.to_string()))?;
        println!("{text}");
    } else {
        println!("{}", describe(&report));
    }
    Ok(match report.verdict {
        Verdict::Ok => Exit::Ok,
        Verdict::Incomplete => Exit::Incomplete,
        Verdict::Tampered => Exit::Tampered,
    })
}

fn describe(report: &Report) -> String {
    let (tone, word) = match report.verdict {
        Verdict::Ok => (Tone::Good, "genuine and complete"),
        Verdict::Incomplete => (Tone::Open, "incomplete; what is there is genuine"),
        Verdict::Tampered => (Tone::Bad, "tampered with"),
    };
    let mut lines = vec![
        tone.paint(&format!("{} {} is {word}", tone.sign(), report.origin), coloured()),
        format!(
            "  {} entries, {} signatures, {} blobs",
            report.size, report.signatures, report.blobs
        ),
        format!("  root {}", report.root),
    ];
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
    lines.join("\n")
}

fn list(directory: &Path, cycle: Option<&str>, last: u64) -> Result<Exit, CommandError> {
    let reader = Reader::open_read_only(directory)?;
    let (size, _) = reader.head()?;
    let mut rows = Vec::new();
    for entry in reader.entries(size.saturating_sub(last)..size) {
        let entry = entry?;
        if cycle.is_some_and(|cycle| entry.cycle.as_ref().is_none_or(|of| of.name != cycle)) {
            continue;
        }
        rows.push(row(&reader, &entry));
    }
    println!("{}", columns(&["ENTRY", "TIME", "KIND", "SUBJECT", "WHAT"], &rows));
    Ok(Exit::Ok)
}

fn row(reader: &Reader, entry: &Entry) -> Vec<String> {
    let time = jiff::Timestamp::from_millisecond(entry.time_ms).map_or_else(
        |_| entry.time_ms.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    );
    vec![
        entry.position.seq.to_string(),
        time,
        entry.kind.to_string(),
        cut(&entry.subject.name, 26),
        cut(&summary(reader, entry), 30),
    ]
}

/// The one thing of an entry that a person looks for.
fn summary(reader: &Reader, entry: &Entry) -> String {
    let Ok(body) = reader.body(entry) else {
        return String::new();
    };
    let text = |path: &[&str]| {
        let mut value = body.get(*path.first()?)?;
        for key in path.iter().skip(1) {
            value = value.get(key)?;
        }
        value.as_str().map(str::to_owned)
    };
    let decision = text(&["outcome", "decision"]).zip(text(&["outcome", "reason"]));
    decision
        .map(|(decision, reason)| format!("{decision} {reason}"))
        .or_else(|| text(&["assessment", "reason"]))
        .or_else(|| text(&["observed"]))
        .or_else(|| text(&["reason"]))
        .unwrap_or_default()
}

fn show(directory: &Path, number: u64) -> Result<Exit, CommandError> {
    let reader = Reader::open_read_only(directory)?;
    let Some(entry) = reader.entry(number)? else {
        return Err(CommandError::Message(format!("there is no entry {number}")));
    };
    let body = match &entry.body {
        Body::Inline(body) => body.clone(),
        Body::Blob { .. } => reader.body(&entry)?,
    };
    let document = json!({
        "seq": entry.position.seq.to_string(),
        "epoch": entry.position.epoch.to_string(),
        "kind": entry.kind,
        "timeMs": entry.time_ms,
        "subject": entry.subject,
        "cycle": entry.cycle,
        "traceId": entry.trace_id,
        "leaf": entry.leaf,
        "contentHashes": entry.content_hashes,
        "blobs": entry.blobs,
        "state": entry.state,
        "body": body,
    });
    let text = serde_json::to_string_pretty(&document).map_err(|error| CommandError::Output(error.to_string()))?;
    println!("{text}");
    Ok(Exit::Ok)
}
