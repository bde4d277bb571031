//! Canonical JSON, content hashes, and the events of a cycle.
//!
//! RFC 8785 (JCS) is the only serialisation that is hashed: keys sorted by UTF-16 code units, numbers in the shortest ECMAScript form
//! (`20.0` → `20`, `−0` → `0`), no white space. A content hash is SHA-256 over those bytes, written as 64 lowercase hex digits.
//! Non-finite numbers have no JSON form: inputs carry them as strings ([`crate::num::Num`]), outputs write `null`.
//!
//! An [`Event`] binds what happened to the position of the random stream, so that a replay proves both. Its content hash covers
//! `schema`, `type`, `cycle`, `data` and `rng`; wall time, sequence numbers and signatures are the ledger's and stay outside.
//! [`stream_digest`] folds the hashes of a run into one: d₀ = 32 zero bytes, dᵢ = SHA-256(dᵢ₋₁ ‖ contentHashᵢ).

mod canonical;
mod digest;
mod key;
mod serializer;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use digest::Digest;

use crate::error::EngineError;
use crate::num::Code;
use crate::rng::RngState;

/// Schema name of events.
pub const EVENT_SCHEMA: &str = "penin.event/1";

/// RFC 8785 text of `value`.
///
/// # Errors
///
/// [`EngineError::Input`] with [`Code::NotCanonical`] when `value` has no canonical form: a non-finite number, a map key that is not
/// text, or a key that occurs twice. Outputs of this crate and `serde_json::Value` always have one.
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<String, EngineError> {
    canonical::to_string(value).map_err(|_| EngineError::input("", Code::NotCanonical))
}

/// Content hash of `value`: SHA-256 of its RFC 8785 bytes.
///
/// # Errors
///
/// As [`canonical`].
pub fn content_hash<T: Serialize + ?Sized>(value: &T) -> Result<Digest, EngineError> {
    canonical(value).map(|text| Digest::of(text.as_bytes()))
}

/// Digest of a whole stream of content hashes, in order.
#[must_use]
pub fn stream_digest<'a>(hashes: impl IntoIterator<Item = &'a Digest>) -> Digest {
    hashes.into_iter().fold(Digest::ZERO, |digest, hash| digest.chain(hash))
}

/// The closed set of event types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventType {
    /// A cycle begins.
    CycleStart,
    /// The ethics values that the guard saw.
    EthicsAttest,
    /// One Required gate that did not pass.
    GateFail,
    /// The learning-rate line search ran.
    FibonacciOpt,
    /// A promotion, with everything it rests on. Nothing else emits it.
    PromoteAttest,
    /// A challenger may take its first live traffic.
    CanaryStart,
    /// Nothing changes.
    Hold,
    /// A challenger without live traffic is refused.
    Reject,
    /// A challenger with live traffic is withdrawn.
    Rollback,
    /// Evidence was stand-in data; the champion serves.
    Fallback,
    /// Risk or guard refused the cycle.
    CycleAbort,
    /// The Fibonacci cadence moved on.
    FibonacciTick,
    /// Summary of a cycle with all scores.
    MasterEq,
    /// The embedding operator started.
    Boot,
    /// A seed was chosen.
    SeedSet,
    /// A metric was read.
    Metric,
    /// A champion was registered in a league.
    LeagueRegister,
    /// A challenger entered a league.
    LeagueDeploy,
    /// A league changed its stage.
    LeagueTransition,
    /// A model provider was asked.
    LlmQuery,
    /// The tuner proposed a value.
    TunerProposal,
    /// A state was stored.
    Snapshot,
    /// The embedding operator stopped.
    Shutdown,
}

impl EventType {
    /// Every event type: first those of a cycle in the order in which a cycle emits them, then those of the embedding operator.
    pub const ALL: [Self; 23] = [
        Self::CycleStart,
        Self::EthicsAttest,
        Self::GateFail,
        Self::FibonacciOpt,
        Self::PromoteAttest,
        Self::CanaryStart,
        Self::Hold,
        Self::Reject,
        Self::Rollback,
        Self::Fallback,
        Self::CycleAbort,
        Self::FibonacciTick,
        Self::MasterEq,
        Self::Boot,
        Self::SeedSet,
        Self::Metric,
        Self::LeagueRegister,
        Self::LeagueDeploy,
        Self::LeagueTransition,
        Self::LlmQuery,
        Self::TunerProposal,
        Self::Snapshot,
        Self::Shutdown,
    ];

    /// Text form, as it is recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CycleStart => "CYCLE_START",
            Self::EthicsAttest => "ETHICS_ATTEST",
            Self::GateFail => "GATE_FAIL",
            Self::FibonacciOpt => "FIBONACCI_OPT",
            Self::PromoteAttest => "PROMOTE_ATTEST",
            Self::CanaryStart => "CANARY_START",
            Self::Hold => "HOLD",
            Self::Reject => "REJECT",
            Self::Rollback => "ROLLBACK",
            Self::Fallback => "FALLBACK",
            Self::CycleAbort => "CYCLE_ABORT",
            Self::FibonacciTick => "FIBONACCI_TICK",
            Self::MasterEq => "MASTER_EQ",
            Self::Boot => "BOOT",
            Self::SeedSet => "SEED_SET",
            Self::Metric => "METRIC",
            Self::LeagueRegister => "LEAGUE_REGISTER",
            Self::LeagueDeploy => "LEAGUE_DEPLOY",
            Self::LeagueTransition => "LEAGUE_TRANSITION",
            Self::LlmQuery => "LLM_QUERY",
            Self::TunerProposal => "TUNER_PROPOSAL",
            Self::Snapshot => "SNAPSHOT",
            Self::Shutdown => "SHUTDOWN",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One recorded event, immutable and hashed.
///
/// `data` is kept as its canonical text: it is produced once, hashed as it stands, and parsed only by readers who ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    kind: EventType,
    cycle: u64,
    data: Box<str>,
    rng: RngState,
    content_hash: Digest,
}

impl Event {
    /// An event of `kind` in `cycle`, with the stream position that belongs to it.
    ///
    /// # Errors
    ///
    /// As [`canonical`], when `data` has no JSON form.
    pub fn new<T: Serialize + ?Sized>(
        kind: EventType,
        cycle: u64,
        data: &T,
        rng: RngState,
    ) -> Result<Self, EngineError> {
        let data = canonical(data)?;
        let text = hashed_text(kind, cycle, &data, &rng);
        Ok(Self {
            kind,
            cycle,
            data: data.into_boxed_str(),
            rng,
            content_hash: Digest::of(text.as_bytes()),
        })
    }

    /// Type of the event.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        self.kind
    }

    /// Cycle the event belongs to.
    #[must_use]
    pub const fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Canonical JSON text of the event's data.
    #[must_use]
    pub fn data_text(&self) -> &str {
        &self.data
    }

    /// The event's data, parsed.
    #[must_use]
    pub fn data(&self) -> Value {
        // The text was written by `canonical`, so it parses.
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    /// Stream position: before the draws of the cycle for `CYCLE_START`, after them for all others.
    #[must_use]
    pub const fn rng(&self) -> &RngState {
        &self.rng
    }

    /// Content hash of schema, type, cycle, data and rng.
    #[must_use]
    pub const fn content_hash(&self) -> Digest {
        self.content_hash
    }

    /// Canonical JSON of the whole event, content hash included.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let hashed = hashed_text(self.kind, self.cycle, &self.data, &self.rng);
        // "contentHash" sorts before every other key of the event.
        let rest = hashed.strip_prefix('{').unwrap_or(&hashed);
        format!(r#"{{"contentHash":"{}",{rest}"#, self.content_hash)
    }
}

/// Canonical JSON of the five hashed fields. `data` is canonical already and no other value needs escapes.
fn hashed_text(kind: EventType, cycle: u64, data: &str, rng: &RngState) -> String {
    format!(
        r#"{{"cycle":"{cycle}","data":{data},"rng":{{"algorithm":"{}","digest":"{}","seed":"{}","stream":"{}","wordPos":"{}"}},"schema":"{EVENT_SCHEMA}","type":"{kind}"}}"#,
        crate::rng::ALGORITHM,
        rng.digest(),
        rng.seed(),
        rng.stream(),
        rng.word_pos(),
    )
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventDocument {
    schema: String,
    #[serde(rename = "type")]
    kind: EventType,
    #[serde(with = "crate::num::decimal")]
    cycle: u64,
    data: Value,
    rng: RngState,
    content_hash: Digest,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = EventDocument {
            schema: EVENT_SCHEMA.to_owned(),
            kind: self.kind,
            cycle: self.cycle,
            data: self.data(),
            rng: self.rng,
            content_hash: self.content_hash,
        };
        document.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = EventDocument::deserialize(deserializer)?;
        if document.schema != EVENT_SCHEMA {
            return Err(serde::de::Error::custom(format_args!(
                "schema: expected {EVENT_SCHEMA}, found {}",
                document.schema
            )));
        }
        let event =
            Self::new(document.kind, document.cycle, &document.data, document.rng).map_err(serde::de::Error::custom)?;
        if event.content_hash == document.content_hash {
            Ok(event)
        } else {
            Err(serde::de::Error::custom(Code::DigestMismatch))
        }
    }
}
