//! Asking the engine: `league.assess → master.run_cycle → league.apply`, the one way in which traffic is ever raised.

mod baseline;
mod conclude;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_engine::config::Config;
use penin_engine::decision::Stage as EngineStage;
use penin_engine::gates::GateStatus;
use penin_engine::league::{self, Assessment, AssessmentReason, LeagueState};
use penin_engine::master::Candidate;
use penin_ledger::Kind;

pub use self::baseline::baseline;
use self::conclude::granted;
use super::book::{Book, Grant, RevisionRef};
use super::judged::Judged;
use super::life::{Context, Pass, measure, overdue, undisturbed_since};
use super::plan::{Plan, Record, Step};
use super::position::{Note, Position};
use super::records::milliseconds;
use super::selectors::SelectorConflict;
use super::snapshot::Snapshot;
use super::{pods, route};
use crate::adapters::traffic::ShareVerdict;
use crate::scoring::{
    Checks, Evidence, Inputs, Judgement, OutsideChecks, UnknownReason, inputs, relative_cost, step_config,
};
use crate::workload::PodRequests;

/// Least time between two entries about evidence that proves nothing.
const NOTE_EVERY: Duration = Duration::from_mins(1);

/// Which stage of a life is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On mirrored requests.
    Shadow,
    /// On live requests, in one step.
    Canary {
        /// Which step, from 0.
        index: usize,
    },
    /// As the new champion.
    Watch,
}

impl Stage {
    const fn engine(self) -> EngineStage {
        match self {
            Self::Shadow => EngineStage::Shadow,
            Self::Canary { .. } => EngineStage::Canary,
            Self::Watch => EngineStage::Watch,
        }
    }

    const fn step(self) -> Step {
        match self {
            Self::Shadow => Step::Shadowing,
            Self::Canary { .. } => Step::Observing,
            Self::Watch => Step::Watching,
        }
    }
}

/// Judges the present stage of a life on fresh evidence, or asks for it.
///
/// # Errors
/// Never continues: every way ends in a plan.
pub fn judge(context: &Context<'_>, stage: Stage, settled: Timestamp, position: Position) -> Pass<Infallible> {
    // A window that was opened before this grant or this state of the route belongs to another stage, or to a route that
    // somebody has changed meanwhile: its time and its evaluations prove nothing here.
    let earliest = settled.max(context.life.granted_at);
    let earliest = undisturbed_since(context, &position).map_or(earliest, |since| since.max(earliest));
    let (start, position) = match position.window_start {
        Some(start) if start >= earliest => (start, position),
        _ => (earliest, position.with_window(earliest)),
    };
    let (reason, waiting_for) = match &context.snapshot.selector_conflict {
        Some(conflict) => (Reason::SelectorConflict, conflict.to_string()),
        None => (Reason::DeadlineExceeded, "the stage was not passed".to_owned()),
    };
    overdue(
        context,
        context.settings.stage_deadline(&context.life.grant),
        reason,
        &waiting_for,
        &position,
    )?;
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

/// Whether the source was not being read when the window opened: no later sample can make up for that.
fn was_not_read_at_its_start(evidence: &Evidence) -> bool {
    let unknown = evidence.candidate.traffic.unknown();
    unknown.is_some_and(|unknown| unknown.reason == UnknownReason::StaleStart)
}

/// The evidence of this pass; in shadow, with requests that are known to be the copies that were asked for; in the watch,
/// with the reference that was frozen at the promotion.
fn evidence_of(context: &Context<'_>, stage: Stage) -> Option<Evidence> {
    let evidence = context.snapshot.evidence.clone()?;
    if stage == Stage::Shadow {
        let settings = context.settings;
        return Some(evidence.with_verified_copies(settings.shadow_percent, settings.mirror_lead_ms()));
    }
    match &context.life.frozen_reference {
        Some(frozen) => Some(evidence.with_reference(frozen.clone())),
        None => Some(evidence),
    }
}

/// The engine's configuration for one stage: durations, floors and share of the cycle and its step.
fn stage_config(context: &Context<'_>, stage: Stage) -> Result<Config, String> {
    let config = context
        .snapshot
        .gates
        .config
        .as_ref()
        .map_err(|problems| problems.join("; "))?;
    let Stage::Canary { index } = stage else {
        return Ok(config.clone());
    };
    // A step that was taken out of the specification meanwhile is judged by the last one that is left.
    let Some(step) = context
        .settings
        .step(index)
        .or_else(|| context.settings.spec.canary.steps.last())
    else {
        return Ok(config.clone());
    };
    step_config(&context.settings.spec, config, step).map_err(|errors| {
        errors
            .iter()
            .map(|error| format!("{}: must be {}", error.field, error.bound))
            .collect::<Vec<_>>()
            .join("; ")
    })
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
        self.run_cycle(assessment, inputs, league, position)
    }

    /// What keeps a passed stage from going on. Deadlines go on all the same.
    fn held_up(&self) -> Option<(Reason, String)> {
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

    fn wait(&self, assessment: &Assessment, inputs: &Inputs, position: Position) -> Plan {
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
    fn unsettled(
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

    fn may_note(&self, position: &Position, causes: &[String]) -> bool {
        self.context.snapshot.ledger.problem.is_none() && may_note(position, causes, self.context.now)
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

fn candidate(revision: &RevisionRef) -> Candidate {
    Candidate {
        name: revision.name.clone(),
        digest: Some(format!("sha256:{}", revision.digest)),
        stub: false,
    }
}

/// New causes are worth an entry, once a minute at most.
fn may_note(position: &Position, causes: &[String], now: Timestamp) -> bool {
    position
        .noted
        .as_ref()
        .is_none_or(|noted| noted.causes != causes && now.duration_since(noted.at) >= super::life::span(NOTE_EVERY))
}

fn size_of(snapshot: &Snapshot, revision: &str) -> Option<PodRequests> {
    snapshot.revision(revision).deployment?.requests
}

/// Checks of the ledger, the gates, the engine and the route, as "satisfied of declared".
fn outside_checks(snapshot: &Snapshot, book: &Book) -> OutsideChecks {
    let hash = book.state_hash().ok();
    // A status that was not written before a restart is behind, which is no disagreement.
    let behind = snapshot.remembered.cycle.is_some_and(|cycle| cycle < book.engine.cycle);
    let remembered = snapshot.remembered.state_hash.is_none() || behind || snapshot.remembered.state_hash == hash;
    let route_accepted = route::is_accepted(snapshot);
    OutsideChecks {
        memory: [hash.is_some(), remembered].into_iter().collect(),
        policy: snapshot.gates.answered,
        meta: [hash.is_some(), snapshot.ledger.problem.is_none()]
            .into_iter()
            .collect::<Checks>(),
        router: [route_accepted].into_iter().collect(),
    }
}

/// Why evidence is missing, by input, as it stands in entries.
#[must_use]
pub fn reasons(unknown: &BTreeMap<&'static str, crate::scoring::Unknown>) -> BTreeMap<String, String> {
    unknown
        .iter()
        .map(|(input, unknown)| ((*input).to_owned(), unknown.to_string()))
        .collect()
}
