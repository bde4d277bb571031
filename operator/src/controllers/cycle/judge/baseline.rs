//! Cycle 0: the champion's own scores, so that there is a reference.

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_engine::EngineError;
use penin_engine::config::Config;
use penin_engine::decision::{CycleReason, Stage as EngineStage};
use penin_engine::league::{self, LeagueStage};
use penin_engine::master::{self, CycleOutcome, State};
use penin_engine::num::Num;
use penin_ledger::Kind;

use super::waiting::may_note;
use super::{candidate, outside_checks, size_of};
use crate::controllers::cycle::book::Book;
use crate::controllers::cycle::judged::{Judged, Material};
use crate::controllers::cycle::plan::{Plan, Record, Step};
use crate::controllers::cycle::position::{Note, Position};
use crate::controllers::cycle::records;
use crate::controllers::cycle::settings::Settings;
use crate::controllers::cycle::snapshot::Snapshot;
use crate::scoring::{Evidence, Judgement, inputs, relative_cost};

/// Cycle 0: the champion as the candidate, with no traffic involved.
#[must_use]
pub fn baseline(
    snapshot: &Snapshot,
    settings: &Settings,
    book: &Book,
    evidence: &Evidence,
    position: Position,
    now: Timestamp,
) -> Plan {
    let config = match &snapshot.gates.config {
        Ok(config) => config,
        Err(problems) => {
            return Plan::wait(
                Step::Idle,
                snapshot.gates.reason(),
                problems.join("; "),
                settings.interval,
                position,
            );
        }
    };
    let position = unspoilt(evidence, position, now);
    let (outcome, engine, judged) = match measured(snapshot, config, book, evidence, &position) {
        Ok(result) => result,
        Err(error) => {
            let message = format!("The engine cannot judge the champion: {error}");
            return Plan::wait(Step::Idle, Reason::StateMismatch, message, settings.interval, position);
        }
    };
    let recorded = outcome.reason == CycleReason::BaselineRecorded;
    let causes: Vec<String> = outcome.causes.iter().map(|cause| cause.as_str().to_owned()).collect();
    let message = format!("Champion {}: {}", book.champion.name, judged.sentence());
    let reason = if recorded {
        Reason::BaselineRecorded
    } else {
        Reason::EvidenceUnknown
    };
    if !recorded && !may_note(&position, &causes, now) {
        return Plan::wait(Step::Idle, reason, message, settings.interval, position).with_judgement(judged);
    }
    let mut book = Book { engine, ..book.clone() };
    if recorded {
        enter_league(&mut book, outcome.scores.linf);
    }
    let (champion, uid) = (&book.champion, &snapshot.key.uid);
    let record = Record {
        draft: records::judgement(snapshot, Kind::GateEval, champion, uid, now, &judged),
        book: Some(book),
        withdrawal: None,
    };
    let position = Position {
        noted: Some(Note { at: now, causes }),
        ..position
    };
    Plan::record(Step::Idle, reason, message, record, position).with_judgement(judged)
}

/// Nothing waits for this measurement: what a restarted source or a reset counter has spoiled is begun anew.
fn unspoilt(evidence: &Evidence, position: Position, now: Timestamp) -> Position {
    let unknown = evidence.candidate.traffic.unknown();
    if unknown.is_some_and(|unknown| unknown.reason.spoils_window()) {
        return Position {
            window_start: Some(now),
            ..position
        };
    }
    position
}

/// The engine's cycle with the champion as its own candidate.
fn measured(
    snapshot: &Snapshot,
    config: &Config,
    book: &Book,
    evidence: &Evidence,
    position: &Position,
) -> Result<(CycleOutcome, State, Judged), EngineError> {
    let checks = outside_checks(snapshot, book);
    let size = size_of(snapshot, &book.champion.name);
    let judgement = Judgement {
        config,
        scores: &snapshot.gates.scores,
        declared: &snapshot.gates.declared,
        // The champion is its own measure of cost.
        cost: relative_cost(size, size),
        checks: &checks,
    };
    let found = inputs(evidence, &judgement, position.evaluations, None);
    let input = found.cycle(candidate(&book.champion), EngineStage::Direct, None);
    let (outcome, engine) = master::run_cycle(config, &book.engine, &input)?;
    let material = Material {
        config,
        state: &book.engine,
        input: &input,
        evidence,
        observation: None,
        league: None,
    };
    let judged = Judged::new(
        EngineStage::Direct,
        None,
        Some(outcome.clone()),
        &found.unknown,
        evidence,
        None,
        None,
    )
    .with_material(&material);
    Ok((outcome, engine, judged))
}

/// The champion takes its place in a league that has none yet.
fn enter_league(book: &mut Book, linf: f64) {
    if book.league.stage == LeagueStage::Idle
        && let Ok(league) = league::register(&book.league, &book.champion.name, Num::new(linf))
    {
        book.league = league;
    }
}
