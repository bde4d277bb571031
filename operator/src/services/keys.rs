//! The ledger's signing keys, in a Secret.
//!
//! They are made once, when there is neither an entry nor an anchor: a ledger whose Secret is gone is refused, never
//! given new keys. An existing Secret is used as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use penin_ledger::Keys;

use crate::runtime::random;

/// Key of the Secret that holds the checkpoint key, PKCS#8 PEM.
const LOG_KEY: &str = "log.pem";
/// Key of the Secret that holds the attestation key, PKCS#8 PEM.
const ATTESTATION_KEY: &str = "attestation.pem";
/// Longest time of one call.
const CALL: Duration = Duration::from_secs(5);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The ledger exists and its Secret does not.
    #[error("Secret {0} is gone, and the ledger has entries: put the Secret back; a ledger never gets new keys")]
    Gone(String),
    /// The Secret does not hold two keys.
    #[error(
        "Secret {name}: {problem}; it needs {LOG_KEY} and {ATTESTATION_KEY}, two different Ed25519 keys in PKCS#8 PEM"
    )]
    Unusable {
        /// Name of the Secret.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The API server did not answer.
    #[error("Secret {name} cannot be read or written: {problem}")]
    Api {
        /// Name of the Secret.
        name: String,
        /// What happened.
        problem: String,
    },
    /// The system gives no entropy.
    #[error(transparent)]
    Entropy(#[from] random::NoEntropy),
}

/// The keys in Secret `name`; made there if it does not exist and `may_create`.
///
/// # Errors
/// [`KeysError`].
pub async fn load(client: &Client, namespace: &str, name: &str, may_create: bool) -> Result<Keys, KeysError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if let Some(secret) = bounded(name, api.get_opt(name)).await? {
        return parse(name, &secret.data.unwrap_or_default());
    }
    if !may_create {
        return Err(KeysError::Gone(name.to_owned()));
    }
    let keys = Keys::generate(random::bytes()?);
    let (log, attestation) = keys.to_pkcs8_pem().map_err(|error| unusable(name, error.to_string()))?;
    let data = BTreeMap::from([
        (LOG_KEY.to_owned(), ByteString(log.as_bytes().to_vec())),
        (ATTESTATION_KEY.to_owned(), ByteString(attestation.as_bytes().to_vec())),
    ]);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        immutable: Some(true),
        type_: Some("penin.ai/ledger-keys".to_owned()),
        ..Secret::default()
    };
    bounded(name, api.create(&PostParams::default(), &secret)).await?;
    Ok(keys)
}

fn parse(name: &str, data: &BTreeMap<String, ByteString>) -> Result<Keys, KeysError> {
    let text = |key: &str| {
        let bytes = data
            .get(key)
            .ok_or_else(|| unusable(name, format!("{key} is missing")))?;
        std::str::from_utf8(&bytes.0).map_err(|_| unusable(name, format!("{key} is no text")))
    };
    Keys::from_pkcs8_pem(text(LOG_KEY)?, text(ATTESTATION_KEY)?).map_err(|error| unusable(name, error.to_string()))
}

fn unusable(name: &str, problem: String) -> KeysError {
    KeysError::Unusable {
        name: name.to_owned(),
        problem,
    }
}

async fn bounded<T>(name: &str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, KeysError> {
    let problem = match tokio::time::timeout(CALL, call).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    Err(KeysError::Api {
        name: name.to_owned(),
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_without_both_keys_is_refused_without_showing_what_it_holds() {
        let data = BTreeMap::from([(LOG_KEY.to_owned(), ByteString(b"-----BEGIN hunter2".to_vec()))]);
        let error = parse("keys", &data).unwrap_err().to_string();
        assert!(error.contains(ATTESTATION_KEY) || error.contains(LOG_KEY), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
