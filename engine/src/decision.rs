//! The vocabulary of decisions: what a cycle or a league decided, why, on what, in which stage, and where traffic goes.
//!
//! All of them are closed sets; their text forms are recorded, hashed and used as metric labels.

use std::borrow::Cow;
use std::fmt;

use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::gates::GateName;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// The challenger becomes the champion.
    Promote,
    /// The challenger may take its first live traffic.
    Canary,
    /// Nothing changes; evidence is incomplete or nothing is to be decided.
    Hold,
    /// A challenger without live traffic is refused.
    Reject,
    /// A challenger with live traffic is withdrawn.
    Rollback,
    /// Risk or guard stopped the cycle.
    Abort,
    /// Evidence was stand-in data; the champion serves.
    Fallback,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 7] = [
        Self::Promote,
        Self::Canary,
        Self::Hold,
        Self::Reject,
        Self::Rollback,
        Self::Abort,
        Self::Fallback,
    ];

    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "Promote",
            Self::Canary => "Canary",
            Self::Hold => "Hold",
            Self::Reject => "Reject",
            Self::Rollback => "Rollback",
            Self::Abort => "Abort",
            Self::Fallback => "Fallback",
        }
    }

    /// Where live traffic goes after this decision. Only `Promote` and `Canary` ever raise the challenger's share.
    #[must_use]
    pub const fn traffic(self) -> Traffic {
        match self {
            Self::Promote => Traffic::Challenger,
            Self::Canary => Traffic::Canary,
            Self::Hold => Traffic::Keep,
            Self::Reject | Self::Rollback | Self::Abort | Self::Fallback => Traffic::Champion,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where live traffic goes after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Traffic {
    /// All of it to the challenger, which is the champion from now on.
    Challenger,
    /// The canary share to the challenger, the rest to the champion.
    Canary,
    /// As before.
    Keep,
    /// All of it to the champion.
    Champion,
}

/// Life stage of the candidate that a cycle judges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// No traffic is involved; the league is not asked.
    #[default]
    Direct,
    /// Mirrored traffic only.
    Shadow,
    /// A small live share.
    Canary,
    /// Promoted and observed; a failure restores the state before the promotion.
    Watch,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Shadow, Self::Canary, Self::Watch];

    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Watch => "watch",
        }
    }

    /// What a failed gate leads to: a candidate with live traffic is rolled back, one without is rejected.
    #[must_use]
    pub const fn refusal(self) -> Decision {
        match self {
            Self::Canary | Self::Watch => Decision::Rollback,
            Self::Direct | Self::Shadow => Decision::Reject,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a cycle decided as it did: one reason per row of the decision table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CycleReason {
    /// A risk gate failed.
    Risk,
    /// A guard gate failed.
    SigmaGuard,
    /// A plugin or provider answered with stand-in data.
    StubEvidence,
    /// The first usable L∞ became the reference.
    BaselineRecorded,
    /// A required gate could not be decided.
    EvidenceUnknown,
    /// A required promotion gate failed.
    GatesFailed,
    /// The cycle's inputs were perturbed on purpose.
    ChaosInjected,
    /// The promoted candidate passed its watch.
    WatchPassed,
    /// All gates passed, but the step would not move the state forward.
    NonPositiveStep,
    /// All gates passed under mirrored traffic.
    ShadowPassed,
    /// All gates passed.
    AllGatesPassed,
}

impl CycleReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Risk,
        Self::SigmaGuard,
        Self::StubEvidence,
        Self::BaselineRecorded,
        Self::EvidenceUnknown,
        Self::GatesFailed,
        Self::ChaosInjected,
        Self::WatchPassed,
        Self::NonPositiveStep,
        Self::ShadowPassed,
        Self::AllGatesPassed,
    ];

    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Risk => "RISK",
            Self::SigmaGuard => "SIGMA_GUARD",
            Self::StubEvidence => "STUB_EVIDENCE",
            Self::BaselineRecorded => "BASELINE_RECORDED",
            Self::EvidenceUnknown => "EVIDENCE_UNKNOWN",
            Self::GatesFailed => "GATES_FAILED",
            Self::ChaosInjected => "CHAOS_INJECTED",
            Self::WatchPassed => "WATCH_PASSED",
            Self::NonPositiveStep => "NON_POSITIVE_STEP",
            Self::ShadowPassed => "SHADOW_PASSED",
            Self::AllGatesPassed => "ALL_GATES_PASSED",
        }
    }
}

impl fmt::Display for CycleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a decision rests on: a gate or check, or L∞ itself where there is no gate for it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A gate or a league check.
    Gate(GateName),
    /// The inputs of L∞ were unusable, so that no baseline could be recorded.
    Linf,
}

impl Cause {
    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate(name) => name.as_str(),
            Self::Linf => "linf",
        }
    }
}

impl From<GateName> for Cause {
    fn from(name: GateName) -> Self {
        Self::Gate(name)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        if text == Self::Linf.as_str() {
            return Ok(Self::Linf);
        }
        GateName::deserialize(text.as_ref().into_deserializer()).map(Self::Gate)
    }
}
