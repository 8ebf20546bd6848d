//! The narrow door to the file system. Everything the journal does to files goes through [`Fs`], so that a test can
//! record it, fail any step of it, and build what a power cut at any point would have left.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod std_fs;

pub use std_fs::StdFs;

/// A file system, as much of it as a journal needs.
///
/// What must hold (the crash tests' file system takes away everything that is not promised here):
///
/// 1. `rename` over an existing file is atomic for other processes; after a power cut the old or the new file stands
///    there, and which of them is decided only once `sync_dir` of the directory has returned.
/// 2. A created, renamed or removed name is durable once `sync_dir` of its directory has returned, not before.
/// 3. Bytes are durable once `sync_data` or `sync_all` of the file has returned `Ok`; after it failed, nothing is known
///    about any byte written since the last time it returned `Ok`.
pub trait Fs: fmt::Debug + Send + Sync + 'static {
    /// Creates a directory and its parents; fine if it exists.
    ///
    /// # Errors
    /// Those of the file system; something else than a directory at the place is one.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names in a directory, in any order, without following links.
    ///
    /// # Errors
    /// Those of the file system; `NotFound` when there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Opens a regular file. It never follows a symbolic link and never waits (for the other end of a pipe).
    ///
    /// # Errors
    /// Those of the file system: `NotFound` and `AlreadyExists` by `access`; `InvalidInput` when the name is not a regular file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>>;

    /// Renames within one file system, replacing what stands at `to`.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes the directory's names durable.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Where the operating system finds a file of this file system, for those who open it without this trait. `None`, the
    /// default, when it does not.
    fn os_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
}

/// An open regular file. All offsets are in bytes from its start.
pub trait FsFile: fmt::Debug + Send + Sync + 'static {
    /// Reads into `buffer` from `offset`; 0 at the end. May read less than asked for.
    ///
    /// # Errors
    /// Those of the file system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes from `offset`, possibly less than given.
    ///
    /// # Errors
    /// Those of the file system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Its length in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn size(&self) -> io::Result<u64>;

    /// Cuts it, or extends it with zeros.
    ///
    /// # Errors
    /// Those of the file system.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Makes its content durable, with the length where it changed (`fdatasync`).
    ///
    /// # Errors
    /// Those of the file system.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes its content and its attributes durable (`fsync`).
    ///
    /// # Errors
    /// Those of the file system.
    fn sync_all(&self) -> io::Result<()>;

    /// Takes an advisory lock that lasts until this file is dropped (or its process ends): `false` when somebody else
    /// holds one that excludes it.
    ///
    /// # Errors
    /// Those of the file system.
    fn try_lock(&self, mode: LockMode) -> io::Result<bool>;
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read an existing file.
    Read,
    /// To read and write an existing file.
    ReadWrite,
    /// To read and write a file that must not exist yet.
    CreateNew,
    /// To read and write a file that is created when missing.
    Create,
}

/// How a lock excludes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Excludes every other lock.
    Exclusive,
    /// Excludes exclusive locks only.
    Shared,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: OsString,
    /// What it names.
    pub kind: FileKind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it points to.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Other => "a pipe, socket or device",
        })
    }
}
