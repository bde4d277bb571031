//! A bar on standard error, only when a person looks and there is something to wait for.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

/// Fewer steps are done before anybody could read a bar.
const LEAST: u64 = 20_000;
/// Characters of the bar.
const WIDTH: u64 = 30;
/// Nothing was drawn yet.
const NONE: u64 = u64::MAX;

/// Progress of one piece of work. Shown in percent, so drawn at most a hundred times.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: u64,
    visible: bool,
    shown: AtomicU64,
}

impl Progress {
    /// A bar for `total` steps.
    #[must_use]
    pub fn new(what: &'static str, total: u64) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            what,
            total,
            visible: total >= LEAST && !dumb && std::io::stderr().is_terminal(),
            shown: AtomicU64::new(NONE),
        }
    }

    /// Shows that `done` steps are done.
    pub fn show(&self, done: u64) {
        if !self.visible {
            return;
        }
        let percent = percent(done, self.total);
        if self.shown.swap(percent, Ordering::Relaxed) != percent {
            draw(&format!("\r{}", line(self.what, done, self.total)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.load(Ordering::Relaxed) != NONE {
            draw("\r\u{1b}[K");
        }
    }
}

/// A bar that cannot be drawn is no reason to stop.
fn draw(text: &str) {
    let mut to = std::io::stderr().lock();
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
}

fn percent(done: u64, total: u64) -> u64 {
    let share = u128::from(done.min(total)) * 100 / u128::from(total.max(1));
    u64::try_from(share).unwrap_or(100)
}

fn line(what: &str, done: u64, total: u64) -> String {
    let percent = percent(done, total);
    let full = percent * WIDTH / 100;
    let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '·' }).collect();
    format!("{what} {bar} {percent:>3} %  {done} of {total}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_far_it_is_and_is_one_line() {
        let half = line("verifying", 50_000, 100_000);
        assert_eq!(
            half,
            format!("verifying {}{}  50 %  50000 of 100000", "█".repeat(15), "·".repeat(15))
        );
        assert!(line("x", 7, 0).ends_with("  0 %  7 of 0"));
        assert!(line("verifying", u64::MAX, u64::MAX).contains("100 %"));
    }
}
