//! From evidence to the engine's inputs: pure, no I/O, no clock.

mod unknown;

pub use unknown::{Reading, Unknown, UnknownReason};
