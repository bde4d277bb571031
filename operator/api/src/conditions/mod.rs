//! Condition types and reasons, and the rules for changing conditions.
//!
//! The set of both is closed and part of the API: tools match on them, so none is ever renamed.
//! Conditions follow `metav1.Condition`; `Ready`, `Reconciling` and `Stalled` follow
//! [kstatus](https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus), by which Flux,
//! Helm and `kubectl wait` tell whether an object is current, in progress or failed.

mod names;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

pub use names::{ConditionStatus, ConditionType, Reason};

/// Longest message that [`set`] writes, in bytes; the API's own limit is 32,768.
pub const MESSAGE_MAX_LENGTH: usize = 2_048;

/// A condition to be set: everything but the time of its last transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub type_: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// What a person should know and do; cut to [`MESSAGE_MAX_LENGTH`] bytes.
    pub message: String,
}

impl Finding {
    /// A finding in one line.
    #[must_use]
    pub fn new(
        type_: ConditionType,
        status: impl Into<ConditionStatus>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status: status.into(),
            reason,
            message: message.into(),
        }
    }
}

/// Sets a condition in place, or appends it.
///
/// `observed_generation` is the `metadata.generation` of the object that was read. The time of the
/// last transition changes only when the status does, and is kept to the second, as on the wire.
pub fn set(conditions: &mut Vec<Condition>, finding: Finding, observed_generation: i64, now: Timestamp) {
    let mut next = Condition {
        type_: finding.type_.as_str().to_owned(),
        status: finding.status.as_str().to_owned(),
        reason: finding.reason.as_str().to_owned(),
        message: cut(finding.message),
        observed_generation: Some(observed_generation),
        last_transition_time: Time(whole_seconds(now)),
    };
    match conditions.iter_mut().find(|condition| condition.type_ == next.type_) {
        Some(known) => {
            if known.status == next.status {
                next.last_transition_time = known.last_transition_time.clone();
            }
            *known = next;
        }
        None => conditions.push(next),
    }
}

/// The condition of a type.
#[must_use]
pub fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

/// Whether a condition is `True` and was found on this generation of the object.
///
/// A condition that is absent, `Unknown` or about an older generation does not hold.
#[must_use]
pub fn holds(conditions: &[Condition], type_: ConditionType, generation: i64) -> bool {
    find(conditions, type_).is_some_and(|condition| {
        condition.status == ConditionStatus::True.as_str()
            && condition
                .observed_generation
                .is_some_and(|observed| observed >= generation)
    })
}

/// Whether two lists say the same, in the same order, whatever the times of transition are.
#[must_use]
pub fn equal_ignoring_time(left: &[Condition], right: &[Condition]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            left.type_ == right.type_
                && left.status == right.status
                && left.reason == right.reason
                && left.message == right.message
                && left.observed_generation == right.observed_generation
        })
}

/// What the operator is doing about an object, as kstatus distinguishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Nothing is left to do.
    Settled,
    /// At work.
    Reconciling,
    /// Stuck until a person changes something.
    Stalled,
}

/// Sets `Ready`, `Reconciling` and `Stalled` together, so that the last two are never both `True`.
pub fn set_summary(
    conditions: &mut Vec<Condition>,
    ready: ConditionStatus,
    activity: Activity,
    reason: Reason,
    message: &str,
    observed_generation: i64,
    now: Timestamp,
) {
    let summary = [
        (ConditionType::Ready, ready),
        (ConditionType::Reconciling, (activity == Activity::Reconciling).into()),
        (ConditionType::Stalled, (activity == Activity::Stalled).into()),
    ];
    for (type_, status) in summary {
        set(
            conditions,
            Finding::new(type_, status, reason, message),
            observed_generation,
            now,
        );
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    // Inside the range of a timestamp, cutting the fraction cannot leave it.
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn cut(mut message: String) -> String {
    const ELLIPSIS: &str = "…";
    if message.len() > MESSAGE_MAX_LENGTH {
        let mut end = MESSAGE_MAX_LENGTH - ELLIPSIS.len();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str(ELLIPSIS);
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ready(status: ConditionStatus, message: &str) -> Finding {
        Finding::new(ConditionType::Ready, status, Reason::Progressing, message)
    }

    #[test]
    fn the_transition_time_changes_only_with_the_status() {
        let mut conditions = Vec::new();
        set(&mut conditions, ready(ConditionStatus::False, "a"), 1, at(10));
        set(&mut conditions, ready(ConditionStatus::False, "b"), 2, at(20));
        let first = find(&conditions, ConditionType::Ready).unwrap();
        assert_eq!(
            (first.last_transition_time.0, first.observed_generation),
            (at(10), Some(2))
        );
        assert_eq!(first.message, "b");
        set(&mut conditions, ready(ConditionStatus::True, "b"), 2, at(30));
        assert_eq!(
            find(&conditions, ConditionType::Ready).unwrap().last_transition_time.0,
            at(30)
        );
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn a_condition_holds_only_when_true_on_this_generation() {
        let mut conditions = Vec::new();
        assert!(!holds(&conditions, ConditionType::Ready, 1));
        for (status, expected) in [
            (ConditionStatus::Unknown, false),
            (ConditionStatus::False, false),
            (ConditionStatus::True, true),
        ] {
            set(&mut conditions, ready(status, ""), 4, at(1));
            assert_eq!(holds(&conditions, ConditionType::Ready, 4), expected);
            assert!(!holds(&conditions, ConditionType::Ready, 5));
        }
    }

    #[test]
    fn names_are_valid_reasons_and_read_back() {
        for reason in Reason::ALL {
            assert!(reason.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(Reason::from_name(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::from_name("Unheard"), None);
        for type_ in ConditionType::ALL {
            assert_eq!(ConditionType::from_name(type_.as_str()), Some(*type_));
        }
    }

    /// The words in back quotes of the tables below a heading of `docs/status.md`, in the first `columns` columns.
    fn documented(heading: &str, columns: usize) -> Vec<String> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/status.md");
        let text = std::fs::read_to_string(path).unwrap();
        let section = text.split_once(&format!("\n## {heading}\n")).unwrap().1;
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with('|'));
        let cells = rows.map(|row| row.split('|').skip(1).take(columns).collect::<Vec<_>>().join(" "));
        cells
            .flat_map(|cell| {
                cell.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn the_documentation_names_what_exists() {
        let reasons = documented("Reasons", 1);
        assert!(reasons.len() > 30, "{reasons:?}");
        for name in &reasons {
            assert!(
                Reason::from_name(name).is_some(),
                "docs/status.md: no reason is called {name}"
            );
        }
        for reason in Reason::ALL {
            assert!(
                reasons.iter().any(|name| name == reason.as_str()),
                "docs/status.md does not say what {reason} means"
            );
        }
        let types = documented("Conditions", 2);
        assert!(types.len() > 10, "{types:?}");
        for name in &types {
            assert!(
                ConditionType::from_name(name).is_some(),
                "docs/status.md: no condition is called {name}"
            );
        }
        for type_ in ConditionType::ALL {
            let everywhere = "Every kind has `Ready` (the summary), `Reconciling` (at work) and `Stalled`";
            let known = types.iter().any(|name| name == type_.as_str()) || everywhere.contains(&format!("`{type_}`"));
            assert!(known, "docs/status.md does not say what {type_} means");
        }
    }

    /// What the operator's own code says, tests and imports left out.
    fn code(folder: &std::path::Path, found: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "tests" {
                    code(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") && !name.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
                let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                found.extend(lines.flat_map(str::split_whitespace));
            }
        }
    }

    #[test]
    fn every_reason_and_condition_is_set_by_the_operator() {
        let mut text = String::new();
        code(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../src"),
            &mut text,
        );
        let says = |whole: &str| {
            text.match_indices(whole).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let next = text[at + whole.len()..].chars().next();
                let ends = |character: Option<char>| character.is_none_or(|character| !character.is_alphanumeric());
                ends(before) && ends(next)
            })
        };
        for reason in Reason::ALL {
            assert!(says(&format!("Reason::{reason}")), "no code sets the reason {reason}");
        }
        for type_ in ConditionType::ALL {
            // Findings name their types bare, below a `use` of the enum.
            let set = [
                format!("ConditionType::{type_}"),
                format!("Finding::new({type_}"),
                format!("reached({type_}"),
            ];
            let set = set.iter().any(|whole| says(whole));
            let summary = ["Ready", "Reconciling", "Stalled"].contains(&type_.as_str());
            assert!(set || summary, "no code sets the condition {type_}");
        }
    }

    #[test]
    fn comparison_sees_everything_but_time() {
        let mut one = Vec::new();
        set(&mut one, ready(ConditionStatus::True, "m"), 1, at(1));
        let mut other = one.clone();
        other[0].last_transition_time = Time(at(99));
        assert!(equal_ignoring_time(&one, &other));
        let changes: [fn(&mut Condition); 5] = [
            |c| c.type_.push('x'),
            |c| c.status.push('x'),
            |c| c.reason.push('x'),
            |c| c.message.push('x'),
            |c| c.observed_generation = None,
        ];
        for change in changes {
            let mut altered = one.clone();
            change(&mut altered[0]);
            assert!(!equal_ignoring_time(&one, &altered));
        }
        assert!(!equal_ignoring_time(&one, &[]));
    }

    #[test]
    fn reconciling_and_stalled_are_never_both_true() {
        let mut conditions = Vec::new();
        for activity in [
            Activity::Stalled,
            Activity::Reconciling,
            Activity::Settled,
            Activity::Stalled,
        ] {
            set_summary(
                &mut conditions,
                ConditionStatus::True,
                activity,
                Reason::Progressing,
                "",
                1,
                at(1),
            );
            let reconciling = holds(&conditions, ConditionType::Reconciling, 1);
            let stalled = holds(&conditions, ConditionType::Stalled, 1);
            assert_eq!(reconciling, activity == Activity::Reconciling);
            assert_eq!(stalled, activity == Activity::Stalled);
        }
        assert_eq!(conditions.len(), 3);
    }

    proptest! {
        #[test]
        fn messages_are_cut_at_a_character(message in "\\PC{0,900}", repeat in 1..4_usize) {
            let mut conditions = Vec::new();
            let message = message.repeat(repeat);
            set(&mut conditions, ready(ConditionStatus::True, &message), 1, at(1));
            let written = &conditions[0].message;
            prop_assert!(written.len() <= MESSAGE_MAX_LENGTH);
            prop_assert!(message.starts_with(written.trim_end_matches('…')));
        }
    }
}
