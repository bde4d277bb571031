//! `get --watch`: looking again until there is nothing more to see.
//!
//! Every look reads the objects anew: an answer that was lost costs one look, and the API server being away for a
//! while ends nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use penin_api::v1alpha1::{Challenger, PeninCycle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arguments::{Format, GetArguments};
use crate::cluster::Cluster;
use crate::rows::{self, Columns, Row};
use crate::table::{Tone, coloured, interactive};
use crate::tree::{self, View};
use crate::{CommandError, Exit, get, output};

/// Pause between two looks.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Ends a watch in time.
pub struct Patience {
    until: Option<tokio::time::Instant>,
    what: String,
}

impl Patience {
    /// Patience for `limit`, or for ever.
    #[must_use]
    pub fn new(limit: Option<&penin_api::values::Duration>, what: String) -> Self {
        Self {
            until: limit.map(|limit| tokio::time::Instant::now() + limit.to_std()),
            what,
        }
    }

    /// Waits until the next look.
    ///
    /// # Errors
    /// When patience is at its end.
    pub async fn pause(&self) -> Result<(), CommandError> {
        let next = tokio::time::Instant::now() + PAUSE;
        match self.until {
            Some(until) if until <= next => {
                tokio::time::sleep_until(until).await;
                Err(CommandError::Deadline(format!("timed out waiting for {}", self.what)))
            }
            _ => {
                tokio::time::sleep_until(next).await;
                Ok(())
            }
        }
    }
}

/// A cycle and its challengers.
///
/// # Errors
/// What the API server answers, or that it does not.
pub async fn read(cluster: &Cluster, name: &str) -> Result<(PeninCycle, Vec<Challenger>), CommandError> {
    let (cycles, challengers) = (cluster.here::<PeninCycle>(), cluster.here::<Challenger>());
    let of_cycle = ListParams::default().fields(&format!("spec.cycleRef.name={name}"));
    tokio::try_join!(cluster.call(cycles.get(name)), cluster.list(&challengers, of_cycle))
}

/// One cycle as a tree, drawn over itself on a terminal and printed again elsewhere.
///
/// # Errors
/// When the first look fails, when standard output is closed, or when patience is at its end.
pub async fn cycle(cluster: &Cluster, name: &str, asked: &GetArguments) -> Result<Exit, CommandError> {
    let patience = Patience::new(asked.timeout.as_ref(), format!("cycle {name}"));
    let mut known = read(cluster, name).await?;
    let mut printed = String::new();
    let mut problem = None;
    loop {
        let (object, challengers) = &known;
        let text = View {
            cycle: object,
            challengers,
            now: Timestamp::now(),
            colour: coloured(),
            wide: asked.output == Some(Format::Wide),
        }
        .to_string();
        let versions = versions(&known, problem.as_ref());
        if interactive() {
            output::bytes(redrawn(&text, problem.as_deref()).as_bytes())?;
        } else if versions != printed {
            let note = problem
                .as_ref()
                .map(|problem| format!("! {problem}\n"))
                .unwrap_or_default();
            let gap = if printed.is_empty() { "" } else { "\n" };
            output::bytes(format!("{gap}{note}{text}").as_bytes())?;
            printed = versions;
        }
        patience.pause().await?;
        problem = match read(cluster, name).await {
            Ok(read) => {
                known = read;
                None
            }
            Err(error) => Some(format!("this is not current: {error}")),
        };
    }
}

/// What a tree was made from: it is printed again when this has changed.
fn versions(known: &(PeninCycle, Vec<Challenger>), problem: Option<&String>) -> String {
    let of = |meta: &kube::core::ObjectMeta| format!("{:?}@{:?} ", meta.uid, meta.resource_version);
    let challengers: String = known.1.iter().map(|challenger| of(challenger.meta())).collect();
    format!("{}{challengers}{problem:?}", of(known.0.meta()))
}

/// The text drawn over what was there: from the upper left corner, each line and then the screen cleared to its end.
fn redrawn(text: &str, problem: Option<&str>) -> String {
    let note = problem.map(|problem| format!("{}\n", Tone::Bad.paint(&format!("! {problem}"), coloured())));
    let lines = format!("{}{text}", note.unwrap_or_default()).replace('\n', "\u{1b}[K\n");
    format!("\u{1b}[H{lines}\u{1b}[J")
}

/// One challenger until its life has ended.
///
/// # Errors
/// When the first look fails, when the challenger is deleted, when standard output is closed, or when patience is at
/// its end.
pub async fn challenger(cluster: &Cluster, name: &str, asked: &GetArguments) -> Result<Exit, CommandError> {
    let patience = Patience::new(asked.timeout.as_ref(), format!("challenger {name}"));
    let api = cluster.here::<Challenger>();
    let mut printer = Printer::new(asked);
    let mut known = cluster.call(api.get(name)).await?;
    loop {
        printer.changed(std::slice::from_ref(&known))?;
        if tree::is_over(&known) {
            return Ok(verdict(&known));
        }
        patience.pause().await?;
        match cluster.call(api.get_opt(name)).await {
            Ok(Some(read)) if read.uid() == known.uid() => known = read,
            Ok(_) => return Err(CommandError::Message(format!("challenger {name} was deleted"))),
            Err(error) => eprintln!("warning: {error}"),
        }
    }
}

/// What a challenger's phase means for scripts.
#[must_use]
pub fn verdict(challenger: &Challenger) -> Exit {
    if !tree::is_over(challenger) {
        Exit::Waiting
    } else if tree::is_promoted(challenger) {
        Exit::Ok
    } else {
        Exit::Refused
    }
}

/// A list: every object, and then those that changed.
///
/// # Errors
/// When the first look fails, when standard output is closed, or when patience is at its end.
pub async fn list<K>(cluster: &Cluster, names: &[String], asked: &GetArguments) -> Result<Exit, CommandError>
where
    K: Row + Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
    K::DynamicType: Default,
{
    let patience = Patience::new(asked.timeout.as_ref(), "changes".to_owned());
    let mut printer = Printer::new(asked);
    let mut objects: Vec<K> = get::read(cluster, names, asked).await?;
    loop {
        printer.changed(&objects)?;
        patience.pause().await?;
        match get::read(cluster, names, asked).await {
            Ok(read) => objects = read,
            Err(error) => eprintln!("warning: {error}"),
        }
    }
}

/// Prints objects that it has not printed as they are.
struct Printer<'a> {
    asked: &'a GetArguments,
    columns: Columns,
    printed: BTreeMap<String, String>,
}

impl<'a> Printer<'a> {
    fn new(asked: &'a GetArguments) -> Self {
        Self {
            asked,
            columns: get::columns(asked),
            printed: BTreeMap::new(),
        }
    }

    fn changed<K: Row + Clone + Serialize>(&mut self, objects: &[K]) -> Result<(), CommandError> {
        let version = |object: &K| object.resource_version().unwrap_or_default();
        let key = |object: &K| object.uid().unwrap_or_else(|| object.name_any());
        let changed: Vec<K> = objects
            .iter()
            .filter(|object| self.printed.get(&key(object)) != Some(&version(object)))
            .cloned()
            .collect();
        self.printed = objects.iter().map(|object| (key(object), version(object))).collect();
        if changed.is_empty() {
            return Ok(());
        }
        match self.asked.output {
            Some(format @ (Format::Json | Format::Yaml)) => {
                for object in &changed {
                    if format == Format::Yaml {
                        output::line("---")?;
                    }
                    output::value(&output::document(object)?, format)?;
                }
                Ok(())
            }
            Some(Format::Name) => output::line(&output::names(self.asked.what.kind, &changed)),
            None | Some(Format::Wide) => {
                let text = rows::table(&changed, self.columns, Timestamp::now());
                self.columns.header = false;
                output::line(&text)
            }
        }
    }
}
