//! The goals of the ledger's speed, each measured as a ratio inside one run whose parts take turns: disks and machines
//! differ and change speed, ratios hold.
//!
//! `cargo bench -p penin-ledger --bench ratios [-- ENTRIES]` prints all of them (default 200,000 entries for the
//! verification). A quiet machine of two cores needs about three minutes and 3 GB on the disk of `TMPDIR`.
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
    appending::acknowledgements();
    appending::group_commit();
    auditing::rates(entries);
    auditing::memory();
    proving::proofs();
}
