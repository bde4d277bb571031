//! The running mean of ΔL∞ over the evaluations of a stage.

use penin_engine::num::{Num, decimal};
use serde::{Deserialize, Serialize};

use super::{Reading, exact};

/// Sum and number of evaluations since the window was opened. Only evaluations with known evidence enter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeltaSeries {
    /// Number of evaluations.
    #[serde(with = "decimal")]
    pub count: u64,
    /// Sum of their ΔL∞.
    pub sum: f64,
}

impl DeltaSeries {
    /// The series with one more evaluation; an unknown one changes nothing.
    #[must_use]
    pub fn with(self, delta: &Reading<f64>) -> Self {
        match delta {
            Reading::Known(delta) if delta.is_finite() => Self {
                count: self.count.saturating_add(1),
                sum: to_nine_places(self.sum + delta),
            },
            _ => self,
        }
    }

    /// The mean; missing without evaluations.
    #[must_use]
    pub fn mean(self) -> Num {
        if self.count == 0 || !self.sum.is_finite() {
            return Num::MISSING;
        }
        Num::new(self.sum / exact::number(self.count))
    }
}

/// A status keeps nine places. The sum has no more, so that a restarted operator goes on with the same number.
fn to_nine_places(value: f64) -> f64 {
    const PLACES: f64 = 1e9;
    (value * PLACES).round() / PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_has_the_places_that_a_status_keeps() {
        let series = DeltaSeries::default()
            .with(&Reading::Known(0.1))
            .with(&Reading::Known(0.2))
            .with(&Reading::Known(1.0 / 3.0));
        assert_eq!(series.sum.to_string(), "0.633333333");
        assert_eq!(series.with(&Reading::Known(f64::MAX)).mean(), Num::MISSING);
    }

    #[test]
    fn unknown_evaluations_do_not_count() {
        let series = DeltaSeries::default();
        assert_eq!(series.mean(), Num::MISSING);
        let series = series
            .with(&Reading::Known(0.25))
            .with(&Reading::no_source("x"))
            .with(&Reading::Known(f64::NAN));
        let series = series.with(&Reading::Known(0.75));
        assert_eq!((series.count, series.mean()), (2, Num::new(0.5)));
    }
}
