//! The worked cycles: a champion whose quality is recorded, then a candidate that is better, or not enough.

use penin_engine::EngineError;
use penin_engine::config::Config;
use penin_engine::master::{CycleInput, CycleOutcome, State, run_cycle};
use serde_json::{Value, json};

/// One cycle with everything that went into it.
pub struct Cycle {
    pub config: Config,
    pub input: CycleInput,
    pub before: State,
    pub after: State,
    pub outcome: CycleOutcome,
}

/// The champion, judged once so that its L∞ becomes the reference.
pub fn baseline() -> Value {
    evidence("v1", "direct", &metrics([0.80, 0.78, 0.72, 0.86, 0.84, 0.20]))
}

/// A candidate in its canary stage that is better in every metric.
pub fn promotion() -> Value {
    evidence("v2", "canary", &metrics([0.84, 0.82, 0.76, 0.88, 0.87, 0.18]))
}

/// A candidate in its canary stage that is hardly better than the champion.
pub fn rollback() -> Value {
    evidence("v3", "canary", &metrics([0.803, 0.783, 0.722, 0.862, 0.842, 0.20]))
}

fn evidence(name: &str, stage: &str, metrics: &Value) -> Value {
    json!({
        "candidate": {"name": name},
        "stage": stage,
        "metrics": metrics,
        "cost": 0.1,
        "caos": {"c": 0.9, "a": 0.6, "o": 0.5, "s": 0.8},
        "sr": {"calibration": 0.95, "ethics": 1, "autocorrection": 0.85, "metacognition": 0.8},
        "modules": {
            "ethics": 1, "contractivity": 0.95, "league": 1, "caos": 0.9, "sr": 0.95, "meta": 0.9, "tuning": 1, "router": 0.95
        },
        "oci": {"memory": 1, "flow": 0.98, "policy": 1, "feedback": 0.95},
        "ethics": {"ece": 0.006, "rhoBias": 1.02, "fairness": 0.97, "consent": true, "ecoOk": true},
        "risk": {"rho": 0.9, "uncertainty": 0.2},
        "resources": {"cpu": 0.4, "mem": 0.5, "ageSeconds": 5},
        "league": {"status": "Pass", "reason": "STAGE_PASSED"},
    })
}

fn metrics([rsi, synergy, novelty, stability, viability, cost]: [f64; 6]) -> Value {
    json!({"rsi": rsi, "synergy": synergy, "novelty": novelty, "stability": stability, "viability": viability, "cost": cost})
}

/// Runs `input` under the default configuration on the state that [`baseline`] leaves.
pub fn after_baseline(input: &Value) -> Result<Cycle, EngineError> {
    let config = Config::from_json(&json!({})).map_err(EngineError::Config)?;
    let (_, before) = run_cycle(&config, &State::new(&config), &CycleInput::from_json(&baseline())?)?;
    let input = CycleInput::from_json(input)?;
    let (outcome, after) = run_cycle(&config, &before, &input)?;
    Ok(Cycle {
        config,
        input,
        before,
        after,
        outcome,
    })
}
