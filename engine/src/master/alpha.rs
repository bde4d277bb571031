//! Step factor of the Master Equation.

use crate::num::{Checks, Num, Scored, clamp, logistic};

/// Step factor α in [0, 1]; 0 when anything is unusable.
///
/// ```text
/// α = (((α₀·σ(2·(CAOS⁺−1)))·σ(5·(SR−0.8)))·σ(5·(G−0.7)))·σ(5·(OCI−0.9))        σ(y) = 1/(1+e^(−y))
/// ```
///
/// α₀ is in [0.01, 1], CAOS⁺ ≥ 0, the others are unit values.
#[must_use]
pub fn alpha(alpha0: Num, caos_plus: Num, sr: Num, coherence: Num, oci: Num) -> Scored {
    let mut checks = Checks::new();
    let alpha0 = checks.within("alpha0", alpha0, 0.01, 1.0);
    let caos_plus = checks.nonneg("caosPlus", caos_plus);
    let sr = checks.unit("sr", sr);
    let coherence = checks.unit("coherence", coherence);
    let oci = checks.unit("oci", oci);
    checks.score(0.0, || {
        clamp(
            (((alpha0 * logistic(2.0 * (caos_plus - 1.0))) * logistic(5.0 * (sr - 0.8)))
                * logistic(5.0 * (coherence - 0.7)))
                * logistic(5.0 * (oci - 0.9)),
            0.0,
            1.0,
        )
    })
}
