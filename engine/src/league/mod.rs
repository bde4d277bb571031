//! The league: a challenger's way from shadow through canary to champion, and back.
//!
//! ```text
//! idle ─deploy→ shadow ─Canary→ canary ─Promote→ watch ─Hold WATCH_PASSED→ idle
//!                  └───────── Reject, Rollback, Abort, Fallback ─────────→ idle, with the old champion
//! ```
//!
//! There is no path to watch without canary and none to canary without shadow; the canary share is at most 5 %. The league counts what
//! happened since the stage began and judges it by nine checks ([`assess`]); the decision itself is taken by a cycle of
//! [`crate::master`], which receives the assessment as its `league` input, and carried out by [`apply`]. [`tick`] does both without a
//! cycle.
//!
//! | check | stages | Pass when | Unknown when |
//! |---|---|---|---|
//! | `guard` | all | Pass | Unknown or missing |
//! | `traffic` | canary | the live share is verified | it is not |
//! | `samples` | all | at least the stage's floor | fewer |
//! | `error_rate` | all | ≤ `errorRateMax` | fewer samples than the floor |
//! | `sequential` | shadow, canary | [`compare_error_rates`] | non-inferiority not proven |
//! | `p95_latency` | canary, watch, if bounded | ≤ `p95LatencyMaxMs` | no value |
//! | `latency_shift` | canary, if enabled | [`mann_whitney`] finds no slowdown of relevant size | too few or too many samples |
//! | `mean_delta_linf` | canary | ≥ `deltaLinfMin` | bad value |
//! | `linf_champion` | canary | strictly above the champion's L∞ | bad value on either side |
//!
//! Rank tests miss slow tails, the absolute bound does not; enabling the former therefore requires the latter.

mod assess;
mod latency;
mod mann_whitney;
mod rank;
mod sequential;
mod state;
mod transition;

pub use assess::{Assessment, AssessmentReason, assess};
pub use latency::{BUCKETS, Histogram, MAX_MICROSECONDS, bucket, bucket_upper};
pub use mann_whitney::{MannWhitney, mann_whitney};
pub use rank::{Contender, ROUTE_BUCKETS, Ranking, Route, rank, route};
pub use sequential::{ErrorCount, RateComparison, compare_error_rates, confidence_sequence};
pub use state::{Arm, Challenger, LeagueStage, LeagueState, Observation, Variant};
pub use transition::{
    Applied, CANARY_PASSED, Command, FORCED, Tick, Transition, apply, deploy, register, rollback, tick,
};
