//! Whole lives against a simulated world: every pass reads it, decides, changes at most one thing and publishes its
//! status, exactly as the running controller does, but without a cluster and with a clock that the test moves.

mod configuration;
mod ends;
mod evidence;
mod ledger;
mod lives;
mod names;
mod objects;
mod properties;
mod reasons;
mod restarts;
mod retries;
mod selectors;
mod suspension;
mod takeover;
mod upkeep;
mod world;
