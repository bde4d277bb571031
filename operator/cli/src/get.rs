//! `get`.

use jiff::Timestamp;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use penin_api::v1alpha1::{Challenger, PeninCycle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arguments::{ClusterArguments, Format, GetArguments};
use crate::cluster::Cluster;
use crate::rows::{self, Columns, Row};
use crate::table::coloured;
use crate::tree::View;
use crate::what::Kind;
use crate::{CommandError, Exit, output, watch};

/// Runs the verb.
///
/// # Errors
/// What the API server answers, or that it does not.
pub async fn run(cluster: &ClusterArguments, asked: GetArguments) -> Result<Exit, CommandError> {
    let names = names(&asked)?;
    let cluster = Cluster::connect(cluster).await?;
    match (asked.what.kind, names.as_slice(), asked.output) {
        (Kind::Cycle, [name], None | Some(Format::Wide)) if asked.watch => watch::cycle(&cluster, name, &asked).await,
        (Kind::Cycle, [name], None | Some(Format::Wide)) => {
            let (cycle, challengers) = watch::read(&cluster, name).await?;
            let view = View {
                cycle: &cycle,
                challengers: &challengers,
                now: Timestamp::now(),
                colour: coloured(),
                wide: asked.output == Some(Format::Wide),
            };
            output::bytes(view.to_string().as_bytes())?;
            Ok(Exit::Ok)
        }
        (Kind::Challenger, [name], _) if asked.watch => watch::challenger(&cluster, name, &asked).await,
        (Kind::Cycle, ..) if asked.watch => watch::list::<PeninCycle>(&cluster, &names, &asked).await,
        (Kind::Challenger, ..) if asked.watch => watch::list::<Challenger>(&cluster, &names, &asked).await,
        (Kind::Cycle, ..) => list::<PeninCycle>(&cluster, &names, &asked).await,
        (Kind::Challenger, ..) => list::<Challenger>(&cluster, &names, &asked).await,
    }
}

/// The names that were asked for: behind the kind's slash, or as arguments, not both.
fn names(asked: &GetArguments) -> Result<Vec<String>, CommandError> {
    match &asked.what.name {
        None => Ok(asked.names.clone()),
        Some(_) if !asked.names.is_empty() || asked.all_namespaces || asked.selector.is_some() => Err(
            CommandError::Usage("KIND/NAME names one object: no further names, no -A, no --selector".to_owned()),
        ),
        Some(name) => Ok(vec![name.clone()]),
    }
}

/// Objects by their names, or all that the flags ask for, in the order of their names.
///
/// # Errors
/// What the API server answers, or that it does not; a name that does not exist is an error.
pub async fn read<K>(cluster: &Cluster, names: &[String], asked: &GetArguments) -> Result<Vec<K>, CommandError>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let here: Api<K> = cluster.here();
    if names.is_empty() {
        let api = if asked.all_namespaces {
            cluster.everywhere()
        } else {
            here
        };
        let params = ListParams {
            label_selector: asked.selector.clone(),
            ..ListParams::default()
        };
        return cluster.list(&api, params).await;
    }
    let mut objects = Vec::with_capacity(names.len());
    for name in names {
        objects.push(cluster.call(here.get(name)).await?);
    }
    Ok(objects)
}

async fn list<K>(cluster: &Cluster, names: &[String], asked: &GetArguments) -> Result<Exit, CommandError>
where
    K: Row + Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
    K::DynamicType: Default,
{
    let objects: Vec<K> = read(cluster, names, asked).await?;
    if let Some(format @ (Format::Json | Format::Yaml)) = asked.output {
        let document = match (names, objects.as_slice()) {
            ([_], [object]) => output::document(object)?,
            _ => output::list(&objects)?,
        };
        output::value(&document, format)?;
        return Ok(Exit::Ok);
    }
    if objects.is_empty() {
        let place = if asked.all_namespaces {
            String::new()
        } else {
            format!(" in {} namespace", cluster.namespace)
        };
        eprintln!("No resources found{place}.");
        return Ok(Exit::Ok);
    }
    let text = if asked.output == Some(Format::Name) {
        output::names(asked.what.kind, &objects)
    } else {
        rows::table(&objects, columns(asked), Timestamp::now())
    };
    output::line(&text)?;
    Ok(Exit::Ok)
}

/// Which columns the flags ask for.
#[must_use]
pub fn columns(asked: &GetArguments) -> Columns {
    Columns {
        namespace: asked.all_namespaces,
        wide: asked.output == Some(Format::Wide),
        header: !asked.no_headers,
    }
}
