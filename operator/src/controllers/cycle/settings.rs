//! The cycle's specification in the form that decisions use. The API server has checked the ranges; what only a
//! comparison with something else can show is checked here.

use std::time::Duration;

use penin_api::v1alpha1::PeninCycleSpec;
use penin_api::v1alpha1::cycle::{CanaryStep, DeletionPolicy, GatewayTraffic, ServicePorts};
use penin_ledger::redact;

use super::book::Grant;

/// How long a gateway may have served a route before its acceptance was seen, in milliseconds.
const ACCEPTANCE_MS: u64 = 10_000;

/// A stage's time and samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSettings {
    /// Shortest time.
    pub duration: Duration,
    /// Fewest requests.
    pub min_samples: u64,
    /// Longest time.
    pub deadline: Duration,
}

/// The parsed specification.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the target Deployment.
    pub target_name: String,
    /// Ports of every revision's Service.
    pub ports: ServicePorts,
    /// Pods of the champion.
    pub champion_replicas: i32,
    /// Pods of a challenger, before it is scaled up.
    pub challenger_replicas: i32,
    /// Retired revisions that are kept.
    pub history_limit: usize,
    /// Longest time until pods are ready.
    pub progress_deadline: Duration,
    /// Name of our route.
    pub route_name: String,
    /// Parents, host names and matches.
    pub gateway: GatewayTraffic,
    /// How long old weights may be served after acceptance.
    pub settle: Duration,
    /// Longest time until a route is accepted.
    pub accept_deadline: Duration,
    /// Fewest requests for a share.
    pub share_min_requests: u64,
    /// Share of mirrored requests in percent.
    pub shadow_percent: u8,
    /// The shadow stage.
    pub shadow: StageSettings,
    /// The specification as it was read; its canary has at least one step.
    pub spec: PeninCycleSpec,
    /// Longest time of one canary step.
    pub canary_deadline: Duration,
    /// The watch.
    pub watch: StageSettings,
    /// Time for open requests to end.
    pub drain: Duration,
    /// How often evidence is read.
    pub interval: Duration,
    /// Nothing is raised.
    pub suspend: bool,
    /// What deletion leaves.
    pub deletion_policy: DeletionPolicy,
}

impl Settings {
    /// Parses a specification. `name` is the cycle's; the route has the same.
    ///
    /// # Errors
    /// Every problem, each with the field's path.
    pub fn parse(name: &str, spec: &PeninCycleSpec) -> Result<Self, Vec<String>> {
        let Some(gateway) = spec.traffic.gateway.clone() else {
            return Err(vec!["spec.traffic: must have exactly one of `gateway`".to_owned()]);
        };
        if spec.canary.steps.is_empty() {
            return Err(vec!["spec.canary.steps: must have at least one step".to_owned()]);
        }
        let unrecordable = unrecordable(spec);
        if !unrecordable.is_empty() {
            return Err(unrecordable);
        }
        Ok(Self {
            target_name: spec.target_ref.name.clone(),
            ports: spec.service.clone(),
            champion_replicas: i32::from(spec.revisions.champion.replicas),
            challenger_replicas: i32::from(spec.revisions.challenger.replicas),
            history_limit: usize::from(spec.revisions.history_limit),
            progress_deadline: spec.revisions.progress_deadline.to_std(),
            route_name: name.to_owned(),
            settle: gateway.settle.to_std(),
            accept_deadline: gateway.accept_deadline.to_std(),
            share_min_requests: u64::from(gateway.share_min_requests),
            gateway,
            shadow_percent: spec.shadow.percent.get(),
            shadow: StageSettings {
                duration: spec.shadow.duration.to_std(),
                min_samples: u64::from(spec.shadow.min_samples),
                deadline: spec.shadow.deadline.to_std(),
            },
            spec: spec.clone(),
            canary_deadline: spec.canary.deadline.to_std(),
            watch: StageSettings {
                duration: spec.promotion.watch.to_std(),
                min_samples: u64::from(spec.promotion.min_samples),
                deadline: spec.promotion.deadline.to_std(),
            },
            drain: spec.promotion.drain.to_std(),
            interval: spec.interval.to_std(),
            suspend: spec.suspend,
            deletion_policy: spec.deletion_policy,
        })
    }

    /// The longest time from a grant until its stage has to be over: what is not proved by then is withdrawn.
    #[must_use]
    pub fn stage_deadline(&self, grant: &Grant) -> Duration {
        match grant {
            Grant::Shadow => self.progress_deadline + self.accept_deadline * 2 + self.shadow.deadline,
            Grant::Step { .. } => self.accept_deadline * 2 + self.canary_deadline,
            Grant::Promotion | Grant::Settled | Grant::Withdrawn { .. } => {
                self.progress_deadline + self.accept_deadline + self.watch.deadline
            }
        }
    }

    /// A canary step.
    #[must_use]
    pub fn step(&self, index: usize) -> Option<&CanaryStep> {
        self.spec.canary.steps.get(index)
    }

    /// The longest time from the first canary grant until the mirror is seen to be off.
    #[must_use]
    pub fn mirror_deadline(&self) -> Duration {
        self.accept_deadline * 2
    }

    /// How long before the window of mirrored requests copies may have been sent that are counted in it, in milliseconds:
    /// the counters of a mirror are made with its first copy and may be read for the first time inside the window, while
    /// those of the champion count from their first sample in it.
    #[must_use]
    pub fn mirror_lead_ms(&self) -> u64 {
        let sources = self.spec.evidence.iter();
        let oldest = sources.map(|source| source.prometheus.max_age.as_millis()).max();
        let settle = u64::try_from(self.settle.as_millis()).unwrap_or(u64::MAX);
        oldest.unwrap_or(0).saturating_add(settle).saturating_add(ACCEPTANCE_MS)
    }

    /// The longest time from a grant until the route has to be accepted: in the shadow stage, pods come first. A live
    /// grant that is older raises nothing any more.
    #[must_use]
    pub fn route_deadline(&self, grant: &Grant) -> Duration {
        match grant {
            Grant::Shadow => self.progress_deadline + self.accept_deadline * 2,
            _ => self.accept_deadline * 2,
        }
    }
}

/// Names under which the ledger would take no entry. A ratio's name becomes a field of the recorded evidence, and its
/// counts stand there as texts, as all 64-bit integers do. Names of metrics need no such rule, for below them stand
/// numbers alone; names of sources with a preset stand in values.
fn unrecordable(spec: &PeninCycleSpec) -> Vec<String> {
    let sources = spec.evidence.iter().enumerate();
    let ratios = sources.filter(|(_, source)| source.ratio.is_some());
    let secret = ratios.filter_map(|(index, source)| Some((index, &source.name, redact::secret_word(&source.name)?)));
    secret
        .map(|(index, name, word)| {
            format!(
                "spec.evidence[{index}].name: {name:?} reads like the name of a secret because of {word:?}, and the ledger \
                 takes no text below such a name; choose another name for the ratio, and use it in spec.scores"
            )
        })
        .collect()
}
