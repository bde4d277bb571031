//! The closed sets of names that conditions use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines an enum whose variants are their own names on the wire.
macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All members of the set.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// The member with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.as_str() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_set! {
    /// What a condition is about.
    ConditionType {
        /// All kinds: the object does its work. The summary for people and for `kubectl wait`.
        Ready,
        /// All kinds: the operator is at work on a change (kstatus: `InProgress`).
        Reconciling,
        /// All kinds: the operator cannot go on by itself (kstatus: `Failed`).
        Stalled,
        /// All kinds: the spec is valid and its owner may have what it asks for.
        Accepted,
        /// Cycle: the champion serves all live traffic through the operator's route.
        Adopted,
        /// Cycle: target and gates exist and were read.
        ResolvedRefs,
        /// Cycle: the gateway confirmed the route at the generation that was written last.
        TrafficProgrammed,
        /// Cycle: all evidence sources answer with usable values.
        EvidenceAvailable,
        /// Cycle: decisions can be recorded durably. While `False`, nothing is promoted.
        LedgerAvailable,
        /// Cycle: the target's template differs from the one that was adopted or promoted last.
        TargetChanged,
        /// Cycle: `spec.suspend` holds every step up; steps down still happen.
        Suspended,
        /// Challenger: the stage on mirrored traffic was passed.
        ShadowCompleted,
        /// Challenger: all steps on live traffic were passed.
        CanaryCompleted,
        /// Challenger: every required gate passed at the last evaluation.
        GatesPassed,
        /// Challenger: it is the champion.
        Promoted,
        /// Challenger: it had live traffic, and was taken back.
        RolledBack,
    }
}

closed_set! {
    /// Why a condition has its status; also the reason of events and the label of metrics.
    Reason {
        /// The spec is valid.
        Accepted,
        /// The spec contradicts itself or something it refers to.
        InvalidSpec,
        /// All references were found.
        ResolvedRefs,
        /// The target Deployment does not exist.
        TargetNotFound,
        /// The target Deployment cannot be copied as it is.
        TargetInvalid,
        /// A gate of `gateRefs` does not exist.
        GateNotFound,
        /// Gates that bind the cycle cannot be combined, or one of them is not accepted.
        GateInvalid,
        /// The challenger's cycle does not exist.
        CycleNotFound,
        /// Another cycle manages the same target: it has adopted it, or is older.
        TargetConflict,
        /// An older route of others claims an overlapping host and path.
        RouteConflict,
        /// A Service selects pods of a revision, or would, so that requests reach them past the route.
        SelectorConflict,
        /// An object of the name we need exists and is not ours.
        NameConflict,
        /// The first revision is being brought into service.
        Adopting,
        /// The champion serves through the operator's route.
        Adopted,
        /// The target's template is the one that was adopted or promoted.
        TargetUnchanged,
        /// The target's template was changed.
        TargetChanged,
        /// The gateway confirmed the newest generation of the route.
        RouteAccepted,
        /// The gateway refused the route, or has not confirmed its newest generation.
        RouteNotAccepted,
        /// The measured share of traffic is outside the interval around the written weight.
        ShareMismatch,
        /// Neither side has a ready endpoint.
        NoHealthyBackend,
        /// Pods or endpoints are not ready.
        NotReady,
        /// Every source answered with usable values.
        EvidenceAvailable,
        /// An input has no usable value; the message says which and why.
        EvidenceUnknown,
        /// A source could not be reached, or answered with an error.
        SourceUnavailable,
        /// A metric or series does not exist.
        MetricMissing,
        /// A value is NaN or infinite.
        MetricNotFinite,
        /// The newest sample is too old.
        MetricStale,
        /// There are not enough samples yet.
        InsufficientSamples,
        /// The ledger can record decisions.
        LedgerAvailable,
        /// The ledger cannot record decisions: volume or anchor cannot be written.
        LedgerUnavailable,
        /// The ledger contradicts its anchor.
        LedgerCorrupt,
        /// The ledger takes an entry of this object at no time, as it is; the message says what is wrong with it.
        EntryRefused,
        /// The clock is behind the time of an entry: promotions are refused, everything else is recorded.
        ClockBehind,
        /// State in the API contradicts state in the ledger.
        StateMismatch,
        /// Waits for its turn behind another challenger.
        Queued,
        /// On its way; the message says which step.
        Progressing,
        /// The stage or step was passed.
        StagePassed,
        /// Not reached yet.
        Pending,
        /// Every required gate passed.
        GatesPassed,
        /// A required gate failed; the message names it, with value and bound.
        GateFailed,
        /// The champion's scores were recorded as the first reference.
        BaselineRecorded,
        /// The engine's exploration held this cycle on purpose.
        ChaosInjected,
        /// A wait exceeded its deadline.
        DeadlineExceeded,
        /// The template is one that failed before.
        FailedBefore,
        /// The challenger became the champion.
        Promoted,
        /// Refused before it had live traffic.
        Rejected,
        /// Taken back after it had live traffic.
        RolledBack,
        /// Ended by a person.
        Aborted,
        /// Held by `spec.suspend`.
        Suspended,
        /// Not held.
        NotSuspended,
        /// Nothing is in flight, so nothing is measured.
        Idle,
        /// The object is being deleted.
        Deleting,
    }
}

closed_set! {
    /// The status of a condition.
    ConditionStatus {
        /// It holds.
        True,
        /// It does not hold.
        False,
        /// It is not known; to be treated like `False` wherever `True` is needed.
        Unknown,
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}
