//! The recovery table: what is found at start decides what may be done. Pure, so that every row is tested.

use crate::anchor::Head;
use crate::hash::Digest;
use crate::health::{Failure, Reason};

/// What the volume holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Local {
    /// Origin named by the first entry; `None` when there is no entry.
    pub origin: Option<String>,
    /// Number of entries in the database.
    pub size: u64,
    /// Root of the first `anchor.size` entries, when there are that many.
    pub root_at_anchor: Option<Digest>,
    /// Highest epoch of an entry.
    pub epoch: u64,
    /// Number of entries up to the anchor that the second copy can supply; 0 when it has none.
    pub second_copy: u64,
    /// Size of the last published checkpoint that carries our signature.
    pub checkpoint: Option<u64>,
    /// Whether the second copy holds entries, whoever wrote them.
    pub published: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Create the anchor at size 0, then the first entry.
    Genesis,
    /// The anchor waits at size 0 for the first entry: a start was interrupted.
    FinishGenesis,
    /// Go on; the anchor is moved forward first when the database is ahead of it.
    Resume,
    /// Take the missing entries from the second copy, then go on.
    Refill,
}

/// Decides from what was found. `epoch` and `origin` are the opener's.
pub(crate) fn decide(local: &Local, anchor: Option<&Head>, origin: &str, epoch: u64) -> Result<Decision, Failure> {
    let refuse = |reason, detail: String| Err(Failure::new(reason, detail));
    if let Some(found) = local.origin.as_deref().filter(|found| *found != origin) {
        return refuse(
            Reason::OriginMismatch,
            format!("the volume holds the ledger {found:?}, expected {origin:?}"),
        );
    }
    let Some(anchor) = anchor else {
        return without_anchor(local);
    };
    if anchor.origin != origin {
        return refuse(
            Reason::OriginMismatch,
            format!("the anchor is of {:?}, expected {origin:?}", anchor.origin),
        );
    }
    let newest = anchor.epoch.max(local.epoch);
    if newest > epoch {
        return refuse(
            Reason::Fenced,
            format!("epoch {newest} has written, this process has epoch {epoch}"),
        );
    }
    if let Some(signed) = local.checkpoint.filter(|signed| *signed > anchor.size) {
        return refuse(
            Reason::AnchorRolledBack,
            format!(
                "a checkpoint of size {signed} was signed, the anchor has size {}",
                anchor.size
            ),
        );
    }
    if local.size < anchor.size {
        return shorter(local, anchor);
    }
    if local.root_at_anchor != Some(anchor.root) {
        return refuse(
            Reason::Forked,
            format!("the first {} entries have another root than the anchor", anchor.size),
        );
    }
    Ok(if local.size == 0 {
        Decision::FinishGenesis
    } else {
        Decision::Resume
    })
}

/// Nothing at all is a new ledger; anything else had an anchor.
fn without_anchor(local: &Local) -> Result<Decision, Failure> {
    if local.size == 0 && local.checkpoint.is_none() && !local.published {
        return Ok(Decision::Genesis);
    }
    let entries = match local.size.max(local.checkpoint.unwrap_or(0)) {
        0 => "published entries".to_owned(),
        entries => format!("{entries} entries"),
    };
    Err(Failure::new(
        Reason::AnchorMissing,
        format!("the volume holds {entries} but there is no anchor; it was deleted"),
    ))
}

/// The database lacks entries that are anchored.
fn shorter(local: &Local, anchor: &Head) -> Result<Decision, Failure> {
    if local.second_copy >= anchor.size {
        return Ok(Decision::Refill);
    }
    let reason = if local.size == 0 {
        Reason::VolumeEmpty
    } else {
        Reason::RolledBack
    };
    Err(Failure::new(
        reason,
        format!(
            "the anchor has size {}, the volume {} entries and its second copy {}",
            anchor.size, local.size, local.second_copy
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Digest = Digest::from_bytes([1; 32]);

    fn local(size: u64) -> Local {
        Local {
            origin: (size > 0).then(|| "o".to_owned()),
            size,
            root_at_anchor: Some(ROOT),
            epoch: 3,
            second_copy: 0,
            checkpoint: None,
            published: false,
        }
    }

    fn anchor(size: u64) -> Head {
        Head {
            origin: "o".into(),
            size,
            root: ROOT,
            epoch: 3,
        }
    }

    /// What is found, entries, anchored size, what else differs, and what must follow.
    type Row = (
        &'static str,
        u64,
        Option<u64>,
        fn(&mut Local, &mut Option<Head>),
        Result<Decision, Reason>,
    );

    #[test]
    #[rustfmt::skip]
    fn every_row_of_the_recovery_table() {
        let rows: [Row; 18] = [
            ("nothing anywhere", 0, None, |_, _| {}, Ok(Decision::Genesis)),
            ("start interrupted before the first entry", 0, Some(0), |_, _| {}, Ok(Decision::FinishGenesis)),
            ("start interrupted after the first entry", 1, Some(0), |_, _| {}, Ok(Decision::Resume)),
            ("clean", 5, Some(5), |_, _| {}, Ok(Decision::Resume)),
            ("crash between commit and anchor", 6, Some(5), |_, _| {}, Ok(Decision::Resume)),
            ("tail lost, second copy whole", 4, Some(5), |l, _| l.second_copy = 5, Ok(Decision::Refill)),
            ("database lost, second copy whole", 0, Some(5), |l, _| l.second_copy = 9, Ok(Decision::Refill)),
            ("tail lost, second copy short", 4, Some(5), |l, _| l.second_copy = 4, Err(Reason::RolledBack)),
            ("older volume", 4, Some(5), |_, _| {}, Err(Reason::RolledBack)),
            ("volume lost", 0, Some(5), |_, _| {}, Err(Reason::VolumeEmpty)),
            ("anchor deleted", 5, None, |_, _| {}, Err(Reason::AnchorMissing)),
            ("anchor deleted, database lost", 0, None, |l, _| l.checkpoint = Some(5), Err(Reason::AnchorMissing)),
            ("anchor deleted, only tiles left", 0, None, |l, _| l.published = true, Err(Reason::AnchorMissing)),
            ("rewritten", 5, Some(5), |l, _| l.root_at_anchor = Some(Digest::ZERO), Err(Reason::Forked)),
            ("anchor restored", 9, Some(5), |l, _| l.checkpoint = Some(7), Err(Reason::AnchorRolledBack)),
            ("newer epoch in the anchor", 5, Some(5), |_, a| a.as_mut().unwrap().epoch = 9, Err(Reason::Fenced)),
            ("newer epoch in the volume", 5, Some(5), |l, _| l.epoch = 9, Err(Reason::Fenced)),
            ("another ledger", 5, Some(5), |l, _| l.origin = Some("p".into()), Err(Reason::OriginMismatch)),
        ];
        for (name, size, anchored, change, expected) in rows {
            let mut local = local(size);
            let mut anchor = anchored.map(anchor);
            change(&mut local, &mut anchor);
            let decided = decide(&local, anchor.as_ref(), "o", 4).map_err(|f| f.reason);
            assert_eq!(decided, expected, "{name}");
        }
    }

    #[test]
    fn an_anchor_of_another_ledger_is_refused() {
        let mut other = anchor(0);
        other.origin = "p".into();
        let decided = decide(&local(0), Some(&other), "o", 4).map_err(|f| f.reason);
        assert_eq!(decided, Err(Reason::OriginMismatch));
    }
}
