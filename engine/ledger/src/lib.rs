//! The ledger of PENIN-Ω: an append-only record that outsiders can verify with tools of their own.
//!
//! An [`entry`] is a DSSE envelope around an in-toto statement in canonical JSON. Entries form a SHA-256 chain
//! and an RFC 6962 [`tree`]; the tree's head is moved in an [`anchor`] outside the volume before anyone is told
//! that an entry exists. [`Ledger`] is the writer, [`Reader`] the reader, [`verify()`] the auditor.
//!
//! The crate has no clock and no network: times are claimed by callers, and the anchor is a trait.

pub mod anchor;
pub mod canonical;
pub mod dsse;
pub mod entry;
pub mod export;
pub mod generations;
pub mod hash;
pub mod health;
pub mod keys;
mod ledger;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof;
pub mod publish;
mod reader;
mod recover;
pub mod redact;
pub mod replay;
pub mod rollbacks;
pub mod source;
pub mod store;
pub mod tree;
pub mod verify;
mod writer;

pub use anchor::{Anchor, AnchorError, FileAnchor, Head, MemoryAnchor};
pub use entry::{Basis, Blob, Body, CycleRef, Draft, Entry, Kind, StateUpdate, Subject};
pub use hash::Digest;
pub use health::{Failure, Health, Reason};
pub use keys::Keys;
pub use ledger::{AppendResult, Ledger, Options};
pub use policy::Policy;
pub use reader::{Entries, ReadError, Reader};
pub use recover::set_database_aside;
pub use rollbacks::{QueueError, Queued, RollbackQueue};
pub use source::Source;
pub use verify::{Report, Verdict, VerifyOptions, verify};
pub use writer::ticket::{AppendError, Receipt, Ticket};
