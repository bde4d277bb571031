//! The canonical writer against the reference library, byte for byte, and what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod effort;

use std::collections::BTreeMap;

use effort::effort;
use penin_engine::EngineError;
use penin_engine::event::{Digest, Event, EventType, canonical, content_hash};
use penin_engine::num::Code;
use penin_engine::rng::RngState;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

fn reference(value: &impl Serialize) -> String {
    String::from_utf8(serde_json_canonicalizer::to_vec(value).unwrap()).unwrap()
}

/// JSON values with every kind of number, string and nesting.
fn any_json() -> impl Strategy<Value = Value> {
    let number = any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter_map("finite", |x| serde_json::Number::from_f64(x).map(Value::Number));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\\x00-\\x7f]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            // Keys from planes whose UTF-16 order differs from their byte order.
            prop::collection::btree_map("[a-c\u{e000}-\u{e003}\u{10000}-\u{10003}\"\\\\\n]{0,3}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(effort(1024))]

    #[test]
    fn any_json_is_written_as_the_reference_writes_it(value in any_json()) {
        prop_assert_eq!(canonical(&value).unwrap(), reference(&value));
    }

    #[test]
    fn canonical_text_is_a_fixed_point(value in any_json()) {
        let text = canonical(&value).unwrap();
        let parsed: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(canonical(&parsed).unwrap(), text);
    }

    #[test]
    fn every_finite_number_is_written_as_the_reference_writes_it(bits in any::<u64>()) {
        let x = f64::from_bits(bits);
        if x.is_finite() {
            prop_assert_eq!(canonical(&x).unwrap(), reference(&x));
        } else {
            prop_assert!(canonical(&x).is_err());
        }
    }

    #[test]
    fn an_event_hashes_its_five_other_fields(data in any_json(), cycle in any::<u64>(), seed in any::<u64>()) {
        let event = Event::new(EventType::Hold, cycle, &data, RngState::start(seed, 0)).unwrap();
        let mut document = serde_json::to_value(&event).unwrap();
        prop_assert_eq!(event.canonical_text(), canonical(&document).unwrap());
        document.as_object_mut().unwrap().remove("contentHash");
        prop_assert_eq!(event.content_hash(), content_hash(&document).unwrap());
    }
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Wrapper(f64);

#[derive(Serialize)]
struct Pair(i8, char);

#[derive(Serialize)]
enum Shape {
    Empty,
    Boxed(u16),
    Tuple(f32, i64),
    Record { zeta: bool, alpha: Option<u8> },
}

/// Declared in an order that is not the canonical one, with every kind of serde value.
#[derive(Serialize)]
struct Everything {
    zulu: Vec<Shape>,
    alpha: (i16, i32, u32, i128, u128),
    unit: Unit,
    nothing: (),
    wrapper: Wrapper,
    pair: Pair,
    map: BTreeMap<String, Option<bool>>,
    nested: BTreeMap<Key, Vec<Wrapper>>,
    #[serde(rename = "\u{10000}")]
    astral: u8,
    #[serde(rename = "\u{e000}")]
    private_use: u8,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
enum Key {
    SecondKey,
    FirstKey,
}

#[test]
fn typed_values_are_written_as_the_reference_writes_them() {
    let value = Everything {
        zulu: vec![
            Shape::Empty,
            Shape::Boxed(7),
            Shape::Tuple(0.5, i64::MIN),
            Shape::Record {
                zeta: true,
                alpha: None,
            },
        ],
        alpha: (-1, 2, 3, i128::MAX, u128::MAX),
        unit: Unit,
        nothing: (),
        wrapper: Wrapper(-0.0),
        pair: Pair(-8, '\u{1f}'),
        map: BTreeMap::from([("b".to_owned(), None), ("a\u{7f}".to_owned(), Some(false))]),
        nested: BTreeMap::from([(Key::SecondKey, vec![]), (Key::FirstKey, vec![Wrapper(1e21)])]),
        astral: 1,
        private_use: 2,
    };
    assert_eq!(canonical(&value).unwrap(), reference(&value));
}

#[test]
fn values_without_canonical_form_are_refused() {
    let refused = Err(EngineError::input("", Code::NotCanonical));
    assert_eq!(canonical(&f64::NAN), refused);
    assert_eq!(canonical(&[f64::INFINITY]), refused);
    assert_eq!(canonical(&BTreeMap::from([(1, 2)])), refused);
    assert_eq!(canonical(&BTreeMap::from([(Some("a"), 2)])), refused);
    assert_eq!(canonical(&BTreeMap::from([(true, 2)])), refused);
    assert_eq!(canonical(&Twice), refused);
}

/// Serialises the key `b` twice, around another key.
struct Twice;

impl Serialize for Twice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        for key in ["b", "a", "b"] {
            map.serialize_entry(key, &1)?;
        }
        map.end()
    }
}

#[test]
fn digests_and_events_round_trip_and_notice_changes() {
    let digest = Digest::of(b"abc");
    assert_eq!(digest.to_string().parse(), Ok(digest));
    assert_eq!(Digest::from_bytes(*digest.as_bytes()), digest);
    for bad in ["", "00", &"g".repeat(64), &digest.to_string().to_uppercase()] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }

    let event = Event::new(EventType::Boot, 3, &json!({"b": 1, "a": [true]}), RngState::start(1, 2)).unwrap();
    let document = serde_json::to_value(&event).unwrap();
    assert_eq!(serde_json::from_value::<Event>(document.clone()).unwrap(), event);
    for (field, value) in [
        ("schema", json!("penin.event/2")),
        ("type", json!("HOLD")),
        ("cycle", json!("4")),
        ("data", json!({})),
        ("rng", serde_json::to_value(RngState::start(1, 3)).unwrap()),
        ("contentHash", json!("0".repeat(64))),
        ("unknown", json!(1)),
    ] {
        let mut changed = document.clone();
        changed[field] = value;
        assert!(serde_json::from_value::<Event>(changed).is_err(), "{field}");
    }
}

#[test]
fn event_types_are_written_as_they_are_named() {
    for kind in EventType::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        assert_eq!(serde_json::from_value::<EventType>(kind.as_str().into()).unwrap(), kind);
    }
    let names: std::collections::BTreeSet<_> = EventType::ALL.map(EventType::as_str).into();
    assert_eq!(names.len(), EventType::ALL.len());
}
