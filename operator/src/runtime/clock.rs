//! Time. Nothing else in the operator reads a clock, so every decision can be tested at any moment.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A source of time.
pub trait Clock: Debug + Send + Sync {
    /// Wall time: for records, deadlines and evidence windows, which outlive a process.
    fn now(&self) -> Timestamp;
    /// Monotonic time: for leadership, which must not depend on clocks being set.
    fn monotonic(&self) -> Instant;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that a test moves. Clones share their time.
#[derive(Clone, Debug)]
pub struct TestClock {
    wall: Arc<Mutex<Timestamp>>,
    start: (Timestamp, Instant),
}

impl TestClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self {
            wall: Arc::new(Mutex::new(start)),
            start: (start, Instant::now()),
        }
    }

    /// Moves the clock forwards.
    pub fn advance(&self, by: Duration) {
        let mut wall = self.wall.lock().unwrap_or_else(PoisonError::into_inner);
        *wall = wall
            .saturating_add(jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX))
            .unwrap_or(*wall);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn monotonic(&self) -> Instant {
        let elapsed = self.now().duration_since(self.start.0);
        self.start.1 + Duration::try_from(elapsed).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_clock_moves_both_times_together() {
        let clock = TestClock::at(Timestamp::UNIX_EPOCH);
        let twin = clock.clone();
        let before = clock.monotonic();
        twin.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), Timestamp::from_second(90).unwrap());
        assert_eq!(clock.monotonic() - before, Duration::from_secs(90));
    }
}
