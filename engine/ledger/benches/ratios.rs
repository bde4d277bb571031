//! Ratios measured in one interleaved run: disks differ and change speed, ratios hold.
//!
//! `cargo bench -p penin-ledger --bench ratios -- [ENTRIES]` (default 200,000 for verification and proofs).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use penin_ledger::hash::leaf_hash;
use penin_ledger::proof::Prover;
use penin_ledger::{
    Digest, Draft, FileAnchor, Keys, Kind, Ledger, MemoryAnchor, Options, Source, Subject, VerifyOptions, verify,
};

const START_MS: i64 = 1_790_000_000_000;

fn draft(kind: Kind, n: u64) -> Draft {
    let subject = Subject {
        name: format!("registry.example/ranker:{n}"),
        sha256: Digest::of(&n.to_be_bytes()),
    };
    let mut draft = Draft::new(kind, subject, START_MS);
    let gate = serde_json::json!([{"name": "rho", "status": "Pass", "value": 0.5}]);
    draft.body.insert("gates".into(), gate);
    draft
}

fn open(dir: &Path, anchor: Box<dyn penin_ledger::Anchor>) -> Ledger {
    let mut options = Options::new("bench.penin.ai/ledger", START_MS);
    options.any_filesystem = true;
    Ledger::open(dir, Keys::generate([1; 64]), anchor, 1, options).unwrap()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// One flush of a preallocated file, one acknowledged evaluation, one acknowledged promotion, in turn.
fn acknowledgements() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("ledger"), Box::new(MemoryAnchor::default()));
    let raw = File::create(dir.path().join("raw")).unwrap();
    raw.write_all_at(&vec![0; 4 << 20], 0).unwrap();
    raw.sync_all().unwrap();
    let (mut flush, mut gate, mut promotion) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..300 {
        let start = Instant::now();
        raw.write_all_at(&[1; 1_100], n * 1_100).unwrap();
        raw.sync_data().unwrap();
        flush.push(start.elapsed());
        for (kind, times) in [(Kind::GateEval, &mut gate), (Kind::PromoteAttest, &mut promotion)] {
            let start = Instant::now();
            ledger.append(draft(kind, n)).wait().unwrap();
            times.push(start.elapsed());
        }
    }
    let (flush, gate, promotion) = (median(flush), median(gate), median(promotion));
    println!(
        "flush {flush:.0} us; evaluation {gate:.0} us = {:.2}x; promotion {promotion:.0} us = {:.2}x",
        gate / flush,
        promotion / flush
    );
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
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let appended = (callers * each) as f64;
    appended / start.elapsed().as_secs_f64()
}

fn group_commit() {
    let dir = tempfile::tempdir().unwrap();
    let anchor = FileAnchor::open(dir.path().join("anchor.json")).unwrap();
    for (name, anchor) in [
        (
            "anchor in a flushed file",
            Box::new(anchor) as Box<dyn penin_ledger::Anchor>,
        ),
        ("anchor in memory", Box::new(MemoryAnchor::default())),
    ] {
        let ledger = open(&dir.path().join(name), anchor);
        let (mut one, mut many) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            one.push(rate(&ledger, 1, 100));
            many.push(rate(&ledger, 64, 50));
        }
        one.sort_by(f64::total_cmp);
        many.sort_by(f64::total_cmp);
        println!(
            "{name}: 1 caller {:.0}/s, 64 callers {:.0}/s = {:.1}x",
            one[1],
            many[1],
            many[1] / one[1]
        );
    }
}

fn verification(entries: u64) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), Box::new(MemoryAnchor::default()));
    let mut window = std::collections::VecDeque::new();
    for n in 1..entries {
        window.push_back(ledger.append(draft(Kind::GateEval, n)));
        if window.len() > 500 {
            window.pop_front().unwrap().wait().unwrap();
        }
    }
    let length = ledger.reader().unwrap().entry_bytes(1).unwrap().unwrap().len();
    ledger.close();
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = entries as f64;
    let bytes = vec![7; length];
    let start = Instant::now();
    for _ in 0..entries {
        std::hint::black_box(leaf_hash(std::hint::black_box(&bytes)));
    }
    let raw = count / start.elapsed().as_secs_f64();
    for hashes_only in [true, true, false] {
        let options = VerifyOptions {
            hashes_only,
            ..VerifyOptions::default()
        };
        let start = Instant::now();
        let report = verify(dir.path(), &options).unwrap();
        let rate = count / start.elapsed().as_secs_f64();
        println!(
            "verify, hashes only {hashes_only}: {rate:.0}/s = {:.2}x of {raw:.0} leaves/s on one core ({:?}, {length} B)",
            rate / raw,
            report.verdict
        );
    }
    let mut prover = Prover::new(Source::open(dir.path()).unwrap());
    let start = Instant::now();
    for n in 0..10_000_u64 {
        std::hint::black_box(prover.inclusion(n.wrapping_mul(7_919) % entries, entries).unwrap());
    }
    println!(
        "inclusion proof in {entries}: {:.1} us",
        start.elapsed().as_secs_f64() * 100.0
    );
}

fn main() {
    let entries = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(200_000);
    acknowledgements();
    group_commit();
    verification(entries);
}
