//! Directories as handles: every name is resolved one step at a time, relative to an open directory, and never through a
//! link.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use graphstream_storage::Version;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, FileKind, Result, Step};

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    /// Where it was when opened; for messages only.
    path: PathBuf,
}

/// What a name stands for.
pub(crate) struct Entry {
    pub(crate) kind: FileKind,
    stat: Stat,
}

/// What a name on the way to an object stands for.
pub(crate) enum Child {
    Directory(Directory),
    Missing,
    /// A plain file: an object whose key is an ancestor.
    File,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Directory {
    /// Opens a directory by path, through links: only for the root.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a directory below.
    pub(crate) fn child(&self, name: &str) -> Result<Child> {
        match rustix::fs::openat(&self.fd, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Child::Directory(Self { fd, path: self.path_of(name) })),
            Err(Errno::NOENT) => Ok(Child::Missing),
            Err(Errno::NOTDIR | Errno::LOOP) => match self.entry(name)? {
                None => Ok(Child::Missing),
                Some(entry) if entry.kind == FileKind::File => Ok(Child::File),
                Some(entry) => Err(Error::NotAnObject { path: self.path_of(name), kind: entry.kind }),
            },
            Err(error) => Err(Error::io(Step::OpenDirectory, self.path_of(name))(error)),
        }
    }

    /// Opens a directory further below; anything but directories on the way counts as missing.
    pub(crate) fn descend<'a>(self, names: impl Iterator<Item = &'a str>) -> Result<Option<Self>> {
        let mut directory = self;
        for name in names {
            match directory.child(name)? {
                Child::Directory(child) => directory = child,
                Child::Missing | Child::File => return Ok(None),
            }
        }
        Ok(Some(directory))
    }

    /// Makes a directory; that it exists already is fine.
    pub(crate) fn make(&self, name: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What `name` stands for; links are not followed.
    pub(crate) fn entry(&self, name: &str) -> Result<Option<Entry>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Entry::new(stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(Error::io(Step::Inspect, self.path_of(name))(error)),
        }
    }

    /// Opens a file; never a link, never waiting for the other end of a FIFO.
    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))?.into())
    }

    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes a directory if it is empty.
    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes the names in this directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // Some network and FUSE file systems know no sync of directories; names are as durable as they get there.
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Which directory this is, whatever its name.
    pub(crate) fn id(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::fstat(&self.fd)?;
        Ok((wide(stat.st_dev), wide(stat.st_ino)))
    }

    /// Reads the names, with their kinds; those that are not UTF-8 are left out, they are no keys.
    pub(crate) fn names(&self, mut each: impl FnMut(&str, FileKind)) -> Result<()> {
        let failed = || Error::io(Step::ReadDirectory, &self.path);
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Not every file system says.
                FileType::Unknown => self.entry(name)?.map(|entry| entry.kind),
                known => Some(kind(known)),
            };
            if let Some(kind) = kind {
                each(name, kind);
            }
        }
        Ok(())
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Entry {
    fn new(stat: Stat) -> Self {
        Self { kind: kind(FileType::from_raw_mode(stat.st_mode)), stat }
    }

    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::new(rustix::fs::fstat(file)?))
    }

    pub(crate) fn size(&self) -> u64 {
        wide(self.stat.st_size)
    }

    pub(crate) fn modified_ms(&self) -> i64 {
        let part = |value: i128| i64::try_from(value).unwrap_or(0);
        let (seconds, nanoseconds) = (part(self.stat.st_mtime.into()), part(self.stat.st_mtime_nsec.into()));
        seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
    }

    /// Modification time and size; see the crate's documentation for why this names one put.
    pub(crate) fn version(&self) -> graphstream_storage::Result<Version> {
        let Stat { st_mtime, st_mtime_nsec, st_size, .. } = self.stat;
        Version::new(format!("{st_mtime}.{st_mtime_nsec:09}-{st_size}"))
    }

    /// Which file this is, whatever its name.
    pub(crate) fn id(&self) -> (u64, u64) {
        (wide(self.stat.st_dev), wide(self.stat.st_ino))
    }
}

/// The fields of `stat` have another type on every system; none is negative where this is used.
fn wide<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(0)
}

fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        _ => FileKind::Special,
    }
}
