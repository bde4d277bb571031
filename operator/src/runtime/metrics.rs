//! Metrics. The names of the original PENIN-Ω are kept; labels come from closed sets, and the series of an object go
//! when the object goes.

use std::sync::Arc;

use penin_engine::decision::Decision;
use penin_engine::gates::GateName;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder,
};

/// Content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Verbs of API calls that are counted by name; others count as `other`.
const VERBS: [&str; 13] = [
    "get",
    "list",
    "watch",
    "create",
    "replace",
    "patch",
    "delete",
    "get_metadata",
    "list_metadata",
    "watch_metadata",
    "patch_metadata",
    "patch_status",
    "replace_status",
];
/// Kinds with a controller.
const KINDS: [&str; 3] = ["PeninCycle", "Challenger", "PromotionGate"];
/// Results of a pass.
pub const RESULTS: [&str; 4] = ["ok", "conflict", "error", "not_leader"];

/// Scores of the last judged engine cycle, one gauge each: name, help.
const SCORES: [(&str, &str); 9] = [
    (
        "penin_alpha",
        "Step size alpha of the Master Equation at the last judgement, from 0 to 1.",
    ),
    (
        "penin_delta_linf",
        "L-infinity of the challenger minus that of the champion at the last judgement; -1 when unknown.",
    ),
    (
        "penin_caos",
        "CAOS+ at the last judgement, from 1; 0 when an input was unusable.",
    ),
    ("penin_sr", "Reflexive score SR at the last judgement, from 0 to 1."),
    ("penin_g", "Global coherence G at the last judgement, from 0 to 1."),
    (
        "penin_oci",
        "Organisational closure OCI at the last judgement, from 0 to 1.",
    ),
    (
        "penin_linf",
        "Objective L-infinity of the candidate at the last judgement, from 0 to 1.",
    ),
    (
        "penin_cpu",
        "CPU use of the candidate's busiest pod as a ratio of its limit; 0.99 when unreadable.",
    ),
    (
        "penin_mem",
        "Memory use of the candidate's fullest pod as a ratio of its limit; 0.99 when unreadable.",
    ),
];

/// Scores to publish, in the order of the gauges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// α, ΔL∞, CAOS⁺, SR, G, OCI, L∞, CPU, memory.
    pub values: [f64; 9],
}

/// All metrics of the process. Clones share their values.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    scores: Vec<GaugeVec>,
    decisions: IntCounterVec,
    gate_failures: IntCounterVec,
    cycle_duration: Histogram,
    passes: IntCounterVec,
    pass_duration: HistogramVec,
    api_calls: IntCounterVec,
    leader: IntGauge,
    ledger_entries: IntCounter,
    ledger_failures: IntCounter,
    ledger_queued: IntGauge,
    ledger_publication: IntGauge,
    weight: GaugeVec,
    share: GaugeVec,
    dropped_events: IntCounter,
    evidence_reads: CounterVec,
    ledger_size: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// A registry with every series of the closed sets at zero.
    ///
    /// # Errors
    /// When two metrics have one name, which a test excludes.
    pub fn new() -> Result<Self, prometheus::Error> {
        let made = Made(Registry::new());
        let role = ["namespace", "cycle", "role"];
        let scores = SCORES.map(|(name, help)| made.gauges(name, help, &["namespace", "cycle"]));
        let inner = Inner {
            scores: scores.into_iter().collect::<Result<_, _>>()?,
            decisions: made.counters("penin_decisions_total", "Engine decisions by type.", &["type"])?,
            gate_failures: made.counters(
                "penin_gate_fail_total",
                "Required gates that did not pass, by gate.",
                &["gate"],
            )?,
            cycle_duration: made.seconds(
                "penin_cycle_duration_seconds",
                "Time of one judgement, evidence included.",
            )?,
            passes: made.counters(
                "penin_reconcile_total",
                "Passes by kind and result.",
                &["kind", "result"],
            )?,
            pass_duration: made.seconds_by("penin_reconcile_duration_seconds", "Time of one pass.", &["kind"])?,
            api_calls: made.counters(
                "penin_api_requests_total",
                "Calls of the Kubernetes API by verb and code; code 0 had no answer.",
                &["verb", "code"],
            )?,
            leader: made.gauge("penin_leader", "1 while this process leads.")?,
            ledger_entries: made.counter("penin_ledger_entries_total", "Entries that this process appended.")?,
            ledger_failures: made.counter(
                "penin_ledger_append_failures_total",
                "Appends that failed or timed out.",
            )?,
            ledger_queued: made.gauge(
                "penin_ledger_queued_withdrawals",
                "Withdrawals that wait for a healthy ledger.",
            )?,
            ledger_publication: made.gauge(
                "penin_ledger_publication_failing",
                "1 while the ledger's published copy could not be written the last time.",
            )?,
            ledger_size: made.add(Gauge::new("penin_ledger_size", "Entries in the ledger."))?,
            weight: made.gauges("penin_traffic_weight_percent", "Written live weight by role.", &role)?,
            share: made.gauges(
                "penin_traffic_share_ratio",
                "Measured live share by role, from 0 to 1.",
                &role,
            )?,
            dropped_events: made.counter(
                "penin_events_dropped_total",
                "Kubernetes events dropped because the queue was full.",
            )?,
            evidence_reads: made.add(CounterVec::new(
                Opts::new("penin_evidence_reads_total", "Readings of evidence by result."),
                &["result"],
            ))?,
            registry: made.0,
        };
        let metrics = Self(Arc::new(inner));
        metrics.initialise()?;
        Ok(metrics)
    }

    /// Every series of a closed set exists from the start, so that the first increase is seen as one.
    fn initialise(&self) -> Result<(), prometheus::Error> {
        let inner = &self.0;
        for decision in Decision::ALL {
            inner.decisions.with_label_values(&[decision.as_str()]);
        }
        for gate in GateName::GATES {
            inner.gate_failures.with_label_values(&[gate.as_str()]);
        }
        for kind in KINDS {
            inner.pass_duration.with_label_values(&[kind]);
            for result in RESULTS {
                inner.passes.with_label_values(&[kind, result]);
            }
        }
        for result in ["known", "unknown"] {
            inner.evidence_reads.with_label_values(&[result]);
        }
        let info = Opts::new("penin_operator_build_info", "The build that runs.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let info = Made(inner.registry.clone()).add(IntGauge::with_opts(info))?;
        info.set(1);
        // Under the names that every exporter has: process_resident_memory_bytes, process_open_fds and others.
        #[cfg(target_os = "linux")]
        inner.registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(())
    }

    /// The metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When they cannot be encoded.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Counts one API call. `code` is 0 when there was no answer.
    pub fn api_call(&self, verb: &str, code: u16) {
        let verb = VERBS.iter().find(|known| **known == verb).copied().unwrap_or("other");
        self.0.api_calls.with_label_values(&[verb, class(code)]).inc();
    }

    /// Counts one pass.
    pub fn pass(&self, kind: &str, result: &str, seconds: f64) {
        self.0.passes.with_label_values(&[kind, result]).inc();
        self.0.pass_duration.with_label_values(&[kind]).observe(seconds);
    }

    /// Counts a decision and the gates that did not pass, and publishes the scores.
    pub fn judged<'a>(
        &self,
        namespace: &str,
        cycle: &str,
        decision: Decision,
        failed: impl IntoIterator<Item = &'a str>,
        scores: Scores,
    ) {
        self.0.decisions.with_label_values(&[decision.as_str()]).inc();
        for gate in failed {
            let known = GateName::GATES
                .iter()
                .map(|known| known.as_str())
                .find(|known| *known == gate);
            self.0
                .gate_failures
                .with_label_values(&[known.unwrap_or("other")])
                .inc();
        }
        for (gauge, value) in self.0.scores.iter().zip(scores.values) {
            gauge.with_label_values(&[namespace, cycle]).set(value);
        }
    }

    /// Observes the time of one judgement.
    pub fn judgement_took(&self, seconds: f64) {
        self.0.cycle_duration.observe(seconds);
    }

    /// Publishes the challenger's written weight in percent, and its measured share if known. The rest is the champion's.
    pub fn traffic(&self, namespace: &str, cycle: &str, weight: f64, share: Option<f64>) {
        for (role, weight, share) in [
            ("challenger", weight, share),
            ("champion", 100.0 - weight, share.map(|share| 1.0 - share)),
        ] {
            self.0.weight.with_label_values(&[namespace, cycle, role]).set(weight);
            match share {
                Some(share) => self.0.share.with_label_values(&[namespace, cycle, role]).set(share),
                None => drop(self.0.share.remove_label_values(&[namespace, cycle, role])),
            }
        }
    }

    /// Removes every series of a cycle that is gone.
    pub fn forget(&self, namespace: &str, cycle: &str) {
        for gauge in &self.0.scores {
            // Absent series are no error: the cycle may never have been judged.
            let _ = gauge.remove_label_values(&[namespace, cycle]);
        }
        for role in ["challenger", "champion"] {
            let _ = self.0.weight.remove_label_values(&[namespace, cycle, role]);
            let _ = self.0.share.remove_label_values(&[namespace, cycle, role]);
        }
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
    }

    /// An entry was appended; the ledger now has `size`.
    #[allow(clippy::cast_precision_loss)] // a gauge is an f64; a ledger does not reach 2^53 entries
    pub fn appended(&self, size: u64) {
        self.0.ledger_entries.inc();
        self.0.ledger_size.set(size as f64);
    }

    /// An append failed.
    pub fn append_failed(&self) {
        self.0.ledger_failures.inc();
    }

    /// How many withdrawals wait for the ledger.
    pub fn queued_withdrawals(&self, count: usize) {
        self.0.ledger_queued.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether the ledger's published copy could not be written the last time.
    pub fn publication_fails(&self, fails: bool) {
        self.0.ledger_publication.set(i64::from(fails));
    }

    /// Evidence was read.
    pub fn evidence_read(&self, known: bool) {
        self.0
            .evidence_reads
            .with_label_values(&[if known { "known" } else { "unknown" }])
            .inc();
    }

    /// An event was dropped.
    pub fn event_dropped(&self) {
        self.0.dropped_events.inc();
    }
}

/// Bounds of the histograms of seconds.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Makes metrics and registers them.
struct Made(Registry);

impl Made {
    fn add<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: Result<C, prometheus::Error>,
    ) -> Result<C, prometheus::Error> {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.add(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn seconds(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.add(Histogram::with_opts(options))
    }

    fn seconds_by(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.add(HistogramVec::new(options, labels))
    }
}

/// Codes by class, with the few that matter by themselves: the set of label values stays small.
fn class(code: u16) -> &'static str {
    match code {
        0 => "0",
        404 => "404",
        409 => "409",
        422 => "422",
        429 => "429",
        100..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.text().unwrap()).unwrap()
    }

    #[test]
    fn closed_sets_start_at_zero_and_objects_leave_nothing_behind() {
        let metrics = Metrics::new().unwrap();
        let before = text(&metrics);
        assert!(before.contains("penin_decisions_total{type=\"Promote\"} 0"));
        assert!(before.contains("penin_gate_fail_total{gate=\"rho_bias\"} 0"));
        metrics.judged("shop", "adult", Decision::Hold, ["ece"], Scores { values: [0.5; 9] });
        metrics.traffic("shop", "adult", 5.0, Some(0.049));
        assert!(
            text(&metrics)
                .contains("penin_traffic_weight_percent{cycle=\"adult\",namespace=\"shop\",role=\"champion\"} 95")
        );
        metrics.forget("shop", "adult");
        assert!(!text(&metrics).contains("adult"));
    }

    #[test]
    fn the_names_that_dashboards_know_are_there() {
        let metrics = Metrics::new().unwrap();
        metrics.judged("shop", "adult", Decision::Hold, [], Scores { values: [0.5; 9] });
        metrics.traffic("shop", "adult", 5.0, Some(0.049));
        metrics.api_call("get", 200);
        let text = text(&metrics);
        for name in [
            "penin_alpha",
            "penin_delta_linf",
            "penin_caos",
            "penin_sr",
            "penin_g",
            "penin_oci",
            "penin_linf",
            "penin_cpu",
            "penin_mem",
            "penin_decisions_total",
            "penin_gate_fail_total",
            "penin_cycle_duration_seconds_bucket",
            "penin_reconcile_total",
            "penin_reconcile_duration_seconds_bucket",
            "penin_api_requests_total",
            "penin_leader",
            "penin_ledger_entries_total",
            "penin_ledger_publication_failing",
            "penin_traffic_weight_percent",
            "penin_traffic_share_ratio",
            "penin_operator_build_info",
            "process_resident_memory_bytes",
        ] {
            let sample = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            assert!(text.lines().any(|line| sample(&line)), "{name}");
        }
    }

    #[test]
    fn unknown_verbs_codes_and_gates_cannot_widen_the_label_set() {
        let metrics = Metrics::new().unwrap();
        for code in 0..1000 {
            metrics.api_call(&format!("verb-{code}"), code);
        }
        let gates = text(&metrics)
            .lines()
            .filter(|line| line.starts_with("penin_gate_fail_total"))
            .count();
        metrics.judged(
            "shop",
            "adult",
            Decision::Hold,
            ["one", "two"],
            Scores { values: [0.5; 9] },
        );
        let more = text(&metrics)
            .lines()
            .filter(|line| line.starts_with("penin_gate_fail_total"))
            .count();
        assert_eq!(more, gates + 1);
        assert_eq!(
            text(&metrics)
                .lines()
                .filter(|line| line.starts_with("penin_api_requests_total"))
                .count(),
            9
        );
    }
}
