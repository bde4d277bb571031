//! What a stage waits for: evidence that is not enough yet, or something that holds it although it passed.

use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_engine::league::{Assessment, AssessmentReason};
use penin_ledger::Kind;

use super::{Question, Stage};
use crate::controllers::cycle::judged::Judged;
use crate::controllers::cycle::life::span;
use crate::controllers::cycle::plan::{Plan, Record, Step};
use crate::controllers::cycle::position::{Note, Position};
use crate::controllers::cycle::selectors::SelectorConflict;
use crate::scoring::{Inputs, Unknown};

/// Least time between two entries about evidence that proves nothing.
const NOTE_EVERY: Duration = Duration::from_mins(1);

impl Question<'_> {
    pub(super) fn wait(&self, assessment: &Assessment, inputs: &Inputs, position: Position) -> Plan {
        let causes: Vec<String> = assessment
            .causes
            .iter()
            .map(|cause| cause.as_str().to_owned())
            .collect();
        let judged = self.judged(Some(assessment.clone()), None, inputs, None);
        let undecided = assessment.reason == AssessmentReason::EvidenceUnknown;
        let message = if undecided { judged.sentence() } else { self.progress() };
        let interval = self.context.settings.interval;
        if undecided && self.may_note(&position, &causes) {
            return self.noted(Reason::EvidenceUnknown, message, causes, judged, position);
        }
        let reason = if undecided {
            Reason::EvidenceUnknown
        } else {
            Reason::Progressing
        };
        Plan::wait(self.stage.step(), reason, message, interval, position).with_judgement(judged)
    }

    /// Requests may reach the pods past the route, so what their counters say proves nothing, however good it is.
    pub(super) fn unsettled(
        &self,
        conflict: &SelectorConflict,
        assessment: Assessment,
        inputs: &Inputs,
        position: Position,
    ) -> Plan {
        let reason = Reason::SelectorConflict;
        let message = conflict.to_string();
        let judged = self.judged(Some(assessment), None, inputs, Some(&message));
        let causes = vec![reason.as_str().to_owned()];
        if !self.may_note(&position, &causes) {
            let interval = self.context.settings.interval;
            return Plan::wait(self.stage.step(), reason, message, interval, position).with_judgement(judged);
        }
        self.noted(reason, message, causes, judged, position)
    }

    /// A stage that passed waits for what was not read yet, until its deadline.
    pub(super) fn unread(
        &self,
        unknown: &Unknown,
        assessment: Assessment,
        inputs: &Inputs,
        position: Position,
    ) -> Plan {
        let message = format!("Passed, and the use of resources is not read yet: {unknown}");
        let judged = self.judged(Some(assessment), None, inputs, Some(&message));
        let interval = self.context.settings.interval;
        let step = match self.stage {
            // Those that were just added.
            Stage::Canary { .. } => Step::AddingCapacity,
            stage => stage.step(),
        };
        Plan::wait(step, Reason::EvidenceUnknown, message, interval, position).with_judgement(judged)
    }

    /// The plan that records evidence which proves nothing.
    fn noted(&self, reason: Reason, message: String, causes: Vec<String>, judged: Judged, position: Position) -> Plan {
        let record = Record {
            draft: self.draft(Kind::GateEval, &judged),
            book: Some(self.context.book.clone()),
            withdrawal: None,
        };
        let at = self.context.now;
        let position = Position {
            noted: Some(Note { at, causes }),
            ..position
        };
        Plan::record(self.stage.step(), reason, message, record, position).with_judgement(judged)
    }

    /// How far the stage is.
    fn progress(&self) -> String {
        let league = &self.config.league;
        let (what, seconds) = match self.stage {
            Stage::Shadow => ("Mirrored requests are being judged", league.shadow_seconds),
            Stage::Canary { .. } => ("Live requests are being judged", league.canary_seconds),
            Stage::Watch => ("The new champion is being watched", league.watch_seconds),
        };
        let passed = self.context.now.duration_since(self.start).as_secs();
        format!("{what}: {passed} of {seconds} s")
    }

    pub(super) fn may_note(&self, position: &Position, causes: &[String]) -> bool {
        self.context.snapshot.ledger.problem.is_none() && may_note(position, causes, self.context.now)
    }

    /// What keeps a passed stage from going on. Deadlines go on all the same.
    pub(super) fn held_up(&self) -> Option<(Reason, String)> {
        let context = self.context;
        if let Some(problem) = &context.snapshot.ledger.problem {
            return Some((
                Reason::LedgerUnavailable,
                format!("Passed, but the decision cannot be recorded: {problem}"),
            ));
        }
        if context.settings.suspend && self.stage != Stage::Watch {
            return Some((Reason::Suspended, "Passed, but the cycle is suspended".to_owned()));
        }
        None
    }
}

/// New causes are worth an entry, once a minute at most.
pub(super) fn may_note(position: &Position, causes: &[String], now: Timestamp) -> bool {
    position
        .noted
        .as_ref()
        .is_none_or(|noted| noted.causes != causes && now.duration_since(noted.at) >= span(NOTE_EVERY))
}
