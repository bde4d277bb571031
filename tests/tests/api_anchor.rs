//! The anchor of a ledger on a real API server: what it shows of a volume that was exchanged, and whom it stops.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod ledger;

use std::path::Path;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use ledger::{Operator, PATIENCE, Running, cluster, promotion};
use penin_api::v1alpha1::LedgerAnchor;
use penin_ledger::{Draft, Kind, Policy, Reader, Verdict};
use penin_tests::cluster::wait_until;
use serde_json::json;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.path().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

fn exchange(volume: &Path, other: &Path) {
    std::fs::remove_dir_all(volume).unwrap();
    copy(other, volume);
}

/// Waits until the ledger is closed for a reason.
async fn closed_for(running: &Running, reason: &str) {
    wait_until(&format!("the ledger to be refused for {reason}"), PATIENCE, || async {
        let problem = running.service.problem().unwrap_or_default();
        problem.contains(reason).then_some(()).ok_or(problem)
    })
    .await
    .unwrap();
}

async fn open_again(running: &Running) {
    wait_until("the ledger to be well again", PATIENCE, || async {
        running.service.problem().map_or(Ok(()), Err)
    })
    .await
    .unwrap();
}

fn withdrawal(n: u8) -> Draft {
    Draft {
        kind: Kind::Rollback,
        ..promotion(n)
    }
}

fn kinds(directory: &Path) -> Vec<Kind> {
    let reader = Reader::open_read_only(directory).unwrap();
    let size = reader.head().unwrap().0;
    reader.entries(0..size).map(|entry| entry.unwrap().kind).collect()
}

async fn policy(operator: &Operator<'_>) -> Policy {
    let published = operator.published("operator-policy", 1).await;
    Policy::from_json(&published["policy.json"]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_older_lost_or_damaged_is_refused_and_the_right_one_opens() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("volume").await.unwrap();
    let mut operator = Operator::new(&namespace, cluster.client());
    let (older, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let volume = operator.directory(1);

    let running = operator.open(1, "keys", None).await;
    running.append(1).await;
    let policy = policy(&operator).await;
    running.end().await;
    copy(&volume, older.path());
    let running = operator.open(1, "keys", None).await;
    running.append(2).await;
    running.end().await;
    copy(&volume, right.path());

    exchange(&volume, older.path());
    let refusal = operator.refusal(1, "keys", None).await;
    assert!(refusal.contains("RolledBack"), "{refusal}");

    std::fs::remove_dir_all(&volume).unwrap();
    std::fs::create_dir(&volume).unwrap();
    let refusal = operator.refusal(1, "keys", None).await;
    assert!(refusal.contains("VolumeEmpty"), "{refusal}");

    // A byte of the last entry, where the database keeps it.
    exchange(&volume, right.path());
    let database = volume.join("ledger.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let at = bytes.windows(9).rposition(|window| window == b"\"payload\"").unwrap();
    bytes[at + 40] ^= 1;
    std::fs::write(&database, bytes).unwrap();
    let refusal = operator.refusal(1, "keys", None).await;
    assert!(refusal.contains("Damaged"), "{refusal}");

    exchange(&volume, right.path());
    let running = operator.open(1, "keys", None).await;
    assert_eq!(running.state().await, Some(vec![2]));
    running.append(3).await;
    running.end().await;
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_anchor_nothing_is_promoted_and_what_waited_is_recorded_when_it_is_back() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("deleted").await.unwrap();
    let mut operator = Operator::new(&namespace, cluster.client());
    let anchors: Api<LedgerAnchor> = namespace.api();
    let running = operator.open(1, "keys", None).await;
    running.append(1).await;
    // By now the kubelet has mounted what the first start has made.
    operator.mount().await;
    let policy = policy(&operator).await;
    let kept = anchors.get("operator").await.unwrap();

    anchors.delete("operator", &DeleteParams::default()).await.unwrap();
    let refused = running.service.append(promotion(2), PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("AnchorMissing"), "{refused}");
    closed_for(&running, "AnchorMissing").await;
    running.service.queue_withdrawal(withdrawal(3));
    assert_eq!(
        anchors
            .get_opt("operator")
            .await
            .unwrap()
            .map(|anchor| anchor.name_any()),
        None,
        "never made anew"
    );

    // From a backup, as it was.
    let mut again = kept.clone();
    again.metadata.resource_version = None;
    again.metadata.uid = None;
    anchors.create(&PostParams::default(), &again).await.unwrap();
    let status = json!({"status": kept.status});
    anchors
        .patch_status("operator", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    // By itself: nobody restarts anything.
    open_again(&running).await;
    assert!(running.append(4).await > 3);
    assert_eq!(running.state().await, Some(vec![4]));
    running.end().await;
    let found = kinds(&operator.directory(1));
    let count = |kind| found.iter().filter(|found| **found == kind).count();
    // The promotion that was not acknowledged stands there too, before the withdrawal.
    assert_eq!((count(Kind::Rollback), count(Kind::PromoteAttest)), (1, 3), "{found:?}");
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_copy_of_the_volume_and_a_newer_epoch_stops_the_first_for_good() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("fenced").await.unwrap();
    let mut first = Operator::new(&namespace, cluster.client());
    let old = first.open(1, "keys", None).await;
    old.append(1).await;
    let policy = policy(&first).await;

    let mut second = Operator::new(&namespace, cluster.client());
    copy(&first.directory(1), &second.directory(1));
    second.epoch = first.epoch;
    let new = second.open(1, "keys", None).await;
    let size = second.anchored("operator").await.unwrap().size;

    let refused = old.service.append(promotion(2), PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("Fenced"), "{refused}");
    closed_for(&old, "Fenced").await;
    // Opening it again, with its old epoch, took nothing from the new one.
    assert_eq!(new.append(3).await, size);
    closed_for(&old, "Fenced").await;
    old.end().await;
    new.end().await;
    assert_eq!(second.verdict(1, &policy, "operator").await, Verdict::Ok);
}
