//! `peninctl`, also `kubectl penin`: what runs, why it was not promoted, and whether the ledger is genuine.
//!
//! | module | what |
//! |---|---|
//! | `arguments`, `what` | the command line |
//! | `cluster` | a client with bounds, and the API server's answers in words |
//! | `get`, `watch`, `explain`, `abort`, `ledger` | the verbs |
//! | `rows`, `tree`, `gates`, `table` | what they show: pure text |
#![forbid(unsafe_code)]

mod abort;
mod arguments;
mod cluster;
mod explain;
mod gates;
mod get;
mod ledger;
mod output;
#[cfg(test)]
mod rendering_tests;
mod rows;
mod table;
mod tree;
mod watch;
mod what;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

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
    /// It took longer than it was allowed to.
    Timeout,
}

impl Exit {
    /// The number: 0 ok, 1 error, 4 refused, 5 waiting, 6 tampered, 7 incomplete, 124 timeout. 2 is usage, by the
    /// parser.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Error => 1,
            Self::Refused => 4,
            Self::Waiting => 5,
            Self::Tampered => 6,
            Self::Incomplete => 7,
            Self::Timeout => 124,
        }
    }
}

/// Something went wrong, in words for the terminal.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The arguments contradict each other in a way that the parser does not see.
    #[error("{0}")]
    Usage(String),
    /// No configuration of a cluster.
    #[error("no Kubernetes configuration: {0}")]
    Configuration(String),
    /// The API server refused, or what it answered cannot be read.
    #[error("{0}")]
    Api(String),
    /// The API server did not answer in time.
    #[error("the API server did not answer within {0}")]
    TooSlow(String),
    /// What was waited for did not happen in time.
    #[error("{0}")]
    Deadline(String),
    /// The ledger.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] penin_ledger::ReadError),
    /// A ledger that was looked at before has fewer entries now.
    #[error("{0}; verify what is left, and compare it with a head that was kept elsewhere")]
    Shorter(String),
    /// JSON or YAML.
    #[error("the output cannot be made: {0}")]
    Output(String),
    /// Standard output.
    #[error("the output cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// Anything else.
    #[error("{0}")]
    Message(String),
}

/// Runs the command of the process's arguments. `program` is the name of the executable.
#[must_use]
pub fn main(program: &'static str) -> ExitCode {
    let command = command(program);
    let arguments = command
        .try_get_matches()
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match arguments {
        Ok(arguments) => arguments,
        // Help and version are errors to the parser, with code 0; a usage error has 2.
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&CommandError::Message(format!("no runtime: {error}"))),
    };
    match runtime.block_on(run(arguments, program)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => failed(&error),
    }
}

/// The parser, under the name by which the program was called.
fn command(program: &'static str) -> clap::Command {
    let command = Arguments::command();
    match program.strip_prefix("kubectl-") {
        Some(_) => command.name(program).bin_name("kubectl penin"),
        None => command,
    }
}

fn failed(error: &CommandError) -> ExitCode {
    match error {
        // Whoever read the output has seen enough, as `head` has.
        CommandError::Write(problem) if problem.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        CommandError::Usage(_) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        CommandError::TooSlow(_) | CommandError::Deadline(_) => {
            eprintln!("error: {error}");
            ExitCode::from(Exit::Timeout.code())
        }
        CommandError::Shorter(_) => {
            eprintln!("error: {error}");
            ExitCode::from(Exit::Tampered.code())
        }
        CommandError::Ledger(problem) => {
            eprintln!("error: {error}");
            ExitCode::from(ledger::exit(problem).code())
        }
        _ => {
            eprintln!("error: {error}");
            ExitCode::from(Exit::Error.code())
        }
    }
}

async fn run(arguments: Arguments, program: &'static str) -> Result<Exit, CommandError> {
    let cluster = &arguments.cluster;
    match arguments.verb {
        Verb::Version => {
            output::line(&format!("{program} {}", env!("CARGO_PKG_VERSION")))?;
            Ok(Exit::Ok)
        }
        Verb::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), program, &mut script);
            output::bytes(&script)?;
            Ok(Exit::Ok)
        }
        Verb::Ledger(asked) => ledger::run(asked).await,
        Verb::Get(asked) => get::run(cluster, asked).await,
        Verb::Explain { what, name, output } => explain::run(cluster, what, name, output).await,
        Verb::Abort {
            what,
            name,
            wait,
            timeout,
        } => abort::run(cluster, what, name, wait.then_some(timeout)).await,
    }
}
