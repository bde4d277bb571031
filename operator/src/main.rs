//! The operator's process.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use penin_operator::operator::{self, Arguments};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match operator::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "The operator ends");
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
