//! Long-lived parts that controllers share.

pub mod anchor;
pub mod evidence;
mod keeping;
pub mod keys;
pub mod ledger;
pub mod ledger_http;
pub(crate) mod opening;
pub mod policy;
mod problem;
