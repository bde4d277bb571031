//! "Satisfied of declared" checks: the unit of the closure index and of global coherence.

use penin_engine::num::{Num, decimal};
use penin_engine::oci;
use serde::{Deserialize, Serialize};

/// Checks of one kind in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checks {
    /// Checks that were satisfied.
    #[serde(with = "decimal")]
    pub satisfied: u64,
    /// Checks that were declared.
    #[serde(with = "decimal")]
    pub declared: u64,
}

impl Checks {
    /// Counts one check.
    pub const fn record(&mut self, satisfied: bool) {
        self.declared = self.declared.saturating_add(1);
        if satisfied {
            self.satisfied = self.satisfied.saturating_add(1);
        }
    }

    /// The checks of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            satisfied: self.satisfied.saturating_add(other.satisfied),
            declared: self.declared.saturating_add(other.declared),
        }
    }

    /// Satisfied ÷ declared; missing when nothing was declared.
    #[must_use]
    pub fn value(self) -> Num {
        oci::from_checks(self.satisfied, self.declared)
    }
}

impl FromIterator<bool> for Checks {
    fn from_iter<T: IntoIterator<Item = bool>>(checks: T) -> Self {
        let mut all = Self::default();
        checks.into_iter().for_each(|check| all.record(check));
        all
    }
}

/// Checks that are made outside of the evidence: by the ledger, the route and the engine's bookkeeping. Each is counted
/// since the last decision; what nobody checked is missing, and a missing part makes its index 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutsideChecks {
    /// OCI memory: required ledger records that were read back with a matching hash.
    pub memory: Checks,
    /// OCI policy: configured sources of policy that answered (the gates that bind the cycle, and the configuration that
    /// they combine to).
    pub policy: Checks,
    /// Module meta: recent engine cycles that ran to their end.
    pub meta: Checks,
    /// Module router: parents of the route that accepted it as it is written.
    pub router: Checks,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_declared_is_missing() {
        assert_eq!(Checks::default().value(), Num::MISSING);
        assert_eq!(
            Checks {
                satisfied: 2,
                declared: 1
            }
            .value(),
            Num::MISSING
        );
        let checks: Checks = [true, false, true, true].into_iter().collect();
        assert_eq!(checks.value(), Num::new(0.75));
        assert_eq!(
            checks.and(checks),
            Checks {
                satisfied: 6,
                declared: 8
            }
        );
    }
}
