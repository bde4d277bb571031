//! Gate records, their combination, and the promotion gates.
//!
//! A gate compares one value with one bound and is Pass, Fail or Unknown. Sets combine by AND: Fail if any Fail, else Unknown if any
//! Unknown, else Pass. Unknown blocks exactly like Fail; it only selects Hold instead of a refusal. A good value of one gate can never
//! pay for a bad value of another, because no gate sees another's value.
//!
//! | promotion gate | rule | possible values |
//! |---|---|---|
//! | `caos_plus` | ≥ `gates.caosMin` | [0, ∞) |
//! | `sr` | ≥ `gates.srMin` | [0, 1] |
//! | `delta_linf` | ≥ `gates.deltaLinfMin`; Advisory in stage `watch` | [−1, 1] |
//! | `guard` | Pass | |
//! | `coherence`, `oci`, `agape` | ≥ `gates.*.min`, with the configured mode | [0, 1] |
//! | `league` | Pass; in every stage but `direct` | |
//!
//! Which gates there are and in which order depends on the configuration and the stage only, never on the evidence.

mod name;
mod record;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{FloorConfig, GateMode, GatesConfig};
use crate::decision::Stage;
use crate::num::Num;

pub use name::{GateName, reason};
pub use record::{Bound, Comparison, Gate, GateStatus, GateValue, Mode, Reason};

/// Combines verdicts: Fail if any Fail, else Unknown if any Unknown, else Pass. The empty set passes.
#[must_use]
pub fn combine(statuses: impl IntoIterator<Item = GateStatus>) -> GateStatus {
    statuses
        .into_iter()
        .fold(GateStatus::Pass, |all, one| match (all, one) {
            (GateStatus::Fail, _) | (_, GateStatus::Fail) => GateStatus::Fail,
            (GateStatus::Unknown, _) | (_, GateStatus::Unknown) => GateStatus::Unknown,
            (GateStatus::Pass, GateStatus::Pass) => GateStatus::Pass,
        })
}

/// Combines the Required gates among `gates`; Advisory gates are shown but never decide.
#[must_use]
pub fn combine_required<'a>(gates: impl IntoIterator<Item = &'a Gate>) -> GateStatus {
    combine(
        gates
            .into_iter()
            .filter(|gate| gate.is_required())
            .map(|gate| gate.status),
    )
}

/// Verdict of the league, or of the league combined with further checks, as it is handed to a cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeagueVerdict {
    /// The verdict; missing is Unknown.
    pub status: Option<GateStatus>,
    /// Why; recorded with the gate when it does not pass.
    pub reason: Option<String>,
}

/// Which score an entry of [`PromotionValues::unknown`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PromotionScore {
    /// CAOS⁺.
    CaosPlus,
    /// SR-Ω∞.
    Sr,
    /// ΔL∞.
    DeltaLinf,
    /// Global coherence.
    Coherence,
    /// Organisational closure.
    Oci,
    /// Agápe.
    Agape,
}

/// What the promotion gates judge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PromotionValues {
    /// CAOS⁺, exponential form with boost.
    pub caos_plus: Num,
    /// SR-Ω∞, harmonic.
    pub sr: Num,
    /// ΔL∞ against the reference.
    pub delta_linf: Num,
    /// Status of the guard; missing is Unknown.
    pub guard: Option<GateStatus>,
    /// Global coherence.
    pub coherence: Num,
    /// Organisational closure.
    pub oci: Num,
    /// Agápe.
    pub agape: Num,
    /// Life stage of the candidate.
    pub stage: Stage,
    /// Verdict of the league; not looked at in stage `direct`.
    pub league: Option<LeagueVerdict>,
    /// Scores that must not be used although they have a value, with the reason.
    pub unknown: BTreeMap<PromotionScore, Reason>,
}

/// Result of a set of gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateReport {
    /// Combination of the Required gates.
    pub status: GateStatus,
    /// Every gate, in order.
    pub gates: Vec<Gate>,
}

/// Evaluates the promotion gates.
#[must_use]
pub fn evaluate(config: &GatesConfig, values: &PromotionValues) -> GateReport {
    let mut gates = Vec::with_capacity(8);
    extend(config, values, &mut gates);
    GateReport {
        status: combine_required(&gates),
        gates,
    }
}

/// Appends the promotion gates to `gates`.
pub(crate) fn extend(config: &GatesConfig, values: &PromotionValues, gates: &mut Vec<Gate>) {
    let unknown = |score| values.unknown.get(&score);
    gates.push(
        floor(GateName::CaosPlus, 0.0, f64::INFINITY, config.caos_min)
            .judge(values.caos_plus, unknown(PromotionScore::CaosPlus)),
    );
    gates.push(floor(GateName::Sr, 0.0, 1.0, config.sr_min).judge(values.sr, unknown(PromotionScore::Sr)));
    // After a promotion the reference is the candidate itself, so a gain can no longer be demanded.
    let delta_mode = if values.stage == Stage::Watch {
        Mode::Advisory
    } else {
        Mode::Required
    };
    gates.push(
        floor(GateName::DeltaLinf, -1.0, 1.0, config.delta_linf_min)
            .judge(values.delta_linf, unknown(PromotionScore::DeltaLinf))
            .with_mode(delta_mode),
    );
    gates.push(Gate::verdict(GateName::Guard, values.guard, None));
    for (name, setting, value, score) in [
        (
            GateName::Coherence,
            &config.coherence,
            values.coherence,
            PromotionScore::Coherence,
        ),
        (GateName::Oci, &config.oci, values.oci, PromotionScore::Oci),
        (GateName::Agape, &config.agape, values.agape, PromotionScore::Agape),
    ] {
        gates.extend(configurable(name, setting, value, unknown(score)));
    }
    if values.stage != Stage::Direct {
        gates.push(league_gate(values.league.as_ref()));
    }
}

const fn floor(name: GateName, lowest: f64, highest: f64, threshold: f64) -> Bound {
    Bound {
        name,
        lowest,
        highest,
        comparison: Comparison::Ge,
        threshold,
    }
}

fn configurable(name: GateName, setting: &FloorConfig, value: Num, unknown: Option<&Reason>) -> Option<Gate> {
    let mode = match setting.mode {
        GateMode::Required => Mode::Required,
        GateMode::Advisory => Mode::Advisory,
        GateMode::Off => return None,
    };
    let gate = floor(name, 0.0, 1.0, setting.min).judge(value, unknown);
    Some(gate.with_mode(mode))
}

fn league_gate(verdict: Option<&LeagueVerdict>) -> Gate {
    let status = verdict.and_then(|verdict| verdict.status);
    let because = verdict.and_then(|verdict| verdict.reason.clone()).map(Reason::Owned);
    Gate::verdict(GateName::League, status, because.as_ref())
}
