//! All evidence of one judgement, measured at one pinned time.

use std::collections::BTreeMap;

use penin_api::values::Percent;
use penin_engine::event::{Digest, canonical, content_hash};
use serde::{Deserialize, Serialize};

use super::{
    ModelCounts, RatioCounts, Reading, ResourceUse, SourceRecord, TrafficCounts, Unknown, UnknownReason, Window,
};
use crate::adapters::traffic::{ShareCounts, ShareVerdict, agreeing_copies, assess};

/// Largest snapshot in bytes. One revision with ten pods, fifteen bins and ten groups needs some 0.3 MB.
pub const SNAPSHOT_LIMIT: usize = 4 * 1024 * 1024;

/// What was measured about one revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measured {
    /// Name of the revision.
    pub revision: String,
    /// Requests, over the traffic window.
    pub traffic: Reading<TrafficCounts>,
    /// Predictions and labels, over the quality window.
    pub model: Reading<ModelCounts>,
    /// Named ratios, over the traffic window.
    pub ratios: BTreeMap<String, Reading<RatioCounts>>,
    /// Use of resources at the end of the windows.
    pub resources: Reading<ResourceUse>,
}

impl Measured {
    /// A revision that no source was asked about.
    #[must_use]
    pub fn nothing(revision: &str) -> Self {
        Self {
            revision: revision.to_owned(),
            traffic: Reading::no_source("requests"),
            model: Reading::no_source("predictions"),
            ratios: BTreeMap::new(),
            resources: Reading::no_source("resources"),
        }
    }

    /// A named ratio.
    ///
    /// # Errors
    /// Why it is unknown; [`UnknownReason::NoSource`] when there is none of that name.
    pub fn ratio(&self, name: &str) -> Result<RatioCounts, Unknown> {
        match self.ratios.get(name) {
            Some(reading) => reading.get().copied(),
            None => Err(Unknown::new(
                UnknownReason::NoSource,
                format_args!("there is no evidence named {name:?}"),
            )),
        }
    }
}

/// Evidence of one judgement. It is frozen with the decision, so that the decision can be replayed from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// Window of errors, latency, share and ratios: the present stage.
    pub traffic_window: Window,
    /// Window of calibration, groups and accuracy: the life of the candidate.
    pub quality_window: Window,
    /// The revision that is judged.
    pub candidate: Measured,
    /// The revision that it is compared with, in the same windows; none when nothing else serves.
    pub reference: Option<Measured>,
    /// What was asked and what came back, for every value that is known.
    pub records: Vec<SourceRecord>,
}

impl Evidence {
    /// The same evidence with a reference that was frozen earlier: after a promotion the former champion has no traffic.
    #[must_use]
    pub fn with_reference(mut self, frozen: Measured) -> Self {
        self.reference = Some(frozen);
        self
    }

    /// The first reading, in the order of the inputs, of a source that gave nothing usable. What no source is named for is
    /// not missing from one.
    #[must_use]
    pub fn first_unknown(&self) -> Option<(String, &Unknown)> {
        let sides = [
            ("candidate", Some(&self.candidate)),
            ("reference", self.reference.as_ref()),
        ];
        let sides = sides.into_iter().filter_map(|(role, side)| Some((role, side?)));
        let mut readings = sides.flat_map(|(role, side)| {
            let fixed = [
                ("traffic", side.traffic.unknown()),
                ("model", side.model.unknown()),
                ("resources", side.resources.unknown()),
            ];
            let ratios = side.ratios.iter().map(|(name, ratio)| (name.as_str(), ratio.unknown()));
            fixed
                .into_iter()
                .chain(ratios)
                .map(move |(what, unknown)| (role, what, unknown))
        });
        readings.find_map(|(role, what, unknown)| {
            let unknown = unknown.filter(|unknown| unknown.reason != UnknownReason::NoSource)?;
            Some((format!("{what} of the {role}"), unknown))
        })
    }

    /// Requests that were sent to the candidate between the first and the last sample of the traffic window.
    ///
    /// # Errors
    /// Why they are unknown.
    pub fn candidate_requests_between_samples(&self) -> Result<u64, Unknown> {
        self.candidate
            .traffic
            .get()
            .map(|counts| counts.sent.max(counts.requests))
    }

    /// Requests that were copied to the candidate, when the traffic was read of the mirror. A mirror whose counters are gone
    /// while the same proxies still count the reference copies nothing: counters of one proxy come from one scrape, so
    /// those of the mirror cannot be old where the others are new. One proxy that still has the mirror keeps it from being
    /// gone: its counters are read, or the others' end makes them unknown.
    ///
    /// # Errors
    /// Why they are unknown.
    pub fn mirrored_requests(&self) -> Result<u64, Unknown> {
        let proxy_answers = self
            .reference
            .as_ref()
            .is_some_and(|reference| reference.traffic.known().is_some());
        match self.candidate.traffic.unknown().map(|unknown| unknown.reason) {
            Some(UnknownReason::Missing | UnknownReason::Stale) if proxy_answers => Ok(0),
            _ => self.candidate_requests_between_samples(),
        }
    }

    /// Whether the live share of the candidate agrees with `weight` per cent.
    ///
    /// # Errors
    /// Why the counts are unknown or no weight of a route.
    pub fn share(&self, weight: u8, min_requests: u64) -> Result<ShareVerdict, Unknown> {
        let candidate = self.candidate.traffic.get()?.requests;
        let reference = match &self.reference {
            Some(reference) => reference.traffic.get()?.requests,
            None => {
                return Err(Unknown::new(
                    UnknownReason::NoSource,
                    "nothing else serves, so there is no share",
                ));
            }
        };
        let total = super::exact::sum([candidate, reference])?;
        let inconsistent = |error: &dyn std::fmt::Display| Unknown::new(UnknownReason::Inconsistent, error);
        let counts = ShareCounts::new(candidate, total).map_err(|error| inconsistent(&error))?;
        let weight = Percent::try_from(weight).map_err(|error| Unknown::new(UnknownReason::InvalidQuery, error))?;
        Ok(assess(weight, counts, min_requests))
    }

    /// The same evidence, in which the candidate's requests are unknown unless they are copies of `percent` per cent of the
    /// reference's: a gateway that copies others than it was asked for shows the candidate another world than its users'.
    /// `lead_ms`: how long before the window copies may have been sent that were counted in it.
    #[must_use]
    pub fn with_verified_copies(mut self, percent: u8, lead_ms: u64) -> Self {
        if self.candidate.traffic.known().is_some()
            && let Err(unknown) = self.copies_agree(percent, lead_ms)
        {
            self.candidate.traffic = Reading::Unknown(unknown);
        }
        self
    }

    fn copies_agree(&self, percent: u8, lead_ms: u64) -> Result<(), Unknown> {
        let copies = self.candidate_requests_between_samples()?;
        let requests = match &self.reference {
            Some(reference) => reference.traffic.get()?.requests,
            None => {
                return Err(Unknown::new(
                    UnknownReason::NoSource,
                    "nobody serves what could be copied",
                ));
            }
        };
        let share = Percent::try_from(percent).map_err(|error| Unknown::new(UnknownReason::InvalidQuery, error))?;
        let window = self.traffic_window.end_ms.saturating_sub(self.traffic_window.start_ms);
        let edge = lead_ms.saturating_mul(1_000).checked_div(window).unwrap_or(u64::MAX);
        match agreeing_copies(share, requests, edge) {
            Ok(range) if range.contains(&copies) => Ok(()),
            Ok(range) => {
                let detail = format!(
                    "{copies} copies of {requests} requests arrived, {} to {} were expected of {percent} %",
                    range.start(),
                    range.end()
                );
                Err(Unknown::new(UnknownReason::Inconsistent, detail))
            }
            Err(need) => {
                let detail = format!("{requests} of {need} requests counted, too few to see their copies' share");
                Err(Unknown::new(UnknownReason::NotYetSampled, detail))
            }
        }
    }

    /// The bytes that are stored: JSON with the members in order of their names (RFC 8785).
    ///
    /// # Errors
    /// [`UnknownReason::TooLarge`] above [`SNAPSHOT_LIMIT`]: a decision whose evidence cannot be kept cannot be replayed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unknown> {
        let unreadable =
            |error: &dyn std::fmt::Debug| Unknown::new(UnknownReason::Malformed, format_args!("{error:?}"));
        let bytes = canonical(self).map_err(|error| unreadable(&error))?.into_bytes();
        if bytes.len() > SNAPSHOT_LIMIT {
            let detail = format!(
                "the evidence has {} bytes, at most {SNAPSHOT_LIMIT} are kept",
                bytes.len()
            );
            return Err(Unknown::new(UnknownReason::TooLarge, detail));
        }
        Ok(bytes)
    }

    /// SHA-256 of [`Evidence::to_bytes`].
    ///
    /// # Errors
    /// When there is no canonical form, which finite numbers exclude.
    pub fn digest(&self) -> Result<Digest, Unknown> {
        content_hash(self).map_err(|error| Unknown::new(UnknownReason::Malformed, format_args!("{error:?}")))
    }
}
