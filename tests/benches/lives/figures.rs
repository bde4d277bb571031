//! Values by name, and their medians and 95th percentiles.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Of what a figure is a number.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    Seconds,
    Count,
    Mebibytes,
}

/// What was measured, by name.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<&'static str, (Option<Unit>, Vec<f64>)>);

impl Figures {
    /// Adds a value.
    pub fn add(&mut self, what: &'static str, unit: Unit, value: u64) {
        self.push(what, unit, value as f64);
    }

    /// Adds a time.
    pub fn time(&mut self, what: &'static str, time: Duration) {
        self.push(what, Unit::Seconds, time.as_secs_f64());
    }

    fn push(&mut self, what: &'static str, unit: Unit, value: f64) {
        let (known, values) = self.0.entry(what).or_default();
        *known = Some(unit);
        values.push(value);
    }

    /// Adds all values of another run.
    pub fn merge(&mut self, other: Self) {
        for (what, (unit, values)) in other.0 {
            let (known, all) = self.0.entry(what).or_default();
            *known = unit;
            all.extend(values);
        }
    }
}

/// The value that a part `q` of all are not above (nearest rank).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | median | p95 | largest | values |\n|---|---|---|---|---|")?;
        for (what, (unit, values)) in &self.0 {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let show = |value: f64| match unit {
                Some(Unit::Seconds) => format!("{value:.2} s"),
                Some(Unit::Mebibytes) => format!("{:.1} MiB", value / 1_048_576.0),
                _ => format!("{value}"),
            };
            let [median, high, largest] = [0.5, 0.95, 1.0].map(|q| show(quantile(&sorted, q)));
            writeln!(f, "| {what} | {median} | {high} | {largest} | {} |", sorted.len())?;
        }
        Ok(())
    }
}
