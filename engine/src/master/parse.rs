//! Reading an input document field by field, so that a structural problem has a path.

use std::collections::BTreeMap;

use serde_json::Value;

use super::input::{Candidate, ChampionEvidence, CycleInput, EthicsEvidence, EthicsMetric};
use super::node::{Node, Problem};
use crate::caos::Components;
use crate::coherence::Modules;
use crate::error::EngineError;
use crate::gates::LeagueVerdict;
use crate::num::{Code, Num};
use crate::oci::Parts;
use crate::resources::{ResourceReadings, Risk};
use crate::sr::Axes;

/// Reads an input document.
pub(super) fn read_input(document: &Value) -> Result<CycleInput, EngineError> {
    read(&Node::root(document)).map_err(|(field, code)| EngineError::Input { field, code })
}

fn read(root: &Node<'_>) -> Result<CycleInput, Problem> {
    root.record(&[
        "candidate",
        "stage",
        "cost",
        "costIncrease",
        "virtues",
        "champion",
        "metrics",
        "caos",
        "sr",
        "modules",
        "oci",
        "ethics",
        "risk",
        "resources",
        "league",
    ])?;
    Ok(CycleInput {
        candidate: read_candidate(&root.get("candidate"))?,
        stage: root
            .get("stage")
            .optional(|node| node.text().and_then(|_| node.parse(Code::UnknownStage)))?
            .unwrap_or_default(),
        cost: root.get("cost").num()?,
        cost_increase: root.get("costIncrease").num()?,
        virtues: root.get("virtues").map(Node::num)?,
        champion: root.get("champion").optional(read_champion)?,
        metrics: root.get("metrics").map(Node::num)?,
        caos: root.get("caos").optional(read_caos)?,
        sr: root.get("sr").optional(read_sr)?,
        modules: root.get("modules").optional(read_modules)?,
        oci: root.get("oci").optional(read_oci)?,
        ethics: root.get("ethics").optional(read_ethics)?.unwrap_or_default(),
        risk: root.get("risk").optional(read_risk)?.unwrap_or_default(),
        resources: root.get("resources").optional(read_resources)?,
        league: root.get("league").optional(read_league)?,
    })
}

fn read_candidate(node: &Node<'_>) -> Result<Candidate, Problem> {
    if node.is_null() {
        return Err(node.problem(Code::Missing));
    }
    node.record(&["name", "digest", "stub"])?;
    let name = node.get("name");
    if name.is_null() {
        return Err(name.problem(Code::Missing));
    }
    let text = name.text()?;
    if text.is_empty() {
        return Err(name.problem(Code::Empty));
    }
    Ok(Candidate {
        name: text,
        digest: node.get("digest").optional(Node::text)?,
        stub: node.get("stub").optional(Node::boolean)?.unwrap_or_default(),
    })
}

fn read_champion(node: &Node<'_>) -> Result<ChampionEvidence, Problem> {
    node.record(&["metrics", "cost"])?;
    Ok(ChampionEvidence {
        metrics: node.get("metrics").map(Node::num)?,
        cost: node.get("cost").num()?,
    })
}

/// A record whose members are all numbers.
fn numbers<const N: usize>(node: &Node<'_>, keys: [&str; N]) -> Result<[Num; N], Problem> {
    node.record(&keys)?;
    let mut values = [Num::MISSING; N];
    for (value, key) in values.iter_mut().zip(keys) {
        *value = node.get(key).num()?;
    }
    Ok(values)
}

fn read_caos(node: &Node<'_>) -> Result<Components, Problem> {
    let [c, a, o, s] = numbers(node, ["c", "a", "o", "s"])?;
    Ok(Components { c, a, o, s })
}

fn read_sr(node: &Node<'_>) -> Result<Axes, Problem> {
    let [calibration, ethics, autocorrection, metacognition] =
        numbers(node, ["calibration", "ethics", "autocorrection", "metacognition"])?;
    Ok(Axes {
        calibration,
        ethics,
        autocorrection,
        metacognition,
    })
}

fn read_modules(node: &Node<'_>) -> Result<Modules, Problem> {
    let [ethics, contractivity, league, caos, sr, meta, tuning, router] = numbers(
        node,
        [
            "ethics",
            "contractivity",
            "league",
            "caos",
            "sr",
            "meta",
            "tuning",
            "router",
        ],
    )?;
    Ok(Modules {
        ethics,
        contractivity,
        league,
        caos,
        sr,
        meta,
        tuning,
        router,
    })
}

fn read_oci(node: &Node<'_>) -> Result<Parts, Problem> {
    let [memory, flow, policy, feedback] = numbers(node, ["memory", "flow", "policy", "feedback"])?;
    Ok(Parts {
        memory,
        flow,
        policy,
        feedback,
    })
}

fn read_ethics(node: &Node<'_>) -> Result<EthicsEvidence, Problem> {
    node.record(&[
        "ece",
        "rhoBias",
        "fairness",
        "consent",
        "ecoOk",
        "evidenceDigest",
        "unknown",
    ])?;
    Ok(EthicsEvidence {
        ece: node.get("ece").num()?,
        rho_bias: node.get("rhoBias").num()?,
        fairness: node.get("fairness").num()?,
        consent: node.get("consent").optional(Node::boolean)?,
        eco_ok: node.get("ecoOk").optional(Node::boolean)?,
        evidence_digest: node.get("evidenceDigest").optional(Node::text)?,
        unknown: read_unknown(&node.get("unknown"))?,
    })
}

fn read_unknown(node: &Node<'_>) -> Result<BTreeMap<EthicsMetric, String>, Problem> {
    const METRICS: [(&str, EthicsMetric); 5] = [
        ("ece", EthicsMetric::Ece),
        ("rhoBias", EthicsMetric::RhoBias),
        ("fairness", EthicsMetric::Fairness),
        ("consent", EthicsMetric::Consent),
        ("ecoOk", EthicsMetric::EcoOk),
    ];
    if node.is_null() {
        return Ok(BTreeMap::new());
    }
    node.record(&METRICS.map(|(key, _)| key))?;
    let mut unknown = BTreeMap::new();
    for (key, metric) in METRICS {
        if let Some(reason) = node.get(key).optional(Node::text)? {
            unknown.insert(metric, reason);
        }
    }
    Ok(unknown)
}

fn read_risk(node: &Node<'_>) -> Result<Risk, Problem> {
    node.record(&["rho", "uncertainty", "series"])?;
    Ok(Risk {
        rho: node.get("rho").num()?,
        uncertainty: node.get("uncertainty").num()?,
        series: node.get("series").list(Node::num)?,
    })
}

fn read_resources(node: &Node<'_>) -> Result<ResourceReadings, Problem> {
    let [cpu, mem, age_seconds] = numbers(node, ["cpu", "mem", "ageSeconds"])?;
    Ok(ResourceReadings { cpu, mem, age_seconds })
}

fn read_league(node: &Node<'_>) -> Result<LeagueVerdict, Problem> {
    node.record(&["status", "reason"])?;
    Ok(LeagueVerdict {
        status: node.get("status").optional(|status| status.parse(Code::WrongType))?,
        reason: node.get("reason").optional(Node::text)?,
    })
}
