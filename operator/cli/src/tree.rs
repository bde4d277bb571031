//! One cycle as a tree, for somebody who was woken up by it: what is wrong comes first, then what serves, then what is
//! under test and what keeps it from going on. Pure text.

mod challenger;
mod node;

use std::cmp::Reverse;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use penin_api::v1alpha1::cycle::{ChampionStatus, CommandAcknowledgement, LedgerHead};
use penin_api::v1alpha1::{Challenger, ChallengerPhase, DecisionRecord, PeninCycle};

pub use challenger::{phase, tone};
pub use node::Node;

use crate::rows::ago;
use crate::table::{Tone, cut};

/// How many ended challengers and ledger entries are shown.
const FEW: usize = 3;
/// The same in a wide tree.
const MANY: usize = 20;

/// Everything that a tree shows.
pub struct View<'a> {
    /// The cycle.
    pub cycle: &'a PeninCycle,
    /// Its challengers.
    pub challengers: &'a [Challenger],
    /// The time of the look.
    pub now: Timestamp,
    /// Whether to colour.
    pub colour: bool,
    /// More of everything.
    pub wide: bool,
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root().render(self.colour))
    }
}

/// Date and time, to the second.
#[must_use]
pub fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

impl View<'_> {
    fn root(&self) -> Node {
        let name = format!(
            "{}/{}",
            self.cycle.namespace().unwrap_or_default(),
            self.cycle.name_any()
        );
        let Some(status) = &self.cycle.status else {
            return Node::toned(
                Tone::Open,
                format!("? PeninCycle {name}: no operator has looked at it yet"),
            );
        };
        let (tone, state) = match find(&status.conditions, "Ready") {
            None => (Tone::Open, "no operator has looked at it yet".to_owned()),
            Some(ready) if ready.status == "True" => (Tone::Good, "ready".to_owned()),
            Some(ready) => (Tone::Bad, format!("NOT READY ({})", ready.reason)),
        };
        let mut root = Node::toned(tone, format!("{} PeninCycle {name}: {state}", tone.sign()));
        // With a challenger in flight the message is about it, and stands there.
        let message = find(&status.conditions, "Ready").map(|ready| ready.message.as_str());
        let of_cycle = message.filter(|text| !text.is_empty() && (status.challenger.is_none() || tone != Tone::Good));
        root.extend(of_cycle.map(|text| Node::labelled("now", text)));
        root.extend(self.problems());
        root.extend(status.champion.as_ref().map(|champion| self.champion(champion)));
        root.extend(self.active());
        root.extend(self.queue());
        root.extend(self.ended());
        root.extend(self.entries());
        root.extend(status.ledger.as_ref().map(ledger));
        root.extend(status.last_command.as_ref().map(command));
        root
    }

    /// Conditions that a person has to know about.
    fn problems(&self) -> Vec<Node> {
        let status = self.cycle.status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = find(conditions, "Ready");
        let unusual = conditions.iter().filter(|condition| match condition.type_.as_str() {
            // What the first line says already is not said again.
            "Stalled" => condition.status == "True" && ready.is_none_or(|ready| ready.reason != condition.reason),
            "TargetChanged" | "Suspended" => condition.status == "True",
            "Accepted" | "ResolvedRefs" | "TrafficProgrammed" | "LedgerAvailable" | "EvidenceAvailable" => {
                condition.status == "False"
            }
            _ => false,
        });
        let mut nodes: Vec<Node> = unusual
            .map(|condition| {
                let tone = match condition.type_.as_str() {
                    "TargetChanged" | "Suspended" => Tone::Open,
                    _ => Tone::Bad,
                };
                let text = format!(
                    "! {}={} ({}): {}",
                    condition.type_, condition.status, condition.reason, condition.message
                );
                Node::toned(tone, text.trim_end_matches(": ").to_owned())
            })
            .collect();
        let seen = status.and_then(|status| status.observed_generation).unwrap_or(-1);
        let generation = self.cycle.metadata.generation.unwrap_or(0);
        if seen < generation {
            let text = format!("! the operator has not seen the newest spec (generation {generation}, seen {seen})");
            nodes.insert(0, Node::toned(Tone::Open, text));
        }
        nodes
    }

    fn champion(&self, champion: &ChampionStatus) -> Node {
        let ready = champion.ready_endpoints;
        let text = format!(
            "{}, {ready} ready {}, since {} ({})",
            champion.revision,
            if ready == 1 { "endpoint" } else { "endpoints" },
            clock(champion.since.0),
            ago(champion.since.0, self.now)
        );
        let node = Node::labelled("champion", &text);
        if ready == 0 { node.with_tone(Tone::Bad) } else { node }
    }

    fn active(&self) -> Option<Node> {
        let active = self.cycle.status.as_ref()?.challenger.as_ref()?;
        let object = self
            .challengers
            .iter()
            .find(|challenger| challenger.name_any() == active.name);
        Some(challenger::active(self, active, object))
    }

    fn is_active(&self, challenger: &Challenger) -> bool {
        let active = self.cycle.status.as_ref().and_then(|status| status.challenger.as_ref());
        active.is_some_and(|active| active.name == challenger.name_any())
    }

    /// Those that wait, in the order in which they will be tried.
    fn queue(&self) -> Option<Node> {
        let mut waiting: Vec<&Challenger> = self
            .challengers
            .iter()
            .filter(|challenger| !self.is_active(challenger) && !phase(challenger).is_final())
            .collect();
        waiting.sort_by_key(|challenger| {
            (
                challenger.creation_timestamp().map(|time| time.0),
                challenger.name_any(),
            )
        });
        if waiting.is_empty() {
            return None;
        }
        let mut node = Node::labelled("queue", &format!("{} waiting", waiting.len()));
        let limit = self.limit();
        for challenger in waiting.iter().take(limit) {
            let message = challenger.status.as_ref().map_or("", |status| status.message.as_str());
            let line = format!("{}: {message}", challenger.name_any());
            node.push(Node::text(line.trim_end_matches(": ")));
        }
        if waiting.len() > limit {
            node.push(Node::text(format!("and {} more", waiting.len() - limit)));
        }
        Some(node)
    }

    /// The last ones that ended, newest first.
    fn ended(&self) -> Option<Node> {
        let mut ended: Vec<&Challenger> = self
            .challengers
            .iter()
            .filter(|challenger| !self.is_active(challenger) && phase(challenger).is_final())
            .collect();
        ended.sort_by_key(|challenger| {
            let since = challenger::ended_at(challenger);
            Reverse((since, challenger.creation_timestamp().map(|time| time.0)))
        });
        if ended.is_empty() {
            return None;
        }
        let mut node = Node::labelled("ended", &format!("{}, newest first", ended.len()));
        node.extend(
            ended
                .into_iter()
                .take(self.limit())
                .map(|challenger| challenger::ended(self, challenger)),
        );
        Some(node)
    }

    /// The last decisions that were recorded, newest first.
    fn entries(&self) -> Option<Node> {
        let of_cycle = self
            .cycle
            .status
            .as_ref()
            .and_then(|status| status.last_decision.as_ref());
        let of_challengers = self.challengers.iter().filter_map(|challenger| {
            let decision = challenger.status.as_ref()?.decision.as_ref()?;
            Some((decision.entry?.get(), challenger.name_any(), decision))
        });
        let mut entries: Vec<(u64, String, &DecisionRecord)> = of_challengers.collect();
        if let Some((entry, decision)) = of_cycle.and_then(|decision| Some((decision.entry?.get(), decision)))
            && !entries.iter().any(|(known, ..)| *known == entry)
        {
            entries.push((entry, "the cycle".to_owned(), decision));
        }
        entries.sort_by_key(|(entry, ..)| Reverse(*entry));
        if entries.is_empty() {
            return None;
        }
        let mut node = Node::labelled("last entries", "of decisions, in the ledger");
        node.extend(entries.into_iter().take(self.limit()).map(|(entry, name, decision)| {
            let text = format!(
                "#{entry}  {}  {name}: {:?} {}",
                clock(decision.time.0),
                decision.decision,
                decision.reason
            );
            Node::text(text)
        }));
        Some(node)
    }

    const fn limit(&self) -> usize {
        if self.wide { MANY } else { FEW }
    }
}

fn ledger(head: &LedgerHead) -> Node {
    Node::labelled(
        "ledger",
        &format!("{} entries, root {}", head.size.get(), cut(&head.root, 17)),
    )
}

fn command(command: &CommandAcknowledgement) -> Node {
    let text = format!(
        "{} {}: {:?}. {}",
        command.verb, command.id, command.result, command.message
    );
    Node::labelled("last command", text.trim_end_matches(". "))
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether nothing more happens to a challenger.
#[must_use]
pub fn is_over(challenger: &Challenger) -> bool {
    phase(challenger).is_final()
}

/// Whether it ended as its author hoped.
#[must_use]
pub fn is_promoted(challenger: &Challenger) -> bool {
    phase(challenger) == ChallengerPhase::Promoted
}
