//! Edges to other systems: each adapter is a pure core with a thin layer of calls around it.

pub mod evidence;
pub mod traffic;
