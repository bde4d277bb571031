//! Generators shared by the property tests.
#![allow(dead_code, reason = "every test binary uses another part of this module")]

use penin_engine::num::Num;
use proptest::prelude::*;

/// Values at which checks and formulas change their behaviour.
const EDGES: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    5e-324,
    1e-300,
    1e-12,
    1e-9,
    1e-6,
    1.0 - 1e-16,
    1.0 + 5e-10,
    1.0 + 1e-8,
    -5e-10,
    -1e-8,
    2.0,
    85.0,
    1e6,
    f64::MAX,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// Any evidence: missing, any of the 2⁶⁴ bit patterns, an edge, or a plausible value.
pub fn any_num() -> impl Strategy<Value = Num> {
    prop_oneof![
        1 => Just(Num::MISSING),
        3 => any::<u64>().prop_map(|bits| Num::new(f64::from_bits(bits))),
        3 => prop::sample::select(EDGES.to_vec()).prop_map(Num::new),
        5 => unit().prop_map(Num::new),
    ]
}

/// A value of [0, 1], its ends and small values included.
pub fn unit() -> impl Strategy<Value = f64> {
    prop_oneof![
        1 => Just(0.0),
        1 => Just(1.0),
        1 => (-320_i32..0).prop_map(|exponent| format!("1e{exponent}").parse().unwrap()),
        8 => 0.0..=1.0_f64,
    ]
}

/// Two values of [0, 1], the smaller first.
pub fn ordered() -> impl Strategy<Value = (f64, f64)> {
    (unit(), unit()).prop_map(|(a, b)| if a <= b { (a, b) } else { (b, a) })
}

/// A refused value for an input that must be unit.
pub fn not_unit() -> impl Strategy<Value = Num> {
    any_num().prop_filter("refused", |x| penin_engine::num::unit(*x).is_err())
}
