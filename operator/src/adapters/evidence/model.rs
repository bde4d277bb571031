//! Predictions, labels and groups of a revision, from the counters that its pods export.
//!
//! The counters are documented for the authors of workloads in `docs/workload-metrics.md`. Each is exact, and all series of
//! a pod exist from its first scrape; they are told apart by the pod's labels, which the scrape adds.
//!
//! The candidate is measured over its whole life, mirrored requests included, and its reference over the same time.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::NAME;
use super::promql::{Matcher, MetricName};
use super::read::{CounterQuery, Source};
use super::window::{Beginning, Deltas, Vanished};
use crate::scoring::{Bin, Group, ModelCounts, SourceRecord, Unknown, UnknownReason, Window, exact};

const PREDICTIONS: &str = "penin_model_predictions_total";
const LABELLED: &str = "penin_model_labelled_total";
const SCORES: &str = "penin_model_score_predictions_total";
const SELECTIONS: &str = "penin_model_selections_total";
const SAMPLES: &str = "penin_model_calibration_samples_total";
const POSITIVES: &str = "penin_model_calibration_positives_total";
const PROBABILITY: &str = "penin_model_calibration_probability_q20_total";
const SQUARED_ERROR: &str = "penin_model_squared_error_q20_total";
const GROUPS: &str = "penin_model_group_outcomes_total";

/// Label of a probability bin: its index from 0.
const BIN: &str = "bin";
/// Label of a group.
const GROUP: &str = "group";
/// Label of an outcome.
const OUTCOME: &str = "outcome";

/// Label that carries the revision: the pod label `penin.ai/revision` as Prometheus spells it.
pub const REVISION_LABEL: &str = "penin_ai_revision";

/// Most bins and most groups that are read.
const LARGEST_SET: usize = 1_000;

/// A revision in its role.
#[derive(Clone, Copy, Debug)]
pub struct Revision<'a> {
    /// Namespace of its pods.
    pub namespace: &'a str,
    /// Its name, as in the pod label `penin.ai/revision`.
    pub name: &'a str,
    /// Its role in records: `candidate` or `reference`.
    pub purpose: &'a str,
    /// What an ended series means.
    pub vanished: Vanished,
    /// What a missing first sample means.
    pub beginning: Beginning,
}

impl Revision<'_> {
    /// Conditions that the series of its pods meet.
    ///
    /// # Errors
    /// [`UnknownReason::InvalidQuery`] when a name is too long.
    pub fn matchers(&self) -> Result<Vec<Matcher>, Unknown> {
        Ok(vec![
            Matcher::equal("namespace", self.namespace)?,
            Matcher::equal(REVISION_LABEL, self.name)?,
        ])
    }
}

/// Counts the predictions and labels of a revision over a window.
///
/// # Errors
/// [`Unknown`] when a counter is missing or unusable, or the counters contradict each other.
pub async fn predictions(
    source: &Source,
    revision: &Revision<'_>,
    window: Window,
) -> Result<(ModelCounts, SourceRecord), Unknown> {
    let names = [
        PREDICTIONS,
        LABELLED,
        SCORES,
        SELECTIONS,
        SAMPLES,
        POSITIVES,
        PROBABILITY,
        SQUARED_ERROR,
        GROUPS,
    ];
    let query = CounterQuery {
        counters: names
            .iter()
            .map(|name| MetricName::new(name))
            .collect::<Result<_, _>>()?,
        histograms: Vec::new(),
        matchers: revision.matchers()?,
        vanished: revision.vanished,
        beginning: revision.beginning,
    };
    let purpose = format!("model/{}", revision.purpose);
    let counted = source
        .count(&purpose, &query, window)
        .await
        .map_err(|unknown| unknown.of(revision.name))?;
    let counts = counts(&counted.deltas).map_err(|unknown| unknown.of(revision.name))?;
    Ok((counts, counted.record))
}

/// Adds the counters of all pods up.
///
/// # Errors
/// [`UnknownReason::Missing`] without predictions and labels, or with a part of a set of counters;
/// [`UnknownReason::Inconsistent`] when the counters contradict each other.
pub fn counts(deltas: &Deltas) -> Result<ModelCounts, Unknown> {
    let counts = ModelCounts {
        predictions: deltas.required(PREDICTIONS)?,
        labelled: deltas.required(LABELLED)?,
        bins: bins(deltas)?,
        squared_error_q20: deltas.total(SQUARED_ERROR, &[])?,
        groups: groups(deltas)?,
    };
    agree(&counts)?;
    Ok(counts)
}

fn bins(deltas: &Deltas) -> Result<Vec<Bin>, Unknown> {
    let indices = values(deltas, SAMPLES, BIN)?;
    let mut bins = Vec::with_capacity(indices.len());
    for index in 0..indices.len() {
        let index = index.to_string();
        if !indices.contains(index.as_str()) {
            let detail = format!("{SAMPLES} has {} bins, but none with the index {index}", indices.len());
            return Err(Unknown::new(UnknownReason::Missing, detail));
        }
        let one = |metric: &str| {
            deltas.total(metric, &[(BIN, &index)])?.ok_or_else(|| {
                Unknown::new(
                    UnknownReason::Missing,
                    format_args!("{metric} has no series of bin {index}"),
                )
            })
        };
        bins.push(Bin {
            predictions: one(SCORES)?,
            selections: one(SELECTIONS)?,
            samples: one(SAMPLES)?,
            positives: one(POSITIVES)?,
            probability_q20: one(PROBABILITY)?,
        });
    }
    Ok(bins)
}

fn groups(deltas: &Deltas) -> Result<BTreeMap<String, Group>, Unknown> {
    let mut groups = BTreeMap::new();
    for name in values(deltas, GROUPS, GROUP)? {
        if let Some(word) = penin_ledger::redact::secret_word(name) {
            // Its counts are texts below its name, as all 64-bit integers are: such evidence could not be kept.
            let detail = format!(
                "{GROUPS}: group {name:?} reads like the name of a secret ({word:?}), below which the ledger takes no text; \
                 call it otherwise"
            );
            return Err(Unknown::new(UnknownReason::Malformed, detail));
        }
        let one = |outcome: &str| {
            deltas
                .total(GROUPS, &[(GROUP, name), (OUTCOME, outcome)])?
                .ok_or_else(|| {
                    Unknown::new(
                        UnknownReason::Missing,
                        format_args!("{GROUPS} has no outcome {outcome} of group {name:?}"),
                    )
                })
        };
        groups.insert(
            name.to_owned(),
            Group {
                tp: one("tp")?,
                fp: one("fp")?,
                tn: one("tn")?,
                fn_: one("fn")?,
            },
        );
    }
    Ok(groups)
}

/// Values that a label of a metric has.
fn values<'a>(deltas: &'a Deltas, metric: &str, label: &str) -> Result<BTreeSet<&'a str>, Unknown> {
    let series = deltas
        .counters
        .iter()
        .filter(|delta| delta.labels.get(NAME).is_some_and(|name| name == metric));
    let mut found = BTreeSet::new();
    for delta in series {
        let value = delta.labels.get(label).ok_or_else(|| {
            Unknown::new(
                UnknownReason::Missing,
                format_args!("a series of {metric} has no label {label}"),
            )
        })?;
        found.insert(value.as_str());
    }
    if found.len() > LARGEST_SET {
        let detail = format!(
            "{metric} has {} values of {label}, at most {LARGEST_SET} are read",
            found.len()
        );
        return Err(Unknown::new(UnknownReason::TooManySeries, detail));
    }
    Ok(found)
}

/// Counters of one event that are written under one lock must agree; where they do not, they are not of this contract.
fn agree(counts: &ModelCounts) -> Result<(), Unknown> {
    let bins = |read: fn(&Bin) -> u64| exact::sum(counts.bins.iter().map(read));
    let mut checks = Vec::new();
    if !counts.bins.is_empty() {
        checks.push((SCORES, bins(|bin| bin.predictions)?, counts.predictions));
        checks.push((SAMPLES, bins(|bin| bin.samples)?, counts.labelled));
    }
    if !counts.groups.is_empty() {
        let outcomes = counts
            .groups
            .values()
            .flat_map(|group| [group.tp, group.fp, group.tn, group.fn_]);
        checks.push((GROUPS, exact::sum(outcomes)?, counts.labelled));
    }
    if let Some((metric, sum, total)) = checks.into_iter().find(|(_, sum, total)| sum != total) {
        let detail = format!("the series of {metric} add up to {sum}, their total is {total}");
        return Err(Unknown::new(UnknownReason::Inconsistent, detail));
    }
    let possible = |bin: &Bin| {
        bin.selections <= bin.predictions
            && bin.positives <= bin.samples
            && u128::from(bin.probability_q20) <= u128::from(bin.samples) << 20
    };
    let squared = counts
        .squared_error_q20
        .is_none_or(|sum| u128::from(sum) <= u128::from(counts.labelled) << 20);
    if counts.bins.iter().all(possible) && squared {
        Ok(())
    } else {
        Err(Unknown::new(
            UnknownReason::Inconsistent,
            "a bin counts a part that is more than the whole",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::SeriesDelta;
    use super::*;
    use crate::scoring::RawSample;

    #[test]
    fn a_group_whose_counts_could_not_be_recorded_is_named() {
        let with_group = |group: &str| {
            let series = ["tp", "fp", "tn", "fn"].map(|outcome| SeriesDelta {
                labels: [(NAME, GROUPS), (GROUP, group), (OUTCOME, outcome)]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                start: None,
                end: RawSample {
                    at_ms: 1,
                    value: "7".to_owned(),
                },
                increase: 7,
            });
            groups(&Deltas {
                counters: series.into(),
                ..Deltas::default()
            })
        };
        assert_eq!(with_group("tokenless").map(|groups| groups.len()), Ok(1));
        let refused = with_group("token-holders").unwrap_err();
        assert_eq!(refused.reason, UnknownReason::Malformed);
        assert!(
            refused.detail.contains("\"token-holders\"") && refused.detail.ends_with("otherwise"),
            "{refused}"
        );
    }
}
