//! The whole operator as a process of its own on a real API server: lives to each verdict, kills at any moment, rivals,
//! interference. Pods, gateway and Prometheus are simulated; wall time goes ten times as fast.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod clock;
mod kills;
mod objects;
mod people;
mod plane;
mod prometheus;
mod proxy;
mod shop;
mod world;

use std::sync::Arc;

use clap::Parser as _;
use kube::Config;
use penin_api::v1alpha1::ChallengerPhase;
use penin_operator::operator::{self, Arguments};
use penin_operator::runtime::{shutdown, telemetry};
use penin_tests::cluster::Cluster;
use serde_json::Value;
use tokio::sync::OnceCell;

use clock::FastClock;
use shop::Shop;

/// Variable that makes a process of this program an operator.
const ENVIRONMENT: &str = "PENIN_TEST_OPERATOR";

/// The control plane with all definitions.
async fn cluster() -> Cluster {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::control_plane().await.unwrap();
    let client = cluster.client();
    INSTALLED.get_or_init(|| objects::install(&client)).await;
    cluster
}

/// Not a test: the operator's process, when a test starts this program again as one. It runs until it is killed.
#[test]
fn operator_process() {
    let Ok(text) = std::env::var(ENVIRONMENT) else { return };
    let wanted: Value = serde_json::from_str(&text).unwrap();
    let words = wanted["arguments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap());
    let arguments = Arguments::parse_from(words);
    let clock = FastClock {
        epoch: wanted["epoch"].as_str().unwrap().parse().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let ended = runtime.block_on(async {
        telemetry::start(&arguments.log).unwrap();
        let config = Config::new(wanted["server"].as_str().unwrap().parse().unwrap());
        let stop = shutdown::on_signals().unwrap();
        operator::run_with(arguments, config, Arc::new(clock), stop).await
    });
    ended.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_model_is_promoted() {
    let shop = Shop::open(&cluster().await, "promoted").await;
    let operator = shop.operator("operator-0").await;
    let former = shop.adopted().await;
    shop.apply(&objects::challenger("better")).await;
    assert_eq!(
        shop.end_of("better").await,
        ChallengerPhase::Promoted,
        "{}",
        shop.said()
    );
    let champion = shop.revision("better").unwrap();
    assert_eq!(shop.weights(&champion), [0, 5, 100]);
    assert_eq!(shop.weights(&former), [100, 95, 0]);
    let kinds = shop.agreement(operator, &champion).await;
    let decisions: Vec<_> = kinds.iter().filter(|kind| *kind == "PROMOTE_ATTEST").collect();
    assert_eq!(decisions.len(), 1, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfair_model_is_refused_in_shadow() {
    let shop = Shop::open(&cluster().await, "rejected").await;
    let operator = shop.operator("operator-0").await;
    let champion = shop.adopted().await;
    shop.apply(&objects::challenger("unfair")).await;
    assert_eq!(
        shop.end_of("unfair").await,
        ChallengerPhase::Rejected,
        "{}",
        shop.said()
    );
    let revision = shop.revision("unfair").unwrap();
    assert_eq!(shop.weights(&revision), [0], "no live request ever reached it");
    assert!(
        shop.segments().iter().any(|segment| segment.mirror.is_some()),
        "it was judged on mirrored requests"
    );
    let kinds = shop.agreement(operator, &champion).await;
    assert!(
        kinds.contains(&"REJECTION".to_owned()) && !kinds.contains(&"ROLLBACK".to_owned()),
        "{kinds:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_on_live_traffic_is_rolled_back() {
    let shop = Shop::open(&cluster().await, "rolled-back").await;
    shop.world.plane.lock().unwrap().failing.insert("failing".to_owned());
    let operator = shop.operator("operator-0").await;
    let champion = shop.adopted().await;
    shop.apply(&objects::challenger("failing")).await;
    assert_eq!(
        shop.end_of("failing").await,
        ChallengerPhase::RolledBack,
        "{}",
        shop.said()
    );
    assert_eq!(shop.weights(&shop.revision("failing").unwrap()), [0, 5, 0]);
    let kinds = shop.agreement(operator, &champion).await;
    assert!(kinds.contains(&"ROLLBACK".to_owned()), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_acts_and_the_other_continues_its_life() {
    let shop = Shop::open(&cluster().await, "rivals").await;
    let first = shop.operator("operator-0").await;
    shop.adopted().await;
    let second = shop.operator("operator-1").await;
    shop.apply(&objects::challenger("better")).await;
    let challenger = shop.served("better", 5).await;
    assert_eq!(second.proxy.writes(), Vec::<String>::new(), "the second one waits");
    let before = first.proxy.writes().len();
    assert!(before > 10, "{before}");
    first.kill();
    assert_eq!(
        shop.end_of("better").await,
        ChallengerPhase::Promoted,
        "{}",
        shop.said()
    );
    assert!(!second.proxy.writes().is_empty());
    assert_eq!(shop.weights(&challenger), [0, 5, 100]);
    shop.agreement(second, &challenger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_evidence_traffic_never_rises_and_goes_to_zero_at_the_deadline() {
    let shop = Shop::open(&cluster().await, "blind").await;
    let mut cycle = objects::cycle(&shop.evidence_address());
    cycle["spec"]["canary"]["deadline"] = "3m".into();
    cycle["spec"]["traffic"]["gateway"]["acceptDeadline"] = "1m".into();
    shop.apply(&cycle).await;
    let operator = shop.operator("operator-0").await;
    let champion = shop.adopted().await;
    shop.apply(&objects::challenger("better")).await;
    let challenger = shop.served("better", 5).await;
    shop.world.plane.lock().unwrap().down = true;
    assert_eq!(
        shop.end_of("better").await,
        ChallengerPhase::RolledBack,
        "{}",
        shop.said()
    );
    assert_eq!(shop.weights(&challenger), [0, 5, 0]);
    let challenger = shop.challenger("better").await;
    let text = serde_json::to_string(&challenger.status).unwrap().to_lowercase();
    assert!(text.contains("deadline"), "the reason says so: {text}");
    shop.agreement(operator, &champion).await;
}
