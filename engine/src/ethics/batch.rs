//! Columnar input and the loop that turns it into counts.

use super::accumulator::{Accumulator, BLOCKS, GroupBlocks, MAX_GROUPS, block_of};
use super::binning::{micro_index, quantize, squared_error};
use super::groups::Confusion;

/// Code of a sample whose group is not known.
pub const NO_GROUP: u16 = u16::MAX;

/// Groups of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Groups<'a> {
    /// No sample has a known group.
    None,
    /// One code per sample into a list of names, as in a dictionary-encoded column.
    Interned {
        /// Names; the same name may stand at several codes.
        names: &'a [&'a str],
        /// Index into `names` for each sample, or [`NO_GROUP`]. A code beyond the list counts as no group.
        codes: &'a [u16],
    },
}

/// Keys of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Keys<'a> {
    /// One key per sample: a hash of its request id.
    Each(&'a [u64]),
    /// Consecutive ordinals; the first sample has this one.
    From(u64),
}

/// Samples as columns of equal length.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Predicted probabilities; NaN stands for a missing one.
    pub probs: &'a [f64],
    /// Predictions that were acted on.
    pub predictions: &'a [bool],
    /// What turned out.
    pub labels: &'a [bool],
    /// Groups.
    pub groups: Groups<'a>,
    /// Keys.
    pub keys: Keys<'a>,
}

impl Batch<'_> {
    /// Whether all columns have the length of `probs`.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let expected = self.probs.len();
        let groups = match self.groups {
            Groups::None => expected,
            Groups::Interned { codes, .. } => codes.len(),
        };
        let keys = match self.keys {
            Keys::Each(keys) => keys.len(),
            Keys::From(_) => expected,
        };
        [self.predictions.len(), self.labels.len(), groups, keys]
            .iter()
            .all(|len| *len == expected)
    }
}

/// Adds a consistent batch to `accumulator`.
pub(super) fn add(accumulator: &mut Accumulator, batch: &Batch<'_>) {
    let mut groups = GroupTable::new(batch.groups);
    let codes = match batch.groups {
        Groups::None => &[],
        Groups::Interned { codes, .. } => codes,
    };
    let codes = codes.iter().copied().chain(std::iter::repeat(NO_GROUP));
    // One loop for each form of the keys, so that neither pays for the other.
    match batch.keys {
        Keys::Each(keys) => count(accumulator, &mut groups, batch, codes, keys.iter().copied()),
        Keys::From(first) => {
            let keys = (0_u64..).map(|i| first.wrapping_add(i));
            count(accumulator, &mut groups, batch, codes, keys);
        }
    }
    groups.merge_into(accumulator);
}

#[inline]
fn count(
    accumulator: &mut Accumulator,
    groups: &mut GroupTable<'_>,
    batch: &Batch<'_>,
    codes: impl Iterator<Item = u16>,
    keys: impl Iterator<Item = u64>,
) {
    let bins = accumulator.bins();
    let columns = batch.probs.iter().zip(batch.predictions).zip(batch.labels);
    let mut sum_squared = 0_u128;
    for ((((&p, &prediction), &label), code), key) in columns.zip(codes).zip(keys) {
        if !(0.0..=1.0).contains(&p) {
            accumulator.refuse(p);
            continue;
        }
        let q = quantize(p);
        let block = block_of(key);
        let bin = accumulator.edges.index(p);
        if let Some(cell) = accumulator.blocks.get_mut(block * bins + bin) {
            cell.record(q, label);
        }
        if let Some(cell) = accumulator.micro.get_mut(micro_index(p)) {
            cell.record(q, label);
        }
        sum_squared = sum_squared.wrapping_add(u128::from(squared_error(q, label)));
        groups.record(code, block, prediction, label);
    }
    accumulator.sum_squared = accumulator.sum_squared.wrapping_add(sum_squared);
}

/// A code whose name has not occurred yet.
const UNSEEN: u16 = u16::MAX;

/// Group counts of one batch. A name gets a slot when its first sample comes, so that unused names of the dictionary do not count as groups.
struct GroupTable<'a> {
    names: &'a [&'a str],
    /// Slot of each code.
    slots: Vec<u16>,
    /// Names and counts by slot.
    seen: Vec<(&'a str, GroupBlocks)>,
    ungrouped: u64,
    overflow: bool,
}

impl<'a> GroupTable<'a> {
    fn new(groups: Groups<'a>) -> Self {
        let names = match groups {
            Groups::None => &[],
            // The last code is taken by NO_GROUP.
            Groups::Interned { names, .. } => names.get(..usize::from(NO_GROUP)).unwrap_or(names),
        };
        Self {
            names,
            slots: vec![UNSEEN; names.len()],
            seen: Vec::new(),
            ungrouped: 0,
            overflow: false,
        }
    }

    #[inline]
    fn record(&mut self, code: u16, block: usize, prediction: bool, label: bool) {
        let slot = self.slots.get(usize::from(code)).map_or(UNSEEN, |slot| *slot);
        let counts = match self.seen.get_mut(usize::from(slot)) {
            Some((_, counts)) => counts,
            None => match self.first_of(code) {
                Some(counts) => counts,
                None => return,
            },
        };
        if let Some(counts) = counts.get_mut(block) {
            counts.record(prediction, label);
        }
    }

    /// Counts of a code that has no slot yet; none when it names no group or there are too many.
    #[cold]
    fn first_of(&mut self, code: u16) -> Option<&mut GroupBlocks> {
        let Some(name) = self.names.get(usize::from(code)).copied() else {
            self.ungrouped = self.ungrouped.wrapping_add(1);
            return None;
        };
        if self.overflow {
            return None;
        }
        let slot = match self.seen.iter().position(|(seen, _)| *seen == name) {
            Some(slot) => slot,
            None if self.seen.len() >= MAX_GROUPS => {
                self.overflow = true;
                self.seen.clear();
                self.slots.fill(UNSEEN);
                return None;
            }
            None => {
                self.seen.push((name, Box::new([Confusion::default(); BLOCKS])));
                self.seen.len() - 1
            }
        };
        if let Some(entry) = self.slots.get_mut(usize::from(code)) {
            *entry = u16::try_from(slot).unwrap_or(UNSEEN);
        }
        self.seen.get_mut(slot).map(|(_, counts)| counts)
    }

    fn merge_into(self, accumulator: &mut Accumulator) {
        accumulator.ungrouped = accumulator.ungrouped.wrapping_add(self.ungrouped);
        if self.overflow {
            accumulator.overflow_groups();
        }
        for (name, counts) in &self.seen {
            accumulator.add_group(name, counts);
        }
    }
}
