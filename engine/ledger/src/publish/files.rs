//! Writing the published files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::anchor::sync_parent;

/// Whether a file must survive a crash by itself, or is written anew from the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// Flushed before it takes its name: full tiles, full bundles, blobs.
    Flushed,
    /// Rewritten at the next start: partial tiles and bundles, the checkpoint.
    Derived,
}

/// Puts `content` at `path`, whole or not at all. A file that already has this content is left alone, so that
/// publishing again repairs what differs and touches nothing else.
pub(super) fn put(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    match fs::read(path) {
        Ok(found) if found == content => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                create_directory(parent)?;
            }
        }
        Err(error) => return Err(error),
    }
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    if durability == Durability::Flushed {
        file.sync_all()?;
    }
    fs::rename(&temporary, path)?;
    if durability == Durability::Flushed {
        sync_parent(path)?;
    }
    Ok(())
}

/// Creates a directory and makes each new level durable.
fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directory(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
