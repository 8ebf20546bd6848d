//! The store behind the backend: its root, its control directory, its clock. Everything here blocks.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use graphstream_storage::{self as storage, Key, KeyProblem, Operation};

use crate::directory::{Child, Directory, Entry};
use crate::error::{Error, Failure, FileKind, Result, Step};
use crate::lock::{Gate, Held};
use crate::options::FsOptions;

/// The directory that marks a store; no key may have such a segment.
pub(crate) const CONTROL: &str = ".graphstream";
pub(crate) const TEMP: &str = "tmp";
const LOCK: &str = "lock";
const CLOCK: &str = "clock";
/// Directories remembered as durable; beyond that the memory is emptied, which only costs syncs.
const DURABLE_MAX: usize = 4096;

#[cfg(test)]
pub(crate) type Hook = std::sync::Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

pub(crate) struct Store {
    root: PathBuf,
    pub(crate) options: FsOptions,
    /// Whether `.graphstream` has been seen: from then on its absence means that the store is gone.
    marked: AtomicBool,
    lock: Gate,
    clock: Gate,
    durable: Mutex<HashSet<(u64, u64)>>,
    #[cfg(test)]
    pub(crate) hook: Option<Hook>,
}

impl Store {
    pub(crate) fn open(root: &Path, options: FsOptions) -> Result<Self> {
        let root = std::path::absolute(root).map_err(Error::io(Step::OpenStore, root))?;
        let store = Self {
            root,
            options,
            marked: AtomicBool::new(false),
            lock: Gate::default(),
            clock: Gate::default(),
            durable: Mutex::default(),
            #[cfg(test)]
            hook: None,
        };
        let failed = || Error::io(Step::OpenStore, &store.root);
        let directory = match Directory::open(&store.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if store.options.read_only || !store.options.create_root {
                    return Err(Error::MissingRoot { root: store.root });
                }
                make_all(&store.root).and_then(|()| Directory::open(&store.root)).map_err(failed())?
            }
            opened => opened.map_err(failed())?,
        };
        let marked = directory.entry(CONTROL)?.is_some();
        store.marked.store(marked, Ordering::Relaxed);
        if !store.options.read_only {
            directory.make(CONTROL).and_then(|()| directory.sync()).map_err(failed())?;
            let control = store.control()?;
            control.make(TEMP).and_then(|()| control.sync()).map_err(failed())?;
            // Writes to the store, so that a read-only one shows now and not with the first segment.
            store.next_time()?;
            store.sweep(&control)?;
        }
        Ok(store)
    }

    pub(crate) fn root_path(&self) -> &Path {
        &self.root
    }

    /// Opens the root; that it has gone is not "no such object".
    pub(crate) fn root(&self) -> Result<Directory> {
        Directory::open(&self.root).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => self.gone(),
            _ => Error::io(Step::OpenStore, &self.root)(error),
        })
    }

    /// Opens the control directory.
    pub(crate) fn control(&self) -> Result<Directory> {
        match self.root()?.child(CONTROL)? {
            Child::Directory(control) => {
                self.marked.store(true, Ordering::Relaxed);
                Ok(control)
            }
            Child::Missing | Child::File => Err(self.gone()),
        }
    }

    /// Before a call answers that something is missing: is the store there at all? An unmounted disk leaves an empty
    /// directory, which must not look like an empty store.
    pub(crate) fn check_present(&self) -> Result<()> {
        let root = self.root()?;
        match root.entry(CONTROL)? {
            Some(_) => self.marked.store(true, Ordering::Relaxed),
            None if self.marked.load(Ordering::Relaxed) => return Err(self.gone()),
            None => {}
        }
        Ok(())
    }

    pub(crate) fn gone(&self) -> Error {
        Error::StoreGone { root: self.root.clone() }
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.options.read_only { Err(Error::ReadOnly { root: self.root.clone() }) } else { Ok(()) }
    }

    /// The directory of an object, and its file's name.
    pub(crate) fn parent(&self, operation: Operation, key: &Key) -> Result<(Directory, String), Failure> {
        let (parents, name) = split(key)?;
        match self.root()?.descend(parents)? {
            Some(directory) => Ok((directory, name)),
            None => Err(self.missing(operation, key)),
        }
    }

    /// The answer that there is no such object, unless there is no store.
    pub(crate) fn missing(&self, operation: Operation, key: &Key) -> Failure {
        match self.check_present() {
            Ok(()) => Failure::not_found(operation, key),
            Err(error) => error.into(),
        }
    }

    /// Excludes all other replacements and deletes in this store.
    pub(crate) fn lock(&self, control: &Directory) -> Result<Held<'_>> {
        self.at(Step::Lock, control.path())?;
        self.lock.lock(control, LOCK, self.options.lock_timeout)
    }

    /// A modification time that no object of this store ever had: the clock file keeps the last one.
    pub(crate) fn next_time(&self) -> Result<SystemTime> {
        let control = self.control()?;
        let path = control.path_of(CLOCK);
        self.at(Step::TakeVersion, &path)?;
        let held = self.clock.lock(&control, CLOCK, self.options.lock_timeout)?;
        advance(held.file()).map_err(Error::io(Step::TakeVersion, path))
    }

    /// Removes temporary files that nobody writes to any more. Best effort: they take space, nothing else.
    fn sweep(&self, control: &Directory) -> Result<()> {
        let Child::Directory(temp) = control.child(TEMP)? else { return Ok(()) };
        let mut strays = Vec::new();
        temp.names(|name, kind| {
            if kind == FileKind::File {
                strays.push(name.to_owned());
            }
        })?;
        let now = SystemTime::now();
        for name in strays {
            let modified = temp
                .open_file(&name, rustix::fs::OFlags::RDONLY)
                .and_then(|file| file.metadata()?.modified());
            let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
            if age.is_some_and(|age| age >= self.options.stray_age) {
                let removed = temp.remove_file(&name).is_ok();
                tracing::info!(root = %self.root.display(), file = name, removed, "old temporary file of an unfinished put");
            }
        }
        Ok(())
    }

    /// Makes the name of `child` in `parent` durable, if this is not known of it yet.
    pub(crate) fn settle(&self, parent: &Directory, child: &Directory, made: bool) -> Result<()> {
        let id = child.id().map_err(Error::io(Step::Inspect, child.path()))?;
        let known = !made && self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(&id);
        if !known {
            self.at(Step::SyncDirectory, parent.path())?;
            parent.sync().map_err(Error::io(Step::SyncDirectory, parent.path()))?;
            let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
            if durable.len() >= DURABLE_MAX {
                durable.clear();
            }
            durable.insert(id);
        }
        Ok(())
    }

    pub(crate) fn forget(&self, directory: &Directory) {
        if let Ok(id) = directory.id() {
            self.durable.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }

    /// Removes the directories on the way to `key` that have become empty, deepest first. Best effort.
    pub(crate) fn prune(&self, key: &Key) {
        let Ok((parents, _)) = split(key) else { return };
        let mut chain: Vec<(Directory, &str)> = Vec::new();
        let Ok(mut directory) = self.root() else { return };
        for name in parents {
            let Ok(Child::Directory(child)) = directory.child(name) else { break };
            chain.push((std::mem::replace(&mut directory, child), name));
        }
        while let Some((parent, name)) = chain.pop() {
            self.forget(&directory);
            // Not empty: an object, or a put on its way. Such a put makes the directory again if it comes too late.
            if parent.remove_directory(name).is_err() {
                return;
            }
            directory = parent;
        }
    }

    /// Where tests make a step fail or a process die.
    pub(crate) fn at(&self, step: Step, path: &Path) -> Result<()> {
        #[cfg(test)]
        if let Some(hook) = &self.hook {
            return hook(step).map_err(Error::io(step, path));
        }
        let _ = (step, path);
        Ok(())
    }
}

/// The segments before the last one, and the last one.
pub(crate) fn split(key: &Key) -> Result<(impl Iterator<Item = &str>, String), Failure> {
    let mut offset = 0;
    for segment in key.segments() {
        if segment == CONTROL {
            return Err(storage::Error::InvalidKey { offset, problem: KeyProblem::Reserved }.into());
        }
        offset += segment.len() + 1;
    }
    let mut segments = key.segments();
    let name = segments.next_back().unwrap_or_default().to_owned();
    Ok((segments, name))
}

/// Sets the file's modification time to now, or to the next later one that the file system can tell from the last.
fn advance(clock: &File) -> io::Result<SystemTime> {
    let last = clock.metadata()?.modified()?;
    // A clock file that was just made has the time of its making, which no object has.
    let now = SystemTime::now();
    // From what most file systems tell apart to what the coarsest one does (FAT: 2 s).
    for step_ns in [0, 1, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000] {
        let candidate = now.max(last) + Duration::from_nanos(step_ns);
        if candidate <= last {
            continue;
        }
        clock.set_modified(candidate)?;
        let stored = clock.metadata()?.modified()?;
        if stored > last {
            return Ok(stored);
        }
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "the file system keeps no modification times"))
}

/// Makes a directory and its ancestors, and their names durable.
fn make_all(path: &Path) -> io::Result<()> {
    match std::fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_all(path.parent().ok_or(error)?)?;
            std::fs::create_dir(path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => Directory::open(parent)?.sync(),
        _ => Ok(()),
    }
}

/// The version and the rest of an object's metadata.
pub(crate) fn meta(key: &Key, entry: &Entry) -> storage::Result<storage::ObjectMeta> {
    Ok(storage::ObjectMeta::new(key.clone(), entry.size(), entry.version()?, entry.modified_ms()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_never_repeat_whatever_the_clock_does() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), FsOptions::default()).unwrap();
        let mut last = store.next_time().unwrap();
        for _ in 0..500 {
            let next = store.next_time().unwrap();
            assert!(next > last);
            last = next;
        }
        // As if the machine's clock had been set back by a day.
        let clock = root.path().join(".graphstream/clock");
        let future = SystemTime::now() + Duration::from_secs(86_400);
        File::options().write(true).open(&clock).unwrap().set_modified(future).unwrap();
        assert!(store.next_time().unwrap() > future);
        let reopened = Store::open(root.path(), FsOptions::default()).unwrap();
        assert!(reopened.next_time().unwrap() > future);
    }

    #[test]
    fn r03_a_lock_that_is_held_ends_in_an_error_and_is_no_lock_when_its_file_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let options = FsOptions::default().with_lock_timeout(Duration::from_millis(50));
        let (one, two) =
            (Store::open(root.path(), options.clone()).unwrap(), Store::open(root.path(), options).unwrap());
        let control = one.control().unwrap();
        let held = one.lock(&control).unwrap();
        // Another handle, as another process; and another thread of the same one.
        for store in [&two, &one] {
            let error = store.lock(&control).err().unwrap();
            assert!(matches!(error, Error::LockTimeout { .. }), "{error}");
            assert_eq!(error.class(), storage::ErrorClass::Unavailable);
        }
        drop(held);
        drop(two.lock(&control).unwrap());

        // Whoever waits on a lock file that is removed meanwhile must not believe in it.
        let held = one.lock(&control).unwrap();
        std::fs::remove_file(root.path().join(".graphstream/lock")).unwrap();
        let second = two.lock(&control).unwrap();
        drop(held);
        assert!(one.lock(&control).is_err());
        drop(second);
        drop(one.lock(&control).unwrap());
    }
}
