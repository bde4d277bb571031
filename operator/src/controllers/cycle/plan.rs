//! What one pass wants: a value that can be compared, printed and explained, and that does nothing by itself.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use penin_api::conditions::Reason;
use penin_api::foreign::HttpRoute;
use penin_ledger::Digest;
use penin_ledger::entry::{Basis, Draft, StateUpdate};

use super::book::{Book, Verdict};
use super::judged::Judged;
use super::position::Position;

/// The result of deciding: at most one thing to do, and what to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The one thing to do.
    pub action: Action,
    /// What the object is doing or waiting for.
    pub step: Step,
    /// The reason shown in conditions.
    pub reason: Reason,
    /// One sentence for people.
    pub message: String,
    /// When to look again if nothing happens before.
    pub recheck: Duration,
    /// Timers of the life under way, as they are to be remembered.
    pub position: Position,
    /// The judgement made in this pass, if one was made.
    pub judged: Option<Judged>,
    /// Set when a life ends although the ledger cannot even be read: the Challenger's status has to remember it.
    pub withdrawn: Option<Verdict>,
}

/// What a cycle or a challenger is doing. Every waiting step has a deadline; see `life.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The specification or something that it names cannot be used.
    Blocked,
    /// The champion's pods, Service and route are being made.
    Adopting,
    /// Nothing is under way.
    Idle,
    /// The challenger's pods are being started.
    StartingPods,
    /// The challenger enters the route, at weight 0.
    EnteringRoute,
    /// The mirror is being switched on.
    StartingMirror,
    /// Mirrored requests are being judged.
    Shadowing,
    /// The mirror is being switched off, and seen to be off.
    StoppingMirror,
    /// A weight has been granted and is being written and observed.
    Shifting,
    /// The written weight is being compared with the measured share.
    MeasuringShare,
    /// Live requests are being judged.
    Observing,
    /// The challenger is being brought to the champion's capacity.
    AddingCapacity,
    /// All traffic goes to the new champion; the former one is warm.
    Watching,
    /// Traffic is being taken away.
    Withdrawing,
    /// No new requests arrive; the last ones are being finished.
    Draining,
    /// Pods and Services that serve nobody are being removed.
    CleaningUp,
    /// The object is being deleted.
    Releasing,
}

/// At most one external change.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing to do in this pass.
    None,
    /// Append to the ledger. Never together with a write: what follows from an entry is done by a later pass,
    /// which reads the entry back.
    Record(Box<Record>),
    /// Change one object of the cluster.
    Write(Box<Write>),
    /// Fetch evidence and decide again with it.
    Measure(Measure),
}

/// An entry to append and the book that it leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The entry.
    pub draft: Draft,
    /// The book after it; stored in the same transaction. None removes the book (the cycle is gone).
    pub book: Option<Book>,
    /// Set when the entry takes traffic away: it may then be queued instead of appended, and the withdrawal goes on.
    pub withdrawal: Option<Verdict>,
}

impl Record {
    /// The draft as the ledger takes it: with the book after it, and only if the book before it is still `before`, the
    /// digest of the one that was read.
    ///
    /// # Errors
    /// When the book cannot be serialised.
    pub fn complete(&self, key: &str, before: Option<Digest>) -> Result<Draft, super::book::BookError> {
        let value = self.book.as_ref().map(Book::to_bytes).transpose()?.unwrap_or_default();
        let mut draft = self.draft.clone();
        draft.state = vec![StateUpdate {
            key: key.to_owned(),
            value,
        }];
        draft.basis = vec![Basis {
            key: key.to_owned(),
            sha256: before,
        }];
        Ok(draft)
    }
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of them in a pass, and it is boxed"
)]
pub enum Write {
    /// Create a revision's Deployment.
    CreateDeployment(Deployment),
    /// Set the size of a revision's Deployment.
    ScaleDeployment {
        /// Name of the Deployment.
        name: String,
        /// Wanted replicas.
        replicas: i32,
    },
    /// Delete a revision's Deployment.
    DeleteDeployment {
        /// Name of the Deployment.
        name: String,
        /// Its uid: a precondition.
        uid: String,
    },
    /// Create a revision's Service.
    CreateService(Service),
    /// Delete a revision's Service.
    DeleteService {
        /// Name of the Service.
        name: String,
        /// Its uid: a precondition.
        uid: String,
    },
    /// Create or replace our route.
    Route {
        /// The whole object as it is to be.
        desired: HttpRoute,
        /// The object as it was read; its resourceVersion is the precondition. None: it does not exist.
        current: Option<HttpRoute>,
        /// Set when somebody else had changed it: what was found.
        repaired: Option<String>,
    },
    /// Make what an earlier cycle left behind ours: nothing but its owner changes.
    Claim {
        /// What kind of object.
        kind: ReleasedKind,
        /// Its name.
        name: String,
        /// Its uid: a precondition.
        uid: String,
    },
    /// Drop our owner reference, so that the object outlives the cycle.
    Release {
        /// What kind of object.
        kind: ReleasedKind,
        /// Its name.
        name: String,
        /// Uid of the cycle whose reference is dropped.
        owner_uid: String,
    },
    /// Add our finalizer to the cycle.
    AddCycleFinalizer,
    /// Remove our finalizer from the cycle.
    RemoveCycleFinalizer,
    /// Add our finalizer to a Challenger.
    AddChallengerFinalizer {
        /// Its name.
        name: String,
    },
    /// Remove our finalizer from a Challenger.
    RemoveChallengerFinalizer {
        /// Its name.
        name: String,
    },
}

/// Kinds that `deletionPolicy: Orphan` leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasedKind {
    /// The route.
    Route,
    /// The champion's Service.
    Service,
    /// The champion's Deployment.
    Deployment,
}

/// What evidence a judgement needs. All of it is measured at one pinned time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The revision that is judged.
    pub candidate: String,
    /// The revision that it is compared with; None when nothing else serves.
    pub reference: Option<String>,
    /// Whether the candidate's requests are copies of the reference's.
    pub mirrored: bool,
    /// Whether the candidate's pods were started inside the quality window.
    pub born_inside: bool,
    /// Traffic evidence counts from here.
    pub traffic_since: Timestamp,
    /// Quality evidence counts from here.
    pub quality_since: Timestamp,
    /// The end of every window.
    pub until: Timestamp,
}

impl Plan {
    /// A plan that does nothing but wait.
    #[must_use]
    pub fn wait(step: Step, reason: Reason, message: impl Into<String>, recheck: Duration, position: Position) -> Self {
        Self {
            action: Action::None,
            step,
            reason,
            message: message.into(),
            recheck,
            position,
            judged: None,
            withdrawn: None,
        }
    }

    /// A plan with one write. The next pass follows from the write's own watch event; the recheck is the safety net.
    #[must_use]
    pub fn write(step: Step, message: impl Into<String>, write: Write, position: Position) -> Self {
        Self {
            action: Action::Write(Box::new(write)),
            step,
            reason: Reason::Progressing,
            message: message.into(),
            recheck: Duration::from_secs(1),
            position,
            judged: None,
            withdrawn: None,
        }
    }

    /// A plan with one ledger entry.
    #[must_use]
    pub fn record(step: Step, reason: Reason, message: impl Into<String>, record: Record, position: Position) -> Self {
        Self {
            action: Action::Record(Box::new(record)),
            step,
            reason,
            message: message.into(),
            recheck: Duration::ZERO,
            position,
            judged: None,
            withdrawn: None,
        }
    }

    /// A plan that asks for evidence first.
    #[must_use]
    pub fn measure(step: Step, measure: Measure, position: Position) -> Self {
        Self {
            action: Action::Measure(measure),
            step,
            reason: Reason::Progressing,
            message: "Evidence is being read".to_owned(),
            recheck: Duration::from_secs(1),
            position,
            judged: None,
            withdrawn: None,
        }
    }

    /// The same plan, with the end of a life that the Challenger's status is to remember.
    #[must_use]
    pub fn withdrawing(mut self, verdict: Verdict) -> Self {
        self.withdrawn = Some(verdict);
        self
    }

    /// The same plan with a judgement attached.
    #[must_use]
    pub fn with_judgement(mut self, judged: Judged) -> Self {
        self.judged = Some(judged);
        self
    }
}
