//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use penin_api::values::Duration;

use crate::ledger::arguments::LedgerArguments;
use crate::what::{What, WhatParser};

/// What stands at the end of every help.
const EXIT_CODES: &str = "Exit codes: 0 ok, 1 error, 2 usage, 4 rejected, rolled back or aborted, 5 still under way, \
    6 ledger tampered with, 7 ledger incomplete, 124 timeout.";

/// Looks at champion/challenger cycles and at the ledger of their decisions.
#[derive(Clone, Debug, Parser)]
#[command(name = "peninctl", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Arguments {
    /// Which cluster and namespace.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags as kubectl has them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArguments {
    /// Namespace; the context's when left out.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Configuration file; $KUBECONFIG or ~/.kube/config when left out, in a pod its service account.
    #[arg(long, global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the configuration.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Cluster of the configuration.
    #[arg(long, global = true)]
    pub cluster: Option<String>,
    /// User of the configuration.
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// User to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,
    /// Group to impersonate; can be repeated.
    #[arg(long = "as-group", global = true, value_name = "GROUP", action = ArgAction::Append, requires = "as_user")]
    pub as_groups: Vec<String>,
    /// Longest time of one request, such as 5s.
    #[arg(long, global = true, default_value = "15s", value_name = "TIME")]
    pub request_timeout: Duration,
}

/// Format of the output, as kubectl has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Kind and name alone.
    Name,
    /// More columns, and nothing cut.
    Wide,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List cycles or challengers; show a cycle that is named as a tree.
    #[command(after_help = "\
Examples:
  peninctl get cycles -A                  every cycle of the cluster
  peninctl get cycle income -w            one cycle as a tree, drawn anew as it changes
  peninctl get challenger better -w       until its life has ended: exit code 0 promoted, 4 not
  peninctl get challengers -o name")]
    Get(GetArguments),
    /// Why a challenger is not promoted, gate by gate.
    ///
    /// Exit code 0 when it was promoted, 4 when it was not, 5 while that is open.
    Explain {
        /// What to explain: `challenger`, or `challenger/NAME`.
        #[arg(value_parser = WhatParser)]
        what: What,
        /// Its name.
        name: Option<String>,
        /// Format of the output.
        #[arg(short, long, value_enum)]
        output: Option<Format>,
    },
    /// End the life of a challenger, or of whatever is in flight in a cycle: its traffic goes back to the champion.
    Abort {
        /// What to abort: `challenger` or `cycle`, or `challenger/NAME`.
        #[arg(value_parser = WhatParser)]
        what: What,
        /// Its name.
        name: Option<String>,
        /// Wait until the operator has carried it out.
        #[arg(long)]
        wait: bool,
        /// Longest time to wait.
        #[arg(long, default_value = "1m", value_name = "TIME", requires = "wait")]
        timeout: Duration,
    },
    /// Check and read a ledger, from its files or from an operator that serves them.
    Ledger(LedgerArguments),
    /// Print a completion script.
    #[command(after_help = "Example: source <(peninctl completion bash)")]
    Completion {
        /// For which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version,
}

/// Arguments of `get`.
#[derive(Clone, Debug, Args)]
pub struct GetArguments {
    /// What to list: `cycles` or `challengers`, or `cycle/NAME`.
    #[arg(value_parser = WhatParser)]
    pub what: What,
    /// Names; all when left out.
    pub names: Vec<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with = "names")]
    pub all_namespaces: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, conflicts_with = "names")]
    pub selector: Option<String>,
    /// Show it anew whenever it changes: a challenger until its life has ended, anything else until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    /// Longest time to watch; without a limit when left out.
    #[arg(long, value_name = "TIME", requires = "watch")]
    pub timeout: Option<Duration>,
    /// Tables without their first line.
    #[arg(long)]
    pub no_headers: bool,
    /// Format of the output; a table or a tree for people when left out.
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}
