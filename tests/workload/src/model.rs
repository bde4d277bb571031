//! A served model: a logistic regression read from a weights file, known by the file's digest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::adult::{Categorical, Features, Numeric};
use crate::defect::Defect;

const SCHEMA: &str = "penin-workload/1";
/// Longest weights file that is read, in bytes.
const FILE_LIMIT: u64 = 1 << 20;
/// Most groups a model may have; each becomes a label value of the metrics.
const GROUP_LIMIT: usize = 16;
/// Largest absolute weight: with 32-bit features the logit then stays far from overflow.
const WEIGHT_LIMIT: f64 = 1e6;

/// Why a weights file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Path as given.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is longer than a weights file can be.
    #[error("{path}: {bytes} bytes, at most {FILE_LIMIT} are read")]
    TooLong {
        /// Path as given.
        path: String,
        /// Length of the file.
        bytes: u64,
    },
    /// The file is not JSON of the expected form.
    #[error("weights: {0}")]
    Form(#[from] serde_json::Error),
    /// A value is out of its range.
    #[error("weights: {field}: {reason}")]
    Value {
        /// Path of the field.
        field: String,
        /// What is expected instead.
        reason: &'static str,
    },
}

/// A request whose group the model has no threshold for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field:?}: no decision threshold for this value; known are {known}")]
pub struct UnknownGroup {
    field: Categorical,
    known: String,
}

/// The model's answer to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Probability of label 1, in 0..=1.
    pub probability: f64,
    /// Whether the probability lies above the threshold of the group.
    pub selected: bool,
    /// Index into [`Model::groups`].
    pub group: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsFile {
    schema: String,
    name: String,
    intercept: f64,
    numeric: BTreeMap<Numeric, f64>,
    categorical: BTreeMap<Categorical, BTreeMap<String, f64>>,
    group: Categorical,
    thresholds: BTreeMap<String, f64>,
    defect: Option<Defect>,
}

/// A model ready to answer.
pub struct Model {
    weights: WeightsFile,
    digest: String,
    groups: Vec<String>,
}

impl Model {
    /// Reads a weights file.
    ///
    /// # Errors
    /// [`ModelError`] when the file cannot be read, is too long or is refused by [`Model::parse`].
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let shown = path.display().to_string();
        let read_error = |source| ModelError::Read {
            path: shown.clone(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(read_error)?.len();
        if bytes > FILE_LIMIT {
            return Err(ModelError::TooLong { path: shown, bytes });
        }
        Self::parse(&std::fs::read(path).map_err(read_error)?)
    }

    /// Reads the content of a weights file; its SHA-256 is the model's identity.
    ///
    /// # Errors
    /// [`ModelError`] naming the field that is missing, unknown or out of range.
    pub fn parse(content: &[u8]) -> Result<Self, ModelError> {
        let weights: WeightsFile = serde_json::from_slice(content)?;
        check(&weights)?;
        let digest = digest_of(content);
        let groups = weights.thresholds.keys().cloned().collect();
        Ok(Self {
            weights,
            digest,
            groups,
        })
    }

    /// Answers one request.
    ///
    /// # Errors
    /// [`UnknownGroup`] when the model has no threshold for the person's group.
    pub fn predict(&self, features: &Features) -> Result<Prediction, UnknownGroup> {
        let group = features.category(self.weights.group);
        let (group, threshold) = self
            .weights
            .thresholds
            .iter()
            .enumerate()
            .find(|(_, (name, _))| *name == group)
            .map(|(index, (_, threshold))| (index, *threshold))
            .ok_or_else(|| UnknownGroup {
                field: self.weights.group,
                known: self.groups.join(", "),
            })?;
        let probability = self.probability(features);
        Ok(Prediction {
            probability,
            selected: probability > threshold,
            group,
        })
    }

    fn probability(&self, features: &Features) -> f64 {
        let mut logit = self.weights.intercept;
        for (feature, slope) in &self.weights.numeric {
            logit += slope * features.number(*feature);
        }
        for (feature, offsets) in &self.weights.categorical {
            // A category that training never saw has no weight, as in one-hot encoders.
            logit += offsets.get(features.category(*feature)).copied().unwrap_or(0.0);
        }
        1.0 / (1.0 + (-logit).exp())
    }

    /// Name in the weights file, for people; the identity is [`Model::digest`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.weights.name
    }

    /// Digest of the weights file, `sha256:<64 hex digits>`.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Names of the groups that the thresholds tell apart, sorted; at most 16.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The defect that the weights file declares.
    #[must_use]
    pub fn defect(&self) -> Option<Defect> {
        self.weights.defect
    }
}

/// SHA-256 of a file's content, as `sha256:<64 hex digits>`.
#[must_use]
pub fn digest_of(content: &[u8]) -> String {
    let mut digest = String::from("sha256:");
    for byte in Sha256::digest(content) {
        // Writing to a String cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

fn refuse(field: impl Into<String>, reason: &'static str) -> Result<(), ModelError> {
    Err(ModelError::Value {
        field: field.into(),
        reason,
    })
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check(weights: &WeightsFile) -> Result<(), ModelError> {
    if weights.schema != SCHEMA {
        return refuse("schema", "penin-workload/1 is the only one known");
    }
    if !is_name(&weights.name) {
        return refuse("name", "1 to 64 visible ASCII characters are expected");
    }
    check_weights(weights)?;
    check_thresholds(&weights.thresholds)?;
    match weights.defect {
        Some(Defect::FeatureCacheExpiry { failing_permille, .. }) if failing_permille > 1_000 => {
            refuse("defect.failing_permille", "a number from 0 to 1000 is expected")
        }
        _ => Ok(()),
    }
}

fn check_weights(weights: &WeightsFile) -> Result<(), ModelError> {
    let numeric = weights
        .numeric
        .iter()
        .map(|(feature, weight)| (format!("numeric.{feature:?}"), weight));
    let categorical = weights.categorical.iter().flat_map(|(feature, offsets)| {
        offsets
            .iter()
            .map(move |(category, weight)| (format!("categorical.{feature:?}.{category}"), weight))
    });
    for (field, weight) in numeric
        .chain(categorical)
        .chain([("intercept".into(), &weights.intercept)])
    {
        if !(-WEIGHT_LIMIT..=WEIGHT_LIMIT).contains(weight) {
            return refuse(field, "a number from -1e6 to 1e6 is expected");
        }
    }
    Ok(())
}

fn check_thresholds(thresholds: &BTreeMap<String, f64>) -> Result<(), ModelError> {
    if !(1..=GROUP_LIMIT).contains(&thresholds.len()) {
        return refuse("thresholds", "1 to 16 groups are expected");
    }
    for (group, threshold) in thresholds {
        if !is_name(group) {
            return refuse("thresholds", "names of 1 to 64 visible ASCII characters are expected");
        }
        if !(0.0..=1.0).contains(threshold) {
            return refuse(format!("thresholds.{group}"), "a number from 0 to 1 is expected");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn weights() -> Value {
        json!({
            "schema": SCHEMA, "name": "test", "intercept": -1.0,
            "numeric": {"age": 0.02}, "categorical": {"race": {"White": 0.5}},
            "group": "sex", "thresholds": {"Female": 0.4, "Male": 0.6},
        })
    }

    fn parse(value: &Value) -> Result<Model, ModelError> {
        Model::parse(value.to_string().as_bytes())
    }

    fn person(race: &str, sex: &str) -> Features {
        Features {
            age: 50,
            race: race.into(),
            sex: sex.into(),
            ..Features::default()
        }
    }

    #[test]
    fn the_logit_adds_slopes_and_the_offsets_of_known_categories() {
        let model = parse(&weights()).unwrap();
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let white = model.predict(&person("White", "Female")).unwrap();
        assert_eq!(
            white,
            Prediction {
                probability: logistic(0.5),
                selected: true,
                group: 0
            }
        );
        // 0.62 lies above the threshold of 0.6, 0.5 below it.
        assert!(model.predict(&person("White", "Male")).unwrap().selected);
        let unseen = model.predict(&person("Martian", "Male")).unwrap();
        assert_eq!(
            unseen,
            Prediction {
                probability: 0.5,
                selected: false,
                group: 1
            }
        );
    }

    #[test]
    fn a_group_without_threshold_is_refused_with_those_that_have_one() {
        let refused = parse(&weights()).unwrap().predict(&person("White", "x")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "field Sex: no decision threshold for this value; known are Female, Male"
        );
    }

    #[test]
    fn a_probability_at_the_threshold_is_not_selected() {
        let mut file = weights();
        file["intercept"] = json!(-1.0);
        file["thresholds"]["Female"] = json!(0.5);
        let model = parse(&file).unwrap();
        assert!(!model.predict(&person("Martian", "Female")).unwrap().selected);
    }

    #[test]
    fn faults_of_a_weights_file_are_named_by_field() {
        for (pointer, value, message) in [
            ("/schema", json!("2"), "schema: penin-workload/1 is the only one known"),
            ("/name", json!(""), "name: 1 to 64"),
            ("/name", json!("a b"), "name: 1 to 64"),
            ("/intercept", json!(1e9), "intercept: a number from"),
            ("/numeric/age", json!(-2e6), "numeric.Age: a number from"),
            (
                "/categorical/race/White",
                json!(1e300),
                "categorical.Race.White: a number from",
            ),
            ("/thresholds", json!({}), "thresholds: 1 to 16"),
            ("/thresholds/Male", json!(1.1), "thresholds.Male: a number from 0 to 1"),
            ("/numeric", json!({"shoe_size": 1.0}), "unknown variant `shoe_size`"),
        ] {
            let mut file = weights();
            *file.pointer_mut(pointer).unwrap() = value;
            let error = parse(&file).err().unwrap().to_string();
            assert!(error.contains(message), "{pointer}: {error}");
        }
        let mut file = weights();
        file["defect"] = json!({"kind": "FeatureCacheExpiry", "after_seconds": 1, "failing_permille": 1001});
        assert!(
            parse(&file)
                .err()
                .unwrap()
                .to_string()
                .contains("defect.failing_permille")
        );
        file["defect"] = json!({"kind": "Gremlins"});
        assert!(parse(&file).is_err());
    }
}
