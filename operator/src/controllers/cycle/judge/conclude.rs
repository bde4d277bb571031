//! From a passed or failed stage to the plan that carries the engine's decision out.

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_engine::decision::{CycleReason, Decision};
use penin_engine::gates::LeagueVerdict;
use penin_engine::league::{self, Assessment, Command, LeagueState};
use penin_engine::master::{self, CycleOutcome, State};
use penin_engine::num::Num;
use penin_ledger::Kind;

use super::{Question, candidate};
use crate::controllers::cycle::book::{Book, Grant, Life, Verdict};
use crate::controllers::cycle::judged::{Judged, Material};
use crate::controllers::cycle::plan::{Plan, Record, Step};
use crate::controllers::cycle::position::{Note, Position};
use crate::controllers::cycle::records::{self, milliseconds};
use crate::scoring::Inputs;

impl Question<'_> {
    pub(super) fn run_cycle(
        &self,
        assessment: Assessment,
        inputs: &Inputs,
        league: &LeagueState,
        position: Position,
    ) -> Plan {
        let context = self.context;
        let verdict = LeagueVerdict {
            status: Some(assessment.status),
            reason: Some(assessment.reason.as_str().to_owned()),
        };
        let candidate = candidate(&context.life.revision);
        let input = inputs.cycle(candidate, self.stage.engine(), Some(verdict));
        match master::run_cycle(self.config, &context.book.engine, &input) {
            Err(error) => {
                let message = format!("The engine cannot judge: {error}");
                Plan::wait(
                    self.stage.step(),
                    Reason::StateMismatch,
                    message,
                    context.settings.interval,
                    position,
                )
            }
            Ok((outcome, next)) => {
                let material = Material {
                    config: self.config,
                    state: &context.book.engine,
                    input: &input,
                    evidence: self.evidence,
                    observation: Some(&inputs.observation),
                    league: Some(league),
                };
                let judged = self
                    .judged(Some(assessment), Some(outcome.clone()), inputs, None)
                    .with_material(&material);
                self.conclude(&outcome, next, league, judged, position)
            }
        }
    }

    /// From the engine's decision to the plan that carries it out.
    fn conclude(
        &self,
        outcome: &CycleOutcome,
        engine: State,
        league: &LeagueState,
        judged: Judged,
        position: Position,
    ) -> Plan {
        let context = self.context;
        let command = Command {
            decision: outcome.decision,
            reason: outcome.reason.as_str(),
            causes: &outcome.causes,
            challenger_linf: Num::new(outcome.scores.linf),
            now_ms: milliseconds(context.now),
        };
        let league = match league::apply(self.config, league, &command) {
            Ok((league, _)) => league,
            Err(error) => {
                let message = format!("The league cannot carry out {}: {error}", outcome.decision.as_str());
                return Plan::wait(
                    self.stage.step(),
                    Reason::StateMismatch,
                    message,
                    context.settings.interval,
                    position,
                );
            }
        };
        let mut book = Book {
            engine,
            league,
            ..context.book.clone()
        };
        let passed_watch = outcome.decision == Decision::Hold && outcome.reason == CycleReason::WatchPassed;
        match outcome.decision {
            Decision::Canary => {
                let weight = context.settings.step(0).map_or(1, |step| step.weight.get());
                granted(&mut book, Grant::Step { index: 0, weight }, context.now);
                self.raise(Kind::GateEval, Step::StoppingMirror, book, judged, &position)
            }
            Decision::Promote => {
                self.promote(&mut book);
                self.raise(Kind::PromoteAttest, Step::Shifting, book, judged, &position)
            }
            Decision::Hold if passed_watch => {
                granted(&mut book, Grant::Settled, context.now);
                self.raise(Kind::GateEval, Step::CleaningUp, book, judged, &position)
            }
            Decision::Hold => self.hold(outcome, book, judged, position),
            Decision::Reject | Decision::Rollback | Decision::Abort | Decision::Fallback => {
                self.refuse(outcome, book, judged, position)
            }
        }
    }

    /// The pointer moves to pods that already run; the former champion stays, and its evidence is frozen.
    fn promote(&self, book: &mut Book) {
        let revision = self.context.life.revision.clone();
        let former = std::mem::replace(&mut book.champion, revision);
        granted(book, Grant::Promotion, self.context.now);
        if let Some(life) = &mut book.life {
            life.former_champion = Some(former);
            life.frozen_reference.clone_from(&self.evidence.reference);
        }
    }

    fn raise(&self, kind: Kind, step: Step, book: Book, judged: Judged, position: &Position) -> Plan {
        let draft = self.draft(kind, &judged);
        let record = Record {
            draft,
            book: Some(book),
            withdrawal: None,
        };
        let message = judged.sentence();
        Plan::record(step, Reason::StagePassed, message, record, position.fresh_stage()).with_judgement(judged)
    }

    fn hold(&self, outcome: &CycleOutcome, book: Book, judged: Judged, position: Position) -> Plan {
        let causes: Vec<String> = outcome.causes.iter().map(|cause| cause.as_str().to_owned()).collect();
        let message = judged.sentence();
        // The next evaluation draws anew only if the state after this draw is kept.
        let kept = matches!(
            outcome.reason,
            CycleReason::BaselineRecorded | CycleReason::ChaosInjected
        );
        let reason = match outcome.reason {
            CycleReason::BaselineRecorded => Reason::BaselineRecorded,
            CycleReason::ChaosInjected => Reason::ChaosInjected,
            _ => Reason::EvidenceUnknown,
        };
        if kept || self.may_note(&position, &causes) {
            let position = Position {
                noted: Some(Note {
                    at: self.context.now,
                    causes,
                }),
                ..position
            };
            let record = Record {
                draft: self.draft(Kind::GateEval, &judged),
                book: Some(book),
                withdrawal: None,
            };
            return Plan::record(self.stage.step(), reason, message, record, position).with_judgement(judged);
        }
        Plan::wait(
            self.stage.step(),
            reason,
            message,
            self.context.settings.interval,
            position,
        )
        .with_judgement(judged)
    }

    fn refuse(&self, outcome: &CycleOutcome, mut book: Book, judged: Judged, position: Position) -> Plan {
        let live = self.context.life.had_live_traffic;
        let verdict = Verdict::of_end(live);
        let kind = if live { Kind::Rollback } else { Kind::Rejection };
        records::withdraw_life(&mut book, verdict, self.context.now);
        let message = judged.sentence();
        let reason = match outcome.reason {
            CycleReason::StubEvidence | CycleReason::NonPositiveStep => Reason::GateFailed,
            _ if judged.deadline_exceeded() => Reason::DeadlineExceeded,
            _ => Reason::GateFailed,
        };
        let record = Record {
            draft: self.draft(kind, &judged),
            book: Some(book),
            withdrawal: Some(verdict),
        };
        Plan::record(Step::Withdrawing, reason, message, record, position).with_judgement(judged)
    }

    pub(super) fn draft(&self, kind: Kind, judged: &Judged) -> penin_ledger::Draft {
        let context = self.context;
        let life = context.life;
        records::judgement(
            context.snapshot,
            kind,
            &life.revision,
            &life.challenger.uid,
            context.now,
            judged,
        )
    }

    pub(super) fn judged(
        &self,
        assessment: Option<Assessment>,
        outcome: Option<CycleOutcome>,
        inputs: &Inputs,
        note: Option<&str>,
    ) -> Judged {
        Judged::new(
            self.stage.engine(),
            assessment,
            outcome,
            &inputs.unknown,
            self.evidence,
            self.share(),
            note,
        )
    }
}

/// Gives a grant: deadlines count from now, and its effect is still to be seen.
pub(super) fn granted(book: &mut Book, grant: Grant, now: Timestamp) {
    let Some(life) = &mut book.life else { return };
    *life = Life {
        had_live_traffic: life.had_live_traffic || grant.is_live(),
        grant,
        granted_at: now,
        effect_recorded: false,
        ..life.clone()
    };
}
