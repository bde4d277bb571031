//! `peninctl`, also `kubectl penin`: what runs, why it was not promoted, and whether the ledger is genuine.
#![forbid(unsafe_code)]

mod arguments;
mod cluster;
mod ledger;
mod table;
mod tree;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

pub use arguments::{Arguments, Verb};

/// What a command found, as the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or healthy.
    Ok,
    /// An error.
    Error,
    /// Rejected, rolled back or aborted.
    Refused,
    /// Still under way.
    Waiting,
    /// The ledger was tampered with.
    Tampered,
    /// The ledger is incomplete.
    Incomplete,
}

impl Exit {
    /// The number: 0 ok, 1 error, 4 refused, 5 waiting, 6 tampered, 7 incomplete. 2 is usage, by the parser.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Error => 1,
            Self::Refused => 4,
            Self::Waiting => 5,
            Self::Tampered => 6,
            Self::Incomplete => 7,
        }
    }
}

/// Runs the command of the process's arguments.
#[must_use]
pub fn main(name: &'static str) -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(Exit::Error.code());
        }
    };
    match runtime.block_on(run(arguments, name)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(Exit::Error.code())
        }
    }
}

/// Something went wrong, in words for the terminal.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No configuration of a cluster.
    #[error("no Kubernetes configuration: {0}")]
    Configuration(#[from] kube::config::KubeconfigError),
    /// No way to guess one.
    #[error("no Kubernetes configuration: {0}")]
    Infer(#[from] kube::config::InferConfigError),
    /// The API server.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// The ledger.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] penin_ledger::ReadError),
    /// JSON or YAML.
    #[error("the output cannot be written: {0}")]
    Output(String),
    /// Anything else.
    #[error("{0}")]
    Message(String),
}

async fn run(arguments: Arguments, name: &'static str) -> Result<Exit, CommandError> {
    match arguments.verb {
        Verb::Version => {
            println!("{name} {}", env!("CARGO_PKG_VERSION"));
            Ok(Exit::Ok)
        }
        Verb::Completion { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), name, &mut std::io::stdout());
            Ok(Exit::Ok)
        }
        Verb::Ledger { command } => ledger::run(command),
        Verb::Get { what, name, watch } => cluster::get(&arguments.cluster, what, name, watch).await,
        Verb::Explain { name, .. } => cluster::explain(&arguments.cluster, &name).await,
        Verb::Abort { name, .. } => cluster::abort(&arguments.cluster, &name).await,
    }
}
