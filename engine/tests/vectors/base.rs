//! Vectors of `num`, `rng` and `event`.

use penin_engine::event::{self, Digest};
use penin_engine::num::{self, Code};
use penin_engine::rng::{self, RngState, Stream};
use serde_json::{Value, json};

use crate::Function;
use crate::support::{field, integer, json_of, num as read_num};

pub const FUNCTIONS: &[(&str, Function)] = &[
    ("num.unit", |input| checked(num::unit(read_num(input, "x")))),
    ("num.nonneg", |input| checked(num::nonneg(read_num(input, "x")))),
    ("num.check", |input| {
        let bound = |key, default| read_num(input, key).get().unwrap_or(default);
        checked(num::check(
            read_num(input, "x"),
            bound("lo", f64::NEG_INFINITY),
            bound("hi", f64::INFINITY),
            bound("tol", 0.0),
        ))
    }),
    (
        "num.logistic",
        |input| json!({"value": num::logistic(read_num(input, "y").get().unwrap())}),
    ),
    (
        "num.lnFactorial",
        |input| json!({"value": num::ln_factorial(integer(input, "n"))}),
    ),
    ("rng.stream", stream),
    ("rng.draws", draws),
    ("rng.restore", |input| match rng::restore(&field(input, "state")) {
        Ok(mut stream) => json!({"u64": draw(&mut stream, &input["count"])}),
        Err(code) => json!({"error": code}),
    }),
    ("event.canonical", |input| {
        let text = event::canonical(&input["value"]).unwrap();
        json!({"text": text, "hash": event::content_hash(&input["value"]).unwrap()})
    }),
    ("event.streamDigest", |input| {
        let hashes: Vec<Digest> = field(input, "hashes");
        json!({"digest": event::stream_digest(&hashes)})
    }),
];

/// The form in which vectors report a check.
pub fn checked(result: Result<f64, Code>) -> Value {
    json!({"value": result.ok(), "code": result.err()})
}

fn draw(stream: &mut Stream, count: &Value) -> Vec<String> {
    (0..count.as_u64().unwrap())
        .map(|_| stream.next_u64().to_string())
        .collect()
}

fn stream(input: &Value) -> Value {
    let position = input["wordPos"].as_str().unwrap().parse().unwrap();
    let start = RngState::new(integer(input, "seed"), integer(input, "stream"), position).unwrap();
    let mut stream = Stream::restore(&start);
    let values = draw(&mut stream, &input["count"]);
    json!({"u64": values, "wordPos": stream.word_pos().to_string()})
}

fn draws(input: &Value) -> Value {
    let mut stream = Stream::new(integer(input, "seed"), integer(input, "stream"));
    let operations = input["ops"].as_array().unwrap();
    let results: Vec<Value> = operations.iter().map(|op| operation(&mut stream, op)).collect();
    json!({"results": results, "state": json_of(&stream.state())})
}

fn operation(stream: &mut Stream, op: &Value) -> Value {
    let number = |key: &str| op[key].as_f64().unwrap();
    match op["op"].as_str().unwrap() {
        "unit" => stream.unit().into(),
        "uniform" => stream.uniform(number("a"), number("b")).into(),
        "bernoulli" => stream.bernoulli(number("p")).into(),
        "below" => stream.below(integer(op, "n")).to_string().into(),
        "shuffle" => {
            let mut items: Vec<u64> = (0..op["n"].as_u64().unwrap()).collect();
            stream.shuffle(&mut items);
            items.into()
        }
        other => panic!("unknown draw {other}"),
    }
}
