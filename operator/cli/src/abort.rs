//! `abort`: asking the operator to take a challenger out of traffic.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use penin_api::names::ANNOTATION_ABORT;
use penin_api::v1alpha1::cycle::{CommandAcknowledgement, CommandResult};
use penin_api::v1alpha1::{Challenger, PeninCycle};
use penin_api::values::Duration;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::arguments::ClusterArguments;
use crate::cluster::Cluster;
use crate::explain::one_name;
use crate::watch::Patience;
use crate::what::{Kind, What};
use crate::{CommandError, Exit, output, tree};

/// Runs the verb; with `wait` until the operator has carried it out.
///
/// # Errors
/// What the API server answers, or that it does not; that there is nothing to abort; that it takes too long.
pub async fn run(
    cluster: &ClusterArguments,
    what: What,
    name: Option<String>,
    wait: Option<Duration>,
) -> Result<Exit, CommandError> {
    let kind = what.kind;
    let name = one_name(what, name)?;
    let cluster = Cluster::connect(cluster).await?;
    match kind {
        Kind::Cycle => abort::<PeninCycle>(&cluster, kind, &name, wait).await,
        Kind::Challenger => abort::<Challenger>(&cluster, kind, &name, wait).await,
    }
}

/// What can be aborted.
trait Abortable {
    /// Why there is nothing to abort.
    fn nothing(&self) -> Option<&'static str>;
    /// What became of the last command.
    fn last_command(&self) -> Option<&CommandAcknowledgement>;
}

impl Abortable for PeninCycle {
    fn nothing(&self) -> Option<&'static str> {
        let active = self.status.as_ref().and_then(|status| status.challenger.as_ref());
        active.is_none().then_some("has no challenger in flight")
    }

    fn last_command(&self) -> Option<&CommandAcknowledgement> {
        self.status.as_ref()?.last_command.as_ref()
    }
}

impl Abortable for Challenger {
    fn nothing(&self) -> Option<&'static str> {
        tree::is_over(self).then_some("has already ended")
    }

    fn last_command(&self) -> Option<&CommandAcknowledgement> {
        self.status.as_ref()?.last_command.as_ref()
    }
}

async fn abort<K>(cluster: &Cluster, kind: Kind, name: &str, wait: Option<Duration>) -> Result<Exit, CommandError>
where
    K: Abortable + Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let api = cluster.here::<K>();
    let object = cluster.call(api.get(name)).await?;
    let shown = format!("{}/{name}", kind.qualified());
    if let Some(why) = object.nothing() {
        return Err(CommandError::Message(format!("{shown} {why}")));
    }
    // Unique for this object: no two commands follow the same version of it.
    let id = format!("peninctl-{}", object.resource_version().unwrap_or_default());
    let mut annotations = json!({ ANNOTATION_ABORT: id });
    if let Some(actor) = whoami(cluster).await {
        annotations = json!({ ANNOTATION_ABORT: id, penin_api::names::ANNOTATION_ABORT_ACTOR: actor });
    }
    // The uid keeps the command away from a later object of the same name.
    let patch = json!({"metadata": {"uid": object.uid(), "annotations": annotations}});
    cluster
        .call(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)))
        .await?;
    let Some(limit) = wait else {
        output::line(&format!("{shown} abort requested"))?;
        return Ok(Exit::Ok);
    };
    let patience = Patience::new(Some(&limit), format!("the operator to abort {shown}"));
    loop {
        patience.pause().await?;
        let read = match cluster.call(api.get_opt(name)).await {
            Ok(read) => read,
            Err(error) => {
                eprintln!("warning: {error}");
                continue;
            }
        };
        let Some(object) = read else {
            return Err(CommandError::Message(format!("{shown} was deleted")));
        };
        let Some(command) = object.last_command().filter(|command| command.id == id) else {
            continue;
        };
        match command.result {
            CommandResult::Accepted => {}
            CommandResult::Completed => {
                output::line(&format!("{shown} aborted"))?;
                return Ok(Exit::Ok);
            }
            CommandResult::Refused => {
                eprintln!("error: {shown}: {}", command.message);
                return Ok(Exit::Refused);
            }
        }
    }
}

/// The name under which the API server knows the caller; none when it does not say.
async fn whoami(cluster: &Cluster) -> Option<String> {
    let api = cluster.everywhere::<SelfSubjectReview>();
    let review = cluster
        .call(api.create(&PostParams::default(), &SelfSubjectReview::default()))
        .await
        .ok()?;
    review.status?.user_info?.username
}
