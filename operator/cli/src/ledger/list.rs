//! `show` and `tail`: entries for people.

use std::collections::VecDeque;
use std::time::Duration;

use penin_ledger::{Body, Entry, Kind, ReadError, Source};
use serde_json::{Map, Value, json};

use super::arguments::{Filter, Output};
use super::place::Opened;
use super::print;
use crate::output::line as print_line;
use crate::table::cut;
use crate::{CommandError, Exit};

/// Entries looked at together: those of a bundle.
const BLOCK: u64 = 256;
/// Widest line of a table.
const WIDTH: usize = 100;
/// Pause between two looks at a ledger that may grow.
const PAUSE: Duration = Duration::from_millis(500);

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let of = entry.cycle.as_ref().map(|cycle| cycle.name.as_str());
        self.cycle.as_deref().is_none_or(|cycle| of == Some(cycle)) && self.kind.is_none_or(|kind| kind == entry.kind)
    }
}

/// The newest entries that a filter takes, oldest first.
fn newest(source: &Source, filter: &Filter, last: u64) -> Result<Vec<Entry>, ReadError> {
    let most = usize::try_from(last).unwrap_or(usize::MAX);
    let mut found = VecDeque::new();
    let mut end = source.size()?;
    while end > 0 && found.len() < most {
        let start = (end - 1) / BLOCK * BLOCK;
        let mut block = between(source, filter, start, end)?;
        while let Some(entry) = block.pop()
            && found.len() < most
        {
            found.push_front(entry);
        }
        end = start;
    }
    Ok(found.into())
}

fn between(source: &Source, filter: &Filter, start: u64, end: u64) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::new();
    source.read(start..end, |seq, bytes| {
        let entry = Entry::decode(bytes).map_err(|error| ReadError::Entry { seq, error })?;
        if filter.takes(&entry) {
            entries.push(entry);
        }
        Ok::<(), ReadError>(())
    })?;
    Ok(entries)
}

/// `show` without a number.
pub fn list(source: &Source, filter: &Filter, last: u64, output: Output) -> Result<Exit, CommandError> {
    let entries = newest(source, filter, last)?;
    if output == Output::Table {
        print_line(&header())?;
        for entry in &entries {
            print_line(&row(source, entry))?;
        }
    } else {
        let documents = entries.iter().map(|entry| document(source, entry));
        print(&documents.collect::<Result<Vec<_>, _>>()?, output)?;
    }
    Ok(Exit::Ok)
}

/// `tail`.
pub async fn tail(
    mut opened: Opened,
    filter: &Filter,
    last: u64,
    follow: bool,
    output: Output,
) -> Result<Exit, CommandError> {
    let mut source = opened.source()?;
    let mut seen = source.size()?;
    let mut entries = newest(&source, filter, last)?;
    if output == Output::Table {
        print_line(&header())?;
    }
    loop {
        for entry in &entries {
            match output {
                Output::Table => print_line(&row(&source, entry))?,
                // One line each, so that a reader can take them as they come.
                Output::Json => print_line(&document(&source, entry)?.to_string())?,
                Output::Yaml => {
                    print_line("---")?;
                    print(&document(&source, entry)?, output)?;
                }
            }
        }
        if !follow {
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(PAUSE).await;
        opened.update().await?;
        source = opened.source()?;
        let size = source.size()?;
        if size < seen {
            let message = format!("entries went away: the ledger has {size}, it had {seen} before");
            return Err(CommandError::Shorter(message));
        }
        entries = between(&source, filter, seen, size)?;
        seen = size;
    }
}

/// `show` with a number.
pub fn show(source: &Source, number: u64, output: Output) -> Result<Exit, CommandError> {
    let bytes = source
        .entry_bytes(number)?
        .ok_or_else(|| CommandError::Message(format!("there is no entry {number}")))?;
    let entry = Entry::decode(&bytes).map_err(|error| ReadError::Entry { seq: number, error })?;
    print(&document(source, &entry)?, output)?;
    Ok(Exit::Ok)
}

fn header() -> String {
    line(&["ENTRY", "TIME", "KIND", "SUBJECT", "WHAT"])
}

/// Columns of fixed width: lines that come one at a time line up.
fn line(cells: &[&str; 5]) -> String {
    let [seq, time, kind, subject, what] = cells;
    let subject = cut(subject, 26);
    let text = format!("{seq:<7}  {time:<19}  {kind:<14}  {subject:<26}  {what}");
    cut(text.trim_end(), WIDTH)
}

fn row(source: &Source, entry: &Entry) -> String {
    line(&[
        &entry.position.seq.to_string(),
        &time(entry).replace('T', " "),
        entry.kind.as_str(),
        &entry.subject.name,
        &summary(source, entry),
    ])
}

/// Claimed time to the second, in UTC.
fn time(entry: &Entry) -> String {
    jiff::Timestamp::from_millisecond(entry.time_ms).map_or_else(
        |_| entry.time_ms.to_string(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
    )
}

fn body(source: &Source, entry: &Entry) -> Result<Map<String, Value>, ReadError> {
    match &entry.body {
        Body::Inline(body) => Ok(body.clone()),
        Body::Blob { sha256, .. } => {
            let seq = entry.position.seq;
            let bytes = source.blob(sha256, seq)?.ok_or(ReadError::MissingBlob(*sha256))?;
            serde_json::from_slice(&bytes).map_err(|error| ReadError::Entry {
                seq,
                error: penin_ledger::entry::DecodeError::Statement(format!("body blob {sha256}: {error}")),
            })
        }
    }
}

/// The one thing of an entry that a person looks for.
fn summary(source: &Source, entry: &Entry) -> String {
    let Ok(body) = body(source, entry) else {
        return "(its body is missing)".to_owned();
    };
    let text = |path: &[&str]| {
        let mut value = body.get(*path.first()?)?;
        for key in path.iter().skip(1) {
            value = value.get(key)?;
        }
        value.as_str().map(str::to_owned)
    };
    let decision = text(&["outcome", "decision"]).zip(text(&["outcome", "reason"]));
    let own = match entry.kind {
        Kind::Genesis => text(&["origin"]),
        Kind::KeyRotate => text(&["keys", "attestation"]).map(|key| format!("now {key}")),
        // The end of an origin is what differs between generations, and the column is narrow.
        Kind::Archive => text(&["next", "origin"])
            .as_deref()
            .and_then(|origin| origin.rsplit('/').next())
            .map(|last| format!("followed by …/{last}")),
        Kind::Carry => Some(format!("states taken over: {}", entry.state.len())),
        Kind::Clock => text(&["claimedMs"]).map(|claimed| format!("claimed {claimed} ms")),
        Kind::Override => text(&["message"]),
        Kind::Adopt => text(&["target"]),
        Kind::Intent => text(&["challenger", "name"]),
        _ => None,
    };
    own.or_else(|| decision.map(|(decision, reason)| format!("{decision} {reason}")))
        .or_else(|| text(&["assessment", "reason"]))
        .or_else(|| text(&["observed"]))
        .or_else(|| text(&["reason"]))
        .or_else(|| text(&["holder"]))
        .or_else(|| text(&["action"]))
        .unwrap_or_default()
}

fn document(source: &Source, entry: &Entry) -> Result<Value, ReadError> {
    Ok(json!({
        "seq": entry.position.seq.to_string(),
        "epoch": entry.position.epoch.to_string(),
        "prev": entry.position.prev,
        "kind": entry.kind,
        "time": format!("{}Z", time(entry)),
        "timeMs": entry.time_ms,
        "subject": entry.subject,
        "cycle": entry.cycle,
        "traceId": entry.trace_id,
        "leaf": entry.leaf,
        "contentHashes": entry.content_hashes,
        "blobs": entry.blobs,
        "state": entry.state,
        "queued": entry.queued,
        "body": body(source, entry)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_line_up_and_are_never_wider_than_a_hundred_characters() {
        let long = "a subject that is much longer than its column";
        let wide = line(&["12345678901", "2026-09-21 14:13:20", "PROMOTE_ATTEST", long, long]);
        assert_eq!(wide.chars().count(), WIDTH);
        let short = line(&["7", "2026-09-21 14:13:20", "ROLLBACK", "ranker", "x"]);
        assert_eq!(short.find("ROLLBACK"), header().find("KIND"));
        assert_eq!(short.find("ranker"), header().find("SUBJECT"));
    }
}
