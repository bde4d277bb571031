//! Waiting that ends, and says what it waited for and what it saw instead.

use std::{fmt::Display, future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Something did not happen in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {} s for {what}; last seen: {last_seen}", limit.as_secs_f64())]
pub struct WaitError {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub limit: Duration,
    /// What the last look gave instead.
    pub last_seen: String,
}

/// Looks again and again until `look` returns `Ok`, for at most `limit`. The error of `look` is what
/// it saw instead. A look that hangs is cut off at the limit.
///
/// # Errors
/// After the limit, with what the last look saw.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
/// use penin_tests::cluster::wait_until;
///
/// let mut looks = 0;
/// let found = wait_until("the third look", Duration::from_secs(5), || {
///     looks += 1;
///     let seen = looks;
///     async move { if seen == 3 { Ok(seen) } else { Err(format!("look {seen}")) } }
/// })
/// .await;
/// assert_eq!(found, Ok(3));
/// # }
/// ```
pub async fn wait_until<T, E, L, F>(what: &str, limit: Duration, mut look: L) -> Result<T, WaitError>
where
    L: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    let deadline = Instant::now() + limit;
    let mut last_seen = String::from("nothing: the first look did not end");
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(seen)) => last_seen = seen.to_string(),
            Err(_) => break,
        }
        if Instant::now() + PAUSE >= deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    Err(WaitError {
        what: what.to_owned(),
        limit,
        last_seen,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
    };

    use super::*;

    #[tokio::test]
    async fn gives_what_the_first_good_look_saw() {
        let looks = Cell::new(0);
        let found = wait_until("three", Duration::from_secs(10), || {
            looks.set(looks.get() + 1);
            ready(if looks.get() == 3 {
                Ok(looks.get())
            } else {
                Err("too few")
            })
        });
        assert_eq!(found.await, Ok(3));
    }

    #[tokio::test]
    async fn says_what_it_saw_last() {
        let error = wait_until("rain", Duration::from_millis(250), || ready(Err::<(), _>("sun")))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "waited 0.25 s for rain; last seen: sun");
    }

    #[tokio::test]
    async fn cuts_off_a_look_that_hangs() {
        let error = wait_until("an answer", Duration::from_secs(3), pending::<Result<(), String>>)
            .await
            .unwrap_err();
        assert!(error.last_seen.contains("did not end"), "{error}");
    }
}
