//! The parts of a pass: what it reads, appends and publishes.

use penin_ledger::Digest;

use super::*;
use crate::scoring::UnknownReason;

impl World {
    pub(super) fn measure(&self, measure: &Measure) -> crate::scoring::Evidence {
        let mut evidence = evidence::measure(&self.source, &self.plane, measure, |revision| {
            self.deployments.get(revision).map(model_of).unwrap_or_default()
        });
        let reference = evidence.reference.iter_mut();
        for side in reference.chain([&mut evidence.candidate]) {
            if side.resources.known().is_some() && self.has_young_pods(&side.revision) {
                side.resources = evidence::unknown(UnknownReason::NotYetSampled);
            }
        }
        evidence
    }

    /// Whether pods of a revision were started so lately that they were read once: no rate comes of one sample.
    fn has_young_pods(&self, revision: &str) -> bool {
        let sized = self.sized.get(revision);
        self.unread_pods || sized.is_some_and(|sized| self.now.duration_since(sized.1) < SignedDuration::from_secs(20))
    }

    pub fn snapshot(&self, cycle: &PeninCycle) -> Snapshot {
        let key = observe::key_of(cycle).unwrap();
        let deployments: Vec<_> = self.deployments.values().cloned().collect();
        let services: Vec<_> = self.services.values().chain(&self.foreign_services).cloned().collect();
        let slices: Vec<_> = self
            .services
            .keys()
            .map(|name| objects::slice(name, self.ready(name)))
            .collect();
        let challengers: Vec<_> = self.challengers.values().cloned().collect();
        let missing = observe::missing_target(objects::CYCLE);
        let target = self.target.as_ref().ok_or(&missing);
        let book = match (self.ledger, &self.book) {
            (LedgerMode::Closed, _) => Err(BookError::Unreadable("the ledger is closed".to_owned())),
            (_, None) => Ok(None),
            (_, Some(bytes)) => Book::parse(bytes).map(Some),
        };
        let problem = match self.ledger {
            LedgerMode::Up | LedgerMode::Slow | LedgerMode::Late => None,
            LedgerMode::Broken | LedgerMode::Closed => Some("no space left on device".to_owned()),
        };
        let mut snapshot = Snapshot {
            deleting: cycle.metadata.deletion_timestamp.is_some(),
            has_finalizer: cycle.finalizers().iter().any(|name| name == FINALIZER_CYCLE),
            ledger: self.ledger_says.clone().unwrap_or_else(|| LedgerView {
                origin: "penin.ai/ledger/test".to_owned(),
                problem,
                corrupt: false,
                clock_behind: None,
                publication: None,
            }),
            gates: gate::combine(cycle, &self.gates),
            candidates: observe::candidates(&challengers, target, &key, cycle),
            revisions: observe::revisions(&key, &cycle.spec.service, &deployments, &services, &slices),
            remembered: observe::remembered(cycle),
            fresh_token: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            conflict: None,
            rival: observe::rival(cycle, &self.rivals),
            selector_conflict: None,
            evidence: None,
            settings: Settings::parse(&key.name, &cycle.spec),
            book,
            book_digest: self.book.as_ref().map(|bytes| Digest::of(bytes)),
            target: target
                .map_err(Clone::clone)
                .and_then(|object| observe::resolve_target(object, &key, cycle)),
            route: self.route.clone(),
            key,
        };
        snapshot.selector_conflict = selectors::conflict(&snapshot, &deployments, &services, !self.crowded);
        snapshot
    }

    pub(super) fn publish(&mut self, snapshot: &Snapshot, plan: &Plan, outcome: &Outcome) {
        let seen = status::Seen {
            snapshot,
            plan,
            outcome,
            head: Some((self.entries.len() as u64, "0".repeat(64))),
            now: self.now,
        };
        for (name, status) in status::challengers(&seen) {
            if let Some(challenger) = self.challengers.get_mut(&name) {
                challenger.status = Some(stored(&status));
            }
        }
        if let Some(cycle) = &mut self.cycle {
            let before = cycle.status.clone().unwrap_or_default();
            cycle.status = Some(stored(&status::cycle(&before, &seen)));
        }
    }

    pub(super) fn apply(&mut self, snapshot: &Snapshot, plan: &Plan) -> Outcome {
        match &plan.action {
            Action::None | Action::Measure(_) => Outcome::Nothing,
            Action::Record(record) => self.append(snapshot, record),
            Action::Write(write) => {
                if let Write::Route { desired, .. } = &**write {
                    self.check_route(snapshot, desired);
                }
                self.write(write);
                Outcome::Written
            }
        }
    }

    pub(super) fn append(&mut self, snapshot: &Snapshot, record: &Record) -> Outcome {
        let draft = record
            .complete(&snapshot.key.state_key(), snapshot.book_digest)
            .unwrap();
        if let Err(error) = penin_ledger::entry::Prepared::new(draft.clone()) {
            return Outcome::Refused { why: error.to_string() };
        }
        let why = "no space left on device".to_owned();
        match (self.ledger, record.withdrawal) {
            (LedgerMode::Up, _) => {
                // There is one writer: what is on its way comes first.
                for (_, late) in std::mem::take(&mut self.late) {
                    self.take_if_current(late);
                }
                if !self.take_if_current(draft) {
                    return Outcome::Conflict;
                }
                let sequence = self.entries.len() as u64;
                Outcome::Recorded { sequence }
            }
            (LedgerMode::Late, withdrawal) => {
                self.late.push((self.now + SignedDuration::from_secs(3), draft));
                match withdrawal {
                    Some(_) => Outcome::Queued { why },
                    None => Outcome::NotRecorded { why },
                }
            }
            (LedgerMode::Slow, Some(_)) => Outcome::Queued { why },
            (_, Some(_)) => {
                assert!(self.queue.len() < 8, "one withdrawal is queued again and again");
                self.queue.push(draft);
                Outcome::Queued { why }
            }
            (_, None) => Outcome::NotRecorded { why },
        }
    }

    /// Takes an entry if the book that it was decided on is still the one that is stored.
    pub(super) fn take_if_current(&mut self, draft: Draft) -> bool {
        let stored = self.book.as_ref().map(|bytes| Digest::of(bytes));
        let current = draft.basis.iter().all(|basis| basis.sha256 == stored);
        if current {
            self.take(draft);
        }
        current
    }

    pub(super) fn take(&mut self, draft: Draft) {
        let state = draft.state.last().unwrap();
        self.book = (!state.value.is_empty()).then(|| state.value.clone());
        self.entries.push((draft.kind, Value::Object(draft.body)));
    }
}

/// A status as it comes back from the API server.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(status: &T) -> T {
    serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap()
}
