//! Why a ledger cannot take promotions: a closed set of reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::anchor::Head;

/// Why the ledger refuses or waits. Written in conditions as it stands here; the set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The anchor cannot be reached; entries are durable but not acknowledged.
    AnchorUnavailable,
    /// The ledger has entries but there is no anchor: it was deleted.
    AnchorMissing,
    /// The anchor is older than a checkpoint that was already signed: it was edited or restored.
    AnchorRolledBack,
    /// Another writer moved the anchor, or a newer epoch wrote.
    Fenced,
    /// The volume holds less than the anchor: an older copy was restored or the tail was cut.
    RolledBack,
    /// The entries up to the anchored size are not those that were anchored.
    Forked,
    /// An entry, a blob or the database itself is damaged.
    Damaged,
    /// The anchor names entries, but the volume is empty.
    VolumeEmpty,
    /// The volume or its files were exchanged while the ledger was open.
    VolumeReplaced,
    /// The file system gives no lasting or exclusive storage.
    VolumeUnsuitable,
    /// There is no space left.
    StorageFull,
    /// A write or flush failed; what is on disk is unknown until the ledger is opened again.
    StorageFailed,
    /// Another process holds the volume.
    Locked,
    /// The keys are not those of this ledger.
    KeyMismatch,
    /// The volume or the anchor belongs to a ledger with another origin.
    OriginMismatch,
    /// Written by a newer version of the format.
    UnknownFormat,
    /// A claimed time is behind the last entry's.
    ClockBehind,
    /// The generation is sealed by an archive entry.
    Sealed,
    /// The ledger was closed.
    Stopped,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::AnchorUnavailable,
        Self::AnchorMissing,
        Self::AnchorRolledBack,
        Self::Fenced,
        Self::RolledBack,
        Self::Forked,
        Self::Damaged,
        Self::VolumeEmpty,
        Self::VolumeReplaced,
        Self::VolumeUnsuitable,
        Self::StorageFull,
        Self::StorageFailed,
        Self::Locked,
        Self::KeyMismatch,
        Self::OriginMismatch,
        Self::UnknownFormat,
        Self::ClockBehind,
        Self::Sealed,
        Self::Stopped,
    ];

    /// The name, as in conditions and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AnchorUnavailable => "AnchorUnavailable",
            Self::AnchorMissing => "AnchorMissing",
            Self::AnchorRolledBack => "AnchorRolledBack",
            Self::Fenced => "Fenced",
            Self::RolledBack => "RolledBack",
            Self::Forked => "Forked",
            Self::Damaged => "Damaged",
            Self::VolumeEmpty => "VolumeEmpty",
            Self::VolumeReplaced => "VolumeReplaced",
            Self::VolumeUnsuitable => "VolumeUnsuitable",
            Self::StorageFull => "StorageFull",
            Self::StorageFailed => "StorageFailed",
            Self::Locked => "Locked",
            Self::KeyMismatch => "KeyMismatch",
            Self::OriginMismatch => "OriginMismatch",
            Self::UnknownFormat => "UnknownFormat",
            Self::ClockBehind => "ClockBehind",
            Self::Sealed => "Sealed",
            Self::Stopped => "Stopped",
        }
    }

    /// Whether the open ledger recovers by itself once the cause is gone. Otherwise it has to be opened again.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::AnchorUnavailable | Self::StorageFull | Self::ClockBehind)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reason with what exactly was found and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// What was found, where, and what to do.
    pub detail: String,
}

impl Failure {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// The condition of an open ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Why it takes no promotions; `None` when it is well.
    pub failure: Option<Failure>,
    /// The last anchored head.
    pub head: Head,
    /// Entries committed to the database, anchored or not.
    pub committed: u64,
    /// Drafts that wait in the queue.
    pub queued: usize,
    /// Rollback drafts that wait for the ledger to be well, on disk.
    pub rollbacks_on_disk: usize,
    /// Rollback drafts that wait in memory because the disk did not take them: lost if the process ends.
    pub rollbacks_in_memory: usize,
    /// Lines of the rollback queues that were no drafts when the ledger was opened; kept beside them in
    /// `rollbacks.damaged`.
    pub rollbacks_damaged: usize,
    /// What went wrong when the published copy (tiles, bundles, checkpoint) was last written; it is retried.
    pub publication_error: Option<String>,
}

impl Health {
    /// Whether promotions may be recorded.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.failure.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_serialised_form() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::json!(reason), reason.as_str());
        }
    }
}
