//! A file system in memory that takes away everything it has not promised.
//!
//! ```text
//!  journal --Fs--> volatile view (what the running process sees)
//!                  + list of effects, each with what makes it durable
//!                                   |
//!            Crashes: at every boundary, many choices of what had reached the disk -> Image -> a new CrashFs
//! ```
//!
//! What is promised is what [`Fs`](graphstream_journal::Fs) says: bytes are durable after a successful sync of their file, names after a
//! sync of their directory, and a rename in one directory replaces atomically. Everything else may be lost, kept or torn, in
//! any order. After a *failed* sync nothing written before it becomes durable by a later one (the kernel has marked the
//! pages clean), though the running process still reads it.

mod disk;
mod file;
mod image;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graphstream_journal::{Access, DirEntry, FileKind, Fs, FsFile};

use disk::{Disk, Effect, Inode};
use file::CrashFile;
pub use image::{Crashes, Image, Persisted};

/// What happens to an operation instead of its success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error and does nothing. A sync that fails drops what it should have written.
    Error(io::ErrorKind),
    /// A write or read does only its first half (at least one byte); other operations succeed.
    Short,
}

/// See the module. Clones are handles of the same file system.
#[derive(Clone, Debug, Default)]
pub struct CrashFs {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// What the running process sees.
    pub(crate) now: Disk,
    /// What was there before the first effect.
    pub(crate) base: Disk,
    pub(crate) effects: Vec<Effect>,
    pub(crate) locks: BTreeMap<Inode, Locked>,
    next_inode: Inode,
    next_handle: u64,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    /// From this call on every one that needs space fails.
    full_from: Option<u64>,
    lies: Lies,
}

/// Syncs that report success and do nothing: planted bugs, to prove that the tests would notice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lies {
    /// Syncs of files.
    pub files: bool,
    /// Syncs of directories.
    pub dirs: bool,
}

/// Who holds a file's lock.
#[derive(Debug, Default)]
pub(crate) struct Locked {
    pub(crate) exclusive: Option<u64>,
    pub(crate) shared: Vec<u64>,
}

/// What an operation is about to do, for the fault plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Create,
    Rename,
    Remove,
    SyncDir,
    Read,
    Write,
    SetLen,
    Sync,
}

impl CrashFs {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn from_disk(disk: Disk, next_inode: Inode) -> Self {
        let inner = Inner { now: disk.clone(), base: disk, next_inode, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many effects there are: a place in the history, for [`Crashes`].
    #[must_use]
    pub fn effects(&self) -> usize {
        self.lock().effects.len()
    }

    /// The longest write of nothing but zeros so far, in bytes.
    #[must_use]
    pub fn longest_write_of_zeros(&self) -> usize {
        let zeros = |effect: &Effect| match effect {
            Effect::Write { bytes, .. } if bytes.iter().all(|byte| *byte == 0) => bytes.len(),
            _ => 0,
        };
        self.lock().effects.iter().map(zeros).max().unwrap_or(0)
    }

    /// How many operations were called that a [`Fault`] can hit.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Lets the operation number `call` (from 0, as [`CrashFs::calls`] counts) fail once.
    pub fn fail(&self, call: u64, fault: Fault) {
        self.lock().faults.insert(call, fault);
    }

    /// From now on nothing that needs space succeeds, until [`CrashFs::give_space`].
    pub fn take_space(&self) {
        let mut inner = self.lock();
        inner.full_from = Some(inner.calls);
    }

    /// From the operation number `call` on nothing that needs space succeeds.
    pub fn take_space_at(&self, call: u64) {
        self.lock().full_from = Some(call);
    }

    /// There is space again.
    pub fn give_space(&self) {
        self.lock().full_from = None;
    }

    /// Forgets all planned faults.
    pub fn heal(&self) {
        let mut inner = self.lock();
        inner.faults.clear();
        inner.full_from = None;
    }

    /// From now on these syncs lie.
    pub fn lie(&self, lies: Lies) {
        self.lock().lies = lies;
    }

    /// Puts a file there as if it had always been, durable.
    pub fn put(&self, path: impl AsRef<Path>, content: &[u8]) {
        let mut inner = self.lock();
        let inode = inner.take_inode();
        let path = path.as_ref();
        let (dir, name) = split(path);
        let inner = &mut *inner;
        for disk in [&mut inner.now, &mut inner.base] {
            disk.make_dirs(&dir);
            disk.files.insert(inode, Arc::new(content.to_vec()));
            disk.link(&dir, &name, inode);
        }
    }

    /// What the running process sees in a file.
    #[must_use]
    pub fn content(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let inner = self.lock();
        let (dir, name) = split(path.as_ref());
        let inode = inner.now.lookup(&dir, &name)?;
        inner.now.files.get(&inode).map(|content| content.to_vec())
    }

    /// Changes a file under everybody's hands, durably: bit rot. False if there is no such file.
    pub fn corrupt(&self, path: impl AsRef<Path>, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(mut content) = self.content(&path) else { return false };
        change(&mut content);
        let mut inner = self.lock();
        let (dir, name) = split(path.as_ref());
        let inner = &mut *inner;
        for disk in [&mut inner.now, &mut inner.base] {
            if let Some(inode) = disk.lookup(&dir, &name) {
                disk.files.insert(inode, Arc::new(content.clone()));
            }
        }
        true
    }

    /// Frees all locks, as the end of the processes that held them does.
    pub fn break_locks(&self) {
        self.lock().locks.clear();
    }

    /// The same content on a new file system whose whole state is durable: a process that was killed, not a power cut.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let inner = self.lock();
        Self::from_disk(inner.now.clone(), inner.next_inode)
    }

    /// The same on a file system of its own, with what is pending still pending and all locks free: a process that was killed, whose
    /// last writes a power cut may still take back.
    #[must_use]
    pub fn copy(&self) -> Self {
        let inner = self.lock();
        let copy = Inner {
            now: inner.now.clone(),
            base: inner.base.clone(),
            effects: inner.effects.clone(),
            next_inode: inner.next_inode,
            ..Inner::default()
        };
        Self { inner: Arc::new(Mutex::new(copy)) }
    }

    /// All files, by path.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock().now.paths()
    }
}

impl Inner {
    pub(crate) fn take_inode(&mut self) -> Inode {
        self.next_inode += 1;
        self.next_inode
    }

    pub(crate) fn next_inode(&self) -> Inode {
        self.next_inode
    }

    /// Counts an operation and says how it is to go wrong.
    pub(crate) fn call(&mut self, call: Call) -> io::Result<Option<Fault>> {
        let number = self.calls;
        self.calls += 1;
        let needs_space = matches!(call, Call::Create | Call::Write | Call::SetLen);
        if needs_space && self.full_from.is_some_and(|from| number >= from) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.faults.remove(&number) {
            Some(Fault::Error(kind)) => Err(kind.into()),
            other => Ok(other),
        }
    }

    /// Does something and remembers it.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.now.apply(&effect);
        self.effects.push(effect);
    }
}

/// Locks say nothing after a crash: their files are kept out of the history.
pub(crate) fn is_lock(name: &OsString) -> bool {
    name == "LOCK" || name == "SHIP"
}

fn split(path: &Path) -> (PathBuf, OsString) {
    let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
    (dir, path.file_name().unwrap_or_default().to_os_string())
}

impl Fs for CrashFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.call(Call::Create)?;
        let mut missing: Vec<PathBuf> =
            dir.ancestors().filter(|dir| inner.now.list(dir).is_none()).map(Path::to_path_buf).collect();
        while let Some(dir) = missing.pop() {
            if dir.parent().is_some() {
                inner.effect(Effect::MakeDir { dir });
            } else {
                // The root was always there.
                let inner = &mut *inner;
                inner.now.make_dirs(&dir);
                inner.base.make_dirs(&dir);
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let inner = self.lock();
        inner.now.list(dir).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        let (dir, name) = split(path);
        let mut inner = self.lock();
        let found = inner.now.lookup(&dir, &name);
        if found.is_none() && inner.now.list(path).is_some() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let inode = match (found, access) {
            (Some(_), Access::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => {
                inner.call(Call::Open)?;
                inode
            }
            (None, Access::Read | Access::ReadWrite) => return Err(io::ErrorKind::NotFound.into()),
            (None, Access::CreateNew | Access::Create) => {
                inner.call(Call::Create)?;
                if inner.now.list(&dir).is_none() {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inode = inner.take_inode();
                if is_lock(&name) {
                    let inner = &mut *inner;
                    inner.now.files.insert(inode, Arc::default());
                    inner.now.link(&dir, &name, inode);
                } else {
                    inner.effect(Effect::Create { dir, name: name.clone(), inode });
                }
                inode
            }
        };
        inner.next_handle += 1;
        let handle = inner.next_handle;
        drop(inner);
        Ok(Arc::new(CrashFile::new(self.clone(), inode, handle, is_lock(&name))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_dir, from_name), (to_dir, to_name)) = (split(from), split(to));
        let mut inner = self.lock();
        let Some(inode) = inner.now.lookup(&from_dir, &from_name) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        inner.call(Call::Rename)?;
        inner.effect(Effect::Rename { from_dir, from_name, to_dir, to_name, inode });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = split(path);
        let mut inner = self.lock();
        if inner.now.lookup(&dir, &name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        inner.call(Call::Remove)?;
        inner.effect(Effect::Remove { dir, name });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        let result = inner.call(Call::SyncDir).map(|_| ());
        if !inner.lies.dirs {
            inner.effect(Effect::SyncDir { dir: dir.to_path_buf(), ok: result.is_ok() });
        }
        result
    }
}

/// What a name stands for; links and pipes do not exist here.
pub(crate) const FILE: FileKind = FileKind::File;
