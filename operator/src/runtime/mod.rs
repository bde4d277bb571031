//! What every controller runs on: time, entropy, client, leadership, metrics, logs and the HTTP endpoint.
//!
//! Each of these is the only module of the operator that touches its part of the outside world; controllers get it
//! handed in, so that a test can hand in another one.

pub mod client;
pub mod clock;
pub mod events;
pub mod http;
pub mod lease;
pub mod metrics;
pub mod random;
pub mod shutdown;
pub mod telemetry;
