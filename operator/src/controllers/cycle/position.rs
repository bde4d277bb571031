//! Timers of what is under way, as decisions use them; their place is the status, see
//! [`Timers`].

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use penin_api::v1alpha1::{Evaluations, Noted, SeenRoute, Timers};
use penin_api::values::{DecimalString, UnsignedString};

use crate::scoring::DeltaSeries;

/// Timers and running sums of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    /// The state of the route that was seen to be accepted.
    pub seen: Option<Seen>,
    /// When the window of evidence was opened.
    pub window_start: Option<Timestamp>,
    /// ΔL∞ over the evaluations since the window was opened.
    pub evaluations: DeltaSeries,
    /// The last record of unproved evidence.
    pub noted: Option<Note>,
    /// The last pass in which a Service reached the pods past the route: evidence counts from here.
    pub disturbed_until: Option<Timestamp>,
}

/// A route state that was seen to be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The split in words.
    pub split: String,
    /// `metadata.generation` of the route.
    pub generation: i64,
    /// When it was first seen.
    pub at: Timestamp,
}

/// What was last recorded about evidence that does not prove anything yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// The causes, in trace order.
    pub causes: Vec<String>,
}

impl Position {
    /// When `split` was first seen accepted at `generation`, if this position remembers it.
    #[must_use]
    pub fn seen_since(&self, split: &str, generation: i64) -> Option<Timestamp> {
        self.seen
            .as_ref()
            .filter(|seen| seen.split == split && seen.generation == generation)
            .map(|seen| seen.at)
    }

    /// Remembers the first sight of a route state. A later sight of the same state changes nothing.
    #[must_use]
    pub fn with_seen(mut self, split: &str, generation: i64, now: Timestamp) -> Self {
        if self.seen_since(split, generation).is_none() {
            self.seen = Some(Seen {
                split: split.to_owned(),
                generation,
                at: now,
            });
        }
        self
    }

    /// The same timers with a window of evidence that opens at `start`: what was evaluated before is no part of it.
    #[must_use]
    pub fn with_window(self, start: Timestamp) -> Self {
        Self {
            window_start: Some(start),
            evaluations: DeltaSeries::default(),
            ..self
        }
    }

    /// Timers of a fresh stage: only what the route shows is kept, and what spoils evidence of the whole life.
    #[must_use]
    pub fn fresh_stage(&self) -> Self {
        Self {
            seen: self.seen.clone(),
            disturbed_until: self.disturbed_until,
            ..Self::default()
        }
    }

    /// Reads timers from a status. A sum that cannot be read starts again, with its count.
    #[must_use]
    pub fn from_api(timers: &Timers) -> Self {
        let evaluations = &timers.evaluations;
        let sum = evaluations
            .sum
            .as_ref()
            .and_then(|sum| sum.as_str().parse::<f64>().ok());
        Self {
            seen: timers.seen.as_ref().map(|seen| Seen {
                split: seen.split.clone(),
                generation: seen.generation,
                at: seen.at.0,
            }),
            window_start: timers.window_start.as_ref().map(|time| time.0),
            evaluations: sum
                .map(|sum| DeltaSeries {
                    count: evaluations.count.get(),
                    sum,
                })
                .unwrap_or_default(),
            noted: timers.noted.as_ref().map(|noted| Note {
                at: noted.at.0,
                causes: noted.causes.clone(),
            }),
            disturbed_until: timers.disturbed_until.as_ref().map(|time| time.0),
        }
    }

    /// The timers as they stand in a status.
    #[must_use]
    pub fn to_api(&self) -> Timers {
        Timers {
            seen: self.seen.as_ref().map(|seen| SeenRoute {
                split: seen.split.clone(),
                generation: seen.generation,
                at: MicroTime(seen.at),
            }),
            window_start: self.window_start.map(MicroTime),
            evaluations: Evaluations {
                count: UnsignedString::from(self.evaluations.count),
                sum: DecimalString::from_f64(self.evaluations.sum).filter(|_| self.evaluations.count > 0),
            },
            noted: self.noted.as_ref().map(|noted| Noted {
                at: MicroTime(noted.at),
                causes: noted.causes.clone(),
            }),
            disturbed_until: self.disturbed_until.map(MicroTime),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Reading;

    #[test]
    fn timers_survive_the_way_through_a_status() {
        let mut position = Position::default().with_seen("champion alone", 4, Timestamp::from_second(5).unwrap());
        position.window_start = Timestamp::from_millisecond(1_234_567).ok();
        position.evaluations = DeltaSeries::default()
            .with(&Reading::Known(0.1))
            .with(&Reading::Known(0.2))
            .with(&Reading::Known(-1.0 / 3.0));
        position.noted = Some(Note {
            at: Timestamp::UNIX_EPOCH,
            causes: vec!["ece".to_owned()],
        });
        position.disturbed_until = Timestamp::from_millisecond(987_654).ok();
        assert_eq!(Position::from_api(&position.to_api()), position);
    }

    #[test]
    fn a_second_sight_does_not_restart_the_settle_time_and_a_new_generation_does() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = Position::default().with_seen("x", 1, at(1));
        assert_eq!(first.clone().with_seen("x", 1, at(9)), first);
        assert_eq!(first.clone().with_seen("x", 2, at(9)).seen_since("x", 2), Some(at(9)));
        assert_eq!(first.seen_since("y", 1), None);
    }
}
