//! Everything that one pass reads, as plain data. Nothing is decided here and nothing is read later.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_api::foreign::HttpRoute;
use penin_api::v1alpha1::challenger::Proposal;
use penin_api::v1alpha1::{ChallengerPhase, ChallengerStatus};
use penin_engine::config::Config;
use penin_ledger::Digest;

use super::book::{Book, BookError};
use super::position::Position;
use super::selectors::SelectorConflict;
use super::settings::Settings;
use crate::adapters::traffic::{Conflict, WarmToken};
use crate::scoring::Evidence;
use crate::workload::{Home, PodRequests, Revision, Rollout};

/// Identity of the cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// Where owned objects live and what they refer to.
    pub home: Home,
}

impl CycleKey {
    /// `namespace/name`, as it stands in ledger entries.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Key of the book in the ledger's state.
    #[must_use]
    pub fn state_key(&self) -> String {
        format!("cycle/{}", self.uid)
    }
}

/// The ledger, as far as a decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerView {
    /// Its origin line: what tells it from the ledgers of other operators.
    pub origin: String,
    /// None when entries can be appended; otherwise why not.
    pub problem: Option<String>,
    /// Whether the problem is that volume and anchor contradict each other: waiting does not help.
    pub corrupt: bool,
    /// Why promotions are refused for their time, although everything else is recorded.
    pub clock_behind: Option<String>,
    /// What went wrong when the published copy was last written; it stops nothing.
    pub publication: Option<String>,
}

/// Why the target cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TargetProblem {
    /// Whether it is missing, or cannot be copied.
    pub reason: Reason,
    /// What is wrong, with the field.
    pub message: String,
}

/// The workload that the cycle was made for.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its pod template, resolved into a revision.
    pub revision: Revision,
    /// When its pods count as available.
    pub rollout: Rollout,
}

/// One Challenger of this cycle, in creation order.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Creation time.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it carries our finalizer.
    pub has_finalizer: bool,
    /// The phase in its status.
    pub phase: Option<ChallengerPhase>,
    /// An end that was decided while the ledger could not record it.
    pub pending_withdrawal: Option<ChallengerPhase>,
    /// Id of an unacknowledged abort command on the Challenger.
    pub abort: Option<String>,
    /// Id of an unacknowledged abort command on the cycle.
    pub cycle_abort: Option<String>,
    /// Id by which another try of a template that failed before is asked for.
    pub retry: Option<String>,
    /// Who asks for the abort, as the annotation says.
    pub abort_actor: Option<String>,
    /// What its author expects of it, for the record alone.
    pub proposal: Option<Proposal>,
    /// What it would run, or why it can run nothing.
    pub revision: Result<Revision, String>,
    /// Timers from its status.
    pub position: Position,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its status as it was read.
    pub status: ChallengerStatus,
}

impl Candidate {
    /// Whether its life is over: by its status or, if that was not written in time, by the book.
    #[must_use]
    pub fn is_over(&self, book: &Book) -> bool {
        self.phase.is_some_and(ChallengerPhase::is_final) || book.ended(&self.uid).is_some()
    }
}

/// The objects of one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RevisionView {
    /// The Deployment, if it exists.
    pub deployment: Option<DeploymentView>,
    /// The Service's uid, if it exists and is owned by this cycle.
    pub service_uid: Option<String>,
    /// Uid of a Service of the revision's name that an earlier cycle left behind as we made it.
    pub left_service_uid: Option<String>,
    /// Endpoints that are ready and not terminating.
    pub ready_endpoints: u32,
}

/// A revision's Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentView {
    /// Uid.
    pub uid: String,
    /// `spec.replicas`.
    pub replicas: i32,
    /// Creation time.
    pub created: Timestamp,
    /// Whether it is owned by this cycle.
    pub ours: bool,
    /// Whether an earlier cycle of the same name left it behind.
    pub left: bool,
    /// Digest of its template as it stands now.
    pub digest: Option<String>,
    /// Processor (cores) and memory (bytes) limits of one pod; none when a container has none.
    pub limits: (Option<f64>, Option<f64>),
    /// Why pods are not starting, from the Deployment's conditions.
    pub problem: Option<String>,
    /// What one pod requests, when every container declares it.
    pub requests: Option<PodRequests>,
}

/// The gates that bind this cycle, combined.
#[derive(Clone, Debug, PartialEq)]
pub struct Gates {
    /// The engine's configuration, or what is wrong with it.
    pub config: Result<Config, Vec<String>>,
    /// Declared facts (consent, eco) and notes for the record.
    pub declared: crate::scoring::Declared,
    /// Where each score comes from.
    pub scores: crate::scoring::ScoreSettings,
    /// Gates that were asked for and found.
    pub answered: crate::scoring::Checks,
    /// Names of the gates that were combined.
    pub names: Vec<String>,
    /// Names of the gates that the cycle asks for and that do not exist.
    pub missing: Vec<String>,
}

impl Gates {
    /// The reason to give while [`Gates::config`] holds problems.
    #[must_use]
    pub fn reason(&self) -> Reason {
        if self.missing.is_empty() {
            Reason::GateInvalid
        } else {
            Reason::GateNotFound
        }
    }
}

/// What the cycle's own status remembers of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Engine cycle number.
    pub cycle: Option<u64>,
    /// Hash of the evolving state.
    pub state_hash: Option<String>,
    /// The champion's revision.
    pub champion: Option<String>,
    /// Origin of the ledger whose operator wrote the status.
    pub origin: Option<String>,
    /// Live weight that the present grant allows the challenger, in per cent.
    pub wanted: u8,
    /// The revision that was champion before the promotion under watch.
    pub former: Option<String>,
}

/// One pass's view of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Which cycle.
    pub key: CycleKey,
    /// The parsed specification, or what is wrong with it.
    pub settings: Result<Settings, Vec<String>>,
    /// Whether the cycle is being deleted.
    pub deleting: bool,
    /// Whether the cycle carries our finalizer.
    pub has_finalizer: bool,
    /// Whether the ledger can be appended to.
    pub ledger: LedgerView,
    /// The book; None before adoption.
    pub book: Result<Option<Book>, BookError>,
    /// Digest of the book as it is stored: an entry of this pass is written only while that is the stored one.
    pub book_digest: Option<Digest>,
    /// What the status remembers.
    pub remembered: Remembered,
    /// The target, or why it cannot be used.
    pub target: Result<Target, TargetProblem>,
    /// Another cycle that manages the same target; asked before adoption alone.
    pub rival: Option<String>,
    /// Challengers that name this cycle, oldest first.
    pub candidates: Vec<Candidate>,
    /// Objects by revision name.
    pub revisions: BTreeMap<String, RevisionView>,
    /// Our route, if an object of that name exists.
    pub route: Option<HttpRoute>,
    /// A route that would take our traffic.
    pub conflict: Option<Conflict>,
    /// Services that reach revision pods past the route; asked in every pass.
    pub selector_conflict: Option<SelectorConflict>,
    /// The gates.
    pub gates: Gates,
    /// Fresh random token for a new warm rule; an existing route's token is kept.
    pub fresh_token: WarmToken,
    /// Evidence, when the first decision asked for it.
    pub evidence: Option<Evidence>,
}

impl Snapshot {
    /// Objects of a revision; an unknown name has none.
    #[must_use]
    pub fn revision(&self, name: &str) -> RevisionView {
        self.revisions.get(name).cloned().unwrap_or_default()
    }

    /// The candidate whose life the book holds.
    #[must_use]
    pub fn living(&self) -> Option<&Candidate> {
        let life = self.book.as_ref().ok()?.as_ref()?.life.as_ref()?;
        self.candidates
            .iter()
            .find(|candidate| candidate.uid == life.challenger.uid)
    }
}

/// Seconds between two looks at something that usually announces itself.
pub const SAFETY_RECHECK: Duration = Duration::from_mins(5);
