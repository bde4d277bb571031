//! What verifiers need, in a `ConfigMap`: the policy file (origin and first keys), the keys in force, and all keys with
//! the first entry that each signs, for tools that check single entries.
//!
//! The policy of a ledger never changes. A `ConfigMap` that holds another one is left alone and said so: it is either of
//! another ledger, or somebody wants verifiers to trust other keys.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use penin_ledger::Policy;
use penin_ledger::keys::Verifiers;
use serde_json::{Value, json};

/// Key of the policy document.
const POLICY: &str = "policy.json";
/// Key of all keys, oldest first.
const KEYS: &str = "keys.json";
/// Key of the C2SP verifier key of the checkpoints.
const LOG_KEY: &str = "log.vkey";
/// Key of the attestation key, PEM.
const ATTESTATION_KEY: &str = "attestation.pub.pem";
/// Longest time of one call.
const CALL: Duration = Duration::from_secs(5);

/// The data of the `ConfigMap`: `keys` are all keys of the ledger with the first entry that they sign, as
/// [`penin_ledger::Ledger::keys`] gives them.
///
/// # Errors
/// When there are none, or one cannot be written.
pub fn data(origin: &str, keys: &[(u64, Verifiers)]) -> Result<BTreeMap<String, String>, String> {
    let ([(_, first), ..], [.., (_, current)]) = (keys, keys) else {
        return Err("the ledger has no keys".to_owned());
    };
    let attestation = current.attestation.to_pem().map_err(|error| error.to_string())?;
    let policy = Policy {
        origin: origin.to_owned(),
        keys: *first,
    };
    let history: Vec<Value> = keys
        .iter()
        .map(|(from, keys)| {
            json!({
                "from": from.to_string(),
                "logKey": keys.log.to_vkey(origin),
                "attestationKey": keys.attestation,
            })
        })
        .collect();
    let history = serde_json::to_string_pretty(&history).map_err(|error| error.to_string())?;
    Ok(BTreeMap::from([
        (POLICY.to_owned(), policy.to_json()),
        (KEYS.to_owned(), format!("{history}\n")),
        (LOG_KEY.to_owned(), format!("{}\n", current.log.to_vkey(origin))),
        (ATTESTATION_KEY.to_owned(), attestation),
    ]))
}

/// What is to be done about a `ConfigMap`.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Write,
}

/// # Errors
/// When it holds another policy.
fn step(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Result<Step, String> {
    match found.get(POLICY) {
        Some(policy) if wanted.get(POLICY) != Some(policy) => {
            Err("it holds the policy of another ledger and is left alone; delete it if it is not needed".to_owned())
        }
        _ if wanted.iter().all(|(key, value)| found.get(key) == Some(value)) => Ok(Step::Nothing),
        _ => Ok(Step::Write),
    }
}

/// Publishes `wanted` in the `ConfigMap` `name`.
///
/// # Errors
/// What the API server says, or that another policy is there.
pub async fn publish(
    client: &Client,
    namespace: &str,
    name: &str,
    wanted: BTreeMap<String, String>,
) -> Result<(), String> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    match bounded(api.get_opt(name)).await? {
        None => {
            let object = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    ..ObjectMeta::default()
                },
                data: Some(wanted),
                ..ConfigMap::default()
            };
            bounded(api.create(&PostParams::default(), &object)).await?;
        }
        Some(mut object) => {
            let mut data = object.data.take().unwrap_or_default();
            if step(&data, &wanted)? == Step::Write {
                data.extend(wanted);
                object.data = Some(data);
                // With the resourceVersion that was read.
                bounded(api.replace(name, &PostParams::default(), &object)).await?;
            }
        }
    }
    Ok(())
}

async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penin_ledger::Keys;

    const ORIGIN: &str = "test.penin.ai/ledger";

    #[test]
    fn the_policy_names_the_first_keys_and_beside_it_stand_those_in_force() {
        let [first, second] = [1, 2].map(|seed| Keys::generate([seed; 64]).verifiers());
        let before = data(ORIGIN, &[(0, first)]).unwrap();
        let after = data(ORIGIN, &[(0, first), (7, second)]).unwrap();
        assert_eq!(before[POLICY], after[POLICY]);
        let policy = Policy::from_json(&after[POLICY]).unwrap();
        assert_eq!((policy.origin.as_str(), policy.keys), (ORIGIN, first));
        assert_eq!(after[LOG_KEY].trim_end(), second.log.to_vkey(ORIGIN));
        assert_eq!(after[ATTESTATION_KEY], second.attestation.to_pem().unwrap());
        let keys: Value = serde_json::from_str(&after[KEYS]).unwrap();
        assert_eq!(keys[0]["from"], "0");
        assert_eq!(keys[0]["logKey"], first.log.to_vkey(ORIGIN));
        assert_eq!(keys[1]["from"], "7");
        assert_eq!(keys[1]["attestationKey"], second.attestation.to_base64());
        assert_eq!(step(&before, &after), Ok(Step::Write));
        assert_eq!(step(&after, &after), Ok(Step::Nothing));
        assert_eq!(step(&BTreeMap::new(), &after), Ok(Step::Write));
    }

    #[test]
    fn another_policy_is_left_alone_and_a_ledger_without_keys_has_none() {
        let found = BTreeMap::from([(POLICY.to_owned(), "{}".to_owned())]);
        let wanted = BTreeMap::from([(POLICY.to_owned(), "{ }".to_owned())]);
        assert!(step(&found, &wanted).unwrap_err().contains("another ledger"));
        assert!(data(ORIGIN, &[]).is_err());
    }
}
