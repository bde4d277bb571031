//! What the operator keeps of its ledger in the API: policy and keys in a `ConfigMap`, signing keys in Secrets, one
//! anchor for each generation. Through rotations of the keys and an archive, on a real API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod ledger;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use ledger::{ORIGIN, Operator, PATIENCE, cluster};
use penin_ledger::{Keys, Policy, Source, Verdict, generations};
use penin_operator::services::policy;
use penin_tests::cluster::wait_until;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_a_generation_is_archived() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("ledger").await.unwrap();
    let mut operator = Operator::new(&namespace, cluster.client());

    // A new ledger makes its keys and publishes what verifiers need.
    let running = operator.open(1, "first", None).await;
    assert!(!operator.mounts().join("first").exists(), "no kubelet was there yet");
    let secret: Secret = namespace.api().get("first").await.unwrap();
    assert_eq!((secret.immutable, secret.data.unwrap().len()), (Some(true), 2));
    assert_eq!(running.append(1).await, 1);
    let before = operator.published("operator-policy", 1).await;
    let policy = Policy::from_json(&before["policy.json"]).unwrap();
    assert_eq!(policy.origin, ORIGIN);
    running.end().await;
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);

    // Keys that are not there yet: the former ones go on signing.
    let running = operator.open(1, "second", Some("first")).await;
    running.append(2).await;
    assert_eq!(operator.published("operator-policy", 1).await, before);
    running.end().await;

    // Half a pair is none either.
    operator.make_secret_of("half", &[("log.pem", b"no key")]).await;
    let running = operator.open(1, "half", Some("first")).await;
    let entry = running.append(2).await;
    running.end().await;
    let refusal = operator.refusal(1, "half", None).await;
    assert!(refusal.contains("attestation.pem is missing"), "{refusal}");

    // They are there: rotated by the start, and published beside the policy, which stays.
    operator.make_secret("second", 2).await;
    let running = operator.open(1, "second", Some("first")).await;
    let after = operator.published("operator-policy", 2).await;
    assert_eq!(after["policy.json"], before["policy.json"]);
    assert_ne!(after["log.vkey"], before["log.vkey"]);
    let second = Keys::generate([2; 64]).verifiers();
    assert_eq!(after["attestation.pub.pem"], second.attestation.to_pem().unwrap());
    // LEADER and KEY_ROTATE stand between.
    assert_eq!(running.append(3).await, entry + 3);
    running.end().await;
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);

    // The former Secret is not needed any more, and alone it opens nothing.
    let refusal = operator.refusal(1, "first", None).await;
    assert!(refusal.contains("KeyMismatch"), "{refusal}");
    operator.delete_secret("first").await;
    let running = operator.open(1, "second", Some("first")).await;
    assert_eq!(running.state().await, Some(vec![3]));
    running.end().await;
    let refusal = operator.refusal(1, "first", None).await;
    assert!(refusal.contains("Secret first is gone"), "{refusal}");

    // A generation begins after the one before it, and no other.
    let refusal = operator.refusal(3, "second", None).await;
    assert!(refusal.contains("there is none before it"), "{refusal}");
    assert_eq!(operator.anchored("operator-3").await, None);
    let last = operator.anchored("operator").await.unwrap();
    assert!(!operator.directory(3).exists());

    // The next one: the first is sealed, the second goes on from its state. Keys change with it.
    operator.make_secret("third", 3).await;
    let running = operator.open(2, "third", Some("second")).await;
    assert_eq!(running.state().await, Some(vec![3]));
    // GENESIS, CARRY.
    assert_eq!(running.append(4).await, 2);
    operator.published("operator-2-policy", 1).await;
    running.end().await;
    let sealed = operator.anchored("operator").await.unwrap();
    // LEADER and ARCHIVE.
    assert_eq!(sealed.size, last.size + 2);
    let refusal = operator.refusal(1, "second", None).await;
    assert!(refusal.contains("archived") && refusal.contains("to 2"), "{refusal}");

    // Found again after a restart, without the first one's keys.
    let running = operator.open(2, "third", None).await;
    assert_eq!(running.state().await, Some(vec![4]));
    running.end().await;

    // An auditor who has the very first policy needs no other.
    assert_eq!(operator.verdict(1, &policy, "operator").await, Verdict::Ok);
    let open = |generation| Source::open(&operator.directory(generation)).unwrap();
    assert_eq!(generations::broken_link(&open(1), &open(2)).unwrap(), None);
    let next = generations::end(&open(1)).unwrap().next.unwrap();
    let handed_down = Policy {
        origin: next.origin,
        keys: next.keys,
    };
    assert_eq!(operator.verdict(2, &handed_down, "operator-2").await, Verdict::Ok);
    let published = operator.config("operator-2-policy").await;
    assert_eq!(Policy::from_json(&published["policy.json"]).unwrap(), handed_down);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_kept_in_step_and_never_exchanged() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("policy").await.unwrap();
    let maps = namespace.api::<ConfigMap>();
    let [first, second] = [1, 2].map(|seed| Keys::generate([seed; 64]).verifiers());
    let publish = async |origin: &str, keys: &[(u64, penin_ledger::keys::Verifiers)]| {
        let data = policy::data(origin, keys).unwrap();
        policy::publish(&cluster.client(), namespace.name(), "policy", data).await
    };
    publish(ORIGIN, &[(0, first)]).await.unwrap();
    let made = maps.get("policy").await.unwrap();

    // Nothing changed: nothing is written.
    publish(ORIGIN, &[(0, first)]).await.unwrap();
    assert_eq!(
        maps.get("policy").await.unwrap().resource_version(),
        made.resource_version()
    );

    // What others added stays, what is ours is set right.
    let theirs = json!({
        "metadata": {"labels": {"team": "audit"}},
        "data": {"note": "pinned on Monday", "log.vkey": "wrong"},
    });
    maps.patch("policy", &PatchParams::default(), &Patch::Merge(theirs))
        .await
        .unwrap();
    publish(ORIGIN, &[(0, first), (7, second)]).await.unwrap();
    let map = maps.get("policy").await.unwrap();
    assert_eq!(map.labels()["team"], "audit");
    let data = map.data.unwrap();
    assert_eq!(data["note"], "pinned on Monday");
    assert_eq!(data["log.vkey"].trim_end(), second.log.to_vkey(ORIGIN));
    assert_eq!(data["policy.json"], made.data.clone().unwrap()["policy.json"]);

    // Another ledger's policy, or other first keys, are left alone.
    for (origin, keys) in [("else.example/log", first), (ORIGIN, second)] {
        let refusal = publish(origin, &[(0, keys)]).await.unwrap_err();
        assert!(refusal.contains("another ledger"), "{refusal}");
    }
    assert_eq!(maps.get("policy").await.unwrap().data.unwrap(), data);

    // A deleted one is made again, and an API server that refuses is quoted.
    maps.delete("policy", &DeleteParams::default()).await.unwrap();
    publish(ORIGIN, &[(0, first)]).await.unwrap();
    assert_eq!(maps.get("policy").await.unwrap().data, made.data);
    let data = policy::data(ORIGIN, &[(0, first)]).unwrap();
    let refusal = policy::publish(&cluster.client(), "no-such-namespace", "policy", data).await;
    assert!(refusal.unwrap_err().contains("no-such-namespace"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_exist_and_are_not_mounted_are_waited_for() {
    let cluster = cluster().await;
    let namespace = cluster.namespace("keys").await.unwrap();
    let mut operator = Operator::new(&namespace, cluster.client());
    // As after a process that died once it had made the Secret, in a pod that does not have it yet.
    operator.make_secret("keys", 7).await;
    let running = operator.start(1, "keys", None);
    let refused = wait_until("a refusal", PATIENCE, || async {
        let problem = running.service.problem();
        problem
            .filter(|text| text.contains("Secret keys exists and is not mounted"))
            .ok_or("not yet")
    });
    refused.await.unwrap();
    assert!(!operator.directory(1).exists(), "no ledger begins with other keys");
    operator.mount().await;
    let opened = wait_until("the ledger to open", PATIENCE, || async {
        running.service.problem().map_or(Ok(()), Err)
    });
    opened.await.unwrap();
    assert_eq!(running.append(1).await, 1);
    let published = operator.published("operator-policy", 1).await;
    let expected = Keys::generate([7; 64]).verifiers();
    assert_eq!(published["attestation.pub.pem"], expected.attestation.to_pem().unwrap());
    running.end().await;
}
