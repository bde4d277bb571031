//! Vectors of `gates`, `guard`, `resources`, `league` and `router`.

use penin_engine::EngineError;
use penin_engine::config::{Config, SequentialConfig};
use penin_engine::decision::{Cause, Decision};
use penin_engine::event::Digest;
use penin_engine::gates::{self, GateStatus, PromotionValues};
use penin_engine::guard::{self, GuardMetrics};
use penin_engine::league::{self, Contender, ErrorCount, Histogram, LeagueState, Observation};
use penin_engine::num::U64String;
use penin_engine::resources::{self, ResourceReadings, Risk};
use penin_engine::router::{Ledger, Response, score};
use serde_json::{Value, json};

use crate::Function;
use crate::support::{config, field, integer, json_of, num, num_or, read};

pub const FUNCTIONS: &[(&str, Function)] = &[
    ("gates.combine", |input| {
        let statuses: Vec<GateStatus> = field(input, "statuses");
        json!({"status": gates::combine(statuses)})
    }),
    ("gates.evaluate", |input| {
        let values: PromotionValues = field(input, "values");
        json_of(&gates::evaluate(&config(&input["config"]).gates, &values))
    }),
    ("guard.evaluate", |input| {
        let metrics: GuardMetrics = field(input, "metrics");
        json_of(&guard::evaluate(&config(&input["config"]), &metrics))
    }),
    ("resources.evaluate", |input| {
        let readings: Option<ResourceReadings> = field(input, "resources");
        let risk: Option<Risk> = field(input, "risk");
        json_of(&resources::evaluate(
            &config(&input["config"]).resources,
            readings.as_ref(),
            &risk.unwrap_or_default(),
        ))
    }),
    ("league.confidenceSequence", |input| {
        let alpha = num(input, "alpha").get().unwrap();
        let (events, trials) = (integer(input, "successes"), integer(input, "n"));
        json!({"interval": league::confidence_sequence(events, trials, alpha)})
    }),
    ("league.compareErrorRates", compare_error_rates),
    ("league.mannWhitney", |input| {
        json_of(&league::mann_whitney(
            &pairs(&input["challenger"]),
            &pairs(&input["champion"]),
        ))
    }),
    ("league.latencyBucket", |input| {
        let bucket = league::bucket(integer(input, "microseconds"));
        json!({"bucket": bucket, "upper": league::bucket_upper(bucket).to_string()})
    }),
    ("league.latencyQuantile", |input| {
        let histogram: Histogram = field(input, "histogram");
        let quantile = histogram.quantile(field(input, "permille"));
        json!({"microseconds": quantile.map(U64String)})
    }),
    ("league.rank", |input| {
        let contenders: Vec<Contender> = field(input, "challengers");
        json_of(&league::rank(&contenders))
    }),
    ("league.route", |input| {
        let id = input["requestId"].as_str().unwrap();
        json_of(&league::route(id, field(input, "basisPoints")))
    }),
    ("league.run", league_run),
    ("router.score", |input| {
        let response: Response = field(input, "response");
        json!({"score": score(&config(&input["config"]).router, &response)})
    }),
    ("router.run", router_run),
];

fn compare_error_rates(input: &Value) -> Value {
    let test = SequentialConfig {
        mode: field(input, "mode"),
        alpha: num_or(input, "alpha", 0.05).get().unwrap(),
        margin: num_or(input, "margin", 0.01).get().unwrap(),
    };
    let side = |name: &str| ErrorCount {
        errors: integer(input, &format!("{name}Errors")),
        samples: integer(input, &format!("{name}Samples")),
    };
    json_of(&league::compare_error_rates(
        &test,
        side("challenger"),
        side("champion"),
    ))
}

/// Counted values; a value is any number, ordered as one.
fn pairs(value: &Value) -> Vec<(Ordered, u64)> {
    let pairs: Vec<(f64, U64String)> = read(value);
    pairs
        .into_iter()
        .map(|(value, count)| (Ordered(value), count.0))
        .collect()
}

#[derive(Clone, Copy, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn league_run(input: &Value) -> Value {
    let config = config(&input["config"]);
    let mut state = LeagueState::default();
    let commands = input["commands"].as_array().unwrap();
    let results: Vec<Value> = commands
        .iter()
        .map(|command| match league_command(&config, &state, command) {
            Ok((next, result)) => {
                state = next;
                result
            }
            Err(EngineError::Input { code, .. } | EngineError::State { code, .. }) => {
                json!({"error": code})
            }
            Err(other) => panic!("{other}"),
        })
        .collect();
    json!({"results": results, "state": state})
}

fn league_command(config: &Config, state: &LeagueState, command: &Value) -> Result<(LeagueState, Value), EngineError> {
    let name = command["name"].as_str().unwrap_or("");
    match command["op"].as_str().unwrap() {
        "register" => league::register(state, name, num(command, "linf")).map(|next| (next, json!({}))),
        "deploy" => league::deploy(state, name, integer(command, "nowMs")).map(|next| (next, json!({}))),
        "tick" => {
            let observation: Observation = field(command, "observation");
            league::tick(config, state, &observation, integer(command, "nowMs"))
                .map(|(next, tick)| (next, json_of(&tick)))
        }
        "rollback" => {
            league::rollback(config, state, integer(command, "nowMs")).map(|(next, applied)| (next, json_of(&applied)))
        }
        "apply" => {
            let causes: Option<Vec<Cause>> = field(command, "causes");
            let decision: Decision = field(command, "decision");
            let command = league::Command {
                decision,
                reason: command["reason"].as_str().unwrap(),
                causes: causes.as_deref().unwrap_or(&[]),
                challenger_linf: num(command, "challengerLinf"),
                now_ms: integer(command, "nowMs"),
            };
            let (next, applied) = league::apply(config, state, &command)?;
            if let Some(transition) = &applied.transition {
                assert_ne!(transition.proof_hash, Digest::ZERO);
            }
            Ok((next, json_of(&applied)))
        }
        other => panic!("unknown league command {other:?}"),
    }
}

fn router_run(input: &Value) -> Value {
    let config = config(&input["config"]);
    let mut ledger = Ledger::default();
    let ops = input["ops"].as_array().unwrap();
    let results: Vec<Value> = ops
        .iter()
        .map(|op| match op["op"].as_str().unwrap() {
            "authorize" => json_of(&ledger.authorize(&config.router, integer(op, "dayIndex"), field(op, "calls"))),
            "settle" => {
                let responses: Vec<Response> = field(op, "responses");
                json_of(&ledger.settle(&config.router, integer(op, "dayIndex"), &responses))
            }
            "stats" => json_of(&ledger.stats(&config.router)),
            other => panic!("unknown router command {other:?}"),
        })
        .collect();
    json!({"results": results})
}
