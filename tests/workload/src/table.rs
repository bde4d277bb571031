//! The bounded table that joins late labels with their predictions.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

/// What has to be kept of a prediction until its label arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pending {
    /// Probability of label 1.
    pub probability: f64,
    /// Whether the model selected the person.
    pub selected: bool,
    /// Index of the group.
    pub group: usize,
}

/// What became of a prediction handed to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It waits for its label.
    Waiting,
    /// It waits for its label, and the oldest entry, which never got one, was given up for it.
    Evicted,
    /// The id is in the table already; the first prediction stays.
    Duplicate,
}

/// What became of a label handed to the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Joined {
    /// The prediction it belongs to.
    Prediction(Pending),
    /// Its prediction had a label already.
    Duplicate,
    /// No prediction of this id is in the table.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    pending: Pending,
    labelled: bool,
}

/// Predictions by id, the newest `capacity` of them. Entries stay after their label came, so that a
/// second label is told apart from one for an unknown id; only age makes them leave.
#[derive(Debug)]
pub struct JoinTable {
    entries: HashMap<Arc<str>, Entry>,
    order: VecDeque<Arc<str>>,
    capacity: NonZeroUsize,
    waiting: usize,
}

impl JoinTable {
    /// An empty table for this many predictions.
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            capacity,
            waiting: 0,
        }
    }

    /// Takes in a prediction, at the cost of the oldest one when the table is full.
    pub fn insert(&mut self, id: &str, pending: Pending) -> Inserted {
        if self.entries.contains_key(id) {
            return Inserted::Duplicate;
        }
        let mut inserted = Inserted::Waiting;
        if self.order.len() >= self.capacity.get()
            && let Some(oldest) = self.order.pop_front()
            && let Some(entry) = self.entries.remove(&oldest)
            && !entry.labelled
        {
            self.waiting -= 1;
            inserted = Inserted::Evicted;
        }
        let id: Arc<str> = id.into();
        self.order.push_back(Arc::clone(&id));
        self.entries.insert(
            id,
            Entry {
                pending,
                labelled: false,
            },
        );
        self.waiting += 1;
        inserted
    }

    /// Joins a label with its prediction.
    pub fn label(&mut self, id: &str) -> Joined {
        match self.entries.get_mut(id) {
            None => Joined::Unknown,
            Some(entry) if entry.labelled => Joined::Duplicate,
            Some(entry) => {
                entry.labelled = true;
                self.waiting -= 1;
                Joined::Prediction(entry.pending)
            }
        }
    }

    /// Predictions that still wait for their label.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pending(group: usize) -> Pending {
        Pending {
            probability: 0.25,
            selected: false,
            group,
        }
    }

    fn table(capacity: usize) -> JoinTable {
        JoinTable::new(NonZeroUsize::new(capacity).unwrap())
    }

    #[test]
    fn a_label_finds_its_prediction_once() {
        let mut table = table(2);
        assert_eq!(table.insert("a", pending(1)), Inserted::Waiting);
        assert_eq!(table.insert("a", pending(2)), Inserted::Duplicate);
        assert_eq!(table.label("b"), Joined::Unknown);
        assert_eq!(table.label("a"), Joined::Prediction(pending(1)));
        assert_eq!(table.label("a"), Joined::Duplicate);
        assert_eq!(table.insert("a", pending(3)), Inserted::Duplicate);
        assert_eq!(table.waiting(), 0);
    }

    #[test]
    fn a_full_table_gives_up_the_oldest_and_says_whether_a_label_was_lost() {
        let mut table = table(2);
        table.insert("a", pending(0));
        table.insert("b", pending(0));
        table.label("a");
        assert_eq!(table.insert("c", pending(0)), Inserted::Waiting, "a had its label");
        assert_eq!(table.insert("d", pending(0)), Inserted::Evicted, "b had none");
        assert_eq!(table.label("a"), Joined::Unknown);
        assert_eq!(table.label("b"), Joined::Unknown);
        assert_eq!(table.waiting(), 2);
    }

    proptest! {
        /// Whatever happens, the table holds its bound and every prediction is labelled, lost or waiting.
        #[test]
        fn nothing_is_counted_twice_or_forgotten(
            capacity in 1_usize..8,
            steps in prop::collection::vec((any::<bool>(), 0_u8..12), 0..200),
        ) {
            let mut table = table(capacity);
            let (mut taken, mut lost, mut labelled) = (0, 0, 0);
            for (is_label, id) in steps {
                let id = id.to_string();
                if is_label {
                    labelled += usize::from(matches!(table.label(&id), Joined::Prediction(_)));
                } else {
                    match table.insert(&id, pending(0)) {
                        Inserted::Duplicate => {}
                        Inserted::Waiting => taken += 1,
                        Inserted::Evicted => { taken += 1; lost += 1; }
                    }
                }
                prop_assert!(table.entries.len() <= capacity);
                prop_assert_eq!(table.entries.len(), table.order.len());
                prop_assert_eq!(taken, labelled + lost + table.waiting());
            }
        }
    }
}
