//! What the route is to say, as a value in which a mirror and a live weight cannot stand together.

use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use penin_api::v1alpha1::cycle::GatewayTraffic;
use penin_api::values::Percent;

use super::rollback::NoReadyChampion;

/// Everything that determines our route.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteIntent {
    /// Namespace of the cycle, the route and the Services.
    pub namespace: String,
    /// Name of the route.
    pub name: String,
    /// Name of the cycle.
    pub cycle: String,
    /// Controller reference to the cycle. Its uid decides whether a route is ours.
    pub owner: OwnerReference,
    /// Parents, host names and matches.
    pub gateway: GatewayTraffic,
    /// Port of every revision's Service.
    pub port: u16,
    /// Service of the champion.
    pub champion: String,
    /// Who gets which requests.
    pub split: Split,
    /// Secret of the warm rule; of no use while there is one backend.
    pub warm_token: WarmToken,
}

impl RouteIntent {
    /// The live weight of each Service that the route names, the champion first. They add up to 100.
    #[must_use]
    pub fn weights(&self) -> Vec<(&str, Percent)> {
        let champion = self.champion.as_str();
        let Some((other, weight)) = self.other() else {
            return vec![(champion, Percent::FULL)];
        };
        vec![(champion, weight.rest()), (other, weight)]
    }

    /// The second Service and its live weight, if there is one.
    pub(super) fn other(&self) -> Option<(&str, Percent)> {
        let (service, weight) = match &self.split {
            Split::ChampionOnly => return None,
            Split::Staged { challenger } | Split::Mirroring { challenger, .. } => (challenger, Percent::ZERO),
            Split::Live { challenger, weight } => (challenger, weight.percent()),
            Split::Watching { previous } => (previous, Percent::ZERO),
            Split::FailedOver { challenger, .. } => (challenger, Percent::FULL),
        };
        // A Service beside itself is one backend; two entries would only dilute the weights.
        (*service != self.champion).then_some((service.as_str(), weight))
    }

    /// The mirrored Service and its share, if mirroring is on.
    pub(super) fn mirror(&self) -> Option<(&str, MirrorPercent)> {
        match &self.split {
            Split::Mirroring { challenger, percent } if *challenger != self.champion => Some((challenger, *percent)),
            _ => None,
        }
    }
}

/// Who gets which requests. A challenger has live traffic in [`Split::Live`] and [`Split::FailedOver`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// The champion gets everything; the route names no other Service.
    ChampionOnly,
    /// The challenger is in the route at weight 0, ready to be reached.
    Staged {
        /// Service of the challenger.
        challenger: String,
    },
    /// The champion answers everything; a share of the requests is copied to the challenger.
    Mirroring {
        /// Service of the challenger.
        challenger: String,
        /// Share that is copied.
        percent: MirrorPercent,
    },
    /// The challenger answers a small share.
    Live {
        /// Service of the challenger.
        challenger: String,
        /// Its share.
        weight: LiveWeight,
    },
    /// The new champion answers everything; the former one is in the route at weight 0.
    Watching {
        /// Service of the former champion.
        previous: String,
    },
    /// The champion has no ready endpoint and the challenger, which had live traffic, has: it answers everything.
    FailedOver {
        /// Service of the challenger.
        challenger: String,
        /// Proof that [`super::rollback_target`] said so.
        because: NoReadyChampion,
    },
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChampionOnly => f.write_str("champion alone"),
            Self::Staged { challenger } => write!(f, "{challenger} at weight 0"),
            Self::Mirroring { challenger, percent } => {
                write!(f, "{} % mirrored to {challenger}", percent.get())
            }
            Self::Live { challenger, weight } => {
                write!(f, "{challenger} at weight {}", weight.get())
            }
            Self::Watching { previous } => write!(f, "new champion, {previous} at weight 0"),
            Self::FailedOver { challenger, .. } => {
                write!(f, "{challenger} in place of a champion without endpoints")
            }
        }
    }
}

/// Weight of a challenger in a canary step: 1 to 5 per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveWeight(u8);

impl LiveWeight {
    /// The largest weight that a challenger ever has before its promotion.
    pub const MAX: u8 = 5;

    /// A weight of `percent`, if it is from 1 to 5.
    #[must_use]
    pub const fn new(percent: u8) -> Option<Self> {
        if percent >= 1 && percent <= Self::MAX {
            Some(Self(percent))
        } else {
            None
        }
    }

    /// The weight in per cent.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    const fn percent(self) -> Percent {
        Percent::saturating(self.0)
    }
}

/// Share of requests that are copied: 1 to 100 per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MirrorPercent(u8);

impl MirrorPercent {
    /// A share of `percent`, if it is from 1 to 100.
    #[must_use]
    pub const fn new(percent: u8) -> Option<Self> {
        if percent >= 1 && percent <= 100 {
            Some(Self(percent))
        } else {
            None
        }
    }

    /// The share in per cent.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// 128 random bits that a request must carry to hit the warm rule. Whoever knows them reaches a challenger at
/// weight 0, so they stand in the route alone: never in status, events, logs or the ledger.
#[derive(Clone, PartialEq, Eq)]
pub struct WarmToken(String);

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a warm token is 32 lowercase hexadecimal digits")]
pub struct WarmTokenError;

impl WarmToken {
    /// Hexadecimal digits of a token.
    const LENGTH: usize = 32;

    /// The token's text: 32 lowercase hexadecimal digits.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WarmToken {
    type Err = WarmTokenError;

    fn from_str(text: &str) -> Result<Self, WarmTokenError> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == Self::LENGTH && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(WarmTokenError)
        }
    }
}

impl fmt::Debug for WarmToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WarmToken(..)")
    }
}

#[cfg(test)]
mod tests;
