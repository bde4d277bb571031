//! Whole-operator tests of PENIN-Ω, and the cluster they run on.

pub mod cluster;
