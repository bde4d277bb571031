//! Changes of weight through a real gateway, judged by what a client sees and what pods count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod traffic;

use std::time::Duration;

use penin_api::values::Percent;
use penin_operator::adapters::traffic::{LiveWeight, MirrorPercent, ShareCounts, ShareVerdict, Split, assess};
use penin_tests::cluster::wait_until;
use tokio::time::sleep;
use traffic::{Lab, PATIENCE, Player};

fn staged(lab: &Lab) -> Split {
    Split::Staged {
        challenger: lab.new.clone(),
    }
}

fn live(lab: &Lab, percent: u8) -> Split {
    Split::Live {
        challenger: lab.new.clone(),
        weight: LiveWeight::new(percent).unwrap(),
    }
}

fn mirroring(lab: &Lab, percent: u8) -> Split {
    Split::Mirroring {
        challenger: lab.new.clone(),
        percent: MirrorPercent::new(percent).unwrap(),
    }
}

/// Up through the canary to the promotion, and back by a rollback: every kind of change once.
async fn up_and_down(lab: &mut Lab) {
    let (old, new) = (lab.old.clone(), lab.new.clone());
    for split in [staged(lab), mirroring(lab, 20), staged(lab), live(lab, 1), live(lab, 5)] {
        lab.to(split).await;
    }
    lab.move_to_champion(&new, Split::Watching { previous: old }).await;
    for split in [staged(lab), live(lab, 5), staged(lab), Split::ChampionOnly] {
        lab.to(split).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_weight_loses_a_request() {
    let mut lab = Lab::new("changes", true).await;
    let player = lab.play(&[], &[]).await;
    for _ in 0..10 {
        up_and_down(&mut lab).await;
    }
    let report = player.stop().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert!(report.succeeded > 5_000, "{} requests prove little", report.succeeded);
    assert_eq!(
        report.revisions.len(),
        2,
        "both revisions served: {:?}",
        report.revisions
    );
}

/// The test above proves something only if requests are lost without the warm rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_warm_rule_requests_are_lost() {
    let mut lab = Lab::new("cold", false).await;
    let player = lab.play(&[], &[]).await;
    for _ in 0..30 {
        up_and_down(&mut lab).await;
        if player.recorder.report().failed > 0 {
            break;
        }
    }
    let report = player.stop().await;
    assert!(
        report.failed > 0,
        "30 rounds and {} requests without a loss",
        report.succeeded
    );
}

/// A gateway accepts a route some time before its proxy serves it, on a busy machine seconds before. A wrong share stays
/// wrong however often it is measured.
async fn comes_to(lab: &Lab, player: &Player, weight: u8, enough: u64) {
    let share = format!("{weight} % to be served");
    wait_until(&share, PATIENCE, || async {
        match lab.share(player, weight, enough).await {
            ShareVerdict::Inside(_) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
}

/// Pods count live requests and copies alike: the difference of both sides is the copies' share.
async fn copies(lab: &Lab) -> ShareVerdict {
    let (live, copied) = (lab.served(&lab.old).await, lab.served(&lab.new).await);
    wait_until("enough requests", PATIENCE, || async {
        let counted = lab.served(&lab.old).await - live;
        if counted >= 2_000 { Ok(()) } else { Err(counted) }
    })
    .await
    .unwrap();
    let (live, copied) = (lab.served(&lab.old).await - live, lab.served(&lab.new).await - copied);
    assess(Percent::saturating(20), ShareCounts::new(copied, live).unwrap(), 1_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_served_share_is_the_written_one() {
    let mut lab = Lab::new("shares", true).await;
    let player = lab.play(&[], &[]).await;
    let (old, new) = (lab.old.clone(), lab.new.clone());
    lab.to(live(&lab, 1)).await;
    comes_to(&lab, &player, 1, 2_000).await;
    lab.to(live(&lab, 5)).await;
    comes_to(&lab, &player, 5, 2_000).await;
    let wrong = lab.share(&player, 1, 4_000).await;
    assert!(
        matches!(wrong, ShareVerdict::Outside(_)),
        "5 % served and 1 % written: {wrong:?}"
    );
    lab.move_to_champion(&new, Split::Watching { previous: old }).await;
    comes_to(&lab, &player, 100, 1_000).await;
    lab.to(staged(&lab)).await;
    comes_to(&lab, &player, 0, 1_000).await;
    let report = player.stop().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mirrored_requests_come_in_the_asked_share_and_end() {
    let mut lab = Lab::new("mirror", true).await;
    let player = lab.play(&[], &[]).await;
    lab.to(mirroring(&lab, 20)).await;
    wait_until("20 % to be copied", PATIENCE, || async {
        match copies(&lab).await {
            ShareVerdict::Inside(_) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();

    lab.to(staged(&lab)).await;
    wait_until("the mirror to be off", PATIENCE, || async {
        let before = lab.served(&lab.new).await;
        sleep(Duration::from_secs(2)).await;
        let copied = lab.served(&lab.new).await - before;
        if copied == 0 {
            Ok(())
        } else {
            Err(format!("{copied} copies in 2 s"))
        }
    })
    .await
    .unwrap();
    let report = player.stop().await;
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert!(
        !report.revisions.contains_key(&lab.new),
        "no client saw an answer of the challenger"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_client_sends_reaches_a_challenger_at_weight_zero() {
    let mut lab = Lab::new("probing", true).await;
    lab.to(staged(&lab)).await;
    let (new, services) = (lab.new.clone(), format!("{}.svc", lab.new));
    let zeros = "0".repeat(32);
    for headers in [
        vec![],
        vec![("x-penin-warm", "")],
        vec![("x-penin-warm", zeros.as_str())],
        vec![("x-penin-warm", "true"), ("x-penin-revision", new.as_str())],
        vec![
            ("x-forwarded-host", services.as_str()),
            ("x-envoy-decorator-operation", new.as_str()),
        ],
    ] {
        for hosts in [&[][..], &[new.as_str(), services.as_str(), "*", "localhost"]] {
            let player = lab.play(hosts, &headers).await;
            wait_until("a hundred requests", PATIENCE, || async {
                let sent = player.recorder.report().sent;
                if sent > 100 {
                    Ok(())
                } else {
                    Err(format!("{sent} sent"))
                }
            })
            .await
            .unwrap();
            let report = player.stop().await;
            assert!(
                !report.revisions.contains_key(&new),
                "{headers:?} {hosts:?}: {:?}",
                report.revisions
            );
        }
    }
    assert_eq!(lab.served(&new).await, 0, "the challenger's own count");
    assert!(lab.served(&lab.old).await > 0);
}
