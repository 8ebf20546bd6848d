//! The file under a `jsonl` target, and the narrow door to it that tests make fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

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

#[derive(Debug)]
pub(super) struct DiskFile {
    file: File,
    len: u64,
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
        Ok(Self { file, len: found.len() })
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
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
        self.file.seek(SeekFrom::Start(offset))?;
        io::Read::read_exact(&mut self.file, buffer)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        self.file.sync_all()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
