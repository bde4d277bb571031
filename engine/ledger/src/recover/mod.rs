//! Opening a ledger: survey, decide by the recovery table, repair what may be repaired, start the writer.

pub(crate) mod decide;
mod earlier;
mod refill;
pub(crate) mod survey;
pub(crate) mod volume;

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::anchor::{Anchor, AnchorError, Head};
use crate::entry::internal::{self, Carry, Genesis, Leader, Recovery};
use crate::entry::{Draft, Kind, MAX_REFERENCES, Prepared};
use crate::generations::Predecessor;
use crate::health::{Failure, Reason};
use crate::keys::Keys;
use crate::ledger::{Ledger, Options};
use crate::note::Checkpoint;
use crate::publish::Publisher;
use crate::publish::copy::PublishedCopy;
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
    let mut store = Store::open_writer(directory)?;
    let found = Survey::of(&store, anchored.as_ref().map_or(0, |head| head.size))?;
    let found_size = found.frontier.size();
    let copy = PublishedCopy::new(directory);
    let (survey, decision) = survey_and_decide(&copy, &mut store, found, anchored.as_ref(), &keys, epoch, options)?;
    check_keys(&survey, &keys)?;
    if anchored.as_ref().is_some_and(|head| head.size < survey.frontier.size()) {
        // A process that was killed between writing and flushing left entries that only the kernel's memory holds.
        store.make_durable()?;
    }
    let published = published(&copy, &survey, &options.origin)?;
    let anchored = claim(anchor.as_mut(), decision, anchored.as_ref(), &survey, epoch, options)?;
    // After the claim: what is an entry by now is anchored.
    let rollbacks = earlier::queue(directory, &survey, &options.earlier)?;
    let shared = Arc::new(shared(&survey, &anchored, &keys, rollbacks, options));
    let first = first_entries(&survey, &keys, epoch, found_size, options)?;
    let publishing_key = keys.log.clone();
    let mut writer = Writer {
        store,
        anchor,
        keys,
        policy: options.policy(),
        shared: Arc::clone(&shared),
        publisher: Publisher::start(directory, publishing_key, published)?,
        origin: options.origin.clone(),
        epoch,
        frontier: survey.frontier,
        last: survey.last,
        latest_ms: survey.latest_ms,
        anchored,
        sealed: survey.sealed,
        unanchored_state: Vec::new(),
        unanchored_rollbacks: Vec::new(),
    };
    if !writer.sealed {
        writer.append_internal(first)?;
    }
    writer.publisher.publish(writer.anchored.clone());
    Ledger::start(directory, volume, shared, writer)
}

/// What the writer tells the other threads, as it is before the first new entry.
fn shared(survey: &Survey, anchored: &Head, keys: &Keys, rollbacks: RollbackQueue, options: &Options) -> Shared {
    Shared {
        clock_tolerance_ms: options.clock_tolerance_ms,
        queue: Arc::new(Queue::new(options.queue_entries, options.queue_bytes)),
        condition: Mutex::new(Condition {
            failure: None,
            committed: survey.frontier.size(),
            latest_ms: survey.latest_ms,
            clock_noted_ms: None,
            anchored: anchored.clone(),
            sealed: survey.sealed,
            keys: match survey.verifiers() {
                Some(_) => survey.keys.clone(),
                None => vec![(0, keys.verifiers())],
            },
        }),
        state: Mutex::new(survey.state.clone()),
        rollbacks: Mutex::new(rollbacks),
    }
}

/// Decides by the recovery table, and takes missing entries from the second copy when the table says so.
fn survey_and_decide(
    copy: &PublishedCopy,
    store: &mut Store,
    found: Survey,
    anchored: Option<&Head>,
    keys: &Keys,
    epoch: u64,
    options: &Options,
) -> Result<(Survey, Decision), Failure> {
    let size = found.frontier.size();
    let reached = match anchored {
        Some(anchor) if size < anchor.size => refill::reach(copy, &found, anchor)?,
        _ => None,
    };
    let whole = reached.as_ref().unwrap_or(&found);
    let local = Local {
        origin: whole.genesis.as_ref().map(|genesis| genesis.origin.clone()),
        size,
        root_at_anchor: found.root_at_mark,
        epoch: whole.epoch,
        second_copy: reached.as_ref().map_or(0, |reached| reached.frontier.size()),
        checkpoint: signed_size(copy, whole, keys, &options.origin)?,
        published: copy.has_entries().map_err(|error| unreadable(&error))?,
    };
    let decision = decide(&local, anchored, &options.origin, epoch)?;
    match (decision, reached, anchored) {
        (Decision::Refill, Some(reached), Some(anchor)) => {
            check_keys(&reached, keys)?;
            refill::refill(copy, store, found, anchor)?;
            Ok((reached, decision))
        }
        _ => Ok((found, decision)),
    }
}

/// Size of the published checkpoint, when it carries the ledger's signature. One that does not proves nothing
/// and is written anew. One that cannot be read may be what shows that the anchor was set back.
fn signed_size(copy: &PublishedCopy, survey: &Survey, keys: &Keys, origin: &str) -> Result<Option<u64>, Failure> {
    let Some(note) = copy.checkpoint().map_err(|error| unreadable(&error))? else {
        return Ok(None);
    };
    let key = survey.verifiers().unwrap_or_else(|| keys.verifiers()).log;
    let checkpoint = Checkpoint::open(&note, origin, &key).ok();
    Ok(checkpoint.map(|checkpoint| checkpoint.size))
}

/// Entries in bundles that an earlier process flushed, as its checkpoint says, and that are still there. A rotation may
/// have followed the checkpoint.
fn published(copy: &PublishedCopy, survey: &Survey, origin: &str) -> Result<u64, Failure> {
    let Some(note) = copy.checkpoint().map_err(|error| unreadable(&error))? else {
        return Ok(0);
    };
    let mut lately = survey.keys.iter().rev().take(2);
    let signed = lately.find_map(|(_, keys)| Checkpoint::open(&note, origin, &keys.log).ok());
    let signed = signed.map_or(0, |checkpoint| checkpoint.size.min(survey.frontier.size()));
    Ok(signed.min(copy.reach_from(0).map_err(|error| unreadable(&error))?))
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(Reason::StorageFailed, format!("published copy: {error}"))
}

/// Origin lines go into signed notes: the key name there has no spaces and no plus sign.
fn check_origin(origin: &str) -> Result<(), Failure> {
    let fits =
        (1..=255).contains(&origin.len()) && !origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
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
    match survey.verifiers() {
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

fn first_entries(
    survey: &Survey,
    keys: &Keys,
    epoch: u64,
    found: u64,
    options: &Options,
) -> Result<Vec<Prepared>, Failure> {
    let (origin, time_ms) = (&options.origin, options.time_ms);
    let mut drafts = Vec::new();
    if survey.genesis.is_none() {
        let body = Genesis {
            format: internal::FORMAT.to_owned(),
            origin: origin.clone(),
            keys: keys.verifiers(),
            previous: options.previous.as_ref().map(|previous| previous.head.clone()),
        };
        drafts.push(internal::draft(Kind::Genesis, origin, time_ms, &body));
        drafts.extend(options.previous.iter().flat_map(|previous| carried(previous, options)));
    } else if survey.epoch < epoch {
        let holder = options.holder.clone();
        drafts.push(internal::draft(Kind::Leader, origin, time_ms, &Leader { holder }));
    }
    if found < survey.frontier.size() {
        let body = Recovery {
            action: "REFILLED".to_owned(),
            found: found.to_string(),
            restored: survey.frontier.size().to_string(),
        };
        drafts.push(internal::draft(Kind::Recovery, origin, time_ms, &body));
    }
    drafts
        .into_iter()
        .map(|draft| Prepared::any_kind(draft, None))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(Reason::StorageFailed, format!("options: {error}")))
}

/// States of the generation before, as many in an entry as it can name. They stand in one transaction with GENESIS.
fn carried(previous: &Predecessor, options: &Options) -> impl Iterator<Item = Draft> {
    let body = Carry {
        from: previous.head.origin.clone(),
    };
    previous.state.chunks(MAX_REFERENCES).map(move |states| {
        let mut draft = internal::draft(Kind::Carry, &options.origin, options.time_ms, &body);
        draft.state = states.to_vec();
        draft
    })
}

impl Writer {
    /// Appends the ledger's own entries before the writer's thread starts.
    pub(crate) fn append_internal(&mut self, entries: Vec<Prepared>) -> Result<(), Failure> {
        if self.append_prepared(entries) {
            return Ok(());
        }
        let failure = lock(&self.shared.condition).failure.clone();
        Err(failure.unwrap_or_else(|| Failure::new(Reason::StorageFailed, "the first entries were not written")))
    }
}

/// Moves the database of a closed ledger aside, so that the next [`Ledger::open`] takes every entry from the
/// second copy, checked against the anchor. For a database that is refused as damaged. Nothing is deleted.
///
/// Returns the directory that holds the old files.
///
/// # Errors
/// When another process holds the ledger or a file cannot be moved.
pub fn set_database_aside(directory: &Path) -> Result<std::path::PathBuf, Failure> {
    let _volume = volume::take(directory, true)?;
    let failed = |error: std::io::Error| {
        let detail = format!("{}: {error}", directory.display());
        Failure::new(Reason::StorageFailed, detail)
    };
    let aside = (0..1_000)
        .map(|n| directory.join(format!("damaged-{n}")))
        .find(|path| !path.exists())
        .ok_or_else(|| Failure::new(Reason::StorageFailed, "1,000 databases are aside already"))?;
    std::fs::create_dir(&aside).map_err(failed)?;
    for suffix in ["-wal", "-shm", ""] {
        let name = format!("{}{suffix}", crate::store::DATABASE);
        let path = directory.join(&name);
        if path.exists() {
            std::fs::rename(path, aside.join(&name)).map_err(failed)?;
        }
    }
    crate::anchor::sync_parent(&aside).map_err(failed)?;
    Ok(aside)
}
