//! Properties of the random stream, and an independent implementation to hold it to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    missing_docs
)]

mod effort;

use effort::effort;
use penin_engine::num::Code;
use penin_engine::rng::{RngRecord, RngState, Stream, bootstrap_stream, restore};
use proptest::prelude::*;

const POSITIONS: u128 = 1 << 68;

/// ChaCha20 as RFC 8439 §2.3 draws it, with a 64-bit counter and a 64-bit stream id, and the seed expansion of the specification.
mod reference {
    fn key(seed: u64) -> [u32; 8] {
        let mut state = seed;
        std::array::from_fn(|_| {
            state = state
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(0xA176_54E4_6FBE_17F3);
            let mixed = ((state >> 18) ^ state) >> 27;
            u32::try_from(mixed & 0xFFFF_FFFF)
                .unwrap()
                .rotate_right(u32::try_from(state >> 59).unwrap())
        })
    }

    fn quarter_round(words: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
        for (sum, addend, turned, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
            words[sum] = words[sum].wrapping_add(words[addend]);
            words[turned] = (words[turned] ^ words[sum]).rotate_left(by);
        }
    }

    fn halves(x: u64) -> [u32; 2] {
        [u32::try_from(x & 0xFFFF_FFFF).unwrap(), u32::try_from(x >> 32).unwrap()]
    }

    fn block(seed: u64, stream: u64, counter: u64) -> [u32; 16] {
        let mut start = [0; 16];
        start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        start[4..12].copy_from_slice(&key(seed));
        start[12..14].copy_from_slice(&halves(counter));
        start[14..].copy_from_slice(&halves(stream));
        let mut x = start;
        for _ in 0..10 {
            for i in 0..4 {
                quarter_round(&mut x, [i, 4 + i, 8 + i, 12 + i]);
            }
            for i in 0..4 {
                quarter_round(&mut x, [i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4]);
            }
        }
        std::array::from_fn(|i| x[i].wrapping_add(start[i]))
    }

    /// The u64 at an even word position.
    pub fn next_u64(seed: u64, stream: u64, position: u128) -> u64 {
        let counter = u64::try_from(position / 16).unwrap();
        let words = block(seed, stream, counter);
        let index = usize::try_from(position % 16).unwrap();
        u64::from(words[index]) | u64::from(words[index + 1]) << 32
    }
}

/// Even positions, with the block borders and the wrap-around more often than by chance.
fn position() -> impl Strategy<Value = u128> {
    let near = |at: u128| (0..200_u128).prop_map(move |offset| (POSITIONS + at - 100 + offset) % POSITIONS);
    prop_oneof![near(0), near(64), near(1 << 36), near(1 << 67), 0..POSITIONS].prop_map(|position| position & !1)
}

proptest! {
    #![proptest_config(effort(512))]

    #[test]
    fn draws_are_those_of_the_reference(seed: u64, stream: u64, start in position(), count in 1..80_u128) {
        let mut rng = Stream::restore(&RngState::new(seed, stream, start).unwrap());
        for i in 0..count {
            let position = (start + 2 * i) % POSITIONS;
            prop_assert_eq!(rng.word_pos(), position);
            prop_assert_eq!(rng.next_u64(), reference::next_u64(seed, stream, position));
        }
    }

    #[test]
    fn a_restored_stream_continues(seed: u64, stream: u64, start in position(), before in 0..80_usize, after in 1..80_usize) {
        let mut rng = Stream::restore(&RngState::new(seed, stream, start).unwrap());
        for _ in 0..before {
            rng.next_u64();
        }
        let record = RngRecord::from(rng.state());
        let mut copy = restore(&record).unwrap();
        for _ in 0..after {
            prop_assert_eq!(rng.next_u64(), copy.next_u64());
            prop_assert_eq!(rng.state(), copy.state());
        }
    }

    #[test]
    fn a_record_with_one_field_changed_is_refused(seed: u64, stream: u64, start in position(), other: u64, field in 0..5_usize) {
        let good = RngRecord::from(RngState::new(seed, stream, start).unwrap());
        let mut record = good.clone();
        match field {
            0 => record.algorithm.push('x'),
            1 => record.seed = other.to_string(),
            2 => record.stream = other.to_string(),
            3 => record.word_pos = u128::from(other).to_string(),
            _ => record.digest = penin_engine::event::Digest::of(&other.to_le_bytes()).to_string(),
        }
        prop_assert_eq!(RngState::from_record(&record).is_ok(), record == good);
        let text = serde_json::to_string(&good).unwrap();
        let state: RngState = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&state).unwrap(), text);
    }

    #[test]
    fn streams_and_seeds_differ(seed: u64, a: u64, b: u64) {
        let first = |seed, stream| Stream::new(seed, stream).next_u64();
        prop_assert!(a == b || (first(seed, a) != first(seed, b) && first(a, seed) != first(b, seed)));
    }

    #[test]
    fn draws_stay_in_range(seed: u64, n in 1..=u64::MAX, p in 0.0..=1.0_f64, len in 0..40_usize) {
        let mut rng = Stream::new(seed, bootstrap_stream(7));
        prop_assert!((0.0..1.0).contains(&rng.unit()));
        prop_assert!((0.9..1.1).contains(&rng.uniform(0.9, 1.1)));
        prop_assert!(rng.below(n) < n);
        let before = rng.word_pos();
        rng.bernoulli(p);
        prop_assert_eq!(rng.word_pos(), before + 2);
        let mut items: Vec<usize> = (0..len).collect();
        rng.shuffle(&mut items);
        items.sort_unstable();
        prop_assert_eq!(items, (0..len).collect::<Vec<_>>());
    }
}

#[test]
fn codes_come_in_their_fixed_order() {
    let good = RngRecord::from(RngState::start(1, 0));
    let code = |change: fn(&mut RngRecord)| {
        let mut record = good.clone();
        change(&mut record);
        restore(&record).unwrap_err()
    };
    assert_eq!(
        code(|r| {
            r.algorithm.clear();
            r.seed.clear();
        }),
        Code::UnknownAlgorithm
    );
    assert_eq!(
        code(|r| {
            r.word_pos = "1".into();
            r.stream = "-1".into();
        }),
        Code::InvalidInteger
    );
    assert_eq!(code(|r| r.word_pos = POSITIONS.to_string()), Code::InvalidInteger);
    assert_eq!(code(|r| r.word_pos = "1".into()), Code::OddWordPosition);
    assert_eq!(code(|r| r.word_pos = "2".into()), Code::DigestMismatch);
    assert_eq!(Stream::new(1, 0).below(0), 0);
}

#[test]
fn below_is_fair_over_a_small_range() {
    let mut rng = Stream::new(42, 0);
    let mut counts = [0_u32; 6];
    for _ in 0..60_000 {
        counts[usize::try_from(rng.below(6)).unwrap()] += 1;
    }
    // Five standard deviations of a binomial count with p = 1/6.
    assert!(counts.iter().all(|count| count.abs_diff(10_000) < 457), "{counts:?}");
}
