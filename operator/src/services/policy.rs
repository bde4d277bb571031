//! What verifiers need, in a `ConfigMap`: the policy file (origin and first keys) and the keys in force.
//!
//! The policy of a ledger never changes. A `ConfigMap` that holds another one is left alone and said so: it is either of
//! another ledger, or somebody wants verifiers to trust other keys.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use penin_ledger::keys::Verifiers;
use penin_ledger::{Policy, Source, generations};

/// Key of the policy document.
const POLICY: &str = "policy.json";
/// Key of the C2SP verifier key of the checkpoints.
const LOG_KEY: &str = "log.vkey";
/// Key of the attestation key, PEM.
const ATTESTATION_KEY: &str = "attestation.pub.pem";
/// Longest time of one call.
const CALL: Duration = Duration::from_secs(5);

/// The data of the `ConfigMap`, from the first entry of the ledger in `directory` and the keys in force.
///
/// # Errors
/// When the ledger has no readable first entry.
pub fn data(directory: &Path, current: &Verifiers) -> Result<BTreeMap<String, String>, String> {
    let genesis = Source::open(directory)
        .and_then(|source| generations::beginning(&source))
        .map_err(|error| error.to_string())?
        .ok_or("the ledger has no first entry yet")?;
    let attestation = current.attestation.to_pem().map_err(|error| error.to_string())?;
    let vkey = current.log.to_vkey(&genesis.origin);
    let policy = Policy {
        origin: genesis.origin,
        keys: genesis.keys,
    };
    Ok(BTreeMap::from([
        (POLICY.to_owned(), policy.to_json()),
        (LOG_KEY.to_owned(), format!("{vkey}\n")),
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
    use penin_ledger::{Keys, Ledger, MemoryAnchor, Options};

    #[test]
    fn the_policy_names_the_first_keys_and_beside_it_stand_those_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (Keys::generate([1; 64]), Keys::generate([2; 64]));
        let mut options = Options::new("test.penin.ai/ledger", 1_790_000_000_000);
        options.any_filesystem = true;
        let ledger = Ledger::open(
            folder.path(),
            first.clone(),
            Box::new(MemoryAnchor::default()),
            1,
            options,
        )
        .unwrap();
        ledger.rotate_keys(second.clone(), 1_790_000_000_000).wait().unwrap();
        ledger.close();
        let before = data(folder.path(), &first.verifiers()).unwrap();
        let after = data(folder.path(), &second.verifiers()).unwrap();
        assert_eq!(before[POLICY], after[POLICY]);
        let policy = Policy::from_json(&after[POLICY]).unwrap();
        assert_eq!(policy.keys, first.verifiers());
        assert!(after[LOG_KEY].starts_with("test.penin.ai/ledger+"));
        assert_ne!(before[LOG_KEY], after[LOG_KEY]);
        assert_eq!(step(&before, &after), Ok(Step::Write));
        assert_eq!(step(&after, &after), Ok(Step::Nothing));
        assert_eq!(step(&BTreeMap::new(), &after), Ok(Step::Write));
    }

    #[test]
    fn another_policy_is_left_alone_and_an_empty_ledger_has_none() {
        let found = BTreeMap::from([(POLICY.to_owned(), "{}".to_owned())]);
        let wanted = BTreeMap::from([(POLICY.to_owned(), "{ }".to_owned())]);
        assert!(step(&found, &wanted).unwrap_err().contains("another ledger"));
        let folder = tempfile::tempdir().unwrap();
        assert!(data(folder.path(), &Keys::generate([1; 64]).verifiers()).is_err());
    }
}
