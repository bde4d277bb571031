//! The decision library of PENIN-Ω: recorded evidence in, a decision and its proof out.
//!
//! The engine computes scores, gates and decisions for one champion/challenger cycle and returns the next state together with the
//! events that a ledger stores. It does nothing else: no file, clock, thread, environment variable, network or random source is read,
//! so the same configuration, state and input give the same bits on every platform, today and in an audit years later.
//!
//! Three rules hold in every module:
//!
//! * **Bad evidence is data.** A missing, non-finite or out-of-range number is recorded as it came ([`num::Num`]), listed as an
//!   [`num::Issue`], and turns the score it enters into the worst value of that score. Only structural errors are [`EngineError`]s.
//! * **Nothing compensates.** Scores are harmonic means, gates are combined by AND.
//! * **Arithmetic is fixed.** IEEE-754 binary64, evaluated as parenthesised, with `libm` for transcendental functions; the `std`
//!   versions call the platform's C library and differ between platforms.
//!
//! Hashes are SHA-256 over RFC 8785 canonical JSON ([`event`]).
#![forbid(unsafe_code)]

pub mod agape;
pub mod anabolization;
pub mod caos;
pub mod coherence;
pub mod config;
pub mod death;
pub mod decision;
pub mod epv;
pub mod error;
pub mod ethics;
pub mod event;
pub mod fibonacci;
pub mod gates;
pub mod growth;
pub mod guard;
pub mod league;
pub mod life;
pub mod linf;
pub mod lpsi;
pub mod lyapunov;
pub mod master;
pub mod num;
pub mod oci;
pub mod replay;
pub mod resources;
pub mod rng;
pub mod router;
pub mod sr;
pub mod tuner;

pub use error::{ConfigError, EngineError};
