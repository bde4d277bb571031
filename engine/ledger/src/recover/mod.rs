//! Opening a ledger: survey, decide by the recovery table, repair what may be repaired, start the writer.

pub(crate) mod decide;
pub(crate) mod survey;
pub(crate) mod volume;

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::anchor::{Anchor, AnchorError, Head};
use crate::entry::internal::{self, Genesis, Leader};
use crate::entry::{Kind, Prepared};
use crate::health::{Failure, Reason};
use crate::keys::Keys;
use crate::ledger::{Ledger, Options};
use crate::publish::Publisher;
use crate::rollbacks::RollbackQueue;
use crate::store::Store;
use crate::tree::Frontier;
use crate::writer::queue::Queue;
use crate::writer::{Condition, Shared, Writer, lock, swap};
use decide::{Decision, Local, decide};
use survey::Survey;

/// Opens the ledger; see [`Ledger::open`].
pub(crate) fn open(
    directory: &Path,
    keys: Keys,
    mut anchor: Box<dyn Anchor>,
    epoch: u64,
    options: &Options,
) -> Result<Ledger, Failure> {
    check_origin(&options.origin)?;
    if i64::try_from(epoch).is_err() {
        return Err(Failure::new(Reason::Fenced, "epoch is beyond 2^63"));
    }
    let volume = volume::take(directory, options.any_filesystem)?;
    let anchored = load(anchor.as_mut())?;
    let store = Store::open_writer(directory)?;
    let survey = Survey::of(&store, anchored.as_ref().map_or(0, |head| head.size))?;
    let local = Local {
        origin: survey.genesis.as_ref().map(|g| g.origin.clone()),
        size: survey.frontier.size(),
        root_at_anchor: survey.root_at_mark,
        epoch: survey.epoch,
        second_copy: 0,
        checkpoint: None,
    };
    let decision = decide(&local, anchored.as_ref(), &options.origin, epoch)?;
    check_keys(&survey, &keys)?;
    let anchored = claim(
        anchor.as_mut(),
        decision,
        anchored.as_ref(),
        &survey,
        epoch,
        options,
    )?;
    let rollbacks = surveyed_rollbacks(directory, &survey);
    let shared = Arc::new(Shared {
        queue: Arc::new(Queue::new(options.queue_entries, options.queue_bytes)),
        condition: Mutex::new(Condition {
            failure: None,
            committed: survey.frontier.size(),
            anchored: anchored.clone(),
        }),
        state: Mutex::new(survey.state.clone()),
        rollbacks: Mutex::new(rollbacks),
    });
    let first = first_entries(&survey, &keys, epoch, options)?;
    let publishing_key = keys.log.clone();
    let mut writer = Writer {
        store,
        anchor,
        keys,
        policy: options.policy(),
        shared: Arc::clone(&shared),
        publisher: Publisher::start(directory, publishing_key)?,
        origin: options.origin.clone(),
        epoch,
        frontier: survey.frontier,
        last: survey.last,
        latest_ms: survey.latest_ms,
        anchored,
        sealed: survey.sealed,
        unanchored_state: Vec::new(),
    };
    if !writer.sealed {
        writer.append_internal(first)?;
    }
    writer.publisher.publish(writer.anchored.clone());
    Ledger::start(directory, volume, shared, writer)
}

/// Origin lines go into signed notes: the key name there has no spaces and no plus sign.
fn check_origin(origin: &str) -> Result<(), Failure> {
    let fits = (1..=255).contains(&origin.len())
        && !origin
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+');
    fits.then_some(()).ok_or_else(|| {
        Failure::new(
            Reason::OriginMismatch,
            "origin: 1 to 255 bytes without spaces, control characters and plus signs",
        )
    })
}

fn load(anchor: &mut dyn Anchor) -> Result<Option<Head>, Failure> {
    anchor.load().map_err(|error| match error {
        AnchorError::Conflict => Failure::new(Reason::Fenced, error.to_string()),
        AnchorError::Unavailable(why) => Failure::new(Reason::AnchorUnavailable, why),
    })
}

fn check_keys(survey: &Survey, keys: &Keys) -> Result<(), Failure> {
    match survey.verifiers {
        Some(expected) if expected != keys.verifiers() => Err(Failure::new(
            Reason::KeyMismatch,
            format!(
                "the ledger's keys are log {} and attestation {}; these are not they",
                expected.log.to_base64(),
                expected.attestation.to_base64()
            ),
        )),
        _ => Ok(()),
    }
}

/// Claims the epoch: from here on, an older writer's swap is refused. Also moves an anchor forward that a
/// crash left behind the database.
fn claim(
    anchor: &mut dyn Anchor,
    decision: Decision,
    anchored: Option<&Head>,
    survey: &Survey,
    epoch: u64,
    options: &Options,
) -> Result<Head, Failure> {
    // The reservation at size 0 makes "entries without an anchor" mean one thing only: it was deleted.
    let (size, root) = match decision {
        Decision::Genesis => (0, Frontier::new().root()),
        _ => (survey.frontier.size(), survey.frontier.root()),
    };
    let next = Head {
        origin: options.origin.clone(),
        size,
        root,
        epoch,
    };
    if anchored != Some(&next) {
        swap(anchor, anchored, &next, &options.policy())?;
    }
    Ok(next)
}

/// Reads the queue and forgets what a crash left in both places.
fn surveyed_rollbacks(directory: &Path, survey: &Survey) -> RollbackQueue {
    let mut rollbacks = RollbackQueue::open(directory);
    rollbacks.remove(|id| survey.queued.contains(id));
    rollbacks
}

fn first_entries(
    survey: &Survey,
    keys: &Keys,
    epoch: u64,
    options: &Options,
) -> Result<Vec<Prepared>, Failure> {
    let time_ms = options.time_ms;
    let draft = if survey.genesis.is_none() {
        let body = Genesis {
            format: internal::FORMAT.to_owned(),
            origin: options.origin.clone(),
            keys: keys.verifiers(),
            previous: options.previous.clone(),
        };
        internal::draft(Kind::Genesis, &options.origin, time_ms, &body)
    } else if survey.epoch < epoch {
        let holder = options.holder.clone();
        internal::draft(Kind::Leader, &options.origin, time_ms, &Leader { holder })
    } else {
        return Ok(Vec::new());
    };
    Prepared::any_kind(draft, None)
        .map(|prepared| vec![prepared])
        .map_err(|error| Failure::new(Reason::StorageFailed, format!("options: {error}")))
}

impl Writer {
    /// Appends the ledger's own entries before the writer's thread starts.
    pub(crate) fn append_internal(&mut self, entries: Vec<Prepared>) -> Result<(), Failure> {
        if self.append_prepared(entries) {
            return Ok(());
        }
        let failure = lock(&self.shared.condition).failure.clone();
        Err(failure.unwrap_or_else(|| {
            Failure::new(Reason::StorageFailed, "the first entries were not written")
        }))
    }
}
