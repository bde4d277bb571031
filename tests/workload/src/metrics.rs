//! The Prometheus exposition of the server; `docs/workload-metrics.md` is its contract.
//!
//! Every series exists from the first scrape on, with 0: a counter that appeared later would lose what
//! was counted before.

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::process::{Limits, Usage};
use crate::tally::{CalibrationBin, Counters, Outcomes};

/// Everything that one scrape shows.
#[derive(Clone, Debug)]
pub struct Scrape<'a> {
    /// Counters, copied under the lock.
    pub counters: &'a Counters,
    /// Predictions that wait for their label, copied under the same lock.
    pub waiting: usize,
    /// Answers of the prediction path by status code, the last entry for all others.
    pub answers: &'a [(&'static str, u64)],
    /// Names of the groups, in the order of the counters.
    pub groups: &'a [String],
    /// Name of the model.
    pub model: &'a str,
    /// Digest of the weights file.
    pub digest: &'a str,
    /// Use of resources.
    pub usage: Usage,
    /// Limits of the container.
    pub limits: Limits,
}

/// Content type of [`render`]'s answer.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The exposition in Prometheus' text format 0.0.4.
///
/// # Errors
/// When the encoder refuses a family, which has no cause other than a fault in this module.
pub fn render(scrape: &Scrape<'_>) -> Result<String, prometheus::Error> {
    let mut families = workload(scrape.counters, scrape.groups);
    families.push(gauge(
        "penin_model_predictions_waiting",
        "Predictions in the join table whose label has not come yet.",
        [(vec![], to_f64(scrape.waiting as u64))],
    ));
    families.push(counter(
        "penin_model_answers_total",
        "Answers of the prediction path by HTTP status code.",
        scrape
            .answers
            .iter()
            .map(|(code, count)| (vec![("code", (*code).to_owned())], *count)),
    ));
    families.push(gauge(
        "penin_model_info",
        "The served model: name and SHA-256 digest of its weights file.",
        [(
            vec![("model", scrape.model.to_owned()), ("digest", scrape.digest.to_owned())],
            1.0,
        )],
    ));
    families.extend(process(&scrape.usage, &scrape.limits));
    TextEncoder::new().encode_to_string(&families)
}

fn workload(counters: &Counters, groups: &[String]) -> Vec<MetricFamily> {
    let mut families = Vec::from(predictions(counters));
    families.extend(labels(counters));
    families.extend(quality(counters, groups));
    families
}

fn predictions(counters: &Counters) -> [MetricFamily; 3] {
    [
        single(
            "penin_model_predictions_total",
            "Predictions answered.",
            counters.predictions,
        ),
        counter(
            "penin_model_score_predictions_total",
            "Predictions answered, by probability bin (k/15, (k+1)/15].",
            by_bin(counters.scores),
        ),
        counter(
            "penin_model_selections_total",
            "Predictions answered with a positive decision, by probability bin.",
            by_bin(counters.selections),
        ),
    ]
}

fn quality(counters: &Counters, groups: &[String]) -> [MetricFamily; 5] {
    let calibration = |read: fn(&CalibrationBin) -> u64| by_bin(counters.calibration.map(|bin| read(&bin)));
    [
        counter(
            "penin_model_calibration_samples_total",
            "Labelled predictions, by probability bin.",
            calibration(|bin| bin.samples),
        ),
        counter(
            "penin_model_calibration_positives_total",
            "Labelled predictions whose label is 1, by probability bin.",
            calibration(|bin| bin.positives),
        ),
        counter(
            "penin_model_calibration_probability_q20_total",
            "Sum of round(probability * 2^20) over labelled predictions, by probability bin.",
            calibration(|bin| bin.probability_q20),
        ),
        single(
            "penin_model_squared_error_q20_total",
            "Sum of round((probability - label)^2 * 2^20) over labelled predictions.",
            counters.squared_error_q20,
        ),
        counter(
            "penin_model_group_outcomes_total",
            "Labelled predictions by group and outcome (tp, fp, tn, fn).",
            groups
                .iter()
                .zip(&counters.groups)
                .flat_map(|(group, outcomes)| by_outcome(group, outcomes)),
        ),
    ]
}

fn labels(counters: &Counters) -> [MetricFamily; 6] {
    [
        single(
            "penin_model_labelled_total",
            "Predictions joined with their label.",
            counters.labelled,
        ),
        single(
            "penin_model_labels_lost_total",
            "Predictions given up without a label because the join table was full.",
            counters.lost,
        ),
        single(
            "penin_model_labels_unknown_total",
            "Labels whose prediction this pod does not hold.",
            counters.unknown_labels,
        ),
        single(
            "penin_model_labels_duplicate_total",
            "Labels whose prediction had one already.",
            counters.duplicate_labels,
        ),
        single(
            "penin_model_predictions_duplicate_total",
            "Predictions with the id of an earlier one; the first alone is joined with a label.",
            counters.duplicate_predictions,
        ),
        single(
            "penin_model_predictions_without_id_total",
            "Predictions without an id, which no label can reach.",
            counters.without_id,
        ),
    ]
}

/// Names are those of Prometheus' client libraries; limits have names of their own.
fn process(usage: &Usage, limits: &Limits) -> Vec<MetricFamily> {
    let mut families = vec![family(
        "process_cpu_seconds_total",
        "Processor time of the process in seconds.",
        MetricType::COUNTER,
        [(vec![], usage.cpu.as_secs_f64())],
    )];
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory in bytes.",
            usage.resident_bytes.map(to_f64),
        ),
        (
            "penin_process_memory_limit_bytes",
            "Memory limit of the container.",
            limits.memory_bytes.map(to_f64),
        ),
        (
            "penin_process_cpu_limit_cores",
            "Processor limit of the container in cores.",
            limits.cpu_cores,
        ),
    ];
    for (name, help, value) in gauges {
        families.extend(value.map(|value| gauge(name, help, [(vec![], value)])));
    }
    families
}

/// Label pairs of one series.
type Labels = Vec<(&'static str, String)>;

fn by_bin<const N: usize>(values: [u64; N]) -> impl Iterator<Item = (Labels, u64)> {
    values
        .into_iter()
        .enumerate()
        .map(|(bin, value)| (vec![("bin", bin.to_string())], value))
}

fn by_outcome(group: &str, outcomes: &Outcomes) -> [(Labels, u64); 4] {
    [
        ("tp", outcomes.tp),
        ("fp", outcomes.fp),
        ("tn", outcomes.tn),
        ("fn", outcomes.fn_),
    ]
    .map(|(outcome, count)| {
        (
            vec![("group", group.to_owned()), ("outcome", outcome.to_owned())],
            count,
        )
    })
}

fn single(name: &str, help: &str, value: u64) -> MetricFamily {
    counter(name, help, [(vec![], value)])
}

fn counter(name: &str, help: &str, series: impl IntoIterator<Item = (Labels, u64)>) -> MetricFamily {
    let series = series.into_iter().map(|(labels, value)| (labels, to_f64(value)));
    family(name, help, MetricType::COUNTER, series)
}

fn gauge(name: &str, help: &str, series: impl IntoIterator<Item = (Labels, f64)>) -> MetricFamily {
    family(name, help, MetricType::GAUGE, series)
}

fn family(name: &str, help: &str, kind: MetricType, series: impl IntoIterator<Item = (Labels, f64)>) -> MetricFamily {
    let metrics = series.into_iter().map(|(labels, value)| {
        let pairs = labels.into_iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value);
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        if kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    });
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics.collect());
    family
}

/// Prometheus keeps floats; a counter is exact up to 2⁵³, that is 8·10⁹ predictions of probability 1.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53, which the documentation states"
)]
fn to_f64(value: u64) -> f64 {
    value as f64
}
