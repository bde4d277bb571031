//! The closed sets of gate names and of the reasons that this crate gives.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! gate_names {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// Name of a gate or of a league check; also the value of the `gate` label of metrics. A closed set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum GateName {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl GateName {
            /// Text form, as it is recorded.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

gate_names! {
    /// CPU load of the candidate's node as a fraction.
    Cpu => "cpu",
    /// Memory load of the candidate's node as a fraction.
    Mem => "mem",
    /// Effective risk contraction factor, risk bound.
    RiskRho => "risk_rho",
    /// Predictive uncertainty.
    Uncertainty => "uncertainty",
    /// Effective risk contraction factor, guard bound.
    Rho => "rho",
    /// Expected calibration error.
    Ece => "ece",
    /// Ratio of selection rates.
    RhoBias => "rho_bias",
    /// Declared consent to the use of the data.
    Consent => "consent",
    /// Ecological budget kept.
    EcoOk => "eco_ok",
    /// One minus the difference of the configured group rate.
    Fairness => "fairness",
    /// Global coherence, guard bound.
    GuardCoherence => "guard_coherence",
    /// Relative increase of cost.
    CostIncrease => "cost_increase",
    /// Configured gain κ of CAOS⁺.
    Kappa => "kappa",
    /// CAOS⁺ score.
    CaosPlus => "caos_plus",
    /// Reflexive score SR-Ω∞.
    Sr => "sr",
    /// Absolute change of L∞ against the reference.
    DeltaLinf => "delta_linf",
    /// Status of the whole guard; also the guard check of the league.
    Guard => "guard",
    /// Global coherence, promotion bound.
    Coherence => "coherence",
    /// Organisational closure index.
    Oci => "oci",
    /// Agápe index.
    Agape => "agape",
    /// Status of the league assessment and of checks combined with it.
    League => "league",
    /// League: the live share reached the challenger as written.
    Traffic => "traffic",
    /// League: enough requests in this stage.
    Samples => "samples",
    /// League: error rate bound.
    ErrorRate => "error_rate",
    /// League: sequential test of error rates.
    Sequential => "sequential",
    /// League: 95th percentile of latency.
    P95Latency => "p95_latency",
    /// League: rank test of latency.
    LatencyShift => "latency_shift",
    /// League: mean gain of L∞ in this stage.
    MeanDeltaLinf => "mean_delta_linf",
    /// League: L∞ above the champion's.
    LinfChampion => "linf_champion",
}

impl GateName {
    /// The gates of a cycle, in trace order.
    pub const GATES: [Self; 21] = [
        Self::Cpu,
        Self::Mem,
        Self::RiskRho,
        Self::Uncertainty,
        Self::Rho,
        Self::Ece,
        Self::RhoBias,
        Self::Consent,
        Self::EcoOk,
        Self::Fairness,
        Self::GuardCoherence,
        Self::CostIncrease,
        Self::Kappa,
        Self::CaosPlus,
        Self::Sr,
        Self::DeltaLinf,
        Self::Guard,
        Self::Coherence,
        Self::Oci,
        Self::Agape,
        Self::League,
    ];

    /// The checks of a league assessment, in order.
    pub const LEAGUE_CHECKS: [Self; 9] = [
        Self::Guard,
        Self::Traffic,
        Self::Samples,
        Self::ErrorRate,
        Self::Sequential,
        Self::P95Latency,
        Self::LatencyShift,
        Self::MeanDeltaLinf,
        Self::LinfChampion,
    ];
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reasons that this crate itself gives to gates.
pub mod reason {
    /// The gate passed.
    pub const OK: &str = "ok";
    /// The value is under the bound.
    pub const BELOW_MINIMUM: &str = "below_minimum";
    /// The value is over the bound, or on it where the bound is strict.
    pub const ABOVE_MAXIMUM: &str = "above_maximum";
    /// A condition that must be true is false.
    pub const NOT_TRUE: &str = "not_true";
    /// No value was reported.
    pub const MISSING: &str = "missing";
    /// NaN or an infinity.
    pub const NON_FINITE: &str = "non_finite";
    /// Finite, but no possible value of this quantity.
    pub const OUT_OF_RANGE: &str = "out_of_range";
    /// Another evaluation refused, without saying why.
    pub const DENIED: &str = "denied";
    /// Another evaluation could not decide, without saying why.
    pub const UNKNOWN: &str = "unknown";
    /// The configuration waives this gate.
    pub const NOT_APPLICABLE: &str = "not_applicable";
    /// The reading has no usable age.
    pub const MISSING_AGE: &str = "missing_age";
    /// The reading is too old.
    pub const STALE: &str = "stale";
    /// Too few samples to decide.
    pub const INSUFFICIENT_DATA: &str = "insufficient_data";
    /// The challenger's error rate is certainly worse.
    pub const HARM_PROVEN: &str = "harm_proven";
    /// The challenger's error rate is not yet certainly as good.
    pub const NOT_PROVEN: &str = "not_proven";
    /// The challenger's latency is certainly worse.
    pub const SLOWER: &str = "slower";
    /// The value to compare with is unusable.
    pub const REFERENCE_INVALID: &str = "reference_invalid";
    /// The guard is undecided, so L∞ has no meaning.
    pub const GUARD_UNKNOWN: &str = "guard_unknown";
    /// There is nothing yet to compare with.
    pub const BASELINE: &str = "baseline";
    /// One of the points of a series is unusable.
    pub const SERIES_INVALID: &str = "series_invalid";
    /// A list without elements.
    pub const EMPTY: &str = "empty";

    /// The closed set of reasons that this crate gives to gates of a cycle or a league.
    pub const ALL: [&str; 21] = [
        OK,
        BELOW_MINIMUM,
        ABOVE_MAXIMUM,
        NOT_TRUE,
        MISSING,
        NON_FINITE,
        OUT_OF_RANGE,
        DENIED,
        UNKNOWN,
        NOT_APPLICABLE,
        MISSING_AGE,
        STALE,
        INSUFFICIENT_DATA,
        HARM_PROVEN,
        NOT_PROVEN,
        SLOWER,
        REFERENCE_INVALID,
        GUARD_UNKNOWN,
        BASELINE,
        SERIES_INVALID,
        EMPTY,
    ];
}
