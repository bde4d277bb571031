//! C2SP tlog-tiles (v0.1) paths and sizes.

use std::path::PathBuf;

/// Hashes of a full tile and entries of a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Highest tile level: eight levels of 8 bits cover every size.
pub const MOST_LEVELS: u8 = 7;

/// Path of a tile, relative to the log's prefix: `tile/<L>/<N>[.p/<W>]`. `width` is 1 to 256; 256 is full.
#[must_use]
pub fn tile_path(level: u8, index: u64, width: u64) -> String {
    path(&level.to_string(), index, width)
}

/// Path of an entry bundle: `tile/entries/<N>[.p/<W>]`.
#[must_use]
pub fn bundle_path(index: u64, width: u64) -> String {
    path("entries", index, width)
}

/// Path of a blob: `blobs/sha256/<first two digits>/<64 digits>`.
#[must_use]
pub fn blob_path(digest: &crate::hash::Digest) -> PathBuf {
    let name = digest.to_string();
    let (shard, _) = name.split_at(2);
    PathBuf::from("blobs").join("sha256").join(shard).join(name)
}

fn path(kind: &str, index: u64, width: u64) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        format!("tile/{kind}/{text}.p/{width}")
    } else {
        format!("tile/{kind}/{text}")
    }
}

/// What a tile path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileName {
    /// Level 0 to 7, or `None` for an entry bundle.
    pub level: Option<u8>,
    /// Index of the tile in its level.
    pub index: u64,
    /// 1 to 256.
    pub width: u64,
}

/// Reads a path; `None` unless it is exactly what [`tile_path`] or [`bundle_path`] writes.
#[must_use]
pub fn parse_tile_path(path: &str) -> Option<TileName> {
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let level = match kind {
        "entries" => None,
        level => Some(level.parse().ok().filter(|level| *level <= MOST_LEVELS)?),
    };
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let mut index: u64 = 0;
    for group in number.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let value: u64 = digits.parse().ok()?;
        index = index.checked_mul(1000)?.checked_add(value)?;
    }
    let name = TileName { level, index, width };
    // One spelling only: what would be written must be what was read.
    let canonical = match level {
        Some(level) => tile_path(level, index, width),
        None => bundle_path(index, width),
    };
    (width > 0 && canonical == path).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(tile_path(0, 0, 256), "tile/0/000");
        assert_eq!(tile_path(3, 1_234_067, 256), "tile/3/x001/x234/067");
        assert_eq!(tile_path(1, 5, 17), "tile/1/005.p/17");
        assert_eq!(bundle_path(1_000, 256), "tile/entries/x001/000");
    }

    #[test]
    fn paths_round_trip_and_no_second_spelling_is_read() {
        for index in [0, 1, 999, 1_000, 999_999, 1_234_067, u64::MAX / 1000] {
            for width in [1, 255, 256] {
                for level in [None, Some(0), Some(7)] {
                    let path = level.map_or_else(|| bundle_path(index, width), |level| tile_path(level, index, width));
                    let name = TileName { level, index, width };
                    assert_eq!(parse_tile_path(&path), Some(name));
                }
            }
        }
        for bad in [
            "tile/0/0",
            "tile/0/x000/001",
            "tile/8/000",
            "tile/00/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/017",
            "tile/0/../000",
            "tile/data/000",
            "tile/0/x18446744073709551615/000",
        ] {
            assert_eq!(parse_tile_path(bad), None, "{bad}");
        }
    }
}
