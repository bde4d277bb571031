//! Processor and memory of the worst pod of a revision, as fractions of its limits.
//!
//! Pods report their own use and, where they can read them, the limits of their container
//! (`docs/workload-metrics.md`); otherwise the limits of the pod template count. A pod without a limit has no fraction, so
//! its use is Unknown, and the engine reads an unknown load as a full one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};

use super::answer::{Labels, Sample, Series};
use super::labels::{NAME, refuse_twins};
use super::model::Revision;
use super::promql::{self, MetricName};
use super::read::{Source, note};
use crate::scoring::{GaugeRecord, RawSample, ResourceUse, SourceRecord, Unknown, UnknownReason, Window, exact};
use crate::workload::quantity_value;

const CPU_SECONDS: &str = "process_cpu_seconds_total";
const RESIDENT_BYTES: &str = "process_resident_memory_bytes";
const MEMORY_LIMIT: &str = "penin_process_memory_limit_bytes";
const CPU_LIMIT: &str = "penin_process_cpu_limit_cores";

/// Limits of a pod template.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TemplateLimits {
    /// Processor limit in cores, of all containers together; none when one has none.
    pub cpu_cores: Option<f64>,
    /// Memory limit in bytes, of all containers together; none when one has none.
    pub memory_bytes: Option<f64>,
}

impl TemplateLimits {
    /// The limits of a pod template: sums over its containers, and over those init containers that keep running.
    #[must_use]
    pub fn of(template: &PodTemplateSpec) -> Self {
        let spec = template.spec.as_ref();
        let sidecars = spec
            .and_then(|spec| spec.init_containers.as_ref())
            .into_iter()
            .flatten();
        let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
        let containers: Vec<&Container> = spec
            .map(|spec| &spec.containers)
            .into_iter()
            .flatten()
            .chain(sidecars)
            .collect();
        let sum = |resource: &str| -> Option<f64> {
            let limits = containers
                .iter()
                .map(|container| quantity_value(container.resources.as_ref()?.limits.as_ref()?.get(resource)?).ok());
            limits.sum::<Option<f64>>().filter(|sum| *sum > 0.0)
        };
        Self {
            cpu_cores: sum("cpu"),
            memory_bytes: sum("memory"),
        }
    }
}

/// Reads the use of resources at the end of the window.
///
/// # Errors
/// [`Unknown`] when a pod lacks a value or a limit, or a value is unusable.
pub async fn resources(
    source: &Source,
    revision: &Revision<'_>,
    limits: TemplateLimits,
    window: Window,
) -> Result<(ResourceUse, SourceRecord), Unknown> {
    let mut record = SourceRecord::new(&source.name, &format!("resources/{}", revision.purpose), window);
    let names = [CPU_SECONDS, RESIDENT_BYTES, MEMORY_LIMIT, CPU_LIMIT];
    let names: Vec<MetricName> = names
        .iter()
        .map(|name| MetricName::new(name))
        .collect::<Result<_, _>>()?;
    let expression = format!(
        "{}{}",
        promql::selector(&names, &revision.matchers()?),
        promql::range(source.max_age_ms)
    );
    let series = source
        .server
        .samples(&note(&mut record, expression, window.end_ms), window.end_ms)
        .await?;
    let found = worst(&series, limits, window.end_ms).map_err(|unknown| unknown.of(revision.name))?;
    record.gauges = series.iter().map(gauge).collect();
    Ok((found, record.compacted()))
}

/// The largest fractions over all pods.
///
/// # Errors
/// As [`resources`].
pub fn worst(series: &[Series], limits: TemplateLimits, end_ms: u64) -> Result<ResourceUse, Unknown> {
    refuse_twins(series.iter().map(|series| &series.labels), &[])?;
    let mut pods: BTreeMap<&str, BTreeMap<&str, &[Sample]>> = BTreeMap::new();
    for Series { labels, samples, .. } in series {
        let (Some(pod), Some(name)) = (labels.get("pod"), labels.get(NAME)) else {
            return Err(Unknown::new(
                UnknownReason::Missing,
                "a series of the process metrics has no label pod",
            ));
        };
        if pods.entry(pod).or_default().insert(name, samples).is_some() {
            return Err(Unknown::new(
                UnknownReason::Ambiguous,
                format_args!("pod {pod} reports {name} more than once"),
            ));
        }
    }
    let mut worst = ResourceUse {
        cpu: 0.0,
        mem: 0.0,
        age_seconds: 0.0,
    };
    for (pod, metrics) in &pods {
        let one = pod_use(metrics, limits, end_ms).map_err(|unknown| unknown.of(pod))?;
        worst.cpu = worst.cpu.max(one.cpu);
        worst.mem = worst.mem.max(one.mem);
        worst.age_seconds = worst.age_seconds.max(one.age_seconds);
    }
    if pods.is_empty() {
        return Err(Unknown::new(
            UnknownReason::Missing,
            "no pod reports its use of resources",
        ));
    }
    Ok(worst)
}

fn pod_use(metrics: &BTreeMap<&str, &[Sample]>, limits: TemplateLimits, end_ms: u64) -> Result<ResourceUse, Unknown> {
    let last = |name: &str| metrics.get(name).and_then(|samples| samples.last());
    let limit = |name: &str, template: Option<f64>| {
        let reported = last(name).map(|sample| exact::real(&sample.text)).transpose()?;
        reported
            .or(template)
            .filter(|limit| *limit > 0.0 && limit.is_finite())
            .ok_or_else(|| {
                let detail = format!("no {name}, and the pod template has no limit either");
                Unknown::new(UnknownReason::Missing, detail)
            })
    };
    let missing = |name: &str| Unknown::new(UnknownReason::Missing, format_args!("no {name}"));
    let memory = last(RESIDENT_BYTES).ok_or_else(|| missing(RESIDENT_BYTES))?;
    let samples = metrics.get(CPU_SECONDS).copied().ok_or_else(|| missing(CPU_SECONDS))?;
    let (cores, cpu_at) = cores(samples)?;
    let bytes = exact::real(&memory.text)?;
    if bytes < 0.0 {
        return Err(Unknown::new(UnknownReason::Inconsistent, "resident memory is negative"));
    }
    let oldest = end_ms.saturating_sub(memory.at_ms.min(cpu_at));
    Ok(ResourceUse {
        cpu: cores / limit(CPU_LIMIT, limits.cpu_cores)?,
        mem: bytes / limit(MEMORY_LIMIT, limits.memory_bytes)?,
        age_seconds: exact::number(oldest) / 1_000.0,
    })
}

/// Processor time used each second, between the first and the last sample, and the time of the last.
fn cores(samples: &[Sample]) -> Result<(f64, u64), Unknown> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Err(Unknown::new(
            UnknownReason::Missing,
            format_args!("no sample of {CPU_SECONDS}"),
        ));
    };
    let values: Vec<f64> = samples
        .iter()
        .map(|sample| exact::real(&sample.text))
        .collect::<Result<_, _>>()?;
    if !values.is_sorted() || values.first().is_some_and(|&value| value < 0.0) {
        return Err(Unknown::new(
            UnknownReason::CounterReset,
            format_args!("{CPU_SECONDS} went back"),
        ));
    }
    let elapsed = last.at_ms.saturating_sub(first.at_ms);
    if elapsed == 0 {
        return Err(Unknown::new(
            UnknownReason::NotYetSampled,
            format_args!("{CPU_SECONDS} has one sample"),
        ));
    }
    let used = values
        .last()
        .zip(values.first())
        .map_or(0.0, |(last, first)| last - first);
    Ok((used / (exact::number(elapsed) / 1_000.0), last.at_ms))
}

fn gauge(series: &Series) -> GaugeRecord {
    let mut labels: Labels = series.labels.clone();
    let metric = labels.remove(NAME).unwrap_or_default();
    let ends: BTreeSet<u64> = series
        .samples
        .first()
        .into_iter()
        .chain(series.samples.last())
        .map(|s| s.at_ms)
        .collect();
    let kept = series.samples.iter().filter(|sample| ends.contains(&sample.at_ms));
    let samples = kept
        .map(|sample| RawSample {
            at_ms: sample.at_ms,
            value: sample.text.clone(),
        })
        .collect();
    GaugeRecord {
        metric,
        labels,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TemplateLimits = TemplateLimits {
        cpu_cores: Some(2.0),
        memory_bytes: Some(1_000.0),
    };

    fn series(pod: &str, name: &str, samples: &[(u64, &str)]) -> Series {
        let labels = [("pod", pod), (NAME, name)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let samples = samples
            .iter()
            .map(|&(at_ms, text)| Sample {
                at_ms,
                text: text.to_owned(),
            })
            .collect();
        Series {
            labels: labels.into(),
            samples,
            histograms: vec![],
        }
    }

    fn pod(name: &str) -> Vec<Series> {
        vec![
            series(name, CPU_SECONDS, &[(10_000, "1.5"), (14_000, "3.5")]),
            series(name, RESIDENT_BYTES, &[(10_000, "900"), (14_000, "600")]),
        ]
    }

    #[test]
    fn the_worst_pod_counts() {
        let mut all = pod("a");
        all.extend(pod("b"));
        all.push(series("b", CPU_LIMIT, &[(14_000, "1")]));
        let found = worst(&all, LIMITS, 15_000).unwrap();
        assert_eq!(
            found,
            ResourceUse {
                cpu: 0.5,
                mem: 0.6,
                age_seconds: 1.0
            }
        );
    }

    #[test]
    fn a_pod_without_value_or_limit_makes_all_unknown() {
        use UnknownReason::{Ambiguous, CounterReset, Malformed, Missing, NonFinite, NotYetSampled};
        let with = |extra: Series| pod("a").into_iter().chain([extra]).collect::<Vec<_>>();
        let cases: Vec<(Vec<Series>, TemplateLimits, UnknownReason)> = vec![
            (vec![], LIMITS, Missing),
            (pod("a"), TemplateLimits::default(), Missing),
            (
                pod("a"),
                TemplateLimits {
                    cpu_cores: Some(f64::NAN),
                    ..LIMITS
                },
                Missing,
            ),
            (
                pod("a"),
                TemplateLimits {
                    memory_bytes: Some(0.0),
                    ..LIMITS
                },
                Missing,
            ),
            (pod("a")[..1].to_vec(), LIMITS, Missing),
            (pod("a")[1..].to_vec(), LIMITS, Missing),
            (with(series("b", RESIDENT_BYTES, &[(14_000, "1")])), LIMITS, Missing),
            (with(series("a", CPU_LIMIT, &[(14_000, "0")])), LIMITS, Missing),
            (with(series("a", CPU_LIMIT, &[(14_000, "NaN")])), LIMITS, NonFinite),
            (with(series("a", CPU_LIMIT, &[(14_000, "?")])), LIMITS, Malformed),
            (
                with(series("b", CPU_SECONDS, &[(1_000, "2"), (14_000, "1")])),
                LIMITS,
                Missing,
            ),
            (pod("a").into_iter().chain(pod("a")).collect(), LIMITS, Ambiguous),
        ];
        for (series, limits, reason) in cases {
            assert_eq!(worst(&series, limits, 15_000).unwrap_err().reason, reason, "{series:?}");
        }
        let mut reset = pod("a");
        reset[0] = series("a", CPU_SECONDS, &[(10_000, "2"), (12_000, "0.1"), (14_000, "3")]);
        assert_eq!(worst(&reset, LIMITS, 15_000).unwrap_err().reason, CounterReset);
        reset[0] = series("a", CPU_SECONDS, &[(14_000, "3")]);
        assert_eq!(worst(&reset, LIMITS, 15_000).unwrap_err().reason, NotYetSampled);
    }
}
