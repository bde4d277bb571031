//! The published checkpoint alone: what it claims, and whether the ledger's keys signed it.

use super::schedule::Schedule;
use super::{Report, Verdict};
use crate::note::Checkpoint;
use crate::policy::Policy;
use crate::reader::ReadError;
use crate::source::Source;
use crate::store::StoreError;

/// Whether a checkpoint is signed by a key of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// It is.
    Genuine,
    /// It is not, and why.
    Refused(String),
    /// Nobody can say: the entry that names the keys is missing, and no policy names them.
    Unknown,
}

/// A published checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The note as it stands there.
    pub note: String,
    /// What it claims, when it can be read.
    pub claimed: Option<Checkpoint>,
    /// Whether it is believed.
    pub signature: Signature,
}

/// Reads the published checkpoint, and checks its signature with the log's key: the policy's with the rotations that
/// follow, or without a policy the one that the first entry names. `None` when there is none. Ask for it before the
/// size of a ledger that may grow.
///
/// # Errors
/// When the files or the entries that name keys cannot be read.
pub fn published_checkpoint(source: &Source, policy: Option<&Policy>) -> Result<Option<Published>, ReadError> {
    let bytes = source.copy().checkpoint();
    let Some(bytes) = bytes.map_err(|error| StoreError::Io(format!("checkpoint: {error}")))? else {
        return Ok(None);
    };
    let mut report = Report::new(policy.is_some(), false);
    let schedule = Schedule::read(source, policy, &mut report)?;
    let claimed = Checkpoint::claimed(&bytes);
    let signature = if let Some(finding) = report.findings.first().filter(|_| report.verdict != Verdict::Ok) {
        Signature::Refused(finding.detail.clone())
    } else if claimed.is_some() && !schedule.has_keys() {
        Signature::Unknown
    } else {
        match schedule.open(&bytes) {
            Ok(_) => Signature::Genuine,
            Err(why) => Signature::Refused(why.to_string()),
        }
    };
    Ok(Some(Published {
        note: String::from_utf8_lossy(&bytes).into_owned(),
        claimed,
        signature,
    }))
}
