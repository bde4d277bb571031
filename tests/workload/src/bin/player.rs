//! Plays the demonstration's traffic.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Uri};
use axum::routing::get;
use axum::{Json, Router};
use clap::{Args, Parser};
use jiff::Timestamp;
use penin_workload::player::{EndpointSource, Plan, Recorder, keep_report, play};
use penin_workload::{log, parse_duration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

type Failed = Box<dyn std::error::Error>;

/// Replays the test split of UCI Adult against a gateway at a fixed rate, delivers the labels to every pod,
/// and reports what a client sees. SIGUSR1 writes a report at once; SIGTERM ends the run in good order.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address of the gateway, such as `http://10.96.0.10:80`; the path is /predict unless given.
    #[arg(long, env = "TARGET")]
    target: Uri,
    /// Host header; given several times, the hosts take turns.
    #[arg(long = "host")]
    hosts: Vec<HeaderValue>,
    /// Further header of every request, as "name: value"; may be given several times.
    #[arg(long = "header", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Requests a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// End after this many requests.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    requests: u64,
    /// End after this time.
    #[arg(long, default_value = "1h", value_parser = parse_duration)]
    duration: Duration,
    /// Requests under way at once; what is due beyond that is counted and not sent.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    /// Time for one answer.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    timeout: Duration,
    /// Time from a request to the delivery of its label.
    #[arg(long, default_value = "2500ms", value_parser = parse_duration)]
    label_delay: Duration,
    #[command(flatten)]
    labels: LabelArguments,
    /// File that always holds the newest report.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Time between two reports.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    report_every: Duration,
    /// Address that answers GET /report and /healthz.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Start of the prediction ids; by default made from the time and the process id.
    #[arg(long)]
    run: Option<String>,
}

/// Where labels go: at most one of the three.
#[derive(Args)]
struct LabelArguments {
    /// Addresses host:port of the pods' management ports, separated by commas.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["label_file", "label_cycle"])]
    label_endpoints: Vec<String>,
    /// File of such addresses, one a line, read again every second.
    #[arg(long, conflicts_with = "label_cycle")]
    label_file: Option<PathBuf>,
    /// Name of the cycle whose pods are looked up in the Kubernetes API every second.
    #[arg(long)]
    label_cycle: Option<String>,
    /// Namespace of these pods.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Management port of these pods.
    #[arg(long, default_value_t = 9090)]
    label_port: u16,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("player: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failed> {
    let rows = penin_workload::adult::test_split()?.into();
    let listen = arguments.listen;
    let plan = plan(arguments).await?;
    let recorder = Arc::new(Recorder::new(&plan));
    if let Some(address) = listen {
        let listener = TcpListener::bind(address).await?;
        let router = report_routes(Arc::clone(&recorder));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    let (stop, stopped) = watch::channel(false);
    let (ask, asked) = watch::channel(0);
    tokio::spawn(listen_to_signals(stop, ask)?);

    let (end, ended) = watch::channel(false);
    let keeping = async {
        if let Some(path) = &plan.report {
            keep_report(path, plan.report_every, &recorder, asked, ended).await;
        }
    };
    let playing = async {
        play(&plan, rows, &recorder, stopped).await;
        end.send_replace(true);
    };
    tokio::join!(keeping, playing);

    let report = recorder.report();
    if let Some(path) = &plan.report {
        report.write(path)?;
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}

async fn plan(arguments: Arguments) -> Result<Plan, Failed> {
    let run = arguments
        .run
        .unwrap_or_else(|| format!("{:x}-{:x}", Timestamp::now().as_millisecond(), std::process::id()));
    // With 20 digits for the ordinal an id stays within the server's 64 characters.
    if !(1..=40).contains(&run.len()) || !run.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("--run: 1 to 40 visible ASCII characters are expected".into());
    }
    if arguments.report_every.is_zero() {
        return Err("--report-every: a time longer than 0 is expected".into());
    }
    Ok(Plan {
        target: with_path(&arguments.target)?,
        hosts: arguments.hosts,
        headers: arguments.headers,
        run,
        rate: arguments.rate,
        requests: arguments.requests,
        duration: arguments.duration,
        in_flight: usize::from(arguments.in_flight),
        timeout: arguments.timeout,
        label_delay: arguments.label_delay,
        labels: label_source(arguments.labels).await?,
        report: arguments.report,
        report_every: arguments.report_every,
    })
}

fn with_path(target: &Uri) -> Result<Uri, Failed> {
    let mut parts = target.clone().into_parts();
    if parts.scheme.as_ref().is_none_or(|scheme| scheme.as_str() != "http") || parts.authority.is_none() {
        return Err(format!("--target: {target}: http://host:port is expected").into());
    }
    if parts.path_and_query.as_ref().is_none_or(|path| path.as_str() == "/") {
        parts.path_and_query = Some("/predict".parse()?);
    }
    Ok(Uri::from_parts(parts)?)
}

async fn label_source(arguments: LabelArguments) -> Result<Option<EndpointSource>, Failed> {
    if let Some(path) = arguments.label_file {
        return Ok(Some(EndpointSource::File(path)));
    }
    if let Some(cycle) = arguments.label_cycle {
        let client = kube::Client::try_default().await?;
        return Ok(Some(EndpointSource::of_cycle(
            client,
            &arguments.namespace,
            &cycle,
            arguments.label_port,
        )));
    }
    if arguments.label_endpoints.is_empty() {
        return Ok(None);
    }
    let source = EndpointSource::Fixed(arguments.label_endpoints);
    source
        .list()
        .await
        .map_err(|error| format!("--label-endpoints: {error}"))?;
    Ok(Some(source))
}

fn report_routes(recorder: Arc<Recorder>) -> Router {
    Router::new()
        .route("/report", get(move || async move { Json(recorder.report()) }))
        .route("/healthz", get(|| async { "ok" }))
}

fn listen_to_signals(
    stop: watch::Sender<bool>,
    ask: watch::Sender<u64>,
) -> Result<impl Future<Output = ()>, std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut user = signal(SignalKind::user_defined1())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => stop.send_replace(true),
                _ = interrupt.recv() => stop.send_replace(true),
                _ = user.recv() => { ask.send_modify(|count| *count += 1); false }
            };
        }
    })
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("\"name: value\" is expected")?;
    let name = name.trim().parse().map_err(|error| format!("{name:?}: {error}"))?;
    let value = value.trim().parse().map_err(|error| format!("{value:?}: {error}"))?;
    Ok((name, value))
}
