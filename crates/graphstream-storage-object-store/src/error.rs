//! What the errors of `object_store` mean for a caller.
//!
//! It sorts by HTTP status and keeps what it has no word for in `Generic`. For a put that is everything from a refused connection
//! to a lost answer, so only what is certain to have changed nothing gets a definite class.

use std::error::Error as StdError;
use std::io;

use graphstream_storage::{Error as StorageError, ErrorClass, Key, Operation};
use object_store::Error as Foreign;

/// What can go wrong in the adapter itself; the source in [`graphstream_storage::Error::Backend`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store answers without an etag.
    #[error("the store gives objects no etag, so there are no versions")]
    NoVersion,
    /// A bucket or container is missing, not an object.
    #[error("there is no such bucket or container, or the path of the store is wrong")]
    NoContainer {
        /// The store's answer.
        source: Foreign,
    },
    /// A conflict with another request. Nothing was changed.
    #[error("another request for the same object was under way; nothing was changed")]
    Conflict {
        /// The store's answer.
        source: Foreign,
    },
    /// A file too large to put under a condition.
    #[error(
        "a file of {bytes} bytes can't be put under a condition here: such bodies are in memory, {bytes_max} bytes at most"
    )]
    FileTooLarge {
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// The runtime shut down while a file was read.
    #[error("the tokio runtime shut down while a file was read")]
    Interrupted,
}

/// The calls' errors, in words of one store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failing<'a> {
    pub(crate) operation: Operation,
    /// The key or prefix.
    pub(crate) subject: &'a str,
    /// The store's name.
    pub(crate) store: &'a str,
}

impl Failing<'_> {
    pub(crate) fn with(
        self,
        class: ErrorClass,
        source: impl StdError + Send + Sync + 'static,
    ) -> StorageError {
        StorageError::backend(class, self.operation, self.subject, self.store, source)
    }

    /// An error that means the same whatever was asked.
    pub(crate) fn fold(self, error: Foreign) -> StorageError {
        let class = match &error {
            Foreign::NotSupported { .. } | Foreign::NotImplemented { .. } => {
                return StorageError::Unsupported {
                    backend: self.store.to_owned(),
                    operation: self.operation,
                };
            }
            Foreign::PermissionDenied { .. } | Foreign::Unauthenticated { .. } => ErrorClass::Denied,
            Foreign::InvalidPath { .. } | Foreign::UnknownConfigurationKey { .. } => ErrorClass::Other,
            Foreign::NotFound { .. } => {
                return self.with(ErrorClass::Other, Error::NoContainer { source: error });
            }
            _ => self.generic_class(&error),
        };
        self.with(class, error)
    }

    /// An error of a call for one object that need not be there.
    pub(crate) fn fold_object(self, key: &Key, error: Foreign) -> StorageError {
        // In the local store, a file where a directory should be, or the other way round, is no object either.
        let missing = matches!(error, Foreign::NotFound { .. }) && !names_container(&error);
        if missing || (self.operation != Operation::Put && is_key_conflict(&error)) {
            return StorageError::NotFound { operation: self.operation, key: key.clone() };
        }
        self.fold(error)
    }

    fn generic_class(self, error: &Foreign) -> ErrorClass {
        let changes = matches!(self.operation, Operation::Put | Operation::Delete | Operation::DeleteMany);
        match cause(error) {
            Some(Cause::Denied) => ErrorClass::Denied,
            Some(Cause::NeverSent) => ErrorClass::Unavailable,
            Some(Cause::Impossible) => ErrorClass::Other,
            None if changes => ErrorClass::TimeoutUnknown,
            None => ErrorClass::Unavailable,
        }
    }
}

/// Why nothing was changed, where that is certain.
enum Cause {
    Denied,
    NeverSent,
    Impossible,
}

/// The errors behind an error, outermost first.
fn causes<'a>(error: &'a Foreign) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn cause(error: &Foreign) -> Option<Cause> {
    causes(error).find_map(|cause| {
        #[cfg(feature = "client")]
        if let Some(http) = cause.downcast_ref::<object_store::client::HttpError>() {
            let connect = http.kind() == object_store::client::HttpErrorKind::Connect;
            return connect.then_some(Cause::NeverSent);
        }
        match cause.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(Cause::Denied),
            io::ErrorKind::InvalidFilename => Some(Cause::Impossible),
            // The local store writes aside and renames: a full disk shows before.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Cause::NeverSent),
            _ => None,
        }
    })
}

/// Whether a file stands where a directory is needed, or the other way round.
pub(crate) fn is_key_conflict(error: &Foreign) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};

    let kinds = [AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory];
    !matches!(error, Foreign::AlreadyExists { .. })
        && causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|io| kinds.contains(&io.kind()))
}

/// Whether the system of this machine said it, and no server: then "already exists" means just that.
pub(crate) fn is_local(error: &Foreign) -> bool {
    causes(error).any(|cause| cause.is::<io::Error>())
}

/// Whether a 404 is about the bucket. S3, GCS and Azure say so in a code in the body, and `object_store` keeps it as text only.
pub(crate) fn names_container(error: &Foreign) -> bool {
    causes(error).any(|cause| {
        let text = cause.to_string();
        ["NoSuchBucket", "ContainerNotFound"].iter().any(|code| text.contains(code))
    })
}
