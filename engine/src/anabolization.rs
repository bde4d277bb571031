//! Anabolization: how much faster the system may build up, as one advisory factor in [0.5, 2].
//!
//! ```text
//! clamp((((A·max(0, 1 + μ·ΔL∞))·CAOS⁺^ν)·SR^ξ)·OCI^ζ, 0.5, 2)     μ 0.5, ν 0.3, ξ 0.25, ζ 0.2
//! ```
//!
//! A (usually 1) and CAOS⁺ in [0, 1e6], ΔL∞ in [−1, 1], SR and OCI unit. With any issue 0.5.
//!
//! Source: specification §10.

use crate::num::{Checks, Num, Scored, clamp};

const LARGEST: f64 = 1e6;
const MU: f64 = 0.5;
const NU: f64 = 0.3;
const XI: f64 = 0.25;
const ZETA: f64 = 0.2;

/// The factor for A, ΔL∞, CAOS⁺, SR and OCI.
#[must_use]
pub fn factor(a: Num, delta_linf: Num, caos_plus: Num, sr: Num, oci: Num) -> Scored {
    let mut checks = Checks::new();
    let a = checks.within("a", a, 0.0, LARGEST);
    let delta_linf = checks.within("deltaLinf", delta_linf, -1.0, 1.0);
    let caos_plus = checks.within("caosPlus", caos_plus, 0.0, LARGEST);
    let sr = checks.unit("sr", sr);
    let oci = checks.unit("oci", oci);
    checks.score(0.5, || {
        let gain = a * f64::max(0.0, 1.0 + MU * delta_linf);
        clamp(
            ((gain * libm::pow(caos_plus, NU)) * libm::pow(sr, XI)) * libm::pow(oci, ZETA),
            0.5,
            2.0,
        )
    })
}
