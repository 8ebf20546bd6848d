//! A decorator that gives up on a store that is silent, not on one that is slow.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::{
    ByteStream, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta, Operation, PutBody,
    PutMode, StorageBackend, Version,
};

/// How long a store may be silent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutConfig {
    /// From a request to its answer (for a get: to the beginning of its body). A bulk delete has this once more per 100 keys, a
    /// put what [`put_bytes_per_second_min`](Self::put_bytes_per_second_min) adds. Default 30 s.
    pub answer_timeout: Duration,
    /// From one part of a body to the next, while somebody reads it. Default 30 s.
    pub body_timeout: Duration,
    /// What a put's bytes may take besides: a backend does not show how far it has got, so a slow put can't be told from a silent
    /// one before this rate would have moved all of it. 0 means no limit for puts. Default 64 KiB/s.
    pub put_bytes_per_second_min: u64,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            put_bytes_per_second_min: 64 << 10,
        }
    }
}

impl TimeoutConfig {
    /// Sets [`answer_timeout`](Self::answer_timeout).
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Sets [`body_timeout`](Self::body_timeout).
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets [`put_bytes_per_second_min`](Self::put_bytes_per_second_min).
    #[must_use]
    pub fn with_put_bytes_per_second_min(mut self, rate: u64) -> Self {
        self.put_bytes_per_second_min = rate;
        self
    }

    fn put_timeout(&self, bytes: u64) -> Duration {
        match bytes.checked_div(self.put_bytes_per_second_min) {
            Some(seconds) => {
                self.answer_timeout.saturating_add(Duration::from_secs(seconds.saturating_add(1)))
            }
            None => Duration::MAX,
        }
    }
}

/// Ends calls and bodies in [`Error::Timeout`] when nothing comes for so long. The call's future is dropped then.
///
/// Its class is `TimeoutUnknown` for puts and deletes and `Unavailable` for reads, which may be repeated.
#[derive(Debug, Clone)]
pub struct TimeoutBackend<B> {
    inner: B,
    config: TimeoutConfig,
}

impl<B: StorageBackend> TimeoutBackend<B> {
    /// Wraps `inner`.
    pub fn new(inner: B, config: TimeoutConfig) -> Self {
        Self { inner, config }
    }

    /// The backend behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    async fn within<T>(
        &self,
        limit: Duration,
        operation: Operation,
        subject: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match timeout(limit, call).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                operation,
                subject: subject.to_owned(),
                backend: self.describe().into_boxed_str(),
                silent: limit,
            }),
        }
    }

    fn watched(&self, object: Object) -> Object {
        let Object { meta, range, body } = object;
        let limit = self.config.body_timeout;
        let (subject, backend) = (meta.key.to_string(), self.describe());
        let stream = futures_util::stream::unfold(Some(body), move |state| {
            let (subject, backend) = (subject.clone(), backend.clone());
            async move {
                let mut body = state?;
                // An empty chunk is no progress.
                let next = async {
                    loop {
                        match body.next().await {
                            Some(Ok(chunk)) if chunk.is_empty() => {}
                            next => break next,
                        }
                    }
                };
                match timeout(limit, next).await {
                    Ok(next) => next.map(|next| (next, Some(body))),
                    Err(_) => {
                        let operation = Operation::Get;
                        let backend = backend.into_boxed_str();
                        Some((Err(Error::Timeout { operation, subject, backend, silent: limit }), None))
                    }
                }
            }
        });
        Object::new(meta, range, ByteStream::new(stream))
    }
}

#[async_trait]
impl<B: StorageBackend> StorageBackend for TimeoutBackend<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        let call = self.inner.get(key, options);
        Ok(match self.within(self.config.answer_timeout, Operation::Get, key.as_str(), call).await? {
            GetOutcome::Found(object) => GetOutcome::Found(self.watched(object)),
            unchanged @ GetOutcome::NotModified => unchanged,
        })
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        let limit = self.config.put_timeout(body.bytes());
        self.within(limit, Operation::Put, key.as_str(), self.inner.put(key, body, mode)).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.within(self.config.answer_timeout, Operation::Head, key.as_str(), self.inner.head(key)).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.within(self.config.answer_timeout, Operation::Delete, key.as_str(), self.inner.delete(key)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        let hundreds = u32::try_from(keys.len() / 100).unwrap_or(u32::MAX);
        let limit = self.config.answer_timeout.saturating_mul(hundreds.saturating_add(1));
        let subject = keys.first().map_or("", Key::as_str);
        self.within(limit, Operation::DeleteMany, subject, self.inner.delete_many(keys)).await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        let prefix = request.prefix.clone();
        self.within(self.config.answer_timeout, Operation::List, &prefix, self.inner.list(request)).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
