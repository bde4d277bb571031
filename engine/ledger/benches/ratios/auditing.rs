//! How fast a ledger is verified, and with how much memory.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use penin_ledger::hash::leaf_hash;
use penin_ledger::{Reader, VerifyOptions, verify};

use super::common::{ledger, middle};

/// First argument of the process that only verifies and says its peak of memory.
pub const PEAK: &str = "--peak";

/// Leaves a second of this machine: on one core, and on all at once.
fn raw(entries: u64, length: usize, threads: u64) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let bytes = vec![7; length];
                for _ in 0..entries {
                    std::hint::black_box(leaf_hash(std::hint::black_box(&bytes)));
                }
            });
        }
    });
    (entries * threads) as f64 / start.elapsed().as_secs_f64()
}

/// Raw leaf hashing and verification in turn; the first verification only warms the page cache.
pub fn rates(entries: u64) {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), entries);
    let reader = Reader::open_read_only(dir.path()).unwrap();
    let length = reader.entry_bytes(1).unwrap().unwrap().len();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let audit = |hashes_only| {
        let options = VerifyOptions {
            hashes_only,
            ..VerifyOptions::default()
        };
        let start = Instant::now();
        let report = verify(dir.path(), &options).unwrap();
        assert_eq!(report.verdict, penin_ledger::Verdict::Ok, "{:?}", report.findings);
        entries as f64 / start.elapsed().as_secs_f64()
    };
    audit(true);
    let (mut one, mut all, mut hashes, mut whole) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        one.push(raw(entries, length, 1));
        all.push(raw(entries, length, cores));
        hashes.push(audit(true));
        whole.push(audit(false));
    }
    let [one, all, hashes, whole] = [one, all, hashes, whole].map(middle);
    println!("raw SHA-256 leaves of {length} B: {one:.0}/s on one core, {all:.0}/s on {cores}");
    println!(
        "verify, hashes, {entries} entries, warm: {hashes:.0}/s (goal 100000) = {:.2}x of one core (goal 0.5), {:.2}x of {cores}",
        hashes / one,
        hashes / all
    );
    println!("verify, signatures in batches, contents and blobs too: {whole:.0}/s");
}

/// Verifies in this process, which does nothing else, and prints the peak of its resident memory in KiB.
pub fn print_peak(directory: &Path) {
    verify(directory, &VerifyOptions::default()).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{}", peak.trim().trim_end_matches(" kB"));
}

/// Peak of resident memory of a whole verification of ledgers that differ forty times in size.
pub fn memory() {
    let sizes = [10_000, 100_000, 400_000];
    let peaks: Vec<f64> = sizes
        .into_iter()
        .map(|entries| {
            let dir = tempfile::tempdir().unwrap();
            ledger(dir.path(), entries);
            let output = Command::new(std::env::current_exe().unwrap())
                .arg(PEAK)
                .arg(dir.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            let peak: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
            println!("verify, {entries} entries: peak of {:.1} MiB resident", peak / 1024.0);
            peak
        })
        .collect();
    println!(
        "memory of 40 times as many entries: {:.2}x (flat is 1)",
        peaks[2] / peaks[0]
    );
}
