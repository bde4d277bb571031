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
//!
//! | what | where |
//! |---|---|
//! | numbers, errors, configuration | [`num`], [`error`], [`config`] |
//! | hashes, events, random stream, replay | [`event`], [`rng`], [`replay`] |
//! | evidence | [`ethics`], [`lpsi`], [`resources`] |
//! | scores | [`linf`], [`caos`], [`sr`], [`oci`], [`coherence`], [`agape`] |
//! | gates | [`gates`], [`guard`], [`league`] |
//! | decision | [`master`], [`decision`] |
//! | advice, which gates nothing | [`lyapunov`], [`death`], [`growth`], [`anabolization`], [`epv`], [`life`], [`tuner`], [`fibonacci`] |
//! | provider choice and budget | [`router`] |
//!
//! One cycle, with nothing known about the candidate but its name: every gate is evaluated, none can pass, traffic stays.
//!
//! ```
//! use penin_engine::config::Config;
//! use penin_engine::decision::Decision;
//! use penin_engine::master::{CycleInput, State, run_cycle};
//! use serde_json::json;
//!
//! let config = Config::from_json(&json!({"gates": {"srMin": 0.85}})).expect("within bounds");
//! let input = CycleInput::from_json(&json!({"candidate": {"name": "v2"}}))?;
//! let (outcome, next) = run_cycle(&config, &State::new(&config), &input)?;
//!
//! assert_eq!(outcome.decision, Decision::Abort);
//! assert_eq!(outcome.gates[0].reason, "missing");
//! assert_eq!(next.cycle, 1);
//! # Ok::<(), penin_engine::EngineError>(())
//! ```
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
