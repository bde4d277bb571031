//! Under construction.

pub mod adapters;
pub mod runtime;
pub mod scoring;
pub mod workload;
