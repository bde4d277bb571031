//! A leader that is stopped for longer than its lease, as a process of its own, and the one that took over meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::draft;
use penin_ledger::{FileAnchor, Keys, Kind, Ledger, Options, Reason};
use tempfile::tempdir;

fn program() -> PathBuf {
    // Examples are built beside the test binary's directory.
    let deps = std::env::current_exe().unwrap();
    deps.parent().unwrap().parent().unwrap().join("examples/scripted")
}

fn signal(process: &Child, name: &str) {
    let status = Command::new("kill").args([name, &process.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Whether every thread of the process is stopped (proc(5), the state in `stat`).
fn is_stopped(process: &Child) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let stat = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.unwrap().path().join("stat"));
    tasks.map(stat).all(|stat| stat.unwrap().contains(") T "))
}

fn is_locked(file: &Path) -> bool {
    let file = std::fs::File::open(file).unwrap();
    file.try_lock().is_err()
}

fn open(directory: &Path, anchor: &Path, epoch: u64) -> Result<Ledger, penin_ledger::Failure> {
    let mut options = Options::new("scripted.penin.ai/ledger", common::START_MS);
    options.any_filesystem = true;
    let anchor = Box::new(FileAnchor::open(anchor).unwrap());
    Ledger::open(directory, Keys::generate([5; 64]), anchor, epoch, options)
}

#[test]
fn a_leader_that_was_stopped_can_acknowledge_nothing_after_another_took_over() {
    let place = tempdir().unwrap();
    let (volume, anchor) = (place.path().join("ledger"), place.path().join("ledger.anchor"));
    let mut leader = Command::new(program())
        .arg(&volume)
        .arg("1000000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(leader.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    loop {
        acknowledged.extend(lines.by_ref().take(20).map(Result::unwrap));
        signal(&leader, "-STOP");
        while !is_stopped(&leader) {
            std::thread::yield_now();
        }
        // An anchor in a file is locked while it is moved; of this one nobody could take over. The API server has no lock.
        if !is_locked(&anchor.with_extension("lock")) {
            break;
        }
        signal(&leader, "-CONT");
    }
    // Its volume stays its own.
    assert_eq!(open(&volume, &anchor, 2).unwrap_err().reason, Reason::Locked);
    // Elsewhere, as on a node that was given a copy of the disk, the next leader goes on.
    let elsewhere = place.path().join("elsewhere");
    common::copy(&volume, &elsewhere);
    let next = open(&elsewhere, &anchor, 2).unwrap();
    next.append(draft(Kind::PromoteAttest, 1)).wait().unwrap();
    signal(&leader, "-CONT");
    acknowledged.extend(lines.map(Result::unwrap));
    let mut said = String::new();
    leader.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(leader.wait().unwrap().code(), Some(3), "{said}");
    assert!(said.contains("Fenced"), "{said}");
    // Whatever it had acknowledged, until the moment it was stopped, is in the record that goes on.
    let reader = next.reader().unwrap();
    for line in acknowledged {
        let (seq, leaf) = line.split_once(' ').unwrap();
        let entry = reader.entry(seq.parse().unwrap()).unwrap().unwrap();
        assert_eq!(entry.leaf.to_string(), leaf, "entry {seq}");
    }
    next.append(draft(Kind::PromoteAttest, 2)).wait().unwrap();
    next.close();
    // Its own volume is refused from then on: what it holds beyond the last common entry is no part of the record.
    let refused = open(&volume, &anchor, 2).unwrap_err();
    assert!(
        matches!(refused.reason, Reason::RolledBack | Reason::Forked),
        "{refused}"
    );
}
