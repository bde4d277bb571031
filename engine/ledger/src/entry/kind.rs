//! The closed set of entry kinds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an entry records. The set is closed: a reader that meets another kind refuses the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// First entry: origin, format version, public keys, link to the previous generation.
    Genesis,
    /// A process with a new epoch became the writer.
    Leader,
    /// A configuration came into force.
    Config,
    /// A workload was adopted: its first revision serves.
    Adopt,
    /// An effect on traffic is about to be attempted.
    Intent,
    /// Gates were evaluated; the body or a blob holds the full trace.
    GateEval,
    /// The decision to promote, with pre- and post-state hashes. Exactly one for each promotion.
    PromoteAttest,
    /// What was observed after an effect.
    Outcome,
    /// A challenger was refused before it had live traffic.
    Rejection,
    /// A challenger lost its live traffic.
    Rollback,
    /// A person ended a challenger before its course was run: by a command, or by deleting it.
    Override,
    /// The keys change; signed by the old attestation key.
    KeyRotate,
    /// A claimed time ran backwards.
    Clock,
    /// Something was repaired at start, and what.
    Recovery,
    /// The generation is sealed; nothing follows.
    Archive,
    /// States that the generation before left behind, at the start of the next.
    Carry,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::Genesis,
        Self::Leader,
        Self::Config,
        Self::Adopt,
        Self::Intent,
        Self::GateEval,
        Self::PromoteAttest,
        Self::Outcome,
        Self::Rejection,
        Self::Rollback,
        Self::Override,
        Self::KeyRotate,
        Self::Clock,
        Self::Recovery,
        Self::Archive,
        Self::Carry,
    ];

    /// The name as written in entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Genesis => "GENESIS",
            Self::Leader => "LEADER",
            Self::Config => "CONFIG",
            Self::Adopt => "ADOPT",
            Self::Intent => "INTENT",
            Self::GateEval => "GATE_EVAL",
            Self::PromoteAttest => "PROMOTE_ATTEST",
            Self::Outcome => "OUTCOME",
            Self::Rejection => "REJECTION",
            Self::Rollback => "ROLLBACK",
            Self::Override => "OVERRIDE",
            Self::KeyRotate => "KEY_ROTATE",
            Self::Clock => "CLOCK",
            Self::Recovery => "RECOVERY",
            Self::Archive => "ARCHIVE",
            Self::Carry => "CARRY",
        }
    }

    /// Whether only the ledger itself writes this kind; a draft of it is refused.
    #[must_use]
    pub const fn is_internal(self) -> bool {
        matches!(
            self,
            Self::Genesis | Self::Leader | Self::KeyRotate | Self::Clock | Self::Recovery | Self::Archive | Self::Carry
        )
    }

    /// Whether an acknowledgement also waits for the second copy (the entry bundle) to be durable.
    #[must_use]
    pub const fn needs_second_copy(self) -> bool {
        matches!(self, Self::PromoteAttest | Self::Rollback | Self::Override)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name outside the closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown entry kind {0:?}")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_every_form() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::json!(kind), kind.as_str());
        }
        assert!("genesis".parse::<Kind>().is_err());
    }
}
