//! Risk gates: node load, effective risk contraction and uncertainty.
//!
//! | gate | rule | possible values |
//! |---|---|---|
//! | `cpu`, `mem` | < `resources.cpuMax`, `resources.memMax` (at most 0.99) | [0, ∞), fraction of the node |
//! | `risk_rho` | < `resources.rhoMax` | [0, ∞), the effective ρ of [`crate::lpsi`] |
//! | `uncertainty` | < `resources.uncertaintyMax` | [0, 1] |
//!
//! A load that cannot be read (absent, unusable, without age, or older than `maxAgeSeconds`) counts as 0.99, which no admitted bound
//! lets pass: an unreadable node fails instead of being unknown, because acting on an overloaded node does harm.

use serde::{Deserialize, Serialize};

use crate::config::ResourcesConfig;
use crate::gates::{Bound, Comparison, Gate, GateName, GateStatus, GateValue, Reason, combine, reason};
use crate::lpsi;
use crate::num::{Code, Num, nonneg};

/// Load that stands for an unreadable node.
pub const UNREADABLE_LOAD: f64 = 0.99;

/// Load of the node that serves the candidate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ResourceReadings {
    /// CPU in use, as a fraction of what there is.
    pub cpu: Num,
    /// Memory in use, as a fraction of what there is.
    pub mem: Num,
    /// Age of the readings, seconds.
    pub age_seconds: Num,
}

/// Risk evidence of the window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Risk {
    /// Reported contraction factor ρ.
    pub rho: Num,
    /// Predictive uncertainty, in [0, 1].
    pub uncertainty: Num,
    /// Mean risk of past windows, oldest first; the last ten points count.
    pub series: Vec<Num>,
}

/// Result of the risk gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceReport {
    /// CPU load that was judged.
    pub cpu: f64,
    /// Memory load that was judged.
    pub mem: f64,
    /// Whether any gate failed.
    pub abort: bool,
    /// Combination of the gates.
    pub status: GateStatus,
    /// The four gates, in order.
    pub gates: Vec<Gate>,
}

/// Evaluates the risk gates.
#[must_use]
pub fn evaluate(config: &ResourcesConfig, readings: Option<&ResourceReadings>, risk: &Risk) -> ResourceReport {
    let mut gates = Vec::with_capacity(4);
    extend(config, readings, risk, &mut gates);
    let load = |name| {
        gates
            .iter()
            .find(|gate: &&Gate| gate.name == name)
            .and_then(|gate| gate.value.number())
            .unwrap_or(UNREADABLE_LOAD)
    };
    let status = combine(gates.iter().map(|gate| gate.status));
    ResourceReport {
        cpu: load(GateName::Cpu),
        mem: load(GateName::Mem),
        abort: status == GateStatus::Fail,
        status,
        gates,
    }
}

/// Appends the four risk gates to `gates`.
pub(crate) fn extend(
    config: &ResourcesConfig,
    readings: Option<&ResourceReadings>,
    risk: &Risk,
    gates: &mut Vec<Gate>,
) {
    let max_age = config.max_age_seconds;
    let load = |name, threshold, pick: fn(&ResourceReadings) -> Num| {
        let bound = strict_ceiling(name, f64::INFINITY, threshold);
        match readable(readings, pick, max_age) {
            Ok(load) => bound.judge(Num::new(load), None),
            Err(why) => bound.record(
                GateValue::Number(UNREADABLE_LOAD),
                GateStatus::Fail,
                Reason::Borrowed(why),
            ),
        }
    };
    gates.push(load(GateName::Cpu, config.cpu_max, |readings| readings.cpu));
    gates.push(load(GateName::Mem, config.mem_max, |readings| readings.mem));

    let bound = strict_ceiling(GateName::RiskRho, f64::INFINITY, config.rho_max);
    gates.push(match lpsi::effective_rho(risk.rho, &risk.series) {
        Ok(rho) => bound.judge(Num::new(rho), None),
        Err(code) => bound.judge(Num::MISSING, Some(&Reason::Borrowed(code.as_str()))),
    });
    gates.push(strict_ceiling(GateName::Uncertainty, 1.0, config.uncertainty_max).judge(risk.uncertainty, None));
}

/// One load, or why it cannot be used.
#[allow(clippy::cast_precision_loss, reason = "the bound is at most 3600")]
fn readable(
    readings: Option<&ResourceReadings>,
    pick: fn(&ResourceReadings) -> Num,
    max_age_seconds: u64,
) -> Result<f64, &'static str> {
    let readings = readings.ok_or(reason::MISSING)?;
    let load = nonneg(pick(readings)).map_err(Code::as_str)?;
    let age = nonneg(readings.age_seconds).map_err(|_| reason::MISSING_AGE)?;
    if age > max_age_seconds as f64 {
        return Err(reason::STALE);
    }
    Ok(load)
}

const fn strict_ceiling(name: GateName, highest: f64, threshold: f64) -> Bound {
    Bound {
        name,
        lowest: 0.0,
        highest,
        comparison: Comparison::Lt,
        threshold,
    }
}
