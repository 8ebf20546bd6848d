//! A temporary directory that says whether its owner still lives, so that the next one of its kind removes what a killed one left.
//!
//! ```text
//! {a directory, or the system's temporary one}/graphstream-follow-{random}/      or graphstream-snapshot-{random}/
//!   lock        locked for as long as the owner runs; the kernel unlocks it when that is killed
//!   ...         fetched segments, or a copied database
//! ```

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

const LOCK: &str = "lock";

/// A directory of ours alone; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Temporary {
    dir: TempDir,
    _lock: File,
}

impl Temporary {
    /// Makes one whose name begins with `prefix`, and removes those of owners that are gone.
    pub(crate) fn create(root: &Path, prefix: &str) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(root)?;
        // Locked before it has its name: who finds it unlocked has found one whose owner is gone.
        let unnamed = dir.path().join("lock.new");
        let lock = File::create_new(&unnamed)?;
        lock.try_lock()?;
        fs::rename(unnamed, dir.path().join(LOCK))?;
        sweep(root, prefix, &dir);
        Ok(Self { dir, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// What can't be removed is only space: another user's, or one that is just being made.
fn sweep(root: &Path, prefix: &str, ours: &TempDir) {
    let (Ok(entries), Ok(ours)) = (fs::read_dir(root), ours.path().metadata()) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let (dir, lock) = (entry.path(), entry.path().join(LOCK));
        // Anybody may put anything there, a FIFO for example, which opening would wait for.
        let mine = dir.symlink_metadata().is_ok_and(|found| found.is_dir() && same_owner(&found, &ours));
        if !mine || !lock.symlink_metadata().is_ok_and(|found| found.is_file()) {
            continue;
        }
        if File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok()) {
            tracing::debug!(dir = %dir.display(), "removing what a killed process has left");
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
    fn r05_what_a_killed_process_left_is_removed_and_a_running_ones_stays() {
        let root = tempfile::tempdir().unwrap();
        let running = Temporary::create(root.path(), "graphstream-follow-").unwrap();
        // As a kill leaves it: the files are there, the lock is free.
        let left = root.path().join("graphstream-follow-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("segment.hadbj"), "bytes").unwrap();
        // Not to be touched: just being made, of another kind, and not ours at all.
        let snapshot = root.path().join("graphstream-snapshot-left");
        fs::create_dir(&snapshot).unwrap();
        fs::write(snapshot.join(LOCK), "").unwrap();
        let made = root.path().join("graphstream-follow-made");
        fs::create_dir(&made).unwrap();
        let other = root.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join(LOCK), "").unwrap();

        let next = Temporary::create(root.path(), "graphstream-follow-").unwrap();
        assert!(!left.exists());
        assert!(
            running.path().exists()
                && next.path().exists()
                && made.exists()
                && other.exists()
                && snapshot.exists()
        );
        let gone = next.path().to_path_buf();
        drop(next);
        assert!(!gone.exists());
    }
}
