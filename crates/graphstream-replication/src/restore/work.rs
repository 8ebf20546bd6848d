//! Where a restore keeps what it has, until it is whole: beside what will be there, and removed at the end.
//!
//! ```text
//!   people.grafeo.restore/
//!     lock              held while a restore runs
//!     segments/         fetched segments, by the names of their objects
//!     parts-{attempt}/  fetched data objects of the snapshot
//!     unpacking/        the snapshot's files; moved away when they are all there
//!     database/         the database that entries are replayed into; moved away at the end
//!     journal/          the journal; moved away at the end
//! ```
//! A restore that was killed goes on here: what was fetched is verified again, but not fetched again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use graphstream_remote::{PlannedSegment, SegmentSink, SnapshotManifest};

use crate::{Error, Result};

/// The directory, and its lock.
#[derive(Debug)]
pub(super) struct Work {
    path: PathBuf,
    _lock: File,
    /// Whether an earlier restore has left something here.
    pub(super) resumed: bool,
}

/// A failure of a file of the restore.
pub(super) fn failed(attempted: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::RestoreFile { attempted, path, source }
}

/// The name of the directory for what is restored at `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".restore");
    PathBuf::from(name)
}

impl Work {
    /// Opens or makes it. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let resumed = path.join("segments").is_dir();
        fs::create_dir_all(path.join("segments")).map_err(failed("creating", path))?;
        let lock_path = path.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed("opening", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: lock, resumed }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::RestoreRunning { path: path.to_path_buf() }),
            Err(fs::TryLockError::Error(source)) => Err(failed("locking", &lock_path)(source)),
        }
    }

    pub(super) fn segment(&self, planned: &PlannedSegment) -> PathBuf {
        let name = planned.name;
        let (last, first, epoch, ms, level) =
            (name.last(), name.first(), name.epoch(), name.commit_ms(), name.level());
        self.path
            .join("segments")
            .join(format!("{last:016x}-{first:016x}-{epoch:08x}-{ms:012x}-{level}.hadbj"))
    }

    pub(super) fn parts(&self, manifest: &SnapshotManifest) -> PathBuf {
        // 16 hex digits: a parsed manifest has no other.
        self.path.join(format!("parts-{:016x}-{}", manifest.sequence, manifest.attempt))
    }

    pub(super) fn part(&self, manifest: &SnapshotManifest, index: usize) -> PathBuf {
        self.parts(manifest).join(format!("{index:06}"))
    }

    pub(super) fn unpacking(&self) -> PathBuf {
        self.path.join("unpacking")
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("database")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Removes everything, and the lock. What can't be removed is only space.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "what the restore worked with could not be removed");
        }
    }
}

/// Removes a directory or file, if it is there.
pub(super) fn clear(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|dir| dir.sync_all()).map_err(failed("syncing", path))
}

/// So many files are synced at once: what the file system writes for one covers others.
const SYNCS_AT_ONCE: usize = 8;

/// Makes a file, or all that is below a directory, durable.
pub(super) fn sync_all(path: &Path) -> Result<()> {
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    list(path, &mut files, &mut dirs)?;
    let files = Mutex::new(files.into_iter());
    let next = || files.lock().unwrap_or_else(PoisonError::into_inner).next();
    let some = || -> Result<()> {
        while let Some(file) = next() {
            sync(&file)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..SYNCS_AT_ONCE).map(|_| scope.spawn(some)).collect();
        let synced = others.into_iter().map(|other| other.join().unwrap_or(Err(Error::Ended("syncing"))));
        synced.fold(some(), Result::and)
    })?;
    dirs.iter().try_for_each(|dir| sync(dir))
}

/// The files at or below a path, and the directories, inner ones first.
fn list(path: &Path, files: &mut Vec<PathBuf>, dirs: &mut Vec<PathBuf>) -> Result<()> {
    let found = fs::symlink_metadata(path).map_err(failed("looking at", path))?;
    if !found.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(failed("listing", path))? {
        list(&entry.map_err(failed("listing", path))?.path(), files, dirs)?;
    }
    dirs.push(path.to_path_buf());
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("syncing", path))
}

/// A file that has its name when it is complete. It is verified before it is used, so it need not be durable before.
pub(super) struct Download {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Download {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary).map_err(failed("creating", &temporary))?;
        Ok(Self { file, temporary, path: path.to_path_buf() })
    }

    pub(super) fn finish(self) -> Result<()> {
        fs::rename(&self.temporary, &self.path).map_err(failed("renaming", &self.temporary))
    }

    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }
}

impl SegmentSink for Download {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.file.write_all(chunk)
    }
}
