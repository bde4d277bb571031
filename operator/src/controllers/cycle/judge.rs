//! Asking the engine: `league.assess → master.run_cycle → league.apply`, the one way in which traffic is ever raised.

mod baseline;
mod conclude;
mod outside;
mod stage;
mod waiting;

use std::convert::Infallible;
use std::ops::ControlFlow;

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_engine::config::Config;
use penin_engine::gates::GateStatus;
use penin_engine::league::{self, Assessment, LeagueState};
use penin_engine::master::Candidate;
use penin_ledger::Kind;

pub use self::baseline::baseline;
use self::conclude::granted;
pub use self::outside::reasons;
use self::outside::{outside_checks, size_of};
pub use self::stage::Stage;
use self::stage::{evidence_of, stage_config, was_not_read_at_its_start};
use super::book::{Grant, RevisionRef};
use super::life::{Context, Pass, measure, overdue, undisturbed_since};
use super::plan::{Plan, Record, Step};
use super::pods;
use super::position::Position;
use super::records::milliseconds;
use crate::adapters::traffic::ShareVerdict;
use crate::scoring::{Evidence, Inputs, Judgement, Unknown, UnknownReason, inputs, relative_cost};

/// Judges the present stage of a life on fresh evidence, or asks for it.
///
/// # Errors
/// Never continues: every way ends in a plan.
pub fn judge(context: &Context<'_>, stage: Stage, settled: Timestamp, position: Position) -> Pass<Infallible> {
    let (start, position) = window(context, settled, position);
    in_time(context, &position)?;
    let config = match stage_config(context, stage) {
        Ok(config) => config,
        Err(problem) => {
            return ControlFlow::Break(Plan::wait(
                stage.step(),
                context.snapshot.gates.reason(),
                problem,
                context.settings.interval,
                position,
            ));
        }
    };
    let Some(evidence) = evidence_of(context, stage) else {
        let measure = measure(context, &position, start);
        return ControlFlow::Break(Plan::measure(stage.step(), measure, position));
    };
    let position = if stage == Stage::Shadow && was_not_read_at_its_start(&evidence) {
        // Nobody is served by it yet, and nothing of it is known: a whole window is begun anew. The deadline stands.
        position.with_window(context.now)
    } else {
        position
    };
    let question = Question {
        context,
        stage,
        config: &config,
        start,
        evidence: &evidence,
    };
    ControlFlow::Break(question.answer(position))
}

/// When the window of this stage opened, and the timers that say so. One that was opened before this grant or this state
/// of the route belongs to another stage, or to a route that somebody has changed meanwhile: its time and its evaluations
/// prove nothing here. Nor does what was counted while requests reached the pods past the route.
fn window(context: &Context<'_>, settled: Timestamp, position: Position) -> (Timestamp, Position) {
    let earliest = settled.max(context.life.granted_at);
    let earliest = undisturbed_since(context, &position).map_or(earliest, |since| since.max(earliest));
    match position.window_start {
        Some(start) if start >= earliest => (start, position),
        _ => (earliest, position.with_window(earliest)),
    }
}

/// Ends a life whose stage was not passed by its deadline.
fn in_time(context: &Context<'_>, position: &Position) -> Pass<()> {
    let (reason, waiting_for) = match &context.snapshot.selector_conflict {
        Some(conflict) => (Reason::SelectorConflict, conflict.to_string()),
        None => (Reason::DeadlineExceeded, "the stage was not passed".to_owned()),
    };
    let limit = context.settings.stage_deadline(&context.life.grant);
    overdue(context, limit, reason, &waiting_for, position)
}

struct Question<'a> {
    context: &'a Context<'a>,
    stage: Stage,
    config: &'a Config,
    start: Timestamp,
    evidence: &'a Evidence,
}

impl Question<'_> {
    fn answer(&self, position: Position) -> Plan {
        let inputs = self.inputs(&position);
        let position = Position {
            evaluations: position.evaluations.with(&inputs.delta_linf),
            ..position
        };
        let league = self.league();
        let now = milliseconds(self.context.now);
        match league::assess(self.config, &league, &inputs.observation, now) {
            Ok(assessment) => self.weigh(assessment, &inputs, &league, position),
            Err(error) => {
                let message = format!("The league cannot judge: {error}");
                Plan::wait(
                    self.stage.step(),
                    Reason::StateMismatch,
                    message,
                    self.context.settings.interval,
                    position,
                )
            }
        }
    }

    /// The league's state with the start of this step's window: each step is a stage of its own.
    fn league(&self) -> LeagueState {
        LeagueState {
            stage_start_ms: milliseconds(self.start),
            ..self.context.book.league.clone()
        }
    }

    fn inputs(&self, position: &Position) -> Inputs {
        let context = self.context;
        let cost = self.evidence.reference.as_ref().and_then(|reference| {
            relative_cost(
                size_of(context.snapshot, &self.evidence.candidate.revision),
                size_of(context.snapshot, &reference.revision),
            )
        });
        let checks = outside_checks(context.snapshot, context.book);
        let judgement = Judgement {
            config: self.config,
            scores: &context.snapshot.gates.scores,
            declared: &context.snapshot.gates.declared,
            cost,
            checks: &checks,
        };
        inputs(self.evidence, &judgement, position.evaluations, self.traffic_verified())
    }

    /// Whether the measured share is the written one; only a canary has a share.
    fn traffic_verified(&self) -> Option<bool> {
        match self.share()? {
            ShareVerdict::Inside(_) => Some(true),
            ShareVerdict::Outside(_) => Some(false),
            ShareVerdict::Thin { .. } => None,
        }
    }

    fn share(&self) -> Option<ShareVerdict> {
        let Grant::Step { weight, .. } = self.context.life.grant else {
            return None;
        };
        self.evidence
            .share(weight, self.context.settings.share_min_requests)
            .ok()
    }

    fn weigh(&self, assessment: Assessment, inputs: &Inputs, league: &LeagueState, position: Position) -> Plan {
        let context = self.context;
        let passed = assessment.status == GateStatus::Pass;
        if assessment.status != GateStatus::Fail
            && let Some(conflict) = &context.snapshot.selector_conflict
        {
            return self.unsettled(conflict, assessment, inputs, position);
        }
        if assessment.status == GateStatus::Unknown {
            return self.wait(&assessment, inputs, position);
        }
        if passed && let Some(hold) = self.held_up() {
            let judged = self.judged(Some(assessment), None, inputs, None);
            return Plan::wait(self.stage.step(), hold.0, hold.1, context.settings.interval, position)
                .with_judgement(judged);
        }
        if let (true, Stage::Canary { index }) = (passed, self.stage) {
            if let Some(next) = context.settings.step(index + 1) {
                let grant = Grant::Step {
                    index: index + 1,
                    weight: next.weight.get(),
                };
                return self.next_step(grant, assessment, inputs, &position);
            }
            match self.capacity(position.clone()) {
                ControlFlow::Break(plan) => {
                    return plan.with_judgement(self.judged(Some(assessment), None, inputs, None));
                }
                ControlFlow::Continue(_) => {}
            }
        }
        if passed && let Some(young) = young_pods(inputs) {
            return self.unread(young, assessment, inputs, position);
        }
        self.run_cycle(assessment, inputs, league, position)
    }

    /// As many ready endpoints as the champion has, and as its size asks for, before all traffic moves.
    fn capacity(&self, position: Position) -> Pass<Position> {
        let context = self.context;
        let champion = context.snapshot.revision(&context.book.champion.name).ready_endpoints;
        let wanted = i32::try_from(champion)
            .unwrap_or(i32::MAX)
            .max(context.settings.champion_replicas);
        let limit = context.settings.stage_deadline(&context.life.grant);
        let until = context.life.granted_at + super::life::span(limit);
        pods::enough_endpoints(
            context,
            &context.life.revision.name,
            wanted,
            Step::AddingCapacity,
            until,
            position,
        )
    }

    /// From one step to the next: the league's assessment alone, recorded with its evidence.
    fn next_step(&self, grant: Grant, assessment: Assessment, inputs: &Inputs, position: &Position) -> Plan {
        let judged = self.judged(Some(assessment), None, inputs, Some("step passed"));
        let draft = self.draft(Kind::GateEval, &judged);
        let mut book = self.context.book.clone();
        granted(&mut book, grant, self.context.now);
        let record = Record {
            draft,
            book: Some(book),
            withdrawal: None,
        };
        Plan::record(
            Step::Shifting,
            Reason::StagePassed,
            "The step was passed",
            record,
            position.fresh_stage(),
        )
        .with_judgement(judged)
    }
}

/// Why the use of resources is unknown, when only time is missing: pods were started so lately that they were read once,
/// as those are that a promotion has just asked for. The engine aborts a life whose resources nobody knows
/// (`resources.evaluate`); it is asked when there has been something to read.
fn young_pods(inputs: &Inputs) -> Option<&Unknown> {
    let unknown = inputs.unknown.get("resources")?;
    (unknown.reason == UnknownReason::NotYetSampled).then_some(unknown)
}

fn candidate(revision: &RevisionRef) -> Candidate {
    Candidate {
        name: revision.name.clone(),
        digest: Some(format!("sha256:{}", revision.digest)),
        stub: false,
    }
}
