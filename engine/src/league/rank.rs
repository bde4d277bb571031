//! Order among waiting challengers, and the deterministic split of live requests.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::num::{Num, check, nonneg, unit};

/// Buckets of [`route`]: one basis point each.
pub const ROUTE_BUCKETS: u64 = 10_000;

/// A challenger that waits for its turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Contender {
    /// Name.
    pub name: String,
    /// L∞, [0, 1].
    pub linf: Num,
    /// ΔL∞, [−1, 1].
    pub delta_linf: Num,
    /// Cost, ≥ 0.
    pub cost: Num,
}

/// Challengers in order of promise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// Names, most promising first.
    pub ranked: Vec<String>,
    /// Names of challengers with unusable numbers, in the order given.
    pub ineligible: Vec<String>,
}

/// Ranks by L∞ descending, then by gain per cost descending, then by name (UTF-8 bytes).
#[must_use]
pub fn rank(contenders: &[Contender]) -> Ranking {
    let mut ranked = Vec::new();
    let mut ineligible = Vec::new();
    for contender in contenders {
        match merit(contender) {
            Some((linf, gain)) => ranked.push((linf, gain, contender.name.as_str())),
            None => ineligible.push(contender.name.clone()),
        }
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(b.2)));
    Ranking {
        ranked: ranked.into_iter().map(|(_, _, name)| name.to_owned()).collect(),
        ineligible,
    }
}

fn merit(contender: &Contender) -> Option<(f64, f64)> {
    let linf = unit(contender.linf).ok()?;
    let delta = check(contender.delta_linf, -1.0, 1.0, 0.0).ok()?;
    let cost = nonneg(contender.cost).ok()?;
    Some((linf, delta / f64::max(cost, 1e-9)))
}

/// Where one request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Bucket of the request, 0 to 9999.
    pub bucket: u64,
    /// Whether the challenger answers it.
    pub challenger: bool,
}

/// Routes a request by its id: the same id always goes the same way, and raising the share only moves requests to the challenger.
#[must_use]
pub fn route(request_id: &str, basis_points: u64) -> Route {
    let digest: [u8; 32] = Sha256::digest(request_id.as_bytes()).into();
    let first = digest
        .iter()
        .take(8)
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let bucket = first % ROUTE_BUCKETS;
    Route {
        bucket,
        challenger: bucket < basis_points,
    }
}
