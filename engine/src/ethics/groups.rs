//! Rates of groups and the parities between them.
//!
//! Definitions: M. Hardt, E. Price, N. Srebro, *Equality of Opportunity in Supervised Learning*, NIPS 2016; demographic parity ratio
//! after the four-fifths rule of 29 CFR § 1607.4 D.

use serde::{Deserialize, Serialize};

/// Largest value of `rho_bias`: a ratio of ten or more, or a group that is never selected.
pub const RHO_BIAS_WORST: f64 = 10.0;

/// Confusion counts of predictions. Index: 2·prediction + label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Confusion([u64; 4]);

impl Confusion {
    pub(super) const fn new(true_positive: u64, false_positive: u64, true_negative: u64, false_negative: u64) -> Self {
        Self([true_negative, false_negative, false_positive, true_positive])
    }

    /// Counts in the order of [`Confusion::index`].
    pub(super) const fn from_counts(counts: [u64; 4]) -> Self {
        Self(counts)
    }

    /// Which count a prediction belongs to.
    #[inline]
    pub(super) fn index(prediction: bool, label: bool) -> usize {
        usize::from(prediction) * 2 + usize::from(label)
    }

    pub(super) fn record(&mut self, prediction: bool, label: bool) {
        if let Some(counter) = self.0.get_mut(Self::index(prediction, label)) {
            *counter = counter.wrapping_add(1);
        }
    }

    #[inline]
    pub(super) fn add(&mut self, other: Self) {
        self.add_times(other, 1);
    }

    #[inline]
    pub(super) fn add_times(&mut self, other: Self, times: u64) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.wrapping_add(theirs.wrapping_mul(times));
        }
    }

    pub(super) const fn true_negative(&self) -> u64 {
        let [count, _, _, _] = self.0;
        count
    }

    pub(super) const fn false_negative(&self) -> u64 {
        let [_, count, _, _] = self.0;
        count
    }

    pub(super) const fn false_positive(&self) -> u64 {
        let [_, _, count, _] = self.0;
        count
    }

    pub(super) const fn true_positive(&self) -> u64 {
        let [_, _, _, count] = self.0;
        count
    }

    pub(super) fn samples(&self) -> u128 {
        self.0.iter().copied().map(u128::from).sum()
    }

    fn selected(&self) -> u128 {
        u128::from(self.true_positive()) + u128::from(self.false_positive())
    }

    /// Share of positive predictions.
    pub(super) fn selection_rate(&self) -> Option<f64> {
        ratio(self.selected(), self.samples())
    }

    /// Share of positive predictions among positive labels.
    pub(super) fn true_positive_rate(&self) -> Option<f64> {
        let positives = u128::from(self.true_positive()) + u128::from(self.false_negative());
        ratio(u128::from(self.true_positive()), positives)
    }

    /// Share of positive predictions among negative labels.
    pub(super) fn false_positive_rate(&self) -> Option<f64> {
        let negatives = u128::from(self.false_positive()) + u128::from(self.true_negative());
        ratio(u128::from(self.false_positive()), negatives)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts round to the nearest binary64 value by definition"
)]
fn ratio(part: u128, whole: u128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Difference and ratio of a rate between groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parity {
    /// Largest rate minus smallest; null when a group's rate is undefined.
    pub difference: Option<f64>,
    /// Smallest rate divided by largest; null when a group's rate is undefined or the largest is 0.
    pub ratio: Option<f64>,
}

impl Parity {
    /// Parity of the rates of all groups; undefined as soon as one rate is.
    fn of(rates: impl IntoIterator<Item = Option<f64>>) -> Self {
        let Some((lowest, highest)) = range(rates) else {
            return Self::default();
        };
        Self {
            difference: Some(highest - lowest),
            ratio: (highest > 0.0).then(|| lowest / highest),
        }
    }

    /// The worse of two parities, undefined where one of them is.
    fn worse(self, other: Self) -> Self {
        Self {
            difference: self.difference.zip(other.difference).map(|(a, b)| a.max(b)),
            ratio: self.ratio.zip(other.ratio).map(|(a, b)| a.min(b)),
        }
    }
}

/// Smallest and largest of `rates`; none when there are no rates or one is undefined.
fn range(rates: impl IntoIterator<Item = Option<f64>>) -> Option<(f64, f64)> {
    rates
        .into_iter()
        .try_fold(None, |range, rate| {
            let rate = rate?;
            Some(Some(match range {
                None => (rate, rate),
                Some((lowest, highest)) => (f64::min(lowest, rate), f64::max(highest, rate)),
            }))
        })
        .flatten()
}

/// The three parities.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Parities {
    pub(super) demographic: Parity,
    pub(super) odds: Parity,
    pub(super) opportunity: Parity,
}

impl Parities {
    pub(super) fn of(groups: &[Confusion]) -> Self {
        let opportunity = Parity::of(groups.iter().map(Confusion::true_positive_rate));
        let false_alarms = Parity::of(groups.iter().map(Confusion::false_positive_rate));
        Self {
            demographic: Parity::of(groups.iter().map(Confusion::selection_rate)),
            odds: opportunity.worse(false_alarms),
            opportunity,
        }
    }
}

/// Both forms of `rho_bias`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RhoBiasForms {
    /// Largest ratio between a group's selection rate and the overall one, either way round.
    pub to_overall: Option<f64>,
    /// Largest selection rate divided by the smallest.
    pub between_groups: Option<f64>,
}

impl RhoBiasForms {
    /// Both forms in [1, 10]; none when a group is empty or nobody is selected. A group that is never selected while others are is 10.
    pub(super) fn of(groups: &[Confusion]) -> Self {
        let overall = groups
            .iter()
            .fold(Confusion::default(), |mut sum, counts| {
                sum.add(*counts);
                sum
            })
            .selection_rate()
            .filter(|rate| *rate > 0.0);
        let Some((overall, (lowest, highest))) = overall.zip(range(groups.iter().map(Confusion::selection_rate)))
        else {
            return Self::default();
        };
        if lowest <= 0.0 {
            return Self {
                to_overall: Some(RHO_BIAS_WORST),
                between_groups: Some(RHO_BIAS_WORST),
            };
        }
        let to_overall = groups
            .iter()
            .filter_map(Confusion::selection_rate)
            .map(|rate| f64::max(rate / overall, overall / rate))
            .fold(1.0, f64::max);
        Self {
            to_overall: Some(f64::min(RHO_BIAS_WORST, to_overall)),
            between_groups: Some(f64::min(RHO_BIAS_WORST, highest / lowest)),
        }
    }
}
