//! The ledger's signing keys, in files that the kubelet mounts from a Secret.
//!
//! The operator has no right to read a Secret. It makes one, once, when there is neither an entry nor an anchor: a
//! ledger whose keys are gone is refused, never given new ones. An existing Secret is used as it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use penin_ledger::Keys;

use crate::runtime::random;

/// Key of the Secret, and name of the file, of the checkpoint key, PKCS#8 PEM.
pub const LOG_KEY: &str = "log.pem";
/// Key of the Secret, and name of the file, of the attestation key, PKCS#8 PEM.
pub const ATTESTATION_KEY: &str = "attestation.pem";
/// Longest time of one call.
const CALL: Duration = Duration::from_secs(5);
/// Longest file of a key, bytes: an Ed25519 key has some two hundred.
const LONGEST: u64 = 16 * 1024;
/// The API server's answer to a second object of one name.
const CONFLICT: u16 = 409;

/// Where the keys of one Secret are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySource {
    /// Name of the Secret.
    pub secret: String,
    /// Directory at which the kubelet mounts it.
    pub directory: PathBuf,
}

impl KeySource {
    /// The keys of Secret `name`, mounted under its name in `directory`.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        Self {
            secret: name.to_owned(),
            directory: directory.join(name),
        }
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The ledger exists and its keys do not.
    #[error(
        "Secret {} is gone, or not mounted at {} yet, and the ledger has entries: put the Secret back, it is mounted \
         within two minutes; a ledger never gets new keys", .0.secret, .0.directory.display()
    )]
    Gone(KeySource),
    /// The Secret was made a moment ago, or while this pod runs.
    #[error(
        "Secret {} exists and is not mounted at {} yet: the kubelet does that within two minutes; if it does not, \
         restart the pod", .0.secret, .0.directory.display()
    )]
    NotMounted(KeySource),
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
    /// The API server did not make the Secret.
    #[error(
        "Secret {name} cannot be made: {problem}; make it yourself, or let the operator \
         (ledger.createSigningKeySecret of the chart)"
    )]
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

/// The keys at `source`.
///
/// # Errors
/// [`KeysError::Gone`] without any file, [`KeysError::Unusable`] with files that hold no two keys.
pub fn load(source: &KeySource) -> Result<Keys, KeysError> {
    let unusable = |problem: String| unusable(&source.secret, problem);
    let read = |name: &str| read(&source.directory.join(name)).map_err(|error| unusable(format!("{name}: {error}")));
    match (read(LOG_KEY)?, read(ATTESTATION_KEY)?) {
        (None, None) => Err(KeysError::Gone(source.clone())),
        (None, _) => Err(unusable(format!("{LOG_KEY} is missing"))),
        (_, None) => Err(unusable(format!("{ATTESTATION_KEY} is missing"))),
        (Some(log), Some(attestation)) => {
            Keys::from_pkcs8_pem(&log, &attestation).map_err(|error| unusable(error.to_string()))
        }
    }
}

/// The keys at `source`; without any, new ones in a new Secret. For a ledger that has no entry and no anchor.
///
/// # Errors
/// [`KeysError`].
pub async fn load_or_create(client: &Client, namespace: &str, source: &KeySource) -> Result<Keys, KeysError> {
    match load(source) {
        Err(KeysError::Gone(_)) => create(client, namespace, source).await,
        loaded => loaded,
    }
}

async fn create(client: &Client, namespace: &str, source: &KeySource) -> Result<Keys, KeysError> {
    let name = &source.secret;
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
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let parameters = PostParams::default();
    let problem = match tokio::time::timeout(CALL, api.create(&parameters, &secret)).await {
        Ok(Ok(_)) => return Ok(keys),
        Ok(Err(kube::Error::Api(status))) if status.code == CONFLICT => {
            return Err(KeysError::NotMounted(source.clone()));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    Err(KeysError::Api {
        name: name.clone(),
        problem,
    })
}

/// A file's text; None if there is no such file.
fn read(path: &Path) -> std::io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(Some(text))
}

fn unusable(name: &str, problem: String) -> KeysError {
    KeysError::Unusable {
        name: name.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn source() -> (tempfile::TempDir, KeySource) {
        let folder = tempfile::tempdir().unwrap();
        let source = KeySource::new(folder.path(), "keys");
        fs::create_dir(&source.directory).unwrap();
        (folder, source)
    }

    #[test]
    fn what_is_mounted_is_read() {
        let (_folder, source) = source();
        assert!(matches!(load(&source), Err(KeysError::Gone(_))), "nothing is mounted");
        let keys = Keys::generate([7; 64]);
        let (log, attestation) = keys.to_pkcs8_pem().unwrap();
        fs::write(source.directory.join(LOG_KEY), log.as_bytes()).unwrap();
        let error = load(&source).unwrap_err().to_string();
        assert!(error.contains("attestation.pem is missing"), "{error}");
        fs::write(source.directory.join(ATTESTATION_KEY), attestation.as_bytes()).unwrap();
        assert_eq!(load(&source).unwrap().verifiers(), keys.verifiers());
        // One key twice is no pair.
        fs::write(source.directory.join(ATTESTATION_KEY), log.as_bytes()).unwrap();
        assert!(matches!(load(&source), Err(KeysError::Unusable { .. })));
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let (_folder, source) = source();
        let long = "x".repeat(1 << 20);
        for text in ["-----BEGIN hunter2", "hunter2", &format!("hunter2{long}")] {
            for file in [LOG_KEY, ATTESTATION_KEY] {
                fs::write(source.directory.join(file), text).unwrap();
            }
            let error = load(&source).unwrap_err().to_string();
            assert!(error.starts_with("Secret keys: "), "{error}");
            assert!(!error.contains("hunter2") && error.len() < 400, "{error}");
        }
        fs::write(source.directory.join(LOG_KEY), b"\xff\xfe").unwrap();
        assert!(matches!(load(&source), Err(KeysError::Unusable { .. })));
    }
}
