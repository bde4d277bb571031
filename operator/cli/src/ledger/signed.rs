//! The published checkpoint, and whose signature it carries.

use penin_ledger::note::Checkpoint;
use penin_ledger::verify::{Published, Signature, published_checkpoint};
use penin_ledger::{Policy, Source};

use crate::{CommandError, Exit};

/// The published checkpoint, if there is one. Read it before the size of the ledger, which may grow.
pub struct Signed {
    published: Option<Published>,
    /// Whether a policy names the keys.
    pub pinned: bool,
}

impl Signed {
    /// Reads it, and checks its signature.
    pub fn read(source: &Source, policy: Option<&Policy>) -> Result<Self, CommandError> {
        Ok(Self {
            published: published_checkpoint(source, policy)?,
            pinned: policy.is_some(),
        })
    }

    /// What it claims; nothing when it is not signed by the log's key.
    pub fn claimed(&self) -> Option<&Checkpoint> {
        let published = self.published.as_ref()?;
        let refused = matches!(published.signature, Signature::Refused(_));
        published.claimed.as_ref().filter(|_| !refused)
    }

    /// The note as it stands there.
    pub fn note(&self) -> Option<&str> {
        self.published.as_ref().map(|published| published.note.as_str())
    }

    /// Whether the log's key signed it; nothing when there is none, or nobody can say.
    pub fn is_signed(&self) -> Option<bool> {
        match self.published.as_ref()?.signature {
            Signature::Genuine => Some(true),
            Signature::Refused(_) => Some(false),
            Signature::Unknown => None,
        }
    }

    /// By whose key, in words; nothing when there is no checkpoint.
    pub fn words(&self) -> Option<String> {
        let whose = if self.pinned {
            "the key of the policy"
        } else {
            "the ledger's own key"
        };
        Some(match &self.published.as_ref()?.signature {
            Signature::Genuine if self.pinned => format!("by {whose}"),
            Signature::Genuine => format!("by {whose} (give --policy to pin it)"),
            Signature::Refused(why) => format!("not by {whose}: {why}"),
            Signature::Unknown => "nobody can say by whom: the first entry is missing (give --policy)".to_owned(),
        })
    }

    /// What the signature alone comes to.
    pub fn exit(&self) -> Exit {
        match self.published.as_ref().map(|published| &published.signature) {
            Some(Signature::Refused(_)) => Exit::Tampered,
            Some(Signature::Unknown) => Exit::Incomplete,
            Some(Signature::Genuine) | None => Exit::Ok,
        }
    }
}
