//! The two arms of a league's observation.

use penin_engine::league::{Arm, Histogram, bucket};
use penin_engine::master::ChampionEvidence;
use penin_engine::num::Num;

use super::objective;
use super::sides::Sides;
use crate::scoring::derived::{Derived, Side};
use crate::scoring::{Latency, Measured};

impl Sides<'_> {
    pub(super) fn arms(&self, mean: Num, linf: &Derived, champion: Option<&ChampionEvidence>) -> (Arm, Arm) {
        let reference = champion.map(|kappa| objective(self.judgement.config, &kappa.metrics, kappa.cost));
        let mut challenger = arm(self.chi, Side::Candidate, linf.as_ref().ok());
        challenger.mean_delta_linf = mean;
        let champion = self.kappa.map(|kappa| {
            arm(
                kappa,
                Side::Reference,
                reference.as_ref().and_then(|linf| linf.as_ref().ok()),
            )
        });
        (challenger, champion.unwrap_or_default())
    }
}

fn arm(of: &Measured, side: Side, linf: Option<&f64>) -> Arm {
    // An unknown count stays 0: too few samples, which is Unknown. The guard is Unknown as well, for ρ needs both sides.
    let Ok(outcomes) = of.outcomes(side) else {
        return Arm {
            linf: Num::from(linf.copied()),
            ..Arm::default()
        };
    };
    let latency = of.traffic.get().and_then(|traffic| traffic.latency.get().cloned());
    Arm {
        successes: outcomes.successes,
        failures: outcomes.failures,
        aborts: outcomes.aborts,
        linf: Num::from(linf.copied()),
        mean_delta_linf: Num::MISSING,
        p95_latency_ms: Num::from(latency.as_ref().ok().and_then(|latency| latency.quantile_ms(950).ok())),
        latency: latency.map(|latency| histogram(&latency)).unwrap_or_default(),
    }
}

/// Latencies in the engine's buckets, each observation at the upper bound of its bucket.
fn histogram(latency: &Latency) -> Histogram {
    let mut histogram = Histogram::new();
    if latency.unbounded > 0 {
        return histogram;
    }
    for one in &latency.buckets {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and the engine clamps latencies of two weeks and more"
        )]
        histogram.add(bucket((one.upper * 1_000.0).ceil() as u64), one.count);
    }
    histogram
}
