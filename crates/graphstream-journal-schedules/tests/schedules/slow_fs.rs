//! A file system on which others run before and after each write and sync. It panics when a sealed segment gets its name before those in
//! front of it have theirs, durably.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use graphstream_journal::{Access, DirEntry, Fs, FsFile, LockMode};
use shuttle::thread::yield_now;

use crate::crash_fs::CrashFs;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SlowFs {
    pub(crate) fs: CrashFs,
    under_way: Arc<AtomicUsize>,
    /// How often others run before and after an fdatasync.
    sync_turns: usize,
    /// The sealed segment whose name may not be durable.
    renamed: Arc<Mutex<Option<PathBuf>>>,
}

#[derive(Debug)]
struct SlowFile {
    file: Arc<dyn FsFile>,
    fs: SlowFs,
}

impl SlowFs {
    pub(crate) fn new(fs: CrashFs) -> Self {
        Self { fs, under_way: Arc::default(), sync_turns: 1, renamed: Arc::default() }
    }

    /// One whose fdatasyncs take so long that a journal can end beside them.
    pub(crate) fn with_slow_syncs(fs: CrashFs) -> Self {
        Self { sync_turns: 100, ..Self::new(fs) }
    }

    /// How many writes and syncs have begun and not ended.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Whether a rename puts a sealed segment in the place of the open one: then it must be its turn.
    fn seals(&self, dir: &Path, target: &Path) -> bool {
        let is_open =
            |path: &Path| path.extension().is_some_and(|end| end == "hadbj") && !self.is_sealed(path);
        if !is_open(target) {
            return false;
        }
        let earlier: Vec<_> = self.fs.files().into_iter().filter(|path| path.as_path() < target).collect();
        let left = earlier.iter().find(|path| path.parent() == Some(dir) && is_open(path));
        assert_eq!(left, None, "{} is sealed before it", target.display());
        let undurable = self.renamed.lock().unwrap().clone();
        assert_eq!(undurable, None, "{} is sealed before that one is on disk", target.display());
        true
    }

    fn is_sealed(&self, path: &Path) -> bool {
        const SEALED: u8 = 0x04;
        // A name without a file is no open segment either.
        self.fs.content(path).is_none_or(|bytes| bytes[6] & SEALED != 0)
    }

    fn slowly<T>(&self, operation: impl FnOnce() -> T) -> T {
        self.in_turns(1, operation)
    }

    fn in_turns<T>(&self, turns: usize, operation: impl FnOnce() -> T) -> T {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        (0..turns).for_each(|_| yield_now());
        let result = operation();
        (0..turns).for_each(|_| yield_now());
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

impl Fs for SlowFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.fs.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.fs.list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        Ok(Arc::new(SlowFile { file: self.fs.open(path, access)?, fs: self.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.slowly(|| {
            let seals = self.seals(to.parent().unwrap(), to);
            self.fs.rename(from, to)?;
            if seals {
                *self.renamed.lock().unwrap() = Some(to.to_path_buf());
            }
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.slowly(|| self.fs.remove_file(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.slowly(|| {
            self.fs.sync_dir(dir)?;
            *self.renamed.lock().unwrap() = None;
            Ok(())
        })
    }
}

impl FsFile for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.fs.slowly(|| self.file.write_at(bytes, offset))
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fs.in_turns(self.fs.sync_turns, || self.file.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.fs.slowly(|| self.file.sync_all())
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.file.try_lock(mode)
    }
}
