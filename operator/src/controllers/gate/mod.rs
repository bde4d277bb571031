//! The controller of `PromotionGate`, and what several gates mean together.

mod decide;
mod reconcile;

pub use decide::combine;
pub use reconcile::run;
