//! A file system on which others run before and after each write and sync.

use std::io;
use std::path::Path;
use std::sync::Arc;

use graphstream_journal::{Access, DirEntry, Fs, FsFile, LockMode};
use shuttle::thread::yield_now;

use crate::crash_fs::CrashFs;

/// See the module.
#[derive(Debug)]
pub(crate) struct SlowFs(pub(crate) CrashFs);

#[derive(Debug)]
struct SlowFile(Arc<dyn FsFile>);

fn slowly<T>(operation: impl FnOnce() -> T) -> T {
    yield_now();
    let result = operation();
    yield_now();
    result
}

impl Fs for SlowFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        Ok(Arc::new(SlowFile(self.0.open(path, access)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        slowly(|| self.0.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        slowly(|| self.0.remove_file(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        slowly(|| self.0.sync_dir(dir))
    }
}

impl FsFile for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        slowly(|| self.0.write_at(bytes, offset))
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<bool> {
        self.0.allocate(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        slowly(|| self.0.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        slowly(|| self.0.sync_all())
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.0.try_lock(mode)
    }
}
