//! Where a ledger is: a directory, or an operator that serves it. What is served is copied first, and the copy is
//! read like any other directory: nothing that came over the network is believed.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::Uri;
use penin_ledger::Source;
use tempfile::TempDir;

use super::mirror::Mirror;
use crate::CommandError;

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Directory of a ledger or of an exported copy.
    Directory(PathBuf),
    /// Address of an operator that serves one.
    Served(Uri),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err(
                "https is not spoken here; a ledger proves itself by its signatures: use kubectl port-forward and \
                 http://127.0.0.1:PORT, or copy the files and name their directory"
                    .to_owned(),
            );
        }
        if text.starts_with("http://") {
            let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self::Served(uri));
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }
}

/// A ledger to read.
#[derive(Debug)]
pub struct Opened {
    directory: PathBuf,
    mirror: Option<(Mirror, TempDir)>,
}

impl Opened {
    /// Opens a place; a served ledger is copied up to its checkpoint.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub async fn open(place: &Place) -> Result<Self, CommandError> {
        match place {
            Place::Directory(directory) => Ok(Self {
                directory: directory.clone(),
                mirror: None,
            }),
            Place::Served(address) => {
                let folder = tempfile::tempdir()
                    .map_err(|error| CommandError::Message(format!("no temporary directory: {error}")))?;
                let mut opened = Self {
                    directory: folder.path().to_owned(),
                    mirror: Some((Mirror::new(address.clone(), folder.path()), folder)),
                };
                opened.update().await?;
                Ok(opened)
            }
        }
    }

    /// Fetches what is new, if the ledger is served.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub async fn update(&mut self) -> Result<(), CommandError> {
        match &mut self.mirror {
            Some((mirror, _)) => mirror.update().await,
            None => Ok(()),
        }
    }

    /// The directory with the files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The entries.
    ///
    /// # Errors
    /// When there is no ledger.
    pub fn source(&self) -> Result<Source, CommandError> {
        Ok(Source::open(&self.directory)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_an_http_address() {
        assert_eq!("a/b".parse(), Ok(Place::Directory("a/b".into())));
        assert!(matches!("http://127.0.0.1:8020".parse(), Ok(Place::Served(_))));
        assert!("https://x".parse::<Place>().unwrap_err().contains("port-forward"));
        assert!("http://".parse::<Place>().is_err());
    }
}
