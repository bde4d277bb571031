//! Whether every parent of the route has accepted what it says now.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use penin_api::foreign::{HttpRoute, ParentReference, RouteParentStatus};

/// Longest text of a gateway's own words that is passed on.
const MAX_WORDS: usize = 512;

/// Conditions that a route must have at each parent.
const REQUIRED: [&str; 2] = ["Accepted", "ResolvedRefs"];
/// Condition that a route must not have: rules were dropped, or an older generation is served.
const PARTIALLY_INVALID: &str = "PartiallyInvalid";
/// Reason for `Accepted=False` of a controller that has not looked yet.
const REASON_PENDING: &str = "Pending";
/// Condition of Envoy Gateway: backends have endpoints.
const BACKENDS_AVAILABLE: &str = "BackendsAvailable";

/// What the parents say about the present generation. It is the controllers' word, not the data plane's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// Somebody has not answered yet.
    Pending {
        /// Who, and what is missing, as a clause.
        waiting_for: String,
    },
    /// Every controller of every parent has accepted this generation and resolved its references.
    Accepted,
    /// A controller has refused it.
    Refused {
        /// The parent.
        parent: String,
        /// The condition that says so.
        condition: String,
        /// Its reason.
        reason: String,
        /// The whole finding as a sentence, with the controller's own words.
        message: String,
    },
}

/// The parents' verdict on `generation`. A refusal anywhere outweighs a missing answer elsewhere.
///
/// Every controller that reports on a parent has to accept, and an answer about an older generation is none: it
/// describes weights that were replaced.
#[must_use]
pub fn acceptance(route: &HttpRoute, generation: i64) -> Acceptance {
    let namespace = route.metadata.namespace.as_deref().unwrap_or_default();
    let answers = route.status.as_ref().map_or(&[][..], |status| &status.parents);
    let mut pending = None;
    for parent in &route.spec.parent_refs {
        let mut answered = false;
        for answer in answers.iter().filter(|a| a.parent_ref.same_parent(parent, namespace)) {
            answered = true;
            match verdict(answer, generation) {
                Acceptance::Accepted => {}
                refused @ Acceptance::Refused { .. } => return refused,
                waiting @ Acceptance::Pending { .. } => pending = pending.or(Some(waiting)),
            }
        }
        if !answered && pending.is_none() {
            let waiting_for = format!("no controller has answered for {}", describe(parent));
            pending = Some(Acceptance::Pending { waiting_for });
        }
    }
    if route.spec.parent_refs.is_empty() {
        let waiting_for = "the route has no parent that could accept it".to_owned();
        return Acceptance::Pending { waiting_for };
    }
    pending.unwrap_or(Acceptance::Accepted)
}

/// One controller's verdict at one parent.
fn verdict(answer: &RouteParentStatus, generation: i64) -> Acceptance {
    let parent = describe(&answer.parent_ref);
    let find = |type_: &str| answer.conditions.iter().find(|c| c.type_ == type_);
    // Whatever its generation: what was dropped may still be missing.
    if let Some(condition) = find(PARTIALLY_INVALID).filter(|c| c.status == "True") {
        return refusal(parent, condition);
    }
    for required in REQUIRED {
        let current = find(required).filter(|c| c.observed_generation >= Some(generation));
        match current {
            Some(condition) if condition.status == "True" => {}
            Some(condition) if condition.status == "False" && condition.reason != REASON_PENDING => {
                return refusal(parent, condition);
            }
            _ => {
                let waiting_for = format!("{parent} has not confirmed {required} for generation {generation}");
                return Acceptance::Pending { waiting_for };
            }
        }
    }
    Acceptance::Accepted
}

fn refusal(parent: String, condition: &Condition) -> Acceptance {
    let Condition {
        type_,
        status,
        reason,
        message,
        ..
    } = condition;
    let words: String = message.chars().take(MAX_WORDS).collect();
    let message = format!("{parent} refuses the route: {type_}={status}, {reason}: {words}");
    Acceptance::Refused {
        parent,
        condition: type_.clone(),
        reason: reason.clone(),
        message,
    }
}

/// What a gateway says about backends without endpoints (`BackendsAvailable=False`, Envoy Gateway), in its own
/// words. It is no refusal: the route is in force, and requests for that backend are answered with 503. None means
/// that no gateway says so, which many never do.
#[must_use]
pub fn missing_backends(route: &HttpRoute) -> Option<String> {
    let answers = route.status.iter().flat_map(|status| &status.parents);
    let mut conditions = answers.flat_map(|answer| &answer.conditions);
    let missing = conditions.find(|c| c.type_ == BACKENDS_AVAILABLE && c.status == "False")?;
    Some(missing.message.chars().take(MAX_WORDS).collect())
}

/// `Gateway namespace/name, listener x`.
pub(super) fn describe(parent: &ParentReference) -> String {
    let kind = parent.kind.as_deref().unwrap_or("Gateway");
    let mut text = match &parent.namespace {
        Some(namespace) => format!("{kind} {namespace}/{}", parent.name),
        None => format!("{kind} {}", parent.name),
    };
    if let Some(section) = &parent.section_name {
        text.push_str(", listener ");
        text.push_str(section);
    }
    if let Some(port) = parent.port {
        text.push_str(", port ");
        text.push_str(&port.to_string());
    }
    text
}

#[cfg(test)]
mod tests;
