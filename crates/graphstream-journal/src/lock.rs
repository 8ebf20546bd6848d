//! The two locks of a directory: `LOCK` is held by the writer, `SHIP` by the shipper. Both are advisory locks of the
//! operating system, so a killed holder holds nothing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::fs::{Access, Fs, FsFile, LockMode, StdFs};
use crate::{names, small_file};

/// Somebody who only looks whether a lock is held takes it shared for a moment; that must not fail a writer's start.
const ATTEMPTS: u32 = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(5);

/// Which lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockKind {
    /// `LOCK`: who appends, seals and recovers.
    Writer,
    /// `SHIP`: who uploads sealed segments.
    Shipper,
}

impl LockKind {
    const fn file_name(self) -> &'static str {
        match self {
            Self::Writer => names::LOCK,
            Self::Shipper => names::SHIP,
        }
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writer => "writer",
            Self::Shipper => "shipper",
        })
    }
}

/// Whether a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockState {
    /// Whether somebody holds it now.
    pub held: bool,
    /// The process id the holder wrote into it (in its own pid namespace); `None` when nobody holds it.
    pub holder_pid: Option<u32>,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: Arc<dyn FsFile>,
}

impl Lock {
    fn acquire(fs: &dyn Fs, dir: &Path, kind: LockKind) -> Result<Self> {
        let path = dir.join(kind.file_name());
        let file = fs.open(&path, Access::Create).map_err(Error::io("opening", &path))?;
        let mut attempts = ATTEMPTS;
        while !file.try_lock(LockMode::Exclusive).map_err(Error::io("locking", &path))? {
            attempts -= 1;
            if attempts == 0 {
                let holder_pid = read_pid(&*file);
                return Err(Error::Locked { kind, path, holder_pid });
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
        }
        // Only to tell others who holds it: a failure changes nothing about holding it.
        let pid = std::process::id().to_string();
        let _ = file.set_len(0);
        let _ = small_file::write_full(&*file, pid.as_bytes(), 0);
        Ok(Self { path, _file: file })
    }
}

fn read_pid(file: &dyn FsFile) -> Option<u32> {
    let mut buffer = [0; 16];
    let read = small_file::read_full(file, &mut buffer, 0).ok()?;
    std::str::from_utf8(buffer.get(..read)?).ok()?.trim().parse().ok()
}

/// Looks whether a lock is held, without creating it.
pub(crate) fn state(fs: &dyn Fs, dir: &Path, kind: LockKind) -> Result<LockState> {
    let path = dir.join(kind.file_name());
    let file = match fs.open(&path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LockState { held: false, holder_pid: None });
        }
        Err(error) => return Err(Error::io("opening", &path)(error)),
    };
    let held = !file.try_lock(LockMode::Shared).map_err(Error::io("probing", &path))?;
    Ok(LockState { held, holder_pid: if held { read_pid(&*file) } else { None } })
}

/// The writer's lock on a directory, for tools that change it without appending. [`Journal`](crate::Journal) takes it itself.
#[derive(Debug)]
pub struct WriterLock(Lock);

impl WriterLock {
    /// Takes the lock; creates its file, not the directory.
    ///
    /// # Errors
    /// [`Error::Locked`] when a writer is at work; [`Error::Io`].
    pub fn acquire(dir: impl AsRef<Path>) -> Result<Self> {
        Self::acquire_on(&StdFs, dir.as_ref())
    }

    pub(crate) fn acquire_on(fs: &dyn Fs, dir: &Path) -> Result<Self> {
        Lock::acquire(fs, dir, LockKind::Writer).map(Self)
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

/// The shipper's lock on a directory: one process uploads its segments.
#[derive(Debug)]
pub struct ShipLock(Lock);

impl ShipLock {
    /// Takes the lock; creates its file, not the directory.
    ///
    /// # Errors
    /// [`Error::Locked`] when a shipper is at work; [`Error::Io`].
    pub fn acquire(dir: impl AsRef<Path>) -> Result<Self> {
        Self::acquire_on(&StdFs, dir.as_ref())
    }

    pub(crate) fn acquire_on(fs: &dyn Fs, dir: &Path) -> Result<Self> {
        Lock::acquire(fs, dir, LockKind::Shipper).map(Self)
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}
