//! Entries for the ledger: what each one says, and the book that it leads to. Pure.
//!
//! An entry names things by digest, carries the engine's events as they were hashed, and puts what is needed to
//! replay a decision (configuration, state, inputs, frozen evidence) into blobs. It never carries a secret: nothing of
//! a pod's environment enters it, only the digest of the template.

use jiff::Timestamp;
use penin_api::conditions::Reason;
use penin_engine::num::Num;
use penin_engine::{league, master};
use penin_ledger::entry::{Blob, CycleRef, Draft, Kind, Subject};
use penin_ledger::hash::Digest;
use penin_ledger::replay;
use serde_json::{Map, Value, json};

use super::book::{Book, ChallengerRef, FORMAT, Grant, Life, RevisionRef, Verdict};
use super::configuration;
use super::judged::Judged;
use super::life::{Context, End};
use super::plan::Record;
use super::settings::Settings;
use super::snapshot::{Candidate, Snapshot, Target};

/// Media type of blobs.
const JSON: &str = "application/json";

/// Milliseconds since the Unix epoch, never before it.
#[must_use]
pub fn milliseconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}

/// The condition reason of an end.
#[must_use]
pub const fn reason_of(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::Rejected => Reason::Rejected,
        Verdict::RolledBack => Reason::RolledBack,
        Verdict::Aborted => Reason::Aborted,
        Verdict::Promoted => Reason::Promoted,
    }
}

fn subject(snapshot: &Snapshot, revision: &RevisionRef) -> Subject {
    Subject {
        name: format!("{}/{}", snapshot.key.namespace, revision.name),
        // Our own hashing writes nothing else; a digest that was edited by hand still names what it was.
        sha256: revision
            .digest
            .parse()
            .unwrap_or_else(|_| Digest::of(revision.digest.as_bytes())),
    }
}

pub(super) fn draft(
    snapshot: &Snapshot,
    kind: Kind,
    revision: &RevisionRef,
    trace: &str,
    now: Timestamp,
    body: Value,
) -> Draft {
    let mut draft = Draft::new(kind, subject(snapshot, revision), now.as_millisecond());
    draft.cycle = Some(CycleRef {
        name: snapshot.key.path(),
        uid: snapshot.key.uid.clone(),
    });
    draft.trace_id = trace_id(trace);
    draft.body = match body {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    draft
}

/// A uid without its dashes has the form of a trace id: one life, one trace.
#[must_use]
pub fn trace_id(uid: &str) -> String {
    uid.chars().filter(char::is_ascii_hexdigit).collect()
}

/// ADOPT: the workload's first revision serves all traffic. It is a copy of the target, or what served already.
///
/// # Errors
/// What is wrong with the engine's configuration.
pub fn adoption(
    snapshot: &Snapshot,
    settings: &Settings,
    target: &Target,
    champion: RevisionRef,
    now: Timestamp,
) -> Result<Record, String> {
    let config = snapshot.gates.config.as_ref().map_err(|problems| problems.join("; "))?;
    let engine = master::State::new(config);
    // Until a baseline is measured nobody is better than the champion: 1 is the one value that no challenger exceeds.
    let league = league::register(&league::LeagueState::default(), &champion.name, Num::new(1.0))
        .map_err(|error| format!("the league refuses the champion: {error}"))?;
    let body = json!({
        "target": settings.target_name,
        "targetRevision": target.revision.name,
        "champion": champion,
        "replicas": settings.champion_replicas,
        "route": settings.route_name,
        "gates": snapshot.gates.names,
        "configHash": config.hash().to_string(),
        "stateHash": engine.hash().map(|hash| hash.to_string()).ok(),
    });
    let mut draft = draft(snapshot, Kind::Adopt, &champion, &snapshot.key.uid, now, body);
    draft
        .blobs
        .push(blob("config", &serde_json::to_value(config).unwrap_or_default()));
    draft
        .blobs
        .push(blob("specification", &configuration::specification(settings)));
    draft.blobs.push(declared(snapshot));
    let book = Book {
        format: FORMAT,
        engine,
        league,
        adopted_target: Some(target.revision.name.clone()),
        champion,
        life: None,
        ended: Vec::new(),
        failed: Vec::new(),
        configuration: Some(configuration::digest(config, settings)),
        suspended: false,
    };
    Ok(Record {
        draft,
        book: Some(book),
        withdrawal: None,
    })
}

/// INTENT: a challenger may be started and mirrored to.
///
/// # Errors
/// When the league refuses, or the candidate has no template.
pub fn intent(snapshot: &Snapshot, book: &Book, candidate: &Candidate, now: Timestamp) -> Result<Record, String> {
    let resolved = candidate.revision.as_ref().map_err(Clone::clone)?;
    let revision = RevisionRef::of(resolved);
    let league = league::deploy(&book.league, &revision.name, milliseconds(now))
        .map_err(|error| format!("the league refuses the challenger: {error}"))?;
    let challenger = ChallengerRef {
        name: candidate.name.clone(),
        uid: candidate.uid.clone(),
    };
    let mut body = json!({
        "challenger": challenger,
        "revision": revision,
        "champion": book.champion,
        "gates": snapshot.gates.names,
        "proposal": candidate.proposal,
    });
    let mut failed = book.failed.clone();
    if let Some(before) = failed
        .iter_mut()
        .find(|failed| failed.revision.digest == revision.digest)
    {
        before.retry.clone_from(&candidate.retry);
        // Who reads the ledger sees that the template had failed, and what it was tried again for.
        insert(&mut body, "retry", json!(candidate.retry));
    }
    let draft = draft(snapshot, Kind::Intent, &revision, &candidate.uid, now, body);
    let life = Life {
        challenger,
        revision,
        grant: Grant::Shadow,
        granted_at: now,
        began_at: now,
        had_live_traffic: false,
        effect_recorded: false,
        former_champion: None,
        frozen_reference: None,
    };
    let book = Book {
        league,
        failed,
        life: Some(life),
        ..book.clone()
    };
    Ok(Record {
        draft,
        book: Some(book),
        withdrawal: None,
    })
}

fn insert(body: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = body {
        map.insert(key.to_owned(), value);
    }
}

/// OUTCOME of the present grant: what was observed after the effect.
#[must_use]
pub fn outcome(context: &Context<'_>, observed: &str) -> Record {
    let route = context.snapshot.route.as_ref();
    let body = json!({
        "grant": context.life.grant,
        "observed": observed,
        "route": {
            "name": context.settings.route_name,
            "generation": route.and_then(|route| route.metadata.generation).map(|generation| generation.to_string()),
        },
    });
    let draft = draft(
        context.snapshot,
        Kind::Outcome,
        &context.life.revision,
        &context.life.challenger.uid,
        context.now,
        body,
    );
    let mut book = context.book.clone();
    if let Some(life) = &mut book.life {
        life.effect_recorded = true;
    }
    Record {
        draft,
        book: Some(book),
        withdrawal: None,
    }
}

/// OUTCOME of the end of a life: nothing of it is left in the route.
#[must_use]
pub fn closed(context: &Context<'_>) -> Record {
    let mut record = outcome(context, "the life is closed: the champion alone is in the route");
    if let Some(book) = &mut record.book {
        book.close();
    }
    record
}

/// A withdrawal without the engine, for which nothing has to be proved: OVERRIDE when a person ended the life (by a
/// command, or by deleting the Challenger or the cycle), else REJECTION or ROLLBACK.
#[must_use]
pub fn withdrawal(context: &Context<'_>, end: &End) -> Record {
    let verdict = end.verdict(context.life.had_live_traffic);
    let kind = match (end.aborted, context.life.had_live_traffic) {
        (true, _) => Kind::Override,
        (false, true) => Kind::Rollback,
        (false, false) => Kind::Rejection,
    };
    let body = json!({
        "verdict": verdict,
        "hadLiveTraffic": context.life.had_live_traffic,
        "reason": end.reason.as_str(),
        "message": end.message,
        "grant": context.life.grant,
        "champion": context.life.former_champion.as_ref().unwrap_or(&context.book.champion),
    });
    let draft = draft(
        context.snapshot,
        kind,
        &context.life.revision,
        &context.life.challenger.uid,
        context.now,
        body,
    );
    let mut book = context.book.clone();
    book.leave_league(milliseconds(context.now));
    withdraw_life(&mut book, verdict, context.now);
    Record {
        draft,
        book: Some(book),
        withdrawal: Some(verdict),
    }
}

/// OVERRIDE of a suspension that has begun or ended. It takes nothing from a challenger and gives it nothing.
#[must_use]
pub fn suspension(snapshot: &Snapshot, book: &Book, suspended: bool, now: Timestamp) -> Record {
    let message = if suspended {
        "Suspended by spec.suspend: nothing is raised"
    } else {
        "No longer suspended by spec.suspend"
    };
    let life = book.life.as_ref();
    let body = json!({
        "suspended": suspended,
        "message": message,
        "champion": book.champion,
        "challenger": life.map(|life| &life.challenger),
        "grant": life.map(|life| &life.grant),
    });
    let revision = life.map_or(&book.champion, |life| &life.revision);
    let trace = life.map_or(&snapshot.key.uid, |life| &life.challenger.uid);
    let draft = draft(snapshot, Kind::Override, revision, trace, now, body);
    let book = Book {
        suspended,
        ..book.clone()
    };
    Record {
        draft,
        book: Some(book),
        withdrawal: None,
    }
}

/// Moves a book to "withdrawn": the former champion, if there is one, is champion again.
pub fn withdraw_life(book: &mut Book, verdict: Verdict, now: Timestamp) {
    let Some(life) = &mut book.life else { return };
    if let Some(former) = life.former_champion.take() {
        book.champion = former;
    }
    life.grant = Grant::Withdrawn { verdict };
    life.granted_at = now;
    life.effect_recorded = false;
    // What a person ended has not failed.
    if matches!(verdict, Verdict::Rejected | Verdict::RolledBack) {
        let revision = life.revision.clone();
        book.remember_failure(&revision);
    }
}

/// An entry of the engine's judgement: `GATE_EVAL`, `PROMOTE_ATTEST`, `REJECTION` or `ROLLBACK`, by its decision.
#[must_use]
pub fn judgement(
    snapshot: &Snapshot,
    kind: Kind,
    revision: &RevisionRef,
    trace: &str,
    now: Timestamp,
    judged: &Judged,
) -> Draft {
    let body = json!({
        "stage": judged.stage,
        "verdict": judged.verdict,
        "assessment": judged.assessment,
        "outcome": judged.outcome.as_ref().map(replay::summary),
        "events": judged.outcome.as_ref().map(|outcome| &outcome.events),
        "gates": snapshot.gates.names,
        "unknown": judged.unknown,
    });
    let mut draft = draft(snapshot, kind, revision, trace, now, body);
    if let Some(outcome) = &judged.outcome {
        draft.content_hashes = replay::content_hashes(outcome);
    }
    draft.blobs = judged.replay.iter().map(|(name, value)| blob(name, value)).collect();
    draft.blobs.push(declared(snapshot));
    draft
}

/// OUTCOME of a cycle's deletion. The book goes with it.
#[must_use]
pub fn released(snapshot: &Snapshot, book: &Book, orphan: bool, now: Timestamp) -> Record {
    let body = json!({
        "observed": if orphan { "the cycle was deleted; its champion goes on serving" } else { "the cycle was deleted with everything it owned" },
        "champion": book.champion,
        "stateHash": book.state_hash().ok(),
    });
    let draft = draft(snapshot, Kind::Outcome, &book.champion, &snapshot.key.uid, now, body);
    Record {
        draft,
        book: None,
        withdrawal: None,
    }
}

/// What the gates declare and waive, word for word: part of the ground that a decision stands on.
pub(super) fn declared(snapshot: &Snapshot) -> Blob {
    blob(
        "declared",
        &serde_json::to_value(&snapshot.gates.declared).unwrap_or_default(),
    )
}

pub(super) fn blob(name: &str, value: &Value) -> Blob {
    Blob {
        name: name.to_owned(),
        media_type: JSON.to_owned(),
        content: canonical(value),
    }
}

/// RFC 8785 bytes; a value of JSON always has them.
pub(super) fn canonical(value: &Value) -> Vec<u8> {
    penin_engine::event::canonical(value)
        .map(String::into_bytes)
        .unwrap_or_default()
}
