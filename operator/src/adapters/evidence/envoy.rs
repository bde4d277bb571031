//! Traffic of a revision as Envoy Gateway counts it (Envoy Gateway 1.9, Envoy 1.40).
//!
//! With `mergeBackends` each Service has one Envoy cluster, `service/<namespace>/<service>/<port>/http`, and its counters
//! are those of a revision. What each outcome of a request adds to them was measured with an HTTP/1 upstream:
//!
//! | outcome | the client sees | `completed` | class 5 | broken off | gateway resets |
//! |---|---|---|---|---|---|
//! | answered | the answer | 1 | if it is one | | |
//! | closed, reset or timed out before the headers | 502, 503, 504 | 1 | 1 | 1 | |
//! | closed or timed out inside the body | a truncated 200 | 1 | | 1 | 1 |
//! | the client gives up inside the body | | 1 | | 1 | 1 |
//! | the client gives up before the headers | | | | 1 | 1 |
//! | no connection, no healthy endpoint | 503 | 1 | 1 | | |
//! | no cluster: a backend without ready endpoints | 503 | | | | |
//!
//! *Broken off* is `upstream_cx_destroy_with_active_rq` with HTTP/1, and `upstream_rq_{rx,tx}_reset` and
//! `upstream_rq_pending_failure_eject` with HTTP/2. It includes requests that were answered 5xx, so the aborts beside
//! the failures lie between two bounds: at least *broken off* − class 5; at most *broken off*, and for live requests at
//! most the gateway's own resets.
//!
//! The last row is why a gate on these counters alone would pass a backend that serves nobody. Such requests show in
//! `envoy_http_no_cluster` when the rule has other backends, and nowhere when it has none; neither names a backend. What
//! does show is that Envoy Gateway takes away the cluster of a Service without ready endpoints, and counts from 0 when
//! it comes back: a candidate whose counters end or go back inside the window is Unknown, and when requests found no
//! cluster meanwhile, that is given as the reason. An increase while both revisions count without a break belongs to
//! another route of the same gateway. Retries hide failed attempts from the client and from `completed`; they count in
//! `sent`.

use std::fmt::Write as _;

use futures::future::OptionFuture;
use futures::join;
use sha2::{Digest as _, Sha256};

use super::labels::NAME;
use super::promql::{Matcher, MetricName, Operator};
use super::read::{Counted, CounterQuery, Source};
use super::window::{Beginning, Deltas, Vanished};
use crate::scoring::{Latency, Reading, SourceRecord, TrafficCounts, Unknown, UnknownReason, Window, exact};

const COMPLETED: &str = "envoy_cluster_upstream_rq_completed";
const SENT: &str = "envoy_cluster_upstream_rq_total";
const BY_CLASS: &str = "envoy_cluster_upstream_rq_xx";
const LATENCY_MS: &str = "envoy_cluster_upstream_rq_time";
/// Counters of requests that broke off.
const BROKEN_OFF: [&str; 4] = [
    "envoy_cluster_upstream_cx_destroy_with_active_rq",
    "envoy_cluster_upstream_rq_rx_reset",
    "envoy_cluster_upstream_rq_tx_reset",
    "envoy_cluster_upstream_rq_pending_failure_eject",
];
const NO_CLUSTER: &str = "envoy_http_no_cluster";
/// Counters of downstream requests that broke off.
const GATEWAY_RESETS: [&str; 2] = ["envoy_http_downstream_rq_rx_reset", "envoy_http_downstream_rq_tx_reset"];

/// Where a cycle's traffic passes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateways {
    /// Namespace of the Services and of the route.
    pub namespace: String,
    /// Name of the route.
    pub route: String,
    /// Port of the Services.
    pub port: u16,
    /// Namespace and name of each Gateway that the route attaches to.
    pub gateways: Vec<(String, String)>,
}

/// What is asked about the traffic of two revisions.
#[derive(Clone, Copy, Debug)]
pub struct TrafficQuestion<'a> {
    /// Service of the revision that is judged.
    pub candidate: &'a str,
    /// Service of the revision that it is compared with.
    pub reference: Option<&'a str>,
    /// Whether the candidate's requests are copies: no client sees their end, so the gateway's own counters say nothing
    /// about them.
    pub mirrored: bool,
    /// The window.
    pub window: Window,
}

/// Traffic of two revisions.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Of the revision that is judged.
    pub candidate: Reading<TrafficCounts>,
    /// Of the revision that it is compared with.
    pub reference: Option<Reading<TrafficCounts>>,
    /// What was read.
    pub records: Vec<SourceRecord>,
}

/// Reads the traffic of two revisions over one window.
pub async fn traffic(source: &Source, place: &Gateways, question: &TrafficQuestion<'_>) -> Traffic {
    let mut records = Vec::new();
    let gateway = match gateway(source, place, question.window, &mut records).await {
        Ok(gateway) => gateway,
        Err(unknown) => {
            let unknown = unknown.of("gateway");
            let reference = question.reference.map(|_| Reading::Unknown(unknown.clone()));
            return Traffic {
                candidate: Reading::Unknown(unknown),
                reference,
                records,
            };
        }
    };
    let bound = |mirrored: bool| if mirrored { u64::MAX } else { gateway.resets };
    let candidate = Side {
        service: question.candidate,
        mirrored: question.mirrored,
        purpose: "candidate",
        vanished: Vanished::Refuse,
    };
    let reference = question.reference.map(|service| Side {
        service,
        mirrored: false,
        purpose: "reference",
        vanished: Vanished::LastSample,
    });
    let (candidate, reference) = join!(
        revision(source, place, &candidate, question.window),
        OptionFuture::from(
            reference
                .as_ref()
                .map(|side| revision(source, place, side, question.window))
        ),
    );
    // A mirror is no backend of a request: its end has nothing to do with requests that found none.
    let candidate = if question.mirrored {
        candidate
    } else {
        candidate.map_err(|unknown| gateway.explain(unknown))
    };
    let reference = reference.map(|side| side.map_err(|unknown| gateway.explain(unknown)));
    let mut finish = |side: Result<Counts, Unknown>, most: u64| -> Reading<TrafficCounts> {
        side.and_then(|counts| {
            records.extend(counts.records.clone());
            counts.finish(most)
        })
        .into()
    };
    let candidate = finish(candidate, bound(question.mirrored));
    let reference = reference.map(|side| finish(side, bound(false)));
    Traffic {
        candidate,
        reference,
        records,
    }
}

/// What the gateway counted by itself, for all of its routes.
struct Gateway {
    /// Requests that broke off.
    resets: u64,
    /// Requests for a backend that had no cluster.
    lost: u64,
}

impl Gateway {
    /// Counters that end or begin anew while requests find no cluster: the backend was without endpoints.
    fn explain(&self, unknown: Unknown) -> Unknown {
        let broken = matches!(
            unknown.reason,
            UnknownReason::CounterReset | UnknownReason::SeriesVanished | UnknownReason::Stale | UnknownReason::Missing
        );
        if !broken || self.lost == 0 {
            return unknown;
        }
        let detail = format!(
            "{} requests of the gateway were answered 503 because a backend had no ready endpoint, and {}",
            self.lost, unknown.detail
        );
        Unknown::new(UnknownReason::UnattributedFailures, detail)
    }
}

async fn gateway(
    source: &Source,
    place: &Gateways,
    window: Window,
    records: &mut Vec<SourceRecord>,
) -> Result<Gateway, Unknown> {
    let query = CounterQuery {
        counters: names([NO_CLUSTER].iter().chain(&GATEWAY_RESETS))?,
        histograms: Vec::new(),
        matchers: vec![
            Matcher::new("pod", Operator::Matches, &proxy_pods(&place.gateways))?,
            // Envoy Gateway's listeners; the others serve its own health checks and metrics.
            Matcher::new("envoy_http_conn_manager_prefix", Operator::Matches, "https?-[0-9]+")?,
        ],
        vanished: Vanished::Refuse,
        beginning: Beginning::SeenWith,
    };
    let counted = source.count("traffic/gateway", &query, window).await?;
    let lost = counted.deltas.required(NO_CLUSTER)?;
    let resets = sum_required(&counted.deltas, &GATEWAY_RESETS)?;
    records.push(counted.record);
    Ok(Gateway { resets, lost })
}

/// A revision in its role.
struct Side<'a> {
    service: &'a str,
    mirrored: bool,
    purpose: &'a str,
    vanished: Vanished,
}

/// Counts of a revision's cluster.
struct Counts {
    counters: Deltas,
    latency: Reading<Latency>,
    records: Vec<SourceRecord>,
}

async fn revision(source: &Source, place: &Gateways, side: &Side<'_>, window: Window) -> Result<Counts, Unknown> {
    let cluster = if side.mirrored {
        mirror_cluster_name(&place.namespace, &place.route)
    } else {
        cluster_name(&place.namespace, side.service, place.port)
    };
    let query = |counters: Vec<MetricName>, histograms: Vec<MetricName>| -> Result<CounterQuery, Unknown> {
        Ok(CounterQuery {
            counters,
            histograms,
            matchers: vec![Matcher::equal("envoy_cluster_name", &cluster)?],
            vanished: side.vanished,
            // The gateway's own counters were there at the start, or this is not reached. Envoy makes a cluster's counters
            // with its first request, and takes them away with the cluster: an earlier mirror of the route or an earlier
            // try of the same revision may have counted under the same name.
            beginning: Beginning::MadeAnew,
        })
    };
    let counters = query(
        names([COMPLETED, SENT, BY_CLASS].iter().chain(&BROKEN_OFF))?,
        Vec::new(),
    )?;
    let latency = query(Vec::new(), names(&[LATENCY_MS])?)?;
    let (purpose, latency_purpose) = (format!("traffic/{}", side.purpose), format!("latency/{}", side.purpose));
    let (counters, latency) = join!(
        source.count(&purpose, &counters, window),
        source.count(&latency_purpose, &latency, window)
    );
    let Counted { deltas, record } = counters.map_err(|unknown| unknown.of(side.service))?;
    let mut records = vec![record];
    let latency = latency.and_then(|counted| {
        let latency = latencies(&counted.deltas)?;
        records.push(counted.record);
        Ok(latency)
    });
    Ok(Counts {
        counters: deltas,
        latency: latency.map_err(absent_histogram).into(),
        records,
    })
}

impl Counts {
    /// The counts, with at most `most` aborts.
    fn finish(self, most: u64) -> Result<TrafficCounts, Unknown> {
        let failures = self
            .counters
            .total(BY_CLASS, &[("envoy_response_code_class", "5")])?
            .unwrap_or(0);
        let broken_off = sum_required(&self.counters, &BROKEN_OFF)?;
        let aborts_at_most = broken_off.min(most);
        Ok(TrafficCounts {
            // A proxy writes its counters one after the other, and a scrape may come between.
            requests: self.counters.required(COMPLETED)?.max(failures),
            sent: self.counters.required(SENT)?,
            failures,
            aborts_at_least: broken_off.saturating_sub(failures).min(aborts_at_most),
            aborts_at_most,
            latency: self.latency,
        })
    }
}

fn latencies(deltas: &Deltas) -> Result<Latency, Unknown> {
    let series = deltas
        .histograms
        .iter()
        .filter(|delta| delta.labels.get(NAME).is_some_and(|name| name == LATENCY_MS));
    Latency::of(series.flat_map(|delta| delta.buckets.iter().copied()))
}

/// Without native histograms there are only classic ones under other names, whose buckets are too wide for a bound.
fn absent_histogram(unknown: Unknown) -> Unknown {
    if unknown.reason != UnknownReason::Missing {
        return unknown;
    }
    let detail = format!(
        "{LATENCY_MS} is not stored as a native histogram: scrape Envoy with histogram_buckets=prometheusnative, \
         PrometheusProto and scrape_native_histograms"
    );
    Unknown::new(UnknownReason::HistogramAbsent, detail)
}

fn sum_required(deltas: &Deltas, metrics: &[&str]) -> Result<u64, Unknown> {
    exact::sum(
        metrics
            .iter()
            .map(|metric| deltas.required(metric))
            .collect::<Result<Vec<_>, _>>()?,
    )
}

fn names<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> Result<Vec<MetricName>, Unknown> {
    names.into_iter().map(|name| MetricName::new(name)).collect()
}

/// Name of a Service's Envoy cluster with `mergeBackends`.
#[must_use]
pub fn cluster_name(namespace: &str, service: &str, port: u16) -> String {
    format!("service/{namespace}/{service}/{port}/http")
}

/// Name of the Envoy cluster that copies of requests go through. Seen with Envoy Gateway 1.9 and `mergeBackends`: a mirror
/// has a cluster of its own rule, the route's first, and is not merged with the Service's.
#[must_use]
pub fn mirror_cluster_name(namespace: &str, route: &str) -> String {
    format!("httproute/{namespace}/{route}/rule/0-mirror-0")
}

/// A pattern for the names of the Envoy pods of some Gateways.
///
/// Envoy Gateway names them `envoy-<namespace>-<name>-<hash>-…`, cut to a length, with 8 hex digits of the SHA-256 of
/// `<namespace>/<name>`; when it deploys them beside the Gateway, `<name>-…`.
fn proxy_pods(gateways: &[(String, String)]) -> String {
    let pattern = |(namespace, name): &(String, String)| {
        let digest = Sha256::digest(format!("{namespace}/{name}"));
        let mut hash = String::new();
        for byte in digest.iter().take(4) {
            let _ = write!(hash, "{byte:02x}");
        }
        // A Gateway's name has no character but the dot that means something in a pattern.
        format!("envoy-.+-{hash}-.+|{}-.+", name.replace('.', "[.]"))
    };
    gateways.iter().map(pattern).collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_envoy_gateway() {
        assert_eq!(cluster_name("shop", "shop-v1", 80), "service/shop/shop-v1/80/http");
        // Seen: envoy-gateway-edge-c11c2eee-768b66c546-k927v for the Gateway `edge` in the namespace `gateway`.
        let pattern = proxy_pods(&[("gateway".into(), "edge".into()), ("a".into(), "b.c".into())]);
        assert!(
            pattern.starts_with("envoy-.+-c11c2eee-.+|edge-.+|envoy-.+-"),
            "{pattern}"
        );
        assert!(pattern.ends_with("|b[.]c-.+"), "{pattern}");
    }

    #[test]
    fn counters_that_end_while_requests_find_no_cluster_are_explained() {
        let gateway = |lost| Gateway { resets: 0, lost };
        let because = |lost, reason| gateway(lost).explain(Unknown::new(reason, "x")).reason;
        for reason in [
            UnknownReason::CounterReset,
            UnknownReason::SeriesVanished,
            UnknownReason::Stale,
            UnknownReason::Missing,
        ] {
            assert_eq!(because(3, reason), UnknownReason::UnattributedFailures);
            assert_eq!(because(0, reason), reason);
        }
        assert_eq!(because(3, UnknownReason::TimedOut), UnknownReason::TimedOut);
    }
}
