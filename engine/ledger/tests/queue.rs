//! What the rollback queue answers with "on disk" is flushed: a run's system calls, as strace saw them, are fed to a
//! model of a disk that loses everything but what was flushed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use penin_ledger::RollbackQueue;
use tempfile::{TempDir, tempdir};

const CALLS: &str = "trace=openat,write,ftruncate,fsync,fdatasync,rename";

/// What would be lost if the power failed now, in one directory.
struct Disk {
    _place: TempDir,
    directory: PathBuf,
    queue: String,
    /// Files with data that is not flushed.
    unflushed: BTreeSet<String>,
    /// Files whose name in the directory is not flushed.
    unnamed: BTreeSet<String>,
    known: BTreeSet<String>,
    /// A draft was written since the last answer.
    written: bool,
    /// Answers of the queue, as they were printed.
    answers: Vec<String>,
}

impl Disk {
    fn new() -> Self {
        let place = tempdir().unwrap();
        let directory = place.path().canonicalize().unwrap().join("ledger");
        std::fs::create_dir(&directory).unwrap();
        Self {
            _place: place,
            queue: directory.join("rollbacks.queue").display().to_string(),
            directory,
            unflushed: BTreeSet::new(),
            unnamed: BTreeSet::new(),
            known: BTreeSet::new(),
            written: false,
            answers: Vec::new(),
        }
    }

    /// Queues rollbacks in a process of its own and follows its system calls.
    fn queue(&mut self, count: u32, first: u32, injection: Option<&str>) {
        let log = self.directory.with_extension("strace");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-y", "-s", "4096", "-e", CALLS]);
        strace.args(
            injection
                .map(|what| ["-e".to_owned(), format!("inject={what}")])
                .into_iter()
                .flatten(),
        );
        strace.arg("-o").arg(&log).arg(program()).arg(&self.directory);
        strace.args(["0", &count.to_string(), &first.to_string()]);
        let output = strace.output().expect("strace must be installed");
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().for_each(|line| self.follow(line));
        let printed = String::from_utf8(output.stdout).unwrap();
        let seen = self.answers.iter().rev().take(printed.lines().count()).rev();
        assert!(seen.eq(printed.lines()), "the trace is not of this run:\n{text}");
    }

    fn follow(&mut self, line: &str) {
        // One thread: a call is on one line, with its process before it and its result behind it.
        let Some((call, rest)) = line
            .split_once(' ')
            .and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            return;
        };
        let done = rest
            .rsplit_once(" = ")
            .is_some_and(|(_, result)| result.starts_with(|c: char| c.is_ascii_digit()));
        if !done {
            return;
        }
        let quoted: Vec<&str> = rest.split('"').skip(1).step_by(2).collect();
        let file = rest
            .split_once('<')
            .and_then(|(_, path)| path.split_once('>'))
            .map_or("", |(path, _)| path);
        match call {
            "openat" => self.opened(quoted[0], rest),
            "write" if rest.starts_with("1<") => self.answered(quoted[0]),
            "write" | "ftruncate" if self.known.contains(file) => {
                self.written |= call == "write" && file == self.queue;
                self.unflushed.insert(file.to_owned());
            }
            "fsync" | "fdatasync" if Path::new(file) == self.directory => self.unnamed.clear(),
            "fsync" | "fdatasync" => {
                self.unflushed.remove(file);
            }
            "rename" => self.renamed(quoted[0], quoted[1]),
            _ => {}
        }
    }

    fn opened(&mut self, path: &str, flags: &str) {
        let here = Path::new(path).parent() == Some(&self.directory);
        if here && flags.contains("O_CREAT") && self.known.insert(path.to_owned()) {
            self.unnamed.insert(path.to_owned());
        }
        if here && flags.contains("O_TRUNC") {
            self.unflushed.insert(path.to_owned());
        }
    }

    fn renamed(&mut self, from: &str, to: &str) {
        assert!(
            !self.unflushed.contains(from),
            "{from} takes the place of {to} before it is flushed"
        );
        self.known.remove(from);
        self.unnamed.remove(from);
        self.unflushed.remove(to);
        self.known.insert(to.to_owned());
        self.unnamed.insert(to.to_owned());
    }

    fn answered(&mut self, text: &str) {
        let text = text.trim_end_matches("\\n");
        if text.ends_with("OnDisk") {
            assert!(self.written, "{text:?} is said before it is written");
            assert!(
                !self.unflushed.contains(&self.queue),
                "{text:?} is said before the file is flushed"
            );
            assert!(
                !self.unnamed.contains(&self.queue),
                "{text:?} is said before the directory is flushed"
            );
        }
        self.written = false;
        self.answers.push(text.to_owned());
    }

    /// What a later process finds.
    fn found(&self) -> usize {
        RollbackQueue::open(&self.directory).on_disk()
    }
}

fn program() -> PathBuf {
    // Examples are built beside the test binary's directory.
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().unwrap().parent().unwrap().join("examples/scripted");
    assert!(program.exists(), "build it: cargo build --example scripted");
    program
}

#[test]
#[ignore = "needs strace: make test runs it"]
fn what_is_queued_is_flushed_with_its_name_before_it_is_said() {
    let mut disk = Disk::new();
    disk.queue(2, 0, None);
    assert_eq!(disk.answers, ["queued 0 OnDisk", "queued 1 OnDisk"]);
    // A torn line: the next process sets it aside and writes the file anew.
    let whole = std::fs::read(&disk.queue).unwrap();
    std::fs::write(&disk.queue, [&whole[..], &whole[..90]].concat()).unwrap();
    disk.queue(2, 2, None);
    assert_eq!(disk.answers.len(), 4);
    assert!(
        disk.known.iter().any(|path| path.ends_with("rollbacks.damaged")),
        "{:?}",
        disk.known
    );
    assert_eq!(disk.found(), 4);
}

#[test]
#[ignore = "needs strace: make test runs it"]
fn a_name_that_a_killed_process_did_not_flush_is_flushed_by_the_next() {
    let mut disk = Disk::new();
    disk.queue(1, 0, Some("fsync:signal=KILL:when=1"));
    assert!(
        disk.answers.is_empty() && disk.unnamed.contains(&disk.queue),
        "{:?}",
        disk.answers
    );
    disk.queue(1, 1, None);
    assert_eq!(disk.answers, ["queued 1 OnDisk"]);
    assert_eq!(disk.found(), 2);
}

#[test]
#[ignore = "needs strace: make test runs it"]
fn a_flush_that_fails_is_not_taken_for_one_and_the_next_draft_makes_up_for_it() {
    for (flush, found) in [("fdatasync", 1), ("fsync", 2)] {
        let mut disk = Disk::new();
        disk.queue(2, 0, Some(&format!("{flush}:error=EIO:when=1")));
        assert_eq!(disk.answers, ["queued 0 InMemory", "queued 1 OnDisk"], "{flush}");
        // A line that was not flushed is cut off again; one whose file's name was not, is not.
        assert_eq!(disk.found(), found, "{flush}");
    }
}
