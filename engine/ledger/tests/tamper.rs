//! Every byte of a small ledger flipped and every file cut at every length: the outcome is that nothing
//! acknowledged is lost, or a refusal with a reason, never silence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use common::{copy, keys, open, with_state};
use penin_ledger::{Head, Kind, MemoryAnchor, Policy, Verdict, VerifyOptions, verify};
use tempfile::{TempDir, tempdir};

/// Every n-th byte of the files; every byte for what the variable `PENIN_TAMPER_ALL` names: `flips`, `cuts` or both.
fn stride(length: usize, what: &str) -> usize {
    match std::env::var("PENIN_TAMPER_ALL") {
        Ok(all) if all.contains(what) => 1,
        _ => (length / 60).max(1),
    }
}

fn files(dir: &Path, base: &Path, found: &mut Vec<PathBuf>) {
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files(&path, base, found);
        } else {
            found.push(path.strip_prefix(base).unwrap().to_owned());
        }
    }
}

/// Size of a page of the database, and of the longest header of one: <https://sqlite.org/fileformat2.html#b_tree_pages>.
const PAGE: usize = 4_096;
const HEADER: usize = 12;

/// In which shape the ledger is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// As a crash leaves it: the WAL not yet moved to the main file.
    Crashed,
    /// Closed in order: all in the main file.
    Closed,
    /// Closed, and the second copy lost.
    DatabaseOnly,
}

fn ledger(volume: &Path, shape: Shape) -> (Head, Vec<Vec<u8>>) {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path(), MemoryAnchor::default(), 1).unwrap();
    for n in 1..6 {
        let mut draft = with_state(n);
        if n == 3 {
            draft.kind = Kind::PromoteAttest;
        }
        ledger.append(draft).wait().unwrap();
    }
    let head = ledger.head();
    let line = format!("\n{}\n", head.size);
    while !fs::read_to_string(dir.path().join("checkpoint")).is_ok_and(|n| n.contains(&line)) {
        std::thread::yield_now();
    }
    let reader = ledger.reader().unwrap();
    let entries = (0..head.size)
        .map(|seq| reader.entry_bytes(seq).unwrap().unwrap())
        .collect();
    drop(reader);
    if shape != Shape::Crashed {
        ledger.close();
    }
    copy(dir.path(), volume);
    if shape == Shape::DatabaseOnly {
        for part in ["tile", "tail", "blobs"] {
            fs::remove_dir_all(volume.join(part)).unwrap();
        }
    }
    (head, entries)
}

#[derive(Debug, Default)]
struct Count {
    tried: u64,
    whole: u64,
    refused: BTreeMap<&'static str, u64>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.whole += other.whole;
        for (reason, times) in other.refused {
            *self.refused.entry(reason).or_default() += times;
        }
    }
}

/// Opens the damaged volume; everything acknowledged must be there, or the refusal has a reason. What opening
/// accepts, the auditor must accept too, once the publisher has been through.
fn outcome(volume: &Path, head: &Head, entries: &[Vec<u8>], what: &str, count: &mut Count) {
    count.tried += 1;
    match open(volume, MemoryAnchor::new(Some(head.clone())), 1) {
        Err(failure) => *count.refused.entry(failure.reason.as_str()).or_default() += 1,
        Ok(ledger) => {
            count.whole += 1;
            let reader = ledger.reader().unwrap();
            for (seq, expected) in (0..).zip(entries) {
                let found = reader.entry_bytes(seq).unwrap();
                assert_eq!(found.as_ref(), Some(expected), "{what}: entry {seq}");
                let entry = reader.entry(seq).unwrap().unwrap();
                for (digest, _) in entry.content() {
                    assert!(reader.blob(&digest).unwrap().is_some(), "{what}: {digest}");
                }
            }
            let head = ledger.head();
            ledger.close();
            let policy = Policy {
                origin: common::ORIGIN.into(),
                keys: keys().verifiers(),
            };
            let options = VerifyOptions {
                policy: Some(&policy),
                anchor: Some(&head),
                threads: 1,
                ..VerifyOptions::default()
            };
            let report = verify(volume, &options).unwrap();
            assert_eq!(report.verdict, Verdict::Ok, "{what}: {report:?}");
        }
    }
}

/// A ledger that is damaged again and again, each time in a copy of its own.
struct Original {
    shape: Shape,
    folder: TempDir,
    head: Head,
    entries: Vec<Vec<u8>>,
}

impl Original {
    fn new(shape: Shape) -> Self {
        let folder = tempdir().unwrap();
        let (head, entries) = ledger(folder.path(), shape);
        Self {
            shape,
            folder,
            head,
            entries,
        }
    }

    /// The files that are damaged. Shared memory is rebuilt from the WAL, the lock has no content.
    fn files(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        files(self.folder.path(), self.folder.path(), &mut all);
        all.retain(|file| !file.ends_with("ledger.db-shm") && !file.ends_with("LOCK"));
        all
    }

    /// One bit of the file at `position` is flipped, or the file ends there.
    fn try_one(&self, file: &Path, position: u64, flip: bool, count: &mut Count) {
        let volume = tempdir().unwrap();
        copy(self.folder.path(), volume.path());
        let _ = fs::remove_file(volume.path().join("ledger.db-shm"));
        let path = volume.path().join(file);
        let damaged = fs::File::options().read(true).write(true).open(path).unwrap();
        if flip {
            let mut byte = [0];
            damaged.read_exact_at(&mut byte, position).unwrap();
            damaged.write_all_at(&[byte[0] ^ 0x10], position).unwrap();
        } else {
            damaged.set_len(position).unwrap();
        }
        drop(damaged);
        let what = format!("{:?}: {} at {position}, flip {flip}", self.shape, file.display());
        outcome(volume.path(), &self.head, &self.entries, &what, count);
    }

    /// Every position that is asked for, on all processors.
    fn try_all(&self, file: &Path, flip: bool, count: &mut Count) {
        let bytes = fs::read(self.folder.path().join(file)).unwrap();
        // Of the zeros that are written ahead a few stand for all.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let length = bytes.len().min(used + 64);
        let stride = stride(length, if flip { "flips" } else { "cuts" });
        // Where a page of the database begins is what the page is.
        let is_header = |position: usize| flip && file.ends_with("ledger.db") && position % PAGE < HEADER;
        let wanted = |position: &usize| position.is_multiple_of(stride) || is_header(*position);
        let positions: Vec<usize> = (0..length).filter(wanted).collect();
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let work = |worker: usize| {
            let mut count = Count::default();
            for position in positions.iter().skip(worker).step_by(workers) {
                self.try_one(file, *position as u64, flip, &mut count);
            }
            count
        };
        let counts = std::thread::scope(|scope| {
            let running: Vec<_> = (0..workers)
                .map(|worker| {
                    scope.spawn({
                        let work = &work;
                        move || work(worker)
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .collect::<Vec<_>>()
        });
        for found in counts {
            count.add(found);
        }
        let (shape, file) = (self.shape, file.display());
        println!("{shape:?}: {file}, {length} bytes, flip {flip}: {count:?} so far");
    }
}

/// Damages every file of a ledger in this shape: flips, and cuts.
fn damage(shape: Shape) -> (Count, Count) {
    let original = Original::new(shape);
    let (mut flips, mut cuts) = (Count::default(), Count::default());
    for file in original.files() {
        original.try_all(&file, true, &mut flips);
        original.try_all(&file, false, &mut cuts);
    }
    println!("{shape:?} flips: {flips:?}\n{shape:?} cuts: {cuts:?}");
    (flips, cuts)
}

#[test]
fn after_a_crash_no_damage_to_one_file_is_silent_or_loses_anything() {
    let (flips, cuts) = damage(Shape::Crashed);
    // One file at a time: the other copy is whole, so nothing needs to be refused.
    assert!(flips.tried > 300 && cuts.tried > 300);
    assert!(flips.refused.is_empty() && cuts.refused.is_empty());
}

#[test]
fn a_damaged_database_is_recovered_or_refused() {
    let (flips, cuts) = damage(Shape::Closed);
    assert!(flips.refused.contains_key("Damaged"), "{flips:?}");
    assert!(flips.tried > 300 && cuts.tried > 300);
}

#[test]
fn a_damaged_database_without_second_copy_is_refused() {
    let (flips, cuts) = damage(Shape::DatabaseOnly);
    assert!(flips.refused.contains_key("Damaged"), "{flips:?}");
    assert!(!cuts.refused.is_empty(), "{cuts:?}");
}

#[test]
fn lost_files_are_made_up_for_or_refused() {
    for shape in [Shape::Crashed, Shape::Closed, Shape::DatabaseOnly] {
        let original = tempdir().unwrap();
        let (head, entries) = ledger(original.path(), shape);
        let mut all = Vec::new();
        files(original.path(), original.path(), &mut all);
        let mut count = Count::default();
        for file in all {
            let volume = tempdir().unwrap();
            copy(original.path(), volume.path());
            fs::remove_file(volume.path().join(&file)).unwrap();
            let what = format!("{shape:?}: {} removed", file.display());
            outcome(volume.path(), &head, &entries, &what, &mut count);
        }
        println!("{shape:?} removed: {count:?}");
        let lost = shape == Shape::DatabaseOnly;
        assert_eq!(count.refused.contains_key("VolumeEmpty"), lost, "{count:?}");
    }
}
