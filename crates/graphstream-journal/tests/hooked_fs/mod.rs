//! A [`CrashFs`] that lets a test act in the middle of a write or a sync (races without threads, or threads that wait for each other),
//! bounds the length of files, and counts what space costs.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part")]

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use graphstream_journal::{Access, DirEntry, Fs, FsFile, LockMode};
use graphstream_testkit::CrashFs;

type Action = Box<dyn FnOnce() + Send>;
type Watcher = Arc<dyn Fn(Op, &Path) -> io::Result<()> + Send + Sync>;

/// What is about to happen to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Create,
    SyncAll,
    /// Another file gets this name.
    RenameTo,
    Remove,
}

/// See the module.
#[derive(Clone, Default)]
pub struct HookedFs {
    pub disk: CrashFs,
    in_write: Arc<Mutex<Option<Action>>>,
    in_sync_data: Arc<Mutex<Option<Action>>>,
    fail_sync_data: Arc<AtomicBool>,
    file_bytes_max: Arc<Mutex<Option<u64>>>,
    zeros: Arc<AtomicU64>,
    growing_syncs: Arc<AtomicU64>,
    watcher: Arc<Mutex<Option<Watcher>>>,
}

impl HookedFs {
    /// Before each of these operations from now on; an error is the operation's.
    pub fn watch(&self, watcher: impl Fn(Op, &Path) -> io::Result<()> + Send + Sync + 'static) {
        *self.watcher.lock().unwrap() = Some(Arc::new(watcher));
    }

    fn tell(&self, op: Op, path: &Path) -> io::Result<()> {
        let watcher = self.watcher.lock().unwrap().clone();
        watcher.map_or(Ok(()), |watcher| watcher(op, path))
    }

    /// Before the bytes of the next write reach the file.
    pub fn in_next_write(&self, action: impl FnOnce() + Send + 'static) {
        *self.in_write.lock().unwrap() = Some(Box::new(action));
    }

    /// When the next fdatasync has done its work, and has not yet returned.
    pub fn in_next_sync_data(&self, action: impl FnOnce() + Send + 'static) {
        *self.in_sync_data.lock().unwrap() = Some(Box::new(action));
    }

    /// The next fdatasync fails.
    pub fn fail_next_sync_data(&self) {
        self.fail_sync_data.store(true, Ordering::SeqCst);
    }

    /// The device is full when a file gets this long; `None`: never.
    pub fn set_file_bytes_max(&self, bytes: Option<u64>) {
        *self.file_bytes_max.lock().unwrap() = bytes;
    }

    /// How many bytes were written in writes of nothing but zeros.
    pub fn zeros(&self) -> u64 {
        self.zeros.load(Ordering::SeqCst)
    }

    /// How many times fdatasync had a new length to write.
    pub fn growing_syncs(&self) -> u64 {
        self.growing_syncs.load(Ordering::SeqCst)
    }
}

fn act(hook: &Mutex<Option<Action>>) {
    let action = hook.lock().unwrap().take();
    if let Some(action) = action {
        action();
    }
}

impl fmt::Debug for HookedFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

impl Fs for HookedFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        if matches!(access, Access::CreateNew | Access::Create) {
            self.tell(Op::Create, path)?;
        }
        let file = self.disk.open(path, access)?;
        let synced_bytes = AtomicU64::new(file.size()?);
        Ok(Arc::new(HookedFile { file, path: path.to_path_buf(), fs: self.clone(), synced_bytes }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell(Op::RenameTo, to)?;
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.tell(Op::Remove, path)?;
        self.disk.remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
}

#[derive(Debug)]
struct HookedFile {
    file: Arc<dyn FsFile>,
    path: PathBuf,
    fs: HookedFs,
    /// Its length when it was last synced.
    synced_bytes: AtomicU64,
}

impl FsFile for HookedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        act(&self.fs.in_write);
        let room = match *self.fs.file_bytes_max.lock().unwrap() {
            Some(max) => usize::try_from(max.saturating_sub(offset)).unwrap(),
            None => bytes.len(),
        };
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write_at(&bytes[..bytes.len().min(room)], offset)?;
        if bytes.iter().all(|byte| *byte == 0) {
            self.fs.zeros.fetch_add(written as u64, Ordering::SeqCst);
        }
        Ok(written)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.fs.fail_sync_data.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("the disk has gone"));
        }
        let bytes = self.file.size()?;
        if self.synced_bytes.swap(bytes, Ordering::SeqCst) != bytes {
            self.fs.growing_syncs.fetch_add(1, Ordering::SeqCst);
        }
        let result = self.file.sync_data();
        act(&self.fs.in_sync_data);
        result
    }

    fn sync_all(&self) -> io::Result<()> {
        self.fs.tell(Op::SyncAll, &self.path)?;
        self.synced_bytes.store(self.file.size()?, Ordering::SeqCst);
        self.file.sync_all()
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.file.try_lock(mode)
    }
}
