//! A defect that shows only some time after the start, as a weights file declares it.

use std::time::Duration;

use serde::Deserialize;

/// After a while a part of the requests cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Defect {
    /// The cache of precomputed features expires and is not refilled.
    FeatureCacheExpiry {
        /// Age of the process at which the cache expires, in seconds.
        after_seconds: u64,
        /// Requests of a thousand that then miss the cache, 0..=1000.
        failing_permille: u64,
    },
}

impl Defect {
    /// Whether the defect has set in at this age of the process.
    #[must_use]
    pub fn active(self, age: Duration) -> bool {
        let Self::FeatureCacheExpiry { after_seconds, .. } = self;
        age >= Duration::from_secs(after_seconds)
    }

    /// Whether the `index`-th request (from 0) fails once the defect is active. The failing ones are spread
    /// evenly, so that their share is the same in any long window.
    #[must_use]
    pub fn strikes(self, index: u64) -> bool {
        let Self::FeatureCacheExpiry { failing_permille, .. } = self;
        let position = index % 1_000;
        (position + 1) * failing_permille / 1_000 > position * failing_permille / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defect(failing_permille: u64) -> Defect {
        Defect::FeatureCacheExpiry {
            after_seconds: 100,
            failing_permille,
        }
    }

    #[test]
    fn it_sets_in_at_its_time() {
        assert!(!defect(100).active(Duration::from_millis(99_999)));
        assert!(defect(100).active(Duration::from_secs(100)));
    }

    #[test]
    fn it_fails_exactly_its_share_and_evenly() {
        for permille in [0, 1, 37, 100, 999, 1_000] {
            let struck = |range: std::ops::Range<u64>| range.filter(|&i| defect(permille).strikes(i)).count() as u64;
            assert_eq!(struck(0..1_000), permille);
            assert_eq!(struck(7..5_007), 5 * permille);
        }
        for start in 0..2_000 {
            assert_eq!(
                (start..start + 10).filter(|&i| defect(100).strikes(i)).count(),
                1,
                "from {start}"
            );
        }
    }
}
