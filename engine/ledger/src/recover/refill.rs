//! Taking missing entries from the second copy.

use std::io;

use super::survey::Survey;
use crate::anchor::Head;
use crate::entry::Entry;
use crate::hash::Digest;
use crate::health::{Failure, Reason};
use crate::publish::copy::PublishedCopy;
use crate::publish::paths::TILE_WIDTH;
use crate::store::{Row, Store};

/// How far the second copy reaches: the survey continued over its entries up to the anchor, when they are the
/// anchored ones.
pub(crate) fn reach(copy: &PublishedCopy, survey: &Survey, anchor: &Head) -> Result<Option<Survey>, Failure> {
    let mut reached = survey.clone();
    reached.root_at_mark = None;
    while reached.frontier.size() < anchor.size {
        match next_bundle(copy, &reached, anchor.size)? {
            Some((further, _)) => reached = further,
            None => return Ok(None),
        }
    }
    Ok((reached.frontier.root() == anchor.root).then_some(reached))
}

/// Entries with their bytes.
type Refill = Vec<(Entry, Vec<u8>)>;

/// The survey continued by the rest of one bundle, from whichever version of it links.
fn next_bundle(copy: &PublishedCopy, survey: &Survey, end: u64) -> Result<Option<(Survey, Refill)>, Failure> {
    let start = survey.frontier.size();
    let index = start / TILE_WIDTH;
    let end = end.min((index + 1) * TILE_WIDTH);
    let skip = usize::try_from(start % TILE_WIDTH).unwrap_or(0);
    for entries in copy.bundle_versions(index).map_err(|e| failed(&e))? {
        let mut further = survey.clone();
        let mut taken = Vec::new();
        for (seq, bytes) in (start..end).zip(entries.into_iter().skip(skip)) {
            match further.add(seq, &bytes) {
                Ok(entry) => taken.push((entry, bytes)),
                Err(_) => break,
            }
        }
        if further.frontier.size() == end {
            return Ok(Some((further, taken)));
        }
    }
    Ok(None)
}

/// Writes the missing entries and their blobs into the database. Call only after [`reach`] succeeded.
pub(crate) fn refill(
    copy: &PublishedCopy,
    store: &mut Store,
    mut survey: Survey,
    anchor: &Head,
) -> Result<(), Failure> {
    while survey.frontier.size() < anchor.size {
        let Some((further, entries)) = next_bundle(copy, &survey, anchor.size)? else {
            return Err(Failure::new(
                Reason::RolledBack,
                "the second copy changed while it was read",
            ));
        };
        let expected = (survey.frontier.size(), survey.last);
        write(copy, store, expected, &entries)?;
        survey = further;
    }
    Ok(())
}

fn write(copy: &PublishedCopy, store: &mut Store, expected: (u64, Digest), entries: &Refill) -> Result<(), Failure> {
    let contents = entries
        .iter()
        .map(|(entry, _)| contents(copy, entry))
        .collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<_> = entries
        .iter()
        .zip(&contents)
        .map(|((entry, bytes), content)| Row {
            seq: entry.position.seq,
            epoch: entry.position.epoch,
            kind: entry.kind.as_str(),
            subject: &entry.subject.name,
            cycle: entry.cycle.as_ref().map_or("", |cycle| &cycle.name),
            time_ms: entry.time_ms,
            leaf: entry.leaf,
            entry: bytes,
            content,
        })
        .collect();
    store.append(expected, &rows).map_err(Failure::from)
}

fn contents(copy: &PublishedCopy, entry: &Entry) -> Result<Vec<(Digest, Vec<u8>)>, Failure> {
    let seq = entry.position.seq;
    entry
        .content()
        .map(|(digest, _)| {
            let found = copy.blob(&digest, seq / TILE_WIDTH).map_err(|e| failed(&e))?;
            let content = found.ok_or_else(|| {
                let detail = format!("entry {seq}: blob {digest} is missing in the second copy too");
                Failure::new(Reason::Damaged, detail)
            })?;
            Ok((digest, content))
        })
        .collect()
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Reason::StorageFailed, format!("second copy: {error}"))
}
