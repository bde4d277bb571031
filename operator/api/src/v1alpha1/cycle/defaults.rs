//! Defaults of a cycle's fields; the engine's own defaults are repeated here where a user should
//! see them in the stored object.

use super::{
    stages::CanaryStep,
    traffic::{PathMatch, PathMatchType, RouteMatch},
};
use crate::values::{DecimalString, Duration, Percent};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

pub(super) const fn interval() -> Duration {
    Duration::known("10s", 10 * SECOND)
}

pub(super) const fn history_limit() -> u8 {
    2
}

pub(super) const fn progress_deadline() -> Duration {
    Duration::known("5m", 5 * MINUTE)
}

pub(super) const fn replicas() -> u16 {
    1
}

pub(super) fn matches() -> Vec<RouteMatch> {
    vec![RouteMatch {
        path: path(),
        method: None,
        headers: Vec::new(),
    }]
}

pub(super) fn path() -> PathMatch {
    PathMatch {
        type_: PathMatchType::PathPrefix,
        value: "/".to_owned(),
    }
}

pub(super) const fn settle() -> Duration {
    Duration::known("250ms", 250)
}

pub(super) const fn share_min_requests() -> u32 {
    1_000
}

pub(super) const fn accept_deadline() -> Duration {
    Duration::known("1m", MINUTE)
}

pub(super) const fn shadow_percent() -> Percent {
    Percent::FULL
}

pub(super) const fn shadow_duration() -> Duration {
    Duration::known("5m", 5 * MINUTE)
}

pub(super) const fn shadow_min_samples() -> u32 {
    100
}

pub(super) const fn shadow_deadline() -> Duration {
    Duration::known("30m", 30 * MINUTE)
}

pub(super) fn canary_steps() -> Vec<CanaryStep> {
    vec![CanaryStep {
        weight: Percent::saturating(5),
        duration: step_duration(),
        min_samples: step_min_samples(),
    }]
}

pub(super) const fn step_duration() -> Duration {
    Duration::known("10m", 10 * MINUTE)
}

pub(super) const fn step_min_samples() -> u32 {
    500
}

pub(super) const fn canary_deadline() -> Duration {
    Duration::known("1h", 60 * MINUTE)
}

pub(super) const fn watch() -> Duration {
    Duration::known("5m", 5 * MINUTE)
}

pub(super) const fn watch_min_samples() -> u32 {
    100
}

pub(super) const fn watch_deadline() -> Duration {
    Duration::known("30m", 30 * MINUTE)
}

pub(super) const fn drain() -> Duration {
    Duration::known("30s", 30 * SECOND)
}

pub(super) const fn query_timeout() -> Duration {
    Duration::known("5s", 5 * SECOND)
}

pub(super) const fn max_age() -> Duration {
    Duration::known("30s", 30 * SECOND)
}

pub(super) const fn cost_penalty() -> DecimalString {
    DecimalString::known("0.1", 0.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_defaults_mean_their_values() {
        for known in [
            interval(),
            progress_deadline(),
            settle(),
            accept_deadline(),
            shadow_duration(),
            shadow_deadline(),
            step_duration(),
            canary_deadline(),
            watch(),
            watch_deadline(),
            drain(),
            query_timeout(),
            max_age(),
        ] {
            let read: Duration = known.as_str().parse().unwrap();
            assert_eq!(read, known);
            assert_eq!(
                Duration::from_millis(known.as_millis()).unwrap().as_str(),
                known.as_str()
            );
        }
        assert_eq!(cost_penalty(), cost_penalty().as_str().parse().unwrap());
    }
}
