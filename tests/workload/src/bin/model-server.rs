//! Serves one model of the demonstration.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use penin_workload::model::Model;
use penin_workload::server::{ConnectionLimits, Identity, Settings, State, serve};
use penin_workload::{log, parse_duration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves a logistic regression on UCI Adult: POST /predict on one port; POST /labels, /metrics, /healthz
/// and /readyz on another one, which no gateway should reach.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Weights file of the model.
    #[arg(long, env = "WEIGHTS")]
    weights: PathBuf,
    /// Address of the prediction port.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Address of the port for labels, metrics and probes.
    #[arg(long, default_value = "0.0.0.0:9090")]
    management: SocketAddr,
    /// Name of the pod, for the answers' headers.
    #[arg(long, env = "POD_NAME", default_value = "")]
    pod: String,
    /// Value of the pod's label penin.ai/revision, for the answers' headers.
    #[arg(long, env = "PENIN_REVISION", default_value = "")]
    revision: String,
    /// Predictions that may wait for their label before the oldest is given up.
    #[arg(long, default_value = "131072")]
    label_table: NonZeroUsize,
    /// Time to go on answering after SIGTERM, until the gateway has forgotten this pod.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    drain: Duration,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("model-server: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::load(&arguments.weights)?;
    log(format_args!(
        "model-server: serving {} {}",
        model.name(),
        model.digest()
    ));
    let identity = Identity {
        pod: arguments.pod,
        revision: arguments.revision,
    };
    let settings = Settings {
        table_capacity: arguments.label_table,
        in_flight: 256,
        request_timeout: Duration::from_secs(5),
    };
    let state = Arc::new(State::new(model, &identity, settings)?);
    let predictions = TcpListener::bind(arguments.listen).await?;
    let management = TcpListener::bind(arguments.management).await?;
    log(format_args!(
        "model-server: predictions on {}, management on {}",
        predictions.local_addr()?,
        management.local_addr()?
    ));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        log(format_args!("model-server: draining"));
    };
    serve(
        state,
        predictions,
        management,
        ConnectionLimits::default(),
        arguments.drain,
        stop,
    )
    .await?;
    Ok(())
}
