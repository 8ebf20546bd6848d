//! What can go wrong in a file system, in its own terms; [`Error::class`] translates.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use graphstream_storage::{self as storage, ErrorClass, Key, Operation};
use rustix::io::Errno;

/// The result of opening a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The steps of this backend's calls, in the words of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Opening or making the root and `.graphstream`.
    OpenStore,
    /// Creating the temporary file.
    CreateTemp,
    /// Writing the body to it.
    WriteTemp,
    /// Taking a version from the clock file.
    TakeVersion,
    /// Syncing the temporary file.
    SyncTemp,
    /// Opening a directory on the way to an object.
    OpenDirectory,
    /// Making one.
    MakeDirectory,
    /// Syncing a directory before the object is in it.
    SyncDirectory,
    /// Taking the lock.
    Lock,
    /// Looking at what a name stands for.
    Inspect,
    /// Giving the temporary file its name.
    Publish,
    /// Syncing the directory with the new name.
    SyncPublished,
    /// Removing an object's file.
    Unlink,
    /// Syncing the directory without it.
    SyncUnlinked,
    /// Opening an object's file.
    Open,
    /// Reading an object's file.
    Read,
    /// Reading a directory.
    ReadDirectory,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenStore => "open the store at",
            Self::CreateTemp => "create the temporary file",
            Self::WriteTemp => "write the temporary file",
            Self::TakeVersion => "take a version from",
            Self::SyncTemp => "sync the temporary file",
            Self::OpenDirectory => "open the directory",
            Self::MakeDirectory => "make the directory",
            Self::SyncDirectory | Self::SyncPublished | Self::SyncUnlinked => "sync the directory",
            Self::Lock => "take the lock",
            Self::Inspect => "look at",
            Self::Publish => "move the temporary file to",
            Self::Unlink => "remove",
            Self::Open => "open",
            Self::Read => "read",
            Self::ReadDirectory => "read the directory",
        })
    }
}

/// What a name in the store stands for, if not for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO.
    Fifo,
    /// A socket, a device, or what this system has beyond.
    Special,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a plain file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a FIFO",
            Self::Special => "a socket or device",
        })
    }
}

/// The errors of the file system; the source in [`graphstream_storage::Error::Backend`], except at open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("could not {step} {}", path.display())]
    Io {
        /// What was attempted.
        step: Step,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no such root, and it was not to be made.
    #[error("there is no store at {}: no such directory", root.display())]
    MissingRoot {
        /// The root.
        root: PathBuf,
    },
    /// The root was a store when it was opened and is none now.
    #[error("{} no longer holds the store (its .graphstream is missing): has it been unmounted, moved or removed?", root.display())]
    StoreGone {
        /// The root.
        root: PathBuf,
    },
    /// A change, although opened to read only.
    #[error("the store at {} was opened to read only", root.display())]
    ReadOnly {
        /// The root.
        root: PathBuf,
    },
    /// Something else where an object or a directory should be. It was not opened.
    #[error("{} is {kind}, which is not an object and is not followed", path.display())]
    NotAnObject {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// Another process holds the lock for too long.
    #[error("waited {waited:?} for the lock {}: another process holds it", path.display())]
    LockTimeout {
        /// The lock file.
        path: PathBuf,
        /// How long.
        waited: Duration,
    },
    /// The temporary file or its directory disappeared before it could be published; nothing was changed.
    #[error("{} disappeared before it could be moved into place", path.display())]
    TempGone {
        /// The temporary file.
        path: PathBuf,
    },
    /// Called outside of a tokio runtime.
    #[error("no tokio runtime to run blocking file calls on")]
    NoRuntime,
    /// The runtime shut down while a file call was under way.
    #[error("the tokio runtime shut down during a file call")]
    Interrupted,
}

impl Error {
    /// Turns the answer of a system call into an error.
    pub(crate) fn io<E: Into<io::Error>>(step: Step, path: impl Into<PathBuf>) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io { step, path, source: source.into() }
    }

    /// The class on which a caller decides.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { step, source, .. } => io_class(*step, source),
            Self::MissingRoot { .. } => ErrorClass::NotFound,
            Self::ReadOnly { .. } => ErrorClass::Denied,
            Self::NotAnObject { .. } | Self::NoRuntime => ErrorClass::Other,
            Self::StoreGone { .. } | Self::LockTimeout { .. } | Self::TempGone { .. } => {
                ErrorClass::Unavailable
            }
            Self::Interrupted => ErrorClass::TimeoutUnknown,
        }
    }
}

fn io_class(step: Step, error: &io::Error) -> ErrorClass {
    // The object has its new name, or has lost it, but nobody knows whether that lasts.
    if matches!(step, Step::SyncPublished | Step::SyncUnlinked) {
        return ErrorClass::TimeoutUnknown;
    }
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => ErrorClass::Denied,
        // Whether the journal of the file system took the change is not known after an I/O error.
        Some(Errno::IO) if matches!(step, Step::Publish | Step::Unlink) => ErrorClass::TimeoutUnknown,
        Some(
            Errno::INVAL
            | Errno::NAMETOOLONG
            | Errno::FBIG
            | Errno::LOOP
            | Errno::NOSYS
            | Errno::OPNOTSUPP
            | Errno::XDEV
            | Errno::NOTDIR
            | Errno::NOLCK,
        ) => ErrorClass::Other,
        // Full disks and quotas, too many open files, I/O errors on reading, a file system that went away: definite, and
        // they may pass.
        _ => ErrorClass::Unavailable,
    }
}

/// How the inner calls fail: by the contract, or by the file system.
#[derive(Debug)]
pub(crate) enum Failure {
    Contract(storage::Error),
    Fs(Error),
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        Self::Contract(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fs(error)
    }
}

impl Failure {
    pub(crate) fn not_found(operation: Operation, key: &Key) -> Self {
        Self::Contract(storage::Error::NotFound { operation, key: key.clone() })
    }

    /// The error as the trait's callers see it.
    pub(crate) fn fold(self, operation: Operation, subject: &str, backend: &str) -> storage::Error {
        match self {
            Self::Contract(error) => error,
            Self::Fs(error) => storage::Error::backend(error.class(), operation, subject, backend, error),
        }
    }
}
