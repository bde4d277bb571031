//! Keeping the ledger open: opening it, looking after it, and opening it again when it has failed for good.
//!
//! A ledger that fails in a way that does not pass by itself refuses everything until it is opened again, which reads the
//! whole record and repairs what may be repaired, or says what is wrong. So it is closed and opened, with growing pauses,
//! for as long as this process holds the lease: opening with its epoch takes nothing from a newer writer, and without the
//! lease it is not even tried. A sealed generation has not failed. A ledger that was open is never begun anew, and never
//! given other keys: an empty volume without an anchor is then a loss.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use penin_ledger::entry::DraftError;
use penin_ledger::{AppendError as LedgerAppendError, Failure, Ledger, Reason};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys;
use super::ledger::{LedgerService, LedgerSettings};
use super::opening::{self, Before, Opened};
use super::policy;
use super::problem::Problem;
use crate::runtime::clock::Clock;
use crate::runtime::lease::ClaimReader;

/// Shortest pause before the ledger is opened again. It doubles with every failure.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST: Duration = Duration::from_mins(1);
/// A ledger that was well for this long has the shortest pause again.
const STEADY: Duration = Duration::from_mins(10);
/// How often an open ledger is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long others may go on reading a ledger that is being closed; then opening it says that it is locked.
const CLOSING: Duration = Duration::from_secs(30);
/// Pause between two tries to change to keys that are not there yet, or not usable.
const RETRY_ROTATION: Duration = Duration::from_mins(1);

impl LedgerService {
    /// Opens the ledger, and opens it again whenever it does not open or has failed for good, until `stop`.
    pub async fn keep_open(
        &self,
        settings: LedgerSettings,
        client: Client,
        claim: ClaimReader,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        let (settings, client, clock) = (&settings, &client, clock.as_ref());
        let open = |epoch, before| opening::open(settings, client, epoch, clock, before);
        let then = |ledger: Arc<Ledger>, former_keys| async move {
            publish_policy(settings, client, &ledger).await;
            if former_keys {
                rotate(settings, client, &ledger, clock).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep(&claim, open, then) => {}
        }
    }

    /// As [`Self::keep_open`], with what opens the ledger and what follows while it is open.
    async fn keep<O, T>(
        &self,
        claim: &ClaimReader,
        open: impl Fn(u64, Before) -> O,
        then: impl Fn(Arc<Ledger>, bool) -> T,
    ) where
        O: Future<Output = Result<Opened, Problem>>,
        T: Future<Output = ()>,
    {
        let mut pause = SHORTEST;
        let mut before = Before::Unknown;
        loop {
            // Without the lease somebody else may be opening it.
            let Some(epoch) = claim.epoch() else {
                tokio::time::sleep(SHORTEST).await;
                continue;
            };
            match open(epoch, before).await {
                Ok(Opened { ledger, former_keys }) => {
                    before = Before::WasOpen;
                    tracing::info!(size = ledger.head().size, epoch, "The ledger is open");
                    let (ledger, since) = (self.adopt(ledger), Instant::now());
                    let failure = self.until_lost(&ledger, then(Arc::clone(&ledger), former_keys)).await;
                    tracing::error!(%failure, "The ledger has failed and is opened again; nothing is promoted until then");
                    self.lost(&ledger, &failure);
                    close(ledger).await;
                    if since.elapsed() >= STEADY {
                        pause = SHORTEST;
                    }
                }
                Err(problem) => {
                    tracing::error!(problem = problem.text, "The ledger does not open; nothing is promoted");
                    self.closed(problem);
                }
            }
            self.measure();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Looks after an open ledger until it has failed for good; `work` is done beside.
    async fn until_lost(&self, ledger: &Ledger, work: impl Future<Output = ()>) -> Failure {
        let work = async {
            work.await;
            std::future::pending::<()>().await;
        };
        let looking = async {
            let mut published = None;
            loop {
                self.measure();
                let health = ledger.health();
                tell_publication(&mut published, health.publication_error);
                if let Some(failure) = health.failure.filter(is_lost) {
                    return failure;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = work => Failure { reason: Reason::Stopped, detail: String::new() },
            failure = looking => failure,
        }
    }
}

/// Whether opening the ledger again is the only way on.
fn is_lost(failure: &Failure) -> bool {
    !failure.reason.is_transient() && failure.reason != Reason::Sealed
}

/// Logs what is wrong with the published copy, once for each change.
fn tell_publication(known: &mut Option<String>, found: Option<String>) {
    match (&*known, &found) {
        (before, Some(problem)) if before.as_ref() != Some(problem) => {
            tracing::warn!(
                problem,
                "The ledger's published copy is behind and is written again; decisions are recorded all the same"
            );
        }
        (Some(_), None) => tracing::info!("The ledger's published copy is up to date again"),
        _ => {}
    }
    *known = found;
}

/// Gives the volume back. Whoever still reads or waits is let finish first: the last handle closes the ledger.
async fn close(ledger: Arc<Ledger>) {
    let patience = Instant::now() + CLOSING;
    while Arc::strong_count(&ledger) > 1 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It waits for the writer and the publisher. A panic of theirs is logged by the next opening's outcome.
    let _ = tokio::task::spawn_blocking(move || drop(ledger)).await;
}

/// What verifiers need. A failure is logged: it stops nobody from deciding, and is made up for at the next start.
async fn publish_policy(settings: &LedgerSettings, client: &Client, ledger: &Ledger) {
    let place = opening::place(settings, settings.generation);
    let name = format!("{}-policy", place.anchor);
    let published = match policy::data(&place.origin, &ledger.keys()) {
        Ok(data) => policy::publish(client, &settings.namespace, &name, data).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = published {
        tracing::warn!(%name, %problem, "The ConfigMap with the ledger's policy and keys is not published");
    }
}

/// Changes from the former keys, which are in force, to those of the Secret. Decisions go on meanwhile.
async fn rotate(settings: &LedgerSettings, client: &Client, ledger: &Ledger, clock: &dyn Clock) {
    let secret = &settings.signing_keys.secret;
    loop {
        match try_rotate(settings, ledger, clock).await {
            Ok(()) => {
                tracing::info!(%secret, "The ledger's keys are rotated; the former Secret is not needed any more");
                publish_policy(settings, client, ledger).await;
                return;
            }
            Err(problem) => {
                tracing::warn!(%secret, %problem, "The ledger's keys are not rotated yet; the former ones go on signing");
            }
        }
        tokio::time::sleep(RETRY_ROTATION).await;
    }
}

async fn try_rotate(settings: &LedgerSettings, ledger: &Ledger, clock: &dyn Clock) -> Result<(), String> {
    let source = settings.signing_keys.clone();
    let loaded = tokio::task::spawn_blocking(move || keys::load(&source)).await;
    let keys = loaded.map_err(|error| error.to_string())?;
    let keys = keys.map_err(|error| error.to_string())?;
    match ledger.rotate_keys(keys, clock.now().as_millisecond()).await {
        // Of an earlier try whose entry was written but not anchored in time.
        Ok(_) | Err(LedgerAppendError::Invalid(DraftError::KeysInForce)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
#[path = "keeping_tests.rs"]
mod tests;
