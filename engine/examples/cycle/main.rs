//! Runs one cycle and prints it: every gate with its value, bound and verdict, and the arithmetic behind the step.
//!
//! ```text
//! cargo run -p penin-engine --example cycle                    the worked promotion
//! cargo run -p penin-engine --example cycle -- rollback        the worked rollback
//! cargo run -p penin-engine --example cycle -- input.json      your own input, after the worked baseline
//! ```
//!
//! Exit status: 0 promoted, canary or hold; 4 refused, rolled back or aborted; 1 unreadable or malformed input.

mod scenario;
mod table;

use std::process::ExitCode;

use penin_engine::decision::Decision;
use serde_json::Value;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match run(argument.as_deref()) {
        Ok(Decision::Promote | Decision::Canary | Decision::Hold) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(4),
        Err(error) => {
            eprintln!("cycle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(argument: Option<&str>) -> Result<Decision, Box<dyn std::error::Error>> {
    let input: Value = match argument {
        None | Some("promotion") => scenario::promotion(),
        Some("rollback") => scenario::rollback(),
        Some(path) => serde_json::from_str(&std::fs::read_to_string(path)?)?,
    };
    let cycle = scenario::after_baseline(&input)?;
    println!("{}\n", table::summary(&cycle.outcome));
    println!("{}", table::gates(&cycle.outcome));
    println!("{}", table::arithmetic(&cycle));
    println!("{}", table::events(&cycle.outcome));
    Ok(cycle.outcome.decision)
}
