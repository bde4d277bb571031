//! The ledger's anchor in the Kubernetes API: a `LedgerAnchor` whose status is moved by compare-and-swap.
//!
//! The custom resource's own rules refuse every shrink, so a restored volume or a second writer is noticed even if
//! this code is wrong.

use std::future::Future;
use std::time::Duration;

use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use penin_api::v1alpha1::{LedgerAnchor, LedgerAnchorSpec, LedgerAnchorStatus};
use penin_api::values::UnsignedString;
use penin_ledger::{Anchor, AnchorError, Head};
use tokio::runtime::Handle;

/// Longest time of one call.
const CALL: Duration = Duration::from_secs(5);

/// The anchor object. Used by the ledger's writer thread, which blocks on it.
#[derive(Debug)]
pub struct KubeAnchor {
    api: Api<LedgerAnchor>,
    name: String,
    runtime: Handle,
    /// The object as it was last read or written: the next swap needs its resourceVersion alone.
    known: Option<LedgerAnchor>,
}

impl KubeAnchor {
    /// The anchor `name` in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: impl Into<String>, runtime: Handle) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.into(),
            runtime,
            known: None,
        }
    }

    fn call<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, AnchorError> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(CALL, call).await });
        match answer {
            Err(_) => Err(AnchorError::Unavailable(
                "the Kubernetes API did not answer in time".to_owned(),
            )),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
                Err(AnchorError::Conflict)
            }
            // The custom resource's rules refused a shrink: somebody else's head is newer than ours.
            Ok(Err(kube::Error::Api(status))) if status.code == 422 => Err(AnchorError::Conflict),
            Ok(Err(error)) => Err(AnchorError::Unavailable(error.to_string())),
        }
    }

    fn read(&mut self) -> Result<Option<Head>, AnchorError> {
        let object = self.call(self.api.get_opt(&self.name))?;
        let head = object.as_ref().map(head_of).transpose()?.flatten();
        self.known = object;
        Ok(head)
    }

    fn create(&mut self) -> Result<LedgerAnchor, AnchorError> {
        let object = LedgerAnchor {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: LedgerAnchorSpec::default(),
            status: None,
        };
        self.call(self.api.create(&PostParams::default(), &object))
    }
}

impl Anchor for KubeAnchor {
    fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        self.read()
    }

    fn swap(&mut self, expected: Option<&Head>, next: &Head) -> Result<(), AnchorError> {
        let held = match &self.known {
            Some(object) => head_of(object)?,
            None => self.read()?,
        };
        if held.as_ref() != expected {
            // What we remember may be old: forget it, so that the next try reads.
            self.known = None;
            return Err(AnchorError::Conflict);
        }
        let mut object = match self.known.take() {
            Some(object) => object,
            None => self.create()?,
        };
        object.status = Some(status_of(next));
        self.known = Some(self.call(self.api.replace_status(&self.name, &PostParams::default(), &object))?);
        Ok(())
    }
}

fn status_of(head: &Head) -> LedgerAnchorStatus {
    LedgerAnchorStatus {
        origin: Some(head.origin.clone()),
        size: Some(UnsignedString::from(head.size)),
        root: Some(head.root.to_string()),
        epoch: Some(UnsignedString::from(head.epoch)),
    }
}

/// The head that an object holds; None before the first swap. Half a head is no head and no absence of one.
fn head_of(object: &LedgerAnchor) -> Result<Option<Head>, AnchorError> {
    let Some(status) = &object.status else { return Ok(None) };
    match (&status.origin, status.size, &status.root, status.epoch) {
        (None, None, None, None) => Ok(None),
        (Some(origin), Some(size), Some(root), Some(epoch)) => {
            let root = root
                .parse()
                .map_err(|_| AnchorError::Unavailable("status.root is no SHA-256".to_owned()))?;
            Ok(Some(Head {
                origin: origin.clone(),
                size: size.get(),
                root,
                epoch: epoch.get(),
            }))
        }
        _ => Err(AnchorError::Unavailable("status holds half a head".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(status: Option<LedgerAnchorStatus>) -> LedgerAnchor {
        LedgerAnchor {
            metadata: ObjectMeta::default(),
            spec: LedgerAnchorSpec::default(),
            status,
        }
    }

    #[test]
    fn a_head_survives_the_way_through_the_object_and_half_a_head_is_refused() {
        let head = Head {
            origin: "penin.ai/ledger/a/b".to_owned(),
            size: 7,
            root: penin_ledger::Digest::of(b"x"),
            epoch: 3,
        };
        assert_eq!(head_of(&anchor(Some(status_of(&head)))), Ok(Some(head.clone())));
        assert_eq!(head_of(&anchor(None)), Ok(None));
        assert_eq!(head_of(&anchor(Some(LedgerAnchorStatus::default()))), Ok(None));
        let half = LedgerAnchorStatus {
            root: None,
            ..status_of(&head)
        };
        assert!(head_of(&anchor(Some(half))).is_err());
    }
}
