//! Version `v1alpha1` of the group `penin.ai`.

// The kube derive takes one `printcolumn(...)` a column, and their fields look like repetitions.
#![allow(clippy::duplicated_attributes)]

pub mod anchor;
pub mod challenger;
pub mod cycle;
pub mod gate;
mod reference;
mod result;
mod timers;

pub use anchor::{LedgerAnchor, LedgerAnchorSpec, LedgerAnchorStatus};
pub use challenger::{Challenger, ChallengerPhase, ChallengerSpec, ChallengerStatus};
pub use cycle::{PeninCycle, PeninCycleSpec, PeninCycleStatus};
pub use gate::{PromotionGate, PromotionGateSpec, PromotionGateStatus};
pub use reference::NameRef;
pub use result::{Comparison, Decision, DecisionRecord, GateMode, GateResult, GateStatus};
pub use timers::{Evaluations, Noted, SeenRoute, Timers};
