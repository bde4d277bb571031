//! Traffic through one Gateway API `HTTPRoute` that the operator owns.
//!
//! Everything but [`write()`] is pure. A pass goes through it in this order:
//!
//! | question | answered by |
//! |---|---|
//! | What should the route say? | [`RouteIntent`], [`desired`] |
//! | Would an older route take its requests? | [`conflicts`] |
//! | Does it say so, and has every parent accepted it? | [`observe`] |
//! | Who gets the requests when a life ends badly? | [`rollback_target`] |
//! | Put it there, unless somebody else was faster | [`write()`] |
//! | Do the requests follow? | [`assess`] |
//!
//! The route has one main rule with the user's matches and, while there are two backends, a *warm* rule that no
//! client can hit: it keeps the gateway's clusters of both backends alive at weight 0, so that a change of weight
//! loses no request.

mod acceptance;
mod conflicts;
mod desired;
mod drift;
mod intent;
mod observe;
mod precedence;
mod rollback;
mod share;
mod write;

pub use acceptance::{Acceptance, acceptance, missing_backends};
pub use conflicts::{Conflict, conflicts};
pub use desired::{WARM_HEADER, desired, warm_token};
pub use drift::{Drift, is_mirroring, reduced, refitted};
pub use intent::{LiveWeight, MirrorPercent, RouteIntent, Split, WarmToken};
pub use observe::{RouteState, observe};
pub use rollback::{Exposure, NoReadyChampion, Target, rollback_target};
pub use share::{
    DEFAULT_MINIMUM, ERROR, MAX_REQUESTS, Measurement, ShareCounts, ShareCountsError, ShareVerdict, agreeing_copies,
    assess,
};
pub use write::{ANNOTATION_EPOCH, LeaderEpoch, WriteError, Written, write};

#[cfg(test)]
mod fixtures;
