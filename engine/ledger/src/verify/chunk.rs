//! One thread's share: a run of entries, checked against each other; the joiner checks where runs meet.

use std::ops::Range;

use super::published::{Extent, Lower};
use super::schedule::Schedule;
use super::{Finding, Severity};
use crate::dsse::pae;
use crate::entry::{Entry, Kind, Position, chain_position};
use crate::hash::{Digest, leaf_hash};
use crate::keys::PublicKey;
use crate::publish::paths::TILE_WIDTH;
use crate::reader::ReadError;
use crate::source::{RawEntry, Source};
use crate::tree::Frontier;

/// Entries of a chunk: whole bundles, and whole subtrees of the tree.
pub(super) const CHUNK: u64 = 4_096;
/// Level of the node over a full tile.
const TILE_LEVEL: u32 = TILE_WIDTH.ilog2();
/// Signatures verified together.
const BATCH: usize = 128;

/// How far to look.
pub(super) struct Depth {
    pub hashes_only: bool,
    /// How much of the published copy is compared.
    pub copy: Extent,
}

/// What a chunk holds.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Position of the first entry.
    pub first: Option<Position>,
    /// Leaf hash of the last entry.
    pub last: Digest,
    pub epoch: u64,
    pub sealed: bool,
    /// Complete subtrees in order, cut where a root is asked for.
    pub runs: Vec<Vec<(u32, Digest)>>,
    pub signatures: u64,
    pub blobs: u64,
    /// Roots of the full tiles of the lowest level that were compared.
    pub tiles: Vec<Digest>,
    pub findings: Vec<Finding>,
}

struct Signed {
    seq: u64,
    message: Vec<u8>,
    signature: [u8; 64],
    key: PublicKey,
}

struct Work<'a> {
    source: &'a Source,
    schedule: &'a Schedule,
    hashes_only: bool,
    end: u64,
    next: u64,
    run: Frontier,
    /// Whether nothing but GENESIS and CARRY came so far.
    carrying: bool,
    signed: Vec<Signed>,
    copy: Lower<'a>,
    checked: Checked,
}

pub(super) fn check(
    source: &Source,
    range: Range<u64>,
    depth: &Depth,
    schedule: &Schedule,
    splits: &[u64],
) -> Result<Checked, ReadError> {
    let mut work = Work {
        source,
        schedule,
        hashes_only: depth.hashes_only,
        end: range.end,
        next: range.start,
        run: Frontier::starting_at(range.start),
        carrying: range.start == 0,
        signed: Vec::new(),
        copy: Lower::new(source, depth.copy),
        checked: Checked::default(),
    };
    source.scan(range, |entry| {
        work.entry(&entry)?;
        if splits.contains(&work.next) {
            work.cut();
        }
        Ok::<(), ReadError>(())
    })?;
    if work.next < work.end {
        work.finding(
            Severity::Incomplete,
            work.next,
            "missing; nothing after it can be placed",
        );
    }
    work.check_signatures();
    work.cut();
    work.copy.finish()?;
    work.checked.tiles = work.copy.roots;
    work.checked.findings.extend(work.copy.findings);
    Ok(work.checked)
}

impl Work<'_> {
    fn entry(&mut self, raw: &RawEntry<'_>) -> Result<(), ReadError> {
        if raw.seq != self.next {
            // Found again as "missing" at the end: what follows a gap has no place in the tree.
            return Ok(());
        }
        let leaf = leaf_hash(raw.bytes);
        match chain_position(raw.bytes) {
            Some(position) => self.link(raw.seq, &position),
            None => self.finding(Severity::Tampered, raw.seq, "is not an entry"),
        }
        if let Some((kind, claimed)) = raw.columns
            && claimed != leaf
        {
            let detail = format!("its stored leaf hash ({kind}) is not that of its bytes");
            self.finding(Severity::Tampered, raw.seq, detail);
        }
        if !self.hashes_only {
            self.content(raw, leaf)?;
        }
        self.checked.last = leaf;
        let (mut level, mut tile) = (0, None);
        self.run.push_recording(leaf, |node| {
            if level == TILE_LEVEL {
                tile = Some(node);
            }
            level += 1;
        });
        self.copy.entry(raw.seq, raw.bytes, &leaf, tile)?;
        self.next += 1;
        Ok(())
    }

    fn link(&mut self, seq: u64, position: &Position) {
        if position.seq != seq {
            let detail = format!("says it is entry {}", position.seq);
            self.finding(Severity::Tampered, seq, detail);
        }
        if self.checked.first.is_none() {
            self.checked.first = Some(*position);
        } else {
            if position.prev != self.checked.last {
                self.finding(Severity::Tampered, seq, "does not link to the entry before it");
            }
            if position.epoch < self.checked.epoch {
                self.finding(Severity::Tampered, seq, "its epoch is lower than the one before");
            }
        }
        self.checked.epoch = self.checked.epoch.max(position.epoch);
    }

    fn content(&mut self, raw: &RawEntry<'_>, leaf: Digest) -> Result<(), ReadError> {
        let entry = match Entry::decode(raw.bytes) {
            Ok(entry) => entry,
            Err(error) => {
                self.finding(Severity::Tampered, raw.seq, error.to_string());
                return Ok(());
            }
        };
        if raw.columns.is_some_and(|(kind, _)| kind != entry.kind.as_str()) {
            self.finding(Severity::Tampered, raw.seq, "its stored kind is not its own");
        }
        if (entry.kind == Kind::Genesis) != (raw.seq == 0) {
            self.finding(Severity::Tampered, raw.seq, "GENESIS must be the first entry only");
        }
        if entry.kind == Kind::KeyRotate && !self.schedule.rotates_at(raw.seq) {
            self.finding(Severity::Tampered, raw.seq, "KEY_ROTATE that nobody proved");
        }
        if entry.kind == Kind::Carry && !self.carrying {
            self.finding(Severity::Tampered, raw.seq, "CARRY must stand right behind GENESIS");
        }
        self.carrying &= matches!(entry.kind, Kind::Genesis | Kind::Carry);
        if self.checked.sealed {
            self.finding(Severity::Tampered, raw.seq, "follows the ARCHIVE entry");
        }
        self.checked.sealed |= entry.kind == Kind::Archive;
        debug_assert_eq!(leaf, entry.leaf);
        self.blobs(&entry)?;
        match self.schedule.attestation_key(raw.seq) {
            Some(key) => self.signed.push(Signed {
                seq: raw.seq,
                message: pae(&entry.envelope.payload),
                signature: entry.envelope.signature,
                key,
            }),
            None => self.finding(Severity::Tampered, raw.seq, "no key is known for it"),
        }
        if self.signed.len() >= BATCH {
            self.check_signatures();
        }
        Ok(())
    }

    fn blobs(&mut self, entry: &Entry) -> Result<(), ReadError> {
        let seq = entry.position.seq;
        for (digest, size) in entry.content() {
            self.checked.blobs += 1;
            let content = match self.source.blob(&digest, seq) {
                Ok(content) => content,
                Err(ReadError::Store(crate::store::StoreError::Damaged(detail))) => {
                    self.finding(Severity::Tampered, seq, detail);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let published = self.copy.blob(seq, &digest, content.as_deref())?;
            match &content {
                Some(content) if content.len() == size as usize => {}
                Some(_) => self.finding(Severity::Tampered, seq, format!("blob {digest}: wrong size")),
                // Of a file that is there and is another one there is nothing else to say.
                None if published.is_some() => {}
                None => self.finding(Severity::Incomplete, seq, format!("blob {digest} is missing")),
            }
            self.checked.findings.extend(published);
        }
        Ok(())
    }

    /// Verifies the collected signatures together, and one by one when the batch fails, to name the wrong one.
    fn check_signatures(&mut self) {
        let signed = std::mem::take(&mut self.signed);
        self.checked.signatures += signed.len() as u64;
        let messages: Vec<&[u8]> = signed.iter().map(|s| s.message.as_slice()).collect();
        let signatures: Vec<_> = signed
            .iter()
            .map(|s| ed25519_dalek::Signature::from_bytes(&s.signature))
            .collect();
        let keys: Vec<_> = signed.iter().map(|s| s.key.0).collect();
        if ed25519_dalek::verify_batch(&messages, &signatures, &keys).is_ok() {
            return;
        }
        for signed in &signed {
            if !signed.key.verify(&signed.message, &signed.signature) {
                let detail = "its signature is not by the key in force";
                self.finding(Severity::Tampered, signed.seq, detail);
            }
        }
    }

    /// Ends a run of subtrees.
    fn cut(&mut self) {
        let run = std::mem::replace(&mut self.run, Frontier::starting_at(self.next));
        self.checked.runs.push(run.into_subtrees());
    }

    fn finding(&mut self, severity: Severity, seq: u64, detail: impl Into<String>) {
        self.checked.findings.push(Finding {
            severity,
            seq: Some(seq),
            detail: detail.into(),
        });
    }
}
