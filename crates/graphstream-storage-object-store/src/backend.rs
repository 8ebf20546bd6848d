//! The calls, one to one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use graphstream_storage::{
    ByteStream, Error as StorageError, ErrorClass, GetOptions, GetOutcome, Key, ListPage, ListRequest,
    Object, ObjectMeta, Operation, PutBody, PutMode, Result, StorageBackend, Version,
};
use object_store::path::Path;
use object_store::{GetRange, ObjectStore, ObjectStoreExt};

use crate::error::{Error, Failing};
use crate::options::ObjectStoreOptions;

/// Deletes under way at once in one [`delete_many`](StorageBackend::delete_many).
const DELETES_MAX: usize = 16;

/// Any [`ObjectStore`] as a backend. Clones share it. The calls need a tokio runtime.
#[derive(Clone)]
pub struct ObjectStoreBackend {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) options: ObjectStoreOptions,
    pub(crate) name: Arc<str>,
}

impl ObjectStoreBackend {
    /// `store` with default options, named as it names itself.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self::with_options(store, ObjectStoreOptions::default())
    }

    /// `store` with what is known about it.
    #[must_use]
    pub fn with_options(store: Arc<dyn ObjectStore>, options: ObjectStoreOptions) -> Self {
        let name = store.to_string().into();
        Self { store, options, name }
    }

    /// Another name for messages; without secrets.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn failing<'a>(&'a self, operation: Operation, subject: &'a str) -> Failing<'a> {
        Failing { operation, subject, store: &self.name }
    }

    pub(crate) fn path(&self, operation: Operation, key: &Key) -> Result<Path> {
        Path::parse(key.as_str()).map_err(|error| self.failing(operation, key.as_str()).fold(error.into()))
    }

    pub(crate) fn check_writable(&self, operation: Operation) -> Result<()> {
        if self.options.read_only {
            return Err(StorageError::Unsupported { backend: self.name.to_string(), operation });
        }
        Ok(())
    }

    /// The version that an etag stands for.
    pub(crate) fn version(&self, failing: Failing<'_>, etag: Option<String>) -> Result<Version> {
        let etag = etag.ok_or_else(|| {
            // Of a put nobody could say any more what it put.
            let put = failing.operation == Operation::Put;
            failing.with(if put { ErrorClass::TimeoutUnknown } else { ErrorClass::Other }, Error::NoVersion)
        })?;
        let bare = self.options.etags_are_quoted && !etag.ends_with('"');
        Version::new(if bare { format!("\"{etag}\"") } else { etag })
    }

    pub(crate) fn meta(
        &self,
        failing: Failing<'_>,
        key: Key,
        meta: object_store::ObjectMeta,
    ) -> Result<ObjectMeta> {
        let version = self.version(failing, meta.e_tag)?;
        Ok(ObjectMeta::new(key, meta.size, version, meta.last_modified.timestamp_millis()))
    }

    /// The error of a ranged get. Only the size tells a range beyond the end from other failures.
    async fn range_error(
        &self,
        key: &Key,
        path: &Path,
        range: &Range<u64>,
        error: object_store::Error,
    ) -> StorageError {
        let failed = self.failing(Operation::Get, key.as_str()).fold_object(key, error);
        if !matches!(failed, StorageError::Backend { .. }) || failed.class() == ErrorClass::Denied {
            return failed;
        }
        match self.store.head(path).await {
            Ok(meta) if meta.size <= range.start => invalid_range(key, range, meta.size),
            _ => failed,
        }
    }
}

/// Without the store: what it shows of itself may have credentials in it.
impl fmt::Debug for ObjectStoreBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreBackend")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn invalid_range(key: &Key, range: &Range<u64>, size: u64) -> StorageError {
    StorageError::InvalidRange { key: key.clone(), start: range.start, end: range.end, size: Some(size) }
}

/// A body on its way: exactly the announced bytes, or an error.
struct Reading {
    body: BoxStream<'static, object_store::Result<Bytes>>,
    backend: ObjectStoreBackend,
    key: Key,
    expected: u64,
    found: u64,
    ended: bool,
}

impl Reading {
    async fn next(mut self) -> Option<(Result<Bytes>, Self)> {
        if self.ended {
            return None;
        }
        let chunk = match self.body.next().await {
            Some(Ok(chunk)) => {
                self.found = self.found.saturating_add(chunk.len() as u64);
                if self.found > self.expected { Err(self.wrong_length()) } else { Ok(chunk) }
            }
            Some(Err(error)) => {
                Err(self.backend.failing(Operation::Get, self.key.as_str()).fold_object(&self.key, error))
            }
            None if self.found == self.expected => return None,
            None => Err(self.wrong_length()),
        };
        self.ended = chunk.is_err();
        Some((chunk, self))
    }

    fn wrong_length(&self) -> StorageError {
        StorageError::BodyLength { key: self.key.clone(), expected: self.expected, found: self.found }
    }
}

#[async_trait]
impl StorageBackend for ObjectStoreBackend {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        let path = self.path(Operation::Get, key)?;
        let failing = self.failing(Operation::Get, key.as_str());
        // A range that can hold nothing is an error of its own, but the condition comes first.
        let impossible = options.range.as_ref().filter(|range| range.start >= range.end);
        let asked = object_store::GetOptions {
            if_none_match: options.if_changed_from.as_ref().map(|version| version.as_str().to_owned()),
            head: impossible.is_some(),
            range: options.range.clone().filter(|_| impossible.is_none()).map(|range| match range.end {
                u64::MAX => GetRange::Offset(range.start),
                _ => GetRange::Bounded(range),
            }),
            ..Default::default()
        };
        let result = match (self.store.get_opts(&path, asked).await, &options.range) {
            (Ok(result), _) => result,
            (Err(object_store::Error::NotModified { .. }), _) if options.if_changed_from.is_some() => {
                return Ok(GetOutcome::NotModified);
            }
            (Err(error), Some(range)) => return Err(self.range_error(key, &path, range, error).await),
            (Err(error), None) => return Err(failing.fold_object(key, error)),
        };
        let size = result.meta.size;
        let range = match options.range {
            None => 0..size,
            Some(range) if range.start >= range.end || range.start >= size => {
                return Err(invalid_range(key, &range, size));
            }
            Some(range) => range.start..range.end.min(size),
        };
        if result.range != range {
            return Err(StorageError::WrongRange { key: key.clone(), expected: range, found: result.range });
        }
        let meta = self.meta(failing, key.clone(), result.meta.clone())?;
        let reading = Reading {
            body: result.into_stream(),
            backend: self.clone(),
            key: key.clone(),
            expected: range.end - range.start,
            found: 0,
            ended: false,
        };
        let body = ByteStream::new(stream::unfold(reading, Reading::next));
        Ok(GetOutcome::Found(Object::new(meta, range, body)))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.put_body(key, body, mode).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        let path = self.path(Operation::Head, key)?;
        let failing = self.failing(Operation::Head, key.as_str());
        let meta = self.store.head(&path).await.map_err(|error| failing.fold_object(key, error))?;
        self.meta(failing, key.clone(), meta)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.check_writable(Operation::Delete)?;
        let path = self.path(Operation::Delete, key)?;
        let failing = self.failing(Operation::Delete, key.as_str());
        match self.store.delete(&path).await.map_err(|error| failing.fold_object(key, error)) {
            Err(StorageError::NotFound { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        // One by one: a bulk delete of `object_store` does not say which key an error is about.
        let deleting = keys.iter().map(|key| async move { (key.clone(), self.delete(key).await) });
        Ok(stream::iter(deleting.collect::<Vec<_>>()).buffered(DELETES_MAX).collect().await)
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.list_page(&request).await
    }

    fn describe(&self) -> String {
        self.name.to_string()
    }
}
