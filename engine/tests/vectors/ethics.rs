//! Vectors of `ethics`.

use penin_engine::ethics::{self, Accumulator, Batch, Groups, Keys, NO_GROUP, Sample};
use penin_engine::num::Num;
use penin_engine::rng::Stream;
use serde_json::{Value, json};

use crate::Function;
use crate::support::{config, field, integer, json_of};

pub const FUNCTIONS: &[(&str, Function)] = &[
    ("ethics.binIndex", |input| {
        let p: f64 = field(input, "p");
        json!({"index": ethics::bin_index(p, field(input, "bins"))})
    }),
    ("ethics.eco", |input| {
        let tokens: Option<String> = field(input, "tokens");
        json_of(&ethics::eco(
            tokens.map(|tokens| tokens.parse().unwrap()),
            field(input, "ok"),
            field(input, "budgetKg"),
        ))
    }),
    ("ethics.evaluate", evaluate),
    ("ethics.merge", merge),
];

/// Owned columns of a vector.
struct Data {
    probs: Vec<Num>,
    predictions: Vec<bool>,
    labels: Vec<bool>,
    groups: Option<Vec<Option<String>>>,
    keys: Option<Vec<u64>>,
}

impl Data {
    fn read(input: &Value) -> Self {
        if input.get("synthetic").is_some_and(|spec| !spec.is_null()) {
            return Self::synthetic(&input["synthetic"]);
        }
        let data = &input["data"];
        let flags = |key: &str| -> Vec<bool> {
            let values = data[key].as_array().unwrap().iter();
            values
                .map(|value| value.as_bool().unwrap_or_else(|| value.as_f64() == Some(1.0)))
                .collect()
        };
        let keys: Option<Vec<Value>> = field(data, "keys");
        let key = |value: &Value| match value {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_u64().unwrap(),
        };
        Self {
            probs: field(data, "probs"),
            predictions: flags("predictions"),
            labels: flags("labels"),
            groups: field(data, "groups"),
            keys: keys.map(|keys| keys.iter().map(key).collect()),
        }
    }

    /// Samples by the recipe in the notes of the vector file.
    fn synthetic(spec: &Value) -> Self {
        let names: Vec<String> = field(spec, "groups");
        let shift = field::<Option<f64>>(spec, "shift").unwrap_or(0.0);
        let mut stream = Stream::new(integer(spec, "seed"), integer(spec, "stream"));
        let mut data = Self {
            probs: Vec::new(),
            predictions: Vec::new(),
            labels: Vec::new(),
            groups: None,
            keys: None,
        };
        let mut groups = Vec::new();
        for _ in 0..spec["n"].as_u64().unwrap() {
            let (p, v) = (stream.unit(), stream.unit());
            let group = stream.below(names.len() as u64);
            data.probs.push(Num::new(p));
            data.predictions.push(p >= 0.5);
            data.labels.push(v < (p + shift).clamp(0.0, 1.0));
            groups.push(Some(names[usize::try_from(group).unwrap()].clone()));
        }
        data.groups = Some(groups);
        data
    }

    fn key(&self, j: usize) -> u64 {
        self.keys.as_ref().map_or(j as u64, |keys| keys[j])
    }

    fn sample(&self, j: usize) -> Sample<'_> {
        Sample {
            prob: self.probs[j],
            prediction: self.predictions[j],
            label: self.labels[j],
            group: self.groups.as_ref().and_then(|groups| groups[j].as_deref()),
            key: self.key(j),
        }
    }

    /// All samples as one batch of columns.
    fn accumulate(&self, bins: usize) -> Accumulator {
        let mut names: Vec<&str> = Vec::new();
        let groups = self.groups.as_deref().unwrap_or(&[]);
        let codes: Vec<u16> = groups
            .iter()
            .map(|group| match group {
                None => NO_GROUP,
                Some(name) => {
                    let known = names.iter().position(|known| known == name);
                    let code = known.unwrap_or_else(|| {
                        names.push(name);
                        names.len() - 1
                    });
                    u16::try_from(code).unwrap()
                }
            })
            .collect();
        let probs: Vec<f64> = self.probs.iter().map(|p| p.get().unwrap_or(f64::NAN)).collect();
        let mut accumulator = Accumulator::new(bins);
        accumulator.add_batch(&Batch {
            probs: &probs,
            predictions: &self.predictions,
            labels: &self.labels,
            groups: if self.groups.is_some() {
                Groups::Interned {
                    names: &names,
                    codes: &codes,
                }
            } else {
                Groups::None
            },
            keys: self.keys.as_deref().map_or(Keys::From(0), Keys::Each),
        });
        accumulator
    }
}

fn evaluate(input: &Value) -> Value {
    let config = config(&input["config"]);
    let accumulator = Data::read(input).accumulate(usize::try_from(config.ethics.bins).unwrap());
    let number = |key, default| match &input[key] {
        Value::Null => default,
        _ => integer(input, key),
    };
    let seed = number("seed", config.seed);
    let evaluation = ethics::evaluate(&config.ethics, &accumulator, seed, number("cycle", 0)).unwrap();
    json_of(&evaluation)
}

fn merge(input: &Value) -> Value {
    let config = config(&input["config"]);
    let data = Data::read(input);
    let shards: usize = field(input, "shards");
    let bins = usize::try_from(config.ethics.bins).unwrap();
    let mut parts = vec![Accumulator::new(bins); shards];
    for j in 0..data.probs.len() {
        parts[j % shards].add(&data.sample(j));
    }
    let mut merged = Accumulator::new(bins);
    for shard in field::<Vec<usize>>(input, "order") {
        merged.merge(&parts[shard]).unwrap();
    }
    let report = ethics::evaluate(&config.ethics, &merged, 0, 0).unwrap().report;
    json!({
        "ece": report.ece.value,
        "brier": report.brier.value,
        "rhoBias": report.rho_bias.value,
        "evidenceDigest": report.evidence_digest,
    })
}
