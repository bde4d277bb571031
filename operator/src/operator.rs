//! Putting the operator together: arguments, order of start and of end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kube::Config;
use penin_api::v1alpha1::LedgerAnchor;
use tokio_util::sync::CancellationToken;

use crate::controllers::{self, Backoff, Shared};
use crate::runtime::client;
use crate::runtime::clock::{Clock, SystemClock};
use crate::runtime::events;
use crate::runtime::http::{Check, Endpoint};
use crate::runtime::lease::{ClaimReader, Ended, LeaseKeeper, LeaseSettings};
use crate::runtime::metrics::Metrics;
use crate::runtime::{shutdown, telemetry};
use crate::services::evidence::EvidenceService;
use crate::services::keys::KeySource;
use crate::services::ledger::{LedgerService, LedgerSettings};
use crate::services::ledger_http::LedgerFiles;
use crate::services::opening::{anchor_of, directory_of, origin_of};

/// How long a claim to lead lasts after a renewal.
const LEASE: Duration = Duration::from_secs(10);
/// How often the claim is renewed.
const RENEW: Duration = Duration::from_secs(3);

/// PENIN-Ω operator: champion/challenger delivery of served models.
#[derive(Clone, Debug, Parser)]
#[command(name = "penin-operator", version)]
pub struct Arguments {
    /// Directory of the ledger, on a persistent volume.
    #[arg(long, default_value = "/var/lib/penin/ledger")]
    pub ledger_dir: PathBuf,
    /// Name of the ledger in its checkpoints. Cannot be changed later.
    #[arg(long, default_value = "penin.ai/ledger/default/penin-operator")]
    pub ledger_origin: String,
    /// Name of the `LedgerAnchor` in the operator's namespace.
    #[arg(long, default_value = "penin-operator")]
    pub ledger_anchor: String,
    /// Address of the ledger's published files, read-only: checkpoint, tiles, entries, proofs.
    #[arg(long, default_value = "127.0.0.1:8020")]
    pub ledger_listen: SocketAddr,
    /// Accept a file system without lasting storage for the ledger. For tests.
    #[arg(long, hide = true)]
    pub ledger_any_filesystem: bool,
    /// Which generation of the ledger takes entries. A higher number than before archives the one before it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=9_999))]
    pub ledger_generation: u32,
    /// Directory in which the Secrets with signing keys are mounted, each under its name.
    #[arg(long, default_value = "/etc/penin/keys")]
    pub signing_key_dir: PathBuf,
    /// Secret with the ledger's signing keys. Made when the ledger is new.
    #[arg(long, default_value = "penin-ledger-keys")]
    pub signing_key_secret: String,
    /// Secret with the signing keys before those. If they are in force, they sign the change to the new ones.
    #[arg(long)]
    pub former_signing_key_secret: Option<String>,
    /// Name of the Lease in the operator's namespace.
    #[arg(long, default_value = "penin-operator")]
    pub lease: String,
    /// Address of health and metrics.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Work in this namespace alone. The default is all.
    #[arg(long)]
    pub watch_namespace: Option<String>,
    /// Namespace of the operator's own objects.
    #[arg(long, env = "POD_NAMESPACE", default_value = "penin-system")]
    pub namespace: String,
    /// Name of this process, for the lease and for events.
    #[arg(long, env = "POD_NAME", default_value = "penin-operator")]
    pub pod_name: String,
    /// Uid of this process's pod: a pod of the same name is another process.
    #[arg(long, env = "POD_UID", default_value = "")]
    pub pod_uid: String,
    /// Log filter, such as `info` or `info,penin_operator=debug`.
    #[arg(long, env = "PENIN_LOG", default_value = "info")]
    pub log: String,
}

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log filter.
    #[error(transparent)]
    Log(#[from] telemetry::BadFilter),
    /// The metrics registry.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// No way to the API server.
    #[error("no configuration of a Kubernetes client: {0}")]
    Configuration(#[from] kube::config::InferConfigError),
    /// The client.
    #[error("the Kubernetes client: {0}")]
    Client(#[from] kube::Error),
    /// Signals or sockets.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Somebody else leads, or the API server was away for too long.
    #[error("the lease was lost; this process ends so that it cannot act beside its successor")]
    LeaseLost,
}

/// Runs until a signal, or until the lease is lost.
///
/// # Errors
/// [`RunError`].
pub async fn run(arguments: Arguments) -> Result<(), RunError> {
    telemetry::start(&arguments.log)?;
    let stop = shutdown::on_signals()?;
    let config = Config::infer().await?;
    run_with(arguments, config, Arc::new(SystemClock), stop).await
}

/// Runs with a given client configuration and clock until `stop`.
///
/// # Errors
/// [`RunError`].
pub async fn run_with(
    arguments: Arguments,
    config: Config,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let metrics = Metrics::new()?;
    let holder = format!("{}_{}", arguments.pod_name, arguments.pod_uid);
    let lease_client = client::lease(config.clone(), &metrics, RENEW)?;
    let client = client::controllers(config, &metrics)?;
    let past_epoch = anchored_epoch(&client, &arguments).await?;
    let settings = lease_settings(&arguments, &holder, past_epoch);
    // The lease and the HTTP endpoint outlive the controllers: they end one after the other.
    let (lease_stop, http_stop) = (CancellationToken::new(), CancellationToken::new());
    let (keeper, claim) = LeaseKeeper::new(lease_client, settings, Arc::clone(&clock));
    let mut keeping = tokio::spawn(keeper.run(lease_stop.clone()));
    let ledger = LedgerService::new(
        directory_of(&arguments.ledger_dir, arguments.ledger_generation),
        origin_of(&arguments.ledger_origin, arguments.ledger_generation),
        metrics.clone(),
        Arc::clone(&clock),
    );
    let endpoint = Endpoint::new(metrics.clone(), checks(&ledger, &claim));
    let serving = tokio::spawn(endpoint.serve(arguments.listen, http_stop.clone()));
    let files = LedgerFiles::new(arguments.ledger_dir.clone(), arguments.ledger_generation);
    tokio::spawn(files.serve(arguments.ledger_listen, http_stop.clone()));
    let shared = Arc::new(Shared {
        notifier: events::start(
            client.clone(),
            arguments.pod_name.clone(),
            metrics.clone(),
            http_stop.clone(),
        ),
        client,
        claim: claim.clone(),
        clock,
        ledger,
        evidence: EvidenceService::default(),
        metrics,
        backoff: Backoff::default(),
    });
    let ended = tokio::select! {
        ended = &mut keeping => Some(ended),
        () = lead(&arguments, &shared, claim, holder, stop) => None,
    };
    let lost = if let Some(ended) = ended {
        !matches!(ended, Ok(Ended::Released))
    } else {
        lease_stop.cancel();
        let _ = keeping.await;
        false
    };
    http_stop.cancel();
    if let Ok(served) = serving.await {
        served?;
    }
    if lost { Err(RunError::LeaseLost) } else { Ok(()) }
}

fn lease_settings(arguments: &Arguments, holder: &str, past_epoch: u64) -> LeaseSettings {
    LeaseSettings {
        namespace: arguments.namespace.clone(),
        name: arguments.lease.clone(),
        holder: holder.to_owned(),
        duration: LEASE,
        renew_every: RENEW,
        past_epoch,
    }
}

/// Epoch of the last writer that the ledger's anchor knows: a Lease that was deleted must not count from zero again.
async fn anchored_epoch(client: &kube::Client, arguments: &Arguments) -> Result<u64, kube::Error> {
    let api: kube::Api<LedgerAnchor> = kube::Api::namespaced(client.clone(), &arguments.namespace);
    let mut highest = 0;
    // A generation that has not begun has no anchor yet: the one before knows.
    for generation in [arguments.ledger_generation - 1, arguments.ledger_generation] {
        if generation == 0 {
            continue;
        }
        let anchor = api.get_opt(&anchor_of(&arguments.ledger_anchor, generation)).await?;
        let epoch = anchor.and_then(|anchor| anchor.status?.epoch);
        highest = highest.max(epoch.map_or(0, penin_api::values::UnsignedString::get));
    }
    Ok(highest)
}

/// Waits for the lease, opens the ledger, and runs the controllers until `stop`.
async fn lead(
    arguments: &Arguments,
    shared: &Arc<Shared>,
    mut claim: ClaimReader,
    holder: String,
    stop: CancellationToken,
) {
    let epoch = tokio::select! {
        () = stop.cancelled() => return,
        epoch = claim.acquired() => match epoch { Some(epoch) => epoch, None => return },
    };
    shared.metrics.leads(true);
    tracing::info!(epoch, "Leading");
    let keys = |secret: &str| KeySource::new(&arguments.signing_key_dir, secret);
    let settings = LedgerSettings {
        directory: arguments.ledger_dir.clone(),
        origin: arguments.ledger_origin.clone(),
        namespace: arguments.namespace.clone(),
        anchor: arguments.ledger_anchor.clone(),
        generation: arguments.ledger_generation,
        signing_keys: keys(&arguments.signing_key_secret),
        former_signing_keys: arguments.former_signing_key_secret.as_deref().map(keys),
        holder,
        any_filesystem: arguments.ledger_any_filesystem,
    };
    let (service, client, clock) = (shared.ledger.clone(), shared.client.clone(), Arc::clone(&shared.clock));
    let (opening_stop, claimed) = (stop.clone(), claim.clone());
    let opening = tokio::spawn(async move {
        Box::pin(service.keep_open(settings, client, claimed, clock, opening_stop)).await;
    });
    let namespace = arguments.watch_namespace.clone();
    tokio::join!(
        controllers::cycle::run(Arc::clone(shared), namespace.clone(), stop.clone()),
        controllers::challenger::run(Arc::clone(shared), namespace.clone(), stop.clone()),
        controllers::gate::run(Arc::clone(shared), namespace, stop.clone()),
    );
    opening.abort();
    shared.metrics.leads(false);
}

/// Readiness: this process leads and can record decisions. A process that waits for the lease is not ready, because it
/// is the only one of its `StatefulSet` and nobody else serves.
fn checks(ledger: &LedgerService, claim: &ClaimReader) -> Vec<(&'static str, Check)> {
    let (ledger, claim) = (ledger.clone(), claim.clone());
    let leads: Check = Arc::new(move || match claim.epoch() {
        Some(_) => Ok(()),
        None => Err("another process holds the lease".to_owned()),
    });
    let records: Check = Arc::new(move || ledger.problem().map_or(Ok(()), Err));
    vec![("leader", leads), ("ledger", records)]
}
