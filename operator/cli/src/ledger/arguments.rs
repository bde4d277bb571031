//! The ledger verbs' part of the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::place::Place;

/// A ledger verb.
#[derive(Clone, Debug, Args)]
pub struct LedgerArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: LedgerCommand,
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

/// What to do with a ledger.
#[derive(Clone, Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check chain, tree, signatures, blobs and the published copy. Exit code 6: tampered, 7: incomplete.
    Verify(VerifyArguments),
    /// Print size and root hash, and whether they are the signed ones. Exit code 6: other ones, or not signed by the
    /// log's key, 7: incomplete.
    #[command(alias = "merkle")]
    Root {
        #[command(flatten)]
        ledger: LedgerPlace,
        /// The root of the first entries alone.
        #[arg(long)]
        size: Option<u64>,
        /// Policy file with the keys to trust; without it the checkpoint's signature is checked with the ledger's own.
        #[arg(long)]
        policy: Option<PathBuf>,
    },
    /// List entries, or show one whole.
    Show {
        #[command(flatten)]
        ledger: LedgerPlace,
        /// Number of one entry.
        entry: Option<u64>,
        /// Which entries to list.
        #[command(flatten)]
        filter: Filter,
        /// Most entries, counted from the end.
        #[arg(long, default_value_t = 50)]
        last: u64,
    },
    /// Print the newest entries.
    Tail {
        #[command(flatten)]
        ledger: LedgerPlace,
        /// Go on with new ones until interrupted.
        #[arg(short, long)]
        follow: bool,
        /// Which entries to print.
        #[command(flatten)]
        filter: Filter,
        /// How many old entries come first.
        #[arg(long, default_value_t = 10)]
        last: u64,
    },
    /// Prove that an entry is in the ledger, or that the ledger only grew.
    Prove {
        /// What to prove.
        #[command(subcommand)]
        what: Proof,
    },
    /// Write the ledger or an entry in a form that other tools read.
    Export(ExportArguments),
    /// Run the recorded decisions again and compare every content hash. Exit code 6: another outcome.
    Replay {
        #[command(flatten)]
        ledger: LedgerPlace,
        /// A generation before this one, replayed too: decisions go on from the states that it left. Given several
        /// times, the oldest first.
        #[arg(long, value_name = "LEDGER")]
        previous: Vec<Place>,
        /// Begin with this entry.
        #[arg(long, default_value_t = 0, conflicts_with = "previous")]
        since: u64,
    },
}

/// Where the ledger is.
#[derive(Clone, Debug, Args)]
pub struct LedgerPlace {
    /// Directory of a ledger or of an exported copy, or address of an operator that serves one (`http://host:port`).
    #[arg(value_name = "LEDGER")]
    pub place: Place,
}

/// What `verify` checks.
#[derive(Clone, Debug, Args)]
pub struct VerifyArguments {
    /// Which ledger.
    #[command(flatten)]
    pub ledger: LedgerPlace,
    /// Policy file with the keys to trust; without it the ledger's own keys are used. With `--previous` it may be that
    /// of an older generation: each one names the keys of the next.
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// File with the anchored head as JSON, or the `LedgerAnchor` object as `kubectl get -o json` prints it.
    #[arg(long)]
    pub anchor: Option<PathBuf>,
    /// A generation before this one, verified too: it must be sealed for this one, which must begin with its last head.
    /// Given several times, the oldest first.
    #[arg(long, value_name = "LEDGER")]
    pub previous: Vec<Place>,
    /// Entries below this number were checked before: hash them only.
    #[arg(long, default_value_t = 0)]
    pub since: u64,
    /// Check chain and tree only: no signatures, contents and blobs.
    #[arg(long)]
    pub hashes_only: bool,
    /// The same as `-o json`.
    #[arg(long, hide = true)]
    pub json: bool,
}

/// Which entries.
#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// Entries of this cycle alone, `namespace/name`.
    #[arg(long)]
    pub cycle: Option<String>,
    /// Entries of this kind alone, such as `PROMOTE_ATTEST`.
    #[arg(long)]
    pub kind: Option<penin_ledger::Kind>,
}

/// What to prove.
#[derive(Clone, Debug, Subcommand)]
pub enum Proof {
    /// That an entry is in the tree (RFC 6962 §2.1.1).
    Inclusion {
        #[command(flatten)]
        ledger: LedgerPlace,
        /// Number of the entry.
        entry: u64,
        /// Size of the tree; the signed checkpoint's when left out.
        #[arg(long)]
        size: Option<u64>,
        /// Policy file with the keys to trust; without it the checkpoint's signature is checked with the ledger's own.
        #[arg(long)]
        policy: Option<PathBuf>,
    },
    /// That the tree extends an older one (RFC 6962 §2.1.2).
    Consistency {
        #[command(flatten)]
        ledger: LedgerPlace,
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree; the signed checkpoint's when left out.
        new: Option<u64>,
        /// Policy file with the keys to trust; without it the checkpoint's signature is checked with the ledger's own.
        #[arg(long)]
        policy: Option<PathBuf>,
    },
}

/// What `export` writes.
#[derive(Clone, Debug, Args)]
pub struct ExportArguments {
    /// In which form.
    #[arg(value_enum)]
    pub format: Format,
    /// Which ledger.
    #[command(flatten)]
    pub ledger: LedgerPlace,
    /// The entry to export (`sigstore`, `dsse`).
    #[arg(long, required_if_eq_any([("format", "sigstore"), ("format", "dsse")]))]
    pub entry: Option<u64>,
    /// First entry (`ndjson`).
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Entry after the last one (`ndjson`).
    #[arg(long)]
    pub until: Option<u64>,
    /// File, or for `tiles` new directory, to write; standard output when left out.
    #[arg(long, required_if_eq("format", "tiles"))]
    pub to: Option<PathBuf>,
}

/// A form that other tools read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// C2SP tlog-tiles with entry bundles, blobs and checkpoint: everything an auditor needs.
    Tiles,
    /// One entry as a Sigstore bundle, for cosign.
    Sigstore,
    /// One entry as it is signed and hashed: a DSSE envelope.
    Dsse,
    /// One line for each entry with its in-toto statement.
    Ndjson,
}
