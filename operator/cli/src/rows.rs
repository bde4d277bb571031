//! Objects as rows of a table, as `kubectl get` shows them: pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};
use penin_api::v1alpha1::{Challenger, ChallengerPhase, PeninCycle};

use crate::table::{columns, fitted, plain};

/// Which columns a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The namespace first.
    pub namespace: bool,
    /// All columns, and nothing cut.
    pub wide: bool,
    /// Titles in the first line.
    pub header: bool,
}

/// What has a row of its own.
pub trait Row: Resource {
    /// Titles of the columns, those of wide tables last.
    const TITLES: &'static [&'static str];
    /// How many of the titles are for wide tables alone.
    const ONLY_WIDE: usize;
    /// The cells, as many as there are titles.
    fn cells(&self, now: Timestamp) -> Vec<String>;
}

/// A table of objects that fits a terminal unless it is a wide one.
#[must_use]
pub fn table<K: Row>(objects: &[K], columns_of: Columns, now: Timestamp) -> String {
    let shown = if columns_of.wide {
        K::TITLES.len()
    } else {
        K::TITLES.len() - K::ONLY_WIDE
    };
    let mut titles: Vec<&str> = K::TITLES.iter().copied().take(shown).collect();
    let mut rows: Vec<Vec<String>> = objects
        .iter()
        .map(|object| {
            object
                .cells(now)
                .into_iter()
                .take(shown)
                .map(|cell| plain(&cell))
                .collect()
        })
        .collect();
    if columns_of.namespace {
        titles.insert(0, "NAMESPACE");
        for (row, object) in rows.iter_mut().zip(objects) {
            row.insert(0, object.namespace().unwrap_or_default());
        }
    }
    if !columns_of.header {
        titles.fill("");
    }
    if columns_of.wide {
        columns(&titles, &rows)
    } else {
        fitted(&titles, &rows)
    }
}

impl Row for PeninCycle {
    const TITLES: &'static [&'static str] = &[
        "NAME",
        "READY",
        "CHAMPION",
        "CHALLENGER",
        "STAGE",
        "WEIGHT",
        "AGE",
        "MEASURED",
        "CYCLE",
        "REASON",
    ];
    const ONLY_WIDE: usize = 3;

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let status = self.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        let active = status.challenger.as_ref();
        let weight = active.map(|active| &active.weight);
        vec![
            self.name_any(),
            word(ready.map(|condition| condition.status.clone())),
            word(status.champion.as_ref().map(|champion| champion.revision.clone())),
            word(active.map(|active| active.name.clone())),
            word(active.map(|active| format!("{:?}", active.stage))),
            word(weight.map(|weight| format!("{}%", weight.written.get()))),
            age(self.creation_timestamp().map(|time| time.0), now),
            word(
                weight
                    .and_then(|weight| weight.measured.as_ref())
                    .map(|measured| format!("{measured}%")),
            ),
            word(status.cycle.map(|cycle| cycle.to_string())),
            word(ready.map(|condition| condition.reason.clone())),
        ]
    }
}

impl Row for Challenger {
    const TITLES: &'static [&'static str] = &[
        "NAME", "CYCLE", "PHASE", "WEIGHT", "DECISION", "REASON", "AGE", "REVISION", "MESSAGE",
    ];
    const ONLY_WIDE: usize = 2;

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let status = self.status.clone().unwrap_or_default();
        vec![
            self.name_any(),
            self.spec.cycle_ref.name.clone(),
            format!("{:?}", status.phase.unwrap_or(ChallengerPhase::Pending)),
            word(status.share.as_ref().map(|share| format!("{}%", share.written.get()))),
            word(status.decision.as_ref().map(|record| format!("{:?}", record.decision))),
            word(reason(
                &status.conditions,
                status.decision.as_ref().map(|record| record.reason.as_str()),
            )),
            age(self.creation_timestamp().map(|time| time.0), now),
            word(status.revision),
            word(Some(status.message).filter(|message| !message.is_empty())),
        ]
    }
}

/// The engine's reason once it has decided, else the operator's.
fn reason(conditions: &[Condition], decided: Option<&str>) -> Option<String> {
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    decided
        .map(str::to_owned)
        .or_else(|| ready.map(|condition| condition.reason.clone()))
}

/// A dash for what is not there: an empty cell would shift the columns of scripts.
fn word(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}

/// How long ago something was.
fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or_else(|| "<unknown>".to_owned(), |since| ago(since, now))
}

/// A length of time in two units at most, as kubectl says it: 90s, 3m20s, 45m, 3h5m, 20h, 3d4h, 20d.
#[must_use]
pub fn ago(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match seconds {
        // A clock that is a little behind the server's is no reason for a negative age.
        ..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}
