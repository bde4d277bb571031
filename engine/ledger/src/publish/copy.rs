//! Reading the second copy: bundles, tail, blobs, checkpoint.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::CHECKPOINT;
use super::paths::{TILE_WIDTH, blob_path, bundle_path};
use super::tail::{self, Record};
use crate::entry::Entry;
use crate::hash::Digest;

/// Largest file that is read as a whole: a bundle of the largest entries is 17 MiB.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The published files of a ledger: its own directory, or an exported copy of it. Nothing in them is trusted.
#[derive(Debug, Clone)]
pub struct PublishedCopy {
    directory: PathBuf,
}

impl PublishedCopy {
    /// Uses the files below `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// A published file by its relative path; `None` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be read or is larger than 64 MiB.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        Ok(self.read_into(path, &mut bytes)?.then_some(bytes))
    }

    /// As [`Self::read`], into a buffer whose content it replaces; whether the file exists. Without a file the buffer is
    /// empty.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn read_into(&self, path: impl AsRef<Path>, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let path = self.directory.join(path);
        buffer.clear();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        // One byte more than is admitted tells a file that is too long, also one that grows meanwhile.
        let read = file.by_ref().take(MOST_BYTES + 1).read_to_end(buffer)?;
        if read as u64 > MOST_BYTES {
            buffer.clear();
            return Err(io::Error::other(format!("{}: larger than 64 MiB", path.display())));
        }
        Ok(true)
    }

    /// Whether there is any entry, full, partial or in the tail.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn has_entries(&self) -> io::Result<bool> {
        for folder in ["tile/entries", "tail"] {
            match fs::read_dir(self.directory.join(folder)) {
                Ok(mut items) => {
                    if items.next().transpose()?.is_some() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// The newest checkpoint, unverified.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn checkpoint(&self) -> io::Result<Option<Vec<u8>>> {
        self.read(CHECKPOINT)
    }

    /// Every version of a bundle that is there, the most complete first: the full bundle, the durable tail, the
    /// partial bundles.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn bundle_versions(&self, index: u64) -> io::Result<Vec<Vec<Vec<u8>>>> {
        let full = self.read(bundle_path(index, TILE_WIDTH))?;
        let mut versions: Vec<_> = full.iter().map(|bytes| parse_bundle(bytes)).collect();
        let tail = tail::read(&self.directory, index)?;
        versions.push(tail.into_iter().filter_map(entry).collect());
        for width in self.partial_widths(&bundle_path(index, TILE_WIDTH))? {
            if let Some(bytes) = self.read(bundle_path(index, width))? {
                versions.push(parse_bundle(&bytes));
            }
        }
        versions.retain(|entries| !entries.is_empty());
        Ok(versions)
    }

    /// Widths of the partial forms of the full tile or bundle at `full`, the widest first.
    pub(crate) fn partial_widths(&self, full: &str) -> io::Result<Vec<u64>> {
        let items = match fs::read_dir(self.directory.join(format!("{full}.p"))) {
            Ok(items) => items,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut widths: Vec<u64> = items
            .filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok())
            .filter(|width| (1..TILE_WIDTH).contains(width))
            .collect();
        widths.sort_unstable_by(|a, b| b.cmp(a));
        Ok(widths)
    }

    /// How far the bundles from that of entry `size` on reach; 0 when there are none.
    pub(crate) fn reach_from(&self, size: u64) -> io::Result<u64> {
        let mut reach = 0;
        for index in size / TILE_WIDTH.. {
            let full = bundle_path(index, TILE_WIDTH);
            let width = if self.directory.join(&full).try_exists()? {
                TILE_WIDTH
            } else {
                self.partial_widths(&full)?.first().copied().unwrap_or(0)
            };
            if width > 0 {
                reach = index * TILE_WIDTH + width;
            }
            if width < TILE_WIDTH {
                break;
            }
        }
        Ok(reach)
    }

    /// A blob with this digest, from its file or from the tail of a bundle that names it.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn blob(&self, digest: &Digest, bundle: u64) -> io::Result<Option<Vec<u8>>> {
        if let Some(content) = self.read(blob_path(digest))?
            && Digest::of(&content) == *digest
        {
            return Ok(Some(content));
        }
        let records = tail::read(&self.directory, bundle)?;
        Ok(tail::find_blob(&records, digest))
    }
}

fn entry(record: Record) -> Option<Vec<u8>> {
    match record {
        Record::Entry(bytes) => Some(bytes),
        Record::Blob(_) => None,
    }
}

/// The bytes of a bundle's first entries, at most `count`; up to the first that is not whole.
#[must_use]
pub fn first_entries(bundle: &[u8], count: u64) -> &[u8] {
    let mut end = 0;
    for _ in 0..count {
        let length = bundle.get(end..).and_then(|rest| rest.first_chunk::<2>());
        let Some(length) = length.map(|length| usize::from(u16::from_be_bytes(*length))) else {
            break;
        };
        if bundle.len() - end - 2 < length {
            break;
        }
        end += 2 + length;
    }
    bundle.get(..end).unwrap_or(bundle)
}

/// The blobs that the entries of a bundle name, as far as they can be read.
#[must_use]
pub fn named_blobs(bundle: &[u8]) -> BTreeSet<Digest> {
    let entries = parse_bundle(bundle);
    let entries = entries.iter().filter_map(|entry| Entry::decode(entry).ok());
    entries
        .flat_map(|entry| entry.content().map(|(digest, _)| digest).collect::<Vec<_>>())
        .collect()
}

/// Entries of a bundle, up to the first that is not whole.
#[must_use]
pub fn parse_bundle(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, next)) = after.split_at_checked(length) else {
            break;
        };
        entries.push(entry.to_vec());
        rest = next;
    }
    entries
}
