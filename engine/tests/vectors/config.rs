//! Vectors of `config`.

use penin_engine::config::{Config, from_classic};
use serde_json::{Value, json};

use crate::Function;
use crate::support::{config, json_of};

pub const FUNCTIONS: &[(&str, Function)] = &[
    ("config.validate", |input| json!({"errors": errors(&input["document"])})),
    ("config.classic", |input| {
        let document = from_classic(&input["document"]);
        json!({"errors": errors(&document), "document": document})
    }),
    ("config.hash", |input| json!({"hash": config(&input["config"]).hash()})),
];

fn errors(document: &Value) -> Value {
    json_of(&Config::from_json(document).err().unwrap_or_default())
}
