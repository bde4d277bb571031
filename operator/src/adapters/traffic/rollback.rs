//! Who gets the requests when a challenger is taken back.

/// Whether a challenger ever answered live requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Mirrored requests at most: what was refused in shadow never answers a user.
    NeverLive,
    /// It had live traffic, or it is a former champion.
    HadLive,
}

/// Where traffic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To the champion.
    Champion,
    /// To the challenger, because only it can answer.
    Challenger(NoReadyChampion),
    /// To the champion, although neither side can answer (`Stalled/NoHealthyBackend`).
    NoHealthyBackend,
}

/// Proof that the champion had no ready endpoint while the challenger had one. Only [`rollback_target`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoReadyChampion(());

/// The side that a rollback sends all traffic to. It needs no evidence and no ledger: counts of ready endpoints alone.
///
/// The champion wins whenever it can answer at all. A challenger that never had live traffic is no way out: to
/// show users what no gate has passed is worse than to show them nothing.
#[must_use]
pub const fn rollback_target(champion_ready: u32, challenger_ready: u32, challenger: Exposure) -> Target {
    match (champion_ready, challenger_ready, challenger) {
        (1.., _, _) => Target::Champion,
        (0, 1.., Exposure::HadLive) => Target::Challenger(NoReadyChampion(())),
        (0, _, _) => Target::NoHealthyBackend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_goes_to_whichever_side_can_answer() {
        use Exposure::{HadLive, NeverLive};
        let proof = NoReadyChampion(());
        let table = [
            (3, 3, HadLive, Target::Champion),
            (1, 9, HadLive, Target::Champion),
            (1, 0, HadLive, Target::Champion),
            (0, 1, HadLive, Target::Challenger(proof)),
            (0, 0, HadLive, Target::NoHealthyBackend),
            (1, 1, NeverLive, Target::Champion),
            (0, 9, NeverLive, Target::NoHealthyBackend),
            (0, 0, NeverLive, Target::NoHealthyBackend),
        ];
        for (champion, challenger, exposure, expected) in table {
            assert_eq!(rollback_target(champion, challenger, exposure), expected);
        }
    }
}
