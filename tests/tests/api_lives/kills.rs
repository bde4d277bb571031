//! SIGKILL right after a write: the API server has stored it, or the ledger has anchored it, and the process dies before
//! it knows. Started again, it comes to the same verdict or a safer one.

use futures::{StreamExt as _, stream};
use penin_api::v1alpha1::ChallengerPhase;
use penin_tests::cluster::Cluster;

use super::proxy::Trap;
use super::shop::Shop;
use super::{cluster, objects};

/// Lives at once.
const AT_ONCE: usize = 4;

const fn trap(path: &'static str, number: usize) -> Trap {
    Trap { path, number }
}

/// Points of a life that is promoted: each entry of the ledger as it is anchored, each write of the route, and the
/// writes of pods, finalizers and statuses in between.
const POINTS: [Trap; 26] = [
    trap("/secrets", 1),
    trap("/ledgeranchors/penin-operator/status", 1),
    trap("/ledgeranchors/penin-operator/status", 2),
    trap("/ledgeranchors/penin-operator/status", 3),
    trap("/ledgeranchors/penin-operator/status", 4),
    trap("/ledgeranchors/penin-operator/status", 5),
    trap("/ledgeranchors/penin-operator/status", 6),
    trap("/ledgeranchors/penin-operator/status", 7),
    trap("/ledgeranchors/penin-operator/status", 8),
    trap("/ledgeranchors/penin-operator/status", 9),
    trap("/ledgeranchors/penin-operator/status", 10),
    trap("/httproutes", 1),
    trap("/httproutes", 2),
    trap("/httproutes", 3),
    trap("/httproutes", 4),
    trap("/httproutes", 5),
    trap("/httproutes", 6),
    trap("/httproutes", 7),
    trap("/deployments", 1),
    trap("/deployments", 2),
    trap("/deployments", 3),
    trap("/deployments", 4),
    trap("/services", 2),
    trap("/challengers/better", 1),
    trap("/challengers/better/status", 4),
    trap("/penincycles/adult/status", 12),
];

/// A life with one kill; starts the operator again when it has died.
async fn killed_life(cluster: &Cluster, model: &str, trap: &Trap) -> Result<(), String> {
    let what = format!("{model} {trap:?}");
    let shop = Shop::open(cluster, "killed").await;
    if model == "failing" {
        shop.world.plane.lock().unwrap().failing.insert(model.to_owned());
    }
    let mut operator = shop.operator("operator-0").await;
    operator.proxy.set(trap.clone());
    shop.apply(&objects::challenger(model)).await;
    let proxy = operator.proxy.clone();
    let phase = loop {
        tokio::select! {
            phase = shop.end_of(model) => break phase,
            () = died(&mut operator) => {
                if !proxy.has_sprung() {
                    return Err(format!("{what}: the operator ended by itself\n{}", shop.said()));
                }
                operator = shop.operator_on("operator-0", proxy.clone());
            }
        }
    };
    if !proxy.has_sprung() {
        return Err(format!("{what}: the life had no such write: {:?}", proxy.writes()));
    }
    let revision = shop.revision(model).unwrap();
    let weights = shop.weights(&revision);
    let status = shop.cycle().await.unwrap().status.unwrap();
    let champion = status.champion.unwrap().revision;
    let expected = match model {
        "better" => ChallengerPhase::Promoted,
        "unfair" => ChallengerPhase::Rejected,
        _ => ChallengerPhase::RolledBack,
    };
    if phase != expected || (champion == revision) != (expected == ChallengerPhase::Promoted) {
        return Err(format!(
            "{what}: {phase:?}, champion {champion}, weights {weights:?}\n{}",
            shop.said()
        ));
    }
    let allowed: &[i64] = match expected {
        ChallengerPhase::Promoted => &[0, 5, 100],
        ChallengerPhase::Rejected => &[0],
        _ => &[0, 5, 0],
    };
    if weights != allowed {
        return Err(format!("{what}: weights {weights:?}"));
    }
    let kinds = shop.agreement(operator, &champion).await;
    let attested = kinds.iter().filter(|kind| *kind == "PROMOTE_ATTEST").count();
    if attested != usize::from(expected == ChallengerPhase::Promoted) {
        return Err(format!("{what}: {kinds:?}"));
    }
    Ok(())
}

async fn died(operator: &mut super::shop::Operator) {
    while !operator.has_ended() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn all(lives: Vec<(&'static str, Trap)>) {
    let cluster = cluster().await;
    let failures: Vec<String> = stream::iter(&lives)
        .map(|(model, trap)| killed_life(&cluster, model, trap))
        .buffer_unordered(AT_ONCE)
        .filter_map(|result| std::future::ready(result.err()))
        .collect()
        .await;
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        lives.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_survives_a_kill_after_any_write() {
    all(POINTS.into_iter().map(|trap| ("better", trap)).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_rollbacks_survive_a_kill_around_the_decision() {
    let lives = vec![
        ("unfair", trap("/ledgeranchors/penin-operator/status", 5)),
        ("unfair", trap("/httproutes", 4)),
        ("failing", trap("/ledgeranchors/penin-operator/status", 6)),
        ("failing", trap("/ledgeranchors/penin-operator/status", 7)),
        ("failing", trap("/httproutes", 6)),
        ("failing", trap("/deployments", 3)),
    ];
    all(lives).await;
}
