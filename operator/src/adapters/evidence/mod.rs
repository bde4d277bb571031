//! Evidence sources: where the numbers of a decision come from.
//!
//! | module | what |
//! |---|---|
//! | [`collect`] | all evidence of one judgement, at one pinned time |
//! | [`envoy`] | requests, failures and latency of a revision behind Envoy Gateway |
//! | [`model`], [`resources`] | calibration, groups and use of resources from the counters of a served model |
//! | [`ratio`] | a share of good events of any two counters |
//! | [`window`], [`histogram`] | differences of raw counters and native histograms; [`read`] asks for them |
//! | [`prometheus`] | the HTTP client; [`answer`] reads what comes back, [`promql`] builds what is asked |
//!
//! The sources answer with [`Reading`](crate::scoring::Reading)s: a value, or the reason why there is none. Nothing in
//! here replaces a missing value, and nothing in here decides.

pub mod answer;
pub mod collect;
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

#[cfg(test)]
mod tests;
