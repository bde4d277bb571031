//! What still waits in the rollback queues of the generations before this one.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::survey::Survey;
use crate::entry::Entry;
use crate::hash::{Digest, leaf_hash};
use crate::health::{Failure, Reason};
use crate::reader::ReadError;
use crate::rollbacks::{ROLLBACK_QUEUE, RollbackQueue};
use crate::source::Source;

/// Reads the queue of the ledger in `directory` and forgets what a crash left in both places. A generation that takes
/// entries also takes what waits in the queues of the `earlier` ones, oldest first.
pub(super) fn queue(directory: &Path, survey: &Survey, earlier: &[PathBuf]) -> Result<RollbackQueue, Failure> {
    let mut rollbacks = read(directory)?;
    rollbacks.remove_recorded(&survey.queued);
    if survey.sealed {
        return Ok(rollbacks);
    }
    let mut queues = Vec::new();
    let mut recorded = survey.queued.clone();
    for directory in earlier {
        let queue = read(directory)?;
        queues.push((directory, queue));
        // A rollback may have been recorded by its own generation or by any later one, and its line have stayed.
        if queues.iter().any(|(_, queue)| !queue.is_empty()) {
            note_recorded(directory, &mut recorded).map_err(|error| unknown(directory, &error))?;
        }
    }
    // The last one to be put before the others is the oldest.
    for (directory, queue) in queues.into_iter().rev() {
        rollbacks.inherit(directory, queue, &recorded, &survey.decided);
    }
    Ok(rollbacks)
}

fn read(directory: &Path) -> Result<RollbackQueue, Failure> {
    RollbackQueue::read(directory).map_err(|error| unreadable(directory, &error))
}

/// Adds the queued rollbacks that the generation in `directory` has recorded.
fn note_recorded(directory: &Path, recorded: &mut HashSet<Digest>) -> Result<(), ReadError> {
    if !directory.exists() {
        // The whole generation was moved to somewhere else, its queue with it.
        return Ok(());
    }
    Source::open(directory)?.read(0..u64::MAX, |seq, bytes| {
        let entry = Entry::decode_trusted(bytes, leaf_hash(bytes)).map_err(|error| ReadError::Entry { seq, error })?;
        recorded.extend(entry.queued);
        Ok(())
    })
}

fn unreadable(directory: &Path, error: &io::Error) -> Failure {
    let detail = format!(
        "{} cannot be read: {error}; rollbacks that are recorded nowhere else may wait in it: make it readable, or move \
         it away and keep it",
        directory.join(ROLLBACK_QUEUE).display()
    );
    Failure::new(Reason::StorageFailed, detail)
}

fn unknown(directory: &Path, error: &ReadError) -> Failure {
    let detail = format!(
        "rollbacks wait in the queue of an earlier generation, and whether they are recorded in {} cannot be read: \
         {error}; put the generation back, or move its queue away and keep it",
        directory.display()
    );
    Failure::new(Reason::StorageFailed, detail)
}
