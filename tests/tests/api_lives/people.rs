//! People who interfere: edits of the route, aborts, suspension, deletion.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use penin_api::foreign::HttpRoute;
use penin_api::v1alpha1::{Challenger, ChallengerPhase, PeninCycle};
use serde_json::json;

use super::cluster;
use super::objects::{self, CYCLE};
use super::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_our_route_by_hand_is_set_back() {
    let shop = Shop::open(&cluster().await, "edited").await;
    let operator = shop.operator("operator-0").await;
    shop.adopted().await;
    shop.apply(&objects::challenger("better")).await;
    let challenger = shop.served("better", 5).await;
    let mut route = shop.route().await.unwrap();
    for backend in &mut route.spec.rules[0].backend_refs {
        backend.weight = if backend.name == challenger { 80 } else { 20 };
    }
    let rules = json!({"spec": {"rules": route.spec.rules}});
    let api = shop.namespace.api::<HttpRoute>();
    api.patch(CYCLE, &PatchParams::default(), &Patch::Merge(rules))
        .await
        .unwrap();
    shop.until("the weight set back", || async {
        let route = shop.route().await?;
        let weight = route.spec.rules[0]
            .backend_refs
            .iter()
            .find(|backend| backend.name == challenger)?
            .weight;
        (weight == 5).then_some(())
    })
    .await;
    assert_eq!(
        shop.end_of("better").await,
        ChallengerPhase::Promoted,
        "{}",
        shop.said()
    );
    shop.agreement(operator, &challenger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_cycle_raises_nothing_and_an_abort_takes_back() {
    let shop = Shop::open(&cluster().await, "suspended").await;
    let operator = shop.operator("operator-0").await;
    let champion = shop.adopted().await;
    shop.apply(&objects::challenger("better")).await;
    shop.until("shadow", || async {
        (shop.phase("better").await? == ChallengerPhase::Shadow).then_some(())
    })
    .await;
    let cycles = shop.namespace.api::<PeninCycle>();
    let suspend = |suspend: bool| Patch::Merge(json!({"spec": {"suspend": suspend}}));
    cycles
        .patch(CYCLE, &PatchParams::default(), &suspend(true))
        .await
        .unwrap();
    shop.until("a passed shadow that waits", || async {
        let status = shop.challenger("better").await.status?;
        status.message.contains("suspended").then_some(())
    })
    .await;
    assert_eq!(shop.phase("better").await, Some(ChallengerPhase::Shadow));
    assert_eq!(shop.weights(&shop.revision("better").unwrap()), [0]);
    cycles
        .patch(CYCLE, &PatchParams::default(), &suspend(false))
        .await
        .unwrap();
    let challenger = shop.served("better", 5).await;
    cycles
        .patch(CYCLE, &PatchParams::default(), &suspend(true))
        .await
        .unwrap();
    let abort = Patch::Merge(json!({"metadata": {"annotations": {"penin.ai/abort": "stop-1"}}}));
    cycles.patch(CYCLE, &PatchParams::default(), &abort).await.unwrap();
    assert_eq!(shop.end_of("better").await, ChallengerPhase::Aborted, "{}", shop.said());
    assert_eq!(shop.weights(&challenger), [0, 5, 0]);
    shop.until("the acknowledgement", || async {
        let command = shop.cycle().await?.status?.last_command?;
        (command.id == "stop-1").then_some(())
    })
    .await;
    let kinds = shop.agreement(operator, &champion).await;
    assert!(kinds.contains(&"OVERRIDE".to_owned()), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_deleted_in_mid_canary_leaves_its_champion_serving() {
    let shop = Shop::open(&cluster().await, "deleted").await;
    let operator = shop.operator("operator-0").await;
    let champion = shop.adopted().await;
    shop.apply(&objects::challenger("better")).await;
    let challenger = shop.served("better", 5).await;
    let cycles = shop.namespace.api::<PeninCycle>();
    cycles.delete(CYCLE, &DeleteParams::default()).await.unwrap();
    shop.until("the end of the cycle", || async {
        shop.cycle().await.is_none().then_some(())
    })
    .await;
    shop.until("the challenger's pods gone", || async {
        shop.deployment(&challenger).await.is_none().then_some(())
    })
    .await;
    assert_eq!(shop.weights(&challenger), [0, 5, 0]);
    let route = shop.route().await.expect("the route stays");
    assert_eq!(route.spec.rules.len(), 1);
    let backends: Vec<_> = route.spec.rules[0]
        .backend_refs
        .iter()
        .map(|b| (b.name.as_str(), b.weight))
        .collect();
    assert_eq!(backends, [(champion.as_str(), 100)]);
    let deployment = shop.deployment(&champion).await.expect("the champion stays");
    assert_eq!(deployment.owner_references(), []);
    assert_eq!(deployment.spec.unwrap().replicas, Some(2));
    let service = shop.namespace.api::<Service>().get(&champion).await.unwrap();
    assert_eq!(service.owner_references(), []);
    // Nobody holds the Challenger any more.
    let challengers = shop.namespace.api::<Challenger>();
    challengers.delete("better", &DeleteParams::default()).await.unwrap();
    shop.until("the Challenger gone", || async {
        challengers.get_opt("better").await.unwrap().is_none().then_some(())
    })
    .await;
    drop(operator);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_is_applied_again_takes_over_what_served_without_a_break() {
    let shop = Shop::open(&cluster().await, "again").await;
    let operator = shop.operator("operator-0").await;
    let champion = shop.adopted().await;
    let cycles = shop.namespace.api::<PeninCycle>();
    cycles.delete(CYCLE, &DeleteParams::default()).await.unwrap();
    shop.until("the end of the cycle", || async {
        shop.cycle().await.is_none().then_some(())
    })
    .await;
    let (route, deployment) = (shop.route().await.unwrap(), shop.deployment(&champion).await.unwrap());
    // Nobody's objects: the target is another one by now, so that a copy of it could not be mistaken for the champion.
    shop.apply(&objects::target("newer")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    shop.apply(&objects::cycle(&shop.evidence_address())).await;
    assert_eq!(shop.adopted().await, champion, "{}", shop.said());
    let uid = shop.cycle().await.unwrap().uid().unwrap();
    let owner = |object: &[OwnerReference]| object.iter().map(|owner| owner.uid.clone()).collect::<Vec<_>>();
    let (after, again) = (shop.route().await.unwrap(), shop.deployment(&champion).await.unwrap());
    assert_eq!(
        (after.uid(), again.uid()),
        (route.uid(), deployment.uid()),
        "nothing is made anew"
    );
    assert_eq!(owner(after.owner_references()), std::slice::from_ref(&uid));
    assert_eq!(owner(again.owner_references()), std::slice::from_ref(&uid));
    let service = shop.namespace.api::<Service>().get(&champion).await.unwrap();
    assert_eq!(owner(service.owner_references()), [uid]);
    assert_eq!(again.spec.unwrap().template, deployment.spec.unwrap().template);
    assert_eq!(shop.weights(&champion), [100], "every request went to the same pods");
    shop.agreement(operator, &champion).await;
}
