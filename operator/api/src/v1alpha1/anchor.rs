//! `LedgerAnchor`: the last known head of the ledger, outside the ledger's own volume.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::values::UnsignedString;

/// A `LedgerAnchor` has no specification: everything is status.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "penin.ai",
    version = "v1alpha1",
    kind = "LedgerAnchor",
    plural = "ledgeranchors",
    shortname = "lanc",
    category = "penin",
    namespaced,
    no_spec,
    status = "LedgerAnchorStatus",
    derive = "PartialEq",
    doc = "A LedgerAnchor holds the head of an operator's ledger, so that a ledger that was cut or exchanged is noticed. The operator writes one, in its own namespace, before it signs a head; nobody else should. The API server refuses to let it shrink.",
    printcolumn(name = "Origin", type_ = "string", json_path = ".status.origin", description = "Name of the ledger."),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size", description = "Number of entries."),
    printcolumn(name = "Root", type_ = "string", json_path = ".status.root", description = "RFC 6962 root hash.", priority = 1),
    printcolumn(name = "Epoch", type_ = "string", json_path = ".status.epoch", description = "Leader's epoch at the last write."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = crate::rules::must("status", "!has(oldSelf.status) || !has(oldSelf.status.root) || (has(self.status) && has(self.status.root))", "must not be removed once it is set")
)]
pub struct LedgerAnchorSpec {}

/// Head of the ledger. All four are written together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = crate::rules::must("status", "[has(self.origin), has(self.size), has(self.root), has(self.epoch)].all(x, x) || ![has(self.origin), has(self.size), has(self.root), has(self.epoch)].exists(x, x)", "must have all of `origin`, `size`, `root` and `epoch`, or none"),
    validation = crate::rules::must("status", "!has(oldSelf.root) || has(self.root)", "must not be removed once it is set"),
    validation = crate::rules::field_must("status.origin", "origin", "!has(oldSelf.origin) || !has(self.origin) || self.origin == oldSelf.origin", "must not change"),
    validation = crate::rules::field_must("status.size", "size", "!has(oldSelf.size) || !has(self.size) || uint(self.size) >= uint(oldSelf.size)", "must not fall"),
    validation = crate::rules::field_must("status.root", "root", "!has(oldSelf.size) || !has(self.size) || !has(oldSelf.root) || !has(self.root) || self.size != oldSelf.size || self.root == oldSelf.root", "must not change while `status.size` stays"),
    validation = crate::rules::field_must("status.epoch", "epoch", "!has(oldSelf.epoch) || !has(self.epoch) || uint(self.epoch) >= uint(oldSelf.epoch)", "must not fall")
)]
#[serde(rename_all = "camelCase")]
pub struct LedgerAnchorStatus {
    /// Name of the ledger, in the sense of C2SP checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[^\s+]+$"))]
    pub origin: Option<String>,
    /// Number of entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<UnsignedString>,
    /// RFC 6962 root hash over all entries, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub root: Option<String>,
    /// Epoch of the leader that wrote the head: the number of lease transitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<UnsignedString>,
}
