//! The file under a `jsonl` target, and the narrow door to it that tests make fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::{Error, Reason, Result};

/// A file of lines that only grows at its end and is only cut at its end.
pub(super) trait LineFile: Send + std::fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> u64;
    /// Fills `buffer` from `offset`.
    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Shortens it to `len` bytes and makes that durable.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// Makes everything durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// So many bytes behind the last sync the disk gets work, though nobody waits for it yet: lines are made meanwhile.
const SYNC_AHEAD_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct DiskFile {
    file: Arc<File>,
    len: u64,
    /// A sync that runs beside what is appended.
    ahead: Option<JoinHandle<io::Result<()>>>,
    /// Up to where a sync was begun.
    sync_begun: u64,
}

impl DiskFile {
    /// Opens or creates the file, without following a symbolic link and without waiting for anybody's other end.
    pub(super) fn open(target: &str, path: &Path) -> Result<Self> {
        let failed = |source: io::Error| Error::Open { target: target.to_owned(), source: Box::new(source) };
        let existed = match std::fs::symlink_metadata(path) {
            Ok(found) => {
                refuse_special(path, &found)?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use rustix::fs::OFlags;
            use std::os::unix::fs::OpenOptionsExt;
            // Between the look above and now the path may have become something else: neither follow it nor hang on it.
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            options.custom_flags(flags.bits().cast_signed());
        }
        let file = options.open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        refuse_special(path, &found)?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => Error::Open {
                target: target.to_owned(),
                source: Box::new(Reason::new("another process, or another target of this one, has it open")),
            },
            std::fs::TryLockError::Error(error) => failed(error),
        })?;
        if !existed {
            sync_parent(path).map_err(failed)?;
        }
        Ok(Self { file: Arc::new(file), len: found.len(), ahead: None, sync_begun: found.len() })
    }

    /// Begins a sync on another thread, if much was appended and none runs. Without a thread the disk has more to do later.
    fn sync_ahead(&mut self) -> io::Result<()> {
        if self.len - self.sync_begun < SYNC_AHEAD_BYTES {
            return Ok(());
        }
        if self.ahead.as_ref().is_some_and(|ahead| !ahead.is_finished()) {
            return Ok(());
        }
        self.end_ahead()?;
        self.sync_begun = self.len;
        let file = Arc::clone(&self.file);
        let ahead = std::thread::Builder::new().name("graphstream-sync".to_owned());
        self.ahead = ahead.spawn(move || file.sync_data()).ok();
        Ok(())
    }

    /// Waits for the sync beside. Its failure is told to nobody else: a file reports a write that was lost once.
    fn end_ahead(&mut self) -> io::Result<()> {
        match self.ahead.take() {
            Some(ahead) => {
                ahead.join().unwrap_or_else(|_| Err(io::Error::other("the thread that synced died")))
            }
            None => Ok(()),
        }
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        // Whoever drops it does not count on what was not synced.
        let _ = self.end_ahead();
        // Closing isn't enough: a process that another thread is just starting holds a copy of the descriptor, and with it the
        // lock, until it becomes its program.
        let _ = self.file.unlock();
    }
}

fn refuse_special(path: &Path, found: &std::fs::Metadata) -> Result<()> {
    let kind = found.file_type();
    let found = if kind.is_file() {
        return Ok(());
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else {
        "a FIFO, a socket or a device"
    };
    Err(Error::NotAFile { path: path.to_path_buf(), found })
}

/// Makes the file's name durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

impl LineFile for DiskFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.len))?;
        file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        self.sync_ahead()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        // What it says of what is cut off does not matter, and what stays was synced before.
        let _ = self.end_ahead();
        self.file.set_len(len)?;
        (self.len, self.sync_begun) = (len, len);
        self.file.sync_all()
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.file.sync_data();
        self.sync_begun = self.len;
        synced.and(self.end_ahead())
    }
}
