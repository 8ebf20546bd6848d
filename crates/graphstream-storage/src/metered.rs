//! A decorator that counts every request by operation and outcome, and the bytes both ways.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::StreamExt;
use graphstream_metrics::{GraphstreamMetrics, StorageOperation, StorageOutcome};

use crate::error::{ErrorClass, Result};
use crate::{
    ByteStream, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta, Operation, PutBody,
    PutMode, StorageBackend, Version,
};

/// Counts the requests to a backend in [`GraphstreamMetrics::storage`]. Put it inside of a retry to count attempts.
///
/// A get counts when its answer starts; an error in the body later on is not counted as an outcome. A bulk delete counts
/// once, as `ok` only if every key was. A call that its caller gave up counts as `timeout_unknown`.
#[derive(Debug, Clone)]
pub struct MeteredBackend<B> {
    inner: B,
    metrics: Arc<GraphstreamMetrics>,
}

impl<B: StorageBackend> MeteredBackend<B> {
    /// Wraps `inner`.
    pub fn new(inner: B, metrics: Arc<GraphstreamMetrics>) -> Self {
        Self { inner, metrics }
    }

    /// The backend behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    fn start(&self, operation: Operation) -> Call<'_> {
        Call {
            metrics: &self.metrics,
            operation: operation.metric(),
            start: Instant::now(),
            outcome: StorageOutcome::TimeoutUnknown,
        }
    }
}

/// One request; recorded when it ends, in whatever way.
struct Call<'a> {
    metrics: &'a GraphstreamMetrics,
    operation: StorageOperation,
    start: Instant,
    outcome: StorageOutcome,
}

impl Call<'_> {
    fn end<T>(mut self, result: &Result<T>) {
        self.outcome = match result {
            Ok(_) => StorageOutcome::Ok,
            Err(error) => outcome(error.class()),
        };
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.metrics.storage.record(self.operation, self.outcome, self.start.elapsed());
    }
}

fn outcome(class: ErrorClass) -> StorageOutcome {
    match class {
        ErrorClass::NotFound => StorageOutcome::NotFound,
        ErrorClass::Exists => StorageOutcome::Exists,
        ErrorClass::VersionMismatch => StorageOutcome::VersionMismatch,
        ErrorClass::Denied => StorageOutcome::Denied,
        ErrorClass::Throttled => StorageOutcome::Throttled,
        ErrorClass::Unavailable => StorageOutcome::Unavailable,
        ErrorClass::TimeoutUnknown => StorageOutcome::TimeoutUnknown,
        ErrorClass::Corrupt => StorageOutcome::Corrupt,
        ErrorClass::Other => StorageOutcome::Other,
    }
}

#[async_trait]
impl<B: StorageBackend> StorageBackend for MeteredBackend<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        let mut call = self.start(Operation::Get);
        let result = self.inner.get(key, options).await;
        if matches!(result, Ok(GetOutcome::NotModified)) {
            call.outcome = StorageOutcome::NotModified;
            return result;
        }
        call.end(&result);
        Ok(match result? {
            GetOutcome::Found(Object { meta, range, body }) => {
                let metrics = Arc::clone(&self.metrics);
                let body = ByteStream::new(body.inspect(move |chunk| {
                    if let Ok(chunk) = chunk {
                        metrics.storage.bytes_read.add(chunk.len() as u64);
                    }
                }));
                GetOutcome::Found(Object::new(meta, range, body))
            }
            unchanged @ GetOutcome::NotModified => unchanged,
        })
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        let call = self.start(Operation::Put);
        let bytes = body.bytes();
        let result = self.inner.put(key, body, mode).await;
        if result.is_ok() {
            self.metrics.storage.bytes_written.add(bytes);
        }
        call.end(&result);
        result
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        let call = self.start(Operation::Head);
        let result = self.inner.head(key).await;
        call.end(&result);
        result
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let call = self.start(Operation::Delete);
        let result = self.inner.delete(key).await;
        call.end(&result);
        result
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        let call = self.start(Operation::DeleteMany);
        let result = self.inner.delete_many(keys).await;
        let failed = result.iter().flatten().find(|(_, outcome)| outcome.is_err());
        match failed {
            Some((_, outcome)) => call.end(outcome),
            None => call.end(&result),
        }
        result
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        let call = self.start(Operation::List);
        let result = self.inner.list(request).await;
        call.end(&result);
        result
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
