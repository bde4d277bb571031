//! Properties of the router and its budget over arbitrary answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod effort;
mod support;

use effort::effort;
use penin_engine::num::Num;
use penin_engine::router::{BudgetReason, Ledger, Response, score};
use proptest::prelude::*;
use serde_json::json;
use support::{default_config, evidence};

proptest! {
    #![proptest_config(effort(256))]

    #[test]
    fn money_is_booked_exactly(
        rounds in prop::collection::vec((0_u64..3, prop::collection::vec((any::<bool>(), prop::option::of(0_u64..2_000_000), 0_u64..100, evidence()), 0..5)), 0..20),
    ) {
        let config = default_config();
        let mut ledger = Ledger::default();
        let mut spent = 0;
        let mut day = 0;
        for (days, answers) in rounds {
            if days > 0 {
                day += days;
                spent = 0;
            }
            let calls = answers.len() as u64;
            let authorization = ledger.authorize(&config.router, day, calls);
            prop_assert_eq!(authorization.allowed, authorization.reason == BudgetReason::Ok);
            prop_assert!(!authorization.allowed || spent < 5_000_000);
            let responses: Vec<Response> = answers
                .into_iter()
                .map(|(ok, cost_micro_usd, tokens, latency_seconds)| Response { ok, cost_micro_usd, tokens, latency_seconds, content_length: tokens, ..Response::default() })
                .collect();
            let costs = responses.iter().map(|response| response.cost_micro_usd.unwrap_or(10_000)).sum::<u64>();
            spent += costs;
            let settlement = ledger.settle(&config.router, day, &responses);
            prop_assert_eq!(settlement.booked_micro_usd, costs);
            let stats = ledger.stats(&config.router);
            prop_assert_eq!(stats.daily_spend_micro_usd, spent);
            prop_assert_eq!(stats.exhausted, spent >= 5_000_000);
            prop_assert!(stats.used_ratio.is_finite() && stats.avg_cost_micro_usd.is_finite());
            if let Some(winner) = settlement.winner {
                let best = settlement.scores[winner].unwrap();
                prop_assert!(responses[winner].ok && settlement.scores.iter().flatten().all(|score| *score <= best));
                prop_assert!((0.0..=1.0).contains(&best));
            } else {
                prop_assert!(settlement.scores.iter().all(Option::is_none));
            }
            // A clock that goes back neither forgets nor forgives.
            let earlier = ledger.clone();
            ledger.authorize(&config.router, day.saturating_sub(1), 1);
            prop_assert_eq!(&ledger, &earlier);
        }
        let zero = support::config(&json!({"router": {"budgetDailyMicroUsd": "0"}}));
        prop_assert_eq!(Ledger::default().authorize(&zero.router, day, 1).reason, BudgetReason::BudgetZero);
    }
}

#[test]
fn ties_between_answers_go_to_the_cheaper_then_faster_then_first() {
    let config = support::config(&json!({"router": {"qualityWeight": 1, "latencyWeight": 0, "costWeight": 0}}));
    let answer = |cost, latency| Response {
        ok: true,
        content_length: 1,
        latency_seconds: Num::new(latency),
        cost_micro_usd: Some(cost),
        ..Response::default()
    };
    let winner = |answers: &[Response]| Ledger::default().settle(&config.router, 1, answers).winner;
    assert_eq!(winner(&[answer(5, 0.1), answer(4, 0.9)]), Some(1));
    assert_eq!(winner(&[answer(5, 0.9), answer(5, 0.1)]), Some(1));
    assert_eq!(winner(&[answer(5, 0.1), answer(5, 0.1)]), Some(0));
    assert_eq!(winner(&[]), None);
    assert_eq!(
        score(
            &config.router,
            &Response {
                latency_seconds: Num::new(-1.0),
                ..answer(1, 0.0)
            }
        ),
        None
    );
    let saturated = Ledger {
        spent_micro_usd: u64::MAX,
        ..Ledger::default()
    };
    let mut ledger = saturated;
    ledger.settle(&config.router, 0, &[answer(u64::MAX, 0.1)]);
    assert_eq!(ledger.spent_micro_usd, u64::MAX);
}
