//! Columnar input and the loop that turns it into counts.

use super::accumulator::{Accumulator, BLOCKS, Cell, MAX_GROUPS, block_of};
use super::binning::{MICRO_BINS, micro_index, quantize, squared_error};
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
    // One loop for each form of groups and keys, so that none pays for another.
    match (batch.groups, batch.keys) {
        (Groups::None, Keys::Each(keys)) => {
            count(accumulator, batch, std::iter::repeat(NO_GROUP), keys.iter().copied());
        }
        (Groups::None, Keys::From(first)) => {
            count(accumulator, batch, std::iter::repeat(NO_GROUP), ordinals(first));
        }
        (Groups::Interned { codes, .. }, Keys::Each(keys)) => {
            count(accumulator, batch, codes.iter().copied(), keys.iter().copied());
        }
        (Groups::Interned { codes, .. }, Keys::From(first)) => {
            count(accumulator, batch, codes.iter().copied(), ordinals(first));
        }
    }
}

fn ordinals(first: u64) -> impl Iterator<Item = u64> {
    (0_u64..).map(move |i| first.wrapping_add(i))
}

fn count(
    accumulator: &mut Accumulator,
    batch: &Batch<'_>,
    codes: impl Iterator<Item = u16>,
    keys: impl Iterator<Item = u64>,
) {
    let mut groups = GroupTable::new(batch.groups);
    let bins = accumulator.bins();
    let mut blocks = SmallCells::new(accumulator.edges.floors(), BLOCKS);
    let mut micro = SmallCells::new((0..MICRO_BINS as u64).map(|i| i << 41).collect(), 1);
    let columns = batch.probs.iter().zip(batch.predictions).zip(batch.labels);
    let mut columns = columns.zip(codes).zip(keys);
    let mut sum_squared = 0_u128;
    let mut rest = batch.probs.len();
    while rest > 0 {
        let samples = rest.min(blocks.room).min(micro.room);
        for ((((&p, &prediction), &label), code), key) in columns.by_ref().take(samples) {
            if !(0.0..=1.0).contains(&p) {
                accumulator.refuse(p);
                continue;
            }
            let q = quantize(p);
            let block = block_of(key);
            let bin = accumulator.edges.index(p);
            blocks.record(block * bins + bin, bin, q, label);
            let narrow = micro_index(p);
            micro.record(narrow, narrow, q, label);
            sum_squared = sum_squared.wrapping_add(u128::from(squared_error(q, label)));
            groups.record(code, block, prediction, label);
        }
        rest -= samples;
        blocks.spend(samples, &mut accumulator.blocks);
        micro.spend(samples, &mut accumulator.micro);
    }
    blocks.drain(&mut accumulator.blocks);
    micro.drain(&mut accumulator.micro);
    accumulator.sum_squared = accumulator.sum_squared.wrapping_add(sum_squared);
    groups.merge_into(accumulator);
}

/// Counts of bins for a limited number of samples: half the size of [`Cell`]s, and 64-bit additions only.
///
/// Samples and positive labels share one word. The sum is kept above the bin's floor, which the bin's width bounds; before it could
/// overflow, the counts move into full cells.
struct SmallCells {
    /// Smallest quantised probability of each bin.
    floors: Vec<u64>,
    /// Samples + positives·2³², and Σ(q − floor), for each cell.
    cells: Vec<[u64; 2]>,
    /// Samples that fit before the counts must move.
    limit: usize,
    /// Samples that still fit.
    room: usize,
}

impl SmallCells {
    fn new(floors: Vec<u64>, rows: usize) -> Self {
        let ends = floors.iter().skip(1).copied().chain([1 << 53]);
        let widest = floors.iter().zip(ends).map(|(floor, end)| end - floor).max();
        let limit = (u64::MAX / widest.unwrap_or(1 << 53).max(1)).min(u64::from(u32::MAX));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            cells: vec![[0; 2]; floors.len() * rows],
            floors,
            limit,
            room: limit,
        }
    }

    #[inline]
    fn record(&mut self, cell: usize, bin: usize, q: u64, label: bool) {
        let floor = self.floors.get(bin).map_or(0, |floor| *floor);
        if let Some([counts, sum]) = self.cells.get_mut(cell) {
            *counts = counts.wrapping_add(1 | (u64::from(label) << 32));
            *sum = sum.wrapping_add(q.wrapping_sub(floor));
        }
    }

    /// Notes that up to `samples` were recorded, and moves the counts when there is no room for more.
    fn spend(&mut self, samples: usize, cells: &mut [Cell]) {
        self.room -= samples;
        if self.room == 0 {
            self.drain(cells);
        }
    }

    fn drain(&mut self, cells: &mut [Cell]) {
        let floors = self.floors.iter().cycle();
        for ((small, cell), floor) in self.cells.iter_mut().zip(cells).zip(floors) {
            let [counts, sum] = std::mem::take(small);
            let count = counts & u64::from(u32::MAX);
            cell.add(Cell {
                count,
                positives: counts >> 32,
                sum: u128::from(*floor) * u128::from(count) + u128::from(sum),
            });
        }
        self.room = self.limit;
    }
}

/// A code whose name has not occurred yet.
const UNSEEN: u16 = u16::MAX;
/// Counters of one group: four for each block.
const STRIDE: usize = BLOCKS * 4;

/// Group counts of one batch. A name gets a slot when its first sample comes, so that unused names of the dictionary do not count as
/// groups.
struct GroupTable<'a> {
    names: &'a [&'a str],
    /// Slot of each code.
    slots: Vec<u16>,
    /// Names by slot.
    seen: Vec<&'a str>,
    /// Slot after slot, block after block, as in [`Confusion`].
    counts: Vec<u64>,
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
            counts: Vec::new(),
            ungrouped: 0,
            overflow: false,
        }
    }

    #[inline]
    fn record(&mut self, code: u16, block: usize, prediction: bool, label: bool) {
        let slot = self.slots.get(usize::from(code)).map_or(UNSEEN, |slot| *slot);
        let within = block * 4 + Confusion::index(prediction, label);
        // The slot of an unseen name lies beyond all counters.
        if let Some(count) = self.counts.get_mut(usize::from(slot) * STRIDE + within) {
            *count = count.wrapping_add(1);
        } else if let Some(slot) = self.first_of(code)
            && let Some(count) = self.counts.get_mut(slot * STRIDE + within)
        {
            *count = count.wrapping_add(1);
        }
    }

    /// Slot of a code that has none yet; none when it names no group or there are too many.
    #[cold]
    fn first_of(&mut self, code: u16) -> Option<usize> {
        let Some(name) = self.names.get(usize::from(code)).copied() else {
            self.ungrouped = self.ungrouped.wrapping_add(1);
            return None;
        };
        if self.overflow {
            return None;
        }
        let slot = match self.seen.iter().position(|seen| *seen == name) {
            Some(slot) => slot,
            None if self.seen.len() >= MAX_GROUPS => {
                self.overflow = true;
                self.seen.clear();
                self.counts.clear();
                self.slots.fill(UNSEEN);
                return None;
            }
            None => {
                self.seen.push(name);
                self.counts.resize(self.seen.len() * STRIDE, 0);
                self.seen.len() - 1
            }
        };
        if let Some(entry) = self.slots.get_mut(usize::from(code)) {
            *entry = u16::try_from(slot).unwrap_or(UNSEEN);
        }
        Some(slot)
    }

    fn merge_into(self, accumulator: &mut Accumulator) {
        accumulator.ungrouped = accumulator.ungrouped.wrapping_add(self.ungrouped);
        if self.overflow {
            accumulator.overflow_groups();
        }
        for (name, counts) in self.seen.iter().zip(self.counts.chunks_exact(STRIDE)) {
            let mut blocks = [Confusion::default(); BLOCKS];
            for (block, counts) in blocks.iter_mut().zip(counts.as_chunks::<4>().0) {
                *block = Confusion::from_counts(*counts);
            }
            accumulator.add_group(name, &blocks);
        }
    }
}
