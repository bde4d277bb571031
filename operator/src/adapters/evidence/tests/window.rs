//! Every way in which a series can be seen, or not, around a window from 100 s to 200 s.

use proptest::prelude::*;

use crate::adapters::evidence::answer::{Instant, Labels, Sample, Series};
use crate::adapters::evidence::labels::NAME;
use crate::adapters::evidence::promql::COUNTER_LABEL;
use crate::adapters::evidence::window::{
    Beginning, Deltas, Readings, Rules, Vanished, began_inside, difference, ended_inside,
};
use crate::scoring::{UnknownReason, Window};

const START: u64 = 100_000;
const END: u64 = 200_000;

fn labels(pod: &str) -> Labels {
    [(NAME, "m_total"), ("pod", pod)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn series(pod: &str, samples: &[(u64, &str)]) -> Series {
    let samples = samples.iter().map(|&(second, text)| Sample {
        at_ms: second * 1_000,
        text: text.to_owned(),
    });
    Series {
        labels: labels(pod),
        samples: samples.collect(),
        histograms: vec![],
    }
}

fn resets(pod: &str, count: &str) -> Instant {
    let labels = [(COUNTER_LABEL, "m_total"), ("pod", pod)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Instant {
        labels: labels.into(),
        text: count.to_owned(),
    }
}

fn rules(vanished: Vanished, beginning: Beginning) -> Rules {
    let window = Window::new(START, END).unwrap();
    Rules {
        window,
        max_age_ms: 10_000,
        vanished,
        beginning,
        dimensions: vec![],
    }
}

/// One pod that was there all the time and counted from 7 to 20.
fn steady(pod: &str) -> Readings {
    Readings {
        around_start: vec![series(pod, &[(95, "5"), (101, "7"), (106, "8")])],
        before_end: vec![series(pod, &[(192, "18"), (197, "20")])],
        resets: vec![resets(pod, "0")],
        ..Readings::default()
    }
}

fn joined(parts: impl IntoIterator<Item = Readings>) -> Readings {
    let mut all = Readings::default();
    for part in parts {
        all.around_start.extend(part.around_start);
        all.before_end.extend(part.before_end);
        all.resets.extend(part.resets);
        all.long_before.extend(part.long_before);
        all.vanished.extend(part.vanished);
    }
    all
}

fn total(readings: &Readings, vanished: Vanished, beginning: Beginning) -> Result<u64, UnknownReason> {
    let deltas = difference(readings, &rules(vanished, beginning)).map_err(|unknown| unknown.reason)?;
    deltas.required("m_total").map_err(|unknown| unknown.reason)
}

#[test]
fn a_window_is_counted_from_its_first_sample_to_its_last() {
    let deltas = difference(&steady("a"), &rules(Vanished::Refuse, Beginning::SeenWith)).unwrap();
    let record = &deltas.records()[0];
    assert_eq!(
        record.increase, 13,
        "not 15: the requests before 101 s are not of the window"
    );
    assert_eq!(
        (record.start.as_ref().unwrap().at_ms, record.end.at_ms),
        (101_000, 197_000)
    );
}

#[test]
fn each_fate_of_a_series_has_its_verdict() {
    use UnknownReason as R;
    let a = || steady("a");
    let only = |around_start: Vec<Series>, before_end: Vec<Series>, resets: Vec<Instant>| Readings {
        around_start,
        before_end,
        resets,
        ..Readings::default()
    };
    let begun = || only(vec![], vec![series("b", &[(196, "4")])], vec![resets("b", "0")]);
    let known_earlier = || Readings {
        long_before: vec![labels("b")],
        ..begun()
    };
    let gone = || {
        only(
            vec![series("b", &[(95, "1"), (101, "2")])],
            vec![],
            vec![resets("b", "0")],
        )
    };
    let gone_read = || Readings {
        vanished: vec![series("b", &[(101, "2"), (150, "9")])],
        ..gone()
    };
    let brief = || Readings {
        vanished: vec![series("b", &[(130, "3")])],
        ..only(vec![], vec![], vec![resets("b", "0")])
    };
    let over = || only(vec![series("b", &[(92, "1")])], vec![], vec![]);
    let with = |text: &'static str| {
        only(
            vec![series("a", &[(95, "5"), (101, "7")])],
            vec![series("a", &[(197, text)])],
            vec![resets("a", "0")],
        )
    };
    // Readings, what they give for the candidate, what they give for the reference.
    type Case = (&'static str, Readings, Result<u64, R>, Result<u64, R>);
    let cases: Vec<Case> = vec![
        ("steady", a(), Ok(13), Ok(13)),
        ("two pods", joined([a(), steady("b")]), Ok(26), Ok(26)),
        (
            "no series at all",
            Readings::default(),
            Err(R::Missing),
            Err(R::Missing),
        ),
        ("begun inside, beside another", joined([a(), begun()]), Ok(17), Ok(17)),
        ("begun inside, alone", begun(), Err(R::StaleStart), Err(R::StaleStart)),
        (
            "begun inside, but known earlier",
            joined([a(), known_earlier()]),
            Err(R::StaleStart),
            Err(R::StaleStart),
        ),
        (
            "gone",
            joined([a(), gone()]),
            Err(R::SeriesVanished),
            Err(R::SeriesVanished),
        ),
        (
            "gone, last sample read",
            joined([a(), gone_read()]),
            Err(R::SeriesVanished),
            Ok(20),
        ),
        ("came and went", joined([a(), brief()]), Err(R::SeriesVanished), Ok(16)),
        (
            "over before the window",
            joined([a(), over()]),
            Err(R::SeriesVanished),
            Ok(13),
        ),
        ("nothing near the end", gone_read(), Err(R::Stale), Err(R::Stale)),
        (
            "reset inside",
            Readings {
                resets: vec![resets("a", "1")],
                ..a()
            },
            Err(R::CounterReset),
            Err(R::CounterReset),
        ),
        (
            "nobody looked for resets",
            Readings { resets: vec![], ..a() },
            Err(R::Inconsistent),
            Err(R::Inconsistent),
        ),
        (
            "nobody looked at one of two",
            Readings {
                resets: vec![resets("a", "0")],
                ..joined([a(), steady("b")])
            },
            Err(R::Inconsistent),
            Err(R::Inconsistent),
        ),
        ("fell", with("6"), Err(R::CounterReset), Err(R::CounterReset)),
        ("equal", with("7"), Ok(0), Ok(0)),
        ("fraction", with("7.5"), Err(R::NotAnInteger), Err(R::NotAnInteger)),
        ("NaN", with("NaN"), Err(R::NonFinite), Err(R::NonFinite)),
        ("infinite", with("+Inf"), Err(R::NonFinite), Err(R::NonFinite)),
        (
            "too large",
            with("9007199254740992"),
            Err(R::NotAnInteger),
            Err(R::NotAnInteger),
        ),
        ("text", with("x"), Err(R::Malformed), Err(R::Malformed)),
        (
            "stale",
            only(
                vec![series("a", &[(95, "5"), (101, "7")])],
                vec![series("a", &[(189, "9")])],
                vec![],
            ),
            Err(R::Stale),
            Err(R::Stale),
        ),
        (
            "not read after the start",
            only(
                vec![series("a", &[(95, "5")])],
                vec![series("a", &[(197, "9")])],
                vec![],
            ),
            Err(R::StaleStart),
            Err(R::StaleStart),
        ),
        (
            "one sample since the start",
            only(
                vec![series("a", &[(95, "5"), (197, "9")])],
                vec![series("a", &[(197, "9")])],
                vec![],
            ),
            Err(R::NotYetSampled),
            Err(R::NotYetSampled),
        ),
        (
            "no sample since the start",
            Readings {
                around_start: vec![series("a", &[(99, "5")])],
                before_end: vec![series("a", &[(99, "5")])],
                ..Readings::default()
            },
            Err(R::Stale),
            Err(R::Stale),
        ),
        (
            "resets that are no number",
            Readings {
                resets: vec![resets("a", "NaN")],
                ..a()
            },
            Err(R::NonFinite),
            Err(R::NonFinite),
        ),
        (
            "an empty series",
            only(vec![], vec![series("a", &[])], vec![]),
            Err(R::StaleStart),
            Err(R::StaleStart),
        ),
    ];
    for (name, readings, candidate, reference) in cases {
        assert_eq!(
            total(&readings, Vanished::Refuse, Beginning::SeenWith),
            candidate,
            "{name}"
        );
        assert_eq!(
            total(&readings, Vanished::LastSample, Beginning::SeenWith),
            reference,
            "{name}, reference"
        );
    }
    assert_eq!(total(&begun(), Vanished::Refuse, Beginning::SourceSeen), Ok(4));
    assert_eq!(
        total(&known_earlier(), Vanished::Refuse, Beginning::SourceSeen),
        Err(R::StaleStart)
    );
    assert_eq!(
        total(&known_earlier(), Vanished::Refuse, Beginning::RevisionBorn),
        Ok(4)
    );
}

#[test]
fn a_pod_scraped_twice_is_ambiguous() {
    let mut twice = joined([steady("a"), steady("a")]);
    for (index, series) in twice.around_start.iter_mut().chain(&mut twice.before_end).enumerate() {
        series.labels.insert("job".to_owned(), format!("job{}", index % 2));
    }
    for (index, instant) in twice.resets.iter_mut().enumerate() {
        instant.labels.insert("job".to_owned(), format!("job{index}"));
    }
    assert_eq!(
        total(&twice, Vanished::Refuse, Beginning::SeenWith),
        Err(UnknownReason::Ambiguous)
    );
}

#[test]
fn further_questions_are_asked_only_when_series_began_or_ended() {
    assert!(!began_inside(&steady("a"), START));
    assert!(ended_inside(&steady("a")).is_empty());
    let begun = Readings {
        before_end: vec![series("b", &[(196, "4")])],
        ..steady("a")
    };
    assert!(began_inside(&begun, START));
    let ended = Readings {
        resets: vec![resets("a", "0"), resets("b", "0")],
        ..steady("a")
    };
    assert_eq!(ended_inside(&ended), [labels("b")]);
    assert!(
        began_inside(&ended, START),
        "a series that is only in the list of resets began and ended inside"
    );
}

/// A pod's true counter, second by second, and how it was scraped.
#[derive(Clone, Debug)]
struct Truth {
    /// Increments at each second from 0 to 209.
    steps: Vec<u64>,
    /// Seconds between scrapes.
    interval: usize,
    /// Second of the first and of the last scrape.
    alive: (usize, usize),
}

impl Truth {
    fn value(&self, second: usize) -> u64 {
        self.steps.iter().take(second + 1).sum()
    }

    fn scrapes(&self, from: usize, to: usize) -> Vec<(u64, String)> {
        let seconds = (self.alive.0..=self.alive.1).step_by(self.interval);
        seconds
            .filter(|s| *s > from && *s <= to)
            .map(|s| (s as u64, self.value(s).to_string()))
            .collect()
    }

    fn in_range(&self, pod: &str, from: usize, to: usize) -> Option<Series> {
        let samples = self.scrapes(from, to);
        let samples: Vec<_> = samples.iter().map(|(second, text)| (*second, text.as_str())).collect();
        (!samples.is_empty()).then(|| series(pod, &samples))
    }

    fn readings(&self, pod: &str) -> Readings {
        let (start, end) = (100, 200);
        let present = self.in_range(pod, 0, start);
        Readings {
            around_start: self.in_range(pod, start - 10, start + 10).into_iter().collect(),
            before_end: self.in_range(pod, end - 10, end).into_iter().collect(),
            resets: self
                .in_range(pod, start, end)
                .map(|_| resets(pod, "0"))
                .into_iter()
                .collect(),
            long_before: present.map(|series| series.labels).into_iter().collect(),
            vanished: vec![],
        }
    }
}

fn truth() -> impl Strategy<Value = Truth> {
    (
        prop::collection::vec(0_u64..5, 210),
        1_usize..12,
        0_usize..210,
        0_usize..210,
    )
        .prop_map(|(steps, interval, a, b)| {
            let alive = (a.min(b), a.max(b));
            // A pod counts only while it lives.
            let steps = steps
                .into_iter()
                .enumerate()
                .map(|(second, step)| if second < alive.0 { 0 } else { step });
            Truth {
                steps: steps.collect(),
                interval,
                alive,
            }
        })
}

fn known(readings: &Readings) -> Option<Deltas> {
    difference(readings, &rules(Vanished::Refuse, Beginning::SeenWith)).ok()
}

proptest! {
    /// What is Known was counted inside the window, and leaves out at most what happened next to its ends.
    #[test]
    fn known_counts_are_true(pods in prop::collection::vec(truth(), 1..4)) {
        let readings = joined(pods.iter().enumerate().map(|(index, pod)| pod.readings(&format!("p{index}"))));
        if let Some(deltas) = known(&readings) {
            for (index, pod) in pods.iter().enumerate() {
                let name = format!("p{index}");
                let found = deltas.counters.iter().find(|delta| delta.labels["pod"] == name);
                let whole = pod.value(200) - pod.value(100);
                let inner = pod.value(190).saturating_sub(pod.value(110));
                match found {
                    Some(delta) => {
                        prop_assert!(delta.increase <= whole, "{} of {whole}", delta.increase);
                        prop_assert!(delta.increase >= inner, "{} below {inner}", delta.increase);
                    }
                    None => prop_assert!(pod.scrapes(100, 200).is_empty(), "{name} was scraped inside and is not counted"),
                }
            }
        }
    }

    /// Taking samples away never changes a Known count into another one that is larger.
    #[test]
    fn lost_samples_never_add(pods in prop::collection::vec(truth(), 1..3), part in 0_usize..3, index in 0_usize..8) {
        let readings = joined(pods.iter().enumerate().map(|(index, pod)| pod.readings(&format!("p{index}"))));
        let mut less = readings.clone();
        let list = match part {
            0 => &mut less.around_start,
            1 => &mut less.before_end,
            _ => { less.resets.pop(); &mut less.before_end }
        };
        if part < 2 && let Some(series) = list.first_mut() {
            if index < series.samples.len() { series.samples.remove(index); }
            if series.samples.is_empty() { list.remove(0); }
        }
        let sum = |deltas: &Deltas| deltas.counters.iter().map(|delta| delta.increase).sum::<u64>();
        if let (Some(before), Some(after)) = (known(&readings), known(&less)) {
            let truth: u64 = pods.iter().map(|pod| pod.value(200) - pod.value(100)).sum();
            prop_assert!(sum(&after) <= truth, "{} of {truth}", sum(&after));
            prop_assert!(sum(&before) <= truth);
        }
    }
}

#[test]
fn what_is_made_anew_under_an_old_name_is_counted_from_its_first_sample() {
    let anew = |around_start: &[(u64, &str)]| Readings {
        around_start: vec![series("b", around_start)],
        before_end: vec![series("b", &[(197, "9")])],
        resets: vec![resets("b", "0")],
        long_before: vec![labels("b")],
        ..Readings::default()
    };
    let count = |readings: &Readings, beginning| total(readings, Vanished::Refuse, beginning);
    let soon = anew(&[(102, "2"), (107, "3")]);
    assert_eq!(
        count(&soon, Beginning::MadeAnew),
        Ok(7),
        "2 may be what the earlier one had"
    );
    assert_eq!(count(&soon, Beginning::SourceSeen), Err(UnknownReason::StaleStart));
    let mut silent = anew(&[]);
    silent.around_start.clear();
    assert_eq!(
        count(&silent, Beginning::MadeAnew),
        Err(UnknownReason::StaleStart),
        "an answer without its beginning proves nothing"
    );
    let mut first = soon;
    first.long_before.clear();
    assert_eq!(count(&first, Beginning::MadeAnew), Ok(9), "nothing had the name before");
}
