//! Evidence sources: where the numbers of a decision come from.
//!
//! | module | what |
//! |---|---|
//! | [`prometheus`] | the HTTP client; [`answer`] reads what comes back, [`promql`] builds what is asked |
//! | [`window`] | counter differences over a window, from raw samples |
//! | [`histogram`] | quantiles of native histograms over a window |
//! | [`envoy`] | requests, failures and latency of a revision behind Envoy Gateway |
//! | [`model`] | calibration, groups and resources from the counters of a served model |
//! | [`ratio`] | a share of good events of any two counters |
//!
//! The sources answer with [`Reading`](crate::scoring::Reading)s: a value, or the reason why there is none. Nothing in
//! here replaces a missing value, and nothing in here decides.

pub mod answer;
pub mod envoy;
pub mod histogram;
pub mod labels;
pub mod model;
pub mod prometheus;
pub mod promql;
pub mod ratio;
pub mod read;
pub mod resources;
pub mod window;
