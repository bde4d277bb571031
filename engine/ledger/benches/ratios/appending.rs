//! What an acknowledgement costs, and what group commit saves.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use penin_ledger::{FileAnchor, Kind, Ledger, MemoryAnchor};

use super::common::{draft, median, middle, open};

/// Bytes of a batch of one entry.
const RECORD: usize = 1_100;
/// Acknowledgements of each kind.
const ROUNDS: u64 = 500;

/// One flush of a file that grows, one of a file filled before, one acknowledged evaluation, one acknowledged
/// promotion, in turn.
pub fn acknowledgements() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("ledger"), Box::new(MemoryAnchor::default()));
    let (growing, filled) = (
        File::create(dir.path().join("growing")).unwrap(),
        File::create(dir.path().join("filled")).unwrap(),
    );
    filled.write_all_at(&vec![0; 4 << 20], 0).unwrap();
    filled.sync_all().unwrap();
    let mut times: [Vec<_>; 4] = Default::default();
    for n in 0..ROUNDS {
        for (file, slot) in [(&growing, 0), (&filled, 1)] {
            let start = Instant::now();
            file.write_all_at(&[1; RECORD], n * RECORD as u64).unwrap();
            file.sync_data().unwrap();
            times[slot].push(start.elapsed());
        }
        for (kind, slot) in [(Kind::GateEval, 2), (Kind::PromoteAttest, 3)] {
            let draft = draft(kind, n);
            let start = Instant::now();
            ledger.append(draft).wait().unwrap();
            times[slot].push(start.elapsed());
        }
    }
    let [growing, filled, gate, promotion] = times.map(median);
    println!("one flush a batch: {growing:.0} us (file that grows), {filled:.0} us (file filled before)");
    for (what, time, goal) in [("gate evaluation", gate, 1.1), ("promotion", promotion, 2.2)] {
        println!(
            "acknowledged {what}: {time:.0} us = {:.2}x the flush of a growing file (goal {goal}), {:.2}x of a filled one",
            time / growing,
            time / filled
        );
    }
}

fn rate(ledger: &Ledger, callers: u64, each: u64) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..callers {
            scope.spawn(move || {
                for n in 0..each {
                    ledger.append(draft(Kind::GateEval, caller * each + n)).wait().unwrap();
                }
            });
        }
    });
    (callers * each) as f64 / start.elapsed().as_secs_f64()
}

/// One caller and 64 callers in turn, once with an anchor that costs a flush and once with one that costs nothing.
pub fn group_commit() {
    let dir = tempfile::tempdir().unwrap();
    let flushed = FileAnchor::open(dir.path().join("anchor.json")).unwrap();
    for (name, anchor) in [
        (
            "anchor in a flushed file",
            Box::new(flushed) as Box<dyn penin_ledger::Anchor>,
        ),
        ("anchor in memory", Box::new(MemoryAnchor::default())),
    ] {
        let ledger = open(&dir.path().join(name), anchor);
        let (mut one, mut many) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            one.push(rate(&ledger, 1, 200));
            many.push(rate(&ledger, 64, 100));
        }
        let (one, many) = (middle(one), middle(many));
        println!(
            "append, {name}: 1 caller {one:.0}/s, 64 callers {many:.0}/s = {:.1}x (goal 15)",
            many / one
        );
    }
}
