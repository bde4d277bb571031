//! Engine cycles as the operator records them: configuration, state before and input as blobs, hashes of the events,
//! hashes of the states in the body. Shared with the test of the replay.

use penin_engine::config::Config;
use penin_engine::decision::Decision;
use penin_engine::event;
use penin_engine::master::{CycleInput, State, commit, run_cycle};
use penin_ledger::replay::{self, CONFIG, CYCLE_INPUT, STATE};
use penin_ledger::{Blob, Draft, Kind};
use serde_json::{Value, json};

/// Something that the engine refuses, in words.
pub type Problem = Box<dyn std::error::Error>;

/// The evidence of cycle `n`: quality rises with every sixth candidate, and every fifth lacks samples.
#[must_use]
pub fn evidence(n: u64) -> Value {
    let steps = f64::from(u32::try_from(n / 6).unwrap_or(u32::MAX));
    let quality = (0.55 + 0.02 * steps).min(0.99);
    let league = if n.is_multiple_of(5) {
        json!({"status": "Unknown", "reason": "SAMPLES_LOW"})
    } else {
        json!({"status": "Pass", "reason": "STAGE_PASSED"})
    };
    json!({
        "candidate": {"name": format!("v{n}")},
        "stage": "direct",
        "cost": 0.1,
        "metrics": {
            "rsi": quality, "synergy": quality, "novelty": quality, "stability": quality, "viability": quality,
            "cost": 0.2
        },
        "caos": {"c": 0.9, "a": 0.6, "o": 0.5, "s": 0.8},
        "sr": {"calibration": 0.95, "ethics": 1, "autocorrection": 0.85, "metacognition": 0.8},
        "modules": {
            "ethics": 1, "contractivity": 0.95, "league": 1, "caos": 0.9, "sr": 0.95, "meta": 0.9, "tuning": 1,
            "router": 0.95
        },
        "oci": {"memory": 1, "flow": 0.98, "policy": 1, "feedback": 0.95},
        "ethics": {"ece": 0.006, "rhoBias": 1.02, "fairness": 0.97, "consent": true, "ecoOk": true, "unknown": {}},
        "risk": {"rho": 0.9, "uncertainty": 0.2, "series": []},
        "resources": {"cpu": 0.4, "mem": 0.5, "ageSeconds": 5},
        "league": league,
    })
}

/// A cycle of the engine after another.
#[derive(Clone)]
pub struct Cycles {
    document: Value,
    config: Config,
    state: State,
    number: u64,
}

impl Cycles {
    /// From the initial state, with the engine's defaults.
    ///
    /// # Errors
    /// When the defaults are not valid.
    pub fn start() -> Result<Self, Problem> {
        let document = json!({});
        let config = Config::from_json(&document).map_err(|errors| format!("{errors:?}"))?;
        let state = State::new(&config);
        Ok(Self {
            document,
            config,
            state,
            number: 0,
        })
    }

    /// Hash of the present state, as an adoption names it.
    ///
    /// # Errors
    /// When the state has no canonical form.
    pub fn state_hash(&self) -> Result<String, Problem> {
        Ok(self.state.hash()?.to_string())
    }

    /// Runs the next cycle into `draft`. `alter` changes the input that is recorded, not the one that is judged.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn record(&mut self, draft: &mut Draft, alter: impl FnOnce(&mut Value)) -> Result<(), Problem> {
        self.number += 1;
        let mut evidence = evidence(self.number);
        let input = CycleInput::from_json(&evidence)?;
        let (outcome, next) = run_cycle(&self.config, &self.state, &input)?;
        alter(&mut evidence);
        draft.blobs = vec![
            blob(CONFIG, &self.document)?,
            blob(STATE, &self.state.to_json())?,
            blob(CYCLE_INPUT, &evidence)?,
        ];
        self.state = commit(&self.state, &outcome, next)?;
        draft.kind = match outcome.decision {
            Decision::Promote => Kind::PromoteAttest,
            Decision::Reject => Kind::Rejection,
            Decision::Rollback | Decision::Abort | Decision::Fallback => Kind::Rollback,
            Decision::Hold | Decision::Canary => Kind::GateEval,
        };
        draft.content_hashes = replay::content_hashes(&outcome);
        draft.body.insert("outcome".into(), replay::summary(&outcome));
        draft
            .body
            .insert("events".into(), serde_json::to_value(&outcome.events)?);
        Ok(())
    }
}

fn blob(name: &str, document: &Value) -> Result<Blob, Problem> {
    Ok(Blob {
        name: name.into(),
        media_type: "application/json".into(),
        content: event::canonical(document)?.into_bytes(),
    })
}
