//! The goals of the ledger's speed, each measured as a ratio inside one run whose parts take turns: disks and machines
//! differ and change speed, ratios hold.
//!
//! `cargo bench -p penin-ledger --bench ratios [-- ENTRIES] [PART...]` prints all of them, or those named (default
//! 200,000 entries for the verification). A quiet machine of two cores needs about three minutes and 3 GB on the disk
//! of `TMPDIR`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs
)]

mod appending;
mod auditing;
mod common;
mod proving;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, directory] = arguments.as_slice()
        && mode == auditing::PEAK
    {
        auditing::print_peak(std::path::Path::new(directory));
        return;
    }
    let entries = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(200_000);
    let verify_rates = || auditing::rates(entries);
    let parts: [(&str, &dyn Fn()); 5] = [
        ("acknowledgements", &appending::acknowledgements),
        ("group-commit", &appending::group_commit),
        ("verify", &verify_rates),
        ("memory", &auditing::memory),
        ("proofs", &proving::proofs),
    ];
    let named = |part: &str| arguments.iter().any(|word| word == part);
    let all = !parts.iter().any(|(part, _)| named(part));
    for (part, measure) in parts {
        if all || named(part) {
            measure();
        }
    }
}
