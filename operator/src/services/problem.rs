//! Why the ledger records nothing.

use penin_ledger::{Failure, Reason};

/// Why nothing can be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// In words.
    pub text: String,
    /// Whether volume, keys and anchor contradict each other.
    pub corrupt: bool,
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { text, corrupt: false }
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        Self {
            text: failure.to_string(),
            corrupt: matches!(
                failure.reason,
                Reason::AnchorMissing
                    | Reason::AnchorRolledBack
                    | Reason::RolledBack
                    | Reason::Forked
                    | Reason::Damaged
                    | Reason::VolumeEmpty
                    | Reason::VolumeReplaced
                    | Reason::KeyMismatch
                    | Reason::OriginMismatch
            ),
        }
    }
}
