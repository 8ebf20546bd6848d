//! Exclusion between threads and processes: an advisory lock on a file, with an end to waiting.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::directory::{Directory, Entry};
use crate::error::{Error, FileKind, Result, Step};

/// Threads of this process queue here, so that only one of them polls the file.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    taken: Mutex<bool>,
    free: Condvar,
}

/// Holding the lock. Dropping releases it; so does the end of the process.
pub(crate) struct Held<'a> {
    file: File,
    gate: &'a Gate,
}

impl Held<'_> {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Closing the file would release it as well, but a fork of the process could keep it open.
        let _ = self.file.unlock();
        self.gate.leave();
    }
}

impl Gate {
    /// Locks the file `name` in `directory`, made when missing.
    pub(crate) fn lock(&self, directory: &Directory, name: &str, timeout: Duration) -> Result<Held<'_>> {
        let start = Instant::now();
        let path = directory.path_of(name);
        if !self.enter(timeout) {
            return Err(Error::LockTimeout { path, waited: start.elapsed() });
        }
        match lock_file(directory, name, path, start, timeout) {
            Ok(file) => Ok(Held { file, gate: self }),
            Err(error) => {
                self.leave();
                Err(error)
            }
        }
    }

    fn enter(&self, timeout: Duration) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.free.wait_timeout_while(taken, timeout, |taken| *taken);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut *taken, true)
    }

    fn leave(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.free.notify_one();
    }
}

fn lock_file(
    directory: &Directory,
    name: &str,
    path: PathBuf,
    start: Instant,
    timeout: Duration,
) -> Result<File> {
    let mut pause = Duration::from_micros(100);
    loop {
        let file =
            directory.open_file(name, OFlags::RDWR | OFlags::CREATE).map_err(Error::io(Step::Lock, &path))?;
        let opened = Entry::of(&file).map_err(Error::io(Step::Lock, &path))?;
        if opened.kind != FileKind::File {
            return Err(Error::NotAnObject { path, kind: opened.kind });
        }
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(Error::io(Step::Lock, &path)(error)),
            }
            if start.elapsed() >= timeout {
                return Err(Error::LockTimeout { path, waited: start.elapsed() });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        // A lock on a file that somebody has removed excludes nobody: look whether the name still leads here.
        if directory.entry(name)?.is_some_and(|entry| entry.id() == opened.id()) {
            return Ok(file);
        }
    }
}
