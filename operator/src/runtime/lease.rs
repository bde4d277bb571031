//! Leadership by a `coordination.k8s.io/v1` Lease.
//!
//! Two processes may always believe for a moment that they lead; what must not happen is that both write. Hence:
//!
//! * every change of the Lease is a `replace` with the resourceVersion that was read, so of two that try, one fails;
//! * expiry of another's claim counts on our monotonic clock from when its record was last *seen to change*, so clocks
//!   that disagree do no harm;
//! * our own claim ends `duration` after the last renewal was *sent*, whatever the API server answers later, and
//!   readers compare the time at each use instead of trusting a flag;
//! * a claim carries an epoch, the Lease's transition count, which goes into ledger entries and onto the route.

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
}

/// A claim to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The Lease's transition count: grows with each new holder.
    pub epoch: u64,
    /// Until when the claim holds, on the monotonic clock.
    pub valid_until: Instant,
}

/// What was last read of the Lease, and when it was first seen like this.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The Lease.
    pub lease: Lease,
    /// When this resourceVersion was first seen.
    pub since: Instant,
}

/// What to do next about the Lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// There is no Lease: create this one.
    Create(Lease),
    /// Replace it by this one.
    Replace(Lease),
    /// Somebody else holds it; look again after this long.
    Wait(Duration),
}

/// Decides what to do about the Lease. Pure.
#[must_use]
pub fn decide(settings: &LeaseSettings, observed: Option<&Observed>, now: Instant, wall: jiff::Timestamp) -> Action {
    let Some(observed) = observed else {
        return Action::Create(record(settings, &Lease::default(), 0, wall));
    };
    let spec = observed.lease.spec.clone().unwrap_or_default();
    let transitions = spec.lease_transitions.unwrap_or(0);
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    if holder == settings.holder {
        return Action::Replace(record(settings, &observed.lease, transitions, wall));
    }
    let theirs = Duration::from_secs(u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0));
    let expires = observed.since + theirs.max(settings.duration);
    if !holder.is_empty() && now < expires {
        return Action::Wait((expires - now).min(settings.renew_every));
    }
    Action::Replace(record(settings, &observed.lease, transitions.saturating_add(1), wall))
}

fn record(settings: &LeaseSettings, before: &Lease, transitions: i32, wall: jiff::Timestamp) -> Lease {
    let mine = before.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(&settings.holder);
    let acquired = before.spec.as_ref().and_then(|spec| spec.acquire_time.clone()).filter(|_| mine);
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
        claim.filter(|claim| self.clock.monotonic() < claim.valid_until).map(|claim| claim.epoch)
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
    /// Another holder took it, or it could not be renewed in time. The process must exit.
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
        (Self { api, settings, clock, publish, observed: None }, reader)
    }

    /// Runs until `stop`, or until a claim that was held is lost.
    pub async fn run(mut self, stop: CancellationToken) -> Ended {
        loop {
            let pause = self.turn().await;
            if self.lapsed() {
                self.publish.send_replace(None);
                return Ended::Lost;
            }
            tokio::select! {
                () = stop.cancelled() => {
                    self.release().await;
                    return Ended::Released;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn lapsed(&self) -> bool {
        let claim = *self.publish.borrow();
        claim.is_some_and(|claim| self.clock.monotonic() >= claim.valid_until)
    }

    /// One look at the Lease and at most one write. Returns how long to wait.
    async fn turn(&mut self) -> Duration {
        let sent = self.clock.monotonic();
        let retry = self.settings.renew_every / 2;
        match self.observe().await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "The lease could not be read");
                return retry;
            }
        }
        let action = decide(&self.settings, self.observed.as_ref(), self.clock.monotonic(), self.clock.now());
        let params = PostParams::default();
        let limit = self.settings.renew_every;
        let written = match action {
            Action::Wait(pause) => {
                if self.publish.borrow().is_some() {
                    // We held it and read another holder: the claim is over at once, not at its end.
                    self.publish.send_replace(Some(Claim { epoch: 0, valid_until: sent }));
                }
                return pause;
            }
            Action::Create(lease) => tokio::time::timeout(limit, self.api.create(&params, &lease)).await,
            Action::Replace(lease) => {
                tokio::time::timeout(limit, self.api.replace(&self.settings.name, &params, &lease)).await
            }
        };
        match written {
            Ok(Ok(lease)) => {
                let epoch = epoch(&lease);
                self.observed = Some(Observed { lease, since: self.clock.monotonic() });
                self.publish.send_replace(Some(Claim { epoch, valid_until: sent + self.settings.duration }));
                self.settings.renew_every
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "The lease could not be written");
                retry
            }
            Err(_) => {
                tracing::warn!("Writing the lease took longer than its renewal interval");
                retry
            }
        }
    }

    async fn observe(&mut self) -> Result<(), String> {
        let read = tokio::time::timeout(self.settings.renew_every, self.api.get_opt(&self.settings.name)).await;
        let lease = read.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
        let now = self.clock.monotonic();
        self.observed = lease.map(|lease| {
            let unchanged = self
                .observed
                .as_ref()
                .filter(|before| before.lease.metadata.resource_version == lease.metadata.resource_version);
            let since = unchanged.map_or(now, |before| before.since);
            Observed { lease, since }
        });
        Ok(())
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
        let call = self.api.replace(&self.settings.name, &params, &lease);
        if let Ok(Err(error)) = tokio::time::timeout(self.settings.renew_every, call).await {
            tracing::warn!(%error, "The lease was not released; a successor waits until it expires");
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
