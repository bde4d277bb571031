//! What the ledger knows about one cycle: the record from which a life continues.
//!
//! The book is stored in the ledger's transaction, together with the entry that changed it, so neither exists
//! without the other. Everything else that a pass needs is read from the cluster. The book says how far a
//! challenger *may* go (its [`Grant`]); the route says how far it *is*; a pass moves the second towards the first.
//! After a crash at any point the next pass therefore finds the same grant and goes on.

use jiff::Timestamp;
use penin_engine::config::Config;
use penin_engine::decision::Decision;
use penin_engine::num::Num;
use penin_engine::{league, master};
use serde::{Deserialize, Serialize};

use crate::scoring::Measured;
use crate::workload::Revision;

/// Layout of the stored book. A book of another format is refused rather than guessed at.
pub const FORMAT: u32 = 1;

/// A revision: one resolved pod template, by the name of its objects and the digest of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevisionRef {
    /// Name of the revision's Deployment and Service, `<cycle>-<10 hex>`.
    pub name: String,
    /// Lowercase hexadecimal SHA-256 of the canonical JSON of the resolved pod template.
    pub digest: String,
}

impl RevisionRef {
    /// The reference to a resolved template.
    #[must_use]
    pub fn of(revision: &Revision) -> Self {
        Self {
            name: revision.name.clone(),
            digest: revision.digest.to_string(),
        }
    }
}

/// The Challenger object that a life belongs to. The uid tells it from a later object of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChallengerRef {
    /// Name in the cycle's namespace.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// How a life ended, or is ending. It follows traffic, not opinion: see [`Verdict::of_end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Refused before any live request.
    Rejected,
    /// Taken back after it had live traffic.
    RolledBack,
    /// Ended by a person.
    Aborted,
    /// It is the champion, and its watch has passed.
    Promoted,
}

impl Verdict {
    /// The verdict of a life that ends without promotion.
    #[must_use]
    pub const fn of_end(had_live_traffic: bool) -> Self {
        if had_live_traffic {
            Self::RolledBack
        } else {
            Self::Rejected
        }
    }
}

/// How far the ledger has allowed a challenger to go. Each grant was written as an entry before anything follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum Grant {
    /// Pods and mirrored traffic. Opened by the INTENT entry.
    Shadow,
    /// Live traffic of one canary step.
    Step {
        /// Position in `spec.canary.steps`, from 0.
        index: usize,
        /// Live share in percent, frozen when the step was granted: a later edit of the cycle holds from the next step.
        weight: u8,
    },
    /// All traffic; the former champion stays warm. Opened by `PROMOTE_ATTEST`.
    Promotion,
    /// No traffic, for ever.
    Withdrawn {
        /// How the life ended.
        verdict: Verdict,
    },
    /// The watch has passed; the former champion may go.
    Settled,
}

impl Grant {
    /// Whether a challenger with this grant may get live requests.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Step { .. } | Self::Promotion | Self::Settled)
    }

    /// Whether only cleaning up is left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Withdrawn { .. } | Self::Settled)
    }
}

/// One challenger's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Life {
    /// Whose life.
    pub challenger: ChallengerRef,
    /// What it runs. Frozen when the Challenger was accepted.
    pub revision: RevisionRef,
    /// How far it may go.
    pub grant: Grant,
    /// When the grant was given: deadlines count from here.
    pub granted_at: Timestamp,
    /// When the life began: quality evidence accumulates from here.
    pub began_at: Timestamp,
    /// Whether live traffic was ever granted. Never unset.
    pub had_live_traffic: bool,
    /// Whether the effect of the present grant was observed and recorded in an OUTCOME entry.
    pub effect_recorded: bool,
    /// The champion before the promotion; present from the promotion until the end of the life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_champion: Option<RevisionRef>,
    /// Evidence of the former champion, frozen with the promotion decision: in the watch it has no traffic to measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_reference: Option<Measured>,
}

/// The record of one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Book {
    /// [`FORMAT`].
    pub format: u32,
    /// State of the Master Equation.
    pub engine: master::State,
    /// State of the league.
    pub league: league::LeagueState,
    /// Who serves. A pointer, not a label: a promotion moves it without touching a pod.
    pub champion: RevisionRef,
    /// Revision name of the target's template at the adoption: a change of the target is a difference from it.
    #[serde(default)]
    pub adopted_target: Option<String>,
    /// The challenger under way; at most one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<Life>,
    /// Challengers whose lives are over, newest last, [`MOST_ENDED`] at most. A Challenger in this list never begins
    /// again, even if its status was not written when its life ended.
    #[serde(default)]
    pub ended: Vec<Ended>,
    /// Templates that were refused or taken back, newest last, [`MOST_FAILED`] at most. None of them is tried again
    /// until somebody asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// Digest of the configuration that the newest entry about one is of; none in a book of an operator that recorded
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// Whether the newest entry about a suspension says that it has begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// Most entries of [`Book::failed`]; what failed longer ago is forgotten.
pub const MOST_FAILED: usize = 20;

/// A template whose life ended without promotion, and not by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failed {
    /// Which.
    pub revision: RevisionRef,
    /// Id of the command by which it was tried again last. It is good for no other try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
}

/// Most entries of [`Book::ended`]. Each pass writes the missing phases of all of them, so older ones have theirs.
pub const MOST_ENDED: usize = 64;

/// A life that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ended {
    /// Whose.
    pub challenger: ChallengerRef,
    /// How it ended.
    pub verdict: Verdict,
}

/// The book cannot be used. Nothing is raised; what is live is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The bytes are no book.
    #[error(
        "the stored state of this cycle cannot be read: {0}; restore the ledger's volume from a copy that verifies"
    )]
    Unreadable(String),
    /// The book was written by another version of the operator.
    #[error("the stored state has format {found}, this operator knows {FORMAT}; run the operator that wrote it")]
    Format {
        /// The format found.
        found: u64,
    },
    /// The engine refuses its own part.
    #[error("the stored engine state is invalid: {0}")]
    Engine(String),
}

impl Book {
    /// Reads a stored book and validates the engine's part of it against `config`.
    ///
    /// # Errors
    /// [`BookError`] when the bytes are unreadable, of another format, or hold an invalid engine state.
    pub fn parse(bytes: &[u8]) -> Result<Self, BookError> {
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| BookError::Unreadable(error.to_string()))?;
        let found = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if found != u64::from(FORMAT) {
            return Err(BookError::Format { found });
        }
        serde_json::from_value(value).map_err(|error| BookError::Unreadable(error.to_string()))
    }

    /// The bytes to store.
    ///
    /// # Errors
    /// When a number of the state is not finite, which the engine excludes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BookError> {
        serde_json::to_vec(self).map_err(|error| BookError::Unreadable(error.to_string()))
    }

    /// How the life of a Challenger ended, if it did.
    #[must_use]
    pub fn ended(&self, uid: &str) -> Option<Verdict> {
        self.ended
            .iter()
            .find(|ended| ended.challenger.uid == uid)
            .map(|ended| ended.verdict)
    }

    /// How a template failed before, if it did.
    #[must_use]
    pub fn failure(&self, digest: &str) -> Option<&Failed> {
        self.failed.iter().find(|failed| failed.revision.digest == digest)
    }

    /// Remembers a template that failed as the newest one; the id of its last retry stays with it.
    pub fn remember_failure(&mut self, revision: &RevisionRef) {
        let retry = self.failure(&revision.digest).and_then(|failed| failed.retry.clone());
        self.forget_failure(revision);
        self.failed.push(Failed {
            revision: revision.clone(),
            retry,
        });
        let surplus = self.failed.len().saturating_sub(MOST_FAILED);
        self.failed.drain(..surplus);
    }

    fn forget_failure(&mut self, revision: &RevisionRef) {
        self.failed.retain(|failed| failed.revision.digest != revision.digest);
    }

    /// Closes the life: nothing of it is left in the route.
    pub fn close(&mut self) {
        let Some(life) = self.life.take() else { return };
        let verdict = match life.grant {
            Grant::Withdrawn { verdict } => verdict,
            Grant::Settled => Verdict::Promoted,
            _ => Verdict::of_end(life.had_live_traffic),
        };
        if verdict == Verdict::Promoted {
            self.forget_failure(&life.revision);
        }
        self.ended.push(Ended {
            challenger: life.challenger,
            verdict,
        });
        let surplus = self.ended.len().saturating_sub(MOST_ENDED);
        self.ended.drain(..surplus);
    }

    /// Hash of the engine's evolving state, as it stands in attestations and in the cycle's status.
    ///
    /// # Errors
    /// [`BookError::Engine`] when the state has no canonical form.
    pub fn state_hash(&self) -> Result<String, BookError> {
        self.engine
            .hash()
            .map(|hash| hash.to_string())
            .map_err(|error| BookError::Engine(error.to_string()))
    }

    /// Takes the challenger out of the league, whatever stage it is in.
    pub fn leave_league(&mut self, now_ms: u64) {
        let command = league::Command {
            decision: Decision::Rollback,
            reason: "WITHDRAWN",
            causes: &[],
            challenger_linf: Num::MISSING,
            now_ms: now_ms.max(self.league.stage_start_ms),
        };
        if let Ok(config) = Config::from_json(&serde_json::json!({}))
            && let Ok((league, _)) = league::apply(&config, &self.league, &command)
        {
            self.league = league;
        }
    }
}
