//! What a verification found.

use serde::Serialize;

use crate::hash::Digest;

/// Most findings that are kept; more are counted.
const MOST_FINDINGS: usize = 100;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// Something that should be there is not.
    Incomplete,
    /// Something is there that was not written so.
    Tampered,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The entry concerned.
    pub seq: Option<u64>,
    /// What is wrong.
    pub detail: String,
}

/// Outcome of a verification, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// Entries, blobs or files are missing; what is there is genuine.
    Incomplete,
    /// Something was changed, forged or reordered.
    Tampered,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Outcome; the worst finding decides.
    pub verdict: Verdict,
    /// Origin of the log, by its first entry.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// RFC 6962 root of all entries, as far as they link.
    pub root: Digest,
    /// Whether the keys were pinned by a policy.
    pub keys_pinned: bool,
    /// Whether an anchor was compared.
    pub anchored: bool,
    /// Entries behind those that the anchor covers, when its head is one that the ledger had: 0 when the anchor is the
    /// end. Otherwise it is an older head, from which nobody can see whether the end was cut off behind it.
    pub beyond_anchor: Option<u64>,
    /// Size of the signed checkpoint that was compared.
    pub checkpoint: Option<u64>,
    /// Signatures checked.
    pub signatures: u64,
    /// Blobs checked.
    pub blobs: u64,
    /// What is wrong, at most 100.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
}

impl Report {
    /// Nothing found yet.
    pub(super) const fn new(keys_pinned: bool, anchored: bool) -> Self {
        Self {
            verdict: Verdict::Ok,
            origin: String::new(),
            size: 0,
            root: Digest::ZERO,
            keys_pinned,
            anchored,
            beyond_anchor: None,
            checkpoint: None,
            signatures: 0,
            blobs: 0,
            findings: Vec::new(),
            more_findings: 0,
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if finding.severity == Severity::Tampered {
            self.verdict = Verdict::Tampered;
        } else if self.verdict == Verdict::Ok {
            self.verdict = Verdict::Incomplete;
        }
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }

    pub(super) fn tampered(&mut self, seq: Option<u64>, detail: impl Into<String>) {
        self.add(Finding {
            severity: Severity::Tampered,
            seq,
            detail: detail.into(),
        });
    }

    pub(super) fn incomplete(&mut self, seq: Option<u64>, detail: impl Into<String>) {
        self.add(Finding {
            severity: Severity::Incomplete,
            seq,
            detail: detail.into(),
        });
    }
}
