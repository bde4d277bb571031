//! The auditor: checks a whole ledger, or its published copy, and says what it found.

mod chunk;
#[cfg(test)]
mod forged_tests;
mod heads;
mod published;
mod report;
mod schedule;
mod signed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::anchor::Head;
use crate::hash::Digest;
use crate::note::Checkpoint;
use crate::policy::Policy;
use crate::publish::tiles::NODES;
use crate::reader::ReadError;
use crate::source::Source;
use crate::store::StoreError;
use crate::tree::Frontier;
use chunk::{CHUNK, Checked, Depth};
use published::{Extent, Upper};
pub use report::{Finding, Report, Severity, Verdict};
use schedule::Schedule;
pub use signed::{Published, Signature, published_checkpoint};

/// How a ledger is verified.
pub struct VerifyOptions<'a> {
    /// Trusted origin and first keys. Without it the keys are taken from the first entry, which proves only
    /// that the ledger agrees with itself.
    pub policy: Option<&'a Policy>,
    /// The head that an anchor outside the volume holds.
    pub anchor: Option<&'a Head>,
    /// Entries below are only hashed: they were verified before.
    pub since: u64,
    /// Check chain and tree only, no contents, signatures and blobs.
    pub hashes_only: bool,
    /// Threads that hash and check signatures; at least 1.
    pub threads: usize,
    /// Called with entries done and entries in all.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        Self {
            policy: None,
            anchor: None,
            since: 0,
            hashes_only: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            progress: &|_, _| {},
        }
    }
}

/// Verifies the ledger in `directory`: chain, tree, canonical form, signatures, key rotations, blobs, the
/// checkpoint, the published copy, and the anchor when one is given. Memory does not grow with the ledger.
///
/// # Errors
/// When there is no ledger, or its files cannot be read. Damage is a finding.
pub fn verify(directory: &Path, options: &VerifyOptions<'_>) -> Result<Report, ReadError> {
    let mut report = Report::new(options.policy.is_some(), options.anchor.is_some());
    match check(directory, options, &mut report) {
        // Too damaged to go on: that is what was to be found out.
        Err(ReadError::Store(StoreError::Damaged(detail))) => report.tampered(None, detail),
        checked => checked?,
    }
    Ok(report)
}

fn check(directory: &Path, options: &VerifyOptions<'_>, report: &mut Report) -> Result<(), ReadError> {
    let source = Source::open(directory)?;
    // First what promises, then what was promised: a ledger that grows meanwhile has more than that.
    let note = Note::read(&source)?;
    let size = source.size()?;
    report.size = size;
    let schedule = Schedule::read(&source, options.policy, report)?;
    schedule.origin().clone_into(&mut report.origin);
    let checkpoint = note.open(&source, &schedule, report);
    let mut marks = Marks::default();
    marks.want(options.anchor.map(|head| head.size));
    marks.want(checkpoint.as_ref().map(|checkpoint| checkpoint.size));
    let copy = Extent {
        size,
        promised: checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size),
        bundles: source.is_database(),
    };
    let end = walk(&source, copy, options, &schedule, &mut marks, report)?;
    report.root = end.tree.root();
    published::beyond(&source, size)?
        .into_iter()
        .for_each(|f| report.add(f));
    heads::compare(options.anchor, checkpoint.as_ref(), &marks, end.epoch, report);
    Ok(())
}

/// Roots at the sizes that something outside claims.
#[derive(Debug, Default)]
struct Marks(BTreeMap<u64, Option<Digest>>);

impl Marks {
    fn want(&mut self, size: Option<u64>) {
        if let Some(size) = size {
            let root = (size == 0).then(|| Frontier::new().root());
            self.0.insert(size, root);
        }
    }

    fn inside(&self, low: u64, high: u64) -> impl Iterator<Item = u64> + '_ {
        self.0
            .range(low..=high)
            .map(|(size, _)| *size)
            .filter(move |size| *size != low)
    }

    fn note(&mut self, size: u64, root: Digest) {
        self.0.insert(size, Some(root));
    }

    fn root(&self, size: u64) -> Option<Digest> {
        self.0.get(&size).copied().flatten()
    }
}

/// The checkpoint's file.
struct Note {
    bytes: Option<Vec<u8>>,
    /// Whether there was one before.
    signed_before: bool,
}

impl Note {
    fn read(source: &Source) -> Result<Self, ReadError> {
        // This file gets its name after a checkpoint is signed, so it is looked at first.
        let signed_before = source.directory().join(NODES).exists();
        let bytes = source.copy().checkpoint();
        Ok(Self {
            bytes: bytes.map_err(|error| StoreError::Io(format!("checkpoint: {error}")))?,
            signed_before,
        })
    }

    fn open(&self, source: &Source, schedule: &Schedule, report: &mut Report) -> Option<Checkpoint> {
        let Some(note) = &self.bytes else {
            if !source.is_database() {
                report.incomplete(None, "there is no checkpoint");
            } else if self.signed_before {
                let detail = "there is no checkpoint, and there was one; the next start signs it anew";
                report.incomplete(None, detail);
            }
            // Otherwise nothing was published yet, or what was is not signed yet.
            return None;
        };
        match schedule.open(note) {
            Ok(checkpoint) => {
                report.checkpoint = Some(checkpoint.size);
                Some(checkpoint)
            }
            Err(why) => {
                report.tampered(None, format!("checkpoint: {why}"));
                None
            }
        }
    }
}

/// What the entries come to.
struct End {
    tree: Frontier,
    /// Highest epoch of an entry.
    epoch: u64,
}

/// Walks all entries with several threads: each takes chunks, this one joins them in order.
fn walk(
    source: &Source,
    copy: Extent,
    options: &VerifyOptions<'_>,
    schedule: &Schedule,
    marks: &mut Marks,
    report: &mut Report,
) -> Result<End, ReadError> {
    let size = copy.size;
    let next = AtomicU64::new(0);
    let chunks = size.div_ceil(CHUNK);
    let splits: Vec<u64> = marks.inside(0, size).collect();
    let directory = source.directory();
    let (results, received) = mpsc::sync_channel(options.threads.max(1) * 2);
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            let (results, next, splits) = (results.clone(), &next, &splits);
            scope.spawn(move || {
                let source = Source::open(directory);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= chunks {
                        break;
                    }
                    let range = index * CHUNK..((index + 1) * CHUNK).min(size);
                    let depth = Depth {
                        hashes_only: options.hashes_only || range.end <= options.since,
                        copy,
                    };
                    let checked = match &source {
                        Ok(source) => chunk::check(source, range, &depth, schedule, splits),
                        Err(error) => Err(error.clone()),
                    };
                    if results.send((index, checked)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        join(&received, source, copy, options, marks, report)
    })
}

fn join(
    received: &mpsc::Receiver<(u64, Result<Checked, ReadError>)>,
    source: &Source,
    copy: Extent,
    options: &VerifyOptions<'_>,
    marks: &mut Marks,
    report: &mut Report,
) -> Result<End, ReadError> {
    let mut waiting = BTreeMap::new();
    let mut frontier = Frontier::new();
    let mut tiles = Upper::new(source, copy);
    let (mut last, mut epoch, mut sealed) = (Digest::ZERO, 0, false);
    let mut wanted = 0;
    for (index, checked) in received {
        waiting.insert(index, checked?);
        while let Some(checked) = waiting.remove(&wanted) {
            wanted += 1;
            let start = frontier.size();
            if let Some(first) = &checked.first {
                if first.prev != last {
                    report.tampered(Some(start), "does not link to the entry before it");
                }
                if first.epoch < epoch {
                    report.tampered(Some(start), "its epoch is lower than the one before");
                }
                if sealed {
                    report.tampered(Some(start), "follows the ARCHIVE entry");
                }
            }
            (last, epoch, sealed) = (checked.last, checked.epoch, sealed || checked.sealed);
            for leaf_run in &checked.runs {
                for (level, node) in leaf_run {
                    frontier.push_subtree(*level, *node);
                }
                if marks.0.contains_key(&frontier.size()) {
                    marks.note(frontier.size(), frontier.root());
                }
            }
            report.signatures += checked.signatures;
            report.blobs += checked.blobs;
            for root in checked.tiles {
                tiles.root(root)?;
            }
            checked.findings.into_iter().for_each(|f| report.add(f));
            (options.progress)(frontier.size(), copy.size);
        }
    }
    tiles.finish()?.into_iter().for_each(|f| report.add(f));
    Ok(End { tree: frontier, epoch })
}
