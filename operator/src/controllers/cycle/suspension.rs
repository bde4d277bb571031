//! A suspension by `spec.suspend`, and its end, as entries of the ledger.
//!
//! A suspension holds from the pass that reads it, whatever the ledger does. Its entry is made when nothing else is to be
//! done, so that it never stands before something that takes traffic away. The book remembers what was recorded last:
//! there is one entry for each change, also when the process is killed between entry and status.

use std::time::Duration;

use jiff::Timestamp;

use super::plan::{Action, Plan};
use super::records;
use super::snapshot::Snapshot;

/// How often it is tried again while the ledger takes nothing.
const RETRY: Duration = Duration::from_secs(10);

/// The same plan, with the entry that is missing when it would do nothing.
#[must_use]
pub fn recorded(plan: Plan, snapshot: &Snapshot, now: Timestamp) -> Plan {
    let (Ok(settings), Ok(Some(book))) = (&snapshot.settings, &snapshot.book) else {
        return plan;
    };
    if settings.suspend == book.suspended || snapshot.deleting || plan.action != Action::None {
        return plan;
    }
    if snapshot.ledger.problem.is_some() {
        let recheck = plan.recheck.min(RETRY);
        return Plan { recheck, ..plan };
    }
    let record = records::suspension(snapshot, book, settings.suspend, now);
    Plan {
        action: Action::Record(Box::new(record)),
        ..plan
    }
}
