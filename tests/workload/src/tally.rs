//! The counters of one server and the one place that changes them.
//!
//! A [`Tally`] stands behind one lock: whoever copies its counters sees a state between two events, never
//! a bin's samples without its positives.

use std::num::NonZeroUsize;

use crate::bins::{BINS, bin_of, to_q20};
use crate::model::Prediction;
use crate::table::{Inserted, JoinTable, Joined, Pending};

/// Labelled predictions of one probability bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CalibrationBin {
    /// Labelled predictions.
    pub samples: u64,
    /// Those whose label is 1.
    pub positives: u64,
    /// Sum of their probabilities in units of 2⁻²⁰.
    pub probability_q20: u64,
}

/// Labelled predictions of one group by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Selected, label 1.
    pub tp: u64,
    /// Selected, label 0.
    pub fp: u64,
    /// Not selected, label 0.
    pub tn: u64,
    /// Not selected, label 1.
    pub fn_: u64,
}

/// Every counter that the server exports, from 0 at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Predictions answered.
    pub predictions: u64,
    /// Predictions answered by probability bin.
    pub scores: [u64; BINS],
    /// Predictions answered with "selected" by probability bin.
    pub selections: [u64; BINS],
    /// Predictions without an id, which no label can reach.
    pub without_id: u64,
    /// Predictions with the id of an earlier one; only the first is joined with a label.
    pub duplicate_predictions: u64,
    /// Predictions joined with their label.
    pub labelled: u64,
    /// Predictions given up without a label because the join table was full.
    pub lost: u64,
    /// Labels whose prediction had one already.
    pub duplicate_labels: u64,
    /// Labels whose prediction is not known here.
    pub unknown_labels: u64,
    /// Labelled predictions by probability bin.
    pub calibration: [CalibrationBin; BINS],
    /// Sum of (probability − label)² over labelled predictions in units of 2⁻²⁰.
    pub squared_error_q20: u64,
    /// Labelled predictions by group and outcome, in the order of the model's groups.
    pub groups: Vec<Outcomes>,
}

/// Counters and join table of one server.
#[derive(Debug)]
pub struct Tally {
    counters: Counters,
    table: JoinTable,
}

impl Tally {
    /// All counters at 0, for this many groups, and an empty table of this capacity.
    #[must_use]
    pub fn new(groups: usize, capacity: NonZeroUsize) -> Self {
        let counters = Counters {
            groups: vec![Outcomes::default(); groups],
            ..Counters::default()
        };
        Self {
            counters,
            table: JoinTable::new(capacity),
        }
    }

    /// Counts an answered prediction and keeps it for its label.
    pub fn predicted(&mut self, id: Option<&str>, prediction: Prediction) {
        let counters = &mut self.counters;
        let bin = bin_of(prediction.probability);
        counters.predictions += 1;
        add(counters.scores.get_mut(bin), 1);
        add(counters.selections.get_mut(bin), u64::from(prediction.selected));
        let Some(id) = id else {
            counters.without_id += 1;
            return;
        };
        let Prediction {
            probability,
            selected,
            group,
        } = prediction;
        match self.table.insert(
            id,
            Pending {
                probability,
                selected,
                group,
            },
        ) {
            Inserted::Waiting => {}
            Inserted::Evicted => counters.lost += 1,
            Inserted::Duplicate => counters.duplicate_predictions += 1,
        }
    }

    /// Counts a label, and judges its prediction when it is the first one for it.
    pub fn labelled(&mut self, id: &str, label: bool) -> Joined {
        let joined = self.table.label(id);
        match joined {
            Joined::Unknown => self.counters.unknown_labels += 1,
            Joined::Duplicate => self.counters.duplicate_labels += 1,
            Joined::Prediction(pending) => self.counters.judge(pending, label),
        }
        joined
    }

    /// A copy of all counters between two events.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Predictions that still wait for their label.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.table.waiting()
    }
}

impl Counters {
    fn judge(&mut self, pending: Pending, label: bool) {
        self.labelled += 1;
        let target = f64::from(u8::from(label));
        self.squared_error_q20 += to_q20((pending.probability - target).powi(2));
        if let Some(bin) = self.calibration.get_mut(bin_of(pending.probability)) {
            bin.samples += 1;
            bin.positives += u64::from(label);
            bin.probability_q20 += to_q20(pending.probability);
        }
        if let Some(group) = self.groups.get_mut(pending.group) {
            *match (pending.selected, label) {
                (true, true) => &mut group.tp,
                (true, false) => &mut group.fp,
                (false, false) => &mut group.tn,
                (false, true) => &mut group.fn_,
            } += 1;
        }
    }
}

/// Adds to a slot; an index always exists, because [`bin_of`] ends below [`BINS`].
fn add(slot: Option<&mut u64>, amount: u64) {
    if let Some(slot) = slot {
        *slot += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(capacity: usize) -> Tally {
        Tally::new(2, NonZeroUsize::new(capacity).unwrap())
    }

    fn prediction(probability: f64, selected: bool, group: usize) -> Prediction {
        Prediction {
            probability,
            selected,
            group,
        }
    }

    #[test]
    fn a_prediction_counts_at_once_and_is_judged_with_its_label() {
        let mut tally = tally(8);
        tally.predicted(Some("a"), prediction(0.75, true, 1));
        let before = tally.counters();
        assert_eq!(
            (before.predictions, before.scores[11], before.selections[11]),
            (1, 1, 1)
        );
        assert_eq!((before.labelled, before.squared_error_q20), (0, 0));
        assert_eq!(tally.waiting(), 1);

        tally.labelled("a", false);
        let after = tally.counters();
        let bin = CalibrationBin {
            samples: 1,
            positives: 0,
            probability_q20: 3 << 18,
        };
        assert_eq!(after.calibration[11], bin);
        assert_eq!(after.squared_error_q20, 9 << 16);
        assert_eq!(
            after.groups,
            [
                Outcomes::default(),
                Outcomes {
                    fp: 1,
                    ..Outcomes::default()
                }
            ]
        );
        assert_eq!((after.labelled, tally.waiting()), (1, 0));
    }

    #[test]
    fn each_outcome_has_its_counter() {
        let mut tally = tally(8);
        for (id, selected, label) in [
            ("a", true, true),
            ("b", true, false),
            ("c", false, false),
            ("d", false, true),
        ] {
            tally.predicted(Some(id), prediction(0.5, selected, 0));
            tally.labelled(id, label);
        }
        assert_eq!(
            tally.counters().groups[0],
            Outcomes {
                tp: 1,
                fp: 1,
                tn: 1,
                fn_: 1
            }
        );
    }

    #[test]
    fn ids_and_labels_that_cannot_be_joined_are_counted_and_change_nothing_else() {
        let mut tally = tally(1);
        tally.predicted(None, prediction(0.5, false, 0));
        tally.predicted(Some("a"), prediction(0.5, false, 0));
        tally.predicted(Some("a"), prediction(0.9, false, 0));
        tally.labelled("a", true);
        tally.labelled("a", true);
        tally.labelled("x", true);
        tally.predicted(Some("b"), prediction(0.5, false, 0));
        tally.predicted(Some("c"), prediction(0.5, false, 0));
        tally.labelled("b", true);
        let counters = tally.counters();
        assert_eq!(counters.predictions, 5);
        assert_eq!(counters.without_id, 1);
        assert_eq!(counters.duplicate_predictions, 1);
        assert_eq!(counters.labelled, 1);
        assert_eq!(counters.duplicate_labels, 1);
        assert_eq!(counters.unknown_labels, 2, "x was never predicted, b was given up");
        assert_eq!(counters.lost, 1);
        assert_eq!(counters.groups[0].fn_, 1);
        // The account that the documentation promises.
        let joinable = counters.predictions - counters.without_id - counters.duplicate_predictions;
        assert_eq!(joinable, counters.labelled + counters.lost + tally.waiting() as u64);
    }
}
