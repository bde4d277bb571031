//! Writing the published files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Puts `content` at `path`, whole or not at all; durable only after [`sync`]. A file that already has this
/// content is left alone, so that publishing again repairs what differs and touches nothing else. Returns
/// whether anything was written.
pub(super) fn put(path: &Path, content: &[u8]) -> io::Result<bool> {
    match fs::read(path) {
        Ok(found) if found == content => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
        }
        Err(error) => return Err(error),
    }
    let temporary = path.with_extension("new");
    File::create(&temporary)?.write_all(content)?;
    fs::rename(&temporary, path)?;
    Ok(true)
}

/// Makes everything written to the file system of `directory` durable: one flush for many small files, where
/// flushing each and its directory would cost three or more for every one of them.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}
