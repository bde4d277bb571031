//! The ledger's directory: made, checked and locked.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock, fstatfs};

use crate::health::{Failure, Reason};

/// File name of the lock.
const LOCK: &str = "LOCK";

/// Exclusive possession of the directory until dropped.
#[derive(Debug)]
pub(crate) struct VolumeLock {
    _file: File,
}

/// File systems (statfs magic) on which locks or flushes are not what the ledger relies on.
const UNSUITABLE: [(i64, &str); 7] = [
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x6573_5546, "FUSE"),
];

/// Creates the directory when absent, refuses unsuitable file systems unless told otherwise, and locks it.
pub(crate) fn take(directory: &Path, any_filesystem: bool) -> Result<VolumeLock, Failure> {
    let failed = |what: &str, error: &dyn std::error::Error| {
        let detail = format!("{}: {what}: {error}", directory.display());
        Failure::new(Reason::StorageFailed, detail)
    };
    fs::create_dir_all(directory).map_err(|e| failed("cannot be created", &e))?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(directory.join(LOCK))
        .map_err(|e| failed("LOCK cannot be opened", &e))?;
    let magic = fstatfs(&file).map_err(|e| failed("statfs", &e))?.f_type;
    let name = UNSUITABLE.iter().find(|(known, _)| *known == magic);
    if let Some((_, name)) = name.filter(|_| !any_filesystem) {
        return Err(Failure::new(
            Reason::VolumeUnsuitable,
            format!(
                "{} is on {name}, which gives no lasting or exclusive storage; use a local disk, or allow \
                 it explicitly",
                directory.display()
            ),
        ));
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(VolumeLock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Failure::new(
            Reason::Locked,
            format!("another process holds {}", directory.display()),
        )),
        Err(error) => Err(failed("LOCK cannot be locked", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path(), true).unwrap();
        assert_eq!(take(dir.path(), true).unwrap_err().reason, Reason::Locked);
        drop(first);
        take(dir.path(), true).unwrap();
    }
}
