//! Opening the generation of the ledger that the settings name, with the keys that are in force.
//!
//! A generation that has not begun begins with what the one before hands over: that one is opened, sealed, and closed.
//! Every step finds out for itself what is done already, so a crash between any two does no harm.

use std::path::{Path, PathBuf};

use kube::Client;
use penin_ledger::generations::{Predecessor, Successor, hand_over};
use penin_ledger::store::DATABASE;
use penin_ledger::{Anchor as _, Failure, Head, Keys, Ledger, Options, Reader, Reason};
use tokio::runtime::Handle;

use super::anchor::KubeAnchor;
use super::keys::{self, KeySource, KeysError};
use super::ledger::LedgerSettings;
use super::problem::Problem;
use crate::runtime::clock::Clock;

/// Where one generation is, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub generation: u32,
    pub directory: PathBuf,
    pub origin: String,
    pub anchor: String,
}

/// Directory of a generation: the first has the plain name, later ones stand beside it with their number.
#[must_use]
pub fn directory_of(first: &Path, generation: u32) -> PathBuf {
    match first.file_name() {
        Some(name) if generation > 1 => first.with_file_name(format!("{}-{generation}", name.to_string_lossy())),
        _ => first.to_owned(),
    }
}

/// Name of a generation's anchor.
#[must_use]
pub fn anchor_of(first: &str, generation: u32) -> String {
    if generation > 1 {
        format!("{first}-{generation}")
    } else {
        first.to_owned()
    }
}

/// Origin of a generation.
#[must_use]
pub fn origin_of(first: &str, generation: u32) -> String {
    if generation > 1 {
        format!("{first}/{generation}")
    } else {
        first.to_owned()
    }
}

pub(super) fn place(settings: &LedgerSettings, generation: u32) -> Place {
    Place {
        generation,
        directory: directory_of(&settings.directory, generation),
        origin: origin_of(&settings.origin, generation),
        anchor: anchor_of(&settings.anchor, generation),
    }
}

/// Directories of the generations before one that has begun or is beginning, oldest first.
fn earlier(settings: &LedgerSettings, generation: u32) -> Vec<PathBuf> {
    (1..generation)
        .map(|number| directory_of(&settings.directory, number))
        .collect()
}

/// An open ledger.
#[derive(Debug)]
pub(super) struct Opened {
    pub ledger: Ledger,
    /// Whether the former keys are in force: they are to be rotated.
    pub former_keys: bool,
}

/// The keys of the settings' Secrets, as far as they are mounted.
struct Keyring {
    current: Option<Keys>,
    former: Option<Keys>,
}

/// What is known of the ledger before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: it may be new.
    Unknown,
    /// This process had it open. It has entries and keys, so finding neither is a loss and no beginning.
    WasOpen,
}

/// What opening works with.
struct Opener<'a> {
    settings: &'a LedgerSettings,
    client: &'a Client,
    epoch: u64,
    time_ms: i64,
}

pub(super) async fn open(
    settings: &LedgerSettings,
    client: &Client,
    epoch: u64,
    clock: &dyn Clock,
    before: Before,
) -> Result<Opened, Problem> {
    let with = Opener {
        settings,
        client,
        epoch,
        time_ms: clock.now().as_millisecond(),
    };
    let generation = settings.generation.max(1);
    let place = place(settings, generation);
    let anchored = with.anchored(&place).await?;
    if before == Before::WasOpen && anchored.as_ref().is_none_or(|head| head.size == 0) {
        return Err(Problem {
            text: format!(
                "LedgerAnchor {} was deleted or emptied while the ledger was open; put back the head that it held \
                 (docs/ledger.md)",
                place.anchor
            ),
            corrupt: true,
        });
    }
    let opened = if generation == 1 || begun(&place, anchored.as_ref()).await? {
        let is_new = generation == 1 && anchored.is_none() && is_empty(&place.directory);
        let keyring = with.keyring(is_new).await?;
        with.open(&place, keyring, None).await?
    } else {
        let keyring = with.keyring(false).await?;
        let Some(current) = keyring.current.clone() else {
            return Err(KeysError::Gone(settings.signing_keys.clone()).to_string().into());
        };
        let handed = with.hand_over(generation - 1, &place, keyring, &current).await?;
        let keyring = Keyring {
            current: Some(current),
            former: None,
        };
        with.open(&place, keyring, Some(handed)).await?
    };
    match opened.ledger.health().failure {
        Some(failure) if failure.reason == Reason::Sealed => Err(format!(
            "generation {generation} of the ledger is archived: set --ledger-generation (ledger.generation of the \
             chart) to {}",
            generation + 1
        )
        .into()),
        _ => Ok(opened),
    }
}

impl Opener<'_> {
    fn anchor(&self, place: &Place) -> KubeAnchor {
        let namespace = &self.settings.namespace;
        KubeAnchor::new(self.client.clone(), namespace, place.anchor.clone(), Handle::current())
    }

    async fn anchored(&self, place: &Place) -> Result<Option<Head>, String> {
        let mut anchor = self.anchor(place);
        blocking(move || anchor.load().map_err(|error| error.to_string())).await
    }

    async fn keyring(&self, may_create: bool) -> Result<Keyring, String> {
        let settings = self.settings;
        let found = |loaded: Result<Keys, KeysError>| match loaded {
            Ok(keys) => Ok(Some(keys)),
            Err(KeysError::Gone(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        let load = |source: &KeySource| {
            let source = source.clone();
            async move { blocking(move || Ok(keys::load(&source))).await }
        };
        let former = match &settings.former_signing_keys {
            Some(former) => found(load(former).await?)?,
            None => None,
        };
        let current = &settings.signing_keys;
        let current = if may_create {
            keys::load_or_create(self.client, &settings.namespace, current).await
        } else {
            load(current).await?
        };
        let current = match found(current) {
            // The former ones go on; the rotation, which is tried again and again, says what is wrong.
            Err(_) if former.is_some() => None,
            current => current?,
        };
        if current.is_none() && former.is_none() {
            return Err(KeysError::Gone(settings.signing_keys.clone()).to_string());
        }
        Ok(Keyring { current, former })
    }

    /// Opens with whichever keys are in force.
    async fn open(&self, place: &Place, keyring: Keyring, previous: Option<Predecessor>) -> Result<Opened, Problem> {
        let mut mismatch = None;
        for (keys, former_keys) in [(keyring.current, false), (keyring.former, true)] {
            let Some(keys) = keys else { continue };
            match self.try_open(place, keys, previous.clone()).await? {
                Ok(ledger) => return Ok(Opened { ledger, former_keys }),
                Err(failure) if failure.reason == Reason::KeyMismatch => {
                    mismatch.get_or_insert(failure);
                }
                Err(failure) => return Err(Problem::from(&failure)),
            }
        }
        Err(mismatch.map_or_else(
            || KeysError::Gone(self.settings.signing_keys.clone()).to_string().into(),
            |failure| Problem::from(&failure),
        ))
    }

    async fn try_open(
        &self,
        place: &Place,
        keys: Keys,
        previous: Option<Predecessor>,
    ) -> Result<Result<Ledger, Failure>, String> {
        let mut options = Options::new(place.origin.clone(), self.time_ms);
        options.holder.clone_from(&self.settings.holder);
        options.any_filesystem = self.settings.any_filesystem;
        options.previous = previous;
        // What waited for a generation when it was archived is recorded by this one.
        options.earlier = earlier(self.settings, place.generation);
        let (anchor, directory, epoch) = (self.anchor(place), place.directory.clone(), self.epoch);
        blocking(move || {
            std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            Ok(Ledger::open(&directory, keys, Box::new(anchor), epoch, options))
        })
        .await
    }

    /// Seals a generation for the one at `next`, which begins with the keys `current`.
    async fn hand_over(
        &self,
        generation: u32,
        next: &Place,
        keyring: Keyring,
        current: &Keys,
    ) -> Result<Predecessor, Problem> {
        let place = place(self.settings, generation);
        if self.anchored(&place).await?.is_none_or(|head| head.size == 0) {
            return Err(format!(
                "generation {} of the ledger cannot begin, because there is none before it: LedgerAnchor {} holds no \
                 head; set --ledger-generation (ledger.generation of the chart) to the last one that there is, 1 for a \
                 new ledger",
                generation + 1,
                place.anchor
            )
            .into());
        }
        let opened = self.open(&place, keyring, None).await?;
        let successor = Successor {
            origin: next.origin.clone(),
            keys: current.verifiers(),
        };
        tracing::info!(generation, "Archiving a generation of the ledger");
        let time_ms = self.time_ms;
        let handed = blocking(move || hand_over(opened.ledger, successor, time_ms).map_err(|error| error.to_string()));
        Ok(handed.await?)
    }
}

/// Whether a generation has entries. What cannot be read counts as begun: opening it says what is wrong.
async fn begun(place: &Place, anchored: Option<&Head>) -> Result<bool, String> {
    if anchored.is_some_and(|head| head.size > 0) {
        return Ok(true);
    }
    let directory = place.directory.clone();
    blocking(move || {
        let head = |reader: Reader| reader.head();
        Ok(directory.join(DATABASE).exists()
            && Reader::open_read_only(&directory)
                .and_then(head)
                .map_or(true, |(size, _)| size > 0))
    })
    .await
}

/// Whether no ledger was ever begun in the directory.
fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_stand_side_by_side_and_the_first_keeps_the_plain_names() {
        let settings = LedgerSettings {
            directory: "/var/lib/penin/ledger".into(),
            origin: "penin.ai/ledger/a/b".to_owned(),
            namespace: "a".to_owned(),
            anchor: "b".to_owned(),
            generation: 1,
            signing_keys: KeySource::new(Path::new("/etc/penin/keys"), "keys"),
            former_signing_keys: None,
            holder: String::new(),
            any_filesystem: false,
        };
        let first = Place {
            generation: 1,
            directory: settings.directory.clone(),
            origin: settings.origin.clone(),
            anchor: settings.anchor.clone(),
        };
        assert_eq!(place(&settings, 1), first);
        let third = Place {
            generation: 3,
            directory: "/var/lib/penin/ledger-3".into(),
            origin: "penin.ai/ledger/a/b/3".to_owned(),
            anchor: "b-3".to_owned(),
        };
        assert_eq!(place(&settings, 3), third);
        assert!(earlier(&settings, 1).is_empty());
        let before: [PathBuf; 2] = ["/var/lib/penin/ledger".into(), "/var/lib/penin/ledger-2".into()];
        assert_eq!(earlier(&settings, 3), before);
        // A name that only looks like a directory's has no room beside it: the chart never passes one.
        assert_eq!(directory_of(Path::new("/"), 2), Path::new("/"));
    }

    #[tokio::test]
    async fn a_generation_has_begun_with_its_first_entry_and_an_unreadable_one_too() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            generation: 1,
            directory: folder.path().to_owned(),
            origin: "o".to_owned(),
            anchor: "a".to_owned(),
        };
        let head = |size| Head {
            origin: "o".to_owned(),
            size,
            root: penin_ledger::Digest::ZERO,
            epoch: 1,
        };
        assert!(!begun(&place, None).await.unwrap());
        assert!(!begun(&place, Some(&head(0))).await.unwrap());
        assert!(begun(&place, Some(&head(1))).await.unwrap());
        std::fs::write(folder.path().join(DATABASE), "not a database, and no empty file either").unwrap();
        assert!(begun(&place, None).await.unwrap());
    }
}
