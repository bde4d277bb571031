//! Whole lives of challengers on real pods, judged by what a client sees and what pods count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod lives;

use std::time::Duration;

use lives::{BrokenModel, CYCLE, Options, STAGE, STARTING, Served};
use penin_api::v1alpha1::ChallengerPhase::{Canary, Promoted, Rejected, RolledBack, Shadow, Watching};
use penin_api::v1alpha1::PeninCycle;
use penin_tests::cluster::wait_until;
use serde_json::json;
use tokio::time::sleep;

/// Long enough for two more scrapes and several hundred requests.
const A_WHILE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_better_model_is_promoted_and_no_request_fails() {
    let options = Options {
        champion_replicas: 3,
        ..Options::default()
    };
    let mut served = Served::new("better", &options).await;
    let champion = served.champion().await;
    served.challenge("better", "better").await;
    let shadow = served.until("better", &[Shadow], STARTING).await;
    let revision = shadow.revision.unwrap();
    served.until("better", &[Canary], STAGE).await;
    // The weight may be a second old already; before the mirror was off and the weight written, nobody was answered.
    served.until("better", &[Watching], STAGE).await;
    let watching = served.report();
    served.until("better", &[Promoted], STAGE).await;
    assert_eq!(served.champion().await, revision);
    sleep(A_WHILE).await;
    let before = served.answers(&champion);
    sleep(A_WHILE).await;
    assert_eq!(served.answers(&champion), before, "the former champion serves nobody");
    let report = served.final_report().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    let (old, new) = (&watching.revisions[&champion], &watching.revisions[&revision]);
    assert!(old.succeeded > 10 * new.succeeded, "a canary is small: {old:?} {new:?}");
    let entries = served.entries().await;
    for kind in ["ADOPT", "INTENT", "GATE_EVAL", "PROMOTE_ATTEST", "OUTCOME"] {
        assert!(entries.contains(kind), "no {kind} in\n{entries}");
    }
    served.verify_ledger().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfair_model_never_answers_a_user() {
    let mut served = Served::new("unfair", &Options::default()).await;
    served.challenge("unfair", "unfair").await;
    let shadow = served.until("unfair", &[Shadow], STARTING).await;
    let revision = shadow.revision.unwrap();
    let ended = served.until("unfair", &[Rejected], STAGE).await;
    assert!(!ended.had_live_traffic);
    assert!(ended.message.contains("rho_bias"), "{}", ended.message);
    assert_eq!(served.weights().await.get(&revision).copied().unwrap_or(0), 0);
    let report = served.final_report().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert!(!report.revisions.contains_key(&revision), "{:?}", report.revisions);
    served.verify_ledger().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_breaks_is_taken_back() {
    // It breaks when it is told to: a defect that waits for an age meets another stage on a slow machine.
    let broken = BrokenModel {
        after_seconds: 86_400,
        failing_permille: 100,
    };
    let options = Options {
        broken_model: Some(broken),
        ..Options::default()
    };
    let mut served = Served::new("failing", &options).await;
    let champion = served.champion().await;
    let container = json!({ "name": "server", "args": ["--weights", "/broken/broken.json"] });
    served.challenge_with("failing", container).await;
    let canary = served.until("failing", &[Canary], STARTING + STAGE).await;
    let revision = canary.revision.unwrap();
    let live = wait_until("live answers", STAGE, || async {
        let answers = served.answers(&revision);
        if answers.succeeded > 0 {
            Ok(())
        } else {
            Err(format!("{answers:?}"))
        }
    });
    live.await.unwrap();
    served.namespace.begin_defect(&revision).await.unwrap();
    served.until("failing", &[RolledBack], STAGE).await;
    assert_eq!(served.weights().await.get(&revision).copied().unwrap_or(0), 0);
    sleep(A_WHILE).await;
    let after = served.answers(&revision);
    assert!(after.failed > 0, "it answered errors: {after:?}");
    sleep(A_WHILE).await;
    assert_eq!(
        served.answers(&revision),
        after,
        "nothing reaches it after the rollback"
    );
    assert_eq!(served.champion().await, champion);
    let report = served.final_report().await;
    assert_eq!(
        report.failed, after.failed,
        "only its own answers failed: {:?}",
        report.failures
    );
    served.verify_ledger().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_evidence_traffic_never_rises() {
    let options = Options {
        canary_deadline: "2m",
        ..Options::default()
    };
    let mut served = Served::new("blind", &options).await;
    served.challenge("better", "better").await;
    let canary = served.until("better", &[Canary], STARTING + STAGE).await;
    let revision = canary.revision.unwrap();
    served.cut_evidence();
    let ended = wait_until("the end", STAGE, || async {
        let weights = served.weights().await;
        assert!(weights.get(&revision).copied().unwrap_or(0) <= 5, "{weights:?}");
        let status = served.status("better").await;
        match status.phase {
            Some(RolledBack) => Ok(status),
            phase => Err(format!("{phase:?}: {}", status.message)),
        }
    });
    let ended = ended.await.unwrap();
    assert!(ended.message.contains("eadline"), "{}", ended.message);
    assert_eq!(served.weights().await.get(&revision).copied().unwrap_or(0), 0);
    let report = served.final_report().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    served.verify_ledger().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_do_not_become_ready_never_get_traffic() {
    let options = Options {
        progress_deadline: "30s",
        ..Options::default()
    };
    let mut served = Served::new("unready", &options).await;
    let weights = "--weights=/models/better.json";
    let candidates = [
        ("no-image", json!({"name": "server", "image": "penin.local/absent:1"})),
        (
            "crashing",
            json!({"name": "server", "args": ["--weights=/models/absent.json"]}),
        ),
        // It runs, and its readiness probe asks a port that nobody listens at.
        (
            "never-ready",
            json!({"name": "server", "args": [weights, "--management=0.0.0.0:9099"]}),
        ),
    ];
    for (name, container) in candidates {
        served.challenge_with(name, container).await;
        let ended = served.until(name, &[Rejected], STAGE).await;
        assert!(ended.message.contains("ready"), "{name}: {}", ended.message);
        let revision = ended.revision.unwrap();
        assert!(!served.weights().await.contains_key(&revision), "{name}");
        assert_eq!(
            served.answers(&revision).succeeded + served.answers(&revision).failed,
            0
        );
    }
    let report = served.final_report().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    served.verify_ledger().await;
}

/// The operator is killed in shadow, canary and watch; between the last two its chart is upgraded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_operator_goes_on_with_the_same_life() {
    let mut served = Served::new("killed", &Options::default()).await;
    served.challenge("better", "better").await;
    served.until("better", &[Shadow], STARTING).await;
    served.kill_operator().await;
    let canary = served.until("better", &[Canary], STAGE).await;
    let revision = canary.revision.unwrap();
    served.kill_operator().await;
    let namespace = served.namespace.name().to_owned();
    served
        .cluster
        .install_operator(&namespace, &["--set", "log.level=debug"])
        .await
        .unwrap();
    served.until("better", &[Watching], STAGE).await;
    served.kill_operator().await;
    served.until("better", &[Promoted], STAGE).await;
    assert_eq!(served.champion().await, revision);
    served.verify_ledger().await;

    served.cluster.uninstall_operator(&namespace).await.unwrap();
    sleep(A_WHILE).await;
    let report = served.final_report().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert_eq!(served.weights().await[&revision], 100, "traffic stays where it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cycle_deleted_in_mid_canary_leaves_the_champion_serving() {
    let mut served = Served::new("deleted", &Options::default()).await;
    let champion = served.champion().await;
    served.challenge("better", "better").await;
    let canary = served.until("better", &[Canary], STARTING + STAGE).await;
    let revision = canary.revision.unwrap();
    let api = served.namespace.api::<PeninCycle>();
    api.delete(CYCLE, &kube::api::DeleteParams::default()).await.unwrap();
    let gone = wait_until("the cycle to be gone", STARTING, || async {
        match api.get_opt(CYCLE).await.unwrap() {
            None => Ok(()),
            Some(cycle) => Err(format!("{:?}", cycle.status.map(|status| status.conditions))),
        }
    });
    gone.await.unwrap();
    assert_eq!(served.weights().await.get(&champion), Some(&100));
    let before = served.answers(&revision);
    let serving = served.answers(&champion);
    sleep(A_WHILE).await;
    assert_eq!(served.answers(&revision), before, "nothing reaches the challenger");
    assert!(served.answers(&champion).succeeded > serving.succeeded);
    let report = served.final_report().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
}
