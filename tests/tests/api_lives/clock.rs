//! Ten times faster wall time, the same in every process of one test run.

use std::time::Instant;

use jiff::Timestamp;
use penin_operator::runtime::clock::Clock;

/// How much faster wall time goes. Leadership keeps real time.
const SPEED: i128 = 10;

/// Wall time that runs [`SPEED`] times as fast as real time since `epoch`.
#[derive(Clone, Copy, Debug)]
pub struct FastClock {
    pub epoch: Timestamp,
}

impl FastClock {
    pub fn starting_now() -> Self {
        Self {
            epoch: Timestamp::now(),
        }
    }

    /// Milliseconds of this clock since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let real = Timestamp::now().as_nanosecond() - self.epoch.as_nanosecond();
        Timestamp::from_nanosecond(self.epoch.as_nanosecond() + real * SPEED).unwrap()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}
