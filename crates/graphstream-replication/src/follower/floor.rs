//! What a follower has seen published, kept across restarts: no head below it is believed.
//!
//! A target keeps a position, which says what was applied. The floor says more: the epoch, and how far the head was, applied or not. It
//! stands in `{cache directory}/{lineage}/floor.json`, shared by all followers of that history which use the directory, and only
//! ever rises. It is a copy: missing, damaged or not to be written, the follower knows less after a restart, and goes on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use graphstream_format::Lineage;
use graphstream_remote::{ChainValue, DatabaseId, Floor, Head, Identity};
use serde::{Deserialize, Serialize};

use crate::threads::is_inline;

const FORMAT: u32 = 1;
const FILE: &str = "floor.json";
const TEMPORARY: &str = "floor.json.tmp";
const LOCK: &str = "floor.lock";
/// No file of ours is longer.
const BYTES_MAX: u64 = 4096;

/// What has been seen of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) identity: Identity,
    pub(super) floor: Floor,
}

impl Seen {
    /// What a head shows.
    pub(super) fn of(head: &Head) -> Self {
        Self { identity: Identity::new(head.database_id(), head.lineage()), floor: Floor::of(head) }
    }

    fn is_above(&self, other: &Self) -> bool {
        (self.floor.epoch, self.floor.sequence) > (other.floor.epoch, other.floor.sequence)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    database_id: String,
    lineage: String,
    epoch: u32,
    sequence: u64,
    chain: ChainValue,
}

impl From<&Seen> for Stored {
    fn from(seen: &Seen) -> Self {
        Self {
            format: FORMAT,
            database_id: seen.identity.database_id.to_string(),
            lineage: seen.identity.lineage.to_string(),
            epoch: seen.floor.epoch,
            sequence: seen.floor.sequence,
            chain: seen.floor.chain,
        }
    }
}

impl Stored {
    fn seen(&self, lineage: Lineage) -> Option<Seen> {
        let found = self.lineage.parse::<Lineage>().ok()?;
        let database_id = self.database_id.parse::<DatabaseId>().ok()?;
        (self.format == FORMAT && found == lineage).then(|| Seen {
            identity: Identity::new(database_id, lineage),
            floor: Floor::new(self.epoch, self.sequence, self.chain),
        })
    }
}

/// Where floors are kept.
#[derive(Debug, Clone)]
pub(super) struct Floors {
    dir: Option<PathBuf>,
}

impl Floors {
    /// In this directory; nowhere without one.
    pub(super) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// What was seen of a history. Blocks for the disk.
    pub(super) fn read(&self, lineage: Lineage) -> Option<Seen> {
        let path = self.dir.as_ref()?.join(lineage.to_string()).join(FILE);
        match read(&path, lineage) {
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what was seen published before can't be read: an older head would not be noticed");
                None
            }
        }
    }

    /// Notes what was seen, unless more was seen already. Blocks for the disk.
    pub(super) fn raise(&self, seen: &Seen) {
        let Some(dir) = &self.dir else { return };
        let dir = dir.join(seen.identity.lineage.to_string());
        if let Err(error) = raise(&dir, seen) {
            tracing::warn!(dir = %dir.display(), %error, "what was seen published can't be kept: after a restart an older head would not be noticed");
        }
    }
}

fn read(path: &Path, lineage: Lineage) -> io::Result<Option<Seen>> {
    // Anybody may put anything there, a FIFO for example, which opening would wait for.
    let found = path.symlink_metadata()?;
    if !found.is_file() || found.len() > BYTES_MAX {
        return Err(io::Error::other("it is not a file of ours"));
    }
    let bytes = fs::read(path)?;
    let seen = serde_json::from_slice::<Stored>(&bytes).ok().and_then(|stored| stored.seen(lineage));
    if seen.is_none() {
        tracing::warn!(path = %path.display(), "it is damaged, or of another history: it is written anew");
    }
    Ok(seen)
}

fn raise(dir: &Path, seen: &Seen) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let lock = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK))?;
    if lock.try_lock().is_err() {
        // Another follower of the same history is just noting what it has seen.
        return Ok(());
    }
    let path = dir.join(FILE);
    if read(&path, seen.identity.lineage).ok().flatten().is_some_and(|kept| !seen.is_above(&kept)) {
        return Ok(());
    }
    let temporary = dir.join(TEMPORARY);
    let mut file = File::create(&temporary)?;
    serde_json::to_writer(&mut file, &Stored::from(seen))?;
    file.write_all(b"\n")?;
    // A simulation has its own disks, and this is not one of them.
    if !is_inline() {
        file.sync_all()?;
    }
    fs::rename(&temporary, &path)?;
    if cfg!(unix) && !is_inline() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use graphstream_format::ChainHash;

    use super::*;

    fn seen(epoch: u32, sequence: u64) -> Seen {
        let identity = Identity::new(DatabaseId::from_bytes([1; 16]), Lineage::from_bytes([2; 16]));
        Seen { identity, floor: Floor::new(epoch, sequence, ChainHash::from_bytes([3; 32]).into()) }
    }

    fn floors() -> (tempfile::TempDir, Floors, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let floors = Floors::new(Some(dir.path().to_path_buf()));
        let file = dir.path().join(Lineage::from_bytes([2; 16]).to_string()).join(FILE);
        (dir, floors, file)
    }

    #[test]
    fn h08_it_rises_and_never_falls() {
        let (_dir, floors, _) = floors();
        let lineage = Lineage::from_bytes([2; 16]);
        assert_eq!(floors.read(lineage), None);
        for (raised, expected) in
            [((1, 10), (1, 10)), ((1, 9), (1, 10)), ((2, 8), (2, 8)), ((1, 99), (2, 8)), ((2, 9), (2, 9))]
        {
            floors.raise(&seen(raised.0, raised.1));
            assert_eq!(floors.read(lineage), Some(seen(expected.0, expected.1)), "{raised:?}");
        }
        assert_eq!(floors.read(Lineage::from_bytes([4; 16])), None);
    }

    #[test]
    fn h08_a_damaged_file_is_a_weaker_floor_and_written_anew() {
        let (_dir, floors, file) = floors();
        let lineage = Lineage::from_bytes([2; 16]);
        floors.raise(&seen(1, 10));
        let whole = fs::read(&file).unwrap();
        for damaged in [&b""[..], b"{}", b"\xff", &whole[..whole.len() / 2], &[b' '; 5000]] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(floors.read(lineage), None, "{damaged:?}");
            floors.raise(&seen(1, 10));
            assert_eq!(floors.read(lineage), Some(seen(1, 10)));
        }
        // Of another history, by whatever accident.
        let other = String::from_utf8(whole).unwrap().replace(&"02".repeat(16), &"04".repeat(16));
        fs::write(&file, other).unwrap();
        assert_eq!(floors.read(lineage), None);
        // What is no file is left alone, and stops nobody.
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        floors.raise(&seen(1, 10));
        assert_eq!(floors.read(lineage), None);
        Floors::new(None).raise(&seen(1, 10));
    }
}
