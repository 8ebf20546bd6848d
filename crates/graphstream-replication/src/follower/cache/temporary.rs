//! A temporary directory that says whether its owner still lives, so that the next follower removes what a killed one left.
//!
//! ```text
//! {cache directory, or the system's temporary one}/graphstream-follow-{random}/
//!   lock        locked for as long as the owner runs; the kernel unlocks it when that is killed
//!   *.hadbj     fetched segments
//! ```

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "graphstream-follow-";
const LOCK: &str = "lock";

/// A directory of ours alone; removed when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    dir: TempDir,
    _lock: File,
}

impl Temporary {
    /// Makes one, and removes those of followers that are gone.
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?;
        // Locked before it has its name: who finds it unlocked has found one whose owner is gone.
        let unnamed = dir.path().join("lock.new");
        let lock = File::create_new(&unnamed)?;
        lock.try_lock()?;
        fs::rename(unnamed, dir.path().join(LOCK))?;
        sweep(root, &dir);
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// What can't be removed is only space: another user's, or one that is just being made.
fn sweep(root: &Path, ours: &TempDir) {
    let (Ok(entries), Ok(ours)) = (fs::read_dir(root), ours.path().metadata()) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let (dir, lock) = (entry.path(), entry.path().join(LOCK));
        // Anybody may put anything there, a FIFO for example, which opening would wait for.
        let mine = dir.symlink_metadata().is_ok_and(|found| found.is_dir() && same_owner(&found, &ours));
        if !mine || !lock.symlink_metadata().is_ok_and(|found| found.is_file()) {
            continue;
        }
        if File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok()) {
            tracing::debug!(dir = %dir.display(), "removing what a follower that is gone has left");
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

#[cfg(unix)]
fn same_owner(found: &fs::Metadata, ours: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    found.uid() == ours.uid()
}

#[cfg(not(unix))]
fn same_owner(_found: &fs::Metadata, _ours: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r05_what_a_killed_follower_left_is_removed_and_a_running_ones_stays() {
        let root = tempfile::tempdir().unwrap();
        let running = Temporary::create(root.path()).unwrap();
        // As a kill leaves it: the files are there, the lock is free.
        let left = root.path().join("graphstream-follow-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("segment.hadbj"), "bytes").unwrap();
        // Not to be touched: just being made, and not ours at all.
        let made = root.path().join("graphstream-follow-made");
        fs::create_dir(&made).unwrap();
        let other = root.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join(LOCK), "").unwrap();

        let next = Temporary::create(root.path()).unwrap();
        assert!(!left.exists());
        assert!(running.path().exists() && next.path().exists() && made.exists() && other.exists());
        let gone = next.path().to_path_buf();
        drop(next);
        assert!(!gone.exists());
    }
}
