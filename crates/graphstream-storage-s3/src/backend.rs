//! The backend: the trait's calls, each handed to the module that makes it.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use graphstream_storage::{
    self as storage, GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta, Operation, PutBody,
    PutMode, StorageBackend, Version,
};

use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::config::{Encryption, S3Config};
use crate::connect::{connect, with_fresh_credentials};
use crate::error::{Error, Failure};
use crate::verdict::Verdict;

/// A bucket. Cheap to clone; clones share connections and credentials.
///
/// - **Versions** are ETags. S3 derives them from the bytes, so equal bytes bring a version back (O6).
/// - **Sizes** are bounded by S3: 5 TiB.
/// - **Memory** of a put: its body up to [`S3Config::multipart_bytes_min`], else [`S3Config::part_bytes`] times
///   [`S3Config::parallel_parts`]; of a get what the connection buffers.
/// - **Rights**: `s3:PutObject` and `s3:AbortMultipartUpload` to put, `s3:GetObject` to get and head, `s3:ListBucket` to list and to
///   tell a missing object from a forbidden one, `s3:DeleteObject` to delete. Writing needs no right to delete.
#[derive(Clone)]
pub struct S3Backend {
    inner: Arc<Inner>,
}

struct Inner {
    config: S3Config,
    client: RwLock<Client>,
    endpoint: String,
    /// The store was asked for DeleteObjects and has none.
    no_bulk_delete: AtomicBool,
}

impl S3Backend {
    /// Opens a bucket. Asks the sources of credentials for a region, if none is configured, and the store for nothing.
    ///
    /// # Errors
    /// A configuration that can't be right, or that this build has no feature for.
    pub async fn open(config: S3Config) -> Result<Self, Error> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::NoRuntime);
        }
        let (client, endpoint) = connect(&config).await?;
        let inner =
            Inner { config, client: RwLock::new(client), endpoint, no_bulk_delete: AtomicBool::new(false) };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn config(&self) -> &S3Config {
        &self.inner.config
    }

    pub(crate) fn no_bulk_delete(&self) -> &AtomicBool {
        &self.inner.no_bulk_delete
    }

    pub(crate) fn client(&self) -> Client {
        self.inner.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a call of the SDK. On level TRACE it logs the headers that it signs, a customer's key among them: with such a key it logs
    /// nothing.
    pub(crate) async fn quietly<T>(&self, call: impl Future<Output = T>) -> T {
        match self.config().encryption {
            Encryption::Customer(_) => call.with_subscriber(NoSubscriber::new()).await,
            Encryption::Bucket | Encryption::Store | Encryption::Kms(_) => call.await,
        }
    }

    /// Puts into the error what only the backend knows, and draws consequences.
    pub(crate) fn failed(&self, mut failure: Failure, operation: Operation, subject: &str) -> storage::Error {
        match failure.verdict {
            Verdict::Expired => {
                tracing::warn!(store = %self.describe(), "the credentials have expired; they are asked for again");
                let mut client = self.inner.client.write().unwrap_or_else(PoisonError::into_inner);
                *client = with_fresh_credentials(&client);
            }
            Verdict::NoSuchBucket => {
                if let Error::Answer { call, .. } = failure.error {
                    let (bucket, endpoint) = (self.config().bucket.clone(), self.inner.endpoint.clone());
                    failure.error = Error::NoSuchBucket { call, bucket, endpoint };
                }
            }
            _ => {}
        }
        failure.fold(operation, subject, &self.describe())
    }
}

impl fmt::Debug for S3Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Backend")
            .field("config", self.config())
            .field("endpoint", &self.inner.endpoint)
            .finish()
    }
}

#[async_trait]
impl StorageBackend for S3Backend {
    async fn get(&self, key: &Key, options: GetOptions) -> storage::Result<GetOutcome> {
        self.get_object(key, options).await
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> storage::Result<Version> {
        self.put_body(key, body, &mode).await
    }

    async fn head(&self, key: &Key) -> storage::Result<ObjectMeta> {
        self.head_object(key).await
    }

    async fn delete(&self, key: &Key) -> storage::Result<()> {
        self.delete_object(key, Operation::Delete).await
    }

    async fn delete_many(&self, keys: &[Key]) -> storage::Result<Vec<(Key, storage::Result<()>)>> {
        self.delete_objects(keys).await
    }

    async fn list(&self, request: ListRequest) -> storage::Result<ListPage> {
        self.list_page(request).await
    }

    fn describe(&self) -> String {
        format!("s3://{}", self.config().bucket)
    }
}
