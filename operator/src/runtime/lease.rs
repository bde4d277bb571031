//! Leadership by a `coordination.k8s.io/v1` Lease.
//!
//! Two processes may always believe for a moment that they lead; what must not happen is that both write. Hence:
//!
//! * every change of the Lease is a `replace` with the resourceVersion that was read, so of two that try, one fails;
//! * expiry of another's claim counts on our monotonic clock from when its record was last *seen to change*, so clocks
//!   that disagree do no harm;
//! * our own claim ends `duration` after the last renewal was *sent*, whatever the API server answers later, and
//!   readers compare the time at each use instead of trusting a flag;
//! * a Lease that disappears counts as held by another until the last claim must have ended;
//! * a claim carries an epoch, the Lease's transition count, which goes into ledger entries and onto the route.
//!
//! One gap is left: a process that never saw the Lease cannot know, just after somebody deleted it, that it was held.
//! Effects are therefore conditional on what was read, whoever leads.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;

/// How a lease is held.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who holds it: the pod's name and uid, so that a pod of the same name is another holder.
    pub holder: String,
    /// How long a claim lasts after a renewal.
    pub duration: Duration,
    /// How often it is renewed; also the bound on each call.
    pub renew_every: Duration,
    /// The largest epoch that is known to have been used, such as that of the ledger's anchor; zero for none. A new
    /// claim gets a larger one even if the Lease was deleted and counts anew.
    pub past_epoch: u64,
}

/// A claim to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The Lease's transition count: grows with each new holder.
    pub epoch: u64,
    /// Until when the claim holds, on the monotonic clock.
    pub valid_until: Instant,
}

/// What was last read of the Lease, and since when it is like this.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The Lease as it was last seen.
    pub lease: Lease,
    /// When this resourceVersion was first seen, or when the Lease was first seen to be gone.
    pub since: Instant,
    /// The Lease existed and does so no longer.
    pub gone: bool,
}

impl Observed {
    /// What is known after one more reading at `now`. Pure.
    #[must_use]
    pub fn next(before: Option<Self>, read: Option<Lease>, now: Instant) -> Option<Self> {
        match (before, read) {
            (before, Some(lease)) => {
                let same = |before: &Self| {
                    !before.gone && before.lease.metadata.resource_version == lease.metadata.resource_version
                };
                let since = before.filter(same).map_or(now, |before| before.since);
                Some(Self {
                    lease,
                    since,
                    gone: false,
                })
            }
            // Its holder may have renewed it unseen until just now.
            (Some(before), None) if !before.gone => Some(Self {
                since: now,
                gone: true,
                ..before
            }),
            (before, None) => before,
        }
    }
}

/// What to do next about the Lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// There is no Lease: create this one.
    Create(Lease),
    /// Replace it by this one.
    Replace(Lease),
    /// Somebody else holds it, or may do so; look again after this long.
    Wait(Duration),
}

/// Decides what to do about the Lease. Pure.
#[must_use]
pub fn decide(settings: &LeaseSettings, observed: Option<&Observed>, now: Instant, wall: jiff::Timestamp) -> Action {
    let past = i32::try_from(settings.past_epoch).unwrap_or(i32::MAX);
    let Some(observed) = observed else {
        return Action::Create(record(settings, &Lease::default(), past, wall));
    };
    let spec = observed.lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let transitions = spec.lease_transitions.unwrap_or(0);
    // The epoch is one more than the transitions, so these give a larger epoch than any before.
    let succeeding = transitions.saturating_add(1).max(past);
    if holder == settings.holder && !observed.gone {
        return Action::Replace(record(
            settings,
            &observed.lease,
            transitions.max(past.saturating_sub(1)),
            wall,
        ));
    }
    let theirs = Duration::from_secs(u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0));
    let expires = observed.since + theirs.max(settings.duration);
    // Of a Lease that is gone it is not known who held it last: it may have been taken unseen, even from us.
    if (observed.gone || !holder.is_empty()) && now < expires {
        return Action::Wait((expires - now).min(settings.renew_every));
    }
    if observed.gone {
        return Action::Create(record(settings, &Lease::default(), succeeding, wall));
    }
    Action::Replace(record(settings, &observed.lease, succeeding, wall))
}

fn record(settings: &LeaseSettings, before: &Lease, transitions: i32, wall: jiff::Timestamp) -> Lease {
    let mine = before.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(&settings.holder);
    let acquired = before
        .spec
        .as_ref()
        .and_then(|spec| spec.acquire_time.clone())
        .filter(|_| mine);
    Lease {
        metadata: ObjectMeta {
            name: Some(settings.name.clone()),
            namespace: Some(settings.namespace.clone()),
            resource_version: before.metadata.resource_version.clone(),
            labels: before.metadata.labels.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(settings.holder.clone()),
            lease_duration_seconds: i32::try_from(settings.duration.as_secs()).ok(),
            lease_transitions: Some(transitions),
            acquire_time: Some(acquired.unwrap_or(MicroTime(wall))),
            renew_time: Some(MicroTime(wall)),
            ..LeaseSpec::default()
        }),
    }
}

/// Reads the current claim, comparing the time at each use.
#[derive(Clone, Debug)]
pub struct ClaimReader {
    claim: watch::Receiver<Option<Claim>>,
    clock: Arc<dyn Clock>,
}

impl ClaimReader {
    /// A reader over a channel of claims.
    #[must_use]
    pub fn new(claim: watch::Receiver<Option<Claim>>, clock: Arc<dyn Clock>) -> Self {
        Self { claim, clock }
    }

    /// The epoch, if this process leads at this moment.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        let claim = *self.claim.borrow();
        claim
            .filter(|claim| self.clock.monotonic() < claim.valid_until)
            .map(|claim| claim.epoch)
    }

    /// Waits until this process leads, and returns the epoch.
    pub async fn acquired(&mut self) -> Option<u64> {
        loop {
            if let Some(epoch) = self.epoch() {
                return Some(epoch);
            }
            self.claim.changed().await.ok()?;
        }
    }
}

/// Why leadership ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// We were asked to stop, and released the Lease.
    Released,
    /// Another holder took it, it was deleted, or it could not be renewed in time. The process must exit.
    Lost,
}

/// Why one attempt to hold the Lease failed. The next one follows soon.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("the API server did not answer within {0:?}")]
    TooSlow(Duration),
    #[error("{0}")]
    Api(Box<kube::Error>),
}

impl From<kube::Error> for LeaseError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// What follows an attempt.
enum Turn {
    Pause(Duration),
    Lost,
}

/// Holds the Lease until told to stop or until it is lost.
#[derive(Debug)]
pub struct LeaseKeeper {
    api: Api<Lease>,
    settings: LeaseSettings,
    clock: Arc<dyn Clock>,
    publish: watch::Sender<Option<Claim>>,
    observed: Option<Observed>,
}

impl LeaseKeeper {
    /// A keeper and the reader of its claims. `client` must not retry by itself: a late renewal is worse than none.
    #[must_use]
    pub fn new(client: Client, settings: LeaseSettings, clock: Arc<dyn Clock>) -> (Self, ClaimReader) {
        let (publish, receive) = watch::channel(None);
        let api = Api::namespaced(client, &settings.namespace);
        let reader = ClaimReader::new(receive, Arc::clone(&clock));
        (
            Self {
                api,
                settings,
                clock,
                publish,
                observed: None,
            },
            reader,
        )
    }

    /// Runs until `stop`, or until a claim that was held is lost.
    pub async fn run(mut self, stop: CancellationToken) -> Ended {
        loop {
            let turn = self.turn().await;
            let Turn::Pause(pause) = turn else {
                self.publish.send_replace(None);
                return Ended::Lost;
            };
            tokio::select! {
                () = stop.cancelled() => {
                    self.release().await;
                    return Ended::Released;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look at the Lease and at most one write.
    async fn turn(&mut self) -> Turn {
        // Taken before anything is sent: a claim must not outlast what others see of it.
        let sent = self.clock.monotonic();
        let pause = match self.claim(sent).await {
            Ok(pause) => pause,
            Err(problem) => {
                tracing::warn!(%problem, lease = self.settings.name, "Failed to hold the lease");
                self.settings.renew_every / 2
            }
        };
        let claim = *self.publish.borrow();
        if claim.is_some_and(|claim| self.clock.monotonic() >= claim.valid_until) {
            return Turn::Lost;
        }
        Turn::Pause(pause)
    }

    async fn claim(&mut self, sent: Instant) -> Result<Duration, LeaseError> {
        let read = self.bounded(self.api.get_opt(&self.settings.name)).await?;
        self.observed = Observed::next(self.observed.take(), read, self.clock.monotonic());
        let action = decide(
            &self.settings,
            self.observed.as_ref(),
            self.clock.monotonic(),
            self.clock.now(),
        );
        let params = PostParams::default();
        let lease = match &action {
            Action::Wait(pause) => {
                // A claim of ours is over at once, not at its end.
                self.publish.send_modify(|claim| {
                    if let Some(claim) = claim {
                        claim.valid_until = sent;
                    }
                });
                return Ok(*pause);
            }
            Action::Create(lease) => self.bounded(self.api.create(&params, lease)).await?,
            Action::Replace(lease) => {
                self.bounded(self.api.replace(&self.settings.name, &params, lease))
                    .await?
            }
        };
        let claim = Claim {
            epoch: epoch(&lease),
            valid_until: sent + self.settings.duration,
        };
        if self.publish.borrow().is_none_or(|before| before.epoch != claim.epoch) {
            tracing::info!(epoch = claim.epoch, holder = self.settings.holder, "Acquired the lease");
        }
        self.observed = Some(Observed {
            lease,
            since: self.clock.monotonic(),
            gone: false,
        });
        self.publish.send_replace(Some(claim));
        Ok(self.settings.renew_every)
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, LeaseError> {
        let limit = self.settings.renew_every;
        tokio::time::timeout(limit, call)
            .await
            .map_err(|_| LeaseError::TooSlow(limit))?
            .map_err(LeaseError::from)
    }

    /// Gives the Lease up, so that a successor need not wait for it to expire.
    async fn release(&mut self) {
        self.publish.send_replace(None);
        let Some(observed) = &self.observed else { return };
        let mut lease = observed.lease.clone();
        let Some(spec) = &mut lease.spec else { return };
        if spec.holder_identity.as_deref() != Some(&self.settings.holder) {
            return;
        }
        spec.holder_identity = None;
        let params = PostParams::default();
        if let Err(problem) = self
            .bounded(self.api.replace(&self.settings.name, &params, &lease))
            .await
        {
            tracing::warn!(%problem, "Failed to release the lease; a successor waits until it expires");
        }
    }
}

/// The fencing number of a Lease. Counting starts at one: zero is "no epoch".
fn epoch(lease: &Lease) -> u64 {
    let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0);
    u64::try_from(transitions).unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "lease_keeper_tests.rs"]
mod keeper_tests;
