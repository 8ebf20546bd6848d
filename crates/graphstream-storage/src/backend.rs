//! The contract: one object-safe trait with numbered obligations.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use graphstream_metrics::StorageOperation;

use crate::error::Result;
use crate::{GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta, PutBody, PutMode, Version};

/// The calls of [`StorageBackend`], as errors, metrics and fault rules name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`StorageBackend::get`].
    Get,
    /// [`StorageBackend::put`].
    Put,
    /// [`StorageBackend::head`].
    Head,
    /// [`StorageBackend::delete`].
    Delete,
    /// [`StorageBackend::delete_many`].
    DeleteMany,
    /// [`StorageBackend::list`].
    List,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 6] = [Self::Get, Self::Put, Self::Head, Self::Delete, Self::DeleteMany, Self::List];

    /// The operation in lower case, as metrics label it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::DeleteMany => "delete_many",
            Self::List => "list",
        }
    }

    /// Its label in the metrics.
    pub(crate) fn metric(self) -> StorageOperation {
        match self {
            Self::Get => StorageOperation::Get,
            Self::Put => StorageOperation::Put,
            Self::Head => StorageOperation::Head,
            Self::Delete => StorageOperation::Delete,
            Self::DeleteMany => StorageOperation::DeleteMany,
            Self::List => StorageOperation::List,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object store. Implement it in a crate of your own; `conformance` (a feature of this crate) checks the obligations.
///
/// # Obligations
/// - **O1 Atomic puts.** An object is the whole body of one put or of none. No reader ever sees a part, a mixture, or,
///   while an object is replaced, nothing. A put that fails, or whose process dies, leaves the old object or the new one.
/// - **O2 Durable puts.** When `put` returns `Ok`, the object survives a crash of the process and of the machines of the
///   store, as far as the store ever promises it.
/// - **O3 Visibility.** When `put` or `delete` returns `Ok`, every `get`, `head` and `list` that starts later, from any
///   client, sees it. (Stores that promise less can be used by readers that follow exact keys, but must say so.)
/// - **O4 Create is exclusive.** Of any number of concurrent [`PutMode::Create`] on a missing key exactly one returns `Ok`;
///   the others fail with class `Exists` and change nothing.
/// - **O5 Match is compare-and-swap.** [`PutMode::Match`] replaces the object only if its version is the given one at the
///   instant of the replacement, against every other put and delete. Otherwise class `VersionMismatch`; on a missing object
///   `NotFound`, or `VersionMismatch` where the store cannot tell. A backend whose store ignores or races conditions fails
///   such puts with [`Error::Unsupported`](crate::Error::Unsupported) rather than pretend.
/// - **O6 Versions.** A version names content: two gets of a key with equal versions have equal bytes. Stores may derive
///   versions from content (equal bytes may then bring an old version back), so callers of `Match` never write the same
///   bytes twice. `put`, `get`, `head` and `list` agree on the version of an object.
/// - **O7 Listing.** Keys come in ascending order of their bytes, each once over all pages; an object that exists from
///   before the first page to after the last is listed. Names in the store that are not a valid [`Key`] are left out.
/// - **O8 Delete is idempotent.** A missing object is `Ok`.
/// - **O9 Definite or unknown.** Of errors of `put` and `delete`, only class
///   [`TimeoutUnknown`](crate::ErrorClass::TimeoutUnknown) leaves the outcome open, and then for good: the change may also
///   land later. Every other class says that nothing was and will be changed. A server error whose effect the backend
///   can't know is unknown. Dropping the future of a put or delete leaves its outcome unknown too.
/// - **O10 Honest bodies.** A body that ends early, or whose checksum the store knows to be wrong, ends with an error. Memory
///   use does not depend on the size of objects, for bodies from files and of gets.
///
/// A backend may refuse (class `Other`, [`Error::KeyConflict`](crate::Error::KeyConflict)) a key that is an ancestor or a
/// descendant of an existing object's key (`a` beside `a/b`); if it accepts both, both are objects like any other. Callers
/// never need it.
///
/// Retrying, time-outs and rate limits are decorators' business; a backend makes one attempt.
#[async_trait]
pub trait StorageBackend: fmt::Debug + Send + Sync + 'static {
    /// Reads an object, a range of it, or learns that it has not changed. The condition is evaluated before the range.
    ///
    /// # Errors
    /// Class `NotFound` when there is none; [`Error::InvalidRange`](crate::Error::InvalidRange).
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome>;

    /// Writes a whole object and returns its version.
    ///
    /// # Errors
    /// Class `Exists` or `VersionMismatch` when the condition does not hold; see O5 and O9.
    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version>;

    /// Reads an object's metadata.
    ///
    /// # Errors
    /// Class `NotFound` when there is none.
    async fn head(&self, key: &Key) -> Result<ObjectMeta>;

    /// Deletes an object; `Ok` when there is none.
    ///
    /// # Errors
    /// See O9.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// Deletes many objects, with one outcome per key, in the order given.
    ///
    /// # Errors
    /// Only when no outcome per key is known; then every key's outcome is that error's.
    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>>;

    /// Lists one page.
    ///
    /// # Errors
    /// What the store failed with. A prefix without keys is an empty page.
    async fn list(&self, request: ListRequest) -> Result<ListPage>;

    /// The store as a URL or name for messages, without secrets.
    fn describe(&self) -> String;
}

macro_rules! delegate {
    ($pointer:ident) => {
        #[async_trait]
        impl<T: StorageBackend + ?Sized> StorageBackend for $pointer<T> {
            async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
                (**self).get(key, options).await
            }

            async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
                (**self).put(key, body, mode).await
            }

            async fn head(&self, key: &Key) -> Result<ObjectMeta> {
                (**self).head(key).await
            }

            async fn delete(&self, key: &Key) -> Result<()> {
                (**self).delete(key).await
            }

            async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
                (**self).delete_many(keys).await
            }

            async fn list(&self, request: ListRequest) -> Result<ListPage> {
                (**self).list(request).await
            }

            fn describe(&self) -> String {
                (**self).describe()
            }
        }
    };
}

delegate!(Arc);
delegate!(Box);
