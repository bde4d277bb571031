//! Figures of whole lives on real pods:
//!
//! ```text
//! make bench-lives
//! cargo bench -p penin-tests --bench lives -- [RUNS] [AT ONCE]
//! ```
//!
//! Each run has a namespace, an operator, a client of 200 requests a second and two challengers of its own: one that
//! breaks altogether while it has live traffic, and a better one that is promoted. A cluster with the images of this
//! checkout must be up. Runs that go wrong are named and counted, and give no figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod figures;
#[path = "../../tests/lives/mod.rs"]
mod lives;
mod watched;

use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use lives::{BrokenModel, CYCLE, Options, STAGE, STARTING, Served};
use penin_api::v1alpha1::ChallengerPhase::{Promoted, RolledBack};
use penin_api::v1alpha1::challenger::LifeState;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use figures::{Figures, Unit};
use watched::{Watched, api_calls, memory};

#[tokio::main]
async fn main() {
    // Cargo adds `--bench`.
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let runs = numbers.first().copied().unwrap_or(20);
    let at_once = numbers.get(1).copied().unwrap_or(4);
    let places = Arc::new(Semaphore::new(at_once));
    let figures = Arc::new(Mutex::new(Figures::default()));
    let began = Instant::now();
    let tasks = (0..runs).map(|run| {
        let (places, figures) = (Arc::clone(&places), Arc::clone(&figures));
        tokio::spawn(async move {
            let _place = places.acquire().await.unwrap();
            let measured = one_run().await;
            eprintln!("[{:>7.1} s] run {run} is done", began.elapsed().as_secs_f64());
            figures.lock().await.merge(measured);
        })
    });
    let failed = join_all(tasks).await.into_iter().filter(Result::is_err).count();
    print!("{}", figures.lock().await);
    println!(
        "\n{} of {runs} runs, {at_once} at once, {:.0} s",
        runs - failed,
        began.elapsed().as_secs_f64()
    );
    std::process::exit(i32::from(failed > 0));
}

async fn one_run() -> Figures {
    let options = Options {
        rate: 200,
        broken_model: Some(BrokenModel {
            after_seconds: 110,
            failing_permille: 1000,
        }),
        ..Options::default()
    };
    let mut served = Served::new("figures", &options).await;
    let watched = Watched::new(&served, CYCLE);
    let mut figures = Figures::default();
    a_broken_model(&served, &watched, &mut figures).await;
    a_better_model(&served, &watched, &mut figures).await;
    let report = served.final_report().await;
    figures.add("requests of clients", Unit::Count, report.succeeded + report.failed);
    figures
}

/// From the first failed answer that Prometheus can give, to the route without it.
async fn a_broken_model(served: &Served, watched: &Watched, figures: &mut Figures) {
    let container = json!({ "name": "server", "args": ["--weights", "/broken/broken.json"] });
    served.challenge_with("broken", container).await;
    let revision = watched.revision(served, "broken").await;
    let readable = watched.first_failure(served, &revision).await;
    served.until("broken", &[RolledBack], STAGE).await;
    let zero = watched.weight(&revision, 0, readable).unwrap();
    figures.time("first failed answer readable → weight 0 written", zero - readable);
    entering(watched, "broken", &revision, figures);
}

/// A promoted life: what it asks of the API, and how long the route waits to be confirmed.
async fn a_better_model(served: &Served, watched: &Watched, figures: &mut Figures) {
    let before = api_calls(served).await;
    served.challenge("better", "better").await;
    served.until("better", &[Promoted], STARTING + STAGE + STAGE).await;
    let after = api_calls(served).await;
    figures.add("API reads of a promoted life", Unit::Count, after.reads - before.reads);
    figures.add(
        "API writes of a promoted life",
        Unit::Count,
        after.writes - before.writes,
    );
    let revision = watched.revision(served, "better").await;
    entering(watched, "better", &revision, figures);
    for (what, weight, state) in [
        ("weight 5 written → share verified", 5, LifeState::Observing),
        ("weight 100 written → share verified", 100, LifeState::Watching),
    ] {
        let written = watched.first_weight(&revision, weight).unwrap();
        figures.time(what, watched.state("better", state, written).unwrap() - written);
    }
    figures.add("resident memory of the operator", Unit::Mebibytes, memory(served).await);
}

fn entering(watched: &Watched, challenger: &str, revision: &str, figures: &mut Figures) {
    let ready = watched.ready(revision).unwrap();
    let entered = watched.first_weight(revision, 0).unwrap();
    // The operator may have seen the endpoints before this program sees the Deployment.
    figures.time(
        "pods ready → weight-0 route written",
        entered.saturating_duration_since(ready),
    );
    let mirroring = watched.state(challenger, LifeState::Mirroring, entered).unwrap();
    figures.time("weight-0 route written → accepted by the gateway", mirroring - entered);
}
