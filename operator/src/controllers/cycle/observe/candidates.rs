//! The Challengers of a cycle, with what each of them would run and what is asked of it.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Resource as _, ResourceExt as _};
use penin_api::names::{
    ANNOTATION_ABORT, ANNOTATION_ABORT_ACTOR, ANNOTATION_RETRY, COMMAND_ID_MAX_LENGTH, FINALIZER_CHALLENGER,
};
use penin_api::v1alpha1::cycle::CommandAcknowledgement;
use penin_api::v1alpha1::{Challenger, ChallengerStatus, PeninCycle};

use crate::controllers::cycle::position::Position;
use crate::controllers::cycle::snapshot::{Candidate, CycleKey, TargetProblem};
use crate::controllers::cycle::status::VERB_ABORT;
use crate::workload::{self, Revision};

/// Most characters of a user's name that enter the ledger.
const ACTOR_MAX_LENGTH: usize = 253;

/// Challengers that have a uid, oldest first.
#[must_use]
pub fn candidates(
    challengers: &[Challenger],
    target: Result<&Deployment, &TargetProblem>,
    key: &CycleKey,
    cycle: &PeninCycle,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = challengers
        .iter()
        .filter_map(|challenger| candidate(challenger, target, key, cycle))
        .collect();
    candidates.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    candidates
}

/// The id by which another try is asked for, as far as a status can hold it.
fn retry_of(challenger: &Challenger) -> Option<String> {
    let id = challenger.annotations().get(ANNOTATION_RETRY)?;
    let id: String = id.chars().take(COMMAND_ID_MAX_LENGTH).collect();
    (!id.is_empty()).then_some(id)
}

/// Aborts that were asked for and not acknowledged yet.
struct Commands {
    own: Option<String>,
    of_cycle: Option<String>,
    actor: Option<String>,
}

fn commands(challenger: &Challenger, status: &ChallengerStatus, cycle: &PeninCycle) -> Commands {
    let acknowledged = |last: Option<&CommandAcknowledgement>, id: &str| {
        // The status holds no more of an id than this.
        let same = |known: &str| known.chars().eq(id.chars().take(COMMAND_ID_MAX_LENGTH));
        last.is_some_and(|command| command.verb == VERB_ABORT && same(&command.id))
    };
    let own = challenger
        .annotations()
        .get(ANNOTATION_ABORT)
        .filter(|id| !acknowledged(status.last_command.as_ref(), id));
    let of_cycle = cycle.annotations().get(ANNOTATION_ABORT).filter(|id| {
        let last = cycle.status.as_ref().and_then(|status| status.last_command.as_ref());
        !acknowledged(last, id)
    });
    // Whoever asks on the Challenger itself comes first; without any command there is nobody to name.
    let asked_on = own
        .map(|_| challenger.annotations())
        .or(of_cycle.map(|_| cycle.annotations()));
    let actor = asked_on.and_then(|annotations| annotations.get(ANNOTATION_ABORT_ACTOR));
    Commands {
        own: own.cloned(),
        of_cycle: of_cycle.cloned(),
        actor: actor.map(|actor| actor.chars().take(ACTOR_MAX_LENGTH).collect()),
    }
}

fn candidate(
    challenger: &Challenger,
    target: Result<&Deployment, &TargetProblem>,
    key: &CycleKey,
    cycle: &PeninCycle,
) -> Option<Candidate> {
    let status = challenger.status.clone().unwrap_or_default();
    let revision: Result<Revision, String> = target.map_err(|problem| problem.message.clone()).and_then(|target| {
        workload::resolve(target, &key.name, &challenger.spec.containers).map_err(|error| error.to_string())
    });
    let commands = commands(challenger, &status, cycle);
    let position = status.position.as_ref();
    Some(Candidate {
        name: challenger.name_any(),
        uid: challenger.uid()?,
        generation: challenger.metadata.generation.unwrap_or(0),
        created: challenger
            .creation_timestamp()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleting: challenger.meta().deletion_timestamp.is_some(),
        has_finalizer: challenger.finalizers().iter().any(|name| name == FINALIZER_CHALLENGER),
        phase: status.phase,
        pending_withdrawal: position.and_then(|position| position.outcome),
        abort: commands.own,
        cycle_abort: commands.of_cycle,
        retry: retry_of(challenger),
        abort_actor: commands.actor,
        proposal: challenger.spec.proposal.clone(),
        revision,
        position: position
            .map(|position| Position::from_api(&position.timers))
            .unwrap_or_default(),
        status,
    })
}
