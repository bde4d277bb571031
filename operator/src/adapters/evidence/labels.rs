//! Labels of series: which name the metric, which name the scraper.

use std::collections::BTreeSet;

use super::answer::Labels;
use super::promql::COUNTER_LABEL;
use crate::scoring::{Unknown, UnknownReason};

/// Label of a metric's name.
pub const NAME: &str = "__name__";

/// Labels that usually say who scraped a target, not what was measured.
const SCRAPER: &[&str] = &[
    "job",
    "instance",
    "endpoint",
    "container",
    "service",
    "prometheus",
    "prometheus_replica",
    "replica",
];

/// Refuses series that are told apart by their scraper alone: one pod scraped by two jobs, or by two servers of a pair,
/// counts everything twice. A label in `dimensions` is never taken for the scraper's.
///
/// # Errors
/// [`UnknownReason::Ambiguous`] when there are such series.
pub fn refuse_twins<'a>(series: impl IntoIterator<Item = &'a Labels>, dimensions: &[String]) -> Result<(), Unknown> {
    let mut seen = BTreeSet::new();
    for labels in series {
        let mut identity = labels.clone();
        identity.retain(|name, _| !SCRAPER.contains(&name.as_str()) || dimensions.contains(name));
        if !identity.contains_key("pod") {
            identity.extend(
                labels
                    .get("instance")
                    .map(|instance| ("instance".to_owned(), instance.clone())),
            );
        }
        if !seen.insert(identity) {
            let detail = format!("{} is there twice: several jobs or servers scrape it", describe(labels));
            return Err(Unknown::new(UnknownReason::Ambiguous, detail));
        }
    }
    Ok(())
}

/// Labels of a series in the answer about resets, with the metric's name back in its place.
#[must_use]
pub fn counter_labels(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    if let Some(name) = labels.remove(COUNTER_LABEL) {
        labels.insert(NAME.to_owned(), name);
    }
    labels
}

/// A series in a message: the metric and the pod, if it has one.
#[must_use]
pub fn describe(labels: &Labels) -> String {
    let name = labels.get(NAME).map_or("a series", String::as_str);
    match labels.get("pod").or_else(|| labels.get("instance")) {
        Some(place) => format!("{name} of {place}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn a_target_that_two_jobs_scrape_is_ambiguous() {
        let one = labels(&[
            (NAME, "m"),
            ("pod", "a"),
            ("job", "x"),
            ("instance", "1:1"),
            ("bin", "0"),
        ]);
        let cases: &[(&[(&str, &str)], bool)] = &[
            (
                &[
                    (NAME, "m"),
                    ("pod", "a"),
                    ("job", "y"),
                    ("instance", "1:1"),
                    ("bin", "0"),
                ],
                true,
            ),
            (
                &[
                    (NAME, "m"),
                    ("pod", "a"),
                    ("job", "x"),
                    ("instance", "1:2"),
                    ("bin", "0"),
                ],
                true,
            ),
            (
                &[
                    (NAME, "m"),
                    ("pod", "a"),
                    ("job", "x"),
                    ("instance", "1:1"),
                    ("bin", "1"),
                ],
                false,
            ),
            (
                &[
                    (NAME, "m"),
                    ("pod", "b"),
                    ("job", "y"),
                    ("instance", "2:1"),
                    ("bin", "0"),
                ],
                false,
            ),
            (
                &[
                    (NAME, "n"),
                    ("pod", "a"),
                    ("job", "x"),
                    ("instance", "1:1"),
                    ("bin", "0"),
                ],
                false,
            ),
        ];
        for (other, twins) in cases {
            assert_eq!(refuse_twins([&one, &labels(other)], &[]).is_err(), *twins, "{other:?}");
        }
        let without_pod = |job, instance| labels(&[(NAME, "m"), ("job", job), ("instance", instance)]);
        assert!(refuse_twins([&without_pod("x", "1"), &without_pod("y", "1")], &[]).is_err());
        assert!(refuse_twins([&without_pod("x", "1"), &without_pod("x", "2")], &[]).is_ok());
        let service = |service| labels(&[(NAME, "m"), ("pod", "a"), ("service", service)]);
        assert!(refuse_twins([&service("x"), &service("y")], &[]).is_err());
        assert!(refuse_twins([&service("x"), &service("y")], &["service".to_owned()]).is_ok());
    }
}
