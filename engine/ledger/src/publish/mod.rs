//! The second copy beside the database: C2SP tlog-tiles, entry bundles, blobs and the signed checkpoint.
//!
//! Published by a thread of its own after the head is anchored, so that appends do not wait for it; only
//! promotions and rollbacks wait for one flush of the `tail`. Whatever is found different from the record at
//! start is written anew.

pub mod copy;
mod files;
pub mod paths;
pub(crate) mod tail;
pub(crate) mod tiles;

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ed25519_dalek::SigningKey;

use crate::anchor::Head;
use crate::entry::Entry;
use crate::hash::leaf_hash;
use crate::health::{Failure, Reason};
use crate::note::Checkpoint;
use crate::store::{Store, StoreError};
use crate::writer::lock;
use files::put;
use paths::TILE_WIDTH;
use tail::{Item, Tail};
use tiles::{Pass, PublishError};

/// File name of the newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// Pause between two publications under load: each writes whole partial files.
const PAUSE: Duration = Duration::from_millis(50);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Inbox {
    head: Option<Head>,
    keys: Vec<SigningKey>,
    closed: bool,
    /// Whether the thread waits for a head. In its pauses it need not be woken: it looks again by itself.
    idle: bool,
    error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inbox: Mutex<Inbox>,
    changed: Condvar,
    /// Entries below are in full bundles that are flushed.
    flushed: Arc<AtomicU64>,
}

impl Mailbox {
    /// What went wrong at the last publication, if it did.
    pub fn error(&self) -> Option<String> {
        lock(&self.inbox).error.clone()
    }
}

/// The writer's side of the second copy.
#[derive(Debug)]
pub(crate) struct Publisher {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
    tail: Tail,
}

impl Publisher {
    /// Starts the thread. Nothing is published before the first head. An earlier process published, and flushed,
    /// `published` entries; the first pass compares them with the record.
    pub fn start(directory: &Path, key: SigningKey, published: u64) -> Result<Self, Failure> {
        let mailbox = Arc::new(Mailbox::default());
        let flushed = published / TILE_WIDTH * TILE_WIDTH;
        mailbox.flushed.store(flushed, Ordering::Release);
        lock(&mailbox.inbox).keys.push(key);
        let (shared, path) = (Arc::clone(&mailbox), directory.to_owned());
        let thread = std::thread::Builder::new()
            .name("ledger-publisher".into())
            .spawn(move || run(&shared, &path))
            .map_err(|error| Failure::new(Reason::StorageFailed, error.to_string()))?;
        Ok(Self {
            mailbox,
            thread: Some(thread),
            tail: Tail::new(directory),
        })
    }

    pub fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    /// Signs checkpoints with `key` too, first; the old key's line stays until the process ends, so that
    /// verifiers have time to change.
    pub fn rotate(&mut self, key: SigningKey) {
        lock(&self.mailbox.inbox).keys.insert(0, key);
    }

    /// Publishes an anchored head. Never waits; a newer head replaces one that is still waiting.
    pub fn publish(&mut self, head: Head) {
        let mut inbox = lock(&self.mailbox.inbox);
        inbox.head = Some(head);
        let idle = inbox.idle;
        drop(inbox);
        if idle {
            self.mailbox.changed.notify_one();
        }
    }

    /// Makes the second copy of everything below `size`, which is committed, durable.
    pub fn write_durably(&mut self, store: &Store, size: u64) -> Result<(), Failure> {
        let mut first = self.tail.next(self.mailbox.flushed.load(Ordering::Acquire));
        // A bundle at a time: when the copy was lost, these are all entries that there are.
        while first < size {
            let end = size.min((first / TILE_WIDTH + 1) * TILE_WIDTH);
            self.tail.append(&items(store, first..end)?).map_err(|error| {
                let reason = match error.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::StorageFull,
                    _ => Reason::StorageFailed,
                };
                Failure::new(reason, format!("second copy: {error}"))
            })?;
            first = end;
        }
        Ok(())
    }

    /// Publishes the last head and ends the thread.
    pub fn finish(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        lock(&self.mailbox.inbox).closed = true;
        self.mailbox.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // If it panicked, what it publishes is written anew at the next start.
            let _ = thread.join();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Entries with their blobs, as the tail holds them.
fn items(store: &Store, range: Range<u64>) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    store.scan(range, |row| {
        let damaged = |why: String| StoreError::Damaged(format!("entry {}: {why}", row.seq));
        let entry =
            Entry::decode_trusted(row.entry, leaf_hash(row.entry)).map_err(|error| damaged(error.to_string()))?;
        let blobs = entry.content().map(|(digest, _)| {
            let content = store.blob(&digest)?;
            content.ok_or_else(|| damaged(format!("blob {digest} is missing")))
        });
        items.push(Item {
            seq: row.seq,
            entry: row.entry.to_vec(),
            blobs: blobs.collect::<Result<_, _>>()?,
        });
        Ok::<(), StoreError>(())
    })?;
    Ok(items)
}

fn run(mailbox: &Mailbox, directory: &Path) {
    let mut pass: Option<(Store, Pass)> = None;
    while let Some((head, keys)) = next(mailbox) {
        let outcome = publish(&mut pass, mailbox, directory, &head, &keys);
        let mut inbox = lock(&mailbox.inbox);
        let pause = match outcome {
            Ok(()) => {
                inbox.error = None;
                PAUSE
            }
            Err(error) => {
                // Start over: publishing again repairs whatever is half done.
                pass = None;
                inbox.error = Some(error.to_string());
                if inbox.head.is_none() && !inbox.closed {
                    inbox.head = Some(head);
                }
                RETRY
            }
        };
        if !inbox.closed {
            let waited = mailbox.changed.wait_timeout_while(inbox, pause, |inbox| !inbox.closed);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Waits for a head; `None` when closed and nothing waits.
fn next(mailbox: &Mailbox) -> Option<(Head, Vec<SigningKey>)> {
    let mut inbox = lock(&mailbox.inbox);
    inbox.idle = true;
    let mut inbox = mailbox
        .changed
        .wait_while(inbox, |inbox| inbox.head.is_none() && !inbox.closed)
        .unwrap_or_else(PoisonError::into_inner);
    inbox.idle = false;
    let head = inbox.head.take()?;
    Some((head, inbox.keys.clone()))
}

fn publish(
    pass: &mut Option<(Store, Pass)>,
    mailbox: &Mailbox,
    directory: &Path,
    head: &Head,
    keys: &[SigningKey],
) -> Result<(), PublishError> {
    if pass.is_none() {
        let start = Pass::start(directory, Arc::clone(&mailbox.flushed))?;
        *pass = Some((Store::open_reader(directory)?, start));
    }
    if let Some((store, pass)) = pass {
        pass.advance(store, head.size, head.root)?;
    }
    // Last: a checkpoint promises the tiles it covers.
    let checkpoint = Checkpoint {
        origin: head.origin.clone(),
        size: head.size,
        root: head.root,
    };
    let path: PathBuf = directory.join(CHECKPOINT);
    put(&path, checkpoint.sign(keys).as_bytes())?;
    if let Some((_, pass)) = pass {
        pass.signed()?;
    }
    Ok(())
}
