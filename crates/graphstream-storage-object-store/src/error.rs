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
    /// A status that `object_store` has no word for.
    #[cfg(feature = "urls")]
    #[error("the store answered {status}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The store's code for it.
        code: Option<String>,
    },
    /// The store is somewhere else, it says. That is not believed: credentials would be sent there.
    #[cfg(feature = "urls")]
    #[error(
        "the store answered {status} and points to {}: redirects are refused, name the store where it is",
        host.as_deref().unwrap_or("another place")
    )]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// Where to.
        host: Option<String>,
    },
    /// Whoever has the credentials gave none.
    #[cfg(feature = "urls")]
    #[error("{host} gave no credentials for the store")]
    NoCredentials {
        /// Who was asked.
        host: String,
        /// What came of it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Credentials would go over the network in the clear.
    #[cfg(feature = "urls")]
    #[error("credentials are not sent over http: to another machine: use https:, or anonymous=true")]
    InTheClear,
    /// An endpoint that is none.
    #[cfg(feature = "urls")]
    #[error("the endpoint is not http[s]://host[:port]")]
    InvalidEndpoint,
    /// An account is needed.
    #[cfg(feature = "azure")]
    #[error(
        "no storage account: name it with account= or AZURE_STORAGE_ACCOUNT_NAME, 3 to 24 lower case letters and digits"
    )]
    NoAccount,
    /// The header of the environment is none.
    #[cfg(feature = "http")]
    #[error("GRAPHSTREAM_HTTP_AUTHORIZATION is not the value of a header")]
    InvalidAuthorization,
    /// TLS can't be set up.
    #[cfg(feature = "urls")]
    #[error("TLS can't be set up")]
    Tls {
        /// The reason.
        source: rustls::Error,
    },
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
            _ if matches!(error, Foreign::NotFound { .. }) || names_container(&error) => {
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
            #[cfg(feature = "urls")]
            Some(Cause::Throttled) => ErrorClass::Throttled,
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
    #[cfg(feature = "urls")]
    Throttled,
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
            return if connect { Some(Cause::NeverSent) } else { answer(http) };
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

/// What the client saw behind an error without a connection's failure.
#[cfg(feature = "urls")]
fn answer(error: &object_store::client::HttpError) -> Option<Cause> {
    match error.source()?.downcast_ref::<Error>()? {
        Error::Redirected { .. } | Error::InTheClear => Some(Cause::Impossible),
        // Nothing was sent to the store.
        Error::NoCredentials { source, .. } => {
            // An answer as it was seen, or the client's error around it.
            let source = source.as_ref();
            let answered = source.downcast_ref::<Error>().or_else(|| source.source()?.downcast_ref());
            Some(match answered {
                Some(Error::Answer { status: 400..=407 | 409..=428 | 430..=498, .. }) => Cause::Denied,
                Some(Error::Redirected { .. }) => Cause::Impossible,
                _ => Cause::NeverSent,
            })
        }
        Error::Answer { status, code } => match (status, code.as_deref()) {
            (401 | 403, _) => Some(Cause::Denied),
            (429, _) | (_, Some("SlowDown" | "ServerBusy")) => Some(Cause::Throttled),
            // From something in between, which may have passed the request on.
            (408 | 499, _) => None,
            (400..=498, _) => Some(Cause::Impossible),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(all(feature = "client", not(feature = "urls")))]
fn answer(_error: &object_store::client::HttpError) -> Option<Cause> {
    None
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

/// Whether a store certainly found an object where one was to be created: GCS, whose condition is a generation, and Azure. Of others
/// a conflict may be about another request. `object_store` keeps status and code as text only.
pub(crate) fn says_exists(error: &Foreign) -> bool {
    causes(error).any(|cause| {
        let text = cause.to_string();
        ["412 Precondition Failed", "BlobAlreadyExists"].iter().any(|found| text.contains(found))
    })
}

/// Whether a 404 is about the bucket. S3, GCS and Azure say so in a code in the body, and `object_store` keeps it as text only.
pub(crate) fn names_container(error: &Foreign) -> bool {
    causes(error).any(|cause| {
        let text = cause.to_string();
        ["NoSuchBucket", "ContainerNotFound"].iter().any(|code| text.contains(code))
    })
}
