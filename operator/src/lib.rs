//! The operator of PENIN-Ω: champion/challenger cycles of served models, with fail-closed gates, verified canary traffic
//! and a ledger of every decision.
//!
//! | module | what |
//! |---|---|
//! | [`runtime`] | time, entropy, client, lease, metrics, logs, HTTP |
//! | [`controllers`] | one folder a kind: `observe → decide → apply → status` |
//! | [`scoring`] | from evidence to the engine's inputs: pure |
//! | [`workload`] | revisions: pod templates, Deployments, Services: pure |
//! | [`adapters`] | routes and evidence sources |
//! | [`services`] | the ledger with its anchor and keys, and the reading of evidence |
#![forbid(unsafe_code)]

pub mod adapters;
pub mod controllers;
pub mod operator;
pub mod runtime;
pub mod scoring;
pub mod services;
pub mod workload;
