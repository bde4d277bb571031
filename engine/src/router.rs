//! Cost-aware choice among the answers of model providers, under a daily budget.
//!
//! Money is integer micro-USD, so that sums are exact. The score of an answer is
//!
//! ```text
//! (qualityWeight·q + latencyWeight·l) + costWeight·c
//! q = 1 if there is content, else 0
//! l = min(1, latencyReferenceSeconds / max(0.01, latency))
//! c = max(0, 1 − cost / costReferenceMicroUsd)
//! ```
//!
//! An answer of unknown price or with an unusable latency has no score and cannot win. Every answer is booked, failed ones too; an answer
//! already paid for is returned even when it exhausts the budget, and the next call is denied. A day is ⌊Unix seconds / 86400⌋, supplied by
//! the caller. All sums saturate.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::config::RouterConfig;
use crate::num::{Num, decimal, nonneg};

/// Latencies below this count as this, seconds.
const LATENCY_FLOOR_SECONDS: f64 = 0.01;

/// Answer of one provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Response {
    /// Provider that was asked.
    pub provider: String,
    /// Whether it answered.
    pub ok: bool,
    /// Length of the answer.
    #[serde(with = "decimal")]
    pub content_length: u64,
    /// Time to the answer, seconds.
    pub latency_seconds: Num,
    /// Price, micro-USD; missing when it is not known.
    #[serde(with = "crate::num::optional_decimal")]
    pub cost_micro_usd: Option<u64>,
    /// Tokens used.
    #[serde(with = "decimal")]
    pub tokens: u64,
}

/// Score of an answer, [0, 1]; none when its price is unknown or its latency unusable.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "prices round to the nearest binary64 value by definition"
)]
pub fn score(config: &RouterConfig, response: &Response) -> Option<f64> {
    let cost = response.cost_micro_usd? as f64;
    let latency = nonneg(response.latency_seconds).ok()?;
    let q = if response.content_length > 0 { 1.0 } else { 0.0 };
    let l = f64::min(
        1.0,
        config.latency_reference_seconds / f64::max(LATENCY_FLOOR_SECONDS, latency),
    );
    let c = f64::max(0.0, 1.0 - cost / config.cost_reference_micro_usd as f64);
    Some((config.quality_weight * q + config.latency_weight * l) + config.cost_weight * c)
}

/// Why calls are allowed or not. The first that applies is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetReason {
    /// Not between one and `maxParallel` calls.
    TooManyCalls,
    /// The budget is 0.
    BudgetZero,
    /// The budget is spent.
    BudgetExhausted,
    /// The calls would probably exceed the budget.
    EstimateExceedsBudget,
    /// Allowed.
    Ok,
}

/// Whether calls may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// Whether they may.
    pub allowed: bool,
    /// Why.
    pub reason: BudgetReason,
}

/// Outcome of a round of calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settlement {
    /// Index of the best answer; null when none is usable.
    pub winner: Option<usize>,
    /// Score of each answer; null for failed or unscorable ones.
    pub scores: Vec<Option<f64>>,
    /// What this round cost, micro-USD.
    #[serde(with = "decimal")]
    pub booked_micro_usd: u64,
    /// Whether the day's spend has reached the soft limit.
    pub soft_limit_reached: bool,
    /// Whether the day's budget is spent.
    pub exhausted: bool,
}

/// Figures of the day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stats {
    /// UTC day.
    #[serde(with = "decimal")]
    pub day_index: u64,
    /// Spent today, micro-USD.
    #[serde(with = "decimal")]
    pub daily_spend_micro_usd: u64,
    /// Budget of a day, micro-USD.
    #[serde(with = "decimal")]
    pub daily_budget_micro_usd: u64,
    /// What is left, micro-USD, at least 0.
    #[serde(with = "decimal")]
    pub remaining_micro_usd: u64,
    /// Spent divided by budget; 1 for a budget of 0.
    pub used_ratio: f64,
    /// Tokens used today.
    #[serde(with = "decimal")]
    pub total_tokens: u64,
    /// Answers booked today.
    #[serde(with = "decimal")]
    pub request_count: u64,
    /// Mean price of an answer, micro-USD; 0 without any.
    pub avg_cost_micro_usd: f64,
    /// Whether the soft limit is reached.
    pub soft_limit_reached: bool,
    /// Whether the budget is spent.
    pub exhausted: bool,
}

/// Spend of a day. `Default` is day 0 with nothing spent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ledger {
    /// UTC day.
    #[serde(with = "decimal")]
    pub day_index: u64,
    /// Spent, micro-USD.
    #[serde(with = "decimal")]
    pub spent_micro_usd: u64,
    /// Tokens used.
    #[serde(with = "decimal")]
    pub tokens: u64,
    /// Answers booked.
    #[serde(with = "decimal")]
    pub requests: u64,
}

impl Ledger {
    /// A later day starts from nothing; an earlier one, from a clock that went back, changes nothing.
    fn turn_to(&mut self, day_index: u64) {
        if day_index > self.day_index {
            *self = Self {
                day_index,
                ..Self::default()
            };
        }
    }

    /// Whether `calls` calls may be made on this day.
    pub fn authorize(&mut self, config: &RouterConfig, day_index: u64, calls: u64) -> Authorization {
        self.turn_to(day_index);
        let budget = config.budget_daily_micro_usd;
        let estimate = u128::from(calls) * u128::from(config.estimate_micro_usd);
        let reason = if !(1..=config.max_parallel).contains(&calls) {
            BudgetReason::TooManyCalls
        } else if budget == 0 {
            BudgetReason::BudgetZero
        } else if self.spent_micro_usd >= budget {
            BudgetReason::BudgetExhausted
        } else if u128::from(self.spent_micro_usd) + estimate > u128::from(budget) {
            BudgetReason::EstimateExceedsBudget
        } else {
            BudgetReason::Ok
        };
        Authorization {
            allowed: reason == BudgetReason::Ok,
            reason,
        }
    }

    /// Books every answer and picks the best: highest score, then lower cost, lower latency, lower index.
    pub fn settle(&mut self, config: &RouterConfig, day_index: u64, responses: &[Response]) -> Settlement {
        self.turn_to(day_index);
        let mut booked = 0_u64;
        for response in responses {
            let cost = response.cost_micro_usd.unwrap_or(config.estimate_micro_usd);
            booked = booked.saturating_add(cost);
            self.tokens = self.tokens.saturating_add(response.tokens);
            self.requests = self.requests.saturating_add(1);
        }
        self.spent_micro_usd = self.spent_micro_usd.saturating_add(booked);
        let scores: Vec<Option<f64>> = responses
            .iter()
            .map(|response| score(config, response).filter(|_| response.ok))
            .collect();
        Settlement {
            winner: winner(responses, &scores),
            scores,
            booked_micro_usd: booked,
            soft_limit_reached: self.soft_limit_reached(config),
            exhausted: self.exhausted(config),
        }
    }

    /// Figures of the day.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "ratios for display")]
    pub fn stats(&self, config: &RouterConfig) -> Stats {
        let budget = config.budget_daily_micro_usd;
        let ratio = |part: u64, whole: u64, empty| {
            if whole == 0 { empty } else { part as f64 / whole as f64 }
        };
        Stats {
            day_index: self.day_index,
            daily_spend_micro_usd: self.spent_micro_usd,
            daily_budget_micro_usd: budget,
            remaining_micro_usd: budget.saturating_sub(self.spent_micro_usd),
            used_ratio: ratio(self.spent_micro_usd, budget, 1.0),
            total_tokens: self.tokens,
            request_count: self.requests,
            avg_cost_micro_usd: ratio(self.spent_micro_usd, self.requests, 0.0),
            soft_limit_reached: self.soft_limit_reached(config),
            exhausted: self.exhausted(config),
        }
    }

    fn soft_limit_reached(&self, config: &RouterConfig) -> bool {
        let limit = u128::from(config.budget_daily_micro_usd) * u128::from(config.soft_limit_percent);
        u128::from(self.spent_micro_usd) * 100 >= limit
    }

    const fn exhausted(&self, config: &RouterConfig) -> bool {
        self.spent_micro_usd >= config.budget_daily_micro_usd
    }
}

fn winner(responses: &[Response], scores: &[Option<f64>]) -> Option<usize> {
    let better = |a: &(f64, &Response), b: &(f64, &Response)| {
        let latency = |response: &Response| response.latency_seconds.get().unwrap_or(f64::INFINITY);
        b.0.total_cmp(&a.0)
            .then(a.1.cost_micro_usd.cmp(&b.1.cost_micro_usd))
            .then(latency(a.1).total_cmp(&latency(b.1)))
    };
    responses
        .iter()
        .zip(scores)
        .enumerate()
        .filter_map(|(index, (response, score))| Some((index, ((*score)?, response))))
        .reduce(|best, next| {
            if better(&next.1, &best.1) == Ordering::Less {
                next
            } else {
                best
            }
        })
        .map(|(index, _)| index)
}
