//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Looks at champion/challenger cycles and at the ledger of their decisions.
///
/// Exit codes: 0 ok, 1 error, 2 usage, 4 rejected or rolled back, 5 waiting, 6 ledger tampered, 7 ledger incomplete.
#[derive(Clone, Debug, Parser)]
#[command(name = "peninctl", version)]
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
pub struct ClusterArguments {
    /// Namespace; the context's when left out.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, global = true)]
    pub all_namespaces: bool,
    /// Context of the kubeconfig.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// File with the configuration of clusters.
    #[arg(long, global = true, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Format of the output.
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    pub output: Output,
}

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List cycles or challengers, or show one cycle as a tree.
    Get {
        /// What to list.
        #[arg(value_enum)]
        what: Kind,
        /// Name of one object.
        name: Option<String>,
        /// Show it anew whenever it changes, until interrupted.
        #[arg(short, long)]
        watch: bool,
    },
    /// Why a challenger is not promoted, gate by gate.
    Explain {
        /// What to explain.
        #[arg(value_enum)]
        what: ExplainKind,
        /// Its name.
        name: String,
    },
    /// End a challenger's life: its traffic goes back to the champion.
    Abort {
        /// What to abort.
        #[arg(value_enum)]
        what: ExplainKind,
        /// Its name.
        name: String,
    },
    /// Check and read a ledger, from its files alone.
    Ledger {
        /// What to do with it.
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Print a completion script.
    Completion {
        /// For which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// `PeninCycle`.
    #[value(alias = "cycle", alias = "pcyc", alias = "penincycles", alias = "penincycle")]
    Cycles,
    /// `Challenger`.
    #[value(alias = "challenger", alias = "chlr")]
    Challengers,
}

/// What can be explained or aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainKind {
    /// `Challenger`.
    #[value(alias = "chlr", alias = "challengers")]
    Challenger,
}

/// What to do with a ledger.
#[derive(Clone, Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check chain, tree, signatures, blobs and the published copy.
    Verify {
        /// Directory of the ledger.
        directory: PathBuf,
        /// Policy file with the keys to trust; without it the ledger's own keys are used.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// File with the anchored head, as JSON.
        #[arg(long)]
        anchor: Option<PathBuf>,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List entries, or show one whole.
    Show {
        /// Directory of the ledger.
        directory: PathBuf,
        /// Number of one entry.
        entry: Option<u64>,
        /// Entries of this cycle alone, `namespace/name`.
        #[arg(long)]
        cycle: Option<String>,
        /// Most entries, counted from the end.
        #[arg(long, default_value_t = 50)]
        last: u64,
    },
}
