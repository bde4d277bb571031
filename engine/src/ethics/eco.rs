//! Carbon estimate of a window and the verdict on it.

use serde::{Deserialize, Serialize};

/// Estimated emission of a thousand tokens, kilograms of CO₂ equivalent.
pub const CARBON_KG_PER_THOUSAND_TOKENS: f64 = 0.0002;

/// Estimated emission and whether it keeps the budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Eco {
    /// Estimated emission in kilograms; null when the tokens are unknown.
    pub carbon_kg: Option<f64>,
    /// Verdict; null when it cannot be given.
    pub eco_ok: Option<bool>,
}

/// Judges the emission of `tokens` against `budget_kg`.
///
/// A reported refusal stands. With a budget the estimate decides, and unknown tokens leave it open; without one the report decides.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "token counts round to the nearest binary64 value by definition"
)]
pub fn eco(tokens: Option<u64>, reported: Option<bool>, budget_kg: Option<f64>) -> Eco {
    let carbon_kg = tokens.map(|tokens| tokens as f64 / 1000.0 * CARBON_KG_PER_THOUSAND_TOKENS);
    let eco_ok = match (reported, budget_kg) {
        (Some(false), _) => Some(false),
        (_, Some(budget)) => carbon_kg.map(|carbon| carbon <= budget),
        (reported, None) => reported,
    };
    Eco { carbon_kg, eco_ok }
}
