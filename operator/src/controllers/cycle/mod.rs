//! The controller of `PeninCycle`: the only one that touches traffic.
//!
//! | file | what |
//! |---|---|
//! | `observe` | reads everything that a pass needs into a `Snapshot`; `selectors` finds Services that go past the route |
//! | `decide` | the order of the questions; `adoption`, `idle`, `life`, `deletion` answer them, `judge` asks the engine |
//! | `suspension` | what a person holds up is an entry too, when nothing else is to be done |
//! | `configuration` | another configuration is an entry before what is decided under it |
//! | `plan`, `records` | what a decision is made of: at most one ledger entry or one write |
//! | `apply` | carries it out |
//! | `status` | what people see |
//! | `book`, `position` | what is remembered: grants in the ledger, timers in the status |

pub mod adoption;
pub mod apply;
pub mod blind;
pub mod book;
pub mod configuration;
pub mod decide;
pub mod deletion;
pub mod idle;
pub mod judge;
pub mod judged;
pub mod life;
pub mod observe;
pub mod plan;
pub mod pods;
pub mod position;
pub mod reconcile;
pub mod records;
pub mod route;
pub mod selectors;
pub mod settings;
pub mod snapshot;
pub mod status;
pub mod suspension;
pub mod takeover;

pub use reconcile::run;

#[cfg(test)]
mod tests;
