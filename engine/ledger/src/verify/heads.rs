//! The entries against heads that were kept elsewhere: the signed checkpoint and the anchor.

use super::{Marks, Report};
use crate::anchor::Head;
use crate::hash::Digest;
use crate::note::Checkpoint;

/// Compares both with the first entries. `epoch` is that of the last entry.
pub(super) fn compare(
    anchor: Option<&Head>,
    checkpoint: Option<&Checkpoint>,
    marks: &Marks,
    epoch: u64,
    report: &mut Report,
) {
    if let Some(claim) = checkpoint {
        let (origin, size, root) = (claim.origin.as_str(), claim.size, claim.root);
        covers(report, marks, "checkpoint", (origin, size, root));
    }
    // A head that was kept for a while is older than the checkpoint, and as good: the ledger only grows.
    if let Some(head) = anchor
        && covers(report, marks, "anchor", (&head.origin, head.size, head.root))
    {
        let beyond = report.size - head.size;
        // A writer claims its epoch in the anchor first: what it appends to that head has the epoch too.
        if beyond > 0 && head.epoch > epoch {
            let detail = format!(
                "the anchor of {} entries has epoch {}, which is later than epoch {epoch} of the last entry",
                head.size, head.epoch
            );
            report.tampered(None, detail);
        } else {
            report.beyond_anchor = Some(beyond);
        }
    }
}

/// Whether the first entries are those that a head names.
fn covers(report: &mut Report, marks: &Marks, what: &str, (origin, size, root): (&str, u64, Digest)) -> bool {
    if origin != report.origin {
        report.tampered(None, format!("the {what} is of another log: {origin:?}"));
    } else if size > report.size {
        let detail = format!("the {what} covers {size} entries, there are {}", report.size);
        report.incomplete(None, detail);
    } else if marks.root(size) != Some(root) {
        let detail = format!("the first {size} entries have another root than the {what}");
        report.tampered(None, detail);
    } else {
        return true;
    }
    false
}
