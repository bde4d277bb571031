//! Exact integer counts from which every ethics metric is computed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::batch::{self, Batch};
use super::binning::{Edges, MAX_BINS, MICRO_BINS, MIN_BINS, micro_index, quantize, squared_error};
use super::groups::Confusion;
use crate::error::EngineError;
use crate::event::{Digest, content_hash};
use crate::num::{Code, Num};

/// Blocks of the bootstrap: a sample belongs to block `key mod 64`.
pub const BLOCKS: usize = 64;
/// Most groups that are told apart.
pub const MAX_GROUPS: usize = 256;

/// One judged prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// Predicted probability of label 1; for more than two classes the top-1 confidence.
    pub prob: Num,
    /// The prediction that was acted on.
    pub prediction: bool,
    /// What turned out; for more than two classes whether the prediction was right.
    pub label: bool,
    /// Group of the affected person or thing.
    pub group: Option<&'a str>,
    /// Hash of the request id, or an ordinal.
    pub key: u64,
}

/// Counts of one calibration bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) count: u64,
    pub(super) positives: u64,
    /// Σ of quantised probabilities, scale 2⁵³.
    pub(super) sum: u128,
}

impl Cell {
    /// Additions wrap: they must stay associative, and 2⁶⁴ samples do not occur.
    #[inline]
    pub(super) fn add(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.positives = self.positives.wrapping_add(other.positives);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    #[inline]
    pub(super) fn record(&mut self, q: u64, label: bool) {
        self.add(Self {
            count: 1,
            positives: u64::from(label),
            sum: u128::from(q),
        });
    }
}

/// Counts of one group, block by block.
pub(super) type GroupBlocks = Box<[Confusion; BLOCKS]>;

/// Mergeable counts of samples, in constant memory.
///
/// Only integers are kept, so that any split of the samples into shards and any order of merging give identical bits. With 15 bins
/// it occupies about 160 KiB, and 2 KiB more for each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Accumulator {
    bins: usize,
    pub(super) edges: Edges,
    /// Block after block, bin after bin.
    pub(super) blocks: Box<[Cell]>,
    pub(super) micro: Box<[Cell]>,
    pub(super) sum_squared: u128,
    pub(super) invalid_non_finite: u64,
    pub(super) invalid_range: u64,
    pub(super) ungrouped: u64,
    pub(super) group_overflow: bool,
    pub(super) length_mismatch: bool,
    pub(super) groups: BTreeMap<Box<str>, GroupBlocks>,
}

impl Accumulator {
    /// An empty accumulator with `bins` calibration bins, limited to the range that the configuration admits.
    #[must_use]
    pub fn new(bins: usize) -> Self {
        let bins = bins.clamp(MIN_BINS, MAX_BINS);
        Self {
            bins,
            edges: Edges::new(bins),
            blocks: vec![Cell::default(); BLOCKS * bins].into_boxed_slice(),
            micro: vec![Cell::default(); MICRO_BINS].into_boxed_slice(),
            sum_squared: 0,
            invalid_non_finite: 0,
            invalid_range: 0,
            ungrouped: 0,
            group_overflow: false,
            length_mismatch: false,
            groups: BTreeMap::new(),
        }
    }

    /// Number of calibration bins.
    #[must_use]
    pub const fn bins(&self) -> usize {
        self.bins
    }

    /// Number of samples with a usable probability.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.micro.iter().fold(0, |sum, cell| sum.wrapping_add(cell.count))
    }

    /// Adds one sample. A sample without a usable probability is only counted as invalid.
    pub fn add(&mut self, sample: &Sample<'_>) {
        let p = sample.prob.get().unwrap_or(f64::NAN);
        if !(0.0..=1.0).contains(&p) {
            self.refuse(p);
            return;
        }
        let q = quantize(p);
        let block = block_of(sample.key);
        if let Some(cell) = self.blocks.get_mut(block * self.bins + self.edges.index(p)) {
            cell.record(q, sample.label);
        }
        if let Some(cell) = self.micro.get_mut(micro_index(p)) {
            cell.record(q, sample.label);
        }
        self.sum_squared = self
            .sum_squared
            .wrapping_add(u128::from(squared_error(q, sample.label)));
        match sample.group {
            None => self.ungrouped = self.ungrouped.wrapping_add(1),
            Some(name) => {
                if let Some(counts) = self.group_mut(name)
                    && let Some(counts) = counts.get_mut(block)
                {
                    counts.record(sample.prediction, sample.label);
                }
            }
        }
    }

    /// Adds a batch of columns; the same as adding its samples one by one, and several times faster.
    ///
    /// Columns of different length make the whole batch unusable: nothing of it is counted, and every metric is unknown with the
    /// reason `length_mismatch` from then on, also after merging.
    pub fn add_batch(&mut self, batch: &Batch<'_>) {
        if batch.is_consistent() {
            batch::add(self, batch);
        } else {
            self.length_mismatch = true;
        }
    }

    /// Adds the counts of `other`.
    ///
    /// # Errors
    ///
    /// [`Code::BinMismatch`] when the two have different numbers of bins; nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), EngineError> {
        if self.bins != other.bins {
            return Err(EngineError::input("bins", Code::BinMismatch));
        }
        for (mine, theirs) in self.blocks.iter_mut().zip(&other.blocks) {
            mine.add(*theirs);
        }
        for (mine, theirs) in self.micro.iter_mut().zip(&other.micro) {
            mine.add(*theirs);
        }
        self.sum_squared = self.sum_squared.wrapping_add(other.sum_squared);
        self.invalid_non_finite = self.invalid_non_finite.wrapping_add(other.invalid_non_finite);
        self.invalid_range = self.invalid_range.wrapping_add(other.invalid_range);
        self.ungrouped = self.ungrouped.wrapping_add(other.ungrouped);
        self.length_mismatch |= other.length_mismatch;
        if other.group_overflow {
            self.overflow_groups();
        }
        for (name, theirs) in &other.groups {
            self.add_group(name, theirs);
        }
        Ok(())
    }

    /// Adds block counts of one group.
    pub(super) fn add_group(&mut self, name: &str, counts: &[Confusion; BLOCKS]) {
        if let Some(mine) = self.group_mut(name) {
            for (mine, theirs) in mine.iter_mut().zip(counts) {
                mine.add(*theirs);
            }
        }
    }

    /// Counts one sample without a usable probability.
    #[cold]
    pub(super) fn refuse(&mut self, p: f64) {
        let counter = if p.is_finite() {
            &mut self.invalid_range
        } else {
            &mut self.invalid_non_finite
        };
        *counter = counter.wrapping_add(1);
    }

    /// Forgets all groups for good: with too many of them no group metric is defined, whichever came first.
    pub(super) fn overflow_groups(&mut self) {
        self.group_overflow = true;
        self.groups.clear();
    }

    fn group_mut(&mut self, name: &str) -> Option<&mut [Confusion; BLOCKS]> {
        if self.group_overflow {
            return None;
        }
        if !self.groups.contains_key(name) {
            if self.groups.len() >= MAX_GROUPS {
                self.overflow_groups();
                return None;
            }
            self.groups
                .insert(name.into(), Box::new([Confusion::default(); BLOCKS]));
        }
        self.groups.get_mut(name).map(|counts| &mut **counts)
    }

    /// Counts of each bin over all blocks.
    pub(super) fn bin_totals(&self) -> Vec<Cell> {
        let mut totals = vec![Cell::default(); self.bins];
        for block in self.blocks.chunks_exact(self.bins) {
            for (total, cell) in totals.iter_mut().zip(block) {
                total.add(*cell);
            }
        }
        totals
    }

    /// Counts of each group over all blocks, by name.
    pub(super) fn group_totals(&self) -> Vec<(&str, Confusion)> {
        self.groups
            .iter()
            .map(|(name, blocks)| {
                let total = blocks.iter().fold(Confusion::default(), |mut sum, counts| {
                    sum.add(*counts);
                    sum
                });
                (&**name, total)
            })
            .collect()
    }

    /// Content hash of all counts: what a report rests on, independent of how it was collected.
    ///
    /// # Errors
    ///
    /// None in practice; the document has a canonical form.
    pub fn evidence_digest(&self) -> Result<Digest, EngineError> {
        let bins = self.bin_totals();
        content_hash(&EvidenceDocument {
            schema: "penin.ethics/1",
            edge_rule: EDGE_RULE,
            bins: self.bins,
            samples: self.samples().to_string(),
            counts: bins.iter().map(|bin| bin.count.to_string()).collect(),
            positives: bins.iter().map(|bin| bin.positives.to_string()).collect(),
            sum_q: bins.iter().map(|bin| bin.sum.to_string()).collect(),
            sum_sq: self.sum_squared.to_string(),
            invalid_non_finite: self.invalid_non_finite.to_string(),
            invalid_range: self.invalid_range.to_string(),
            ungrouped: self.ungrouped.to_string(),
            group_overflow: self.group_overflow,
            groups: self
                .group_totals()
                .iter()
                .map(|(name, counts)| GroupDocument::new(name, counts))
                .collect(),
        })
    }
}

/// Name of the bin rule in reports.
pub(super) const EDGE_RULE: &str = "right-closed";

/// Block of a sample key.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the remainder is below 64")]
pub(super) const fn block_of(key: u64) -> usize {
    (key % BLOCKS as u64) as usize
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceDocument<'a> {
    schema: &'static str,
    edge_rule: &'static str,
    bins: usize,
    samples: String,
    counts: Vec<String>,
    positives: Vec<String>,
    sum_q: Vec<String>,
    sum_sq: String,
    invalid_non_finite: String,
    invalid_range: String,
    ungrouped: String,
    group_overflow: bool,
    groups: Vec<GroupDocument<'a>>,
}

/// Counts of a group as they are hashed.
#[derive(Serialize)]
pub(super) struct GroupDocument<'a> {
    name: &'a str,
    tp: String,
    fp: String,
    tn: String,
    #[serde(rename = "fn")]
    false_negative: String,
}

impl<'a> GroupDocument<'a> {
    pub(super) fn new(name: &'a str, counts: &Confusion) -> Self {
        Self {
            name,
            tp: counts.true_positive().to_string(),
            fp: counts.false_positive().to_string(),
            tn: counts.true_negative().to_string(),
            false_negative: counts.false_negative().to_string(),
        }
    }
}
