//! Under construction.

pub mod adapters;
pub mod runtime;
pub mod workload;
