//! Verbs that talk to a cluster.

use std::time::Duration;

use kube::api::{ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use penin_api::names::ANNOTATION_ABORT;
use penin_api::v1alpha1::{Challenger, ChallengerPhase, PeninCycle};
use serde::Serialize;
use serde_json::json;

use crate::arguments::{ClusterArguments, Kind, Output};
use crate::table::{coloured, columns, cut};
use crate::{CommandError, Exit, tree};

/// Most objects that are listed.
const MOST: u32 = 500;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest time of one call.
const CALL: Duration = Duration::from_secs(15);

/// The client and the namespace of the flags.
async fn client(arguments: &ClusterArguments) -> Result<(Client, String), CommandError> {
    let options = KubeConfigOptions {
        context: arguments.context.clone(),
        ..KubeConfigOptions::default()
    };
    let mut config = match &arguments.kubeconfig {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
        None if arguments.context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await?,
    };
    config.read_timeout = Some(CALL);
    let namespace = arguments
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    Ok((Client::try_from(config)?, namespace))
}

fn print<T: Serialize>(value: &T, output: Output) -> Result<(), CommandError> {
    let text = match output {
        Output::Yaml => serde_saphyr::to_string(value).map_err(|error| CommandError::Output(error.to_string()))?,
        _ => serde_json::to_string_pretty(value).map_err(|error| CommandError::Output(error.to_string()))?,
    };
    println!("{}", text.trim_end());
    Ok(())
}

/// `get`.
pub async fn get(
    arguments: &ClusterArguments,
    kind: Kind,
    name: Option<String>,
    watch: bool,
) -> Result<Exit, CommandError> {
    let (client, namespace) = client(arguments).await?;
    match (kind, name) {
        (Kind::Cycles, Some(name)) => show(&client, &namespace, &name, arguments.output, watch).await,
        (Kind::Cycles, None) => cycles(&client, &namespace, arguments).await,
        (Kind::Challengers, name) => challengers(&client, &namespace, arguments, name.as_deref()).await,
    }
}

fn scope<K>(client: &Client, namespace: &str, all: bool) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    if all {
        Api::all(client.clone())
    } else {
        Api::namespaced(client.clone(), namespace)
    }
}

async fn cycles(client: &Client, namespace: &str, arguments: &ClusterArguments) -> Result<Exit, CommandError> {
    let api: Api<PeninCycle> = scope(client, namespace, arguments.all_namespaces);
    let list = api.list(&ListParams::default().limit(MOST)).await?;
    if arguments.output != Output::Table {
        print(&list.items, arguments.output)?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = list.items.iter().map(cycle_row).collect();
    println!(
        "{}",
        columns(
            &[
                "NAMESPACE",
                "NAME",
                "READY",
                "CHAMPION",
                "CHALLENGER",
                "STAGE",
                "WEIGHT"
            ],
            &rows
        )
    );
    Ok(Exit::Ok)
}

fn cycle_row(cycle: &PeninCycle) -> Vec<String> {
    let status = cycle.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let active = status.challenger.as_ref();
    vec![
        cycle.namespace().unwrap_or_default(),
        cycle.name_any(),
        ready.map_or_else(|| "-".to_owned(), |condition| condition.status.clone()),
        status
            .champion
            .as_ref()
            .map_or_else(|| "-".to_owned(), |champion| champion.revision.clone()),
        active.map_or_else(|| "-".to_owned(), |active| active.name.clone()),
        active.map_or_else(|| "-".to_owned(), |active| format!("{:?}", active.stage)),
        active.map_or_else(|| "-".to_owned(), |active| format!("{} %", active.weight.written.get())),
    ]
}

async fn challengers(
    client: &Client,
    namespace: &str,
    arguments: &ClusterArguments,
    name: Option<&str>,
) -> Result<Exit, CommandError> {
    let api: Api<Challenger> = scope(client, namespace, arguments.all_namespaces);
    let mut items = api.list(&ListParams::default().limit(MOST)).await?.items;
    if let Some(name) = name {
        items.retain(|challenger| challenger.name_any() == name);
    }
    if arguments.output != Output::Table {
        print(&items, arguments.output)?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = items.iter().map(challenger_row).collect();
    println!("{}", columns(&["NAME", "CYCLE", "PHASE", "DECISION", "MESSAGE"], &rows));
    Ok(name.map_or(Exit::Ok, |_| verdict(items.first())))
}

fn challenger_row(challenger: &Challenger) -> Vec<String> {
    let status = challenger.status.clone().unwrap_or_default();
    vec![
        challenger.name_any(),
        challenger.spec.cycle_ref.name.clone(),
        status
            .phase
            .map_or_else(|| "Pending".to_owned(), |phase| format!("{phase:?}")),
        status
            .decision
            .as_ref()
            .map_or_else(|| "-".to_owned(), |decision| format!("{:?}", decision.decision)),
        cut(&status.message, 45),
    ]
}

/// What a challenger's phase means for scripts.
fn verdict(challenger: Option<&Challenger>) -> Exit {
    match challenger
        .and_then(|challenger| challenger.status.as_ref())
        .and_then(|status| status.phase)
    {
        Some(ChallengerPhase::Promoted) => Exit::Ok,
        Some(phase) if phase.is_final() => Exit::Refused,
        _ => Exit::Waiting,
    }
}

async fn show(client: &Client, namespace: &str, name: &str, output: Output, watch: bool) -> Result<Exit, CommandError> {
    let cycles: Api<PeninCycle> = Api::namespaced(client.clone(), namespace);
    let challengers: Api<Challenger> = Api::namespaced(client.clone(), namespace);
    let of_cycle = ListParams::default()
        .fields(&format!("spec.cycleRef.name={name}"))
        .limit(MOST);
    let mut shown = String::new();
    loop {
        let (cycle, list) = tokio::try_join!(cycles.get(name), challengers.list(&of_cycle))?;
        if output != Output::Table {
            print(&cycle, output)?;
            return Ok(Exit::Ok);
        }
        let mut items = list.items;
        items.sort_by_key(|challenger| challenger.creation_timestamp().map(|time| time.0));
        let text = tree::cycle(&cycle, &items, coloured());
        if text != shown {
            if watch && coloured() {
                // Home and clear: the tree stands still while it changes.
                print!("\u{1b}[H\u{1b}[2J");
            }
            print!("{text}");
            if watch && !coloured() {
                println!();
            }
            shown = text;
        }
        if !watch {
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// `explain challenger`.
pub async fn explain(arguments: &ClusterArguments, name: &str) -> Result<Exit, CommandError> {
    let (client, namespace) = client(arguments).await?;
    let challenger = Api::<Challenger>::namespaced(client, &namespace).get(name).await?;
    if arguments.output == Output::Table {
        print!("{}", tree::explain(&challenger, coloured()));
    } else {
        print(&challenger.status, arguments.output)?;
    }
    Ok(verdict(Some(&challenger)))
}

/// `abort challenger`.
pub async fn abort(arguments: &ClusterArguments, name: &str) -> Result<Exit, CommandError> {
    let (client, namespace) = client(arguments).await?;
    let api: Api<Challenger> = Api::namespaced(client, &namespace);
    let challenger = api.get(name).await?;
    if challenger
        .status
        .as_ref()
        .and_then(|status| status.phase)
        .is_some_and(ChallengerPhase::is_final)
    {
        return Err(CommandError::Message(format!("challenger/{name} has already ended")));
    }
    let id = challenger.resource_version().unwrap_or_else(|| "1".to_owned());
    let patch = json!({"metadata": {"annotations": {ANNOTATION_ABORT: format!("peninctl-{id}")}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    println!("challenger/{name} abort requested");
    Ok(Exit::Ok)
}
