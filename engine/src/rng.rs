//! Deterministic random stream: ChaCha20 with a 64-bit seed, a 64-bit stream number and a seekable position.
//!
//! The seed is expanded to a key by `rand_core::SeedableRng::seed_from_u64` (eight steps of PCG32); the block counter and the stream id
//! have 64 bits each. The position counts 32-bit words modulo 2⁶⁸ and doubles as the draw counter. Every draw consumes whole `u64`
//! values, so a position between draws is even.
//!
//! | draw | value |
//! |---|---|
//! | [`Stream::unit`] | `(u64 ≫ 11) · 2⁻⁵³`, in `[0, 1)` |
//! | [`Stream::uniform`] | `a + (b − a) · unit` |
//! | [`Stream::bernoulli`] | `unit < p`; always exactly one draw |
//! | [`Stream::below`] | Lemire's unbiased multiply-and-reject |
//! | [`Stream::shuffle`] | Fisher-Yates, from the last index down |
//!
//! Sources: D. J. Bernstein, *ChaCha, a variant of Salsa20* (2008); D. Lemire, *Fast random integer generation in an interval*,
//! ACM Trans. Model. Comput. Simul. 29 (2019).

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::event::Digest;
use crate::num::{Code, U64String, parse_decimal};

/// Name of the generator in records.
pub const ALGORITHM: &str = "chacha20";
/// Stream of the draws of cycles.
pub const CYCLE_STREAM: u64 = 0;
/// Positions are counted modulo 2⁶⁸: 2⁶⁴ blocks of 16 words.
const POSITION_MASK: u128 = (1 << 68) - 1;

/// Stream of the ethics bootstrap of a cycle, read from word 0.
#[must_use]
pub const fn bootstrap_stream(cycle: u64) -> u64 {
    (1_u64 << 32).wrapping_add(cycle)
}

/// A stored position as it stands in a document, not yet trusted; see [`RngState::from_record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RngRecord {
    /// Generator, `chacha20`.
    pub algorithm: String,
    /// Seed, decimal.
    pub seed: String,
    /// Stream number, decimal.
    pub stream: String,
    /// Position in 32-bit words, decimal.
    pub word_pos: String,
    /// Content hash of the other four fields, lowercase hex.
    pub digest: String,
}

/// A position in a random stream. Values of this type are valid; in JSON they are an [`RngRecord`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RngRecord")]
pub struct RngState {
    seed: u64,
    stream: u64,
    word_pos: u128,
    digest: Digest,
}

impl RngState {
    /// Position `word_pos` of `stream` under `seed`.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidInteger`] when the position is 2⁶⁸ or more, [`Code::OddWordPosition`] when it is odd.
    pub fn new(seed: u64, stream: u64, word_pos: u128) -> Result<Self, Code> {
        if word_pos > POSITION_MASK {
            return Err(Code::InvalidInteger);
        }
        if word_pos % 2 == 1 {
            return Err(Code::OddWordPosition);
        }
        Ok(Self::at(seed, stream, word_pos))
    }

    /// The beginning of `stream` under `seed`.
    #[must_use]
    pub fn start(seed: u64, stream: u64) -> Self {
        Self::at(seed, stream, 0)
    }

    fn at(seed: u64, stream: u64, word_pos: u128) -> Self {
        // Canonical JSON by hand: the keys are in order and the values need no escapes, so no serializer can fail here.
        let text =
            format!(r#"{{"algorithm":"{ALGORITHM}","seed":"{seed}","stream":"{stream}","wordPos":"{word_pos}"}}"#);
        Self {
            seed,
            stream,
            word_pos,
            digest: Digest::of(text.as_bytes()),
        }
    }

    /// Checks a stored record.
    ///
    /// # Errors
    ///
    /// In this order: [`Code::UnknownAlgorithm`], [`Code::InvalidInteger`], [`Code::OddWordPosition`], [`Code::DigestMismatch`].
    pub fn from_record(record: &RngRecord) -> Result<Self, Code> {
        if record.algorithm != ALGORITHM {
            return Err(Code::UnknownAlgorithm);
        }
        let seed = parse_decimal(&record.seed)?;
        let stream = parse_decimal(&record.stream)?;
        let state = Self::new(seed, stream, parse_decimal(&record.word_pos)?)?;
        if state.digest.to_string() == record.digest {
            Ok(state)
        } else {
            Err(Code::DigestMismatch)
        }
    }

    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The stream number.
    #[must_use]
    pub const fn stream(&self) -> u64 {
        self.stream
    }

    /// Position in 32-bit words; even and below 2⁶⁸.
    #[must_use]
    pub const fn word_pos(&self) -> u128 {
        self.word_pos
    }

    /// Content hash of algorithm, seed, stream and position.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Serialize for RngState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("RngState", 5)?;
        record.serialize_field("algorithm", ALGORITHM)?;
        record.serialize_field("seed", &U64String(self.seed))?;
        record.serialize_field("stream", &U64String(self.stream))?;
        record.serialize_field("wordPos", &format_args!("{}", self.word_pos))?;
        record.serialize_field("digest", &self.digest)?;
        record.end()
    }
}

impl From<RngState> for RngRecord {
    fn from(state: RngState) -> Self {
        Self {
            algorithm: ALGORITHM.to_owned(),
            seed: state.seed.to_string(),
            stream: state.stream.to_string(),
            word_pos: state.word_pos.to_string(),
            digest: state.digest.to_string(),
        }
    }
}

impl TryFrom<RngRecord> for RngState {
    type Error = Code;

    fn try_from(record: RngRecord) -> Result<Self, Code> {
        Self::from_record(&record)
    }
}

/// A running random stream.
#[derive(Debug, Clone)]
pub struct Stream {
    seed: u64,
    generator: ChaCha20Rng,
}

impl Stream {
    /// Stream number `stream` under `seed`, from its first word.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha20Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self { seed, generator }
    }

    /// Continues exactly where `state` was taken.
    #[must_use]
    pub fn restore(state: &RngState) -> Self {
        let mut stream = Self::new(state.seed, state.stream);
        stream.generator.set_word_pos(state.word_pos);
        stream
    }

    /// The current position.
    #[must_use]
    pub fn state(&self) -> RngState {
        RngState::at(self.seed, self.generator.get_stream(), self.word_pos())
    }

    /// Position in 32-bit words modulo 2⁶⁸.
    #[must_use]
    pub fn word_pos(&self) -> u128 {
        // The generator reports positions past the wrap without reducing them.
        self.generator.get_word_pos() & POSITION_MASK
    }

    /// Next 64 random bits, low word first.
    pub fn next_u64(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Uniform in `[0, 1)` with 53 random bits.
    #[allow(clippy::cast_precision_loss, reason = "the value has at most 53 bits")]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform between `a` and `b`.
    #[allow(
        clippy::suboptimal_flops,
        reason = "fused multiply-add would change the last bit on some platforms"
    )]
    pub fn uniform(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * self.unit()
    }

    /// True with probability `p`; consumes one draw whatever `p` is.
    pub fn bernoulli(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform integer in `0..n`. For `n = 0` the result is 0 and one draw is consumed.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the low and the high half of the product are meant"
    )]
    pub fn below(&mut self, n: u64) -> u64 {
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            // n > 0 here, because no u64 is below 0.
            let threshold = n.wrapping_neg() % n;
            while (product as u64) < threshold {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// Shuffles `items` in place, each order equally likely.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the draw is below a length, which is a usize"
    )]
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

/// Continues the stream that a stored record describes.
///
/// # Errors
///
/// Those of [`RngState::from_record`].
pub fn restore(record: &RngRecord) -> Result<Stream, Code> {
    RngState::from_record(record).map(|state| Stream::restore(&state))
}
