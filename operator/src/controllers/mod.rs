//! Controllers: one folder a kind, each `observe → decide → apply → status`.

pub mod challenger;
pub mod cycle;
pub mod gate;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use std::sync::Arc;

use crate::runtime::clock::Clock;
use crate::runtime::events::Notifier;
use crate::runtime::lease::ClaimReader;
use crate::runtime::metrics::Metrics;
use crate::services::evidence::EvidenceService;
use crate::services::ledger::LedgerService;

/// What controllers share.
pub struct Shared {
    /// Client with bounds.
    pub client: Client,
    /// Leadership.
    pub claim: ClaimReader,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The ledger.
    pub ledger: LedgerService,
    /// Evidence sources.
    pub evidence: EvidenceService,
    /// Metrics.
    pub metrics: Metrics,
    /// Kubernetes events.
    pub notifier: Notifier,
    /// Failures in a row, by object.
    pub backoff: Backoff,
}

/// First pause after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_mins(5);

/// How often each object has failed in a row. Objects that are gone are forgotten.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<BTreeMap<String, u32>>);

impl Backoff {
    /// A failure: the pause before the next try, with a spread that depends on the object alone.
    pub fn failed(&self, key: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.to_owned()).or_insert(0);
        let pause = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        pause.mul_f64(0.9 + 0.2 * spread(key))
    }

    /// A success, or the end of the object.
    pub fn reset(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// A number in [0, 1) that depends on the text alone: the same herd spreads the same way every time.
fn spread(text: &str) -> f64 {
    let hash = text.bytes().fold(2_166_136_261_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    f64::from(hash) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_start_again_after_a_success() {
        let backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..12).map(|_| backoff.failed("a/b")).collect();
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
        assert!(pauses[0] >= Duration::from_millis(900) && pauses[0] < Duration::from_millis(1_100));
        assert!(pauses[11] <= LONGEST.mul_f64(1.1));
        backoff.reset("a/b");
        assert_eq!(backoff.failed("a/b"), pauses[0]);
    }
}
