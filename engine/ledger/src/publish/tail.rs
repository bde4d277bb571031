//! The durable part of the second copy that is not a full bundle yet.
//!
//! A full bundle costs a file, a rename and three flushes; a promotion cannot wait for that, nor for a new
//! partial bundle each time. So the entries of the unfinished bundle, and their blobs, are appended to one
//! file, which costs one flush. When the bundle is full and flushed, the file goes.
//!
//! Record: kind (1 entry, 2 blob), length as 32-bit big endian, bytes. A zero kind, or a record that does not
//! fit, ends the file. Nothing in it is trusted: entries are checked by chain and root, blobs by digest.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::paths::TILE_WIDTH;
use crate::anchor::sync_parent;
use crate::hash::Digest;

const DIRECTORY: &str = "tail";
const ENTRY: u8 = 1;
const BLOB: u8 = 2;
/// Zeros written ahead: a flush of bytes inside the file is cheaper than one that also grows it.
const AHEAD: u64 = 256 * 1024;
/// Largest tail that is read back: a bundle of the largest entries, and blobs.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;

/// A record of the tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Entry(Vec<u8>),
    Blob(Vec<u8>),
}

/// An entry to append.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub seq: u64,
    pub entry: Vec<u8>,
    pub blobs: Vec<Vec<u8>>,
}

/// The tail of one bundle, open for appending.
#[derive(Debug)]
struct Open {
    index: u64,
    file: File,
    at: u64,
    filled: u64,
}

/// The writer's side.
#[derive(Debug)]
pub(crate) struct Tail {
    directory: PathBuf,
    open: Option<Open>,
    /// Next entry to append.
    next: Option<u64>,
}

impl Tail {
    pub fn new(ledger: &Path) -> Self {
        Self {
            directory: ledger.join(DIRECTORY),
            open: None,
            next: None,
        }
    }

    /// First entry that is in neither the tail nor a flushed bundle; bundles are flushed below `flushed`.
    pub fn next(&self, flushed: u64) -> u64 {
        self.next.map_or(flushed, |next| next.max(flushed))
    }

    /// Appends consecutive entries from [`Self::next`], each behind its blobs, and flushes once per bundle
    /// touched.
    pub fn append(&mut self, items: &[Item]) -> io::Result<()> {
        let appended = self.try_append(items);
        if appended.is_err() {
            // Nobody knows what of the file is on the disk: the next one begins it anew, from the first entry.
            (self.open, self.next) = (None, None);
        }
        appended
    }

    fn try_append(&mut self, items: &[Item]) -> io::Result<()> {
        for bundle in items.chunk_by(|a, b| a.seq / TILE_WIDTH == b.seq / TILE_WIDTH) {
            let mut bytes = Vec::new();
            for item in bundle {
                for blob in &item.blobs {
                    record(&mut bytes, BLOB, blob);
                }
                record(&mut bytes, ENTRY, &item.entry);
            }
            if let Some(last) = bundle.last() {
                self.write(last.seq / TILE_WIDTH, &bytes)?;
                self.next = Some(last.seq + 1);
            }
        }
        Ok(())
    }

    fn write(&mut self, index: u64, bytes: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) if open.index == index => open,
            _ => {
                self.open = Some(Self::create(&self.directory, index, bytes)?);
                return Ok(());
            }
        };
        let end = open.at + bytes.len() as u64;
        if end > open.filled {
            let zeros = vec![0; usize::try_from(end + AHEAD - open.filled).unwrap_or(0)];
            open.file.write_all_at(&zeros, open.filled)?;
            open.filled = end + AHEAD;
            open.file.write_all_at(bytes, open.at)?;
            open.file.sync_all()?;
        } else {
            open.file.write_all_at(bytes, open.at)?;
            open.file.sync_data()?;
        }
        open.at = end;
        self.open = Some(open);
        Ok(())
    }

    /// Starts a tail with its first records. It takes the place of one that an earlier process left, which
    /// holds nothing that is not written here again.
    fn create(directory: &Path, index: u64, bytes: &[u8]) -> io::Result<Open> {
        fs::create_dir_all(directory)?;
        let (path, temporary) = (directory.join(index.to_string()), directory.join("new"));
        let file = File::create(&temporary)?;
        let at = bytes.len() as u64;
        let filled = at + AHEAD;
        let mut content = bytes.to_vec();
        content.resize(usize::try_from(filled).unwrap_or(content.len()), 0);
        file.write_all_at(&content, 0)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_parent(&path)?;
        Ok(Open {
            index,
            file,
            at,
            filled,
        })
    }
}

fn record(bytes: &mut Vec<u8>, kind: u8, content: &[u8]) {
    bytes.push(kind);
    // Entries and blobs are bounded far below 4 GiB.
    bytes.extend_from_slice(&u32::try_from(content.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(content);
}

/// Records of the tail of bundle `index`, up to the first that is not whole. Empty when there is no tail.
pub(crate) fn read(ledger: &Path, index: u64) -> io::Result<Vec<Record>> {
    let path = ledger.join(DIRECTORY).join(index.to_string());
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() <= MOST_BYTES => Ok(parse(&fs::read(&path)?)),
        Ok(_) => Err(io::Error::other("the tail is larger than 1 GiB")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_at_checked(5) {
        let [kind, length @ ..] = header else { break };
        let Ok(length) = length.try_into().map(u32::from_be_bytes) else {
            break;
        };
        let Some((content, next)) = after.split_at_checked(length as usize) else {
            break;
        };
        match *kind {
            ENTRY => records.push(Record::Entry(content.to_vec())),
            BLOB => records.push(Record::Blob(content.to_vec())),
            _ => break,
        }
        rest = next;
    }
    records
}

/// Removes tails of bundles below `index`, which are published in full and flushed.
pub(crate) fn prune(ledger: &Path, index: u64) -> io::Result<()> {
    let items = match fs::read_dir(ledger.join(DIRECTORY)) {
        Ok(items) => items,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for item in items {
        let item = item?;
        let number = item.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        if number.is_some_and(|number| number < index) {
            fs::remove_file(item.path())?;
        }
    }
    Ok(())
}

/// Looks for a blob in the tail of bundle `index`.
pub(crate) fn find_blob(records: &[Record], digest: &Digest) -> Option<Vec<u8>> {
    records.iter().find_map(|record| match record {
        Record::Blob(content) if Digest::of(content) == *digest => Some(content.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(seq: u64, entry: &[u8], blobs: &[&[u8]]) -> Item {
        Item {
            seq,
            entry: entry.to_vec(),
            blobs: blobs.iter().map(|blob| blob.to_vec()).collect(),
        }
    }

    #[test]
    fn records_come_back_and_a_torn_one_ends_the_tail() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(dir.path());
        let (first, second, blob) = (b"first", b"second", b"blob");
        tail.append(&[item(0, first, &[blob])]).unwrap();
        tail.append(&[item(1, second, &[])]).unwrap();
        assert_eq!(tail.next(0), 2);
        let records = read(dir.path(), 0).unwrap();
        assert_eq!(
            records,
            [
                Record::Blob(blob.to_vec()),
                Record::Entry(first.to_vec()),
                Record::Entry(second.to_vec())
            ]
        );
        let path = dir.path().join("tail/0");
        let whole = fs::read(&path).unwrap();
        let used = 3 * 5 + blob.len() + first.len() + second.len();
        for cut in 0..used {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(dir.path(), 0).unwrap().len() < 3, "{cut}");
        }
    }

    #[test]
    fn a_new_bundle_starts_a_new_file_and_old_ones_are_pruned() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(dir.path());
        let items: Vec<_> = (254..258).map(|seq| item(seq, b"entry", &[])).collect();
        tail.append(&items).unwrap();
        assert_eq!(read(dir.path(), 0).unwrap().len(), 2);
        assert_eq!(read(dir.path(), 1).unwrap().len(), 2);
        prune(dir.path(), 1).unwrap();
        assert_eq!(read(dir.path(), 0).unwrap().len(), 0);
        assert_eq!(read(dir.path(), 1).unwrap().len(), 2);
    }

    #[test]
    fn writes_beyond_the_zeros_ahead_still_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(dir.path());
        let entry = vec![7; 65_535];
        for seq in 0..12 {
            tail.append(&[item(seq, &entry, &[])]).unwrap();
        }
        assert_eq!(read(dir.path(), 0).unwrap().len(), 12);
    }
}
